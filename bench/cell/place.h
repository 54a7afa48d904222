/* SPDX-License-Identifier: MIT */
/* Threads of a running process, found by their name and bound to CPUs. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <sys/types.h>

/*
 * Binds every thread of that name to the CPUs of the list, as in 0,2-3; how many there were, or -errno.
 * Threads that start later stay where they are.
 */
int place_threads(pid_t pid, const char *name, const char *cpus);

#endif
