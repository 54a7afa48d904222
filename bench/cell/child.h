/* SPDX-License-Identifier: MIT */
/*
 * A child process of the harness. Its output is read line by line with a time limit, and it is
 * killed when the harness ends.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_LINE_MAX 4096

struct child {
	pid_t pid; /* 0: not running */
	int out;   /* its stdout, non-blocking; stderr goes to the same pipe when merged */
	int err;   /* its stderr, non-blocking; -1 when merged */
	size_t have;
	char buffer[CHILD_LINE_MAX];
	int status;	   /* from waitpid(); valid once the process has ended */
	uint64_t spent_ns; /* user and system time in total; valid once the process has ended */
};

enum child_output { CHILD_APART, CHILD_MERGED };

/* Starts a program. Returns 0 or -errno. `cpus`: a CPU list as taskset(1) takes it; NULL: not bound. */
int child_start(struct child *child, char *const argv[], const char *cpus,
		enum child_output output);

/* Binds the calling thread, and the threads it starts from then on, to a CPU list. */
bool child_set_cpus(const char *cpus);

/*
 * Returns the number of CPUs in a CPU list, or, for NULL, the number of CPUs that this thread may
 * run on. 0: the text is not a CPU list.
 */
unsigned int child_count_cpus(const char *cpus);

/* Binds another thread, given by its thread id, to a CPU list; false on failure. */
bool child_bind_thread(pid_t thread, const char *cpus);

/* Reads one line without its newline. Returns 1, 0 at the end of the output, -ETIMEDOUT or -errno. */
int child_read_line(struct child *child, char *line, size_t size, uint64_t limit_ns);

/* Copies the last line that the child has written to stderr so far, or "". */
void child_last_error(struct child *child, char *line, size_t size);

bool child_has_ended(struct child *child);

/*
 * Waits until the child ends. When the limit passes first, the child is killed and the result is
 * -ETIMEDOUT.
 */
int child_wait(struct child *child, uint64_t limit_ns);
void child_kill(struct child *child);

/* User and system time of all threads of the child so far. */
uint64_t child_cpu_ns(const struct child *child);

/* Did the child end with this exit code? */
bool child_exited(const struct child *child, int code);

/* Describes how the child ended: "exit code 2", "signal 9 (Killed)". */
void child_describe_end(const struct child *child, char *text, size_t size);

#endif
