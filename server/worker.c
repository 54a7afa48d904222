/* SPDX-License-Identifier: MIT */
/*
 * A worker: its event loop, then how it is set up and ends. Start here.
 *
 * One pass: everything the last pass produced goes down in one io_uring_enter(), which also waits,
 * unless receives are held that this pass could not submit (serve.h); each completion is looked up in
 * a table and handled; a handler prepares further requests. None waits or reaps, and only a full
 * submission queue makes one submit early.
 *
 * What happens to one connection on the dup path, and what it costs:
 *
 *     kernel                                    server
 *     ACCEPT (multishot) gives a slot      ->   acceptor.c: a struct conn; accept/dup.c: the chain
 *     DUP slot -> fd, CLOSE slot, RECV fd  ->   serve.c: the request is parsed, answered
 *     SEND fd                              ->   serve.c: receive the next request, or shut down
 *                                               and park the number (accept/park.c)
 *
 * Three completions and about one io_uring_enter() for many connections. The other paths differ in
 * how the descriptor comes and goes, which is all that accept/ contains. Whoever knows epoll but
 * not io_uring finds the words in ring.h, and there the place where each feature is explained.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "assertion.h"
#include "message.h"
#include "pages.h"
#include "serve.h"

/* ---- the loop -------------------------------------------------------------------------------- */

static void ignore(struct worker *w, struct conn *c, struct io_uring_cqe *cqe)
{
	(void)w, (void)c, (void)cqe;
}

static void woken(struct worker *w, struct conn *none, struct io_uring_cqe *cqe)
{
	drain_woken(w, none, cqe);
	acceptor_look_again(w);
}

typedef void handler(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);

/* OF_CONN: the id in user_data is that of a connection. */
static const struct {
	bool of_conn;
	handler *on_ok, *on_error;
} ops[OPS] = {
	[OP_ACCEPT] = { false, acceptor_completed, acceptor_completed },
	[OP_LISTEN] = { false, acceptor_readable, acceptor_readable },
	[OP_OPEN] = { true, serve_opened, serve_opened },
	[OP_CLOSE_SLOT] = { true, serve_slot_closed, serve_slot_closed },
	[OP_RECV] = { true, serve_received, serve_receive_failed },
	[OP_SEND] = { true, serve_sent, serve_send_failed },
	[OP_SHUTDOWN] = { true, serve_shut_down, serve_shut_down },
	[OP_RETIRE] = { true, serve_retired, serve_retired },
	[OP_RELEASE] = { false, ignore, serve_release_failed },
	[OP_CANCEL] = { true, ignore, serve_cancel_failed },
	[OP_CANCEL_ACCEPT] = { false, ignore, acceptor_cancel_failed },
	[OP_TICK] = { false, clock_ticked, clock_ticked },
	[OP_WAKE] = { false, woken, woken },
	[OP_BARRIER] = { false, recover_reached, recover_reached },
};

/* The kernel has found no memory for a page of what the request was about. */
static void bring_back(const struct worker *w, const struct conn *c)
{
	pages_bring_back(w, sizeof(*w));
	ring_bring_back(&w->ring);
	if (c)
		pages_bring_back(c->out, c->out_len);
}

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
			return;
		}
	}
	if (c && op != OP_CANCEL)
		recover_answered(c);
	if (cqe->res < 0 && request_verdict(op, -cqe->res) == FATAL)
		die("worker %u: %s: %s (fd %d, slot %d)", w->config.index, request_name(op),
		    strerror(-cqe->res), c ? c->fd : -1, c ? c->slot : -1);
	if (cqe->res == -EFAULT)
		bring_back(w, c);
	handle = cqe->res < 0 ? ops[op].on_error : ops[op].on_ok;
	handle(w, c, cqe);
}

static void reap(struct worker *w)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;

	io_uring_for_each_cqe (&w->ring.uring, head, cqe) {
		dispatch(w, cqe);
		ring_buffer_return(&w->ring, cqe);
		n++;
	}
	io_uring_cq_advance(&w->ring.uring, n); /* one store for all of them */
	count_add(w->counters.completions, n);
}

/* Returns when the worker has drained. */
static void loop(struct worker *w)
{
	clock_init(w);
	drain_arm(w);
	while (!drain_is_over(w)) {
		acceptor_update(w);
		clock_arm(w);
		if (serve_submit_receives(w))
			ring_submit_and_look(&w->ring);
		else
			ring_submit_and_wait(&w->ring);
		clock_update(w);
		count(w->counters.passes);
		reap(w);
		recover_update(w);
	}
	ring_submit(&w->ring); /* the closes that nobody waits for */
}

/* ---- set-up, in the order in which things are made, and the end ------------------------------ */

enum {
	/*
	 * Room in the slot table beyond the connections: for what is accepted while the closes of
	 * others are under way, and for a queue that is moved here (overflow.h). A connection that
	 * finds no slot is closed by the kernel. A slot that is empty takes 8 bytes.
	 */
	SPARE_SLOTS = 65536,
	LINGER_MS = 2000,
};

static bool fail(const struct worker *w, const char *what, int error, const char *hint)
{
	say("worker %u: %s: %s%s%s", w->config.index, what, strerror(error), *hint ? ": " : "",
	    hint);
	return false;
}

static bool pin(const struct worker *w)
{
	cpu_set_t set;

	if (w->config.cpu < 0)
		return true;
	CPU_ZERO(&set);
	CPU_SET(w->config.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return fail(w, "--pin", errno, "");
	return true;
}

/*
 * A table of file descriptors of its own. The copies of descriptors that other threads had open are
 * closed: they would keep those sockets alive after their owner closes them. From
 * 3 on, all but what this worker was given.
 */
static bool leave_fd_table(const struct worker *w)
{
	int keep[2] = { w->drain.wake, w->config.shared_listener };
	int low = keep[0] < keep[1] ? keep[0] : keep[1];
	int high = keep[0] < keep[1] ? keep[1] : keep[0];

	if (unshare(CLONE_FILES))
		return fail(w, "unshare(CLONE_FILES)", errno, "");
	if (low < 3)
		low = high;
	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0U, 0);
	return true;
}

/*
 * Opens and closes the highest number this table will need, so that it grows now: growing a shared
 * table waits for every CPU (synchronize_rcu() in fs/file.c), and a DUP beyond its end would be
 * handed to io-wq.
 */
static void grow_fd_table(const struct worker *w)
{
	int fd = fcntl(w->drain.wake, F_DUPFD_CLOEXEC,
		       w->config.pool_first + (int)w->config.max_conns - 1);

	if (fd >= 0)
		close(fd);
}

static unsigned cq_entries(const struct worker *w)
{
	unsigned wanted = 2 * w->config.max_conns + w->config.options->backlog;
	unsigned n = 4096;

	while (n < wanted && n < 65536)
		n *= 2;
	return n;
}

static bool open_ring(struct worker *w)
{
	uint32_t max_conns = w->config.max_conns;
	int ret = ring_init(&w->ring, cq_entries(w), w->config.options, &w->counters);

	if (ret < 0)
		return fail(w, "io_uring", -ret, ring_error_hint(ret));
	ring_on_shortage(&w->ring, acceptor_shed, w);
	/*
	 * Threads that the kernel may make for what it cannot do at once, such as the shutdown of a
	 * slot: a few, however many clients send bad requests.
	 */
	io_uring_register_iowq_max_workers(&w->ring.uring, (unsigned[]){ 2, 2 });
	if (!w->config.path->accepts_slots)
		return true;
	ret = ring_make_slots(&w->ring, max_conns + spare_conns(w->config.options) + SPARE_SLOTS);
	return ret >= 0 ||
	       fail(w, "registering slots", -ret, "see ulimit -n, or lower --max-conns");
}

static bool open_conns(struct worker *w)
{
	const struct options *o = w->config.options;
	const uint64_t limit_ms[CONN_LIMITS] = {
		[LIMIT_IDLE] = o->idle_timeout_ms, [LIMIT_REQUEST] = o->request_timeout_ms,
		[LIMIT_LINGER] = LINGER_MS,	   [LIMIT_DRAIN] = 1,
		[LIMIT_OPENING] = TICK_MS,
	};
	int ret = conn_table_init(&w->conns, w->config.max_conns, spare_conns(o), limit_ms,
				  &w->counters);

	return !ret || fail(w, "the table of connections", -ret, "lower --max-conns");
}

static bool set_up(struct worker *w)
{
	const struct accept_path *path = w->config.path;

	if (w->config.options->fd_table == FD_TABLE_PRIVATE && !leave_fd_table(w))
		return false;
	if (!pin(w) || !open_conns(w))
		return false;
	protocol_init(&w->protocol, w->config.options, &w->counters);
	grow_fd_table(w);
	return (!path->init || path->init(w)) && (path->run || open_ring(w)) && acceptor_init(w);
}

static void *thread_main(void *arg)
{
	struct worker *w = arg;
	const struct accept_path *path = w->config.path;
	bool ok;

	pages_touch_stack();
	ok = set_up(w);
	w->config.ready(ok);
	if (ok) {
		w->config.wait_for_all();
		ok = acceptor_listen(w);
		w->config.ready(ok);
	}
	if (!ok)
		return NULL; /* the process ends */
	if (path->run)
		path->run(w);
	else
		loop(w);
	/* What a drain timeout has left open, closes with it. */
	if (path->free)
		path->free(w);
	if (!path->run)
		ring_free(&w->ring);
	acceptor_free(w);
	conn_table_free(&w->conns);
	w->config.ended();
	return NULL;
}

int worker_init(struct worker *w, const struct worker_config *config)
{
	memset(w, 0, sizeof(*w));
	w->config = *config;
	return drain_init(&w->drain);
}

int worker_start(struct worker *w)
{
	return -pthread_create(&w->thread, NULL, thread_main, w);
}

int worker_stop(struct worker *w)
{
	return drain_request(&w->drain);
}

uint64_t worker_extension_ms(const struct worker *w)
{
	return drain_extended_ms(&w->drain);
}

void worker_wake(struct worker *w)
{
	drain_wake(&w->drain);
}

void worker_join(struct worker *w)
{
	pthread_join(w->thread, NULL);
}
