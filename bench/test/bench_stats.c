/* SPDX-License-Identifier: MIT */
/* Tests the statistics with artificial samples whose results are known. */
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

/* Of the tables of Student's distribution. */
static void test_student(void)
{
	static const struct {
		double degrees, miss, t;
	} table[] = {
		{ 1, 0.05, 12.7062 },  { 2, 0.05, 4.30265 },	{ 4, 0.05, 2.77645 },
		{ 9, 0.05, 2.26216 },  { 9, 0.01, 3.24984 },	{ 14, 0.001, 4.14045 },
		{ 30, 0.05, 2.04227 }, { 1000, 0.05, 1.96234 },
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		double t = stats_student(table[i].degrees, table[i].miss);

		CHECK(fabs(t - table[i].t) < 2e-5 * table[i].t, ": %.0f degrees, %.3f: %.5f",
		      table[i].degrees, table[i].miss, t);
	}
}

static void test_no_difference(void)
{
	const double a[] = { 100, 103, 98, 101, 99, 102, 97, 100 };
	const double b[] = { 99, 102, 100, 98, 103, 97, 101, 100 };
	struct ratio r;

	CHECK(stats_of_pairs(a, b, COUNT(a), STATS_MISS, &r));
	CHECK(r.low < 1 && r.high > 1 && !r.claim && r.n == 8);
}

/* Runs drift by far more than the two differ: the pairs do not. */
static void test_drift(void)
{
	double a[10], b[10];
	struct ratio r;

	for (int i = 0; i < 10; i++) {
		b[i] = 100 * pow(1.2, i) * (i % 2 ? 1.004 : 0.996);
		a[i] = 105 * pow(1.2, i);
	}
	CHECK(stats_of_pairs(a, b, 10, STATS_MISS, &r));
	CHECK(r.claim && fabs(r.value - 1.05) < 0.001 && r.low > 1.04 && r.high < 1.06);
}

/* Few pairs give an interval and no claim; what is no pair of two figures gives nothing. */
static void test_too_few(void)
{
	const double a[] = { 200, 201, 202, 203, 204, 205, 206 }, b[] = { 1, 1, 1, 1, 1, 1, 1 };
	const double zero[] = { 1, 1, 0, 1, 1, 1, 1 };
	struct ratio r;

	CHECK(COUNT(a) < STATS_PAIRS_MIN);
	CHECK(stats_of_pairs(a, b, COUNT(a), STATS_MISS, &r) && r.low > 100 && !r.claim);
	CHECK(!stats_of_pairs(a, b, 1, STATS_MISS, &r));
	CHECK(!stats_of_pairs(a, b, 0, STATS_MISS, &r));
	CHECK(!stats_of_pairs(a, zero, COUNT(a), STATS_MISS, &r));
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

/* A machine that drifts: how fast it is now has much of how fast it was in the run before. */
static double drift(double before, uint64_t *rng)
{
	return 0.61 * before + bell(rng) - 100;
}

/* How many of `tries` intervals hold the true ratio; *claims: of how many 1 is outside. */
static unsigned int cover(double (*make)(uint64_t *rng), size_t n, double truth, double miss,
			  unsigned int tries, unsigned int *claims)
{
	uint64_t rng = 42;
	unsigned int covered = 0;

	*claims = 0;
	for (unsigned int t = 0; t < tries; t++) {
		double a[20], b[20], machine = 0;
		struct ratio r;

		for (size_t i = 0; i < n; i++) {
			machine = drift(machine, &rng);
			a[i] = (make(&rng) + machine) * truth;
			b[i] = make(&rng) + machine;
		}
		CHECK(stats_of_pairs(a, b, n, miss, &r));
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
	const unsigned int tries = 1000;

	for (size_t m = 0; m < COUNT(makers); m++) {
		unsigned int claims,
			covered = cover(makers[m], STATS_PAIRS_MIN, 1, STATS_MISS, tries, &claims);

		printf("%-10s covered %u of %u, false claims %u\n", maker_names[m], covered, tries,
		       claims);
		CHECK(covered + claims == tries);
		CHECK(covered >= tries * 93 / 100, ": %u of %u", covered, tries);
	}
}

/* Many ratios of one table: at the corrected level hardly a table has a false claim. */
static void test_many(void)
{
	const unsigned int tables = 100, ratios = 20;
	unsigned int plain = 0, corrected = 0;
	uint64_t rng = 5;

	for (unsigned int t = 0; t < tables; t++) {
		bool any_plain = false, any_corrected = false;

		for (unsigned int k = 0; k < ratios; k++) {
			double a[10], b[10];
			struct ratio r;

			for (size_t i = 0; i < 10; i++) {
				a[i] = bell(&rng);
				b[i] = bell(&rng);
			}
			CHECK(stats_of_pairs(a, b, 10, STATS_MISS, &r));
			any_plain = any_plain || r.claim;
			CHECK(stats_of_pairs(a, b, 10, STATS_MISS / ratios, &r));
			any_corrected = any_corrected || r.claim;
		}
		plain += any_plain;
		corrected += any_corrected;
	}
	printf("tables with a false claim: %u of %u, at the corrected level %u\n", plain, tables,
	       corrected);
	CHECK(plain > 40 && corrected <= 10, ": %u and %u", plain, corrected);
}

/* A difference that is there is found, and the larger, the surer. */
static void test_power(void)
{
	unsigned int half, none, all;

	CHECK(cover(bell, 8, 1.5, STATS_MISS, 100, &all) >= 90 && all == 100, ": %u", all);
	CHECK(cover(bell, 8, 1.06, STATS_MISS, 100, &half) >= 90);
	cover(bell, 8, 1, STATS_MISS, 100, &none);
	CHECK(none < half && half < all, ": %u %u %u", none, half, all);
}

/* What `accept-bench compare` asks: two runs of the same two things. */
static void test_two(void)
{
	unsigned int covered = 0, tries = 1000;
	uint64_t rng = 7;
	struct ratio r;

	for (unsigned int t = 0; t < tries; t++) {
		double log_a[8], log_b[12];

		for (size_t i = 0; i < 8; i++)
			log_a[i] = log(bell(&rng) * 1.7 / bell(&rng));
		for (size_t i = 0; i < 12; i++)
			log_b[i] = log(bell(&rng) * 1.7 / bell(&rng));
		CHECK(stats_of_two(log_a, 8, log_b, 12, STATS_MISS, &r));
		covered += !r.claim;
	}
	CHECK(covered >= tries * 93 / 100 && covered < tries, ": %u of %u", covered, tries);
	CHECK(!stats_of_two((double[]){ 1 }, 1, (double[]){ 1, 2 }, 2, STATS_MISS, &r));
	CHECK(stats_of_two((double[]){ 1, 1 }, 2, (double[]){ 0, 0 }, 2, STATS_MISS, &r));
	CHECK(fabs(r.value - M_E) < 1e-9 && !r.claim);
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
	test_student();
	test_drift();
	test_too_few();
	test_coverage();
	test_many();
	test_power();
	test_two();
	test_by_chance();
	test_hist();
	test_rng();
	return check_end();
}
