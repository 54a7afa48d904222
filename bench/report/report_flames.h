/* SPDX-License-Identifier: MIT */
/*
 * The report's section on flame graphs: the pictures that scripts/flamegraph left in a folder, and
 * under each the number it is meant to show, from the summary.json beside them (schema
 * "accept-flames/1", described in scripts/flames/draw.py).
 */
#ifndef BENCH_REPORT_FLAMES_H
#define BENCH_REPORT_FLAMES_H

#include "option.h"

#include <jansson.h>
#include <stdio.h>

/* The summaries of these folders, an array. NULL: said why on stderr. */
json_t *report_flames_read(const struct text_list *folders);

/* `report` is the path of the report, which the pictures' paths are relative to. */
void report_flames(FILE *out, json_t *summaries, const struct text_list *folders,
		   const char *report);

/*
 * One pair alone, for a page: the first that was sampled on a CPU that is one, or the first of all.
 * Prints nothing where there is none.
 */
void report_flames_pair(FILE *out, json_t *summaries, const struct text_list *folders,
			const char *page);

/* The same as a report of its own, where there are no records. */
void report_flames_alone(FILE *out, json_t *summaries, const struct text_list *folders,
			 const char *report);

#endif
