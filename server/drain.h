/* SPDX-License-Identifier: MIT */
/*
 * How a worker is told to end, and what it does then: it serves what has been accepted or queued,
 * closes what is idle, and ends when nothing is open any more or --drain-timeout has passed.
 *
 * The main thread cannot submit to a ring of SINGLE_ISSUER. It sets a flag, then writes to an
 * eventfd, which the worker has a read of in flight (OP_WAKE): that completion begins the drain.
 */
#ifndef SERVER_DRAIN_H
#define SERVER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct io_uring_cqe;
struct worker;

struct drain {
	int wake;	/* the eventfd */
	bool requested; /* the flag */
	bool active;	/* it has begun */
	uint64_t end_ms;
	uint64_t extended_ms; /* by how much drain_extend() has put that off; read by others, too */
	uint64_t wake_value;  /* what OP_WAKE reads */
};

/* Before the worker starts. Returns 0 or a negative errno. */
int drain_init(struct drain *d);

/* For the main thread: tells the worker to drain. Returns 0 or a negative errno. */
int drain_request(struct drain *d);

/* For the main thread: wakes the worker, whatever for. Returns 0 or a negative errno. */
int drain_wake(struct drain *d);

/* Begins the drain if that has been requested. */
void drain_check(struct worker *w);

/* For the main thread: by how much the worker has put off the end of its drain. */
static inline uint64_t drain_extended_ms(const struct drain *d)
{
	return __atomic_load_n(&d->extended_ms, __ATOMIC_RELAXED);
}

/* Gives the drain MS milliseconds more. */
void drain_extend(struct worker *w, uint64_t ms);

/* Whether the worker has drained, or has no time left to. */
bool drain_is_over(const struct worker *w);

/* Before the first pass, and when a recovery has ended: submits the OP_WAKE. */
void drain_arm(struct worker *w);

/* When a recovery begins, which cannot know whether it is in flight: cancels the OP_WAKE. */
void drain_disarm(struct worker *w);

/* The completion of OP_WAKE, which is of no connection. */
void drain_woken(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
