/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions that a server's worker executes in user mode, one by one: another process
 * lets it take single steps (ptrace). Exact on any kernel and machine, and some hundred times as slow
 * as the server itself. The system call instruction counts as one, what the kernel does then as none.
 * What the worker does by the clock (a look at time limits every 100 ms) comes more often in a
 * connection that takes so long: 1 or 2 % of the count in a guest, more on a busy machine.
 *
 * For a server with a single worker thread: its main thread, and the kernel's own threads for
 * io_uring (iou-*), are left alone.
 */
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct steps {
	pid_t counter; /* the process that counts */
	int result;    /* the end of its pipe that is read */
};

/* From here on every instruction is counted; false with the reason when it cannot be. */
bool steps_start(struct steps *steps, pid_t server, char *why, size_t why_len);

/* Lets the server run freely again, and says how many there were. */
bool steps_stop(struct steps *steps, uint64_t *n, char *why, size_t why_len);

#endif
