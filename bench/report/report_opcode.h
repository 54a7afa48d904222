/* SPDX-License-Identifier: MIT */
/*
 * The report's section on the opcode alone: operations per second of processes on one fd table, by
 * their number. Its records are those of kernel/test/dup_bench, which kernel/measure curve makes,
 * and say what machine they are from ("machine"), whether the kernel was one in user mode
 * ("user_mode_linux") and with which patches ("series"). A record with "origin" was not made by
 * dup_bench as it is here; the section repeats what it says. Interrupted windows are left out.
 */
#ifndef BENCH_REPORT_OPCODE_H
#define BENCH_REPORT_OPCODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Is this a record of dup_bench? */
bool report_is_opcode(json_t *record);

/* false: what is wrong with it is in `why`. */
bool report_check_opcode(json_t *record, char *why, size_t why_len);

/* `plots`: the folder of report_opcode_plot()'s pictures as seen from the report, or NULL. */
void report_opcode(FILE *out, json_t *opcode, const char *plots);

/* The same as a report of its own, where there are no other records. */
void report_opcode_alone(FILE *out, json_t *opcode, const char *plots);

/* The curve's beginning and end, and its picture, of the machine with the most processes: for a page. */
void report_opcode_summary(FILE *out, json_t *opcode, const char *plots);

/* The picture of the `index`-th machine: 1, 0 when there is none, -1 with the reason in `why`. */
int report_opcode_plot(json_t *opcode, size_t index, char *name, size_t name_size, char **svg,
		       size_t *len, char *why, size_t why_len);

#endif
