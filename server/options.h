/* SPDX-License-Identifier: MIT */
/* The command line: parsed once, constant afterwards. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "http.h"

enum fd_table { FD_TABLE_SHARED, FD_TABLE_PRIVATE };
enum listener_kind { LISTENER_REUSEPORT, LISTENER_SHARED };
enum wire_protocol { PROTOCOL_HTTP, PROTOCOL_ECHO };
enum fin { FIN_JOINED, FIN_APART };
enum { MOST_WORKERS = 1024 };

struct options {
	const char *accept; /* the name of an accept path, or "auto" */
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	socklen_t address_len;
	unsigned workers;
	bool pin;
	enum listener_kind listener;
	enum fd_table fd_table;
	enum wire_protocol protocol;
	unsigned max_conns; /* all workers together; each gets an equal share */
	unsigned backlog;
	unsigned accept_batch; /* accept4 calls per wake-up, on the paths that call it */
	unsigned park;	       /* all workers together */
	uint64_t park_timeout_ms;
	uint64_t idle_timeout_ms;
	uint64_t request_timeout_ms;
	uint64_t drain_timeout_ms;
	uint64_t defer_accept_s; /* 0: off */
	enum fin fin;		 /* how the last answer and the end of the stream leave */
	uint64_t min_wait_us;	 /* 0: off */
	unsigned min_batch;	 /* completions that end MIN_WAIT_US early */
	struct http_limits limits;
	unsigned metrics_port; /* 0: none */
	unsigned open_fds;     /* for measuring: see lab/ballast.h */
	unsigned neighbours;   /* for measuring: see lab/neighbours.h */
};

/*
 * Fills OPTIONS from the command line. Exits by itself after --help and --version (0) and on a
 * command line it does not understand (EXIT_USAGE, with one line that names option, value, range).
 */
void options_parse(struct options *options, int argc, char **argv);

/*
 * Prints the effective configuration as one line of key=value: the server's first line.
 * PATH is the accept path in use.
 */
void options_print(FILE *out, const struct options *options, const char *path);

#endif
