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

/* "2.004", or "2.004 (2.001 to 2.010)" when the runs differ in what is printed; a dash: not seen.
 */
void report_print_figure(FILE *out, const struct report_cell *cell, const struct report_figure *f);

/* What may be said of a figure of one cell over that of another. */
enum report_verdict { NOT_COMPARED, TOO_FEW_RUNS, NO_CLAIM, CLAIM_LESS, CLAIM_MORE };
enum report_verdict report_compare(const struct report_cell *cell, const struct report_cell *base,
				   const struct report_figure *f, struct ratio *ratio);

/* "**1.25** (1.20 to 1.31)", or "1.02 (0.97 to 1.08), no claim"; a dash: nothing to compare. */
void report_print_ratio(FILE *out, const struct report_cell *cell, const struct report_cell *base,
			const struct report_figure *f);

/* The machine's letter in the report. */
char report_letter(size_t machine);
bool report_counts_locks(const struct report_machine *machine); /* its kernel has lock_stat */
/* By QEMU, or in user-mode Linux, where a system call costs microseconds: no speed is one. */
bool report_is_emulated(const struct report_machine *machine);
const char *report_environment(const struct report_machine *machine, const char *key);

/* "Linux 7.3.4-dup-lockstat, emulated CPU, counts locks" */
void report_print_machine(FILE *out, const struct report_machine *machine);

/* The file a record came from, without its folders; set by whoever read it. */
#define REPORT_FILE_KEY "report_file"

/* A line: which records a section is made of, and the command that makes them again. */
void report_print_source(FILE *out, const struct report_machine *machine, size_t index,
			 const char *experiment);

#endif
