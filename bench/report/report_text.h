/* SPDX-License-Identifier: MIT */
/* Formats figures, ratios and machines for the report. */
#ifndef BENCH_REPORT_TEXT_H
#define BENCH_REPORT_TEXT_H

#include "report/report_pivot.h"

#include <stdio.h>

/* A figure of the records, and how it is printed. */
struct report_figure {
	const char *part, *key; /* as report_values() takes them */
	const char *title;	/* with the unit, for the head of a column or the axis of a plot */
	int digits;		/* after the decimal point */
};

extern const struct report_figure figure_acquisitions, figure_empty, figure_sweeps, figure_others,
	figure_contentions, figure_wait, figure_hold, figure_rate, figure_requests, figure_cpu,
	figure_p50, figure_p99;

/* The figure for the rate of a cell: connections/s of storm, or requests/s of wrk. */
const struct report_figure *report_rate_of(const struct report_cell *cell);

struct summary report_figure_of(const struct report_cell *cell, const struct report_figure *f);

/*
 * Prints "2.004", or "2.004 (2.001 to 2.010)" if the runs differ in the printed digits; a dash if the
 * figure was not measured. A rate that the server did not limit is prefixed with REPORT_AT_LEAST,
 * because the server could have reached more.
 */
#define REPORT_AT_LEAST "\u2265 "

bool report_is_at_least(const struct report_cell *cell, const struct report_figure *f);
void report_print_figure(FILE *out, const struct report_cell *cell, const struct report_figure *f);

/* Does the machine's kernel have lock_stat? */
bool report_counts_locks(const struct report_machine *machine);
/* Are speeds measured on this machine meaningless? The opposite of report_has_times(). */
bool report_is_emulated(const struct report_machine *machine);
const char *report_environment(const struct report_machine *machine, const char *key);

/* Prints a description such as "Linux 7.3.4-dup-lockstat, emulated CPU, counts locks". */
void report_print_machine(FILE *out, const struct report_machine *machine);

/* Prints a line that says from which records a section was made. */
void report_print_source(FILE *out, const struct report_machine *machine, const char *experiment);

#endif
