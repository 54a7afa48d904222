/* SPDX-License-Identifier: MIT */
/*
 * Two instruments that observe only the server's file_lock, and know which thread waits for it.
 *
 * "contention" is for kernels without LOCK_STAT, which run at full speed: BPF programs on the lock
 * contention tracepoints. Needs Linux 5.19, BTF and CAP_BPF. Whether a kernel traces its spinlocks
 * depends on its configuration and on the hypervisor, so this is tested first: two threads contend
 * for the harness's own file_lock, and the instrument must observe that.
 *
 * "events" is for kernels with LOCK_STAT, whose tracepoints lock_contended and lock_acquired report
 * every wait and every acquisition. (/proc/lock_stat only has totals of all processes and threads.)
 */
#include "lock/lock_contention.h"

#include <stdio.h>

#ifdef WITH_BPF

#include "lock_contention.skel.h"
#include "now.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIAL_NS 100000000
#define TRIALS	 20 /* on a busy machine the two seldom run at the same time */

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static void *quarrel(void *arg)
{
	uint64_t end = now_ns() + TRIAL_NS;

	while (now_ns() < end)
		for (int i = 0; i < 100; i++)
			close(dup(STDERR_FILENO));
	return arg;
}

static bool something_is_seen(struct lock_contention_bpf *bpf)
{
	pthread_t other;

	bpf->bss->server = (__u32)getpid();
	for (int i = 0; i < TRIALS && !bpf->bss->contentions[0]; i++) {
		if (pthread_create(&other, NULL, quarrel, NULL))
			break;
		quarrel(NULL);
		pthread_join(other, NULL);
	}
	bpf->bss->server = 0;
	return bpf->bss->contentions[0] > 0;
}

static void contention_stop(struct lock_instrument *self)
{
	lock_contention_bpf__destroy(self->state);
	self->state = NULL;
}

/* Loads and attaches one pair of tracepoints; 0 or -errno. */
static int attach(struct lock_contention_bpf **bpf, bool events)
{
	int ret;

	libbpf_set_print(say_nothing);
	*bpf = lock_contention_bpf__open();
	if (!*bpf)
		return -errno;
	bpf_program__set_autoload((*bpf)->progs.on_contention_begin, !events);
	bpf_program__set_autoload((*bpf)->progs.on_contention_end, !events);
	bpf_program__set_autoload((*bpf)->progs.on_lock_contended, events);
	bpf_program__set_autoload((*bpf)->progs.on_lock_acquired, events);
	ret = lock_contention_bpf__load(*bpf);
	return ret ? ret : lock_contention_bpf__attach(*bpf);
}

static int start(struct lock_instrument *self, bool events, const char *silence, char *why,
		 size_t why_len)
{
	struct lock_contention_bpf *bpf;
	int ret = attach(&bpf, events);

	if (ret) {
		snprintf(why, why_len, "BPF on the tracepoint %s cannot be loaded: %s%s",
			 events ? "lock_acquired" : "contention_begin", strerror(-ret),
			 ret == -EPERM ? " (CAP_BPF and CAP_PERFMON are needed)" : "");
		lock_contention_bpf__destroy(bpf);
		return -1;
	}
	self->state = bpf;
	if (something_is_seen(bpf))
		return 0;
	snprintf(why, why_len, "two threads quarrelled over a file_lock and the tracepoint %s",
		 silence);
	contention_stop(self);
	return -1;
}

static int contention_start(struct lock_instrument *self, char *why, size_t why_len)
{
	return start(self, false,
		     "contention_begin said nothing: one CPU, or spinlocks that are not traced (a "
		     "guest whose hypervisor has no PV spinlocks)",
		     why, why_len);
}

static int events_start(struct lock_instrument *self, char *why, size_t why_len)
{
	return start(self, true,
		     "lock_contended said nothing: one CPU, or lock statistics are switched off",
		     why, why_len);
}

static void contention_aim(struct lock_instrument *self, pid_t server)
{
	struct lock_contention_bpf *bpf = self->state;

	bpf->bss->server = (__u32)server;
}

static double now(const __u64 *counter)
{
	return (double)__atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* The counters are mapped: reading them is no system call. */
static int contention_read(struct lock_instrument *self, struct lock_counts *counts, char *why,
			   size_t why_len)
{
	struct lock_contention_bpf *bpf = self->state;
	bool events = bpf_program__autoload(bpf->progs.on_lock_acquired);

	(void)why;
	(void)why_len;
	*counts = (struct lock_counts){
		.seen = LOCK_CONTENTIONS | LOCK_WAIT | LOCK_NEIGHBOURS |
			(events ? LOCK_ACQUISITIONS : 0),
		.acquisitions = now(&bpf->bss->acquisitions[0]),
		.contentions = now(&bpf->bss->contentions[0]),
		.wait_ns = now(&bpf->bss->wait_ns[0]),
		.neighbour_acquisitions = now(&bpf->bss->acquisitions[1]),
		.neighbour_contentions = now(&bpf->bss->contentions[1]),
		.neighbour_wait_ns = now(&bpf->bss->wait_ns[1]),
	};
	return 0;
}

void lock_contention_keep_paths(struct lock_instrument *self)
{
	struct lock_contention_bpf *bpf = self->state;

	bpf->bss->with_paths = 1;
}

void lock_contention_each_path(struct lock_instrument *self,
			       void (*each)(const struct lock_wait_path *path, void *arg),
			       void *arg)
{
	struct lock_contention_bpf *bpf = self->state;
	int waits = bpf_map__fd(bpf->maps.waits), paths = bpf_map__fd(bpf->maps.paths);
	struct lock_wait_key key, *last = NULL;

	while (!bpf_map_get_next_key(waits, last, &key)) {
		struct lock_wait_path path = { 0 };

		last = &key;
		if (bpf_map_lookup_elem(waits, &key, &path.waits))
			continue;
		memcpy(path.thread, key.thread, sizeof(path.thread));
		if (!bpf_map_lookup_elem(paths, &key.path, path.address))
			while (path.depth < LOCK_WAIT_DEPTH && path.address[path.depth])
				path.depth++;
		each(&path, arg);
	}
}

#else

void lock_contention_keep_paths(struct lock_instrument *self)
{
	(void)self;
}

void lock_contention_each_path(struct lock_instrument *self,
			       void (*each)(const struct lock_wait_path *path, void *arg),
			       void *arg)
{
	(void)self;
	(void)each;
	(void)arg;
}

static int contention_start(struct lock_instrument *self, char *why, size_t why_len)
{
	(void)self;
	snprintf(why, why_len, "this program was built without BPF (" WITHOUT_BPF_BECAUSE ")");
	return -1;
}

static int events_start(struct lock_instrument *self, char *why, size_t why_len)
{
	return contention_start(self, why, why_len);
}

static void contention_stop(struct lock_instrument *self)
{
	(void)self;
}

static void contention_aim(struct lock_instrument *self, pid_t server)
{
	(void)self;
	(void)server;
}

static int contention_read(struct lock_instrument *self, struct lock_counts *counts, char *why,
			   size_t why_len)
{
	(void)self;
	(void)counts;
	snprintf(why, why_len, "built without BPF");
	return -1;
}

#endif

const struct lock_instrument lock_contention_instrument = {
	.name = "contention",
	.scope = "the server's own file_lock, found by its address",
	.blind =
		"BPF on the tracepoint contention_begin: it fires when a waiter queues, so the first "
		"waiter of a native queued spinlock (the pending bit) is not seen, while behind a "
		"hypervisor with PV spinlocks every slow path is; acquisitions and hold times are not "
		"seen at all",
	.one_process = true,
	.start = contention_start,
	.aim = contention_aim,
	.read = contention_read,
	.stop = contention_stop,
};

const struct lock_instrument lock_events_instrument = {
	.name = "events",
	.scope = "the server's own file_lock, found by its address",
	.blind =
		"BPF on the tracepoints lock_contended and lock_acquired of a kernel with LOCK_STAT: "
		"every acquisition and every wait is seen, but it runs at every lock of the kernel "
		"that the server takes, so waits are longer than without it and speeds mean nothing; "
		"hold times are not seen",
	.one_process = true,
	.start = events_start,
	.aim = contention_aim,
	.read = contention_read,
	.stop = contention_stop,
};
