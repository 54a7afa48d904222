/* SPDX-License-Identifier: MIT */
/* See plan.h. */
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEAK_REPETITIONS 3 /* of each baseline */

const char *const plan_presets[] = {
	[PLAN_SMOKE] = "smoke", [PLAN_QUICK] = "quick", [PLAN_FULL] = "full", [PLAN_PRESETS] = NULL
};

static const struct plan_sizes sizes[PLAN_PRESETS] = {
	[PLAN_SMOKE] = { .repetitions = 1,
			 .connections = 500,
			 .concurrency = 16,
			 .warm_up = 100,
			 .wrk_duration_ns = 1000000000,
			 .rate_duration_ns = 1000000000 },
	[PLAN_QUICK] = { .repetitions = 8,
			 .pairs = true,
			 .connections = 20000,
			 .concurrency = 64,
			 .warm_up = 500,
			 .wrk_duration_ns = 2000000000,
			 .rate_duration_ns = 2000000000 },
	[PLAN_FULL] = { .repetitions = 12,
			.pairs = true,
			.connections = 20000,
			.concurrency = 64,
			.warm_up = 1000,
			.wrk_duration_ns = 2000000000,
			.rate_duration_ns = 2000000000 },
};

struct plan_sizes plan_sizes(enum plan_preset preset)
{
	return sizes[preset];
}

static bool has(const struct count_list *list, uint64_t item)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->item[i] == item)
			return true;
	return false;
}

/* A list of the choice takes the place of one that the experiment has. */
static void choose(struct count_list *list, const struct count_list *choice)
{
	if (list->n && choice->n)
		*list = *choice;
}

/* Doubles on from the last count, as far as there are CPUs. */
static void add_cpus(struct count_list *workers)
{
	uint64_t cpus = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);

	while (workers->n < LIST_MAX && workers->item[workers->n - 1] * 2 <= cpus) {
		workers->item[workers->n] = workers->item[workers->n - 1] * 2;
		workers->n++;
	}
}

static void keep_common(struct count_list *list, const struct count_list *choice)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (has(choice, list->item[i]))
			list->item[n++] = list->item[i];
	list->n = n;
}

/*
 * Chosen paths take the place of those of an experiment's first row. Its other rows are for some of
 * the paths, in tables of their own say, and have those of them that were chosen.
 */
static bool choose_paths(struct cell_lists *lists, const struct plan_choice *choice, bool is_first)
{
	if (!choice->accepts.n)
		return true;
	if (is_first)
		lists->accepts = choice->accepts;
	else
		keep_common(&lists->accepts, &choice->accepts);
	return lists->accepts.n > 0;
}

static void fill(struct matrix_axes *axes, const struct plan_choice *choice)
{
	struct cell_lists *lists = &axes->lists;

	if (axes->experiment->more_workers)
		add_cpus(&lists->workers);
	choose(&lists->workers, &choice->workers);
	choose(&lists->values, &choice->values[axes->experiment - experiments]);
	if (choice->fd_tables.n)
		lists->fd_tables = choice->fd_tables;
	if (choice->loads.n && axes->experiment->has_loads)
		lists->loads = choice->loads;
}

static void add_experiment(const struct experiment *experiment, enum plan_preset preset,
			   const struct plan_choice *choice, struct matrix_plan *plan)
{
	bool is_first = true;

	for (size_t i = 0; i < EXPERIMENT_CELLS; i++) {
		struct matrix_axes axes = { experiment, experiment->cells[i].lists };

		/* With --fd-tables the rows that differ in just that would be the same. */
		if (!(experiment->cells[i].presets & 1u << preset) ||
		    (choice->fd_tables.n && !is_first) ||
		    !choose_paths(&axes.lists, choice, is_first))
			continue;
		fill(&axes, choice);
		if (plan->n_axes == MATRIX_AXES_MAX)
			abort();
		plan->axes[plan->n_axes++] = axes;
		is_first = false;
	}
}

static bool is_of_preset(size_t experiment, enum plan_preset preset)
{
	return experiments[experiment].presets & 1u << preset;
}

void plan_make(enum plan_preset preset, const struct plan_choice *choice, struct matrix_plan *plan)
{
	plan->n_axes = 0;
	plan->peak_repetitions = 0;
	plan->asked_for = choice->accepts.n > 0;
	for (size_t e = 0; e < n_experiments; e++) {
		if (choice->experiments.n ? !has(&choice->experiments, e)
					  : !is_of_preset(e, preset))
			continue;
		add_experiment(&experiments[e], preset, choice, plan);
		if (experiments[e].axis.kind == AXIS_RATE)
			plan->peak_repetitions = PEAK_REPETITIONS;
	}
}

const char *plan_experiments_text(enum plan_preset preset)
{
	static char text[512];

	text[0] = '\0';
	for (size_t e = 0; e < n_experiments; e++) {
		size_t used = strlen(text);

		if (is_of_preset(e, preset))
			snprintf(text + used, sizeof(text) - used, "%s%s", used ? "," : "",
				 experiments[e].name);
	}
	return text;
}
