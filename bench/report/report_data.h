/* SPDX-License-Identifier: MIT */
/*
 * Records sorted into what belongs together: machines (kernel and virtualisation), and on each the
 * cells, every one with its repetitions. Figures of two machines are never in one group.
 */
#ifndef BENCH_REPORT_DATA_H
#define BENCH_REPORT_DATA_H

#include "report/stats.h"

#include <jansson.h>
#include <stdbool.h>

struct report_cell {
	json_t *first; /* names the cell; its repetitions differ in nothing that matters here */
	json_t *good;  /* array of its records with outcome ok */
};

/* The file a record came from, without its folders, set by whoever read it; its place among all. */
#define REPORT_FILE_KEY	 "report_file"
#define REPORT_INDEX_KEY "report_index"

struct report_machine {
	char name[128]; /* what it is, as in "2 CPUs, Linux 6.18.4"; no two have the same */
	json_t *environment;
	size_t n_cells;
	struct report_cell *cells;
	json_t *bad; /* array of records that failed or were skipped */
	json_t *all;
};

struct report_data {
	size_t n_machines;
	struct report_machine *machines;
	json_t *unknown; /* paths that this program does not have: how many records of each */
};

void report_sort(json_t *records, struct report_data *data);
/* By QEMU, or in user-mode Linux, where a system call costs microseconds, no time is a CPU's time. */
bool report_has_times(json_t *environment);

/* Two environments of one machine and kernel: their figures may stand together. */
bool report_same_machine(json_t *a, json_t *b);

void report_free(struct report_data *data);

/* A figure over the repetitions; `part` may be a path of two, as in "storm.result". */
struct report_values {
	size_t n;
	double *value;
};

struct report_values report_values(const struct report_cell *cell, const char *part,
				   const char *key);
struct summary report_summary(const struct report_cell *cell, const char *part, const char *key);

/* The cell of the same experiment with the same everything, but epoll and a shared table; or NULL.
 */
const struct report_cell *report_baseline(const struct report_machine *machine,
					  const struct report_cell *cell);

/* The cell with the same everything, measured without the instrument; NULL for such a cell itself.
 */
const struct report_cell *report_unwatched_twin(const struct report_machine *machine,
						const struct report_cell *cell);

/* The cell with the same everything but the server's options, which are `options`; NULL: none. */
const struct report_cell *report_other_options(const struct report_machine *machine,
					       const struct report_cell *cell, const char *options);

/* Which experiment a record belongs to, also one from before there were any. */
const char *report_experiment(json_t *record);
bool report_is_unwatched(json_t *record);

/* The place of its accept path in tables. */
int report_rank(json_t *record);

/* 0: repetitions of one cell, of one run or of two. */
int report_compare_cells(const struct report_cell *a, const struct report_cell *b);

json_t *report_part(json_t *record, const char *part);

#endif
