/* SPDX-License-Identifier: MIT */
/* Medians, spread, and what may be claimed of a ratio. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With fewer runs a side, resampling says little about the next run, and nothing is claimed. */
#define STATS_CLAIM_MIN 5

struct summary {
	size_t n;
	double median, min, max;
};

/* Of median(a) / median(b), 95 %. */
struct ratio {
	double value, low, high;
	bool claim; /* enough runs, and 1 is outside of the interval */
};

struct sample {
	const double *value;
	size_t n;
};

double stats_median(const double *values, size_t n); /* NaN when n is 0 */
struct summary stats_summary(const double *values, size_t n);

/*
 * The interval is the percentile bootstrap's. bench_stats counts how often it holds the true ratio:
 * with five runs a side, in 95 to 97 of 100 cases.
 *
 * The same samples and seed give the same interval. false when a side is empty or has a median 0.
 */
bool stats_ratio(const double *a, size_t n_a, const double *b, size_t n_b, uint64_t seed,
		 struct ratio *ratio);

/* The same of (s[0] / s[1]) / (s[2] / s[3]): does a ratio differ between two runs? */
bool stats_ratio_of_ratios(const struct sample s[4], uint64_t seed, struct ratio *ratio);

/* The most of `n` independent tests at `level` that fail by chance in 99 of 100 cases. */
size_t stats_by_chance(size_t n, double level);

#endif
