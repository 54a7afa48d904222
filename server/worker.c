/* SPDX-License-Identifier: MIT */
/*
 * The event loop: start here.
 *
 * One pass: everything the last pass produced goes down in one io_uring_enter(), which also waits;
 * each completion is looked up in a table and handled; a handler prepares further requests. None
 * waits or reaps, and only a full submission queue makes one submit early.
 *
 * What happens to one connection on the dup path, and what it costs:
 *
 *     kernel                                    this file
 *     ACCEPT (multishot) gives a slot      ->   worker_accepted(): a struct conn; the path's chain:
 *     DUP slot -> fd, CLOSE slot, RECV fd  ->   handle_recv(): the request is parsed, answered:
 *     SEND fd                              ->   handle_send(): receive the next request, or
 *                                               shutdown(2) and park the number
 *
 * Three completions and about one io_uring_enter() for many connections. The other paths differ in
 * how the descriptor comes and goes, which is all that accept/ contains. Whoever knows epoll but
 * not io_uring finds the words in ring.h, and there the place where each feature is explained.
 */
#include "worker.h"

#include <errno.h>
#include <string.h>

#include "acceptor.h"
#include "assertion.h"
#include "clock.h"
#include "message.h"
#include "recover.h"

/* Receives without a free buffer, at most, before a connection whose time has passed is given up. */
enum { MOST_TRIES = 100 };

uint64_t worker_user_data(const struct worker *w, enum op op, const struct conn *c)
{
	return user_data(op, c ? c->id : w->round);
}

struct io_uring_sqe *worker_sqe(struct worker *w, enum op op, const struct conn *c)
{
	struct io_uring_sqe *sqe = ring_sqe(&w->ring);

	io_uring_sqe_set_data64(sqe, worker_user_data(w, op, c));
	return sqe;
}

/* A connection's requests go to its fd once it has one, to its slot (FIXED_FILE) before. */
static void address(struct io_uring_sqe *sqe, const struct conn *c)
{
	sqe->fd = c->fd >= 0 ? c->fd : c->slot;
	if (c->fd < 0)
		sqe->flags |= IOSQE_FIXED_FILE;
}

/* ---- one connection -------------------------------------------------------------------------- */

struct conn *worker_conn_begin(struct worker *w)
{
	struct conn *c = conn_begin(&w->conns);

	if (!c)
		return NULL;
	conn_set_limit(&w->conns, c, LIMIT_IDLE, w->now_ms);
	count_set(w->counters.conns_now, w->conns.used);
	if (w->conns.used > w->counters.conns_peak)
		count_set(w->counters.conns_peak, w->conns.used);
	return c;
}

static void prep_recv(struct worker *w, struct conn *c)
{
	bool last_try = c->overdue != LIMIT_NONE;
	struct io_uring_sqe *sqe = worker_sqe(w, OP_RECV, c);

	io_uring_prep_recv(sqe, -1, NULL, 0, last_try ? MSG_DONTWAIT : 0);
	address(sqe, c);
	/* Without a buffer: the kernel takes one of this group when there are bytes to put in. */
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RECV_BUFFER_GROUP;
}

/*
 * Only a request renews the time for the next one, so empty lines keep no connection open; and the
 * time for a request runs from its first byte, so more bytes do not extend it.
 */
void worker_limit_receive(struct worker *w, struct conn *c)
{
	enum conn_limit limit = !protocol_idle(&w->protocol, c) ? LIMIT_REQUEST
				: w->draining && c->served	? LIMIT_DRAIN
								: LIMIT_IDLE;

	if (c->state != CONN_RECEIVING || !conn_is_under(c, limit))
		conn_set_limit(&w->conns, c, limit, w->now_ms);
}

void worker_receive(struct worker *w, struct conn *c)
{
	worker_limit_receive(w, c);
	c->state = CONN_RECEIVING;
	prep_recv(w, c);
}

/*
 * A connection's last answer waits for the close, which follows at once, and leaves in one segment
 * with its FIN: that spares a packet, its acknowledgement and a wake-up of the client. Not if more
 * bytes may come: a close that finds one unread would drop the answer (see LINGERING in conn.h).
 */
int worker_send_flags(const struct worker *w, const struct conn *c)
{
	bool joined = c->last && !c->linger && w->options->fin == FIN_JOINED;

	return MSG_NOSIGNAL | (joined ? MSG_MORE : 0) |
	       (c->overdue != LIMIT_NONE ? MSG_DONTWAIT : 0);
}

static void send_answer(struct worker *w, struct conn *c)
{
	bool linked = c->last && !c->linger && w->path->retire_linked;
	struct io_uring_sqe *sqe;

	if (c->state != CONN_SENDING || !conn_is_under(c, LIMIT_REQUEST))
		conn_set_limit(&w->conns, c, LIMIT_REQUEST, w->now_ms);
	c->state = CONN_SENDING;
	ring_reserve(&w->ring, 2);
	sqe = worker_sqe(w, OP_SEND, c);
	/* WAITALL: the kernel waits for room and goes on; a short count means it gave up. */
	io_uring_prep_send(sqe, -1, c->out, c->out_len, worker_send_flags(w, c) | MSG_WAITALL);
	address(sqe, c);
	if (linked) {
		/*
		 * The close is linked behind the last send: submitted with it, begun when it has
		 * ended, so it waits for no pass of ours. Only its completion is wanted: when the
		 * send fails, that posts its own and the close is dropped silently.
		 */
		sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
		w->path->retire(w, c);
	}
}

/* The connection has been given bytes, or has sent its answer: what does it want now? */
static void go_on(struct worker *w, struct conn *c)
{
	if (c->out_len)
		send_answer(w, c);
	else
		worker_receive(w, c);
}

void worker_retire(struct worker *w, struct conn *c)
{
	conn_set_limit(&w->conns, c, LIMIT_NONE, 0);
	c->state = CONN_RETIRING;
	c->out_len = 0;
	if (c->refused)
		acceptor_end_refused(w, c);
	else
		w->path->retire(w, c);
}

void worker_conn_end(struct worker *w, struct conn *c)
{
	c->fd = c->slot = -1;
	if (!c->refused)
		count(w->counters.closed);
	conn_end(&w->conns, c);
	count_set(w->counters.conns_now, w->conns.used);
}

void worker_refuse(struct worker *w, struct conn *c)
{
	protocol_refuse(c);
	send_answer(w, c);
}

static void lingering(struct worker *w, struct conn *c)
{
	conn_set_limit(&w->conns, c, LIMIT_LINGER, w->now_ms);
	prep_recv(w, c);
}

/* What has been sent arrives, whatever the client still sends: its end of the stream is awaited. */
static void begin_linger(struct worker *w, struct conn *c)
{
	struct io_uring_sqe *sqe;

	c->state = CONN_LINGERING;
	if (c->fd >= 0) {
		/*
		 * The system call: the kernel always hands IORING_OP_SHUTDOWN to an io-wq thread
		 * (io_shutdown_prep() in io_uring/net.c), which costs far more.
		 */
		shutdown(c->fd, SHUT_WR);
		lingering(w, c);
		return;
	}
	conn_set_limit(&w->conns, c, LIMIT_NONE, 0);
	sqe = worker_sqe(w, OP_SHUTDOWN, c);
	io_uring_prep_shutdown(sqe, -1, SHUT_WR);
	address(sqe, c);
}

/* The last try was in vain: its time is over, and nothing of it is in flight any more. */
static void time_out(struct worker *w, struct conn *c)
{
	count(w->counters.timeouts);
	if (c->state == CONN_SENDING) {
		worker_retire(w, c);
		return;
	}
	protocol_timed_out(&w->protocol, c);
	if (c->out_len)
		send_answer(w, c);
	else if (c->served)
		begin_linger(w, c); /* its last answer may still be on the way */
	else
		worker_retire(w, c);
}

void worker_cancel_request(struct worker *w, struct conn *c)
{
	bool sending = c->state == CONN_SENDING;
	enum op op = sending ? OP_SEND : OP_RECV;
	struct io_uring_sqe *sqe;

	/* The completion of what is cancelled leads to the last try. */
	if (!sending && c->state != CONN_RECEIVING && c->state != CONN_LINGERING)
		return;
	c->cancelled = true;
	sqe = worker_sqe(w, OP_CANCEL, c);
	io_uring_prep_cancel64(sqe, worker_user_data(w, op, c), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* ---- completions of a connection's requests -------------------------------------------------- */

/* The first receive behind a DUP has been reached: the chain has worked, and closed the slot. */
static void chain_worked(struct worker *w, struct conn *c)
{
	if (c->fd < 0 || c->slot < 0)
		return;
	c->slot = -1;
	count(w->counters.dups);
}

static void handle_recv(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	bool has_buffer = cqe->flags & IORING_CQE_F_BUFFER;
	int ret = 0;

	c->cancelled = false;
	c->tries = 0;
	c->more = cqe->flags & IORING_CQE_F_SOCK_NONEMPTY;
	chain_worked(w, c);
	if (cqe->res && c->state == CONN_RECEIVING)
		ret = protocol_received(&w->protocol, c, ring_buffer(&w->ring, id),
					(uint32_t)cqe->res);
	if (has_buffer)
		ring_buffer_return(&w->ring, id);
	if (ret)
		count(w->counters.no_memory);
	if (ret || !cqe->res || (c->state == CONN_LINGERING && c->overdue != LIMIT_NONE))
		worker_retire(w, c);
	else if (c->state == CONN_LINGERING)
		prep_recv(w, c);
	else
		go_on(w, c);
}

static void handle_recv_error(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool overdue = c->overdue != LIMIT_NONE, cancelled = c->cancelled;

	c->cancelled = false;
	chain_worked(w, c);
	if (cqe->res == -ENOBUFS) /* more completed in one pass than there are buffers */
		count(w->counters.no_buffers);
	if (request_verdict(OP_RECV, -cqe->res) != AGAIN) {
		if (c->state != CONN_LINGERING)
			count(w->counters.recv_errors);
		worker_retire(w, c);
	} else if (overdue && c->state == CONN_LINGERING) {
		worker_retire(w, c);
	} else if (overdue && !cancelled && (cqe->res == -EAGAIN || ++c->tries == MOST_TRIES)) {
		time_out(w, c);
	} else {
		/* The last try; or the buffers are back by now; or an earlier one was meant. */
		prep_recv(w, c);
	}
}

static void handle_shutdown(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)cqe; /* a connection that is gone already gives the same end of stream */
	lingering(w, c);
}

static void handle_send(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool cancelled = c->cancelled;

	c->cancelled = false;
	count_add(w->counters.bytes_out, cqe->res);
	c->out += cqe->res;
	c->out_len -= (uint32_t)cqe->res;
	if (c->out_len && c->overdue != LIMIT_NONE && !cancelled) {
		time_out(w, c);
	} else if (c->out_len) {
		/* Of a cancelled one the kernel tells what had gone out rather than of the cancel. */
		send_answer(w, c);
	} else if (c->last && c->linger) {
		begin_linger(w, c);
	} else if (c->last) {
		worker_retire(w, c);
	} else {
		protocol_sent(&w->protocol, c);
		go_on(w, c);
	}
}

static void handle_send_error(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool overdue = c->overdue != LIMIT_NONE, cancelled = c->cancelled;

	c->cancelled = false;
	if (request_verdict(OP_SEND, -cqe->res) != AGAIN) {
		count(w->counters.send_errors);
		worker_retire(w, c);
	} else if (overdue && !cancelled && cqe->res == -EAGAIN) {
		time_out(w, c);
	} else {
		send_answer(w, c); /* the last try, or an earlier send was meant */
	}
}

static void handle_retire(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	if (cqe->res < 0 && request_verdict(OP_RETIRE, -cqe->res) == AGAIN) {
		w->path->retire(w, c);
		return;
	}
	count_add(w->counters.bytes_out, c->out_len); /* of a send that the close was linked to */
	worker_conn_end(w, c);
}

static void handle_open(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	w->path->opened(w, c, cqe->res);
}

static void handle_close_slot(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	w->path->slot_closed(w, c, cqe->res);
}

static void handle_cancel_error(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)cqe;
	if (!c->cancelled)
		return; /* it had just completed, and what follows from that is on its way */
	c->cancelled = false;
	if (c->overdue != LIMIT_NONE)
		conn_set_limit(&w->conns, c, c->overdue, w->now_ms);
}

/* ---- completions that no connection waits for ------------------------------------------------ */

static void handle_nothing(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)w, (void)c, (void)cqe;
}

/* ---- the loop -------------------------------------------------------------------------------- */

typedef void handler(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);

/* OF_CONN: the id in user_data is that of a connection. */
static const struct {
	bool of_conn;
	handler *on_ok, *on_error;
} ops[OPS] = {
	[OP_ACCEPT] = { false, acceptor_accept, acceptor_accept },
	[OP_LISTEN] = { false, acceptor_listen, acceptor_listen },
	[OP_OPEN] = { true, handle_open, handle_open },
	[OP_CLOSE_SLOT] = { true, handle_close_slot, handle_close_slot },
	[OP_RECV] = { true, handle_recv, handle_recv_error },
	[OP_SEND] = { true, handle_send, handle_send_error },
	[OP_SHUTDOWN] = { true, handle_shutdown, handle_shutdown },
	[OP_RETIRE] = { true, handle_retire, handle_retire },
	[OP_RELEASE] = { false, handle_nothing, acceptor_release_error },
	[OP_CANCEL] = { true, handle_nothing, handle_cancel_error },
	[OP_CANCEL_ACCEPT] = { false, handle_nothing, acceptor_cancel_error },
	[OP_TICK] = { false, clock_tick, clock_tick },
	[OP_WAKE] = { false, clock_wake, clock_wake },
	[OP_BARRIER] = { false, recover_barrier, recover_barrier },
};

static void dispatch(struct worker *w, struct io_uring_cqe *cqe)
{
	uint64_t data = io_uring_cqe_get_data64(cqe);
	enum op op = user_data_op(data);
	struct conn *c = NULL;
	handler *handle;

	assert(op < OPS);
	if (ops[op].of_conn) {
		c = conn_by_id(&w->conns, user_data_id(data));
		if (!c) {
			/* A cancel may well come to nothing after its connection has ended. */
			if (op != OP_CANCEL)
				count(w->counters.stale);
			if (cqe->flags & IORING_CQE_F_BUFFER)
				ring_buffer_return(&w->ring, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
			return;
		}
	}
	if (c && op != OP_CANCEL)
		c->suspect = false;
	if (cqe->res < 0 && request_verdict(op, -cqe->res) == FATAL && !acceptor_expects(w, cqe))
		die("worker %u: %s: %s (fd %d, slot %d)", w->index, request_name(op),
		    strerror(-cqe->res), c ? c->fd : -1, c ? c->slot : -1);
	handle = cqe->res < 0 ? ops[op].on_error : ops[op].on_ok;
	handle(w, c, cqe);
}

static void reap(struct worker *w)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe (&w->ring.uring, head, cqe) {
		dispatch(w, cqe);
		n++;
	}
	io_uring_cq_advance(&w->ring.uring, n); /* one store for all of them */
	count_add(w->counters.completions, n);
}

void worker_loop(struct worker *w)
{
	w->now_ms = clock_ms();
	clock_prep_wake(w);
	while (!worker_finished(w)) {
		acceptor_steer(w);
		clock_steer(w);
		ring_submit_and_wait(&w->ring);
		clock_pass(w);
		count(w->counters.passes);
		reap(w);
		recover(w);
	}
}
