/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <errno.h>
#include <unistd.h>

#include "listener.h"
#include "message.h"
#include "worker.h"

enum {
	BARRIER_LINKS = 8, /* more than any chain has */
	PART = 1024,	   /* descriptors that are looked at together */
};

/*
 * Whether that request of C was in flight. If it was, it has been cancelled by this, and ends with
 * ECANCELED, which its handler takes for a cancel that came too late: it repeats the request, so
 * nothing is lost by asking.
 */
static bool cancel_if_in_flight(struct worker *w, enum op op, const struct conn *c)
{
	return ring_cancel_now(&w->ring, op, c->id) != -ENOENT;
}

static void begin(struct worker *w)
{
	acceptor_hold(w);
	clock_forget(w);
	ring_new_epoch(&w->ring);
	w->recovery.stage = RECOVERY_BEGUN;
}

/*
 * The kernel goes from one link of a chain to the next in work that it queues, first in, first
 * out. So when the end of a chain longer than any other is reached, every chain that was submitted
 * before has come as far as it can.
 */
static void prep_barrier(struct worker *w)
{
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++)
		w->conns.conns[i].suspect = w->conns.conns[i].state != CONN_FREE;
	ring_reserve(&w->ring, BARRIER_LINKS);
	for (i = 1; i <= BARRIER_LINKS; i++) {
		struct io_uring_sqe *sqe = ring_request(&w->ring, OP_BARRIER, w->ring.epoch);

		io_uring_prep_nop(sqe);
		if (i < BARRIER_LINKS)
			sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	}
	w->recovery.stage = RECOVERY_BARRIER;
}

void recover_reached(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none;
	if (ring_is_current(&w->ring, cqe))
		w->recovery.stage = cqe->res < 0 ? RECOVERY_BEGUN : RECOVERY_SETTLED;
}

/* Nothing was heard of C since the barrier was submitted: does it still wait for something? */
static bool is_lost(struct worker *w, const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_FREE:
		return false;
	case CONN_OPENING:
		return c->limit != LIMIT_OPENING; /* an INSTALL does not wait for anything */
	case CONN_RETIRING:
		return true; /* nor does a close */
	case CONN_RECEIVING: /* perhaps behind a DUP, should io-wq have that */
		return !cancel_if_in_flight(w, OP_RECV, c) && !cancel_if_in_flight(w, OP_OPEN, c);
	case CONN_SENDING:
		return !cancel_if_in_flight(w, OP_SEND, c);
	case CONN_LINGERING:
		return !cancel_if_in_flight(w, OP_RECV, c) &&
		       !cancel_if_in_flight(w, OP_SHUTDOWN, c);
	}
	return false;
}

/*
 * Whether the descriptor of such a connection is still there nobody knows: close_unowned() finds it
 * if it is. The slot of one that has an fd and still waits has been closed by its chain.
 */
static unsigned strike_off_lost(struct worker *w)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (!c->suspect)
			continue;
		if (!is_lost(w, c)) {
			c->suspect = c->fd >= 0 && !cancel_if_in_flight(w, OP_OPEN, c);
			continue;
		}
		n++;
		if (c->as_accepted && c->fd >= 0)
			close(c->fd);
		if (w->config.path->uses_pool && !c->as_accepted) {
			w->config.path->retire(
				w, c); /* its fd is a number of the pool: it ends at once */
			continue;
		}
		c->fd = c->slot = -1;
		conn_end(&w->conns, c);
	}
	return n;
}

static bool owns_slot(const struct conn *c)
{
	return c->slot >= 0 && !c->suspect;
}

/* Works on a part of the table at a time: it needs no memory, which may be what is lacking. */
static void close_unowned_slots(struct worker *w)
{
	int files[PART];
	uint32_t first, i;

	for (first = 0; first < w->ring.slots; first += PART) {
		uint32_t n = w->ring.slots - first < PART ? w->ring.slots - first : PART;

		for (i = 0; i < n; i++)
			files[i] = -1;
		for (i = 0; i < w->conns.capacity; i++) {
			const struct conn *c = &w->conns.conns[i];

			if (owns_slot(c) && (uint32_t)c->slot - first < n)
				files[(uint32_t)c->slot - first] = IORING_REGISTER_FILES_SKIP;
		}
		io_uring_register_files_update(&w->ring.uring, first, files, n);
	}
}

/*
 * The same by numbers, of the table of file descriptors: there may be no /proc to list it. Not what
 * a prepared request closes: another worker's connection could get the number in between.
 */
static void close_unowned_fds(struct worker *w)
{
	int first, fd;
	uint32_t i;

	for (first = 0; first < w->config.fd_end; first += PART) {
		bool owned[PART] = { false };

		for (i = 0; i < w->conns.capacity; i++) {
			fd = w->conns.conns[i].fd;
			if (fd >= first && fd - first < PART)
				owned[fd - first] = true;
		}
		for (fd = first; fd < first + PART; fd++) {
			if (!owned[fd - first] && fd != w->acceptor.listener &&
			    fd != w->config.shared_listener &&
			    listener_accepted(fd, w->config.listener_tag) &&
			    !ring_is_to_close(&w->ring, fd))
				close(fd);
		}
	}
}

static void close_unowned(struct worker *w)
{
	if (w->config.path->accepts_slots)
		close_unowned_slots(w);
	if (w->config.listener_tag && !w->config.path->uses_pool)
		close_unowned_fds(w);
}

static void say_so(struct worker *w, unsigned lost)
{
	count(w->counters.recoveries);
	if (say_again(&w->recovery.said_ms, w->clock.now_ms))
		say("worker %u: out of memory, the kernel dropped completions (%u so far): %u "
		    "connections were lost, their sockets are closed",
		    w->config.index, w->ring.dropped, lost);
}

static void settle_books(struct worker *w)
{
	unsigned lost;

	ring_buffers_renew(&w->ring);
	lost = strike_off_lost(w);
	close_unowned(w);
	acceptor_resume(w);
	w->recovery.stage = RECOVERY_NONE;
	say_so(w, lost);
	drain_check(w); /* the main thread's word may have been among them */
}

void recover_update(struct worker *w)
{
	enum recovery_stage stage;

	if (ring_has_dropped(&w->ring))
		begin(w);
	stage = w->recovery.stage;
	if (stage == RECOVERY_NONE || !ring_is_reaped(&w->ring))
		return;
	if (stage == RECOVERY_BEGUN)
		prep_barrier(w);
	else if (stage == RECOVERY_SETTLED)
		settle_books(w);
}
