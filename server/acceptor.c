/* SPDX-License-Identifier: MIT */
#include "acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"

enum {
	ACCEPT_PAUSE_MS = 100, /* after running out of descriptors or memory */
	CROWDED_MS = 1000,     /* having been full, accept one at a time for at least as long */
	SHED_LOOKS = 64,       /* idle connections that are looked at to find one to end */
	SAY_AGAIN_MS = 10000,  /* the same complaint is repeated at most this often */
};

/* Nobody waits for it: no completion if it works. */
static void release(struct worker *w, int descriptor)
{
	struct io_uring_sqe *sqe = ring_sqe(&w->ring);

	io_uring_sqe_set_data64(sqe, user_data(OP_RELEASE, (uint32_t)descriptor));
	if (w->path->accepts_slots)
		io_uring_prep_close_direct(sqe, (unsigned)descriptor);
	else
		io_uring_prep_close(sqe, descriptor);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void worker_close_slot(struct worker *w, int slot)
{
	release(w, slot);
}

void acceptor_release_error(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none;
	if (request_verdict(OP_RELEASE, -cqe->res) == AGAIN)
		release(w, (int)user_data_id(cqe->user_data));
}

void acceptor_end_refused(struct worker *w, struct conn *c)
{
	release(w, w->path->accepts_slots ? c->slot : c->fd);
	worker_conn_end(w, c);
}

/* No place is free. One burst of a multishot accept can overshoot. */
static void refuse(struct worker *w, int descriptor)
{
	bool http = w->options->protocol == PROTOCOL_HTTP;
	struct conn *c = http ? conn_begin_spare(&w->conns) : NULL;

	count(w->counters.refused);
	if (!c) {
		release(w, descriptor); /* without a word */
		return;
	}
	if (w->path->accepts_slots)
		c->slot = descriptor;
	else
		c->fd = descriptor;
	worker_refuse(w, c);
}

void worker_accepted(struct worker *w, int descriptor)
{
	struct conn *c = worker_conn_begin(w);

	count(w->counters.accepts);
	if (c)
		w->path->accepted(w, c, descriptor);
	else
		refuse(w, descriptor);
}

void worker_close_listener(struct worker *w)
{
	if (w->listener < 0)
		return;
	if (w->listener != w->shared_listener)
		close(w->listener);
	else if (__atomic_sub_fetch(w->listener_users, 1, __ATOMIC_ACQ_REL) == 0)
		shutdown(w->listener, SHUT_RD); /* for good, also where another table has it */
	w->listener = -1;
}

/* Out of descriptors or memory: wait, and do not fill the log while it lasts. */
static void pause_accept(struct worker *w, int error)
{
	count(w->counters.accept_pauses);
	w->accept_resume_ms = w->now_ms + ACCEPT_PAUSE_MS;
	if (w->accept_said_ms && w->now_ms - w->accept_said_ms < SAY_AGAIN_MS)
		return;
	w->accept_said_ms = w->now_ms;
	say("worker %u: accept: %s with %u connections open; waiting (see ulimit -n, --max-conns)",
	    w->index, strerror(-error), w->conns.used);
}

/*
 * Ends C's receive here and now, without a request, and without a wait: its completion leads to the
 * last try, and that to the end of the connection.
 */
static bool shed(struct worker *w, struct conn *c)
{
	struct io_uring_sync_cancel_reg cancel = { .addr = worker_user_data(w, OP_RECV, c) };

	if (c->state != CONN_RECEIVING || io_uring_register_sync_cancel(&w->ring.uring, &cancel))
		return false;
	conn_expire(&w->conns, c);
	c->cancelled = true;
	count(w->counters.shed);
	return true;
}

void acceptor_shed(void *worker)
{
	struct worker *w = worker;
	uint32_t i = w->conns.head[LIMIT_IDLE];
	unsigned looked_at;

	pause_accept(w, -ENOMEM);
	for (looked_at = 0; looked_at < SHED_LOOKS && i != NO_CONN; looked_at++) {
		struct conn *c = &w->conns.conns[i];

		i = c->next;
		if (shed(w, c))
			return;
	}
}

/* Before Linux 6.10 no accept could be told not to wait: EINVAL. */
static bool ends_drain(const struct worker *w, int error)
{
	return w->draining && (error == -EAGAIN || error == -EINVAL);
}

bool acceptor_expects(const struct worker *w, const struct io_uring_cqe *cqe)
{
	return user_data_op(cqe->user_data) == OP_ACCEPT && ends_drain(w, cqe->res);
}

void worker_accept_failed(struct worker *w, int error)
{
	enum verdict verdict = request_verdict(OP_ACCEPT, -error);

	if (error == -ECANCELED)
		return;
	if (error != -EAGAIN)
		count(w->counters.accept_errors);
	if (ends_drain(w, error))
		worker_close_listener(w); /* what was queued has been taken */
	else if (verdict == WAIT)
		pause_accept(w, error);
	else if (verdict == FATAL)
		die("worker %u: accept: %s", w->index, strerror(-error));
}

/* Full is full until an eighth has ended, except in a drain, where nobody new comes behind. */
bool worker_wants_accept(struct worker *w)
{
	uint32_t used = w->conns.used, max = w->max_conns;

	if (used >= max && !w->accept_full)
		count(w->counters.accept_pauses);
	if (used >= max)
		w->accept_full = true;
	else if (used < max - max / 8 || w->draining)
		w->accept_full = false;
	if (w->accept_full) {
		w->crowded = true;
		w->crowded_until_ms = w->now_ms + CROWDED_MS;
	}
	return w->listener >= 0 && !w->accept_full && w->now_ms >= w->accept_resume_ms;
}

static void cancel_accept(struct worker *w)
{
	struct io_uring_sqe *sqe = worker_sqe(w, OP_CANCEL_ACCEPT, NULL);
	enum op op = w->path->readable ? OP_LISTEN : OP_ACCEPT;

	w->accept_cancelled = true;
	io_uring_prep_cancel64(sqe, worker_user_data(w, op, NULL), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void acceptor_cancel_error(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none;
	if (request_verdict(OP_CANCEL_ACCEPT, -cqe->res) == AGAIN)
		w->accept_cancelled = false;
}

/*
 * Once per pass. Connections that are not accepted wait in the backlog: that is back-pressure.
 * A drain ends the request in flight, then takes what is queued with requests that do not wait,
 * until worker_accept_failed(-EAGAIN) closes the listener.
 */
void acceptor_steer(struct worker *w)
{
	bool wanted = worker_wants_accept(w) && w->recovery == RECOVERY_NONE;

	/*
	 * Time alone does not end a crowd, for this thread may have been kept from running. But an
	 * accept that was submitted and still waits has found the queue empty.
	 */
	if (w->accepting && w->now_ms >= w->crowded_until_ms)
		w->crowded = false;
	if (w->accepting && !w->accept_cancelled && (!wanted || w->draining)) {
		cancel_accept(w);
	} else if (wanted && !w->accepting) {
		if (!w->draining)
			count(w->counters.accept_rearms);
		w->accepting = true;
		w->accept_cancelled = w->draining; /* such a request ends by itself */
		w->path->arm(w);
	}
}

/* Or did it end a request that has been given up after dropped completions? */
static bool of_this_round(const struct worker *w, const struct io_uring_cqe *cqe)
{
	return user_data_id(cqe->user_data) == w->round;
}

void acceptor_accept(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)c;
	/* Without F_MORE the multishot request is over, whatever the result: re-arm it once. */
	if (!(cqe->flags & IORING_CQE_F_MORE) && of_this_round(w, cqe))
		w->accepting = w->accept_cancelled = false;
	if (cqe->res >= 0)
		worker_accepted(w, cqe->res);
	else
		worker_accept_failed(w, cqe->res);
}

void acceptor_listen(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)c;
	if (!of_this_round(w, cqe))
		return;
	w->accepting = w->accept_cancelled = false;
	if (cqe->res >= 0)
		w->path->readable(w);
	else
		worker_accept_failed(w, cqe->res);
}
