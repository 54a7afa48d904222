/* SPDX-License-Identifier: MIT */
/* Finds threads of a running process by name and binds them to CPUs. */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include <sys/types.h>

/*
 * Binds every thread with this name to the CPUs of a list such as "0,2-3". Returns the number of
 * threads bound, or -errno. Threads that start later are not bound.
 */
int place_threads(pid_t pid, const char *name, const char *cpus);

#endif
