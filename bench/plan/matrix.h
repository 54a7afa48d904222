/* SPDX-License-Identifier: MIT */
/*
 * Which cells a run has, and in what order: first those that measure the peak, where the latency at
 * a part of it is asked for; then repetitions, every one a shuffled pass over all other cells. In
 * pairs, every cell stands beside a cell of its own that it is compared with, before or after it as
 * chance has it: what the machine does in the meantime, it does to both.
 */
#ifndef BENCH_MATRIX_H
#define BENCH_MATRIX_H

#include "cell/cell.h"

#define MATRIX_AXES_MAX	 64
#define MATRIX_BASELINES 2 /* epoll and multishot: what the peak is taken from */

struct matrix {
	size_t n;
	struct cell *cells;
};

/* All combinations of the lists are cells of the experiment. */
struct matrix_axes {
	const struct experiment *experiment;
	struct cell_lists lists;
};

struct matrix_plan {
	size_t n_axes;
	struct matrix_axes axes[MATRIX_AXES_MAX];
	uint64_t repetitions;
	uint64_t peak_repetitions; /* of the baselines epoll and multishot */
	bool self_check;	   /* one a repetition */
	bool overhead;		   /* cells a second time without the instrument, if has_twins */
	bool asked_for;
	bool pairs;		/* every cell right before or after the one it is compared with */
	const char *instrument; /* of every cell; see cell.h */
};

/* The same seed gives the same order. false: out of memory. */
bool matrix_make(const struct matrix_plan *plan, uint64_t seed, struct matrix *matrix);
void matrix_free(struct matrix *matrix);

#endif
