/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "report_data.h"

#include <stdio.h>

/* Markdown, from the records and nothing else: the same records give the same bytes. */
void report_markdown(FILE *out, const struct report_data *data, const char *const *files,
		     size_t n_files);

/* Parts of it. */
void report_short(FILE *out, const struct report_data *data);
void report_print_load(FILE *out, json_t *record);

/* One line a record. */
void report_csv(FILE *out, json_t *records);

int report_command(int argc, char **argv);

#endif
