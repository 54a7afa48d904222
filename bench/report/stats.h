/* SPDX-License-Identifier: MIT */
/* Medians, spread, and confidence intervals of ratios. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * With fewer pairs no claim is made: the interval would be correct on average, but a single stall of
 * the machine could shift it entirely.
 */
#define STATS_PAIRS_MIN 8

/* The probability that an interval does not contain the true value, for a level of 95 %. */
#define STATS_MISS 0.05

struct summary {
	size_t n;
	double median, min, max;
};

/* The geometric mean of ratios, and its confidence interval. */
struct ratio {
	size_t n; /* number of pairs */
	double value, low, high;
	bool claim; /* there are enough pairs, and the interval does not contain 1 */
};

double stats_median(const double *values, size_t n); /* NaN when n is 0 */
struct summary stats_summary(const double *values, size_t n);

/*
 * The mean ratio a[i] / b[i] and its interval: Student's t interval of the mean of the logarithms. The
 * interval misses the true ratio with the probability `miss`. If m ratios are read together, pass
 * STATS_MISS / m for each, so that all intervals are correct in at least 95 % of all cases
 * (Bonferroni correction). The test bench_stats checks how often they are. stats_of_logs() does the
 * same from the logarithms of the ratios.
 *
 * false: fewer than two pairs, or a number that is not positive.
 */
bool stats_of_pairs(const double *a, const double *b, size_t n, double miss, struct ratio *ratio);
bool stats_of_logs(const double *log_ratio, size_t n, double miss, struct ratio *ratio);

/* The ratio of two independent ratios, from the logarithms of their pairs, by Welch's t interval. */
bool stats_of_two(const double *log_a, size_t n_a, const double *log_b, size_t n_b, double miss,
		  struct ratio *ratio);

/* The two-sided critical value of Student's t: |t| exceeds it with the probability `miss`. */
double stats_student(double degrees, double miss);

/*
 * An upper bound for false positives: of `n` independent tests with the error probability `level`
 * each, at most this many fail by chance with a probability of 99 %.
 */
size_t stats_by_chance(size_t n, double level);

#endif
