/* SPDX-License-Identifier: MIT */
/*
 * A picture of one figure: a bar a cell, its length the median, a whisker from the smallest run to
 * the largest. Drawn here rather than by a plotting program, so that the same records give the same
 * bytes whatever is installed.
 */
#ifndef BENCH_REPORT_SVG_H
#define BENCH_REPORT_SVG_H

#include "report_data.h"

#include <stdbool.h>
#include <stdio.h>

struct report_chart {
	const char *name; /* part of the file's name */
	const char *title, *unit;
	const char *part, *key;
	int digits;
};

extern const struct report_chart report_charts[];
extern const size_t report_n_charts;

/* false, and nothing printed, when no cell of the machine has the figure. */
bool report_svg(FILE *out, const struct report_machine *machine, size_t index,
		const struct report_chart *chart);

#endif
