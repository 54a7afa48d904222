/* SPDX-License-Identifier: MIT */
/*
 * Servers that other people wrote, as the distribution packages them, set up to answer the same
 * bytes: what the paths are compared with. They print no first line and no totals.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "cell/server.h"

/* Also true of the bare loop, which is this very program. */
bool peer_is(const char *name);

/* Are its workers processes, each with an fd table of its own? */
bool peer_has_processes(const char *name, unsigned int workers);

enum server_verdict peer_start(struct server *server, const char *name, unsigned int workers,
			       const char *cpus, json_t *command, char *why, size_t why_len);

#endif
