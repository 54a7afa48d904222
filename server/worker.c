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
 * how the descriptor comes and goes, which is all that accept_*.c contain. Whoever knows epoll but
 * not io_uring finds the words in ring.h, and there the place where each feature is explained.
 */
#include "worker.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "acceptor.h"
#include "clock.h"
#include "message.h"
#include "recover.h"

uint64_t worker_user_data(const struct worker *w, enum op op, const struct conn *c)
{
	return c ? user_data(op, c->generation, conn_index(&w->conns, c))
		 : user_data(op, 0, w->round);
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
	struct io_uring_sqe *sqe = worker_sqe(w, OP_RECV, c);

	io_uring_prep_recv(sqe, -1, NULL, 0, 0);
	address(sqe, c);
	/* Without a buffer: the kernel takes one of this group when there are bytes to put in. */
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RECV_BUFFER_GROUP;
}

void worker_receive(struct worker *w, struct conn *c)
{
	bool idle = protocol_idle(&w->protocol, c);
	enum conn_limit limit = !idle			   ? LIMIT_REQUEST
				: w->draining && c->served ? LIMIT_DRAIN
							   : LIMIT_IDLE;

	/* The time for a request runs from its first byte: more bytes do not extend it. */
	if (idle || c->limit != LIMIT_REQUEST || c->state == CONN_SENDING)
		conn_set_limit(&w->conns, c, limit, w->now_ms);
	c->state = CONN_RECEIVING;
	prep_recv(w, c);
}

/*
 * A connection's last answer waits for the close, which follows at once, and leaves in one segment
 * with its FIN: that spares a packet, its acknowledgement and a wake-up of the client.
 */
int worker_send_flags(const struct worker *w, const struct conn *c)
{
	bool joined = c->last && !c->linger && w->options->fin == FIN_JOINED;

	return MSG_NOSIGNAL | (joined ? MSG_MORE : 0);
}

static void send_answer(struct worker *w, struct conn *c)
{
	bool linked = c->last && !c->linger && w->path->retire_linked;
	struct io_uring_sqe *sqe;

	if (c->state != CONN_SENDING || c->limit != LIMIT_REQUEST)
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
	w->path->retire(w, c);
}

void worker_conn_end(struct worker *w, struct conn *c)
{
	c->fd = c->slot = -1;
	conn_end(&w->conns, c);
	count(w->counters.closed);
	count_set(w->counters.conns_now, w->conns.used);
}

/* Its time is over and nothing of it is in flight any more. */
static void time_out(struct worker *w, struct conn *c)
{
	bool receiving = c->state == CONN_RECEIVING;

	c->timed_out = false;
	count(w->counters.timeouts);
	if (receiving)
		protocol_timed_out(&w->protocol, c);
	if (receiving && c->out_len)
		send_answer(w, c);
	else
		worker_retire(w, c);
}

void worker_cancel_request(struct worker *w, struct conn *c)
{
	bool sending = c->state == CONN_SENDING;
	enum op op = sending ? OP_SEND : OP_RECV;
	struct io_uring_sqe *sqe;

	/* The completion of what is cancelled goes on to time_out(). */
	if (!sending && c->state != CONN_RECEIVING && c->state != CONN_LINGERING)
		return;
	c->timed_out = true;
	sqe = worker_sqe(w, OP_CANCEL, c);
	io_uring_prep_cancel64(sqe, worker_user_data(w, op, c), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* ---- completions of a connection's requests -------------------------------------------------- */

bool worker_peer_error(int error)
{
	switch (-error) {
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case EHOSTDOWN:
	case ECONNREFUSED:
	case ECONNABORTED:
	case EPROTO:
		return true;
	default:
		return false;
	}
}

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

	c->timed_out = false;
	chain_worked(w, c);
	if (cqe->res && c->state == CONN_RECEIVING)
		ret = protocol_received(&w->protocol, c, ring_buffer(&w->ring, id),
					(uint32_t)cqe->res);
	if (has_buffer)
		ring_buffer_return(&w->ring, id);
	if (ret)
		count(w->counters.no_memory);
	if (ret || !cqe->res)
		worker_retire(w, c);
	else if (c->state == CONN_LINGERING)
		prep_recv(w, c);
	else
		go_on(w, c);
}

static bool is_memory_error(int error)
{
	return error == -ENOMEM || error == -ENOBUFS || error == -EAGAIN;
}

static void handle_recv_error(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool again = cqe->res == -ENOBUFS || cqe->res == -ECANCELED || cqe->res == -EINTR ||
		     cqe->res == -EAGAIN;

	chain_worked(w, c);
	if (cqe->res == -ENOBUFS) /* more completed in one pass than there are buffers */
		count(w->counters.no_buffers);
	if (again && c->timed_out) {
		time_out(w, c);
	} else if (again) {
		/* The buffers are back by now; a cancel was meant for an earlier receive. */
		prep_recv(w, c);
	} else if (worker_peer_error(cqe->res) || cqe->res == -ENOMEM) {
		if (c->state != CONN_LINGERING)
			count(w->counters.recv_errors);
		worker_retire(w, c);
	} else {
		die("receive on fd %d, slot %d: %s", c->fd, c->slot, strerror(-cqe->res));
	}
}

static void begin_linger(struct worker *w, struct conn *c)
{
	struct io_uring_sqe *sqe = worker_sqe(w, OP_SHUTDOWN, c);

	io_uring_prep_shutdown(sqe, -1, SHUT_WR);
	address(sqe, c);
	c->state = CONN_LINGERING;
	conn_set_limit(&w->conns, c, LIMIT_NONE, 0);
}

static void handle_shutdown(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)cqe; /* a connection that is gone already gives the same end of stream */
	conn_set_limit(&w->conns, c, LIMIT_LINGER, w->now_ms);
	prep_recv(w, c);
}

static void handle_send(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool timed_out = c->timed_out;

	c->timed_out = false;
	count_add(w->counters.bytes_out, cqe->res);
	c->out += cqe->res;
	c->out_len -= (uint32_t)cqe->res;
	if (c->out_len && timed_out) {
		/* The kernel tells of what had gone out rather than of the cancel. */
		count(w->counters.timeouts);
		worker_retire(w, c);
	} else if (c->out_len) {
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
	if (cqe->res == -ECANCELED && !c->timed_out) {
		send_answer(w, c); /* meant for an earlier send of the same connection */
		return;
	}
	if (c->timed_out)
		count(w->counters.timeouts);
	else if (worker_peer_error(cqe->res) || is_memory_error(cqe->res))
		count(w->counters.send_errors);
	else
		die("send on fd %d, slot %d: %s", c->fd, c->slot, strerror(-cqe->res));
	worker_retire(w, c);
}

static void handle_retire(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	/* After EINTR and EIO of a close the descriptor is gone as well. */
	if (cqe->res == -EBADF || cqe->res == -EINVAL)
		die("close of fd %d, slot %d: %s", c->fd, c->slot, strerror(-cqe->res));
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

/* The request had just completed: what follows from that is on its way. */
static void handle_cancel_error(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)w;
	if (cqe->res == -ENOENT)
		c->timed_out = false;
}

/* ---- completions that no connection waits for ------------------------------------------------ */

static void handle_release_error(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)c;
	/* A recovery closes slots as well, and may have been first. */
	if (cqe->res != -EBADF || !w->round)
		die("close of descriptor %u: %s", user_data_index(cqe->user_data),
		    strerror(-cqe->res));
}

static void handle_nothing(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)w, (void)c, (void)cqe;
}

/* ---- the loop -------------------------------------------------------------------------------- */

typedef void handler(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);

/* OF_CONN: user_data names a connection, whose generation must match. */
static const struct {
	const char *name;
	bool of_conn;
	handler *on_ok, *on_error;
} ops[OPS] = {
	[OP_ACCEPT] = { "accept", false, acceptor_accept, acceptor_accept },
	[OP_LISTEN] = { "poll of the listener", false, acceptor_listen, acceptor_listen },
	[OP_OPEN] = { "open", true, handle_open, handle_open },
	[OP_CLOSE_SLOT] = { "close of a slot", true, handle_close_slot, handle_close_slot },
	[OP_RECV] = { "receive", true, handle_recv, handle_recv_error },
	[OP_SEND] = { "send", true, handle_send, handle_send_error },
	[OP_SHUTDOWN] = { "shutdown", true, handle_shutdown, handle_shutdown },
	[OP_RETIRE] = { "close", true, handle_retire, handle_retire },
	[OP_REFUSE] = { "refusal", false, handle_nothing, handle_nothing },
	[OP_RELEASE] = { "release", false, handle_nothing, handle_release_error },
	[OP_CANCEL] = { "cancel", true, handle_nothing, handle_cancel_error },
	[OP_CANCEL_ACCEPT] = { "cancel of the accept", false, handle_nothing, handle_nothing },
	[OP_TICK] = { "timeout", false, clock_tick, clock_tick },
	[OP_WAKE] = { "read of an eventfd", false, clock_wake, NULL },
	[OP_BARRIER] = { "barrier", false, recover_barrier, recover_barrier },
};

static void dispatch(struct worker *w, struct io_uring_cqe *cqe)
{
	uint64_t data = io_uring_cqe_get_data64(cqe);
	enum op op = user_data_op(data);
	struct conn *c = NULL;
	handler *handle;

	assert(op < OPS);
	if (ops[op].of_conn) {
		assert(user_data_index(data) < w->conns.capacity);
		c = &w->conns.conns[user_data_index(data)];
		if (c->state == CONN_FREE || c->generation != user_data_generation(data)) {
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
	handle = cqe->res < 0 ? ops[op].on_error : ops[op].on_ok;
	if (!handle)
		die("worker %u: %s: %s", w->index, ops[op].name, strerror(-cqe->res));
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
		w->now_ms = clock_ms();
		count(w->counters.passes);
		reap(w);
		recover(w);
	}
}
