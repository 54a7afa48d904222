/* SPDX-License-Identifier: MIT */
/* Pieces that several accept paths are made of. Each stands in the file of the first. */
#ifndef SERVER_ACCEPT_SHARED_H
#define SERVER_ACCEPT_SHARED_H

#include "worker.h"

static inline unsigned short accept_flags(const struct worker *w)
{
	return w->drain.active ? IORING_ACCEPT_DONTWAIT : 0;
}

/* multishot.c: retires C, which has an fd, by a close on the ring. */
void multishot_retire(struct worker *w, struct conn *c);

/* direct.c: arms a multishot accept into any free slot. */
void direct_arm(struct worker *w);

/* accept4.c: arms a poll of the listener, and then accepts what is queued. */
void accept4_arm(struct worker *w);
void accept4_readable(struct worker *w);

/*
 * accept4.c: calls accept4(2) with FLAGS and gives each fd to TAKE, until the queue is empty, the
 * worker may accept no more, or --accept-batch have been taken.
 */
void accept4_batch(struct worker *w, int flags, void (*take)(struct worker *w, int fd));

#endif
