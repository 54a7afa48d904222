/* SPDX-License-Identifier: MIT */
/* RLIMIT_NOFILE also bounds a ring's table of direct descriptors. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdint.h>

/*
 * Raises RLIMIT_NOFILE: above the hard limit if `wanted` needs that and the process may, otherwise
 * the soft limit to the hard one. Prints a warning if the result is less than `wanted`.
 */
void limits_raise(uint64_t wanted);

#endif
