/* SPDX-License-Identifier: MIT */
/* Statistics on made-up samples with known answers. */
#include "check.h"
#include "load/hist.h"
#include "rng.h"
#include "report/stats.h"

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

/* Made-up runs around 100: even, bell-shaped, with a long tail, and with two speeds. */
static double even(uint64_t *rng)
{
	return 90 + (double)rng_below(rng, 20000) / 1000;
}

static double bell(uint64_t *rng)
{
	double sum = 0;

	for (int i = 0; i < 12; i++)
		sum += (double)rng_below(rng, 1000000) / 1e6;
	return 100 + 5 * (sum - 6);
}

static double long_tail(uint64_t *rng)
{
	return 100 * exp((bell(rng) - 100) / 5 * 0.2);
}

static double two_speeds(uint64_t *rng)
{
	return (rng_below(rng, 4) ? 100 : 80) + (double)rng_below(rng, 4000) / 1000 - 2;
}

static double (*const makers[])(uint64_t *rng) = { even, bell, long_tail, two_speeds };
static const char *const maker_names[] = { "even", "bell", "long tail", "two speeds" };

/* How many of `tries` intervals hold the true ratio; *claims: of how many 1 is outside. */
static unsigned int cover(double (*make)(uint64_t *rng), size_t n, double truth, unsigned int tries,
			  unsigned int *claims)
{
	uint64_t rng = 42;
	unsigned int covered = 0;

	*claims = 0;
	for (unsigned int t = 0; t < tries; t++) {
		double a[20], b[20];
		struct ratio r;

		for (size_t i = 0; i < n; i++) {
			a[i] = make(&rng) * truth;
			b[i] = make(&rng);
		}
		CHECK(stats_ratio(a, n, b, n, t, &r));
		covered += r.low <= truth && truth <= r.high;
		*claims += r.claim;
	}
	return covered;
}

/*
 * "95 %" is a promise: it is counted. Where nothing differs, the claims are the intervals that
 * fail.
 */
static void test_coverage(void)
{
	const unsigned int tries = 200;

	for (size_t m = 0; m < COUNT(makers); m++) {
		size_t n = m ? STATS_CLAIM_MIN : 20;
		unsigned int claims, covered = cover(makers[m], n, 1, tries, &claims);

		printf("%-10s n=%-2zu covered %u of %u, false claims %u\n", maker_names[m], n,
		       covered, tries, claims);
		CHECK(covered + claims == tries);
		CHECK(covered >= tries * 93 / 100, ": %u of %u", covered, tries);
	}
}

/* A difference that is there is found, and the larger, the surer. */
static void test_power(void)
{
	unsigned int half, none, all;

	CHECK(cover(bell, 5, 1.5, 100, &all) >= 90 && all == 100, ": %u", all);
	CHECK(cover(bell, 5, 1.1, 100, &half) >= 90);
	cover(bell, 5, 1, 100, &none);
	CHECK(none < half && half < all, ": %u %u %u", none, half, all);
}

static void test_ratio_of_ratios(void)
{
	const double a[] = { 200, 206, 196, 202, 198 }, b[] = { 100, 103, 98, 101, 99 };
	const double c[] = { 400, 412, 392, 404, 396 }, d[] = { 200, 206, 196, 202, 198 };
	struct ratio r;

	CHECK(stats_ratio_of_ratios((struct sample[]){ { a, 5 }, { b, 5 }, { c, 5 }, { d, 5 } }, 1,
				    &r));
	CHECK(r.value == 1 && r.low < 1 && r.high > 1 && !r.claim);
	CHECK(stats_ratio_of_ratios((struct sample[]){ { a, 5 }, { b, 5 }, { b, 5 }, { d, 5 } }, 1,
				    &r));
	CHECK(r.value == 4 && r.low > 3.5 && r.high < 4.5 && r.claim);
	CHECK(!stats_ratio_of_ratios((struct sample[]){ { a, 5 }, { b, 0 }, { b, 5 }, { d, 5 } }, 1,
				     &r));
}

/* What `accept-bench compare` asks: two runs of the same two things. */
static void test_ratio_of_ratios_coverage(void)
{
	unsigned int covered = 0, tries = 100;
	uint64_t rng = 7;

	for (unsigned int t = 0; t < tries; t++) {
		double v[4][5];
		struct sample s[4];
		struct ratio r;

		for (size_t k = 0; k < 4; k++) {
			for (size_t i = 0; i < 5; i++)
				v[k][i] = bell(&rng) * (k % 2 ? 1 : 1.7);
			s[k] = (struct sample){ v[k], 5 };
		}
		CHECK(stats_ratio_of_ratios(s, t, &r));
		covered += !r.claim;
	}
	CHECK(covered >= 92, ": %u of %u", covered, tries);
}

static void test_by_chance(void)
{
	CHECK(stats_by_chance(0, 0.05) == 0);
	CHECK(stats_by_chance(1, 0.05) == 1);
	CHECK(stats_by_chance(1, 0.001) == 0);
	CHECK(stats_by_chance(100, 0.05) == 11); /* of the binomial distribution's tables */
	CHECK(stats_by_chance(20, 0.05) == 4);
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
	hist_add(hist,
		 UINT64_MAX / 2); /* counts as the longest, but what it was is not forgotten */
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
	test_coverage();
	test_power();
	test_ratio_of_ratios();
	test_ratio_of_ratios_coverage();
	test_by_chance();
	test_hist();
	test_rng();
	return check_end();
}
