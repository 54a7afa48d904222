/* SPDX-License-Identifier: MIT */
/*
 * The cells of one experiment on one machine under one load, as a table: a row a path, a column a
 * value of what the experiment varies. Tables and plots are made from it.
 */
#ifndef BENCH_REPORT_PIVOT_H
#define BENCH_REPORT_PIVOT_H

#include "report_data.h"

#define PIVOT_ROWS    64
#define PIVOT_COLUMNS 32
#define PIVOT_LABEL   192

struct report_pivot {
	char load[PIVOT_LABEL]; /* what drives the cells */
	size_t n_rows, n_columns;
	char row[PIVOT_ROWS][PIVOT_LABEL];
	double column[PIVOT_COLUMNS]; /* ascending */
	const struct report_cell *cell[PIVOT_ROWS][PIVOT_COLUMNS];
	size_t left_out; /* cells that no room was left for, or of another size than the first */
};

/* "workers", "neighbours" ...: the key in the record's cell; "level" counts 0, 1, 2. */
const char *report_axis(const char *experiment);

/*
 * The `index`-th load's table; false when there are not so many. Cells without the instrument, and
 * those that measured the peak, are left out.
 */
bool report_pivot(const struct report_machine *machine, const char *experiment, size_t index,
		  struct report_pivot *pivot);

/* What a row is called: the path, and in what it differs from the plain one. */
void report_label(json_t *record, char *text, size_t size);
const struct report_cell *report_pivot_find(const struct report_pivot *pivot, const char *row,
					    double column);

/* The column with the most cells; of equal ones the last. */
size_t report_main_column(const struct report_pivot *pivot);

#endif
