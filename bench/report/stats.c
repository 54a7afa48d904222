/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "report/stats.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RESAMPLES 10000
#define LEFT_OUT  0.025 /* of the resamples, at either end */

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

static double resample(const struct sample *sample, double *scratch, uint64_t *rng)
{
	for (size_t i = 0; i < sample->n; i++) {
		double value = sample->value[rng_below(rng, sample->n)];
		size_t k = i;

		for (; k && scratch[k - 1] > value; k--) /* sorted as it grows: samples are small */
			scratch[k] = scratch[k - 1];
		scratch[k] = value;
	}
	return sample->n % 2 ? scratch[sample->n / 2]
			     : (scratch[sample->n / 2 - 1] + scratch[sample->n / 2]) / 2;
}

static size_t longest(const struct sample *s, size_t n)
{
	size_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = s[i].n > most ? s[i].n : most;
	return most;
}

/* s[0] / s[1], over s[2] / s[3] if there are four: odd ones below the line, the second pair turned
 */
static double one_ratio(const struct sample *s, size_t n, double *scratch, uint64_t *rng)
{
	double ratio = 1;

	for (size_t i = 0; i < n; i++) {
		double m = rng ? resample(&s[i], scratch, rng) : stats_median(s[i].value, s[i].n);

		ratio = i == 0 || i == 3 ? ratio * m : ratio / m;
	}
	return ratio;
}

static bool bootstrap(const struct sample *s, size_t n, uint64_t seed, struct ratio *ratio)
{
	double *ratios, *scratch;
	bool enough = true;

	for (size_t i = 0; i < n; i++) {
		if (!s[i].n || !(stats_median(s[i].value, s[i].n) > 0))
			return false;
		enough = enough && s[i].n >= STATS_CLAIM_MIN;
	}
	ratios = malloc(RESAMPLES * sizeof(*ratios));
	scratch = malloc(longest(s, n) * sizeof(*scratch));
	if (!ratios || !scratch)
		abort();
	for (size_t i = 0; i < RESAMPLES; i++) {
		ratios[i] = one_ratio(s, n, scratch, &seed);
		if (!isfinite(ratios[i])) /* half of the runs of some resample were 0 */
			ratios[i] = INFINITY;
	}
	qsort(ratios, RESAMPLES, sizeof(*ratios), compare);
	ratio->value = one_ratio(s, n, scratch, NULL);
	ratio->low = ratios[(size_t)(LEFT_OUT * (RESAMPLES - 1))];
	ratio->high = ratios[(size_t)ceil((1 - LEFT_OUT) * (RESAMPLES - 1))];
	ratio->claim = enough && isfinite(ratio->high) && (ratio->low > 1 || ratio->high < 1);
	free(scratch);
	free(ratios);
	return true;
}

bool stats_ratio(const double *a, size_t n_a, const double *b, size_t n_b, uint64_t seed,
		 struct ratio *ratio)
{
	return bootstrap((struct sample[]){ { a, n_a }, { b, n_b } }, 2, seed, ratio);
}

bool stats_ratio_of_ratios(const struct sample s[4], uint64_t seed, struct ratio *ratio)
{
	return bootstrap(s, 4, seed, ratio);
}

size_t stats_by_chance(size_t n, double level)
{
	double each = pow(1 - level, (double)n), sum = each;
	size_t k = 0;

	for (; k < n && sum < 0.99; k++) {
		each *= (double)(n - k) / (double)(k + 1) * level / (1 - level);
		sum += each;
	}
	return k;
}
