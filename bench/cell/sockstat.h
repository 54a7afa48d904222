/* SPDX-License-Identifier: MIT */
/* The socket counts of /proc/net/sockstat, which must return to their old values after each cell. */
#ifndef BENCH_SOCKSTAT_H
#define BENCH_SOCKSTAT_H

#include "procfile.h"

#include <stdint.h>

/*
 * `used`: sockets of any kind with a struct socket. `inuse`: TCP sockets in a hash table.
 * `alloc`: TCP sockets allocated. `used` and `alloc` also count sockets that are closed but still
 * referenced, and so reveal a direct descriptor that was never closed. Sockets in TIME_WAIT (`tw`)
 * are in none of these counts and last for a minute.
 */
struct sockstat {
	uint64_t used;
	uint64_t tcp_inuse, tcp_orphan, tcp_tw, tcp_alloc;
	uint64_t tcp_pages; /* memory pages of buffers, of all network namespaces together */
};

bool sockstat_parse(const char *text, struct sockstat *stat);
int sockstat_read(struct procfile *reader, struct sockstat *stat);

/* Are there no more sockets than before? */
bool sockstat_is_back(const struct sockstat *before, const struct sockstat *now);

/*
 * The same for a run with its own network namespace: does not compare orphan and alloc, because
 * those count the sockets of all namespaces.
 */
bool sockstat_is_back_here(const struct sockstat *before, const struct sockstat *now);

/* Are there no more open TCP sockets than before? Closed sockets that are kept (parked) do not count. */
bool sockstat_is_closed(const struct sockstat *before, const struct sockstat *now);

/*
 * Waits, at most limit_ns, until one of the functions above, given as `is_so`, is true. `now` gets
 * the counts read last. Returns false when the time is over or the file cannot be read.
 */
bool sockstat_wait(struct procfile *reader, const struct sockstat *before,
		   bool (*is_so)(const struct sockstat *before, const struct sockstat *now),
		   uint64_t limit_ns, struct sockstat *now);

#endif
