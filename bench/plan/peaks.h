/* SPDX-License-Identifier: MIT */
/*
 * The peak that rates of an open loop are parts of: the connections per second, closed loop, of the
 * best baseline in this run. It is measured before all other cells.
 */
#ifndef BENCH_PEAKS_H
#define BENCH_PEAKS_H

#include "plan/matrix.h"
#include "plan/run_options.h"

struct peaks {
	struct {
		const char *accept; /* NULL: no run of this one yet */
		size_t n;
		double rate[RUN_REPETITIONS_MAX];
	} baseline[MATRIX_BASELINES];
};

/*
 * Takes note of the record of a cell that measured a peak, also of one that --resume found; other cells
 * change nothing. Returns the peak as far as it is known; 0 connections/s: not at all.
 */
struct cell_peak peaks_note(struct peaks *peaks, const struct cell *cell, json_t *record);

#endif
