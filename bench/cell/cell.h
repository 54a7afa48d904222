/* SPDX-License-Identifier: MIT */
/*
 * A cell: one combination of accept path, number of workers, fd table and load. It is set up,
 * measured once and taken down.
 */
#ifndef BENCH_CELL_H
#define BENCH_CELL_H

#include "lock/lock.h"
#include "option.h"
#include "load/progress.h"
#include "load/storm.h"
#include "plan/experiments.h"

#include <jansson.h>

/* The accept path of the self-check: storm against a listener of the harness, without a server. */
#define CELL_SELF_CHECK "storm-alone"

/*
 * The arrays of names are indexed by their enum and end with NULL. The names are those of the command
 * line and of records.
 */
enum cell_load { CELL_STORM, CELL_WRK, CELL_LOADS };
extern const char *const cell_loads[CELL_LOADS + 1];

enum cell_fd_table { CELL_SHARED, CELL_PRIVATE, CELL_FD_TABLES };
extern const char *const cell_fd_tables[CELL_FD_TABLES + 1];

/* The load level of the experiment "park"; CELL_NO_LEVEL in all other experiments. */
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
	const char *options;	/* further options of the server; "" for none */
	bool unparked;		/* the server gets --park 0 */
	unsigned int value;	/* of the experiment's axis; 0 where the axis is the workers */
	bool is_peak;		/* one of the cells that measure the peak rate */
	const char *instrument; /* the one named by the user; NULL: the best available */
	bool has_twin;		/* the same cell is also measured without the instrument */
	bool unwatched;		/* measured without the instrument, to see its overhead */
	bool asked_for;		/* path named by the user: fails if the kernel lacks it */
	/*
	 * The name of the pair that this cell belongs to, which is the name of one of its two cells.
	 * The other one is what that cell is compared with: its baseline, or the same cell without
	 * the instrument. The two run one right after the other, so that slow changes of the
	 * machine's speed affect both and cancel in their ratio. "": this cell is in no pair.
	 */
	char pair[CELL_NAME];
};

/* Each of these returns the cell's value if the experiment's axis is of that kind, else 0. */
unsigned int cell_option(const struct cell *cell); /* value of the server's option */
/* Number of additional server threads that open and close files. */
unsigned int cell_neighbours(const struct cell *cell);
/* Rate of the open loop in percent of the peak; 0: closed loop. */
unsigned int cell_rate_percent(const struct cell *cell);
enum cell_level cell_level(const struct cell *cell);

/* Options that experiments hand to the server beside those of their axis. */
#define CELL_PARK	  "--park"
#define CELL_PARK_TIMEOUT "--park-timeout"

/* Connections per second of the best baseline in this run, in closed loop; 0: not measured. */
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
	uint64_t warm_up; /* connections per round */
	uint64_t wrk_duration_ns;
	uint64_t rate_duration_ns; /* of a cell with a rate, or of a level */
	struct cell_peak peak;
	struct procfile *files;
	bool own_network;	   /* the run has its own network namespace */
	struct lock_watch *watch;  /* NULL: no instrument works here */
	const char *blind_because; /* why `watch` is NULL */
	struct progress *progress;
};

enum cell_outcome { CELL_OK, CELL_FAILED, CELL_SKIPPED, CELL_OUTCOMES };
extern const char *const cell_outcomes[CELL_OUTCOMES + 1];

/*
 * Measures the cell. Fills the record's keys outcome, reason, cell, server, storm or wrk, lock and
 * sockets.
 */
enum cell_outcome cell_run(const struct cell *cell, const struct cell_setup *setup, json_t *record);

/*
 * Writes the cell's name, such as "scaling: dup workers=2 fd-table=shared load=storm". All
 * repetitions of a cell have the same name.
 */
void cell_name(const struct cell *cell, char *text, size_t size);

#endif
