/* SPDX-License-Identifier: MIT */
/* Medians, spread, and what may be claimed of a ratio. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fewer pairs, and nothing is claimed: an interval of a few is right on average, but one stall of the
 * machine moves all of it.
 */
#define STATS_PAIRS_MIN 8

/* How often an interval may miss what it is of: 95 %. */
#define STATS_MISS 0.05

struct summary {
	size_t n;
	double median, min, max;
};

/* The geometric mean of ratios, and its interval. */
struct ratio {
	size_t n; /* pairs */
	double value, low, high;
	bool claim; /* enough pairs, and 1 is outside of the interval */
};

double stats_median(const double *values, size_t n); /* NaN when n is 0 */
struct summary stats_summary(const double *values, size_t n);

/*
 * Of the pairs a[i] / b[i]: Student's interval of the mean of their logarithms, which misses the true
 * ratio in `miss` of all cases. Of m ratios that are read together, each is given STATS_MISS / m, so
 * that all of them hold in 95 % of all cases (Bonferroni). bench_stats counts how often they do.
 *
 * false: fewer than two pairs, or one that is not of two positive numbers.
 */
bool stats_of_pairs(const double *a, const double *b, size_t n, double miss, struct ratio *ratio);
bool stats_of_logs(const double *log_ratio, size_t n, double miss, struct ratio *ratio);

/* The ratio of two ratios that were measured apart, from the logarithms of their pairs (Welch). */
bool stats_of_two(const double *log_a, size_t n_a, const double *log_b, size_t n_b, double miss,
		  struct ratio *ratio);

/* Student's t that is exceeded, to both sides together, with the probability `miss`. */
double stats_student(double degrees, double miss);

/* The most of `n` independent tests at `level` that fail by chance in 99 of 100 cases. */
size_t stats_by_chance(size_t n, double level);

#endif
