/* SPDX-License-Identifier: MIT */
/*
 * The experiments, one row each (experiments.c): what a question is called, what is varied for it and in
 * which preset, and what the report shows. The command line, the cells, the records, the report, its
 * pictures and the tests are made from these rows; a new experiment is a new row.
 */
#ifndef BENCH_EXPERIMENTS_H
#define BENCH_EXPERIMENTS_H

#include "option.h"

#include <stdio.h>

enum plan_preset { PLAN_SMOKE, PLAN_QUICK, PLAN_FULL, PLAN_PRESETS };
enum { IN_SMOKE = 1 << PLAN_SMOKE, IN_QUICK = 1 << PLAN_QUICK, IN_FULL = 1 << PLAN_FULL };

/* What a cell's value is, and what is done with it. */
enum axis_kind {
	AXIS_WORKERS, /* nothing: the experiment varies the workers, which every cell has */
	AXIS_OPTION, /* handed to the server as its option --NAME; 0: left out, the server's default */
	AXIS_LEVEL, /* enum cell_level: how hard the server is driven */
	AXIS_RATE,  /* an open loop at so many percent of the peak, which is measured first */
};

struct experiment_axis {
	enum axis_kind kind;
	const char *key;    /* in the record's cell */
	const char *name;   /* in the name of a cell; AXIS_OPTION: also the option of the server */
	const char *suffix; /* behind the value in both of these: "ms" of a time; NULL: none */
	const char *one, *many; /* the unit in the head of a column: "1 worker", "2 workers" */
	const char *label;	/* at the axis of a plot */
	/* AXIS_OPTION: it is about the shared table, and the server refuses it with private ones. */
	bool shared_table_only;
	/* AXIS_OPTION: threads of the server, which are told apart from its workers. */
	bool neighbours;

	/* The option of accept-bench run that takes the values' place; NULL: there is none. */
	const char *option, *what;
	uint64_t min, max;
};

/* All combinations are cells. A list of none is one item, the default. */
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

/* A table of the report: a row a path, a column a value of the axis. */
struct experiment_table {
	const struct report_figure *figure; /* NULL: connections/s, or wrk's requests/s */
	bool is_ratio;			    /* of this figure to epoll's */
	const char *caption;
};

/* A picture: bars are the paths at one value of the axis. */
struct experiment_plot {
	const char *name; /* of its file, before "-2.svg" */
	const char *title;
	const struct report_figure *figure;
	bool bars, on_counting, elsewhere; /* which kernels have it: see below */
};

#define EXPERIMENT_CELLS  8
#define EXPERIMENT_TABLES 8
#define EXPERIMENT_PLOTS  3

struct experiment {
	const char *name;
	const char *varies, *answers; /* for people: accept-bench experiments */
	struct experiment_axis axis;

	/* Which presets measure it unless --experiments says otherwise: IN_QUICK | IN_FULL */
	unsigned int presets;
	/*
	 * What it measures in a preset: all that have the preset's bit. The first of these is the
	 * experiment itself, whose paths --paths replaces; the others are for some paths only.
	 */
	struct {
		unsigned int presets;
		struct cell_lists lists;
	} cells[EXPERIMENT_CELLS];
	bool more_workers; /* with as many as there are CPUs, too: doubled on from the last one */
	bool own_cpus;	   /* server and client on CPUs of their own, one for each worker */
	bool has_loads;	   /* --loads applies */
	bool has_twins;	   /* --overhead applies: each cell again without the instrument */

	/* The section of the report: on kernels that count their locks, and elsewhere. */
	const char *title, *question;
	const struct experiment_table *on_counting[EXPERIMENT_TABLES],
		*elsewhere[EXPERIMENT_TABLES];
	size_t n_open_counting, n_open;		   /* so many of these are not folded away */
	const struct experiment_table *changes[3]; /* last column to first, elsewhere */
	/* What else it has, before the tables; more_on_counting: on kernels that count, too. */
	void (*more)(FILE *out, const struct report_machine *machine, const struct report_pivot *p);
	bool more_on_counting;
	struct experiment_plot plots[EXPERIMENT_PLOTS];
};

/* The rows that other parts of the harness ask for; the test bench_matrix looks whether they are there. */
#define EXPERIMENT_PATHS      "paths"
#define EXPERIMENT_ONE_CORE   "one-core"
#define EXPERIMENT_NEIGHBOURS "neighbours"

/* Records from before there were experiments belong to the first. */
extern const struct experiment experiments[];
extern const size_t n_experiments;

/* NULL: there is none of this name. */
const struct experiment *experiment_find(const char *name);
/* All names, ended by NULL. */
const char *const *experiment_names(void);

/* accept-bench experiments: the table of bench/README.md */
int experiments_command(int argc, char **argv);

#endif
