/* SPDX-License-Identifier: MIT */
/* Pieces that several accept paths are made of. Each stands in the file of the first. */
#ifndef SERVER_ACCEPT_SHARED_H
#define SERVER_ACCEPT_SHARED_H

#include "worker.h"

/*
 * A multishot accept takes everything that is queued, and what then has no room must be refused.
 * So a server that has been full takes one at a time and leaves the rest to wait; so does one that
 * drains, which wants to hear (-EAGAIN) when the queue is empty.
 */
static inline bool accept_one_at_a_time(const struct worker *w)
{
	return w->draining || w->crowded;
}

static inline unsigned short accept_flags(const struct worker *w)
{
	return w->draining ? IORING_ACCEPT_DONTWAIT : 0;
}

/* multishot.c: the fd is closed by the ring. */
void retire_by_close(struct worker *w, struct conn *c);

/* direct.c: a multishot accept into any free slot. */
void arm_direct(struct worker *w);

/* accept4.c: a poll of the listener, and accept4 until the queue is empty. */
void arm_poll(struct worker *w);
void take_by_accept4(struct worker *w);

#endif
