/* SPDX-License-Identifier: MIT */
/* The load generator. See storm.h. */
#include "storm.h"
#include "http_check.h"
#include "rng.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RING_ENTRIES_MAX 4096
#define SQES_PER_CHAIN	 8 /* close, socket, linger, no-port, bind, connect, send, receive */
#define REQUEST_MAX	 512
#define SCAN_NS		 100000000 /* how often timeouts are looked for */

const char *const storm_protocols[] = { "http", "echo", NULL };
const char *const storm_closes[] = { "server-fin", "client-fin", "client-rst", NULL };

enum op {
	OP_SOCKET,
	OP_LINGER,
	OP_NO_PORT,
	OP_BIND,
	OP_CONNECT,
	OP_SEND,
	OP_RECV,
	OP_SHUTDOWN,
	OP_CLOSE,
	OP_CANCEL,
	OP_COUNT
};

static const char *const op_name[] = {
	[OP_SOCKET] = "socket", [OP_LINGER] = "linger",	    [OP_NO_PORT] = "no-port",
	[OP_BIND] = "bind",	[OP_CONNECT] = "connect",   [OP_SEND] = "send",
	[OP_RECV] = "receive",	[OP_SHUTDOWN] = "shutdown", [OP_CLOSE] = "close",
	[OP_CANCEL] = "cancel",
};

/*
 *            start                 last answer right
 *   FREE ------------> ANSWER ------------------------> ENDING   (SHUTDOWN if ours; wait for FIN)
 *    ^                   |  ^ more requests                |
 *    |                   |  '--.                           | FIN, or client-rst: at once
 *    |      CLOSE done   v     v                           v
 *    '---------------- CLOSING <------------------- last CQE is in
 *                        ^                                 ^
 *                        '-- FAILED (an error; waits for the chain's other CQEs)
 */
enum state { FREE, ANSWER, ENDING, FAILED, CLOSING };

/*
 * `pending` counts the CQEs still to come. Of a chain only CONNECT and RECV post one when all goes
 * well. When an SQE fails whose success would have been silent, the kernel drops the rest of the
 * chain silently; when CONNECT fails, every later SQE of the chain posts -ECANCELED.
 */
struct conn {
	enum state state;
	bool has_socket;
	bool timed_out;
	unsigned char pending;
	uint32_t generation;
	unsigned int requests_left;
	uint32_t out_len;
	uint32_t got;
	uint64_t intended_ns, started_ns, sent_ns;
	struct sockaddr_in source;
	char *in;
	char *out; /* echo: what must come back */
};

struct error_count {
	enum op op;
	int code; /* > 0: errno; < 0: -(enum http_verdict); see reason_name() */
	uint64_t n;
};

enum { REASON_TIMEOUT = -100, REASON_EARLY_CLOSE = -101 };

struct thread {
	struct storm *storm;
	pthread_t id;
	unsigned int index;
	struct io_uring ring;
	bool ring_ready;
	unsigned int n_conns;
	struct conn *conns;
	char *memory;
	unsigned int *free_slots;
	unsigned int n_free;
	unsigned int open;
	uint64_t rng;
	uint64_t next_source;
	/* Open loop: intended start of connection k is start + k * interval. */
	uint64_t due, next_scan_ns;
	bool stop; /* no new connections */
	struct http_check keep_alive, closing;
	atomic_uint_fast64_t good_now, failed_now; /* for the progress line */
	struct error_count errors[STORM_ERRORS_MAX];
	size_t n_errors;
	int fatal; /* -errno of the ring itself */
	struct storm_result result;
};

struct storm {
	struct storm_options options;
	struct storm_load load;
	char request[REQUEST_MAX], last_request[REQUEST_MAX];
	size_t request_len, last_request_len;
	struct linger linger;
	int one;
	bool bind_sources;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int job; /* counts storm_run() calls; threads wait for the next */
	unsigned int ready, busy;
	bool quit;
	uint64_t start_ns;
	atomic_uint_fast64_t tickets; /* connections still to start */
	char why[256];
	struct thread *threads;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* user_data: operation in bits 56-63, generation in 32-55, slot in 0-31. */
#define GENERATION_MASK 0xffffffu

static uint64_t encode(enum op op, uint32_t generation, uint32_t slot)
{
	static_assert(OP_COUNT <= 256, "an operation has eight bits");
	return (uint64_t)op << 56 | (uint64_t)(generation & GENERATION_MASK) << 32 | slot;
}

static const char *reason_name(int code)
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

/* Room for a whole chain, so that a flush never cuts one in two. */
static void reserve(struct thread *thread, unsigned int n)
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

/* The whole first half of a connection as one chain. */
static void start_conn(struct thread *thread, unsigned int slot, uint64_t intended_ns)
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

	sqe = get_sqe(thread, OP_SOCKET, slot, 0);
	io_uring_prep_socket_direct(sqe, AF_INET, SOCK_STREAM, 0, slot, 0);
	finish_sqe(thread, sqe, OP_SOCKET, slot, QUIET_LINK);
	if (storm->options.close == STORM_CLIENT_RST)
		prep_setsockopt(thread, OP_LINGER, slot, SOL_SOCKET, SO_LINGER, &storm->linger,
				sizeof(storm->linger));
	if (storm->bind_sources) {
		/* The port is chosen by connect(): a port is free per peer, not for everybody. */
		prep_setsockopt(thread, OP_NO_PORT, slot, SOL_IP, IP_BIND_ADDRESS_NO_PORT,
				&storm->one, sizeof(storm->one));
		next_source(thread, &conn->source);
		sqe = get_sqe(thread, OP_BIND, slot, 0);
		io_uring_prep_bind(sqe, (int)slot, (struct sockaddr *)&conn->source,
				   sizeof(conn->source));
		finish_sqe(thread, sqe, OP_BIND, slot, IOSQE_FIXED_FILE | QUIET_LINK);
	}
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

/* ---- what the load asks for ---- */

static bool take_ticket(struct thread *thread)
{
	struct storm *storm = thread->storm;

	if (thread->stop || thread->fatal)
		return false;
	if (storm->load.connections) {
		uint64_t left = atomic_load_explicit(&storm->tickets, memory_order_relaxed);

		do {
			if (!left) {
				thread->stop = true;
				return false;
			}
		} while (!atomic_compare_exchange_weak(&storm->tickets, &left, left - 1));
	}
	return true;
}

static uint64_t due_ns(const struct thread *thread)
{
	const struct storm *storm = thread->storm;
	double interval = 1e9 * storm->options.threads / storm->load.rate_per_s;
	/* The threads' schedules interleave. */
	double offset = interval * thread->index / storm->options.threads;

	return storm->start_ns + (uint64_t)(offset + interval * (double)thread->due);
}

/* Starts what is due; a start that finds no free slot keeps its intended time. */
static void start_due(struct thread *thread)
{
	bool open_loop = thread->storm->load.rate_per_s > 0;
	uint64_t now = now_ns();

	if (thread->storm->load.duration_ns &&
	    now - thread->storm->start_ns >= thread->storm->load.duration_ns)
		thread->stop = true;
	while (thread->n_free) {
		uint64_t intended = open_loop ? due_ns(thread) : now;

		if (intended > now || !take_ticket(thread))
			return;
		if (open_loop) {
			thread->due++;
			if (now - intended > 1000000)
				thread->result.late++;
		}
		reserve(thread, SQES_PER_CHAIN);
		start_conn(thread, thread->free_slots[--thread->n_free], intended);
	}
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
	conn->state = CLOSING;
	conn->pending = 1;
	reserve(thread, 1);
	prep_close(thread, slot, 0);
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
	reserve(thread, 2);
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
		reserve(thread, 1);
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
		reserve(thread, 2);
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

static void handle_cqe(struct thread *thread, uint64_t user_data, int res, uint64_t now)
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

static void scan_timeouts(struct thread *thread, uint64_t now)
{
	thread->next_scan_ns = now + SCAN_NS;
	for (unsigned int i = 0; i < thread->n_conns; i++) {
		struct conn *conn = &thread->conns[i];
		struct io_uring_sqe *sqe;

		/* Again at every scan: a cancel may come just after its target has completed. */
		if (conn->state == FREE || conn->state == CLOSING ||
		    now - conn->started_ns < thread->storm->options.timeout_ns)
			continue;
		conn->timed_out = true;
		reserve(thread, 1);
		sqe = get_sqe(thread, OP_CANCEL, i, 0);
		io_uring_prep_cancel_fd(sqe, (int)i,
					IORING_ASYNC_CANCEL_FD_FIXED | IORING_ASYNC_CANCEL_ALL);
		finish_sqe(thread, sqe, OP_CANCEL, i, 0);
	}
}

static uint64_t wait_ns(const struct thread *thread, uint64_t now)
{
	uint64_t until = thread->next_scan_ns;
	uint64_t due;

	if (thread->storm->load.rate_per_s > 0 && !thread->stop && thread->n_free) {
		due = due_ns(thread);
		if (due < until)
			until = due;
	}
	return until > now ? until - now : 0;
}

static int submit_and_wait(struct thread *thread)
{
	uint64_t ns = wait_ns(thread, now_ns());
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(ns / 1000000000),
		.tv_nsec = (long long)(ns % 1000000000),
	};
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait_timeout(&thread->ring, &cqe, 1, &ts, NULL);

	if (ret == -ETIME || ret == -EINTR || ret == -EAGAIN || ret == -EBUSY)
		return 0;
	return ret < 0 ? ret : 0;
}

static void run_job(struct thread *thread)
{
	uint64_t cpu_start = thread_cpu_ns();

	thread->next_scan_ns = now_ns() + SCAN_NS;
	start_due(thread);
	while ((!thread->stop || thread->open) && !thread->fatal) {
		struct io_uring_cqe *cqe;
		unsigned int head, n = 0;
		uint64_t now;
		int ret = submit_and_wait(thread);

		if (ret < 0) {
			thread->fatal = ret;
			break;
		}
		now = now_ns();
		io_uring_for_each_cqe (&thread->ring, head, cqe) {
			handle_cqe(thread, cqe->user_data, cqe->res, now);
			n++;
		}
		io_uring_cq_advance(&thread->ring, n);
		if (now >= thread->next_scan_ns)
			scan_timeouts(thread, now);
		start_due(thread);
	}
	thread->result.elapsed_ns = now_ns() - thread->storm->start_ns;
	thread->result.cpu_ns = thread_cpu_ns() - cpu_start;
}

/* ---- threads ---- */

static int open_ring(struct thread *thread)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
	};
	unsigned int entries = thread->n_conns * SQES_PER_CHAIN;
	int ret;

	if (entries > RING_ENTRIES_MAX)
		entries = RING_ENTRIES_MAX;
	if (entries < 2 * SQES_PER_CHAIN)
		entries = 2 * SQES_PER_CHAIN;
	params.cq_entries = entries < 2 * thread->n_conns ? 2 * thread->n_conns : 2 * entries;
	ret = io_uring_queue_init_params(entries, &thread->ring, &params);
	if (ret == -EINVAL) { /* older than 6.1 */
		params = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE,
						   .cq_entries = params.cq_entries };
		ret = io_uring_queue_init_params(entries, &thread->ring, &params);
	}
	if (ret < 0)
		return ret;
	thread->ring_ready = true;
	io_uring_register_ring_fd(&thread->ring); /* one look-up less; not needed to work */
	return io_uring_register_files_sparse(&thread->ring, thread->n_conns);
}

static void prepare_job(struct thread *thread)
{
	thread->stop = false;
	thread->due = 0;
	thread->n_errors = 0;
	memset(&thread->result, 0, sizeof(thread->result));
	hist_clear(&thread->result.connect_ns);
	hist_clear(&thread->result.first_byte_ns);
	hist_clear(&thread->result.whole_ns);
	atomic_store(&thread->good_now, 0);
	atomic_store(&thread->failed_now, 0);
}

static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	struct storm *storm = thread->storm;
	unsigned int job = 0;

	thread->fatal = open_ring(thread); /* here: the ring serves the thread that made it */
	pthread_mutex_lock(&storm->lock);
	storm->ready++;
	for (;;) {
		pthread_cond_broadcast(&storm->changed);
		while (storm->job == job && !storm->quit)
			pthread_cond_wait(&storm->changed, &storm->lock);
		if (storm->quit)
			break;
		job = storm->job;
		pthread_mutex_unlock(&storm->lock);
		run_job(thread);
		pthread_mutex_lock(&storm->lock);
		storm->busy--;
	}
	pthread_mutex_unlock(&storm->lock);
	if (thread->ring_ready)
		io_uring_queue_exit(&thread->ring);
	return NULL;
}

static bool give_memory(struct thread *thread)
{
	size_t per_conn = STORM_BUFFER + STORM_PAYLOAD_MAX + 8;

	thread->conns = calloc(thread->n_conns, sizeof(*thread->conns));
	thread->free_slots = calloc(thread->n_conns, sizeof(*thread->free_slots));
	thread->memory = calloc(thread->n_conns, per_conn);
	if (!thread->conns || !thread->free_slots || !thread->memory)
		return false;
	for (unsigned int i = 0; i < thread->n_conns; i++) {
		thread->conns[i].in = thread->memory + i * per_conn;
		thread->conns[i].out = thread->conns[i].in + STORM_BUFFER;
		thread->free_slots[thread->n_free++] = thread->n_conns - 1 - i;
	}
	return true;
}

static bool start_thread(struct storm *storm, unsigned int index)
{
	struct storm_options *o = &storm->options;
	struct thread *thread = &storm->threads[index];

	thread->storm = storm;
	thread->index = index;
	thread->n_conns = o->concurrency / o->threads + (index < o->concurrency % o->threads);
	thread->rng = o->seed + 0x1000 * (uint64_t)index;
	thread->next_source = index * (uint64_t)o->sources / o->threads;
	http_check_init(&thread->keep_alive, o->body, strlen(o->body), false);
	http_check_init(&thread->closing, o->body, strlen(o->body), true);
	return give_memory(thread) && !pthread_create(&thread->id, NULL, thread_main, thread);
}

static void write_requests(struct storm *storm)
{
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &storm->options.server.sin_addr, address, sizeof(address));
	for (int last = 0; last < 2; last++) {
		char *text = last ? storm->last_request : storm->request;
		int n = snprintf(text, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: %s:%u\r\n%s\r\n",
				 storm->options.path, address,
				 ntohs(storm->options.server.sin_port),
				 last ? "Connection: close\r\n" : "");

		*(last ? &storm->last_request_len : &storm->request_len) = (size_t)n;
	}
}

/* What the options need of the kernel, asked of the kernel. */
static bool check_kernel(struct storm *storm, char *why, size_t why_len)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool base, bind;

	if (!probe) {
		snprintf(
			why, why_len,
			"no io_uring: %s; see /proc/sys/kernel/io_uring_disabled and the container's "
			"seccomp profile",
			strerror(errno ? errno : ENOSYS));
		return false;
	}
	base = io_uring_opcode_supported(probe, IORING_OP_SOCKET);
	bind = io_uring_opcode_supported(probe, IORING_OP_BIND);
	io_uring_free_probe(probe);
	if (!base) {
		snprintf(why, why_len, "this kernel's io_uring has no SOCKET; Linux 5.19 has");
		return false;
	}
	storm->bind_sources = storm->options.sources > 0 && bind;
	if (storm->options.sources && !bind)
		fprintf(stderr,
			"accept-bench: this kernel's io_uring has no BIND (Linux 6.11 has): "
			"every client address is the kernel's choice\n");
	return true;
}

static bool wait_ready(struct storm *storm, unsigned int n, char *why, size_t why_len)
{
	pthread_mutex_lock(&storm->lock);
	while (storm->ready < n)
		pthread_cond_wait(&storm->changed, &storm->lock);
	pthread_mutex_unlock(&storm->lock);
	for (unsigned int i = 0; i < n; i++) {
		struct thread *thread = &storm->threads[i];

		if (!thread->fatal)
			continue;
		snprintf(why, why_len, "cannot set up a ring with %u direct descriptors: %s%s",
			 thread->n_conns, strerror(-thread->fatal),
			 thread->fatal == -EMFILE   ? "; raise ulimit -n"
			 : thread->fatal == -ENOMEM ? "; raise ulimit -l"
						    : "");
		return false;
	}
	return true;
}

struct storm *storm_create(const struct storm_options *options, char *why, size_t why_len)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	unsigned int n = options->threads;

	if (!storm) {
		snprintf(why, why_len, "out of memory");
		return NULL;
	}
	storm->options = *options;
	storm->linger = (struct linger){ .l_onoff = 1, .l_linger = 0 };
	storm->one = 1;
	pthread_mutex_init(&storm->lock, NULL);
	pthread_cond_init(&storm->changed, NULL);
	write_requests(storm);
	storm->threads = calloc(n, sizeof(*storm->threads));
	if (!storm->threads)
		snprintf(why, why_len, "out of memory");
	if (!storm->threads || !check_kernel(storm, why, why_len)) {
		storm->options.threads = 0;
		storm_destroy(storm);
		return NULL;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (!start_thread(storm, i)) {
			snprintf(why, why_len, "out of memory for thread %u", i);
			storm->options.threads = i;
			storm_destroy(storm);
			return NULL;
		}
	}
	if (!wait_ready(storm, n, why, why_len)) {
		storm_destroy(storm);
		return NULL;
	}
	return storm;
}

static void merge_errors(struct storm_result *into, const struct thread *thread)
{
	for (size_t i = 0; i < thread->n_errors; i++) {
		const struct error_count *error = &thread->errors[i];
		const char *phase = op_name[error->op], *reason = reason_name(error->code);
		size_t k = 0;

		while (k < into->n_errors && (strcmp(into->error[k].phase, phase) ||
					      strcmp(into->error[k].reason, reason)))
			k++;
		if (k == STORM_ERRORS_MAX)
			continue;
		if (k == into->n_errors)
			into->error[into->n_errors++] = (struct storm_error){ phase, reason, 0 };
		into->error[k].n += error->n;
	}
}

static void merge(struct storm_result *into, const struct thread *thread)
{
	const struct storm_result *from = &thread->result;

	into->started += from->started;
	into->good += from->good;
	into->failed += from->failed;
	into->requests += from->requests;
	into->bytes_sent += from->bytes_sent;
	into->bytes_received += from->bytes_received;
	into->late += from->late;
	into->cpu_ns += from->cpu_ns;
	if (from->elapsed_ns > into->elapsed_ns)
		into->elapsed_ns = from->elapsed_ns;
	hist_merge(&into->connect_ns, &from->connect_ns);
	hist_merge(&into->first_byte_ns, &from->first_byte_ns);
	hist_merge(&into->whole_ns, &from->whole_ns);
	merge_errors(into, thread);
}

static void tell(struct storm *storm, void (*progress)(const struct storm_progress *, void *),
		 void *arg)
{
	struct storm_progress now = { .elapsed_ns = now_ns() - storm->start_ns };

	for (unsigned int i = 0; i < storm->options.threads; i++) {
		now.good += atomic_load_explicit(&storm->threads[i].good_now, memory_order_relaxed);
		now.failed +=
			atomic_load_explicit(&storm->threads[i].failed_now, memory_order_relaxed);
	}
	progress(&now, arg);
}

static void wait_for_threads(struct storm *storm,
			     void (*progress)(const struct storm_progress *, void *), void *arg)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	while (storm->busy) {
		if (!progress) {
			pthread_cond_wait(&storm->changed, &storm->lock);
			continue;
		}
		until.tv_sec++;
		while (storm->busy &&
		       pthread_cond_timedwait(&storm->changed, &storm->lock, &until) != ETIMEDOUT)
			;
		if (storm->busy)
			tell(storm, progress, arg);
	}
}

bool storm_run(struct storm *storm, const struct storm_load *load, struct storm_result *result,
	       void (*progress)(const struct storm_progress *now, void *arg), void *arg)
{
	unsigned int n = storm->options.threads;

	assert(load->connections || load->duration_ns);
	memset(result, 0, sizeof(*result));
	hist_clear(&result->connect_ns);
	hist_clear(&result->first_byte_ns);
	hist_clear(&result->whole_ns);

	pthread_mutex_lock(&storm->lock);
	for (unsigned int i = 0; i < n; i++)
		prepare_job(&storm->threads[i]);
	storm->load = *load;
	atomic_store(&storm->tickets, load->connections);
	storm->busy = n;
	storm->job++;
	storm->start_ns = now_ns();
	pthread_cond_broadcast(&storm->changed);
	wait_for_threads(storm, progress, arg);
	pthread_mutex_unlock(&storm->lock);

	for (unsigned int i = 0; i < n; i++) {
		merge(result, &storm->threads[i]);
		if (storm->threads[i].fatal) {
			snprintf(storm->why, sizeof(storm->why), "storm thread %u: %s", i,
				 strerror(-storm->threads[i].fatal));
			return false;
		}
	}
	return true;
}

const char *storm_why(const struct storm *storm)
{
	return storm->why;
}

void storm_destroy(struct storm *storm)
{
	if (!storm)
		return;
	pthread_mutex_lock(&storm->lock);
	storm->quit = true;
	pthread_cond_broadcast(&storm->changed);
	pthread_mutex_unlock(&storm->lock);
	for (unsigned int i = 0; i < storm->options.threads; i++)
		pthread_join(storm->threads[i].id, NULL);
	for (unsigned int i = 0; storm->threads && i < storm->options.threads; i++) {
		free(storm->threads[i].conns);
		free(storm->threads[i].free_slots);
		free(storm->threads[i].memory);
	}
	free(storm->threads);
	pthread_mutex_destroy(&storm->lock);
	pthread_cond_destroy(&storm->changed);
	free(storm);
}
