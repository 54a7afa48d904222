/* SPDX-License-Identifier: MIT */
/*
 * Records grouped by machine (hardware, kernel and virtualisation), and for each machine by cell,
 * with all repetitions of the cell. Figures of different machines are never in one group.
 */
#ifndef BENCH_REPORT_DATA_H
#define BENCH_REPORT_DATA_H

#include "report/stats.h"

#include <jansson.h>
#include <stdbool.h>

struct report_cell {
	json_t *first; /* one record, which describes the cell; all repetitions have the same settings */
	json_t *good; /* array of its records with the outcome "ok" */
};

/*
 * Keys added to records after reading: the name of the file without its folders, set by
 * report_read(), and the position among all records.
 */
#define REPORT_FILE_KEY	 "report_file"
#define REPORT_INDEX_KEY "report_index"

struct report_machine {
	char name[128]; /* a unique description, such as "2 CPUs, Linux 6.18.4" */
	json_t *environment;
	size_t n_cells;
	struct report_cell *cells;
	json_t *bad; /* array of records with the outcome "failed" or "skipped" */
	json_t *all; /* array of all records */
};

struct report_data {
	size_t n_machines;
	struct report_machine *machines;
	json_t *unknown; /* number of records by path, for paths that this program does not know */
};

void report_sort(json_t *records, struct report_data *data);
/*
 * Are times measured in this environment meaningful? Not with a CPU emulated by QEMU, nor in
 * user-mode Linux, where a system call costs microseconds.
 */
bool report_has_times(json_t *environment);

/* Are both environments of the same machine and kernel, so that their figures can be compared? */
bool report_same_machine(json_t *a, json_t *b);

void report_free(struct report_data *data);

/*
 * The values of a figure in all repetitions. In the functions below `part` may have two levels, as
 * in "storm.result". The caller frees `value`.
 */
struct report_values {
	size_t n;
	double *value;
};

struct report_values report_values(const struct report_cell *cell, const char *part,
				   const char *key);
struct summary report_summary(const struct report_cell *cell, const char *part, const char *key);

/*
 * The cell that has the same settings in the same experiment, except that its path is epoll and its
 * fd table is shared; NULL: there is none.
 */
const struct report_cell *report_baseline(const struct report_machine *machine,
					  const struct report_cell *cell);

/*
 * The cell with the same settings that was measured without the instrument; NULL: there is none, or
 * `cell` is such a cell.
 */
const struct report_cell *report_unwatched_twin(const struct report_machine *machine,
						const struct report_cell *cell);

/* The cell with the same settings, except that the server's options are `options`; NULL: none. */
const struct report_cell *report_other_options(const struct report_machine *machine,
					       const struct report_cell *cell, const char *options);

/* The experiment that a record belongs to; records without the key belong to the first one. */
const char *report_experiment(json_t *record);
bool report_is_unwatched(json_t *record);

/* The position of the record's accept path in tables; see path_rank(). */
int report_rank(json_t *record);

/* Compares for sorting. 0: both are the same cell, possibly of different runs. */
int report_compare_cells(const struct report_cell *a, const struct report_cell *b);

json_t *report_part(json_t *record, const char *part);

#endif
