/* SPDX-License-Identifier: MIT */
/*
 * The file descriptor numbers a worker puts connections over with DUP (or dup3).
 *
 * A worker reserves its numbers once, as one contiguous range, before it accepts anything. Each is
 * a duplicate of a placeholder (an O_PATH descriptor, which costs one struct file for all of them,
 * and nothing when it is replaced), so that nobody else in the process can be handed the number,
 * and so that the table of file descriptors never grows while connections come and go.
 *
 *              take                     park (the socket is already shut down)
 *    VACANT ─────────► IN USE ─────────────────────────────────► PARKED
 *       ▲                 ▲                 take: newest first     │
 *       │                 └────────────────────────────────────────┤
 *       └──────────────────────────────────────────────────────────┘
 *                     sweep: oldest first, by age or above the bound
 *
 *   VACANT  the number refers to the placeholder
 *   IN USE  it refers to a connection
 *   PARKED  it still refers to the finished connection before. The next DUP onto it installs the new
 *           one and takes out the old one under a single acquisition of file_lock: that is what
 *           parking is for.
 *
 * A number that neither a connection nor the placeholder can be put over now (RLIMIT_NOFILE has been
 * lowered) is doubtful: it is taken when there is no other, and tried again from time to time.
 *
 * The pool only keeps the books, and duplicates nothing but at the start. Whoever sweeps a number
 * puts the placeholder there (accept/park.c).
 */
#ifndef SERVER_FDPOOL_H
#define SERVER_FDPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "counters.h"

struct parked_fd {
	int fd;
	uint64_t since_ms;
};

struct fdpool {
	int placeholder; /* the descriptor that vacant numbers are duplicates of */
	int first;	 /* the range is first .. first + size - 1 */
	unsigned size;
	int *vacant; /* a stack of numbers */
	unsigned vacants;
	int *doubtful; /* a ring buffer; they may still refer to finished connections */
	unsigned oldest_doubtful, doubtfuls;
	struct parked_fd *parked; /* a ring buffer, whose oldest entry is at OLDEST */
	unsigned oldest, parkeds;
	unsigned park_max; /* beyond so many, the oldest are swept whatever their age */
	struct counters *counters;
};

/*
 * Reserves SIZE numbers from FIRST on, of which at most PARK_MAX will be parked at once. It counts
 * in COUNTERS, which must stay. Returns 0, or a negative errno: -EMFILE when RLIMIT_NOFILE is too
 * low, -EBUSY when a number of the range was taken by somebody else.
 */
int fdpool_init(struct fdpool *pool, int first, unsigned size, unsigned park_max,
		struct counters *counters);

/* Closes every number and the placeholder. */
void fdpool_free(struct fdpool *pool);

/*
 * A number to put a connection over, the most recently parked first, doubtful ones last; -1 if all
 * are in use.
 */
int fdpool_take(struct fdpool *pool);

/* The connection on FD has been shut down; its number waits for the next one. */
void fdpool_park(struct fdpool *pool, int fd, uint64_t now_ms);

/*
 * The oldest parked number, if it was parked before OLDER_THAN_MS or more than park_max are parked:
 * put the placeholder there, since it counts as vacant from here on. -1 if there is none.
 */
int fdpool_sweep(struct fdpool *pool, uint64_t older_than_ms);

/* Undoes the last fdpool_sweep(), for a number that cannot be replaced: it is doubtful. */
void fdpool_unsweep(struct fdpool *pool);

/* FD was in use, and cannot be replaced now: it is doubtful. */
void fdpool_doubt(struct fdpool *pool, int fd);

/* So are all from LIMIT on that are not in use: RLIMIT_NOFILE has been lowered to that. */
void fdpool_doubt_from(struct fdpool *pool, uint64_t limit);

/*
 * The number that has been doubtful for longest: put the placeholder there, since it counts as vacant from here on. If that
 * cannot be done, fdpool_unsweep(). -1 if there is none.
 */
int fdpool_trust(struct fdpool *pool);

/*
 * FD was in use, and refers to the placeholder again, because a DUP onto it has failed. It will be
 * taken after all numbers that are vacant now: so those that keep failing are tried in turn, and
 * the good ones first.
 */
void fdpool_vacate(struct fdpool *pool, int fd);

static inline bool fdpool_owns(const struct fdpool *pool, int fd)
{
	return fd >= pool->first && fd - pool->first < (int)pool->size;
}

#endif
