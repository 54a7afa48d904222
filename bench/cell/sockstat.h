/* SPDX-License-Identifier: MIT */
/* The socket counts of /proc/net/sockstat: what must be back where it was after every cell. */
#ifndef BENCH_SOCKSTAT_H
#define BENCH_SOCKSTAT_H

#include "procfile.h"

#include <stdint.h>

/*
 * `used`: sockets of any kind with a struct socket. `inuse`: TCP sockets in a hash table.
 * `alloc`: TCP sockets allocated. `used` and `alloc` have those as well that are closed but still
 * referenced, and so catch a direct slot that was never closed. TIME_WAIT (`tw`) is none of these
 * and takes a minute to end.
 */
struct sockstat {
	uint64_t used;
	uint64_t tcp_inuse, tcp_orphan, tcp_tw, tcp_alloc;
	uint64_t tcp_pages; /* of buffers, all network namespaces together */
};

bool sockstat_parse(const char *text, struct sockstat *stat);
int sockstat_read(struct procfile *reader, struct sockstat *stat);

/* No more sockets than before? */
bool sockstat_is_back(const struct sockstat *before, const struct sockstat *now);

/* The same in a network namespace of one's own: orphan and alloc count those of all namespaces. */
bool sockstat_is_back_here(const struct sockstat *before, const struct sockstat *now);

/* No more TCP sockets that are not closed? Closed ones that are kept (parked) do not count. */
bool sockstat_is_closed(const struct sockstat *before, const struct sockstat *now);

/* Waits, at most limit_ns, until one of these is so; `now` is what was seen last. */
bool sockstat_wait(struct procfile *reader, const struct sockstat *before,
		   bool (*is_so)(const struct sockstat *before, const struct sockstat *now),
		   uint64_t limit_ns, struct sockstat *now);

#endif
