/* SPDX-License-Identifier: MIT */
/*
 * Comparison of two cells: ratios of runs that belong together, and what limited their rates.
 *
 * Runs measured in pairs ran one right after the other, and are matched by their pair. Runs of older
 * records, and of two cells that were not in one pair, are matched by the number of their
 * repetition.
 */
#ifndef BENCH_REPORT_PAIRS_H
#define BENCH_REPORT_PAIRS_H

#include "cell/limit.h"
#include "report/report_text.h"

struct report_pairs {
	size_t n;
	double *a, *b;
};

/*
 * Which of the pairs to use. When a cell is selected by its results, one half of the pairs selects
 * it and the other half tests it, so that the selection does not bias the test.
 */
enum report_half { ALL_PAIRS, CHOOSING_HALF, TESTING_HALF };

/*
 * The values of a figure in matching runs that both have it. Runs whose warm-up did not reach a
 * steady rate are left out, unless the figure is a count. report_pairs_free() frees them.
 */
struct report_pairs report_pairs(const struct report_cell *cell, const struct report_cell *base,
				 const struct report_figure *f, enum report_half half);
void report_pairs_free(struct report_pairs *pairs);

/* The shares of one record: as stored in it, or else computed from its other figures. */
struct limit_shares report_shares(json_t *record);

/* The shares of a cell: the medians of its runs. */
struct limit_shares report_cell_shares(const struct report_cell *cell);
enum limit report_limit(const struct report_cell *cell);

/* The result of comparing a figure of one cell with that of another. */
enum report_verdict {
	NOT_COMPARED,
	CLIENT_LIMITED, /* the figure is a rate that the server did not limit: no ratio is given */
	EMULATED_TIME,	/* CPU time of an emulated CPU: no ratio is given */
	TOO_FEW_PAIRS,	/* fewer than STATS_PAIRS_MIN */
	NO_CLAIM,	/* the interval of the ratio includes 1 */
	CLAIM_LESS,	/* the interval is below 1 */
	CLAIM_MORE	/* the interval is above 1 */
};

/* `miss`: see stats_of_pairs(); STATS_MISS for a ratio that is read on its own. */
enum report_verdict report_compare(const struct report_cell *cell, const struct report_cell *base,
				   const struct report_figure *f, double miss, struct ratio *ratio);
enum report_verdict report_compare_half(const struct report_cell *cell,
					const struct report_cell *base,
					const struct report_figure *f, enum report_half half,
					double miss, struct ratio *ratio);

/* Does a comparison with this verdict have a ratio with an interval? */
bool report_has_interval(enum report_verdict verdict);

/*
 * Prints "**1.25** (1.20 to 1.31)", or "1.02 (0.97 to 1.08)" for NO_CLAIM, or the reason why there
 * is no ratio; a dash if there is nothing to compare.
 */
void report_print_ratio(FILE *out, const struct report_cell *cell, const struct report_cell *base,
			const struct report_figure *f, double miss);

/*
 * Prints the confidence level of N intervals that are read together:
 * " (intervals of 95 % for all 12 together, 99.58 % each)".
 */
void report_print_level(FILE *out, size_t n);

#endif
