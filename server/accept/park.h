/* SPDX-License-Identifier: MIT */
/*
 * The end of a connection on the paths that put the next one over its fd: shut down, not closed.
 * fdpool.h keeps the numbers; here is what is done to them. The pool is these paths' own state.
 */
#ifndef SERVER_PARK_H
#define SERVER_PARK_H

#include "assertion.h"
#include "fdpool.h"
#include "worker.h"

/* The init() and free() of such a path: reserve the numbers, and close them all. */
bool park_init(struct worker *w);
void park_free(struct worker *w);

static inline struct fdpool *park_pool(const struct worker *w)
{
	return w->path_state;
}

/* A number for a new connection. */
static inline int park_take(const struct worker *w)
{
	int fd = fdpool_take(park_pool(w));

	assert(fd >= 0); /* the pool has as many numbers as the table has connections */
	return fd;
}

/*
 * Ends C: shutdown(2), which takes no lock of the fd table and sends the FIN, then its number waits
 * for the next connection. With --park 0 it is replaced by the placeholder at once.
 */
void park_retire(struct worker *w, struct conn *c);

/* Numbers that are tried for a connection before its DUP counts as failed. */
enum { DUP_TRIES = 3 };

/* The DUP of C onto its number has failed with ERROR, an errno: counted; the number goes back. */
void park_give_back(struct worker *w, struct conn *c, int error);

/* Closes what has been parked for longer than --park-timeout, or beyond --park. */
void park_tick(struct worker *w);

/* Whether something is parked. */
bool park_needs_tick(const struct worker *w);

#endif
