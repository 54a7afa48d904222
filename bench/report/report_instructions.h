/* SPDX-License-Identifier: MIT */
/*
 * The report's section on instructions per connection. Its records are those of accept-bench
 * instructions; they are counted, so any kernel's and machine's may stand side by side as they are.
 */
#ifndef BENCH_REPORT_INSTRUCTIONS_H
#define BENCH_REPORT_INSTRUCTIONS_H

#include "report/stats.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A path on a kernel, with so many connections in flight. */
struct instructions_key {
	const char *kernel, *path;
	unsigned int in_flight;
};

bool report_is_instructions(json_t *record);

/* false: what is wrong with it is in `why`. */
bool report_check_instructions(json_t *record, char *why, size_t why_len);

/* The key of a record; its texts are the record's. */
struct instructions_key report_instructions_key(json_t *record);

/* Of the records with that key, of what was counted so: "per_connection" or another figure. */
struct summary report_instructions_of(json_t *records, const struct instructions_key *key,
				      const char *counted, const char *figure);

/* A table a kernel; nothing if there are no records. */
void report_instructions(FILE *out, json_t *records);

/* The same as a report of its own, where there are no other records. */
void report_instructions_alone(FILE *out, json_t *records);

/* One line of a list, for the page. */
void report_instructions_line(FILE *out, json_t *records);

#endif
