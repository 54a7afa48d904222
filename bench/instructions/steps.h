/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions that a server's worker executes in user mode: another process
 * single-steps it with ptrace(). This is exact on any kernel and machine, and makes the server some
 * hundred times slower. A system call instruction counts as one; instructions in the kernel are not
 * counted. Periodic work of the worker (it checks time limits every 100 ms) is over-represented,
 * because connections take that much longer: it is 1 or 2 % of the count in a guest, more on a busy
 * machine.
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
	pid_t counter; /* the process that single-steps the worker */
	int result;    /* read end of the pipe to which it writes the count */
};

/* Starts counting. Returns false with the reason in `why`. */
bool steps_start(struct steps *steps, pid_t server, char *why, size_t why_len);

/*
 * Stops counting and lets the server run freely again. *n gets the number of instructions. Returns
 * false with the reason in `why`.
 */
bool steps_stop(struct steps *steps, uint64_t *n, char *why, size_t why_len);

#endif
