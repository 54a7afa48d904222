/* SPDX-License-Identifier: MIT */
/* The presets: their experiments, sizes, and the defaults of all other options. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "plan/matrix.h"

extern const char *const plan_presets[PLAN_PRESETS + 1]; /* ended by NULL */

/* Sizes of a preset. */
struct plan_sizes {
	uint64_t repetitions, connections, concurrency, warm_up;
	bool pairs;
	uint64_t wrk_duration_ns, rate_duration_ns;
};

struct plan_sizes plan_sizes(enum plan_preset preset);

/* Choices of the command line; an empty list stands for that of the preset. */
struct plan_choice {
	struct count_list experiments; /* indices into experiments; empty: those of the preset */
	struct count_list accepts, workers, fd_tables, loads;
	struct count_list values[LIST_MAX]; /* by experiment: values of its axis */
};

/*
 * Fills the plan's axes for the chosen experiments. A list of the choice replaces that of the preset
 * in every experiment that has such a list. Of the entries of an experiment after its first one, only
 * the chosen paths are kept, and nothing if fd tables were chosen. For experiments with more_workers
 * the number of workers goes up to the number of CPUs of this machine.
 */
void plan_make(enum plan_preset preset, const struct plan_choice *choice, struct matrix_plan *plan);

/* The experiments of a preset as text for the help. */
const char *plan_experiments_text(enum plan_preset preset);

#endif
