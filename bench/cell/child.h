/* SPDX-License-Identifier: MIT */
/* A program started by the harness: its lines are read with a time limit, it dies with us. */
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
	int status;	   /* of waitpid(), once it has ended */
	uint64_t spent_ns; /* user and system time of it all, once it has ended */
};

enum child_output { CHILD_APART, CHILD_MERGED };

/* 0 or -errno. cpus is a list as taskset(1) takes it, or NULL. */
int child_start(struct child *child, char *const argv[], const char *cpus,
		enum child_output output);

/* Binds the calling thread, and the threads it starts from then on, to such a list. */
bool child_set_cpus(const char *cpus);

/* How many CPUs such a list has, or with NULL, how many this thread may run on; 0: not a list. */
unsigned int child_count_cpus(const char *cpus);

/* Binds another thread, by its id; false when it cannot be. */
bool child_bind_thread(pid_t thread, const char *cpus);

/* One line without its newline: 1; 0 at the end of the output; -ETIMEDOUT; -errno. */
int child_read_line(struct child *child, char *line, size_t size, uint64_t limit_ns);

/* The last line it wrote to stderr so far, or "". */
void child_last_error(struct child *child, char *line, size_t size);

bool child_has_ended(struct child *child);

/* Waits for its end; -ETIMEDOUT, after which it has been killed. */
int child_wait(struct child *child, uint64_t limit_ns);
void child_kill(struct child *child);

/* User and system time of all its threads so far. */
uint64_t child_cpu_ns(const struct child *child);

/* Ended with this exit code? */
bool child_exited(const struct child *child, int code);

/* "exit code 2", "signal 9 (Killed)" */
void child_describe_end(const struct child *child, char *text, size_t size);

#endif
