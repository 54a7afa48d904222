/* SPDX-License-Identifier: MIT */
/* Starts the server under test, reads its totals, stops it. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "cell/child.h"
#include "procfile.h"

#include <jansson.h>
#include <netinet/in.h>

/*
 * The first line that a server prints says where it listens. It is printed when the set-up is
 * complete:
 *	NAME VERSION accept=dup workers=2 listen=127.0.0.1:40123 ...
 * On SIGUSR1 and when it ends it prints "totals key=value ...". SIGTERM makes it end with exit code
 * 0. Exit code 77 before the first line means that this kernel lacks what the options need. Any
 * other exit code is a failure; 2 means that the command line is wrong.
 */
struct server {
	struct child child;
	struct sockaddr_in address;
	char accept[32];
	char ready[CHILD_LINE_MAX];
	bool is_silent;	  /* a peer: no first line, no totals; any exit code is accepted */
	char folder[256]; /* of a peer's configuration; removed when the peer has ended */
};

enum server_verdict { SERVER_READY, SERVER_UNSUPPORTED, SERVER_FAILED };

enum server_verdict server_start(struct server *server, char *const argv[], const char *cpus,
				 char *why, size_t why_len);

/* The server's totals as a JSON object, which the caller frees; NULL with the reason in `why`. */
json_t *server_totals(struct server *server, char *why, size_t why_len);

/* CPU time of all threads of the server and of the processes it has started. */
uint64_t server_cpu_ns(struct server *server, struct procfile *files);

/*
 * Sends SIGTERM and waits for a limited time. Returns false with the reason in `why` if the server
 * did not end with exit code 0.
 */
bool server_stop(struct server *server, char *why, size_t why_len);

void server_remove_folder(struct server *server);

/* Public so that they can be tested. */
bool server_parse_ready(struct server *server, const char *line);
json_t *server_parse_totals(const char *line);

#endif
