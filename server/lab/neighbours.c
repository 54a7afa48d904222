/* SPDX-License-Identifier: MIT */
#include "lab/neighbours.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "message.h"

struct neighbour {
	pthread_t thread;
	const char *path;
	bool stop;
	uint64_t opens;
	uint64_t cpu_ns; /* once it has ended */
} __attribute__((aligned(64)));

/* Different ones, so that it is the table's lock they meet at and not a file's reference count. */
static const char *const paths[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom",
				     "/dev",	  "/proc",     "/sys",	    "/" };

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *neighbour_main(void *arg)
{
	struct neighbour *self = arg;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		int fd = open(self->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0) { /* out of descriptors, say: it comes back, no spin */
			usleep(10000);
			continue;
		}
		close(fd);
		__atomic_store_n(&self->opens, self->opens + 1, __ATOMIC_RELAXED);
	}
	self->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static bool start_one(struct neighbour *self, unsigned index)
{
	int fd, ret;

	self->path = paths[index % (sizeof(paths) / sizeof(paths[0]))];
	fd = open(self->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		say("--neighbours: cannot open %s: %s", self->path, strerror(errno));
		return false;
	}
	close(fd);
	ret = pthread_create(&self->thread, NULL, neighbour_main, self);
	if (ret) {
		say("--neighbours: thread %u: %s", index + 1, strerror(ret));
		return false;
	}
	pthread_setname_np(self->thread, "neighbour");
	return true;
}

bool neighbours_start(struct neighbours *neighbours, unsigned n)
{
	if (!n)
		return true;
	neighbours->each = aligned_alloc(_Alignof(struct neighbour), n * sizeof(struct neighbour));
	if (!neighbours->each) {
		say("--neighbours %u: out of memory", n);
		return false;
	}
	memset(neighbours->each, 0, n * sizeof(struct neighbour));
	while (neighbours->n < n) {
		if (!start_one(&neighbours->each[neighbours->n], neighbours->n))
			return false;
		neighbours->n++;
	}
	return true;
}

void neighbours_stop(struct neighbours *neighbours)
{
	unsigned i;

	for (i = 0; i < neighbours->n; i++)
		__atomic_store_n(&neighbours->each[i].stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < neighbours->n; i++)
		pthread_join(neighbours->each[i].thread, NULL);
}

void neighbours_free(struct neighbours *neighbours)
{
	free(neighbours->each);
	neighbours->each = NULL;
	neighbours->n = 0;
}

static uint64_t cpu_ns(const struct neighbour *self)
{
	clockid_t clock;

	if (__atomic_load_n(&self->stop, __ATOMIC_RELAXED))
		return self->cpu_ns;
	return pthread_getcpuclockid(self->thread, &clock) ? 0 : clock_ns(clock);
}

void neighbours_print(FILE *out, const struct neighbours *neighbours)
{
	uint64_t opens = 0, ns = 0;
	unsigned i;

	for (i = 0; i < neighbours->n; i++) {
		opens += __atomic_load_n(&neighbours->each[i].opens, __ATOMIC_RELAXED);
		ns += cpu_ns(&neighbours->each[i]);
	}
	if (neighbours->n)
		fprintf(out, " neighbour_opens=%llu neighbour_cpu_us=%llu",
			(unsigned long long)opens, (unsigned long long)(ns / 1000));
}
