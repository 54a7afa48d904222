/* SPDX-License-Identifier: MIT */
/*
 * Escapes texts from untrusted input. Records and summaries may come from anyone, and their texts
 * end up in Markdown, a web page and a gnuplot script, where they must not act as markup or code.
 */
#ifndef BENCH_REPORT_SAFE_H
#define BENCH_REPORT_SAFE_H

#include <jansson.h>
#include <stdbool.h>

/*
 * Replaces every string in the value, including keys, by one without special meaning in these
 * formats: no tag, link, image, code span, table cell or line break. false: out of memory.
 */
bool report_make_safe(json_t *value);

#endif
