/* SPDX-License-Identifier: MIT */
#include "accept/park.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"

bool park_init(struct worker *w)
{
	const struct worker_config *config = &w->config;
	struct fdpool *pool = malloc(sizeof(*pool));
	int ret = pool ? fdpool_init(pool, config->pool_first, config->max_conns, config->park_max,
				     &w->counters)
		       : -ENOMEM;

	if (ret) {
		say("worker %u: reserving fds: %s: see ulimit -n, or lower --max-conns",
		    config->index, strerror(-ret));
		free(pool);
		return false;
	}
	w->path_state = pool;
	return true;
}

void park_free(struct worker *w)
{
	fdpool_free(park_pool(w));
	free(w->path_state);
	w->path_state = NULL;
}

/*
 * Closes the socket parked on FD but keeps the number: one acquisition of file_lock. A plain system
 * call, because it is rare, and has to be over before the number is used again. EBUSY (somebody is
 * just opening this very number) cannot be while the placeholder or a socket is there. EBADF can:
 * somebody has lowered RLIMIT_NOFILE. Then the socket stays for now, and the number is doubtful.
 */
static bool put_placeholder(const struct fdpool *pool, int fd)
{
	return dup3(pool->placeholder, fd, O_CLOEXEC) == fd;
}

static void sweep(struct worker *w, uint64_t older_than_ms)
{
	struct fdpool *pool = park_pool(w);
	int fd;

	while ((fd = fdpool_sweep(pool, older_than_ms)) >= 0) {
		if (!put_placeholder(pool, fd)) {
			fdpool_unsweep(pool);
			continue;
		}
		count(w->counters.swept);
	}
}

void park_retire(struct worker *w, struct conn *c)
{
	struct fdpool *pool = park_pool(w);

	/*
	 * Not IORING_OP_SHUTDOWN: the kernel always hands that to an io-wq thread
	 * (io_uring/net.c, io_shutdown_prep() forces it), which costs far more than this call.
	 */
	shutdown(c->fd, SHUT_RDWR);
	fdpool_park(pool, c->fd, w->clock.now_ms);
	sweep(w, 0);
	if (pool->parkeds > w->counters.parked_peak)
		count_set(w->counters.parked_peak, pool->parkeds);
	c->fd = c->slot = -1;
	conn_end(&w->conns, c);
}

static void count_error(struct counters *n, int error)
{
	count(n->dup_errors);
	if (error == EBUSY)
		count(n->dup_ebusy);
	else if (error == EBADF)
		count(n->dup_ebadf);
	else if (error == ECANCELED)
		count(n->dup_ecanceled);
}

/*
 * FD is beyond the limit of open files, most likely. So are others, and to try each of them in turn
 * would keep a connection waiting while there are numbers below.
 */
static void doubt(struct fdpool *pool, int fd)
{
	struct rlimit limit;

	fdpool_doubt(pool, fd);
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		fdpool_doubt_from(pool, limit.rlim_cur);
}

void park_give_back(struct worker *w, struct conn *c, int error)
{
	struct fdpool *pool = park_pool(w);

	count_error(&w->counters, error);
	if (put_placeholder(pool, c->fd))
		fdpool_vacate(pool, c->fd);
	else
		doubt(pool, c->fd);
	c->fd = -1;
}

/* Each once: some may be below the limit of open files again, and others not. */
static void trust_again(struct fdpool *pool)
{
	struct rlimit limit;
	unsigned n;

	if (!pool->doubtfuls || getrlimit(RLIMIT_NOFILE, &limit))
		return;
	for (n = pool->doubtfuls; n; n--) {
		int fd = fdpool_trust(pool);

		if ((rlim_t)fd >= limit.rlim_cur || !put_placeholder(pool, fd))
			fdpool_unsweep(pool);
	}
}

void park_tick(struct worker *w)
{
	uint64_t timeout_ms = w->config.options->park_timeout_ms, now_ms = w->clock.now_ms;

	trust_again(park_pool(w));
	sweep(w, now_ms > timeout_ms ? now_ms - timeout_ms : 0);
}

bool park_needs_tick(const struct worker *w)
{
	return park_pool(w)->parkeds + park_pool(w)->doubtfuls > 0;
}
