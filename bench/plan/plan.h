/* SPDX-License-Identifier: MIT */
/* What the presets measure: experiments, their sizes, the defaults of every other option. */
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

/* What was asked for on the command line; an empty list takes what the preset has. */
struct plan_choice {
	struct count_list experiments; /* indices into experiments; empty: those of the preset */
	struct count_list accepts, workers, fd_tables, loads;
	struct count_list values[LIST_MAX]; /* of each experiment's axis */
};

/*
 * The axes of the chosen experiments. A list of the choice takes the place of the preset's in every
 * experiment that has it; of the rows beyond an experiment's first one, those paths stay that were
 * chosen, and none when the fd tables were. Where an experiment asks for more workers, they
 * go up to the CPUs of this machine.
 */
void plan_make(enum plan_preset preset, const struct plan_choice *choice, struct matrix_plan *plan);

/* As the help shows them. */
const char *plan_experiments_text(enum plan_preset preset);

#endif
