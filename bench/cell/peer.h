/* SPDX-License-Identifier: MIT */
/*
 * Peers: servers of other projects, as the distribution packages them, configured to do the same
 * work, so that the accept paths can be compared with them. They print no first line and no totals.
 *
 * All send the same body and the same number of header bytes, except nginx, which cannot leave out
 * Server and Date; the report states the difference in bytes. haproxy writes header names in lower
 * case. It has one listener per thread (shards by-thread) where its version supports that, like the
 * default of our server.
 *
 * HAPROXY=FILE in the environment selects another haproxy than the one in PATH, NGINX=FILE another
 * nginx. "haproxy-tables" is haproxy with one fd table per thread (tune.fd.tables, experimental),
 * which needs version 3.5.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "cell/server.h"

/* Is this the name of a peer? Also true for the bare loop, although it is part of this program. */
bool peer_is(const char *name);

/* Are the peer's workers processes, each with its own fd table? */
bool peer_has_processes(const char *name, unsigned int workers);

/*
 * Starts a peer. `version` gets the first line that the program prints about its version, or "" for
 * the bare loop. On failure the reason is in `why`.
 */
enum server_verdict peer_start(struct server *server, const char *name, unsigned int workers,
			       const char *cpus, json_t *command, char *version, size_t version_len,
			       char *why, size_t why_len);

#endif
