/* SPDX-License-Identifier: MIT */
/*
 * The cells of one experiment on one machine under one load, as a table with one row per path and
 * one column per value of the experiment's axis. Tables and plots are made from it.
 */
#ifndef BENCH_REPORT_PIVOT_H
#define BENCH_REPORT_PIVOT_H

#include "report/report_data.h"

#define PIVOT_ROWS    64
#define PIVOT_COLUMNS 32
#define PIVOT_LABEL   192
#define PIVOT_SIZES   4

struct report_pivot {
	char load[PIVOT_LABEL]; /* description of the load */
	bool is_wrk;
	size_t n_rows, n_columns;
	char row[PIVOT_ROWS][PIVOT_LABEL];
	double column[PIVOT_COLUMNS]; /* ascending */
	/*
	 * A cell measured with several sizes or instruments has several entries here, sorted by
	 * number of runs, then by number of connections, largest first. Unused entries are NULL.
	 */
	const struct report_cell *cell[PIVOT_ROWS][PIVOT_COLUMNS][PIVOT_SIZES];
	size_t left_out; /* number of cells for which there was no room */
};

/*
 * The axis of the experiment called `name`, as its key in the record's `cell`: "workers",
 * "neighbours" ... Levels are represented by the numbers 0, 1, 2.
 */
const char *report_axis(const char *name);

/*
 * Makes the table of the `index`-th load; false if there are fewer loads. Cells measured without the
 * instrument, and those that measured the peak, are left out.
 */
bool report_pivot(const struct report_machine *machine, const char *experiment, size_t index,
		  struct report_pivot *pivot);

/* Makes the table of the load with the most cells, or the first such load; false: there is none. */
bool report_pivot_main(const struct report_machine *machine, const char *experiment,
		       struct report_pivot *pivot);

/* Writes the label of a row: the path, and the settings in which it differs from the plain path. */
void report_label(json_t *record, char *text, size_t size);

/*
 * Splits the server's options of a record: `known` gets those that experiments vary, `tried` those
 * that a user added.
 */
void report_options(json_t *record, char *known, char *tried, size_t size);

struct report_figure;

/* The first entry of the table's cell that has the figure, or else the first entry; NULL: none. */
const struct report_cell *report_pivot_cell(const struct report_pivot *pivot, size_t row,
					    size_t column, const struct report_figure *figure);
const struct report_cell *report_pivot_find(const struct report_pivot *pivot, const char *row,
					    double column, const struct report_figure *figure);

/* The column with the most cells, or the last such column. */
size_t report_main_column(const struct report_pivot *pivot);

#endif
