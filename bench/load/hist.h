/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times in nanoseconds: an HDR histogram (libhdr-histogram) of three significant
 * figures, from 1 ns to 2^42 ns (73 minutes); what is longer counts as the longest. Its counts are
 * part of the struct, so that nothing is allocated while connections are timed; number, sum,
 * smallest and largest are kept beside it because the library keeps them rounded.
 *
 * Not to be copied by assignment: the library's part points into the struct.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <hdr/hdr_histogram.h>
#include <stdint.h>

#define HIST_DIGITS  3
#define HIST_HIGHEST ((INT64_C(1) << 42) - 1)
#define HIST_COUNTS  33792 /* what the library asks for, for these two; checked in hist_clear() */

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
 * The value that a share (0 to 1) of the values do not exceed, by the nearest rank, as the largest
 * value with the same three figures; never above the largest there was. 0 when empty.
 */
uint64_t hist_quantile(const struct hist *hist, double share);

#endif
