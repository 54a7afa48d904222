/* SPDX-License-Identifier: MIT */
/*
 * How well the ratios of a run are known by now, pair by pair: a pair of cells is measured again and
 * again until its ratio is known as precisely as was asked for.
 */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include "cell/cell.h"

struct pairs {
	double precision; /* of a ratio, as in 0.03: its 95 % interval reaches so far to each side */
	json_t *known;
};

bool pairs_init(struct pairs *pairs, double precision);
void pairs_free(struct pairs *pairs);

/* One cell of a pair was measured: its record, also one of an earlier run that is gone on with. */
void pairs_note(struct pairs *pairs, const struct cell *cell, json_t *record);

/* The kernel or the machine lacks what one of the two needs. */
void pairs_give_up(struct pairs *pairs, const struct cell *cell);

/*
 * Is nothing more to be learnt of the cell's pair? Never true of a cell without one, nor between the
 * two cells of a pair.
 */
bool pairs_settled(const struct pairs *pairs, const struct cell *cell);

/* How many pairs there were, and how many of them are settled by their precision. */
void pairs_count(const struct pairs *pairs, size_t *all, size_t *precise);

#endif
