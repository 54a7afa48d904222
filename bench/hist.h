/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times in nanoseconds with the bucket layout of HDR histograms: every power of two
 * is cut into 128 equal parts, so a value read back is within 0.8 % of the value put in, from 1 ns
 * to 2^42 ns (73 minutes); what is longer counts as the longest.
 *
 * Written out here because Debian 12 has no package of the C library; it is a page.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 7
#define HIST_TOP_BIT  42
#define HIST_BUCKETS  ((HIST_TOP_BIT - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

struct hist {
	uint64_t n;
	uint64_t sum;
	uint64_t min, max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_clear(struct hist *hist);
void hist_add(struct hist *hist, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);

/* The smallest value that at least `share` (0 to 1) of the values do not exceed; 0 when empty. */
uint64_t hist_quantile(const struct hist *hist, double share);

#endif
