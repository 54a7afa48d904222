/* SPDX-License-Identifier: MIT */
/* Statistics on made-up samples with known answers. */
#include "check.h"
#include "hist.h"
#include "rng.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_summary(void)
{
	const double odd[] = { 3, 1, 2 }, even[] = { 4, 1, 3, 2 }, one[] = { 7 };
	struct summary s = stats_summary(odd, COUNT(odd));

	CHECK(s.n == 3 && s.median == 2 && s.min == 1 && s.max == 3);
	CHECK(stats_median(even, COUNT(even)) == 2.5);
	CHECK(stats_summary(one, 1).median == 7);
	CHECK(isnan(stats_median(NULL, 0)));
	CHECK(stats_summary(NULL, 0).n == 0);
	CHECK(odd[0] == 3); /* the samples are left as they were */
}

static void test_no_difference(void)
{
	const double a[] = { 100, 103, 98, 101, 99, 102, 97 };
	const double b[] = { 99, 102, 100, 98, 103, 97, 101 };
	struct ratio r;

	CHECK(stats_ratio(a, COUNT(a), b, COUNT(b), 1, &r));
	CHECK(r.value == 1);
	CHECK(r.low < 1 && r.high > 1);
	CHECK(!r.claim);
}

static void test_clear_difference(void)
{
	const double a[] = { 200, 206, 196, 202, 198, 204, 194 };
	const double b[] = { 100, 103, 98, 101, 99, 102, 97 };
	struct ratio r;

	CHECK(stats_ratio(a, COUNT(a), b, COUNT(b), 1, &r));
	CHECK(r.value == 2);
	CHECK(r.low > 1.9 && r.low <= 2 && r.high < 2.1 && r.high >= 2);
	CHECK(r.claim);
	CHECK(stats_ratio(b, COUNT(b), a, COUNT(a), 1, &r));
	CHECK(r.value == 0.5 && r.high < 1 && r.claim);
}

static void test_too_few(void)
{
	const double a[] = { 200, 201, 202, 203 }, b[] = { 1, 2, 3, 4, 5 }, zero[] = { 0, 0, 0 };
	struct ratio r;

	CHECK(stats_ratio(a, COUNT(a), b, COUNT(b), 1, &r) && !r.claim);
	CHECK(!stats_ratio(a, 0, b, COUNT(b), 1, &r));
	CHECK(!stats_ratio(a, COUNT(a), b, 0, 1, &r));
	CHECK(!stats_ratio(a, COUNT(a), zero, COUNT(zero), 1, &r));
}

static void test_same_seed(void)
{
	const double a[] = { 1.1, 1.2, 0.9, 1.0, 1.3 }, b[] = { 1.0, 0.8, 1.1, 1.2, 0.9 };
	struct ratio r, s;

	stats_ratio(a, COUNT(a), b, COUNT(b), 7, &r);
	stats_ratio(a, COUNT(a), b, COUNT(b), 7, &s);
	CHECK(r.low == s.low && r.high == s.high);
}

/* Of many pairs of samples from one distribution, few may be called different. */
static void test_false_claims(void)
{
	uint64_t rng = 42;
	unsigned int claims = 0, tries = 40;

	for (unsigned int t = 0; t < tries; t++) {
		double a[10], b[10];
		struct ratio r;

		for (size_t i = 0; i < 10; i++) {
			a[i] = 100 + (double)rng_below(&rng, 1000) / 100;
			b[i] = 100 + (double)rng_below(&rng, 1000) / 100;
		}
		stats_ratio(a, 10, b, 10, t, &r);
		claims += r.claim;
	}
	CHECK(claims <= 6, ": %u of %u", claims, tries);
}

static void test_hist(void)
{
	struct hist *hist = malloc(2 * sizeof(*hist)), *other = hist + 1;

	hist_clear(hist);
	hist_clear(other);
	CHECK(hist_quantile(hist, 0.5) == 0);
	for (uint64_t v = 1; v <= 100000; v++)
		hist_add(v % 2 ? hist : other, v * 1000);
	hist_merge(hist, other);
	CHECK(hist->n == 100000 && hist->min == 1000 && hist->max == 100000000);
	CHECK(hist->sum == 5000050000000);
	for (double share = 0.01; share < 1; share += 0.01) {
		double want = share * 100000 * 1000, got = (double)hist_quantile(hist, share);

		CHECK(fabs(got - want) / want < 0.0011, ": %.2f: %.0f", share, got);
	}
	CHECK(hist_quantile(hist, 1) == 100000000);
	CHECK(hist_quantile(hist, 0) <= 1000);
	hist_add(hist, UINT64_MAX / 2); /* counts as the longest, but what it was is not forgotten */
	CHECK(hist->max == UINT64_MAX / 2 && hist_quantile(hist, 1) == HIST_HIGHEST);
	for (uint64_t v = 0; v < 4000; v++) { /* small values are kept exactly */
		hist_clear(hist);
		hist_add(hist, v);
		hist_add(hist, UINT32_MAX);
		CHECK(hist_quantile(hist, 0.5) == (v < 2048 ? v : v | 1));
	}
	free(hist);
}

static void test_rng(void)
{
	uint64_t a = 1, b = 1, seen[10] = { 0 };

	for (int i = 0; i < 10000; i++) {
		uint64_t v = rng_below(&a, 10);

		CHECK(v < 10 && v == rng_below(&b, 10));
		seen[v]++;
	}
	for (int i = 0; i < 10; i++)
		CHECK(seen[i] > 850 && seen[i] < 1150, ": %d: %llu", i,
		      (unsigned long long)seen[i]);
}

int main(void)
{
	test_summary();
	test_no_difference();
	test_clear_difference();
	test_too_few();
	test_same_seed();
	test_false_claims();
	test_hist();
	test_rng();
	return check_end();
}
