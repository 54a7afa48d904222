/* SPDX-License-Identifier: MIT */
/*
 * What a worker of the ring loop does when time passes, and when it is told to end.
 *
 * One timeout request (OP_TICK) is in flight while anything is open, parked or paused; when it
 * completes, the connections whose time is over are ended and parked numbers are swept. With
 * nothing to watch there is none, and an idle server sleeps. What is in flight on such a connection
 * is cancelled: named by its user_data, it completes with ECANCELED, and is then tried once more
 * without a wait (conn.h). A timeout linked to each receive would do that without our help, for one
 * request and one timer more per receive.
 *
 * The main thread cannot submit to a ring of SINGLE_ISSUER. It sets worker.stop and writes to an
 * eventfd, which the worker has a read of in flight (OP_WAKE): that completion begins the drain.
 */
#ifndef SERVER_CLOCK_H
#define SERVER_CLOCK_H

#include "worker.h"

/* Once per pass, behind the wait: what time it is. */
void clock_pass(struct worker *w);

/* Once per pass: a tick in flight if there is something to watch. */
void clock_steer(struct worker *w);

/* Once, before the first pass: the read that the main thread's word completes. */
void clock_prep_wake(struct worker *w);

/* The completions of OP_TICK and OP_WAKE. C is NULL. */
void clock_tick(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);
void clock_wake(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);

#endif
