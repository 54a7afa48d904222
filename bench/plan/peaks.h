/* SPDX-License-Identifier: MIT */
/*
 * The peak: the connections per second of the best baseline of this run, in closed loop. Rates of
 * open loops are given in percent of it. It is measured before all other cells.
 */
#ifndef BENCH_PEAKS_H
#define BENCH_PEAKS_H

#include "plan/matrix.h"
#include "plan/run_options.h"

struct peaks {
	struct {
		const char *accept; /* name of the path; NULL: not measured yet */
		size_t n;
		double rate[RUN_REPETITIONS_MAX]; /* connections per second */
	} baseline[MATRIX_BASELINES];
};

/*
 * Takes the record of a cell, also one that --resume found; ignores it unless the cell measured the
 * peak. Returns the peak according to all records so far; 0 connections/s: not known yet.
 */
struct cell_peak peaks_note(struct peaks *peaks, const struct cell *cell, json_t *record);

#endif
