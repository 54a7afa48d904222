/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "listener.h"
#include "message.h"
#include "park.h"

enum {
	MOST_ROUNDS = 64,     /* of one attempt to settle; the next pass has another */
	SAY_AGAIN_MS = 10000, /* the same complaint is repeated at most this often */
};

static bool has_dropped(struct worker *w)
{
	unsigned dropped = ring_dropped(&w->ring);

	if (dropped == w->ring.dropped)
		return false;
	count_add(w->counters.cq_overflows, dropped - w->ring.dropped);
	w->ring.dropped = dropped;
	return true;
}

/*
 * Whether request OP of C (or of no connection) is in flight. If it is, it ends with ECANCELED,
 * which its handler takes for a cancel that came too late, and repeats it: nothing is lost by
 * asking.
 */
static bool in_flight(struct worker *w, enum op op, const struct conn *c)
{
	struct io_uring_sync_cancel_reg request = { .addr = worker_user_data(w, op, c) };

	return io_uring_register_sync_cancel(&w->ring.uring, &request) != -ENOENT;
}

static void begin(struct worker *w)
{
	in_flight(w, w->path->readable ? OP_LISTEN : OP_ACCEPT, NULL);
	w->round++;
	w->ticking = false;
	w->recovering = true;
}

/* A submission that does not wait runs no deferred work: only what ends at once completes. */
static bool settle(struct worker *w)
{
	unsigned i;

	for (i = 0; i < MOST_ROUNDS; i++) {
		worker_reap(w);
		ring_submit(&w->ring);
		if (ring_is_quiet(&w->ring))
			return true;
	}
	return false;
}

static bool is_lost(struct worker *w, const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_FREE:
		return false;
	case CONN_OPENING:
	case CONN_RETIRING:
		return true; /* an INSTALL or a close ends within its submission */
	case CONN_RECEIVING: /* perhaps behind a DUP, should that take its time */
		return !in_flight(w, OP_RECV, c) && !in_flight(w, OP_OPEN, c);
	case CONN_SENDING:
		return !in_flight(w, OP_SEND, c);
	case CONN_LINGERING:
		return !in_flight(w, OP_RECV, c) && !in_flight(w, OP_SHUTDOWN, c);
	}
	return false;
}

/* Whether its descriptor is still there nobody knows; close_unowned() finds it if it is. */
static unsigned strike_off_lost(struct worker *w)
{
	unsigned n = 0;
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		struct conn *c = &w->conns.conns[i];

		if (!is_lost(w, c))
			continue;
		n++;
		if (w->path->uses_pool)
			park_retire(w, c);
		else
			worker_conn_end(w, c);
	}
	return n;
}

/* A slot that has been copied to an fd is closed by now, unless that is still going on. */
static bool owns_slot(struct worker *w, const struct conn *c)
{
	return c->slot >= 0 && (c->fd < 0 || in_flight(w, OP_OPEN, c));
}

static bool close_unowned_slots(struct worker *w)
{
	int *files = malloc(w->slots * sizeof(*files));
	uint32_t i;

	if (!files)
		return false;
	for (i = 0; i < w->slots; i++)
		files[i] = -1;
	for (i = 0; i < w->conns.capacity; i++) {
		if (owns_slot(w, &w->conns.conns[i]))
			files[w->conns.conns[i].slot] = IORING_REGISTER_FILES_SKIP;
	}
	io_uring_register_files_update(&w->ring.uring, 0, files, w->slots);
	free(files);
	return true;
}

static int highest_fd(const struct worker *w)
{
	int highest = w->listener > w->shared_listener ? w->listener : w->shared_listener;
	uint32_t i;

	for (i = 0; i < w->conns.capacity; i++) {
		if (w->conns.conns[i].fd > highest)
			highest = w->conns.conns[i].fd;
	}
	return highest;
}

static void close_unless_owned(struct worker *w, DIR *dir, const bool *owned, int highest)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		int fd = atoi(entry->d_name);

		if (listener_accepted(fd, w->mark) && (fd > highest || !owned[fd]))
			close(fd);
	}
}

static bool close_unowned_fds(struct worker *w)
{
	int highest = highest_fd(w);
	bool *owned = calloc((size_t)highest + 1, sizeof(*owned));
	DIR *dir = opendir("/proc/thread-self/fd"); /* not self: that is the main thread's table */
	bool ok = owned && dir;
	uint32_t i;

	for (i = 0; ok && i < w->conns.capacity; i++) {
		if (w->conns.conns[i].fd >= 0)
			owned[w->conns.conns[i].fd] = true;
	}
	if (ok && w->listener >= 0)
		owned[w->listener] = true;
	if (ok && w->shared_listener >= 0)
		owned[w->shared_listener] = true;
	if (ok)
		close_unless_owned(w, dir, owned, highest);
	if (dir)
		closedir(dir);
	free(owned);
	return ok;
}

/* False: there is no memory even for that, or no descriptor. */
static bool close_unowned(struct worker *w)
{
	if (w->path->accepts_slots && !close_unowned_slots(w))
		return false;
	if (!w->mark || w->path->uses_pool)
		return true;
	return close_unowned_fds(w);
}

static void say_so(struct worker *w, unsigned lost)
{
	count(w->counters.recoveries);
	if (w->recover_said_ms && w->now_ms - w->recover_said_ms < SAY_AGAIN_MS)
		return;
	w->recover_said_ms = w->now_ms;
	say("worker %u: out of memory, the kernel dropped completions (%u so far): %u connections "
	    "were lost, their sockets are closed",
	    w->index, w->ring.dropped, lost);
}

void recover(struct worker *w)
{
	unsigned lost;

	if (has_dropped(w))
		begin(w);
	if (!w->recovering || !settle(w))
		return;
	ring_buffers_renew(&w->ring);
	lost = strike_off_lost(w);
	if (!close_unowned(w))
		return;
	w->recovering = w->accepting = w->accept_cancelled = false;
	say_so(w, lost);
	worker_check_stop(w); /* the main thread's word may have been among them */
}
