/* SPDX-License-Identifier: MIT */
/*
 * What the files that measure one cell share: cell.c, which has the order; target.c, which starts the
 * server; client.c, which drives it; cell_record.c, which writes down what came of it.
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

/* CPU time of the server so far, its neighbours' included, and when that was. */
struct moment {
	uint64_t cpu_ns, at_ns;
};

/* Everything a cell holds while it runs. */
struct measurement {
	const struct cell *cell;
	const struct cell_setup *setup;
	json_t *record;
	char why[WHY_MAX]; /* "" while all is well; the first thing that went wrong */
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
	char option[OPTIONS_MAX][24];		/* the server's, that this cell varies */
	size_t n_options;
	json_t *readings, *loaded;
};

/* Of snprintf()'s kind: appends to a text that is there. */
__attribute__((format(printf, 3, 4))) void cell_append(char *text, size_t size, const char *format,
						       ...);

/* The cell has failed: keeps the first reason. Always false. */
__attribute__((format(printf, 2, 3))) bool cell_fail(struct measurement *m, const char *format,
						     ...);

/* Storm against a listener of its own, no server at all. */
bool cell_is_self_check(const struct cell *cell);

/* What watches the lock; NULL: this cell is not watched. */
struct lock_watch *cell_watch(const struct measurement *m);

/* "" as NULL: not bound */
const char *cell_cpus(const char *cpus);

/* ---- target.c ---- */

/* The server's options that the cell varies. */
void target_make_options(struct measurement *m);

/* Those, and what the command line hands on, as one text: cells that differ in them are different cells. */
json_t *target_options(const struct measurement *m);

/* The server, the peer or the self-check's sink: it listens at ADDRESS, its set-up done. */
bool target_start(struct measurement *m, struct sockaddr_in *address);

/* ---- client.c ---- */

/* What this cell asks of the client. */
bool client_choose_load(struct measurement *m);
bool client_start(struct measurement *m, const struct sockaddr_in *address);
bool client_warm_up(struct measurement *m);
bool client_drive(struct measurement *m);

/* ---- cell_record.c ---- */

/* What the figures are divided by: connections as the server counted them, or else the client. */
double cell_connections(const struct measurement *m);

json_t *record_cell(const struct measurement *m);
json_t *record_sockets(const struct sockstat *stat);
void record_server(struct measurement *m);
void record_lock(struct measurement *m);
void record_limit(struct measurement *m);
/* What was asked of the client, and what came of it. */
void record_load(struct measurement *m);

#endif
