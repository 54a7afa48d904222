/* SPDX-License-Identifier: MIT */
/*
 * Declarations shared by the files that measure a cell: cell.c runs the steps in order, target.c
 * starts the server, client.c generates the load, cell_record.c writes the record.
 */
#ifndef BENCH_MEASUREMENT_H
#define BENCH_MEASUREMENT_H

#include "cell/cell.h"
#include "cell/server.h"
#include "cell/sockstat.h"
#include "load/sink.h"
#include "load/wrk.h"

#define WHY_MAX	    1024
#define OPTIONS_MAX 8

/* CPU time of the server so far, including its neighbour threads, and the time it was read. */
struct moment {
	uint64_t cpu_ns, at_ns;
};

/* Everything a cell holds while it runs. */
struct measurement {
	const struct cell *cell;
	const struct cell_setup *setup;
	json_t *record;
	char why[WHY_MAX]; /* the first error; "" as long as there is none */
	bool unsupported;
	bool has_server;
	struct server server;
	struct sink *sink;
	struct storm *storm;
	struct sockstat sockets_before, sockets_ready, sockets_after;
	struct lock_counts lock_before, lock_after;
	json_t *totals_before, *totals_after;
	struct moment before, after;
	struct storm_load load;
	struct storm_result result;
	struct wrk_result wrk;
	char server_cpus[64], client_cpus[512]; /* "" : not bound */
	char option[OPTIONS_MAX][24];		/* options of the server that this cell varies */
	size_t n_options;
	json_t *readings, *loaded;
};

/* Like snprintf(), but appends to the text in `text`. */
__attribute__((format(printf, 3, 4))) void cell_append(char *text, size_t size, const char *format,
						       ...);

/* Marks the cell as failed and keeps the reason, if it is the first. Always returns false. */
__attribute__((format(printf, 2, 3))) bool cell_fail(struct measurement *m, const char *format,
						     ...);

/* Is this the self-check: storm against a listener of the harness, without a server? */
bool cell_is_self_check(const struct cell *cell);

/* The instruments that watch the lock; NULL: this cell is measured without. */
struct lock_watch *cell_watch(const struct measurement *m);

/* Returns `cpus`, or NULL (not bound) if it is "". */
const char *cell_cpus(const char *cpus);

/* ---- target.c ---- */

/* Fills m->option with the server's options that the cell varies. */
void target_make_options(struct measurement *m);

/*
 * Those options and the server arguments of the command line as one JSON string. They are part of
 * what identifies a cell.
 */
json_t *target_options(const struct measurement *m);

/*
 * Starts the server, the peer or the sink of the self-check. When this returns true, it listens at
 * *address and its set-up is complete.
 */
bool target_start(struct measurement *m, struct sockaddr_in *address);

/* ---- client.c ---- */

/* Sets m->load for this cell. The functions below: false when the cell has failed. */
bool client_choose_load(struct measurement *m);
bool client_start(struct measurement *m, const struct sockaddr_in *address);
bool client_warm_up(struct measurement *m);
bool client_drive(struct measurement *m);

/* ---- cell_record.c ---- */

/*
 * The number of connections that per-connection figures are divided by: as counted by the server,
 * or by the client if the server does not count them.
 */
double cell_connections(const struct measurement *m);

json_t *record_cell(const struct measurement *m);
json_t *record_sockets(const struct sockstat *stat);
void record_server(struct measurement *m);
void record_lock(struct measurement *m);
void record_limit(struct measurement *m);
/* The load requested from the client and its result. */
void record_load(struct measurement *m);

#endif
