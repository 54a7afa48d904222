/* SPDX-License-Identifier: MIT */
/*
 * The report's section on flame graphs: the pictures that scripts/flamegraph wrote into a folder, and
 * below each the figure that it illustrates, from the summary.json in the same folder (schema
 * "accept-flames/1", described in scripts/flames/draw.py).
 */
#ifndef BENCH_REPORT_FLAMES_H
#define BENCH_REPORT_FLAMES_H

#include "option.h"

#include <jansson.h>
#include <stdio.h>

/* A new array with the summaries of these folders. NULL: the reason was printed to stderr. */
json_t *report_flames_read(const struct text_list *folders);

/* Prints the section. `report` is the path of the report; links to pictures are relative to it. */
void report_flames(FILE *out, json_t *summaries, const struct text_list *folders,
		   const char *report);

/*
 * Prints one pair of pictures for the summary page, whose path is `page`: the first one sampled on a
 * CPU that was not emulated, otherwise the first one. Prints nothing if there is none.
 */
void report_flames_pair(FILE *out, json_t *summaries, const struct text_list *folders,
			const char *page);

/* Prints the section as a complete report, for when there are no records. */
void report_flames_alone(FILE *out, json_t *summaries, const struct text_list *folders,
			 const char *report);

#endif
