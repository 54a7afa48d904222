/* SPDX-License-Identifier: MIT */
/* The state machine of a connection of storm. See storm_thread.h for its states. */
#include "load/storm_thread.h"
#include "rng.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

static const char *const op_name[] = {
	[OP_SOCKET] = "socket", [OP_LINGER] = "linger",	    [OP_NO_PORT] = "no-port",
	[OP_BIND] = "bind",	[OP_CONNECT] = "connect",   [OP_SEND] = "send",
	[OP_RECV] = "receive",	[OP_SHUTDOWN] = "shutdown", [OP_DISCONNECT] = "disconnect",
	[OP_CLOSE] = "close",	[OP_CANCEL] = "cancel",
};

/* user_data: operation in bits 56-63, generation in 32-55, slot in 0-31. */
#define GENERATION_MASK 0xffffffu

static uint64_t encode(enum op op, uint32_t generation, uint32_t slot)
{
	static_assert(OP_COUNT <= 256, "an operation has eight bits");
	return (uint64_t)op << 56 | (uint64_t)(generation & GENERATION_MASK) << 32 | slot;
}

const char *conn_phase_name(enum op op)
{
	return op_name[op];
}

const char *conn_reason_name(int code)
{
	if (code > 0) {
		const char *name = strerrorname_np(code);

		return name ? name : "unknown-errno";
	}
	if (code == REASON_TIMEOUT)
		return "timeout";
	if (code == REASON_EARLY_CLOSE)
		return "early-close";
	return http_verdict_name((enum http_verdict) - code);
}

static void count_error(struct thread *thread, enum op op, int code)
{
	for (size_t i = 0; i < thread->n_errors; i++) {
		if (thread->errors[i].op == op && thread->errors[i].code == code) {
			thread->errors[i].n++;
			return;
		}
	}
	if (thread->n_errors < STORM_ERRORS_MAX)
		thread->errors[thread->n_errors++] = (struct error_count){ op, code, 1 };
}

/* ---- submission ---- */

void conn_reserve(struct thread *thread, unsigned int n)
{
	if (io_uring_sq_space_left(&thread->ring) < n) {
		int ret = io_uring_submit(&thread->ring);

		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			thread->fatal = ret;
	}
}

static struct io_uring_sqe *get_sqe(struct thread *thread, enum op op, unsigned int slot,
				    unsigned int flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&thread->ring);

	assert(sqe);
	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = encode(op, thread->conns[slot].generation, slot);
	sqe->flags = (unsigned char)flags;
	return sqe;
}

/* The io_uring_prep_ helpers overwrite flags and keep user_data only by chance: set both after. */
static void finish_sqe(struct thread *thread, struct io_uring_sqe *sqe, enum op op,
		       unsigned int slot, unsigned int flags)
{
	io_uring_sqe_set_flags(sqe, flags);
	io_uring_sqe_set_data64(sqe, encode(op, thread->conns[slot].generation, slot));
}

#define QUIET_LINK (IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS)

static void prep_setsockopt(struct thread *thread, enum op op, unsigned int slot, int level,
			    int name, void *value, int len)
{
	struct io_uring_sqe *sqe = get_sqe(thread, op, slot, 0);

	io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_SETSOCKOPT, (int)slot, level, name, value, len);
	finish_sqe(thread, sqe, op, slot, IOSQE_FIXED_FILE | QUIET_LINK);
}

/* 127.x.y.z, none of them 127.0.0.0 or 127.255.255.255 with the largest number of sources. */
static void next_source(struct thread *thread, struct sockaddr_in *source)
{
	const struct storm_options *o = &thread->storm->options;
	uint64_t n = thread->next_source++ % o->sources;

	*source = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f010001u + (uint32_t)n),
	};
}

static void prep_request(struct thread *thread, unsigned int slot)
{
	struct storm *storm = thread->storm;
	struct conn *conn = &thread->conns[slot];
	bool last = conn->requests_left == 1;
	bool ask_close = last && storm->options.close == STORM_SERVER_FIN;
	const char *data = conn->out;
	struct io_uring_sqe *sqe;

	if (storm->options.protocol == STORM_ECHO) {
		conn->out_len = 1 + (uint32_t)rng_below(&thread->rng, storm->options.payload);
		for (uint32_t i = 0; i < conn->out_len; i += 8) {
			uint64_t word = rng_next(&thread->rng);

			memcpy(conn->out + i, &word, 8);
		}
	} else {
		data = ask_close ? storm->last_request : storm->request;
		conn->out_len =
			(uint32_t)(ask_close ? storm->last_request_len : storm->request_len);
	}
	conn->got = 0;

	sqe = get_sqe(thread, OP_SEND, slot, 0);
	/* MSG_WAITALL: a partial send is carried on by the kernel or fails the chain. */
	io_uring_prep_send(sqe, (int)slot, data, conn->out_len, MSG_WAITALL | MSG_NOSIGNAL);
	finish_sqe(thread, sqe, OP_SEND, slot, IOSQE_FIXED_FILE | QUIET_LINK);
}

static void prep_recv(struct thread *thread, unsigned int slot)
{
	struct conn *conn = &thread->conns[slot];
	struct io_uring_sqe *sqe = get_sqe(thread, OP_RECV, slot, 0);

	io_uring_prep_recv(sqe, (int)slot, conn->in + conn->got, STORM_BUFFER - conn->got, 0);
	finish_sqe(thread, sqe, OP_RECV, slot, IOSQE_FIXED_FILE);
	conn->pending++;
}

static void prep_close(struct thread *thread, unsigned int slot, unsigned int flags)
{
	struct io_uring_sqe *sqe = get_sqe(thread, OP_CLOSE, slot, 0);

	io_uring_prep_close_direct(sqe, slot);
	finish_sqe(thread, sqe, OP_CLOSE, slot, flags);
}

/* TCP sends a reset, and the socket is as it was before connect(); its source address stays. */
static void prep_disconnect(struct thread *thread, unsigned int slot)
{
	static const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct io_uring_sqe *sqe = get_sqe(thread, OP_DISCONNECT, slot, 0);

	io_uring_prep_connect(sqe, (int)slot, &nobody, sizeof(nobody));
	finish_sqe(thread, sqe, OP_DISCONNECT, slot, IOSQE_FIXED_FILE);
}

static void prep_socket(struct thread *thread, unsigned int slot)
{
	struct storm *storm = thread->storm;
	struct conn *conn = &thread->conns[slot];
	struct io_uring_sqe *sqe = get_sqe(thread, OP_SOCKET, slot, 0);

	io_uring_prep_socket_direct(sqe, AF_INET, SOCK_STREAM, 0, slot, 0);
	finish_sqe(thread, sqe, OP_SOCKET, slot, QUIET_LINK);
	if (storm->options.close == STORM_CLIENT_RST) /* for those that fail and are closed */
		prep_setsockopt(thread, OP_LINGER, slot, SOL_SOCKET, SO_LINGER, &storm->linger,
				sizeof(storm->linger));
	if (!storm->bind_sources)
		return;
	/* The port is chosen by connect(): a port is free per peer, not for everybody. */
	prep_setsockopt(thread, OP_NO_PORT, slot, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &storm->one,
			sizeof(storm->one));
	next_source(thread, &conn->source);
	sqe = get_sqe(thread, OP_BIND, slot, 0);
	io_uring_prep_bind(sqe, (int)slot, (struct sockaddr *)&conn->source, sizeof(conn->source));
	finish_sqe(thread, sqe, OP_BIND, slot, IOSQE_FIXED_FILE | QUIET_LINK);
}

/* The whole first half of a connection as one chain. */
void conn_start(struct thread *thread, unsigned int slot, uint64_t intended_ns)
{
	struct storm *storm = thread->storm;
	struct conn *conn = &thread->conns[slot];
	struct io_uring_sqe *sqe;

	assert(conn->state == FREE && conn->pending == 0);
	conn->state = ANSWER;
	conn->has_socket = true; /* until the SOCKET says otherwise */
	conn->timed_out = false;
	conn->generation++;
	conn->requests_left = storm->options.requests;
	conn->intended_ns = intended_ns;
	conn->started_ns = now_ns();
	thread->open++;
	thread->result.started++;

	if (!conn->kept)
		prep_socket(thread, slot);
	conn->kept = false;
	sqe = get_sqe(thread, OP_CONNECT, slot, 0);
	io_uring_prep_connect(sqe, (int)slot, (struct sockaddr *)&storm->options.server,
			      sizeof(storm->options.server));
	finish_sqe(thread, sqe, OP_CONNECT, slot, IOSQE_FIXED_FILE | IOSQE_IO_LINK);
	conn->pending = 1;
	prep_request(thread, slot);
	prep_recv(thread, slot);
}

static void retire(struct thread *thread, unsigned int slot)
{
	thread->conns[slot].state = FREE;
	thread->open--;
	thread->free_slots[thread->n_free++] = slot;
}

/* ---- completions ---- */

static void begin_close(struct thread *thread, unsigned int slot)
{
	struct conn *conn = &thread->conns[slot];

	assert(conn->pending == 0);
	if (!conn->has_socket) {
		retire(thread, slot);
		return;
	}
	conn->pending = 1;
	conn_reserve(thread, 1);
	if (thread->storm->options.close == STORM_CLIENT_RST && conn->state != FAILED)
		prep_disconnect(thread, slot);
	else
		prep_close(thread, slot, 0);
	conn->state = CLOSING;
}

static void fail(struct thread *thread, unsigned int slot, enum op op, int code)
{
	struct conn *conn = &thread->conns[slot];

	if (conn->state != FAILED) {
		count_error(thread, op, conn->timed_out ? REASON_TIMEOUT : code);
		thread->result.failed++;
		atomic_store_explicit(&thread->failed_now, thread->result.failed,
				      memory_order_relaxed);
		conn->state = FAILED;
	}
	if (conn->pending == 0)
		begin_close(thread, slot);
}

static void succeed(struct thread *thread, unsigned int slot, uint64_t now)
{
	struct conn *conn = &thread->conns[slot];

	thread->result.good++;
	atomic_store_explicit(&thread->good_now, thread->result.good, memory_order_relaxed);
	hist_add(&thread->result.whole_ns, now - conn->intended_ns);
	begin_close(thread, slot);
}

static void end_conn(struct thread *thread, unsigned int slot, uint64_t now)
{
	struct conn *conn = &thread->conns[slot];
	enum storm_close who = thread->storm->options.close;

	if (who == STORM_CLIENT_RST) {
		succeed(thread, slot, now);
		return;
	}
	conn->state = ENDING;
	conn_reserve(thread, 2);
	if (who == STORM_CLIENT_FIN) {
		struct io_uring_sqe *sqe = get_sqe(thread, OP_SHUTDOWN, slot, 0);

		io_uring_prep_shutdown(sqe, (int)slot, SHUT_WR);
		finish_sqe(thread, sqe, OP_SHUTDOWN, slot, IOSQE_FIXED_FILE | QUIET_LINK);
	}
	conn->got = 0; /* anything that still comes is one byte too many */
	prep_recv(thread, slot);
}

static enum http_verdict check_answer(struct thread *thread, struct conn *conn)
{
	const struct storm_options *o = &thread->storm->options;

	if (o->protocol == STORM_ECHO) {
		uint32_t n = conn->got < conn->out_len ? conn->got : conn->out_len;

		if (memcmp(conn->in, conn->out, n))
			return HTTP_WRONG_BYTES;
		if (conn->got == conn->out_len)
			return HTTP_GOOD;
		return conn->got < conn->out_len ? HTTP_MORE : HTTP_EXTRA_BYTES;
	}
	return http_check(conn->requests_left == 1 && o->close == STORM_SERVER_FIN
				  ? &thread->closing
				  : &thread->keep_alive,
			  conn->in, conn->got);
}

static void handle_answer(struct thread *thread, unsigned int slot, uint64_t now)
{
	struct conn *conn = &thread->conns[slot];
	enum http_verdict verdict = check_answer(thread, conn);

	if (verdict == HTTP_MORE && conn->got < STORM_BUFFER) {
		conn_reserve(thread, 1);
		prep_recv(thread, slot);
	} else if (verdict == HTTP_MORE) {
		fail(thread, slot, OP_RECV, -HTTP_EXTRA_BYTES);
	} else if (verdict != HTTP_GOOD) {
		fail(thread, slot, OP_RECV, -(int)verdict);
	} else {
		thread->result.requests++;
		thread->result.bytes_sent += conn->out_len;
		if (--conn->requests_left == 0) {
			end_conn(thread, slot, now);
			return;
		}
		conn->sent_ns = now;
		conn_reserve(thread, 2);
		prep_request(thread, slot);
		prep_recv(thread, slot);
	}
}

static void handle_recv(struct thread *thread, unsigned int slot, int res, uint64_t now)
{
	struct conn *conn = &thread->conns[slot];

	if (conn->state == FAILED || res < 0) {
		fail(thread, slot, OP_RECV, -res);
		return;
	}
	if (conn->state == ENDING) {
		if (res > 0)
			fail(thread, slot, OP_RECV, -HTTP_EXTRA_BYTES);
		else
			succeed(thread, slot, now);
		return;
	}
	if (res == 0) {
		fail(thread, slot, OP_RECV, conn->got ? -HTTP_MORE : REASON_EARLY_CLOSE);
		return;
	}
	if (conn->got == 0)
		hist_add(&thread->result.first_byte_ns, now - conn->sent_ns);
	thread->result.bytes_received += (uint64_t)res;
	conn->got += (uint32_t)res;
	handle_answer(thread, slot, now);
}

static void handle_connect(struct thread *thread, unsigned int slot, int res, uint64_t now)
{
	struct conn *conn = &thread->conns[slot];

	if (res < 0) {
		conn->pending++; /* the SEND's -ECANCELED; the RECV's is counted already */
		fail(thread, slot, OP_CONNECT, -res);
		return;
	}
	conn->sent_ns = now;
	hist_add(&thread->result.connect_ns, now - conn->started_ns);
}

void conn_handle(struct thread *thread, uint64_t user_data, int res, uint64_t now)
{
	unsigned int slot = (uint32_t)user_data;
	enum op op = (enum op)(user_data >> 56);
	struct conn *conn;

	if (op == OP_CANCEL)
		return;
	assert(slot < thread->n_conns);
	conn = &thread->conns[slot];
	assert(((conn->generation ^ (user_data >> 32)) & GENERATION_MASK) == 0);

	switch (op) {
	case OP_CONNECT:
		conn->pending--;
		handle_connect(thread, slot, res, now);
		break;
	case OP_RECV:
		conn->pending--;
		handle_recv(thread, slot, res, now);
		break;
	case OP_DISCONNECT:
		conn->pending--;
		assert(conn->state == CLOSING);
		if (res <
		    0) { /* it counted as good when its last answer came: closed, not used again */
			conn->pending = 1;
			conn_reserve(thread, 1);
			prep_close(thread, slot, 0);
			break;
		}
		conn->kept = true;
		retire(thread, slot);
		break;
	case OP_CLOSE:
		conn->pending--;
		assert(conn->state == CLOSING);
		if (res < 0) {
			count_error(thread, op, -res);
			thread->fatal = res; /* a slot that cannot be closed is never free again */
		}
		retire(thread, slot);
		break;
	case OP_SEND:
		if (conn->state == FAILED && res == -ECANCELED) {
			conn->pending--; /* CONNECT failed before it */
			fail(thread, slot, op, ECANCELED);
			break;
		}
		/* fall through */
	default:
		/* Silent when it succeeds: it failed, and nothing behind it will report. */
		conn->pending = 0;
		if (op == OP_SOCKET)
			conn->has_socket = false;
		fail(thread, slot, op, res < 0 ? -res : EIO);
	}
}

bool conn_close_kept(struct thread *thread)
{
	assert(!thread->open);
	thread->n_free = 0; /* a slot is free again when its socket is closed */
	for (unsigned int i = 0; i < thread->n_conns; i++) {
		struct conn *conn = &thread->conns[i];

		assert(conn->state == FREE && conn->pending == 0);
		if (!conn->kept) {
			thread->free_slots[thread->n_free++] = i;
			continue;
		}
		conn->kept = false;
		conn->state = CLOSING;
		conn->pending = 1;
		thread->open++;
		conn_reserve(thread, 1);
		prep_close(thread, i, 0);
	}
	return thread->open > 0;
}

void conn_scan_timeouts(struct thread *thread, uint64_t now)
{
	for (unsigned int i = 0; i < thread->n_conns; i++) {
		struct conn *conn = &thread->conns[i];
		struct io_uring_sqe *sqe;

		/* Again at every scan: a cancel may come just after its target has completed. */
		if (conn->state == FREE || conn->state == CLOSING ||
		    now - conn->started_ns < thread->storm->options.timeout_ns)
			continue;
		conn->timed_out = true;
		conn_reserve(thread, 1);
		sqe = get_sqe(thread, OP_CANCEL, i, 0);
		io_uring_prep_cancel_fd(sqe, (int)i,
					IORING_ASYNC_CANCEL_FD_FIXED | IORING_ASYNC_CANCEL_ALL);
		finish_sqe(thread, sqe, OP_CANCEL, i, 0);
	}
}
