/* SPDX-License-Identifier: MIT */
/*
 * Servers that other people wrote, as the distribution packages them, set up to do the same work: what
 * the paths are compared with. They print no first line and no totals.
 *
 * All answer the same body and as many header bytes, but nginx, which cannot leave out Server and Date;
 * the report says how many bytes that makes. haproxy writes header names in lower case. It has a
 * listener a thread (shards by-thread) where its version knows that, as our server has by default.
 *
 * HAPROXY=FILE in the environment names another haproxy than the one in PATH, NGINX=FILE another
 * nginx. "haproxy-tables" is haproxy with an fd table a thread (tune.fd.tables, experimental), which
 * takes version 3.5.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "cell/server.h"

/* Also true of the bare loop, which is this very program. */
bool peer_is(const char *name);

/* Are its workers processes, each with an fd table of its own? */
bool peer_has_processes(const char *name, unsigned int workers);

/* The first line that the program prints of itself goes to `version`, and "" for the bare loop. */
enum server_verdict peer_start(struct server *server, const char *name, unsigned int workers,
			       const char *cpus, json_t *command, char *version, size_t version_len,
			       char *why, size_t why_len);

#endif
