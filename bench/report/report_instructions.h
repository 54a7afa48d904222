/* SPDX-License-Identifier: MIT */
/*
 * The report's section on instructions per connection. Its records are written by accept-bench
 * instructions. The figures are counts and not times, so those of different kernels and machines can
 * be compared directly.
 */
#ifndef BENCH_REPORT_INSTRUCTIONS_H
#define BENCH_REPORT_INSTRUCTIONS_H

#include "report/stats.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* What identifies a count: accept path, kernel, and number of connections in flight. */
struct instructions_key {
	const char *kernel, *path;
	unsigned int in_flight;
};

bool report_is_instructions(json_t *record);

/* Is the record valid? If not, the reason is in `why`. */
bool report_check_instructions(json_t *record, char *why, size_t why_len);

/* The key of a record. Its strings belong to the record. */
struct instructions_key report_instructions_key(json_t *record);

/*
 * Summary of a figure, "per_connection" or another one, over the records that have this key and
 * whose "counted" is `counted`.
 */
struct summary report_instructions_of(json_t *records, const struct instructions_key *key,
				      const char *counted, const char *figure);

/* Prints the section, with one table per kernel; nothing if there are no records. */
void report_instructions(FILE *out, json_t *records);

/* Prints the section as a complete report, for when there are no other records. */
void report_instructions_alone(FILE *out, json_t *records);

/* Prints one item of a list, for the summary page. */
void report_instructions_line(FILE *out, json_t *records);

#endif
