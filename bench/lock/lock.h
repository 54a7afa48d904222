/* SPDX-License-Identifier: MIT */
/*
 * Measures the use of files_struct.file_lock with one of several instruments. Each instrument states
 * what it cannot observe; a figure that it cannot observe is absent, never zero.
 */
#ifndef BENCH_LOCK_H
#define BENCH_LOCK_H

#include "procfile.h"

#include <stdint.h>
#include <sys/types.h>

enum lock_figure {
	LOCK_ACQUISITIONS = 1 << 0,
	LOCK_CONTENTIONS = 1 << 1,
	LOCK_WAIT = 1 << 2,
	LOCK_HOLD = 1 << 3,
	LOCK_NEIGHBOURS = 1 << 4, /* neighbours and workers are counted separately */
};

/* Totals since an arbitrary moment; only differences between two of them are meaningful. */
struct lock_counts {
	unsigned int seen; /* which of the figures below are valid: bits of enum lock_figure */
	double acquisitions;
	double contentions;
	double wait_ns;
	double hold_ns;
	/* With LOCK_NEIGHBOURS, counts of the neighbours, which the above then exclude; else 0. */
	double neighbour_acquisitions, neighbour_contentions, neighbour_wait_ns;
};

#define LOCK_CALLERS_MAX 64

/* A function that took the lock, and how often since lock_aim(). */
struct lock_caller {
	const char *function; /* the function that takes the lock */
	char caller[64];      /* its nearest caller that is not just a wrapper */
	char chain[256];      /* its callers, innermost first */
	double calls;
};

struct lock_instrument {
	const char *name;
	const char *blind; /* what it cannot observe, as text for the record */
	const char *scope; /* whose file_lock it counts */
	bool one_process;  /* watches one process only, not other processes of a server */
	/*
	 * Called once per run. Opens all descriptors that the instrument needs, so that none are
	 * opened during a measurement. 0, or -1 with one line in `why`.
	 */
	int (*start)(struct lock_instrument *self, char *why, size_t why_len);
	/* Sets the process to watch from now on. */
	void (*aim)(struct lock_instrument *self, pid_t server);
	/* 0, or -1 with one line in `why`. */
	int (*read)(struct lock_instrument *self, struct lock_counts *counts, char *why,
		    size_t why_len);
	/*
	 * Fills `callers` with at most `max` entries, the most frequent first, and returns their
	 * number. NULL: the instrument does not know the callers.
	 */
	size_t (*callers)(struct lock_instrument *self, struct lock_caller *callers, size_t max);
	void (*stop)(struct lock_instrument *self);
	struct procfile *files;
	void *state;
};

extern const struct lock_instrument lock_stat_instrument;
extern const struct lock_instrument lock_calls_instrument;
extern const struct lock_instrument lock_contention_instrument;
extern const struct lock_instrument lock_events_instrument;

/* The name of the additional server threads that open and close files: the neighbours. */
#define LOCK_NEIGHBOUR_NAME "neighbour"

#define LOCK_PARTS_MAX 2

/* The instruments in use: one that observes everything, or several that each observe a part. */
struct lock_watch {
	size_t n;
	struct lock_instrument part[LOCK_PARTS_MAX];
	bool one_process;
	char name[64], scope[256], blind[1024];
};

/*
 * Starts the instrument called `name`, or, if that is NULL, the best one that works on this kernel.
 * Returns false with the reason in `why`.
 */
bool lock_start(struct lock_watch *watch, const char *name, struct procfile *files, char *why,
		size_t why_len);
void lock_aim(struct lock_watch *watch, pid_t server);
bool lock_read(struct lock_watch *watch, struct lock_counts *counts, char *why, size_t why_len);
size_t lock_callers(struct lock_watch *watch, struct lock_caller *callers, size_t max);
void lock_stop(struct lock_watch *watch);

struct lock_counts lock_difference(const struct lock_counts *before,
				   const struct lock_counts *after);

#endif
