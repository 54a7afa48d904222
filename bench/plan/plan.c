/* SPDX-License-Identifier: MIT */
/* See plan.h. */
#include "plan/plan.h"

#include <string.h>
#include <unistd.h>

const char *const plan_presets[] = { "smoke", "quick", "full", NULL };

enum {
	A_EPOLL,
	A_ACCEPT4,
	A_MULTISHOT,
	A_INSTALL,
	A_DUP3,
	A_DUP,
	A_DIRECT,
	A_BARE,
	A_BARE_TUNED,
	A_NGINX,
	A_HAPROXY,
	A_HAPROXY_TABLES,
	A_UNPARKED,
	A_EPOLL_ONCE,
	A_EPOLL_DEFERRED,
	A_MULTISHOT_DEFERRED,
	A_DIRECT_DEFERRED,
	A_DIRECT_GATHERED,
	A_DIRECT_APART,
};

enum { SHARED, PRIVATE };

#define LIST(...)                                                                                  \
	{                                                                                          \
		sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t),                            \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* clang-format off */
#define OURS	 A_EPOLL, A_EPOLL_ONCE, A_ACCEPT4, A_MULTISHOT, A_INSTALL, A_DUP, A_DIRECT
#define CONTROLS A_DUP3, A_UNPARKED
#define PEERS	 A_BARE, A_NGINX, A_HAPROXY, A_HAPROXY_TABLES
#define TUNED	 A_EPOLL_DEFERRED, A_MULTISHOT_DEFERRED, A_DIRECT_DEFERRED, A_DIRECT_GATHERED, \
		 A_DIRECT_APART
#define FEW	 A_EPOLL, A_MULTISHOT, A_DUP, A_DIRECT

/* Bits: which presets have the row. */
enum { SMOKE = 1, QUICK = 2, FULL = 4 };

static const struct row {
	unsigned int presets;
	struct matrix_axes axes;
} rows[] = {
	{ SMOKE, { .experiment = CELL_PATHS,
		   .accepts = LIST(A_EPOLL, A_MULTISHOT, A_INSTALL, A_DUP, A_DIRECT),
		   .workers = LIST(2) } },
	{ QUICK, { .experiment = CELL_PATHS,
		   .accepts = LIST(OURS, CONTROLS, PEERS), .workers = LIST(2) } },
	{ QUICK, { .experiment = CELL_PATHS,
		   .accepts = LIST(A_EPOLL, A_MULTISHOT, A_DUP), .workers = LIST(2),
		   .fd_tables = LIST(PRIVATE) } },
	{ FULL, { .experiment = CELL_PATHS,
		  .accepts = LIST(OURS, CONTROLS, PEERS), .workers = LIST(1, 2) } },
	{ FULL, { .experiment = CELL_PATHS,
		  .accepts = LIST(OURS, CONTROLS), .workers = LIST(2),
		  .fd_tables = LIST(PRIVATE) } },
	{ FULL, { .experiment = CELL_SCALING,
		  .accepts = LIST(FEW), .workers = LIST(1, 2, 4) } },
	{ FULL, { .experiment = CELL_SCALING,
		  .accepts = LIST(A_EPOLL), .workers = LIST(1, 2, 4),
		  .fd_tables = LIST(PRIVATE) } },
	{ QUICK, { .experiment = CELL_ONE_CORE,
		   .accepts = LIST(A_EPOLL, A_EPOLL_ONCE, A_MULTISHOT, A_DUP, A_DIRECT, A_DIRECT_DEFERRED, PEERS,
			   A_BARE_TUNED),
		   .workers = LIST(1) } },
	{ FULL, { .experiment = CELL_ONE_CORE,
		  .accepts = LIST(OURS, PEERS, A_BARE_TUNED, TUNED), .workers = LIST(1) } },
	{ FULL, { .experiment = CELL_ONE_CORE,
		  .accepts = LIST(A_MULTISHOT, A_DUP, A_DIRECT, PEERS), .workers = LIST(1),
		  .loads = LIST(CELL_WRK) } },
	{ FULL, { .experiment = CELL_WRK_LOAD,
		  .accepts = LIST(FEW), .workers = LIST(2), .loads = LIST(CELL_WRK) } },
	{ FULL, { .experiment = CELL_OPEN_FDS,
		  .accepts = LIST(FEW), .workers = LIST(2), .open_fds = LIST(0, 10000) } },
	{ QUICK, { .experiment = CELL_NEIGHBOURS,
		   .accepts = LIST(A_EPOLL, A_DUP, A_DIRECT), .workers = LIST(2),
		   .neighbours = LIST(0, 2) } },
	{ FULL, { .experiment = CELL_NEIGHBOURS,
		  .accepts = LIST(FEW), .workers = LIST(2), .neighbours = LIST(0, 2, 4) } },
	{ FULL, { .experiment = CELL_NEIGHBOURS,
		  .accepts = LIST(A_EPOLL, A_MULTISHOT), .workers = LIST(2),
		  .neighbours = LIST(0, 2), .fd_tables = LIST(PRIVATE) } },
	{ FULL, { .experiment = CELL_PARK,
		  .accepts = LIST(A_DUP, A_DUP3), .workers = LIST(2),
		  .levels = LIST(CELL_IDLE, CELL_LIGHT, CELL_SATURATED) } },
	{ FULL, { .experiment = CELL_LATENCY,
		  .accepts = LIST(FEW), .workers = LIST(2), .rate_percents = LIST(50, 70, 90) } },
	{ FULL, { .experiment = CELL_LATENCY,
		  .accepts = LIST(A_EPOLL), .workers = LIST(2), .rate_percents = LIST(50, 70, 90),
		  .fd_tables = LIST(PRIVATE) } },
	/* What nobody asked for by name is not measured; these are the sizes if somebody does. */
	{ SMOKE | QUICK, { .experiment = CELL_SCALING,
			   .accepts = LIST(FEW), .workers = LIST(1, 2, 4) } },
	{ SMOKE, { .experiment = CELL_ONE_CORE,
		   .accepts = LIST(A_EPOLL, A_DIRECT, A_BARE), .workers = LIST(1) } },
	{ SMOKE | QUICK, { .experiment = CELL_WRK_LOAD,
			   .accepts = LIST(FEW), .workers = LIST(2), .loads = LIST(CELL_WRK) } },
	{ SMOKE | QUICK, { .experiment = CELL_OPEN_FDS,
			   .accepts = LIST(FEW), .workers = LIST(2), .open_fds = LIST(0, 10000) } },
	{ SMOKE, { .experiment = CELL_NEIGHBOURS,
		   .accepts = LIST(A_EPOLL, A_DUP), .workers = LIST(2),
		   .neighbours = LIST(0, 2) } },
	{ SMOKE | QUICK, { .experiment = CELL_PARK,
			   .accepts = LIST(A_DUP, A_DUP3), .workers = LIST(2),
			   .levels = LIST(CELL_IDLE, CELL_LIGHT, CELL_SATURATED) } },
	{ SMOKE | QUICK, { .experiment = CELL_LATENCY,
			   .accepts = LIST(A_EPOLL, A_DUP, A_DIRECT), .workers = LIST(2),
			   .rate_percents = LIST(50, 90) } },
};
/* clang-format on */

/* What is measured when --experiments does not say. */
static const struct count_list experiments[] = {
	[PLAN_SMOKE] = LIST(CELL_PATHS),
	[PLAN_QUICK] = LIST(CELL_PATHS, CELL_ONE_CORE, CELL_NEIGHBOURS),
	[PLAN_FULL] = LIST(CELL_PATHS, CELL_SCALING, CELL_ONE_CORE, CELL_WRK_LOAD, CELL_OPEN_FDS,
			   CELL_NEIGHBOURS, CELL_PARK, CELL_LATENCY),
};

static const struct plan_sizes sizes[] = {
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

static bool has_rows(const struct matrix_plan *plan, enum cell_experiment experiment)
{
	for (size_t i = 0; i < plan->n_axes; i++)
		if (plan->axes[i].experiment == experiment)
			return true;
	return false;
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
static bool choose_paths(struct matrix_axes *axes, const struct plan_choice *choice, bool is_first)
{
	if (!choice->accepts.n)
		return true;
	if (is_first)
		axes->accepts = choice->accepts;
	else
		keep_common(&axes->accepts, &choice->accepts);
	return axes->accepts.n > 0;
}

static void fill(struct matrix_axes *axes, const struct plan_choice *choice)
{
	if (axes->experiment == CELL_SCALING)
		add_cpus(&axes->workers);
	choose(&axes->workers, &choice->workers);
	choose(&axes->open_fds, &choice->open_fds);
	choose(&axes->neighbours, &choice->neighbours);
	choose(&axes->rate_percents, &choice->rate_percents);
	if (choice->fd_tables.n)
		axes->fd_tables = choice->fd_tables;
	if (choice->loads.n && axes->experiment == CELL_PATHS)
		axes->loads = choice->loads;
}

void plan_make(enum plan_preset preset, const struct plan_choice *choice, struct matrix_plan *plan)
{
	const struct count_list *chosen =
		choice->experiments.n ? &choice->experiments : &experiments[preset];

	plan->n_axes = 0;
	plan->asked_for = choice->accepts.n > 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct matrix_axes axes = rows[i].axes;
		bool is_first = !has_rows(plan, axes.experiment);

		/* With --fd-tables the rows that differ in just that would be the same. */
		if (!(rows[i].presets & 1u << preset) || !has(chosen, axes.experiment) ||
		    (choice->fd_tables.n && !is_first) || !choose_paths(&axes, choice, is_first))
			continue;
		fill(&axes, choice);
		plan->axes[plan->n_axes++] = axes;
	}
	plan->peak_repetitions = has(chosen, CELL_LATENCY) ? 3 : 0;
}

const char *plan_experiments_text(enum plan_preset preset)
{
	static char text[128];

	text[0] = '\0';
	for (size_t i = 0; i < experiments[preset].n; i++) {
		if (i)
			strcat(text, ",");
		strcat(text, cell_experiments[experiments[preset].item[i]]);
	}
	return text;
}
