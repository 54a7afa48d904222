/* SPDX-License-Identifier: MIT */
#include "drain.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker.h"

int drain_init(struct drain *d)
{
	*d = (struct drain){ .wake = eventfd(0, EFD_CLOEXEC) };
	return d->wake < 0 ? -errno : 0;
}

int drain_request(struct drain *d)
{
	__atomic_store_n(&d->requested, true, __ATOMIC_RELEASE);
	return drain_wake(d);
}

int drain_wake(struct drain *d)
{
	eventfd_t one = 1;

	return write(d->wake, &one, sizeof(one)) < 0 ? -errno : 0;
}

static void begin(struct worker *w)
{
	uint32_t i;

	w->drain.active = true;
	w->drain.end_ms = w->clock.now_ms + w->config.options->drain_timeout_ms;
	protocol_drain(&w->protocol);
	/*
	 * Connections between two requests have nothing to wait for: their time is up at the next
	 * look at the clock. One that has not been served yet gets its answer.
	 */
	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (c->limit == LIMIT_IDLE && c->served)
			conn_set_limit(&w->conns, c, LIMIT_DRAIN, w->clock.now_ms);
	}
}

void drain_check(struct worker *w)
{
	if (__atomic_load_n(&w->drain.requested, __ATOMIC_ACQUIRE) && !w->drain.active)
		begin(w);
}

void drain_extend(struct worker *w, uint64_t ms)
{
	w->drain.end_ms += ms;
	__atomic_store_n(&w->drain.extended_ms, w->drain.extended_ms + ms, __ATOMIC_RELAXED);
}

bool drain_is_over(const struct worker *w)
{
	const struct drain *d = &w->drain;
	bool drained = acceptor_is_done(w) && conn_table_empty(&w->conns);

	return d->active && (drained || w->clock.now_ms >= d->end_ms);
}

void drain_arm(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_request(&w->ring, OP_WAKE, w->ring.epoch);

	io_uring_prep_read(sqe, w->drain.wake, &w->drain.wake_value, sizeof(w->drain.wake_value),
			   0);
}

void drain_woken(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none; /* whatever ended the read: it is looked, and read again */
	drain_check(w);
	if (ring_is_current(&w->ring, cqe))
		drain_arm(w);
}

void drain_disarm(struct worker *w)
{
	ring_cancel_now(&w->ring, OP_WAKE, w->ring.epoch);
}
