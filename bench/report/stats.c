/* SPDX-License-Identifier: MIT */
/* See stats.h. */
#include "report/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- Student's distribution ---- */

#define FRACTION_STEPS 300
#define TINY	       1e-300

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method. */
static double beta_fraction(double x, double a, double b)
{
	double c = 1, d = 1 - (a + b) * x / (a + 1), f;

	d = 1 / (fabs(d) < TINY ? TINY : d);
	f = d;
	for (int m = 1; m <= FRACTION_STEPS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double before = f;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		f *= c * d;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < TINY ? TINY : d);
		c = fabs(c) < TINY ? TINY : c;
		f *= c * d;
		if (fabs(f - before) <= 1e-14 * fabs(f))
			break;
	}
	return f;
}

static double incomplete_beta(double x, double a, double b)
{
	double front;

	if (x <= 0 || x >= 1)
		return x > 0;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(x, a, b) / a;
	return 1 - front * beta_fraction(1 - x, b, a) / b;
}

/* Both tails beyond t. */
static double beyond(double t, double degrees)
{
	return incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5);
}

double stats_student(double degrees, double miss)
{
	double low = 0, high = 1;

	while (beyond(high, degrees) > miss && high < 1e15)
		high *= 2;
	for (int i = 0; i < 200 && high - low > 1e-12 * high; i++) {
		double middle = (low + high) / 2;

		*(beyond(middle, degrees) > miss ? &low : &high) = middle;
	}
	return (low + high) / 2;
}

/* ---- ratios ---- */

struct moments {
	double mean, variance; /* of the values; the variance with n - 1 */
};

static struct moments moments_of(const double *value, size_t n)
{
	struct moments m = { 0, 0 };

	for (size_t i = 0; i < n; i++)
		m.mean += value[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		m.variance += (value[i] - m.mean) * (value[i] - m.mean) / (double)(n - 1);
	return m;
}

static void set_ratio(struct ratio *ratio, size_t n, double mean, double reach)
{
	*ratio = (struct ratio){ n, exp(mean), exp(mean - reach), exp(mean + reach), false };
	ratio->claim = n >= STATS_PAIRS_MIN && (ratio->low > 1 || ratio->high < 1);
}

bool stats_of_logs(const double *log_ratio, size_t n, double miss, struct ratio *ratio)
{
	struct moments m;

	if (n < 2)
		return false;
	m = moments_of(log_ratio, n);
	set_ratio(ratio, n, m.mean,
		  stats_student((double)(n - 1), miss) * sqrt(m.variance / (double)n));
	return true;
}

bool stats_of_pairs(const double *a, const double *b, size_t n, double miss, struct ratio *ratio)
{
	double *log_ratio = calloc(n + 1, sizeof(*log_ratio));
	bool good = true;

	if (!log_ratio)
		abort();
	for (size_t i = 0; i < n; i++) {
		good = good && a[i] > 0 && b[i] > 0;
		log_ratio[i] = good ? log(a[i] / b[i]) : 0;
	}
	good = good && stats_of_logs(log_ratio, n, miss, ratio);
	free(log_ratio);
	return good;
}

bool stats_of_two(const double *log_a, size_t n_a, const double *log_b, size_t n_b, double miss,
		  struct ratio *ratio)
{
	struct moments a, b;
	double of_a, of_b, degrees;

	if (n_a < 2 || n_b < 2)
		return false;
	a = moments_of(log_a, n_a);
	b = moments_of(log_b, n_b);
	of_a = a.variance / (double)n_a;
	of_b = b.variance / (double)n_b;
	degrees = of_a + of_b > 0 ? (of_a + of_b) * (of_a + of_b) /
					    (of_a * of_a / (double)(n_a - 1) +
					     of_b * of_b / (double)(n_b - 1))
				  : (double)(n_a + n_b - 2);
	set_ratio(ratio, n_a < n_b ? n_a : n_b, a.mean - b.mean,
		  stats_student(degrees, miss) * sqrt(of_a + of_b));
	return true;
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
