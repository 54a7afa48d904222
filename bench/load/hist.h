/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times in nanoseconds: an HDR histogram (libhdr-histogram) with three significant
 * digits, from 1 ns to 2^42 ns (73 minutes); longer times are counted as the maximum. The counts are
 * part of the struct, so that nothing is allocated while connections are timed. Number, sum, minimum
 * and maximum are kept separately because the library rounds them.
 *
 * Must not be copied by assignment: the library's part has pointers into the struct.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <hdr/hdr_histogram.h>
#include <stdint.h>

#define HIST_DIGITS  3
#define HIST_HIGHEST ((INT64_C(1) << 42) - 1)
#define HIST_COUNTS  33792 /* size the library needs for these two values; checked in hist_clear() */

struct hist {
	uint64_t n;
	uint64_t sum;
	uint64_t min, max;
	struct hdr_histogram hdr;
	int64_t counts[HIST_COUNTS];
};

void hist_clear(struct hist *hist);
void hist_add(struct hist *hist, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);

/*
 * The quantile for `share` (0 to 1), by the nearest-rank method. It is rounded up to the largest
 * value with the same three digits, but not above the maximum. 0 when the histogram is empty.
 */
uint64_t hist_quantile(const struct hist *hist, double share);

#endif
