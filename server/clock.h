/* SPDX-License-Identifier: MIT */
/*
 * What time it is, and what a worker of the ring loop does when time passes.
 *
 * One timeout request (OP_TICK) is in flight while anything is open, parked or paused; when it
 * completes, the connections whose time is over are ended and the path closes what has been parked
 * for too long. With nothing to watch there is none, and an idle server sleeps. What is in flight
 * on such a connection is cancelled: named by its user_data, it completes with ECANCELED, and is
 * then tried once more without a wait (conn.h). A timeout linked to each receive would do that
 * without our help, for one request and one timer more per receive.
 */
#ifndef SERVER_CLOCK_H
#define SERVER_CLOCK_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct worker;

/* How often time limits are looked at, in milliseconds. */
enum { TICK_MS = 100 };

struct clock {
	uint64_t now_ms; /* the time at the start of this pass; of a monotonic clock */
	bool ticking;	 /* an OP_TICK is in flight */
	struct __kernel_timespec period;
};

/*
 * The kernel may end a wait later than it was told by the timer slack (prctl(2)), which a service
 * manager can set to seconds. This limits that of the calling thread, which its threads inherit, to half
 * of TICK_MS.
 */
void clock_limit_slack(void);

/* Once before the first pass, and once per pass, behind the wait: reads the time. */
void clock_init(struct worker *w);
void clock_update(struct worker *w);

/* Once per pass: submits an OP_TICK if there is something to watch and none is in flight. */
void clock_arm(struct worker *w);

/* Forgets the OP_TICK in flight, if any. */
void clock_forget(struct worker *w);

/* The completion of OP_TICK, which is of no connection. */
void clock_ticked(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
