/* SPDX-License-Identifier: MIT */
/*
 * Decides when a pair of cells has been measured often enough: it is repeated until the confidence
 * interval of its ratio is as narrow as requested.
 */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include "cell/cell.h"

struct pairs {
	double precision; /* requested half width of the 95 % interval of a ratio: 0.03 is 3 % */
	json_t *known;	  /* what was measured, by the name of the pair */
};

bool pairs_init(struct pairs *pairs, double precision);
void pairs_free(struct pairs *pairs);

/*
 * Takes the record of one cell of a pair, also a record of an earlier run that --resume continues.
 */
void pairs_note(struct pairs *pairs, const struct cell *cell, json_t *record);

/* To be called when the kernel or the machine lacks what one cell of the pair needs. */
void pairs_give_up(struct pairs *pairs, const struct cell *cell);

/*
 * Can further repetitions of the cell's pair be skipped, because its ratio is precise enough or
 * cannot be measured? Never true for a cell without a pair, nor when only one of the two cells has
 * been measured in this repetition.
 */
bool pairs_settled(const struct pairs *pairs, const struct cell *cell);

/* Counts the pairs that can be measured here, and those of them that are precise enough. */
void pairs_count(const struct pairs *pairs, size_t *all, size_t *precise);

#endif
