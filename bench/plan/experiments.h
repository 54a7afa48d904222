/* SPDX-License-Identifier: MIT */
/*
 * The experiments, one row each (experiments.c): the name of a question, what is varied to answer it,
 * in which presets, and what the report shows. The command line, the cells, the records, the report,
 * its plots and the tests are all generated from these rows; to add an experiment, add a row.
 */
#ifndef BENCH_EXPERIMENTS_H
#define BENCH_EXPERIMENTS_H

#include "option.h"

#include <stdio.h>

enum plan_preset { PLAN_SMOKE, PLAN_QUICK, PLAN_FULL, PLAN_PRESETS };
enum { IN_SMOKE = 1 << PLAN_SMOKE, IN_QUICK = 1 << PLAN_QUICK, IN_FULL = 1 << PLAN_FULL };

/* What an experiment varies, and so how the `value` of its cells is used. */
enum axis_kind {
	AXIS_WORKERS, /* `value` is unused: the number of workers varies, which every cell has */
	AXIS_OPTION, /* passed to the server as its option --NAME; 0: not passed, the server's default */
	AXIS_LEVEL, /* enum cell_level: the load level of the server */
	AXIS_RATE,  /* the rate of an open loop in percent of the peak, which is measured first */
};

struct experiment_axis {
	enum axis_kind kind;
	const char *key;    /* key in the record's `cell` */
	const char *name;   /* in the name of a cell; AXIS_OPTION: also the option of the server */
	const char *suffix; /* appended to the value in cell name and option, as "ms"; NULL: none */
	const char *one, *many; /* the unit in the head of a column: "1 worker", "2 workers" */
	const char *label;	/* label of the axis in a plot */
	/* AXIS_OPTION: the option needs a shared fd table; the server refuses it with private ones. */
	bool shared_table_only;
	/* AXIS_OPTION: the value is a number of neighbour threads, counted apart from the workers. */
	bool neighbours;

	/*
	 * The option of accept-bench run that replaces the values, its help text and the range of
	 * its values; NULL: there is none.
	 */
	const char *option, *what;
	uint64_t min, max;
};

/* Every combination of the items is a cell. An empty list stands for one item, the default. */
struct cell_lists {
	struct count_list accepts; /* enum path_id */
	struct count_list workers;
	struct count_list fd_tables; /* enum cell_fd_table */
	struct count_list loads;     /* enum cell_load */
	struct count_list values;    /* of the experiment's axis, unless that is the workers */
};

struct report_figure;
struct report_machine;
struct report_pivot;

/* A table of the report: one row per path, one column per value of the axis. */
struct experiment_table {
	const struct report_figure *figure; /* NULL: connections/s, or wrk's requests/s */
	bool is_ratio;			    /* the ratio of the figure to that of epoll */
	const char *caption;
};

/* A plot of the report: lines over the axis, or bars that compare the paths at one value of it. */
struct experiment_plot {
	const char *name; /* prefix of the file name, before "-2.svg" */
	const char *title;
	const struct report_figure *figure;
	bool bars, on_counting,
		elsewhere; /* on_counting: for kernels with lock_stat; elsewhere: others */
};

#define EXPERIMENT_CELLS  8
#define EXPERIMENT_TABLES 8
#define EXPERIMENT_PLOTS  3

struct experiment {
	const char *name;
	const char *varies, *answers; /* descriptions, printed by accept-bench experiments */
	struct experiment_axis axis;

	/* Which presets measure it unless --experiments says otherwise: IN_QUICK | IN_FULL */
	unsigned int presets;
	/*
	 * What is measured in a preset: all entries that have its bit. The first such entry has the
	 * paths that --paths replaces; the others add cells for some paths only.
	 */
	struct {
		unsigned int presets;
		struct cell_lists lists;
	} cells[EXPERIMENT_CELLS];
	bool more_workers; /* add worker counts: the last one doubled up to the number of CPUs */
	bool own_cpus;	   /* server and client run on separate CPUs, one for each worker */
	bool has_loads;	   /* --loads applies */
	bool has_twins;	   /* --overhead applies: each cell again without the instrument */

	/* The report's section: tables for kernels that count locks (lock_stat), and for others. */
	const char *title, *question;
	const struct experiment_table *on_counting[EXPERIMENT_TABLES],
		*elsewhere[EXPERIMENT_TABLES];
	size_t n_open_counting, n_open; /* how many of those tables are shown without unfolding */
	/* Ratios of the last column to the first; for kernels that do not count locks. */
	const struct experiment_table *changes[3];
	/*
	 * Prints what comes before the tables, NULL: nothing. For kernels that count locks only if
	 * more_on_counting is set.
	 */
	void (*more)(FILE *out, const struct report_machine *machine, const struct report_pivot *p);
	bool more_on_counting;
	struct experiment_plot plots[EXPERIMENT_PLOTS];
};

/* Names of rows that other parts of the harness refer to; the test bench_matrix checks that they exist. */
#define EXPERIMENT_PATHS      "paths"
#define EXPERIMENT_ONE_CORE   "one-core"
#define EXPERIMENT_NEIGHBOURS "neighbours"

/* Records without the key "experiment", which are older than experiments, belong to the first row. */
extern const struct experiment experiments[];
extern const size_t n_experiments;

/* Finds an experiment by its name; NULL: there is none. */
const struct experiment *experiment_find(const char *name);
/* All names of experiments; the array ends with NULL. */
const char *const *experiment_names(void);

/* `accept-bench experiments`: prints the table of experiments that is in bench/README.md. */
int experiments_command(int argc, char **argv);

#endif
