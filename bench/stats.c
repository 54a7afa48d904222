/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "stats.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 10000

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_in_place(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double stats_median(const double *values, size_t n)
{
	double *copy, median;

	if (!n)
		return NAN;
	copy = malloc(n * sizeof(*copy));
	if (!copy)
		abort();
	memcpy(copy, values, n * sizeof(*copy));
	median = median_in_place(copy, n);
	free(copy);
	return median;
}

struct summary stats_summary(const double *values, size_t n)
{
	struct summary summary = { n, stats_median(values, n), NAN, NAN };

	for (size_t i = 0; i < n; i++) {
		summary.min = i && summary.min < values[i] ? summary.min : values[i];
		summary.max = i && summary.max > values[i] ? summary.max : values[i];
	}
	return summary;
}

static double resample(const double *values, size_t n, double *scratch, uint64_t *rng)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = values[rng_below(rng, n)];
	return median_in_place(scratch, n);
}

bool stats_ratio(const double *a, size_t n_a, const double *b, size_t n_b, uint64_t seed,
		 struct ratio *ratio)
{
	double *ratios, *scratch;
	size_t kept = 0;

	if (!n_a || !n_b || stats_median(b, n_b) <= 0)
		return false;
	ratios = malloc(RESAMPLES * sizeof(*ratios));
	scratch = malloc((n_a > n_b ? n_a : n_b) * sizeof(*scratch));
	if (!ratios || !scratch)
		abort();
	for (size_t i = 0; i < RESAMPLES; i++) {
		double top = resample(a, n_a, scratch, &seed);
		double bottom = resample(b, n_b, scratch, &seed);

		if (bottom > 0)
			ratios[kept++] = top / bottom;
	}
	qsort(ratios, kept, sizeof(*ratios), compare);
	ratio->value = stats_median(a, n_a) / stats_median(b, n_b);
	ratio->low = ratios[(size_t)(0.025 * (double)(kept - 1))];
	ratio->high = ratios[(size_t)ceil(0.975 * (double)(kept - 1))];
	ratio->claim = n_a >= STATS_CLAIM_MIN && n_b >= STATS_CLAIM_MIN && kept == RESAMPLES &&
		       (ratio->low > 1 || ratio->high < 1);
	free(scratch);
	free(ratios);
	return true;
}
