/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <errno.h>
#include <unistd.h>

#include "listener.h"
#include "message.h"
#include "accept/park.h"

enum {
	BARRIER_LINKS = 8,    /* more than any chain has */
	PART = 1024,	      /* descriptors that are looked at together */
	SAY_AGAIN_MS = 10000, /* the same complaint is repeated at most this often */
};

static bool has_dropped(struct worker *w)
{
	unsigned dropped = ring_dropped(&w->ring);

	if (dropped == w->ring.dropped)
		return false;
	count_add(w->counters.cq_overflows, dropped - w->ring.dropped);
	w->ring.dropped = dropped;
	return true;
}

/*
 * Whether that request is in flight. If it is, it ends with ECANCELED, which its handler takes for a
 * cancel that came too late, and repeats it: nothing is lost by asking.
 */
static bool in_flight(struct worker *w, enum op op, const struct conn *c)
{
	struct io_uring_sync_cancel_reg cancel = { .addr = worker_user_data(w, op, c) };

	return io_uring_register_sync_cancel(&w->ring.uring, &cancel) != -ENOENT;
}

static void begin(struct worker *w)
{
	in_flight(w, w->path->readable ? OP_LISTEN : OP_ACCEPT, NULL);
	w->round++;
	w->accepting = w->accept_cancelled = w->ticking = false;
	w->recovery = RECOVERY_BEGUN;
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
		struct io_uring_sqe *sqe = worker_sqe(w, OP_BARRIER, NULL);

		io_uring_prep_nop(sqe);
		if (i < BARRIER_LINKS)
			sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	}
	w->recovery = RECOVERY_BARRIER;
}

void recover_barrier(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none;
	if (user_data_id(cqe->user_data) == w->round)
		w->recovery = cqe->res < 0 ? RECOVERY_BEGUN : RECOVERY_SETTLED;
}

/* Nothing was heard of C since the barrier was submitted: does it still wait for something? */
static bool is_lost(struct worker *w, const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_FREE:
		return false;
	case CONN_OPENING:
	case CONN_RETIRING:
		return true; /* neither an INSTALL nor a close waits for anything */
	case CONN_RECEIVING: /* perhaps behind a DUP, should io-wq have that */
		return !in_flight(w, OP_RECV, c) && !in_flight(w, OP_OPEN, c);
	case CONN_SENDING:
		return !in_flight(w, OP_SEND, c);
	case CONN_LINGERING:
		return !in_flight(w, OP_RECV, c) && !in_flight(w, OP_SHUTDOWN, c);
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
			c->suspect = c->fd >= 0 && !in_flight(w, OP_OPEN, c);
			continue;
		}
		n++;
		if (c->refused && c->fd >= 0)
			close(c->fd);
		if (w->path->uses_pool && !c->refused)
			park_retire(w, c);
		else
			worker_conn_end(w, c);
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

	for (first = 0; first < w->slots; first += PART) {
		uint32_t n = w->slots - first < PART ? w->slots - first : PART;

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

/* The same by numbers, of the table of file descriptors: there may be no /proc to list it. */
static void close_unowned_fds(struct worker *w)
{
	int first, fd;
	uint32_t i;

	for (first = 0; first < w->fd_end; first += PART) {
		bool owned[PART] = { false };

		for (i = 0; i < w->conns.capacity; i++) {
			fd = w->conns.conns[i].fd;
			if (fd >= first && fd - first < PART)
				owned[fd - first] = true;
		}
		for (fd = first; fd < first + PART; fd++) {
			if (!owned[fd - first] && fd != w->listener && fd != w->shared_listener &&
			    listener_accepted(fd, w->mark))
				close(fd);
		}
	}
}

static void close_unowned(struct worker *w)
{
	if (w->path->accepts_slots)
		close_unowned_slots(w);
	if (w->mark && !w->path->uses_pool)
		close_unowned_fds(w);
}

static void say_so(struct worker *w, unsigned lost)
{
	count(w->counters.recoveries);
	if (w->recover_said_ms && w->now_ms - w->recover_said_ms < SAY_AGAIN_MS)
		return;
	w->recover_said_ms = w->now_ms;
	say("worker %u: out of memory, the kernel dropped completions (%u so far): %u connections "
	    "were lost, their sockets are closed",
	    w->index, w->ring.dropped, lost);
}

static void settle_books(struct worker *w)
{
	unsigned lost;

	ring_buffers_renew(&w->ring);
	lost = strike_off_lost(w);
	close_unowned(w);
	w->recovery = RECOVERY_NONE;
	say_so(w, lost);
	worker_check_stop(w); /* the main thread's word may have been among them */
}

void recover(struct worker *w)
{
	if (has_dropped(w))
		begin(w);
	if (w->recovery == RECOVERY_NONE || !ring_is_reaped(&w->ring))
		return;
	if (w->recovery == RECOVERY_BEGUN)
		prep_barrier(w);
	else if (w->recovery == RECOVERY_SETTLED)
		settle_books(w);
}
