/* SPDX-License-Identifier: MIT */
/*
 * The cells of one experiment on one machine under one load, as a table: a row a path, a column a
 * value of what the experiment varies. Tables and plots are made from it.
 */
#ifndef BENCH_REPORT_PIVOT_H
#define BENCH_REPORT_PIVOT_H

#include "report/report_data.h"

#define PIVOT_ROWS    64
#define PIVOT_COLUMNS 32
#define PIVOT_LABEL   192
#define PIVOT_SIZES   4

struct report_pivot {
	char load[PIVOT_LABEL]; /* what drives the cells */
	bool is_wrk;
	size_t n_rows, n_columns;
	char row[PIVOT_ROWS][PIVOT_LABEL];
	double column[PIVOT_COLUMNS]; /* ascending */
	/*
	 * Measured in several sizes or with several instruments, a cell stands here more than once:
	 * the one with the most runs first, of equal ones the one with the most connections. NULL
	 * behind.
	 */
	const struct report_cell *cell[PIVOT_ROWS][PIVOT_COLUMNS][PIVOT_SIZES];
	size_t left_out; /* cells that no room was left for */
};

/* Of an experiment: "workers", "neighbours" ..., the key in the record's cell; "level" counts 0, 1, 2. */
const char *report_axis(const char *name);

/*
 * The `index`-th load's table; false when there are not so many. Cells without the instrument, and
 * those that measured the peak, are left out.
 */
bool report_pivot(const struct report_machine *machine, const char *experiment, size_t index,
		  struct report_pivot *pivot);

/* The load that most cells were measured under; of equal ones the first. false: there is none. */
bool report_pivot_main(const struct report_machine *machine, const char *experiment,
		       struct report_pivot *pivot);

/* What a row is called: the path, and in what it differs from the plain one. */
void report_label(json_t *record, char *text, size_t size);

/* The server's options that experiments vary, and those that they do not: what somebody tried. */
void report_options(json_t *record, char *known, char *tried, size_t size);

struct report_figure;

/* The first of them that has the figure, or the first of all; NULL: there is none. */
const struct report_cell *report_pivot_cell(const struct report_pivot *pivot, size_t row,
					    size_t column, const struct report_figure *figure);
const struct report_cell *report_pivot_find(const struct report_pivot *pivot, const char *row,
					    double column, const struct report_figure *figure);

/* The column with the most cells; of equal ones the last. */
size_t report_main_column(const struct report_pivot *pivot);

#endif
