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

#define MATRIX_AXES_MAX	 24
#define MATRIX_BASELINES 2 /* epoll and multishot: what the peak is taken from */

struct matrix {
	size_t n;
	struct cell *cells;
};

/* All combinations of these are cells of one experiment. A list of none is one item, the default.
 */
struct matrix_axes {
	enum cell_experiment experiment;
	struct count_list accepts; /* indices into matrix_accepts */
	struct count_list workers;
	struct count_list fd_tables; /* indices into matrix_fd_tables */
	struct count_list loads;     /* indices into cell_loads */
	struct count_list open_fds;
	struct count_list neighbours;
	struct count_list levels;	 /* enum cell_level */
	struct count_list rate_percents; /* of the peak */
};

struct matrix_plan {
	size_t n_axes;
	struct matrix_axes axes[MATRIX_AXES_MAX];
	uint64_t repetitions;
	uint64_t peak_repetitions; /* of the baselines epoll and multishot */
	bool self_check;	   /* one a repetition */
	bool overhead;		   /* the cells of "paths" a second time, without the instrument */
	bool asked_for;
	bool pairs;		/* every cell right before or after the one it is compared with */
	const char *instrument; /* of every cell; see cell.h */
};

extern const char *const matrix_accepts[];
extern const char *const matrix_fd_tables[];

/* The same seed gives the same order. false: out of memory. */
bool matrix_make(const struct matrix_plan *plan, uint64_t seed, struct matrix *matrix);
void matrix_free(struct matrix *matrix);

#endif
