/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <errno.h>
#include <sys/socket.h>

#include "worker.h"

/*
 * Receives without a free buffer, at most, before a connection whose time has passed is given up.
 */
enum { MOST_TRIES = 100 };

/* A connection's requests go to its fd once it has one, to its slot (FIXED_FILE) before. */
static void address(struct io_uring_sqe *sqe, const struct conn *c)
{
	sqe->fd = c->fd >= 0 ? c->fd : c->slot;
	if (c->fd < 0)
		sqe->flags |= IOSQE_FIXED_FILE;
}

/* ---- receiving and answering ----------------------------------------------------------------- */

static void prep_receive(struct conn *c, struct io_uring_sqe *sqe)
{
	bool last_try = c->overdue != LIMIT_NONE;

	io_uring_prep_recv(sqe, -1, NULL, 0, last_try ? MSG_DONTWAIT : 0);
	address(sqe, c);
	/* Without a buffer: the kernel takes one of this group when there are bytes to put in. */
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RECV_BUFFER_GROUP;
}

static void hold(struct worker *w, struct conn *c)
{
	struct receives *r = &w->receives;
	uint32_t place = conn_place(c);

	c->held = true;
	if (r->n++)
		w->conns.conns[r->last].next_held = place;
	else
		r->first = place;
	r->last = place;
}

static struct conn *first_held(struct worker *w)
{
	struct receives *r = &w->receives;
	struct conn *c = &w->conns.conns[r->first];

	c->held = false;
	r->first = c->next_held;
	r->n--;
	return c;
}

static void receive_again(struct worker *w, struct conn *c)
{
	const struct receives *r = &w->receives;

	if (recovery_holds_receives(&w->recovery) || r->n || r->failed || r->short_of_buffers)
		hold(w, c);
	else
		prep_receive(c, ring_request(&w->ring, OP_RECV, c->id));
}

bool serve_submit_receives(struct worker *w)
{
	struct receives *r = &w->receives;
	unsigned i;

	if (recovery_holds_receives(&w->recovery))
		return false;
	r->short_of_buffers = r->failed;
	r->failed = false;
	for (i = 0; i < RECV_BUFFERS && r->n; i++) {
		struct conn *c = first_held(w);

		prep_receive(c, ring_request(&w->ring, OP_RECV, c->id));
	}
	return r->n;
}

/*
 * Only an answer renews the time for the next request, so empty lines keep no connection open; and
 * the time for a request runs from its first byte, so more bytes do not extend it.
 */
void serve_limit_receive(struct worker *w, struct conn *c)
{
	enum conn_limit limit = !protocol_idle(&w->protocol, c) ? LIMIT_REQUEST
				: w->drain.active && c->served	? LIMIT_DRAIN
								: LIMIT_IDLE;

	if (c->state == CONN_SENDING || !conn_is_under(c, limit))
		conn_set_limit(&w->conns, c, limit, w->clock.now_ms);
}

void serve_receive_linked(struct worker *w, struct conn *c, struct io_uring_sqe *sqe)
{
	serve_limit_receive(w, c);
	c->state = CONN_RECEIVING;
	prep_receive(c, sqe);
}

void serve_receive(struct worker *w, struct conn *c)
{
	serve_limit_receive(w, c);
	c->state = CONN_RECEIVING;
	receive_again(w, c);
}

/*
 * A connection's last answer waits for the close, which follows at once, and leaves in one segment
 * with its FIN: that spares a packet, its acknowledgement and a wake-up of the client. Not if more
 * bytes may come: a close that finds one unread would drop the answer (see LINGERING in conn.h).
 */
int serve_send_flags(const struct worker *w, const struct conn *c)
{
	bool joined = c->last && !c->linger && w->config.options->fin == FIN_JOINED;

	return MSG_NOSIGNAL | (joined ? MSG_MORE : 0) |
	       (c->overdue != LIMIT_NONE ? MSG_DONTWAIT : 0);
}

static void send_answer(struct worker *w, struct conn *c)
{
	const struct accept_path *path = w->config.path;
	bool linked = c->last && !c->linger && path->retire_linked && !c->as_accepted;
	struct io_uring_sqe *sqe;

	if (c->state != CONN_SENDING || !conn_is_under(c, LIMIT_REQUEST))
		conn_set_limit(&w->conns, c, LIMIT_REQUEST, w->clock.now_ms);
	c->state = CONN_SENDING;
	ring_reserve(&w->ring, 2);
	sqe = ring_request(&w->ring, OP_SEND, c->id);
	/* WAITALL: the kernel waits for room and goes on; a short count means it gave up. */
	io_uring_prep_send(sqe, -1, c->out, c->out_len, serve_send_flags(w, c) | MSG_WAITALL);
	address(sqe, c);
	if (linked) {
		/*
		 * The close is linked behind the last send: submitted with it, begun when it has
		 * ended, so it waits for no pass of ours. Only its completion is wanted: when the
		 * send fails, that posts its own and the close is dropped silently.
		 */
		sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
		path->retire(w, c);
	}
}

/* The connection has been given bytes, or has sent its answer: what does it want now? */
static void go_on(struct worker *w, struct conn *c)
{
	if (c->out_len)
		send_answer(w, c);
	else
		serve_receive(w, c);
}

/* ---- ending ---------------------------------------------------------------------------------- */

void serve_release(struct worker *w, int descriptor)
{
	struct io_uring_sqe *sqe = ring_request(&w->ring, OP_RELEASE, (uint32_t)descriptor);

	if (w->config.path->accepts_slots)
		io_uring_prep_close_direct(sqe, (unsigned)descriptor);
	else
		io_uring_prep_close(sqe, descriptor);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS; /* nobody waits for it */
}

/* C's descriptor has been given up. */
static void end(struct worker *w, struct conn *c)
{
	c->fd = c->slot = -1;
	conn_end(&w->conns, c);
}

/* C is over. */
static void retire(struct worker *w, struct conn *c)
{
	conn_set_limit(&w->conns, c, LIMIT_NONE, 0);
	c->state = CONN_RETIRING;
	c->out_len = 0;
	if (!c->as_accepted) {
		w->config.path->retire(w, c);
		return;
	}
	serve_release(w, w->config.path->accepts_slots ? c->slot : c->fd);
	end(w, c);
}

static void linger(struct worker *w, struct conn *c)
{
	conn_set_limit(&w->conns, c, LIMIT_LINGER, w->clock.now_ms);
	receive_again(w, c);
}

/* What has been sent arrives, whatever the client still sends: its end of the stream is awaited. */
static void shut_down(struct worker *w, struct conn *c)
{
	struct io_uring_sqe *sqe;

	c->state = CONN_LINGERING;
	if (c->fd >= 0) {
		/*
		 * The system call: the kernel always hands IORING_OP_SHUTDOWN to an io-wq thread
		 * (io_shutdown_prep() in io_uring/net.c), which costs far more.
		 */
		shutdown(c->fd, SHUT_WR);
		linger(w, c);
		return;
	}
	conn_set_limit(&w->conns, c, LIMIT_NONE, 0);
	sqe = ring_request(&w->ring, OP_SHUTDOWN, c->id);
	io_uring_prep_shutdown(sqe, -1, SHUT_WR);
	address(sqe, c);
}

void serve_refuse(struct worker *w, struct conn *c)
{
	c->refused = true;
	protocol_refuse(&w->protocol, c);
	if (c->out_len)
		send_answer(w, c);
	else
		shut_down(w, c);
}

/* The last try was in vain: its time is over, and nothing of it is in flight any more. */
static void time_out(struct worker *w, struct conn *c)
{
	count(w->counters.timeouts);
	if (c->state == CONN_SENDING) {
		retire(w, c);
		return;
	}
	protocol_timed_out(&w->protocol, c);
	if (c->out_len)
		send_answer(w, c);
	else if (c->served)
		shut_down(w, c); /* its last answer may still be on the way */
	else
		retire(w, c);
}

void serve_cancel(struct worker *w, struct conn *c)
{
	bool sending = c->state == CONN_SENDING;
	enum op op = sending ? OP_SEND : OP_RECV;
	struct io_uring_sqe *sqe;

	/*
	 * The completion of what is cancelled leads to the last try. A receive that is held is not in
	 * flight: when its turn comes, it is the last try.
	 */
	if (c->held || (!sending && c->state != CONN_RECEIVING && c->state != CONN_LINGERING))
		return;
	c->cancelled = true;
	sqe = ring_request(&w->ring, OP_CANCEL, c->id);
	io_uring_prep_cancel64(sqe, user_data(op, c->id), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

/* ---- completions ----------------------------------------------------------------------------- */

void serve_opened(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	w->config.path->opened(w, c, cqe->res);
}

void serve_slot_closed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	w->config.path->slot_closed(w, c, cqe->res);
}

void serve_chain_worked(struct worker *w, struct conn *c)
{
	if (c->fd < 0 || c->slot < 0)
		return;
	c->slot = -1;
	count(w->counters.dups);
}

void serve_received(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	int ret = 0;

	c->cancelled = false;
	c->tries = 0;
	c->more = cqe->flags & IORING_CQE_F_SOCK_NONEMPTY;
	serve_chain_worked(w, c);
	if (cqe->res && c->state == CONN_RECEIVING)
		ret = protocol_received(&w->protocol, c, ring_buffer(&w->ring, cqe),
					(uint32_t)cqe->res);
	if (ret || !cqe->res || (c->state == CONN_LINGERING && c->overdue != LIMIT_NONE))
		retire(w, c);
	else if (c->state == CONN_LINGERING)
		receive_again(w, c);
	else
		go_on(w, c);
}

void serve_receive_failed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool overdue = c->overdue != LIMIT_NONE, cancelled = c->cancelled;

	c->cancelled = false;
	serve_chain_worked(w, c);
	if (cqe->res == -ENOBUFS) /* more completed in one pass than there are buffers */
		count(w->counters.no_buffers);
	if (request_verdict(OP_RECV, -cqe->res) != AGAIN) {
		if (c->state != CONN_LINGERING)
			count(w->counters.recv_errors);
		retire(w, c);
	} else if (overdue && c->state == CONN_LINGERING) {
		retire(w, c);
	} else if (overdue && !cancelled && (cqe->res == -EAGAIN || ++c->tries == MOST_TRIES)) {
		time_out(w, c);
	} else if (cqe->res == -ENOBUFS) {
		w->receives.failed = true;
		hold(w, c);
	} else {
		/* The last try; or an earlier one was meant. */
		receive_again(w, c);
	}
}

void serve_shut_down(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	/* A recovery asks by a cancel. Else, one that is gone already gives the same end of stream. */
	if (cqe->res == -ECANCELED && recovery_holds_receives(&w->recovery))
		shut_down(w, c);
	else
		linger(w, c);
}

void serve_sent(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool cancelled = c->cancelled;

	c->cancelled = false;
	count_add(w->counters.bytes_out, cqe->res);
	c->out += cqe->res;
	c->out_len -= (uint32_t)cqe->res;
	if (c->out_len && c->overdue != LIMIT_NONE && !cancelled) {
		time_out(w, c);
	} else if (c->out_len) {
		/*
		 * Of a cancelled one the kernel tells what had gone out rather than of the cancel.
		 */
		send_answer(w, c);
	} else if (c->last && c->linger) {
		shut_down(w, c);
	} else if (c->last) {
		retire(w, c);
	} else {
		protocol_sent(&w->protocol, c);
		go_on(w, c);
	}
}

void serve_send_failed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	bool overdue = c->overdue != LIMIT_NONE, cancelled = c->cancelled;

	c->cancelled = false;
	if (request_verdict(OP_SEND, -cqe->res) != AGAIN) {
		count(w->counters.send_errors);
		retire(w, c);
	} else if (overdue && !cancelled && cqe->res == -EAGAIN) {
		time_out(w, c);
	} else {
		send_answer(w, c); /* the last try, or an earlier send was meant */
	}
}

void serve_retired(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	if (cqe->res < 0 && request_verdict(OP_RETIRE, -cqe->res) == AGAIN) {
		w->config.path->retire(w, c);
		return;
	}
	count_add(w->counters.bytes_out, c->out_len); /* of a send that the close was linked to */
	end(w, c);
}

void serve_cancel_failed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	if (!c->cancelled)
		return; /* it had just completed, and what follows from that is on its way */
	/* A thread of the kernel is at it, and has been told: its completion is on its way, too. */
	if (cqe->res == -EALREADY)
		return;
	c->cancelled = false;
	if (c->overdue != LIMIT_NONE)
		conn_set_limit(&w->conns, c, c->overdue, w->clock.now_ms);
}

void serve_release_failed(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	(void)none;
	if (request_verdict(OP_RELEASE, -cqe->res) == AGAIN)
		serve_release(w, (int)user_data_id(cqe->user_data));
}
