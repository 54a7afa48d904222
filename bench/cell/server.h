/* SPDX-License-Identifier: MIT */
/* The server under test: started, asked for its totals, stopped. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "cell/child.h"
#include "procfile.h"

#include <jansson.h>
#include <netinet/in.h>

/*
 * A server says on its first line of output where it listens, and from then on its set-up is over:
 *	NAME VERSION accept=dup workers=2 listen=127.0.0.1:40123 ...
 * On SIGUSR1 and at its end it prints "totals key=value ...". SIGTERM makes it end with code 0, and
 * code 77 before the first line means that this kernel cannot do what was asked. Any other code is a
 * failure: 2 says that the server does not understand its command line.
 */
struct server {
	struct child child;
	struct sockaddr_in address;
	char accept[32];
	char ready[CHILD_LINE_MAX];
	bool is_silent;	  /* a peer: no first line, no totals, an exit code of its own */
	char folder[256]; /* of a peer's configuration; removed at its end */
};

enum server_verdict { SERVER_READY, SERVER_UNSUPPORTED, SERVER_FAILED };

enum server_verdict server_start(struct server *server, char *const argv[], const char *cpus,
				 char *why, size_t why_len);

/* Its totals as a JSON object, to be freed; NULL with the reason. */
json_t *server_totals(struct server *server, char *why, size_t why_len);

/* CPU time of all its threads, and of the processes it has started. */
uint64_t server_cpu_ns(struct server *server, struct procfile *files);

/* SIGTERM and a bounded wait; false with the reason when it did not end with code 0. */
bool server_stop(struct server *server, char *why, size_t why_len);

void server_remove_folder(struct server *server);

/* Apart for the tests. */
bool server_parse_ready(struct server *server, const char *line);
json_t *server_parse_totals(const char *line);

#endif
