/* SPDX-License-Identifier: MIT */
/*
 * The cells of a run and their order. If latency at a share of the peak rate is to be measured, the
 * cells that measure the peak come first. Then follow the repetitions; each has all other cells in a
 * random order. With pairs, each cell is next to its own copy of the cell that it is compared with,
 * before or after it at random, so that slow changes of the machine's speed affect both.
 */
#ifndef BENCH_MATRIX_H
#define BENCH_MATRIX_H

#include "cell/cell.h"

#define MATRIX_AXES_MAX	 64
#define MATRIX_BASELINES 2 /* epoll and multishot, of which the better one defines the peak */

struct matrix {
	size_t n;
	struct cell *cells;
};

/* An experiment and the lists whose combinations are its cells. */
struct matrix_axes {
	const struct experiment *experiment;
	struct cell_lists lists;
};

struct matrix_plan {
	size_t n_axes;
	struct matrix_axes axes[MATRIX_AXES_MAX];
	uint64_t repetitions;
	uint64_t peak_repetitions; /* of the baselines epoll and multishot */
	bool self_check;	   /* one self-check per repetition */
	bool overhead;	/* experiments with has_twins: each cell also without the instrument */
	bool asked_for; /* see struct cell */
	bool pairs;	/* measure every cell right before or after the one it is compared with */
	const char *instrument; /* of every cell; see struct cell */
};

/* Fills *matrix. The same seed gives the same order. false: out of memory. matrix_free() frees it. */
bool matrix_make(const struct matrix_plan *plan, uint64_t seed, struct matrix *matrix);
void matrix_free(struct matrix *matrix);

#endif
