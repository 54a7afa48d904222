/* SPDX-License-Identifier: MIT */
/*
 * The report's section on the opcode without a server: operations per second on one shared fd table,
 * by number of processes. Its records are written by kernel/test/dup_bench, which kernel/measure
 * curve runs. They state the machine ("machine"), whether the kernel was user-mode Linux
 * ("user_mode_linux") and which patches it had ("series"). A record with "origin" was not made by the
 * present version of dup_bench; the section quotes that text. Interrupted windows are left out.
 */
#ifndef BENCH_REPORT_OPCODE_H
#define BENCH_REPORT_OPCODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Is this a record of dup_bench? */
bool report_is_opcode(json_t *record);

/* Is the record valid? If not, the reason is in `why`. */
bool report_check_opcode(json_t *record, char *why, size_t why_len);

/*
 * Prints the section. `plots`: the folder of the pictures made by report_opcode_plot(), relative to
 * the report; NULL: there are none.
 */
void report_opcode(FILE *out, json_t *opcode, const char *plots);

/* Prints the section as a complete report, for when there are no other records. */
void report_opcode_alone(FILE *out, json_t *opcode, const char *plots);

/*
 * For the summary page: prints the first and last point of the curve, and its picture, for the
 * machine with the most processes.
 */
void report_opcode_summary(FILE *out, json_t *opcode, const char *plots);

/*
 * Draws the picture of the `index`-th machine: its file name goes to `name`, its text to *svg, which
 * the caller frees. Returns 1, 0 if there is no such machine, or -1 with the reason in `why`.
 */
int report_opcode_plot(json_t *opcode, size_t index, char *name, size_t name_size, char **svg,
		       size_t *len, char *why, size_t why_len);

#endif
