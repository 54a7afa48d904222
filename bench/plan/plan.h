/* SPDX-License-Identifier: MIT */
/* What the presets measure: experiments and their sizes, the defaults of every other option. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "plan/matrix.h"

enum plan_preset { PLAN_SMOKE, PLAN_QUICK, PLAN_FULL };
extern const char *const plan_presets[];

/* Sizes of a preset. */
struct plan_sizes {
	uint64_t repetitions, connections, concurrency, warm_up;
	bool pairs;
	uint64_t wrk_duration_ns, rate_duration_ns;
};

struct plan_sizes plan_sizes(enum plan_preset preset);

/* What was asked for on the command line; an empty list takes what the preset has. */
struct plan_choice {
	struct count_list experiments; /* enum cell_experiment; empty: those of the preset */
	struct count_list accepts, workers, fd_tables, loads;
	struct count_list open_fds, neighbours, rate_percents;
};

/*
 * The axes of the chosen experiments. A list of the choice takes the place of the preset's in every
 * experiment that has it; of the rows beyond an experiment's first one, those paths stay that were
 * chosen, and none when the fd tables were. Worker counts of "scaling" go up to the CPUs of this
 * machine.
 */
void plan_make(enum plan_preset preset, const struct plan_choice *choice, struct matrix_plan *plan);

/* As the help shows them. */
const char *plan_experiments_text(enum plan_preset preset);

#endif
