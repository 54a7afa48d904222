/* SPDX-License-Identifier: MIT */
/*
 * The plots: SVG by gnuplot, from the tables of report_pivot.h. The same records and the same
 * gnuplot give the same bytes.
 */
#ifndef BENCH_REPORT_PLOT_H
#define BENCH_REPORT_PLOT_H

#include "report/report_data.h"

#include <stdbool.h>
#include <stdio.h>

struct experiment;

/*
 * Draws the `index`-th plot there is for these records: its file name in `name`, its text in *svg,
 * to be freed. 1, 0 when there are not so many, -1 with one line in `why`.
 */
int report_plot(const struct report_data *data, size_t index, char *name, size_t name_size,
		char **svg, size_t *len, char *why, size_t why_len);

/* The pictures of a section, for Markdown; `folder` is where they are, as seen from the report. */
void report_plot_links(FILE *out, const struct report_machine *machine, size_t index,
		       const struct experiment *experiment, const char *folder);

/* What gnuplot makes of the script: an SVG, to be freed. false: one line in `why`. */
bool report_run_gnuplot(const char *script, size_t script_len, char **svg, size_t *len, char *why,
			size_t why_len);

#endif
