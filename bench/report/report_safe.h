/* SPDX-License-Identifier: MIT */
/*
 * Texts that a report takes over. Records and summaries come from strangers, and what is made of
 * them is Markdown, a web page and a script for gnuplot: no text may be more than a text there.
 */
#ifndef BENCH_REPORT_SAFE_H
#define BENCH_REPORT_SAFE_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Replaces every text in the value, keys included, by one that is plain text wherever it is
 * printed: no tag, no link or image, no code span, no cell of a table, no further line.
 * false: out of memory.
 */
bool report_make_safe(json_t *value);

#endif
