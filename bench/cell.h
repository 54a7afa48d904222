/* SPDX-License-Identifier: MIT */
/* One cell: one accept path x workers x fd table x load, set up, measured once, taken down. */
#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "lock.h"
#include "option.h"
#include "progress.h"
#include "storm.h"

#include <jansson.h>

/* The accept path of the self-check: storm against a listener of its own, no server at all. */
#define CELL_SELF_CHECK "storm-alone"

enum cell_load { CELL_STORM, CELL_WRK };
extern const char *const cell_loads[];

struct cell {
	const char *accept;
	unsigned int workers;
	const char *fd_table;
	enum cell_load load;
	unsigned int repetition;
	bool unwatched; /* without the instrument: what does watching cost? */
	bool asked_for; /* by name: a kernel that lacks it is then a failure */
};

/* What all cells of a run have in common. */
struct cell_setup {
	const char *server; /* path of accept-server */
	const char *listener;
	const struct text_list *server_args;
	const char *server_cpus, *client_cpus;
	struct storm_options storm;
	struct storm_load load;
	uint64_t warm_up; /* connections a round */
	uint64_t wrk_duration_ns;
	struct procfile *files;
	bool own_network;	  /* a network namespace without anybody else's sockets */
	struct lock_watch *watch; /* NULL: nothing can be seen, because: */
	const char *blind_because;
	struct progress *progress;
};

enum cell_outcome { CELL_OK, CELL_FAILED, CELL_SKIPPED };
extern const char *const cell_outcomes[];

/* Fills outcome, reason, cell, server, storm or wrk, lock and sockets of the record. */
enum cell_outcome cell_run(const struct cell *cell, const struct cell_setup *setup, json_t *record);

/* "dup workers=2 fd-table=shared load=storm", the same for every repetition. */
void cell_name(const struct cell *cell, char *text, size_t size);

#endif
