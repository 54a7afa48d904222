/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Waits for file_lock by call path, which the instruments "contention" and "events" can report in
 * addition to their totals. Shared by the BPF program and the harness.
 */
#ifndef BENCH_LOCK_CONTENTION_H
#define BENCH_LOCK_CONTENTION_H

#define LOCK_WAIT_PATHS                                                                            \
	1024 /* maximum number of call paths; the kernel has some dozens that take the lock */
#define LOCK_WAIT_DEPTH 64 /* maximum number of frames of a call path */

struct lock_wait_key {
	unsigned int path;
	char thread[16]; /* the thread's name, as in /proc/PID/comm */
};

struct lock_waits {
	unsigned long long n;
	unsigned long long wait_ns;
};

#ifndef __bpf__

#include "lock/lock.h"

/*
 * A call path of the threads with one name: return addresses in the kernel, the innermost first.
 * depth is 0 if the stack could not be recorded.
 */
struct lock_wait_path {
	char thread[16];
	size_t depth;
	uint64_t address[LOCK_WAIT_DEPTH];
	struct lock_waits waits;
};

/*
 * Both take one of the two instruments, already started. Call paths are recorded from the next
 * lock_aim() on.
 */
void lock_contention_keep_paths(struct lock_instrument *self);
void lock_contention_each_path(struct lock_instrument *self,
			       void (*each)(const struct lock_wait_path *path, void *arg),
			       void *arg);

#endif
#endif
