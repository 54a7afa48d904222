/* SPDX-License-Identifier: MIT */
/* Which cells a run has, and in what order: every repetition is a shuffled pass over all of them.
 */
#ifndef BENCH_MATRIX_H
#define BENCH_MATRIX_H

#include "cell.h"

struct matrix {
	size_t n;
	struct cell *cells;
};

struct matrix_axes {
	struct count_list accepts; /* indices into matrix_accepts */
	struct count_list workers;
	struct count_list fd_tables; /* indices into matrix_fd_tables */
	struct count_list loads;     /* indices into cell_loads */
	uint64_t repetitions;
	bool self_check; /* one a repetition */
	bool overhead;	 /* every cell a second time, without the instrument */
	bool asked_for;
};

extern const char *const matrix_accepts[];
extern const char *const matrix_fd_tables[];

/* The same seed gives the same order. false: out of memory. */
bool matrix_make(const struct matrix_axes *axes, uint64_t seed, struct matrix *matrix);
void matrix_free(struct matrix *matrix);

#endif
