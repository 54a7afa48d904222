/* SPDX-License-Identifier: MIT */
/* How the report writes figures, ratios and machines. */
#ifndef BENCH_REPORT_TEXT_H
#define BENCH_REPORT_TEXT_H

#include "report/report_pivot.h"

#include <stdio.h>

/* One figure of the records, and how it is printed. */
struct report_figure {
	const char *part, *key;
	const char *title; /* with its unit, as the head of a column or the axis of a plot */
	int digits;
};

extern const struct report_figure figure_acquisitions, figure_empty, figure_sweeps, figure_others,
	figure_contentions, figure_wait, figure_hold, figure_rate, figure_requests, figure_cpu,
	figure_p50, figure_p99;

/* connections/s by storm, or requests/s by wrk, whichever the cell has. */
const struct report_figure *report_rate_of(const struct report_cell *cell);

struct summary report_figure_of(const struct report_cell *cell, const struct report_figure *f);

/*
 * "2.004", or "2.004 (2.001 to 2.010)" when the runs differ in what is printed; a dash: not seen. A
 * rate that the server did not limit has REPORT_AT_LEAST before it: it could have been higher.
 */
#define REPORT_AT_LEAST "\u2265 "

bool report_is_at_least(const struct report_cell *cell, const struct report_figure *f);
void report_print_figure(FILE *out, const struct report_cell *cell, const struct report_figure *f);

bool report_counts_locks(const struct report_machine *machine); /* its kernel has lock_stat */
/* By QEMU, or in user-mode Linux, where a system call costs microseconds: no speed is one. */
bool report_is_emulated(const struct report_machine *machine);
const char *report_environment(const struct report_machine *machine, const char *key);

/* "Linux 7.3.4-dup-lockstat, emulated CPU, counts locks" */
void report_print_machine(FILE *out, const struct report_machine *machine);

/* A line: which records a section is made of. */
void report_print_source(FILE *out, const struct report_machine *machine, const char *experiment);

#endif
