/* SPDX-License-Identifier: MIT */
#include "accept/park.h"

#include <fcntl.h>
#include <unistd.h>

#include "assertion.h"

int park_take(struct worker *w)
{
	int fd = fdpool_take(&w->pool);

	assert(fd >= 0); /* the pool has as many numbers as the table has connections */
	count_set(w->counters.parked_now, w->pool.parkeds);
	return fd;
}

/*
 * Closes the socket parked on FD but keeps the number: one acquisition of file_lock. A plain system
 * call, because it is rare, and has to be over before the number is used again. EBUSY (somebody is
 * just opening this very number) cannot be while the placeholder or a socket is there. EBADF can:
 * somebody has lowered RLIMIT_NOFILE. Then the socket stays for now.
 */
static bool put_placeholder(struct worker *w, int fd)
{
	return dup3(w->pool.placeholder, fd, O_CLOEXEC) == fd;
}

static void sweep(struct worker *w, uint64_t older_than_ms)
{
	int fd;

	while ((fd = fdpool_sweep(&w->pool, older_than_ms)) >= 0) {
		if (!put_placeholder(w, fd)) {
			fdpool_unsweep(&w->pool, w->now_ms);
			break;
		}
		count(w->counters.swept);
	}
	count_set(w->counters.parked_now, w->pool.parkeds);
}

void park_retire(struct worker *w, struct conn *c)
{
	/*
	 * Not IORING_OP_SHUTDOWN: the kernel always hands that to an io-wq thread
	 * (io_uring/net.c, io_shutdown_prep() forces it), which costs far more than this call.
	 */
	shutdown(c->fd, SHUT_RDWR);
	fdpool_park(&w->pool, c->fd, w->now_ms);
	sweep(w, 0);
	if (w->pool.parkeds > w->counters.parked_peak)
		count_set(w->counters.parked_peak, w->pool.parkeds);
	worker_conn_end(w, c);
}

void park_spoilt(struct worker *w, struct conn *c)
{
	if (put_placeholder(w, c->fd))
		fdpool_vacate(&w->pool, c->fd);
	else
		fdpool_park(&w->pool, c->fd, w->now_ms);
	c->fd = -1;
}

void park_tick(struct worker *w)
{
	uint64_t timeout = w->options->park_timeout_ms;

	sweep(w, w->now_ms > timeout ? w->now_ms - timeout : 0);
}
