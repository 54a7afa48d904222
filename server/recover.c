/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "listener.h"
#include "message.h"
#include "serve.h"
#include "worker.h"

enum {
	BARRIER_LINKS = 8, /* more than any chain has */
	PART = 32768,	   /* descriptors that are looked for together */
	UPDATE = 1024,	   /* slots that are updated by one call */
	/*
	 * A request whose poll is ready is no request to a cancel until it has been tried again.
	 * After 128 tries in vain it is io-wq's (APOLL_MAX_RETRY in io_uring/poll.c), and a cancel
	 * knows it. Each link of a barrier lets it have one.
	 */
	ROUNDS = 128 / BARRIER_LINKS + 1,
};

/* What the kernel says of a request. */
enum answer {
	GONE, /* none is known: it has completed, is a link that has not begun, or see ROUNDS */
	IN_FLIGHT, /* it waited, and has been cancelled */
	BUSY,	   /* a thread of the kernel (io-wq) is at it, and has been told to stop */
};

/*
 * Asks by a cancel. If the request was in flight, it ends with ECANCELED or EINTR, which its handler
 * takes for a cancel that came too late: it repeats the request, so nothing is lost by asking.
 */
static enum answer ask(struct worker *w, enum op op, const struct conn *c)
{
	int ret = ring_cancel_now(&w->ring, op, c->id);

	return ret == -ENOENT ? GONE : ret ? BUSY : IN_FLIGHT;
}

static void begin(struct worker *w)
{
	acceptor_hold(w);
	drain_disarm(w);
	clock_forget(w);
	ring_new_epoch(&w->ring);
	w->recovery.stage = RECOVERY_BEGUN;
}

/*
 * The kernel goes from one link of a chain to the next in work that it queues, first in, first
 * out. So when the end of a chain longer than any other is reached, every chain that was submitted
 * before has come as far as it can, and what was done before is told.
 */
static void prep_barrier(struct worker *w)
{
	unsigned i;

	ring_reserve(&w->ring, BARRIER_LINKS);
	for (i = 1; i <= BARRIER_LINKS; i++) {
		struct io_uring_sqe *sqe = ring_request(&w->ring, OP_BARRIER, w->ring.epoch);

		io_uring_prep_nop(sqe);
		if (i < BARRIER_LINKS)
			sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	}
}

static void suspect_all(struct worker *w)
{
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		c->suspect = c->state != CONN_FREE && !c->held;
	}
	prep_barrier(w);
	w->recovery.rounds = 0;
	w->recovery.stage = RECOVERY_SUSPECTED;
}

void recover_reached(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	struct recovery *r = &w->recovery;

	(void)none;
	if (!ring_is_current(&w->ring, cqe))
		return;
	if (cqe->res < 0)
		r->stage = RECOVERY_BEGUN;
	else
		r->stage = r->stage == RECOVERY_SUSPECTED ? RECOVERY_SETTLED : RECOVERY_TOLD;
}

/* No receive is in flight then: serve.c submits it behind the shutdown of a slot. */
static bool waits_for_shutdown(const struct conn *c)
{
	return c->state == CONN_LINGERING && c->limit == LIMIT_NONE && c->overdue == LIMIT_NONE;
}

/* Whether the kernel is at anything that C may wait for. */
static enum answer ask_about(struct worker *w, struct conn *c)
{
	enum answer answer;

	switch ((enum conn_state)c->state) {
	case CONN_FREE:
	case CONN_RETIRING: /* a close does not wait for anything */
		return GONE;
	case CONN_OPENING: /* nor does an INSTALL, but the server may wait with it */
		return c->limit == LIMIT_OPENING ? IN_FLIGHT : GONE;
	case CONN_SENDING:
		return ask(w, OP_SEND, c);
	case CONN_LINGERING:
		return ask(w, waits_for_shutdown(c) ? OP_SHUTDOWN : OP_RECV, c);
	case CONN_RECEIVING:
		answer = ask(w, OP_RECV, c);
		if (answer == GONE) /* perhaps behind a DUP, should io-wq have that */
			return ask(w, OP_OPEN, c);
		if (c->suspect)
			serve_chain_worked(w, c);
		return answer;
	}
	return GONE;
}

/* Those that stay suspect for ROUNDS of this are lost. Whether there are any. */
static bool ask_about_suspects(struct worker *w)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (!c->suspect)
			continue;
		c->suspect = ask_about(w, c) == GONE;
		any = true;
	}
	return any;
}

/* What has been done by now is told first. */
static void wait_for_answers(struct worker *w)
{
	prep_barrier(w);
	w->recovery.rounds++;
	w->recovery.stage = RECOVERY_ASKED;
}

static bool may_have_buffer(const struct conn *c)
{
	return (c->state == CONN_RECEIVING ||
		(c->state == CONN_LINGERING && !waits_for_shutdown(c))) &&
	       !c->held && !c->suspect;
}

/* Whether no receive is in flight; if one is, it is told to end. */
static bool no_buffer_is_used(struct worker *w)
{
	bool none = true;
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (!may_have_buffer(c))
			continue;
		ask_about(w, c);
		none = false;
	}
	return none;
}

/* Whether the descriptor of such a connection is still there nobody knows: close_unowned() looks. */
static unsigned strike_off_lost(struct worker *w)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (!c->suspect)
			continue;
		n++;
		if (c->as_accepted && c->fd >= 0)
			close(c->fd);
		if (w->config.path->uses_pool && !c->as_accepted) {
			/* Its fd is a number of the pool: it ends at once. */
			w->config.path->retire(w, c);
			continue;
		}
		c->fd = c->slot = -1;
		conn_end(&w->conns, c);
	}
	return n;
}

/*
 * Which of PART descriptors from FIRST on a connection has, or one that waits for a place. A part at a
 * time, as memory may be what is lacking.
 */
struct owned {
	uint8_t bits[PART / 8];
};

static void own(struct owned *owned, int first, int descriptor)
{
	unsigned i = (unsigned)descriptor - (unsigned)first;

	if (descriptor >= first && i < PART)
		owned->bits[i / 8] |= (uint8_t)(1 << i % 8);
}

static bool is_owned(const struct owned *owned, int first, int descriptor)
{
	unsigned i = (unsigned)descriptor - (unsigned)first;

	return owned->bits[i / 8] >> i % 8 & 1;
}

static void find_owned(const struct worker *w, int first, bool slots, struct owned *owned)
{
	const struct overflow *waiting = &w->acceptor.overflow;
	uint32_t i;

	memset(owned, 0, sizeof(*owned));
	for (i = 0; i < w->conns.capacity; i++)
		own(owned, first, slots ? w->conns.conns[i].slot : w->conns.conns[i].fd);
	for (i = 0; i < waiting->n && slots == w->config.path->accepts_slots; i++)
		own(owned, first, overflow_at(waiting, i));
}

static void close_unowned_slots(struct worker *w)
{
	int files[UPDATE], first, at, end = (int)w->ring.slots;
	struct owned owned;

	for (first = 0; first < end; first += PART) {
		find_owned(w, first, true, &owned);
		for (at = first; at < end && at < first + PART; at += UPDATE) {
			int i, n = end - at < UPDATE ? end - at : UPDATE;

			for (i = 0; i < n; i++)
				files[i] = is_owned(&owned, first, at + i)
						   ? IORING_REGISTER_FILES_SKIP
						   : -1;
			io_uring_register_files_update(&w->ring.uring, (unsigned)at, files,
						       (unsigned)n);
		}
	}
}

/*
 * The same by numbers, of the table of file descriptors: there may be no /proc to list it. Numbers are
 * given from the lowest on, so behind the last that is known to have been given it ends with the
 * first part without any. Not what a prepared request closes: another worker's connection could get
 * the number in between.
 */
static void close_unowned_fds(struct worker *w, unsigned tag)
{
	int end = w->acceptor.overflow_end, first, fd;
	struct owned owned;
	bool found = false;

	if (end < w->config.fd_end)
		end = w->config.fd_end;
	for (first = 0; first < end || found; first += PART) {
		found = false;
		find_owned(w, first, false, &owned);
		for (fd = first; fd < first + PART; fd++) {
			bool has_owner = is_owned(&owned, first, fd);

			if (fd == w->acceptor.listener || fd == w->config.shared_listener ||
			    (!has_owner && !listener_accepted(fd, tag)))
				continue;
			found = true;
			if (!has_owner && !ring_is_to_close(&w->ring, fd))
				close(fd);
		}
	}
}

/* Whether no other worker uses the table of file descriptors. */
static bool has_own_table(const struct worker *w)
{
	const struct options *o = w->config.options;

	return o->workers == 1 || o->fd_table == FD_TABLE_PRIVATE;
}

/*
 * Whether a socket with this worker's tag may be another worker's: with tcp_migrate_req the kernel
 * moves who waits in the queue of a listener that ends to another one, and the tag with him. It is not
 * opened here: to be out of descriptors may be what the recovery is to mend.
 */
static bool tags_may_lie(const struct worker *w)
{
	char value;

	return pread(w->config.migrate_req, &value, 1, 0) != 1 || value != '0';
}

static void close_unowned(struct worker *w)
{
	if (w->config.path->accepts_slots)
		close_unowned_slots(w);
	if (!w->config.listener_tag || w->config.path->uses_pool)
		return;
	if (has_own_table(w))
		close_unowned_fds(w, ANY_TAG);
	else if (!tags_may_lie(w))
		close_unowned_fds(w, w->config.listener_tag);
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
	unsigned lost = strike_off_lost(w);

	ring_buffers_renew(&w->ring);
	close_unowned(w);
	acceptor_resume(w);
	drain_arm(w);
	w->recovery.stage = RECOVERY_NONE;
	say_so(w, lost);
	drain_check(w); /* the main thread's word may have been among them */
}

void recover_update(struct worker *w)
{
	if (ring_has_dropped(&w->ring))
		begin(w);
	if (w->recovery.stage == RECOVERY_NONE || !ring_is_reaped(&w->ring))
		return;
	switch (w->recovery.stage) {
	case RECOVERY_BEGUN:
		suspect_all(w);
		break;
	case RECOVERY_SETTLED:
		ask_about_suspects(w);
		wait_for_answers(w);
		break;
	case RECOVERY_TOLD:
		if (w->recovery.rounds < ROUNDS && ask_about_suspects(w))
			wait_for_answers(w);
		else if (acceptor_has_stopped(w) && no_buffer_is_used(w))
			settle_books(w);
		break;
	case RECOVERY_NONE:
	case RECOVERY_SUSPECTED: /* the barrier has not been reached */
	case RECOVERY_ASKED:
		break;
	}
}
