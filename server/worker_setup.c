/* SPDX-License-Identifier: MIT */
/* What a worker needs before its first pass, in the order in which it is made, and its end. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "acceptor.h"
#include "listener.h"
#include "message.h"
#include "worker.h"

enum {
	/*
	 * Room in the slot table beyond max_conns: a multishot accept empties the queue in one go,
	 * and a connection that finds no slot is closed by the kernel.
	 */
	SPARE_SLOTS = 1024,
	LINGER_MS = 2000,
};

static bool fail(const struct worker *w, const char *what, int error, const char *hint)
{
	say("worker %u: %s: %s%s%s", w->index, what, strerror(error), *hint ? ": " : "", hint);
	return false;
}

static bool pin(const struct worker *w)
{
	cpu_set_t set;

	if (w->cpu < 0)
		return true;
	CPU_ZERO(&set);
	CPU_SET(w->cpu, &set);
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
	int keep[2] = { w->wake, w->shared_listener };
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
	int fd = fcntl(w->wake, F_DUPFD_CLOEXEC, w->pool_first + (int)w->max_conns - 1);

	if (fd >= 0)
		close(fd);
}

static unsigned cq_entries(const struct worker *w)
{
	unsigned wanted = 2 * w->max_conns + w->options->backlog;
	unsigned n = 4096;

	while (n < wanted && n < 65536)
		n *= 2;
	return n;
}

static bool open_ring(struct worker *w)
{
	int ret;

	if (w->path->run) { /* has no use for a ring */
		w->epoll = epoll_create1(EPOLL_CLOEXEC);
		return w->epoll >= 0 || fail(w, "epoll_create1", errno, "see ulimit -n");
	}
	ret = ring_init(&w->ring, cq_entries(w), w->options, &w->counters);
	if (ret < 0)
		return fail(w, "io_uring", -ret, ring_error_hint(ret));
	w->ring.shed = acceptor_shed;
	w->ring.owner = w;
	/*
	 * Threads that the kernel may make for what it cannot do at once, such as the shutdown of a
	 * slot: a few, however many clients send bad requests.
	 */
	io_uring_register_iowq_max_workers(&w->ring.uring, (unsigned[]){ 2, 2 });
	if (!w->path->accepts_slots)
		return true;
	/* Sparse: slots that are empty, for accepts to fill. */
	w->slots = w->max_conns + SPARE_CONNS + SPARE_SLOTS;
	ret = io_uring_register_files_sparse(&w->ring.uring, w->slots);
	if (ret == -EMFILE) { /* RLIMIT_NOFILE bounds a ring's table too */
		w->slots = w->max_conns;
		ret = io_uring_register_files_sparse(&w->ring.uring, w->slots);
	}
	if (ret < 0)
		return fail(w, "registering slots", -ret, "see ulimit -n, or lower --max-conns");
	return true;
}

static bool open_pool(struct worker *w)
{
	int ret;

	if (!w->path->uses_pool)
		return true;
	ret = fdpool_init(&w->pool, w->pool_first, w->max_conns, w->park_max);
	if (ret)
		return fail(w, "reserving fds", -ret, "see ulimit -n, or lower --max-conns");
	return true;
}

static bool open_listener(struct worker *w)
{
	w->listener = w->shared_listener;
	if (w->listener < 0)
		w->listener =
			listener_open(w->options, true, w->path->nonblocking_listener, w->mark);
	return w->listener >= 0;
}

static bool open_conns(struct worker *w)
{
	if (conn_table_init(&w->conns, w->max_conns, SPARE_CONNS))
		return fail(w, "the table of connections", ENOMEM, "lower --max-conns");
	w->conns.limit_ms[LIMIT_IDLE] = w->options->idle_timeout_ms;
	w->conns.limit_ms[LIMIT_REQUEST] = w->options->request_timeout_ms;
	w->conns.limit_ms[LIMIT_LINGER] = LINGER_MS;
	w->conns.limit_ms[LIMIT_DRAIN] = 0;
	w->protocol.options = w->options;
	w->protocol.counters = &w->counters;
	return true;
}

static bool set_up(struct worker *w)
{
	if (w->options->fd_table == FD_TABLE_PRIVATE && !leave_fd_table(w))
		return false;
	if (!pin(w) || !open_conns(w))
		return false;
	grow_fd_table(w);
	return open_pool(w) && open_ring(w) && open_listener(w);
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	bool ok;

	w->listener = -1;
	w->pool.placeholder = -1;
	ok = set_up(w);
	w->ready(ok);
	if (!ok)
		return NULL; /* the process ends */
	if (w->path->run)
		w->path->run(w);
	else
		worker_loop(w);
	/* What a drain timeout has left open, closes with it. */
	if (w->path->uses_pool)
		fdpool_free(&w->pool);
	if (!w->path->run)
		ring_free(&w->ring);
	conn_table_free(&w->conns);
	w->ended();
	return NULL;
}
