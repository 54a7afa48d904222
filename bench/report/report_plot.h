/* SPDX-License-Identifier: MIT */
/*
 * The plots: SVG files made by gnuplot from the tables of report_pivot.h. The same records and the
 * same version of gnuplot give the same bytes.
 */
#ifndef BENCH_REPORT_PLOT_H
#define BENCH_REPORT_PLOT_H

#include "report/report_data.h"

#include <stdbool.h>
#include <stdio.h>

struct experiment;

/*
 * Draws the `index`-th plot for these records. Its file name goes to `name`, its text to *svg, which
 * the caller frees. Returns 1, 0 if there are fewer plots, or -1 with one line in `why`.
 */
int report_plot(const struct report_data *data, size_t index, char *name, size_t name_size,
		char **svg, size_t *len, char *why, size_t why_len);

/* Prints Markdown links to a section's plots; `folder` is their folder, relative to the report. */
void report_plot_links(FILE *out, const struct report_machine *machine, size_t index,
		       const struct experiment *experiment, const char *folder);

/* Runs a gnuplot script. *svg gets the SVG, which the caller frees. false: one line in `why`. */
bool report_run_gnuplot(const char *script, size_t script_len, char **svg, size_t *len, char *why,
			size_t why_len);

#endif
