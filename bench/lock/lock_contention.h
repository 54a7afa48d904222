/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The waits on file_lock by call path: what the instruments "contention" and "events" can tell
 * beyond their sums. Shared with its BPF program.
 */
#ifndef BENCH_LOCK_CONTENTION_H
#define BENCH_LOCK_CONTENTION_H

#define LOCK_WAIT_PATHS                                                                            \
	1024 /* call paths kept apart; the kernel has some dozens that take the lock */
#define LOCK_WAIT_DEPTH 64 /* frames of one */

struct lock_wait_key {
	unsigned int path;
	char thread[16]; /* its name, as in /proc/PID/comm */
};

struct lock_waits {
	unsigned long long n;
	unsigned long long wait_ns;
};

#ifndef __bpf__

#include "lock/lock.h"

/*
 * A call path of threads of one name: return addresses in the kernel, the innermost first; none
 * when it was lost.
 */
struct lock_wait_path {
	char thread[16];
	size_t depth;
	uint64_t address[LOCK_WAIT_DEPTH];
	struct lock_waits waits;
};

/* Both for one of the two, started. Paths are kept from the next lock_aim() on. */
void lock_contention_keep_paths(struct lock_instrument *self);
void lock_contention_each_path(struct lock_instrument *self,
			       void (*each)(const struct lock_wait_path *path, void *arg),
			       void *arg);

#endif
#endif
