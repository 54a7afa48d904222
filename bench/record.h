/* SPDX-License-Identifier: MIT */
/*
 * Records: one JSON object a line, one line a cell. A line is appended whole and synced, or taken
 * back: what looks like a record is one.
 */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RECORD_SCHEMA "accept-bench/1"

/* The file for appending, locked against a second run; -errno. */
int record_open(const char *path);

/* 0 or -errno; on an error the file is as long as before. */
int record_append(int fd, json_t *record);

/* An array of all records of the file appended to `records`; false with file and line in `why`. */
bool record_read(const char *path, json_t *records, char *why, size_t why_len);

/* Figures by path: record_number(r, "lock", "acquisitions_per_connection"). false when absent. */
bool record_number(json_t *record, const char *part, const char *key, double *value);
const char *record_text(json_t *record, const char *part, const char *key);

#endif
