/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "serve.h"
#include "worker.h"

enum { STALL_MS = 1000 };

void clock_limit_slack(void)
{
	const unsigned long most_ns = TICK_MS * 1000000UL / 2;

	/* The C library returns an int. */
	if ((unsigned long)syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0) > most_ns)
		prctl(PR_SET_TIMERSLACK, most_ns, 0, 0, 0);
}

/* Cheap, and a few milliseconds coarse. */
static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void clock_init(struct worker *w)
{
	w->clock.now_ms = monotonic_ms();
}

void clock_update(struct worker *w)
{
	uint64_t before_ms = w->clock.now_ms;

	w->clock.now_ms = monotonic_ms();
	/*
	 * While a worker drains, it looks every TICK_MS. If it could not (a SIGSTOP, a machine that
	 * stood still), that is no time that its clients have had.
	 */
	if (w->drain.active && w->clock.now_ms - before_ms > STALL_MS) {
		drain_extend(w, w->clock.now_ms - before_ms);
		clock_limit_slack(); /* or the slack of this thread has been raised meanwhile */
	}
}

static bool has_something_to_watch(const struct worker *w)
{
	const struct accept_path *path = w->config.path;

	return !conn_table_empty(&w->conns) || w->drain.active || !w->acceptor.armed ||
	       (path->needs_tick && path->needs_tick(w));
}

void clock_arm(struct worker *w)
{
	struct clock *clock = &w->clock;

	if (clock->ticking || !has_something_to_watch(w))
		return;
	clock->ticking = true;
	clock->period = (struct __kernel_timespec){ .tv_nsec = TICK_MS * 1000000LL };
	io_uring_prep_timeout(ring_request(&w->ring, OP_TICK, w->ring.epoch), &clock->period, 0, 0);
}

void clock_forget(struct worker *w)
{
	w->clock.ticking = false;
}

void clock_ticked(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	struct conn *c;

	(void)none;
	if (!ring_is_current(&w->ring, cqe))
		return;
	w->clock.ticking = false;
	acceptor_tick(w);
	while ((c = conn_expired(&w->conns, w->clock.now_ms)) != NULL) {
		if (c->overdue == LIMIT_OPENING)
			acceptor_open_again(w, c);
		else
			serve_cancel(w, c);
	}
	if (w->config.path->tick)
		w->config.path->tick(w);
}
