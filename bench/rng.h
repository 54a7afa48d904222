/* SPDX-License-Identifier: MIT */
/*
 * splitmix64: a pseudo-random generator with one 64-bit state. A seed gives the same sequence on
 * every machine. Not for cryptography.
 */
#ifndef BENCH_RNG_H
#define BENCH_RNG_H

#include <stdint.h>

static inline uint64_t rng_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* 0 <= result < bound, without the bias of a plain modulo. */
static inline uint64_t rng_below(uint64_t *state, uint64_t bound)
{
	uint64_t reject = -bound % bound;
	uint64_t value;

	do
		value = rng_next(state);
	while (value < reject);
	return value % bound;
}

#endif
