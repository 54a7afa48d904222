/* SPDX-License-Identifier: MIT */
#include "acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listener.h"
#include "message.h"
#include "serve.h"
#include "worker.h"

enum {
	PAUSE_MS = 100,	    /* after running out of descriptors or memory */
	FULL_MS = 50,	    /* see acceptor_check_full() */
	WAS_FULL_MS = 1000, /* having been full, accept one at a time for at least as long */
	SHED_LOOKS = 64,    /* idle connections that are looked at to find one to end */
	REFILL = 4096,	    /* more than come to a queue while one accept empties it */
};

bool acceptor_init(struct worker *w)
{
	const struct worker_config *config = &w->config;
	struct acceptor *a = &w->acceptor;

	a->listener = config->shared_listener;
	if (a->listener < 0)
		a->listener = listener_open(config->options, config->path->nonblocking_listener,
					    config->listener_tag);
	return a->listener >= 0;
}

bool acceptor_listen(struct worker *w)
{
	return w->config.shared_listener >= 0 ||
	       listener_listen(w->config.options, w->acceptor.listener);
}

bool acceptor_is_done(const struct worker *w)
{
	return w->acceptor.listener < 0 && !w->acceptor.overflow.n;
}

void acceptor_free(struct worker *w)
{
	overflow_free(&w->acceptor.overflow);
}

/* What has been taken from the queue last was the last. */
static void close_listener(struct worker *w)
{
	struct acceptor *a = &w->acceptor;
	bool shared = a->listener == w->config.shared_listener;

	if (a->listener < 0)
		return;
	/* For good, also where another table, or somebody else, has it. */
	if (!shared || __atomic_sub_fetch(w->config.listener_users, 1, __ATOMIC_ACQ_REL) == 0)
		shutdown(a->listener, SHUT_RD);
	if (!shared)
		close(a->listener);
	a->listener = -1;
}

/* ---- a connection ---------------------------------------------------------------------------- */

/*
 * No place is free. One burst of a multishot accept can overshoot, and the connection, on a spare
 * place, is told so; in a drain it is served there. False if no spare place is free.
 */
static bool accepted_on_spare(struct worker *w, int descriptor)
{
	struct conn *c = conn_begin_spare(&w->conns, w->clock.now_ms);

	if (!c)
		return false;
	if (w->config.path->accepts_slots)
		c->slot = descriptor;
	else
		c->fd = descriptor;
	c->as_accepted = true;
	if (w->drain.active) {
		serve_receive(w, c);
	} else {
		count(w->counters.refused);
		serve_refuse(w, c);
	}
	return true;
}

static bool accepted_on_place(struct worker *w, int descriptor)
{
	struct conn *c = conn_begin(&w->conns, w->clock.now_ms);

	if (c)
		w->config.path->accepted(w, c, descriptor);
	return c;
}

void acceptor_accepted(struct worker *w, int descriptor)
{
	struct acceptor *a = &w->acceptor;
	bool first = !a->overflow.n; /* nobody waits who came before */

	count(w->counters.accepts);
	if (first && (accepted_on_place(w, descriptor) || accepted_on_spare(w, descriptor)))
		return;
	if (descriptor >= a->overflow_end)
		a->overflow_end = descriptor + 1;
	if (overflow_add(&a->overflow, descriptor))
		return;
	count(w->counters.refused);
	serve_release(w, descriptor); /* without a word */
}

/* Those that wait get the places that have become free; in a drain, spare ones as well. */
static void serve_overflow(struct worker *w)
{
	struct overflow *o = &w->acceptor.overflow;

	while (o->n && !w->acceptor.held) {
		int descriptor = overflow_at(o, 0);

		if (!accepted_on_place(w, descriptor) &&
		    !(w->drain.active && accepted_on_spare(w, descriptor)))
			return;
		overflow_take(o);
	}
}

static const char *hint(const struct worker *w, int error)
{
	switch (-error) {
	case EMFILE:
		return "see ulimit -n, --max-conns";
	case ENFILE:
		return w->config.path->accepts_slots ? "no slot is free; see ulimit -n, --max-conns"
						     : "see sysctl fs.file-max";
	case ENOSPC:
		return "see sysctl fs.epoll.max_user_watches";
	case ENOMEM:
	case ENOBUFS:
		return "memory is short";
	case EINVAL:
		return "somebody has ended the listening and begun it again; if this lasts, it is a "
		       "fault of this program";
	default:
		return "see accept(2)";
	}
}

static void accept_later(struct worker *w)
{
	count(w->counters.accept_pauses);
	w->acceptor.resume_ms = w->clock.now_ms + PAUSE_MS;
}

/* Out of descriptors or memory: wait, and do not fill the log while it lasts. */
static void pause_accept(struct worker *w, int error)
{
	struct acceptor *a = &w->acceptor;

	accept_later(w);
	if (say_again(&a->said_ms, w->clock.now_ms))
		say("worker %u: accept: %s with %u connections open; waiting (%s)", w->config.index,
		    strerror(-error), w->conns.used, hint(w, error));
}

/* Before Linux 6.10 no accept could be told not to wait: EINVAL. */
static bool ends_drain(const struct worker *w, int error)
{
	return w->drain.active && (error == -EAGAIN || error == -EINVAL);
}

/* The accept has found that the listener did not listen. */
static void revive_listener(struct worker *w)
{
	struct acceptor *a = &w->acceptor;
	char who[32];

	snprintf(who, sizeof(who), "worker %u", w->config.index);
	switch (listener_revive(&a->ends, a->listener, w->config.options->backlog, who,
				w->clock.now_ms)) {
	case LISTENER_REVIVED:
		break;
	case LISTENER_STAYS_ENDED:
		accept_later(w);
		break;
	case LISTENER_LISTENS:
		pause_accept(w, -EINVAL);
		break;
	}
}

/*
 * What was queued has been taken. But where a request has said so, others have been worked off
 * since, and who has come in the meantime would be reset.
 */
static void close_empty_listener(struct worker *w, int error)
{
	if (error != -EAGAIN || !listener_has_queue(w->acceptor.listener))
		close_listener(w);
}

void acceptor_failed(struct worker *w, int error)
{
	enum verdict verdict = request_verdict(OP_ACCEPT, -error);

	if (error == -ECANCELED)
		return;
	if (error != -EAGAIN)
		count(w->counters.accept_errors);
	if (ends_drain(w, error))
		close_empty_listener(w, error);
	else if (error == -EINVAL)
		revive_listener(w);
	else if (verdict == WAIT)
		pause_accept(w, error);
	else if (verdict == FATAL)
		die("worker %u: accept: %s", w->config.index, strerror(-error));
}

void acceptor_open_failed(struct worker *w, struct conn *c, int error)
{
	/* RLIMIT_NOFILE has been lowered: to what makes a new number, the kernel says EMFILE. */
	if (error == -EBADF)
		error = -EMFILE;
	if (request_verdict(OP_OPEN, -error) == WAIT && w->drain.active) {
		c->as_accepted = true;
		serve_receive(w, c);
		return;
	}
	if (request_verdict(OP_OPEN, -error) == WAIT) {
		c->state = CONN_OPENING;
		conn_set_limit(&w->conns, c, LIMIT_OPENING, w->clock.now_ms);
		pause_accept(w, error);
		return;
	}
	serve_release(w, c->slot >= 0 ? c->slot : c->fd);
	c->slot = c->fd = -1;
	conn_end(&w->conns, c);
}

void acceptor_open_again(struct worker *w, struct conn *c)
{
	int descriptor = c->slot >= 0 ? c->slot : c->fd;

	recover_answered(c); /* what it waited for was no completion */
	c->slot = c->fd = -1;
	c->tries = 0;
	conn_set_limit(&w->conns, c, LIMIT_IDLE, w->clock.now_ms);
	w->config.path->accepted(w, c, descriptor);
}

/* ---- no memory in the kernel ----------------------------------------------------------------- */

/*
 * Ends C's receive here and now, without a request, and without a wait: its completion leads to the
 * last try, and that to the end of the connection.
 */
static bool shed(struct worker *w, struct conn *c)
{
	if (c->state != CONN_RECEIVING || ring_cancel_now(&w->ring, OP_RECV, c->id))
		return false;
	conn_expire(&w->conns, c);
	c->cancelled = true;
	count(w->counters.shed);
	return true;
}

void acceptor_shed(void *worker)
{
	struct worker *w = worker;
	uint32_t place = w->conns.head[LIMIT_IDLE];
	unsigned looked_at;

	pause_accept(w, -ENOMEM);
	for (looked_at = 0; looked_at < SHED_LOOKS && place != NO_CONN; looked_at++) {
		struct conn *c = &w->conns.conns[place];

		place = c->next;
		if (shed(w, c))
			return;
	}
}

/* ---- when ------------------------------------------------------------------------------------ */

static uint32_t free_places(const struct worker *w)
{
	return w->conns.capacity - w->conns.used - w->conns.used_spare;
}

/* Slots that are free; where none is needed, as many as can be. */
static uint32_t free_slots(const struct worker *w)
{
	uint32_t taken = w->conns.used + w->conns.used_spare + w->acceptor.overflow.n;

	if (!w->config.path->accepts_slots)
		return UINT32_MAX;
	return w->ring.slots > taken ? w->ring.slots - taken : 0;
}

void acceptor_check_full(struct worker *w)
{
	uint32_t used = w->conns.used, max = w->config.max_conns;
	bool has_place = (used < max || (w->drain.active && conn_spare_places(&w->conns))) &&
			 free_places(w) && free_slots(w);
	struct acceptor *a = &w->acceptor;

	if (!has_place && !a->full)
		count(w->counters.accept_pauses);
	if (!has_place) {
		a->full = true;
		a->full_until_ms = w->clock.now_ms + FULL_MS;
	} else if (used < max - max / 8 || w->drain.active || w->clock.now_ms >= a->full_until_ms) {
		a->full = false;
	}
	if (a->full) {
		a->was_full = true;
		a->was_full_until_ms = w->clock.now_ms + WAS_FULL_MS;
	}
}

bool acceptor_may_accept(const struct worker *w)
{
	const struct acceptor *a = &w->acceptor;

	return a->listener >= 0 && !a->full && !a->overflow.n && w->clock.now_ms >= a->resume_ms;
}

bool acceptor_one_at_a_time(const struct worker *w)
{
	uint32_t queue = w->config.options->backlog + 1; /* the kernel takes one more than asked */
	bool shared = w->config.shared_listener >= 0;

	/*
	 * Who finds no place waits for one. But who finds no slot is closed by the kernel, and one
	 * accept takes all that come to the queue until it has seen it empty.
	 */
	return w->drain.active || w->acceptor.was_full || free_places(w) < queue ||
	       free_slots(w) < queue + REFILL ||
	       (shared && w->conns.places - w->conns.used < queue);
}

/* The request that is in flight while the worker accepts. */
static enum op accept_op(const struct worker *w)
{
	return w->config.path->readable ? OP_LISTEN : OP_ACCEPT;
}

static void cancel(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_request(&w->ring, OP_CANCEL_ACCEPT, w->ring.epoch);

	w->acceptor.cancelled = true;
	io_uring_prep_cancel64(sqe, user_data(accept_op(w), w->ring.epoch), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/*
 * An accept on a shared listener is woken for one connection, alone among those that wait. If it
 * then stops, because the worker is full, nobody else may know of what has come since.
 */
static void tell_the_others(struct worker *w)
{
	struct acceptor *a = &w->acceptor;

	if (a->left_some && !a->armed && !acceptor_may_accept(w)) {
		a->left_some = false;
		w->config.wake_all();
	}
}

/*
 * Connections that are not accepted wait in the backlog: that is back-pressure. A drain ends the
 * request in flight, then takes what is queued with requests that do not wait, until
 * acceptor_failed(-EAGAIN) closes the listener.
 */
void acceptor_update(struct worker *w)
{
	struct acceptor *a = &w->acceptor;
	bool wanted, one_at_a_time;

	serve_overflow(w);
	acceptor_check_full(w);
	wanted = acceptor_may_accept(w) && !a->held;
	/*
	 * Time alone does not tell that the queue is short again, for this thread may have been kept
	 * from running. But an accept that was submitted and still waits has found it empty.
	 */
	if (a->armed && w->clock.now_ms >= a->was_full_until_ms)
		a->was_full = false;
	one_at_a_time = acceptor_one_at_a_time(w);
	/* Where a pass accepts one connection, a wait for a batch would be one for each of them. */
	w->ring.hurry = one_at_a_time && (!w->config.path->readable || w->drain.active);
	if (a->armed && !a->cancelled &&
	    (!wanted || w->drain.active || (a->many && one_at_a_time))) {
		cancel(w);
	} else if (wanted && !a->armed) {
		if (!w->drain.active)
			count(w->counters.accept_rearms);
		w->config.path->arm(w);
		a->armed = true;
		a->many = !one_at_a_time && !w->config.path->readable;
		a->cancelled = w->drain.active; /* such a request ends by itself */
	}
	tell_the_others(w);
}

void acceptor_tick(struct worker *w)
{
	int fd = w->acceptor.listener;

	if (fd >= 0 && !w->drain.active && !acceptor_may_accept(w) && !listener_listens(fd))
		revive_listener(w);
}

void acceptor_look_again(struct worker *w)
{
	struct acceptor *a = &w->acceptor;

	/* The next one looks at the queue when it is armed. */
	if (w->config.shared_listener >= 0 && a->armed && !a->cancelled && !w->drain.active)
		cancel(w);
}

/* Nothing is armed while it is held, so the only request that may be in flight is of that epoch. */
void acceptor_hold(struct worker *w)
{
	struct acceptor *a = &w->acceptor;

	if (!a->held)
		a->held_epoch = w->ring.epoch;
	a->armed = a->cancelled = false;
	a->held = true;
	acceptor_has_stopped(w);
}

bool acceptor_has_stopped(struct worker *w)
{
	return ring_cancel_now(&w->ring, accept_op(w), w->acceptor.held_epoch) == -ENOENT;
}

void acceptor_resume(struct worker *w)
{
	w->acceptor.held = false;
}

/* ---- completions ----------------------------------------------------------------------------- */

void acceptor_completed(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	struct acceptor *a = &w->acceptor;
	bool more = cqe->flags & IORING_CQE_F_MORE, current = ring_is_current(&w->ring, cqe);

	(void)none;
	/* Without F_MORE the multishot request is over, whatever the result: re-arm it once. */
	if (!more && current) {
		a->armed = a->cancelled = false;
		a->left_some = w->config.shared_listener >= 0;
	} else if (more && !current) {
		/* It was not yet in flight when a recovery ended it. */
		ring_cancel_now(&w->ring, OP_ACCEPT, user_data_id(cqe->user_data));
	}
	if (cqe->res >= 0)
		acceptor_accepted(w, cqe->res);
	else
		acceptor_failed(w, cqe->res);
}

void acceptor_readable(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	struct acceptor *a = &w->acceptor;

	(void)none;
	if (!ring_is_current(&w->ring, cqe))
		return;
	a->armed = a->cancelled = false;
	if (cqe->res >= 0)
		w->config.path->readable(w);
	else
		acceptor_failed(w, cqe->res);
}

void acceptor_cancel_failed(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none;
	if (request_verdict(OP_CANCEL_ACCEPT, -cqe->res) == AGAIN)
		w->acceptor.cancelled = false;
}
