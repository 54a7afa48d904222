/* SPDX-License-Identifier: MIT */
/*
 * What may be said of two cells: ratios of runs that belong together, and what limited them.
 *
 * Runs in pairs were measured one right after the other, and are matched by the pair. Runs of older
 * records, and of two cells of which neither was the other's partner, are matched by their
 * repetition: one pass over all cells.
 */
#ifndef BENCH_REPORT_PAIRS_H
#define BENCH_REPORT_PAIRS_H

#include "cell/limit.h"
#include "report/report_text.h"

struct report_pairs {
	size_t n;
	double *a, *b;
};

/* Which of the pairs: what is chosen by one half is tested on the other. */
enum report_half { ALL_PAIRS, CHOOSING_HALF, TESTING_HALF };

/*
 * Of runs that both have the figure. Left out, unless the figure is a count: runs whose warm-up never
 * became steady. To be freed by report_pairs_free().
 */
struct report_pairs report_pairs(const struct report_cell *cell, const struct report_cell *base,
				 const struct report_figure *f, enum report_half half);
void report_pairs_free(struct report_pairs *pairs);

/* Of one record: its own word, or computed from what it has. */
struct limit_shares report_shares(json_t *record);

/* Of a cell: the medians of its runs. */
struct limit_shares report_cell_shares(const struct report_cell *cell);
enum limit report_limit(const struct report_cell *cell);

/* What may be said of a figure of one cell over that of another. */
enum report_verdict {
	NOT_COMPARED,
	CLIENT_LIMITED, /* a rate, and not the server's: nothing is said */
	EMULATED_TIME,	/* CPU time of an emulated CPU: nothing is said */
	TOO_FEW_PAIRS,
	NO_CLAIM,
	CLAIM_LESS,
	CLAIM_MORE
};

/* `miss` as in stats.h; STATS_MISS for a ratio that stands alone. */
enum report_verdict report_compare(const struct report_cell *cell, const struct report_cell *base,
				   const struct report_figure *f, double miss, struct ratio *ratio);
enum report_verdict report_compare_half(const struct report_cell *cell,
					const struct report_cell *base,
					const struct report_figure *f, enum report_half half,
					double miss, struct ratio *ratio);

/* Is it a verdict on an interval? */
bool report_has_interval(enum report_verdict verdict);

/*
 * "**1.25** (1.20 to 1.31)", or "1.02 (0.97 to 1.08)" where nothing is claimed, or why there is no
 * ratio; a dash: nothing to compare.
 */
void report_print_ratio(FILE *out, const struct report_cell *cell, const struct report_cell *base,
			const struct report_figure *f, double miss);

/* Of N intervals that are read together: " (intervals of 95 % for all 12 together, 99.58 % each)" */
void report_print_level(FILE *out, size_t n);

#endif
