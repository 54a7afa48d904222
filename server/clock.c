/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <time.h>

enum { STALL_MS = 1000 };

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void clock_pass(struct worker *w)
{
	uint64_t before_ms = w->now_ms;

	w->now_ms = clock_ms();
	/*
	 * While a worker drains, it looks every TICK_MS. If it could not (a SIGSTOP, a machine that
	 * stood still), that is no time that its clients have had.
	 */
	if (w->draining && w->now_ms - before_ms > STALL_MS)
		w->drain_end_ms += w->now_ms - before_ms;
}

void clock_tick(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	struct conn *c;

	(void)none;
	if (user_data_id(cqe->user_data) != w->round)
		return;
	w->ticking = false;
	while ((c = conn_expired(&w->conns, w->now_ms)) != NULL)
		worker_cancel_request(w, c);
	if (w->path->tick)
		w->path->tick(w);
}

void clock_steer(struct worker *w)
{
	struct io_uring_sqe *sqe;

	if (w->ticking ||
	    !(!conn_table_empty(&w->conns) || w->pool.parkeds || w->draining || !w->accepting))
		return;
	w->ticking = true;
	w->tick_period = (struct __kernel_timespec){ .tv_nsec = TICK_MS * 1000000LL };
	sqe = worker_sqe(w, OP_TICK, NULL);
	io_uring_prep_timeout(sqe, &w->tick_period, 0, 0);
}

static void drain(struct worker *w)
{
	uint32_t i;

	w->draining = w->protocol.draining = true;
	w->drain_end_ms = w->now_ms + w->options->drain_timeout_ms;
	/*
	 * Connections between two requests have nothing to wait for: their time is up at the next
	 * look at the clock. One that has not been served yet gets its answer.
	 */
	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (c->limit == LIMIT_IDLE && c->served)
			conn_set_limit(&w->conns, c, LIMIT_DRAIN, w->now_ms);
	}
}

bool worker_finished(const struct worker *w)
{
	return w->draining &&
	       ((w->listener < 0 && conn_table_empty(&w->conns)) || w->now_ms >= w->drain_end_ms);
}

void clock_prep_wake(struct worker *w)
{
	struct io_uring_sqe *sqe = worker_sqe(w, OP_WAKE, NULL);

	io_uring_prep_read(sqe, w->wake, &w->wake_value, sizeof(w->wake_value), 0);
}

void worker_check_stop(struct worker *w)
{
	if (__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) && !w->draining)
		drain(w);
}

void clock_wake(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)c, (void)cqe; /* whatever ended the read: it is looked, and read again */
	worker_check_stop(w);
	clock_prep_wake(w);
}
