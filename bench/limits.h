/* SPDX-License-Identifier: MIT */
/* RLIMIT_NOFILE also bounds a ring's table of direct descriptors. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdint.h>

/* Raises the soft limit to the hard one and says so when even that is less than `wanted`. */
void limits_raise(uint64_t wanted);

#endif
