/* SPDX-License-Identifier: MIT */
#include "fdpool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assertion.h"

/* Counts pool->size up to SIZE, so that fdpool_free() closes what is ours and nothing else. */
static int reserve(struct fdpool *pool, unsigned size)
{
	for (; pool->size < size; pool->size++) {
		int want = pool->first + (int)pool->size;
		int fd = fcntl(pool->placeholder, F_DUPFD_CLOEXEC, want);

		if (fd == want)
			continue;
		if (fd >= 0)
			close(fd);
		return fd >= 0 ? -EBUSY : errno == EINVAL ? -EMFILE : -errno;
	}
	return 0;
}

int fdpool_init(struct fdpool *pool, int first, unsigned size, unsigned park_max,
		struct counters *counters)
{
	unsigned i;
	int ret;

	memset(pool, 0, sizeof(*pool));
	pool->counters = counters;
	pool->first = first;
	pool->park_max = park_max < size ? park_max : size;
	pool->placeholder = open("/", O_PATH | O_CLOEXEC); /* there may be no /dev */
	if (pool->placeholder < 0)
		return -errno;
	pool->vacant = malloc(size * sizeof(*pool->vacant));
	pool->parked = malloc(size * sizeof(*pool->parked));
	pool->doubtful = malloc(size * sizeof(*pool->doubtful));
	ret = pool->vacant && pool->parked && pool->doubtful ? reserve(pool, size) : -ENOMEM;
	if (ret) {
		fdpool_free(pool);
		return ret;
	}
	/* The lowest number on top of the stack. */
	for (i = size; i-- > 0;)
		pool->vacant[pool->vacants++] = first + (int)i;
	return 0;
}

void fdpool_free(struct fdpool *pool)
{
	unsigned i;

	for (i = 0; i < pool->size; i++)
		close(pool->first + (int)i);
	if (pool->placeholder >= 0)
		close(pool->placeholder);
	free(pool->vacant);
	free(pool->parked);
	free(pool->doubtful);
	memset(pool, 0, sizeof(*pool));
	pool->placeholder = -1;
}

/* How many are parked is a gauge of the server's; so is what may still refer to a connection. */
static void set_parked(struct fdpool *pool, unsigned parkeds, unsigned doubtfuls)
{
	pool->parkeds = parkeds;
	pool->doubtfuls = doubtfuls;
	count_set(pool->counters->parked_now, parkeds + doubtfuls);
}

static int take_doubtful(struct fdpool *pool)
{
	int fd;

	if (!pool->doubtfuls)
		return -1;
	fd = pool->doubtful[pool->oldest_doubtful];
	pool->oldest_doubtful = (pool->oldest_doubtful + 1) % pool->size;
	set_parked(pool, pool->parkeds, pool->doubtfuls - 1);
	return fd;
}

int fdpool_take(struct fdpool *pool)
{
	if (pool->parkeds) {
		set_parked(pool, pool->parkeds - 1, pool->doubtfuls);
		return pool->parked[(pool->oldest + pool->parkeds) % pool->size].fd;
	}
	if (pool->vacants)
		return pool->vacant[--pool->vacants];
	return take_doubtful(pool);
}

void fdpool_park(struct fdpool *pool, int fd, uint64_t now_ms)
{
	assert(fdpool_owns(pool, fd) &&
	       pool->parkeds + pool->vacants + pool->doubtfuls < pool->size);
	pool->parked[(pool->oldest + pool->parkeds) % pool->size] =
		(struct parked_fd){ .fd = fd, .since_ms = now_ms };
	set_parked(pool, pool->parkeds + 1, pool->doubtfuls);
}

int fdpool_sweep(struct fdpool *pool, uint64_t older_than_ms)
{
	const struct parked_fd *oldest = &pool->parked[pool->oldest];

	if (!pool->parkeds ||
	    (pool->parkeds <= pool->park_max && oldest->since_ms >= older_than_ms))
		return -1;
	pool->oldest = (pool->oldest + 1) % pool->size;
	set_parked(pool, pool->parkeds - 1, pool->doubtfuls);
	pool->vacant[pool->vacants++] = oldest->fd;
	return oldest->fd;
}

void fdpool_unsweep(struct fdpool *pool)
{
	assert(pool->vacants > 0);
	fdpool_doubt(pool, pool->vacant[--pool->vacants]);
}

void fdpool_doubt(struct fdpool *pool, int fd)
{
	assert(fdpool_owns(pool, fd) && pool->doubtfuls < pool->size);
	pool->doubtful[(pool->oldest_doubtful + pool->doubtfuls) % pool->size] = fd;
	set_parked(pool, pool->parkeds, pool->doubtfuls + 1);
}

void fdpool_doubt_from(struct fdpool *pool, uint64_t limit)
{
	unsigned i, kept, vacants = pool->vacants, parkeds = pool->parkeds;

	pool->vacants = 0;
	for (i = 0; i < vacants; i++) {
		int fd = pool->vacant[i];

		if ((uint64_t)fd < limit)
			pool->vacant[pool->vacants++] = fd;
		else
			fdpool_doubt(pool, fd);
	}
	for (i = kept = 0; i < parkeds; i++) {
		struct parked_fd parked = pool->parked[(pool->oldest + i) % pool->size];

		if ((uint64_t)parked.fd < limit)
			pool->parked[(pool->oldest + kept++) % pool->size] = parked;
		else
			fdpool_doubt(pool, parked.fd);
	}
	set_parked(pool, kept, pool->doubtfuls);
}

int fdpool_trust(struct fdpool *pool)
{
	int fd = take_doubtful(pool);

	if (fd >= 0)
		pool->vacant[pool->vacants++] = fd;
	return fd;
}

void fdpool_vacate(struct fdpool *pool, int fd)
{
	assert(fdpool_owns(pool, fd) &&
	       pool->parkeds + pool->vacants + pool->doubtfuls < pool->size);
	/* Below all others, and these in their order: a swap would put the one that failed last on top. */
	memmove(pool->vacant + 1, pool->vacant, pool->vacants * sizeof(*pool->vacant));
	pool->vacants++;
	pool->vacant[0] = fd;
}
