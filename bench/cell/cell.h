/* SPDX-License-Identifier: MIT */
/* One cell: one accept path x workers x fd table x load, set up, measured once, taken down. */
#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "lock/lock.h"
#include "option.h"
#include "load/progress.h"
#include "load/storm.h"
#include "plan/experiments.h"

#include <jansson.h>

/* The accept path of the self-check: storm against a listener of its own, no server at all. */
#define CELL_SELF_CHECK "storm-alone"

/* Names by the enum, ended by NULL: as the command line and the records have them. */
enum cell_load { CELL_STORM, CELL_WRK, CELL_LOADS };
extern const char *const cell_loads[CELL_LOADS + 1];

enum cell_fd_table { CELL_SHARED, CELL_PRIVATE, CELL_FD_TABLES };
extern const char *const cell_fd_tables[CELL_FD_TABLES + 1];

/* How hard a server that parks is driven; CELL_NO_LEVEL everywhere else. */
enum cell_level { CELL_NO_LEVEL, CELL_IDLE, CELL_LIGHT, CELL_SATURATED, CELL_LEVELS };
extern const char *const cell_levels[CELL_LEVELS + 1];

#define CELL_NAME 256

struct cell {
	const struct experiment *experiment;
	const char *accept;
	unsigned int workers;
	const char *fd_table;
	enum cell_load load;
	unsigned int repetition;
	const char *options;	/* of the server, beside those below; "" for none */
	bool unparked;		/* the server gets --park 0 */
	unsigned int value;	/* of the experiment's axis, unless that is the workers; else 0 */
	bool is_peak;		/* one of those that measure the peak */
	const char *instrument; /* the one that was named; NULL: the best */
	bool has_twin;		/* the same cell is measured unwatched as well */
	bool unwatched;		/* without the instrument: what does watching cost? */
	bool asked_for;		/* by name: a kernel that lacks it is then a failure */
	/*
	 * The name of the cell that this one and its neighbour in the run are about: measured one
	 * right after the other, they make a pair, whose ratio the machine's drift leaves alone.
	 * "": of no pair.
	 */
	char pair[CELL_NAME];
};

/* The value, where the experiment's axis is of that kind; else 0. */
unsigned int cell_option(const struct cell *cell);     /* the server's option */
unsigned int cell_neighbours(const struct cell *cell); /* its threads that open and close files */
/* Of the peak, open loop; 0: closed loop. */
unsigned int cell_rate_percent(const struct cell *cell);
enum cell_level cell_level(const struct cell *cell);

/* Options that experiments hand to the server beside those of their axis. */
#define CELL_PARK	  "--park"
#define CELL_PARK_TIMEOUT "--park-timeout"

/* The best baseline's connections per second in this run, closed loop; 0: not measured. */
struct cell_peak {
	double connections_per_s;
	const char *accept;
};

/* What all cells of a run have in common. */
struct cell_setup {
	const char *server; /* path of accept-server */
	const char *listener;
	const struct text_list *server_args;
	const char *server_cpus, *client_cpus;
	const char *neighbour_cpus; /* NULL: where the server runs */
	struct storm_options storm;
	struct storm_load load;
	uint64_t warm_up; /* connections a round */
	uint64_t wrk_duration_ns;
	uint64_t rate_duration_ns; /* of a cell with a rate, or of a level */
	struct cell_peak peak;
	struct procfile *files;
	bool own_network;	  /* a network namespace without anybody else's sockets */
	struct lock_watch *watch; /* NULL: nothing can be seen, because: */
	const char *blind_because;
	struct progress *progress;
};

enum cell_outcome { CELL_OK, CELL_FAILED, CELL_SKIPPED, CELL_OUTCOMES };
extern const char *const cell_outcomes[CELL_OUTCOMES + 1];

/* Fills outcome, reason, cell, server, storm or wrk, lock and sockets of the record. */
enum cell_outcome cell_run(const struct cell *cell, const struct cell_setup *setup, json_t *record);

/* "scaling: dup workers=2 fd-table=shared load=storm", the same for every repetition. */
void cell_name(const struct cell *cell, char *text, size_t size);

#endif
