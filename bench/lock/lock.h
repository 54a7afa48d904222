/* SPDX-License-Identifier: MIT */
/*
 * What can be seen of files_struct.file_lock, whatever instrument sees it. An instrument says what
 * it is blind to, and a figure it cannot see is absent, never zero.
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
	LOCK_NEIGHBOURS = 1 << 4, /* what neighbours did is told apart from the workers' */
};

/* Totals since some moment; only differences mean anything. */
struct lock_counts {
	unsigned int seen; /* which of the figures below are: enum lock_figure */
	double acquisitions;
	double contentions;
	double wait_ns;
	double hold_ns;
	/* In none of the above where they are told apart, else 0. */
	double neighbour_acquisitions, neighbour_contentions, neighbour_wait_ns;
};

#define LOCK_CALLERS_MAX 64

/* Who took the lock, and how often since lock_aim(). */
struct lock_caller {
	const char *function; /* that takes it */
	char caller[64];      /* the nearest function that is no mere wrapper of it */
	char chain[256];      /* all that called it, nearest first */
	double calls;
};

struct lock_instrument {
	const char *name;
	const char *blind; /* what it cannot see, in words for the record */
	const char *scope; /* whose file_lock it counts */
	bool one_process;  /* watches one process and would miss a server's others */
	/* 0, or -1 with one line in `why`. Once a run; the descriptors it needs are made here. */
	int (*start)(struct lock_instrument *self, char *why, size_t why_len);
	/* The process under test from now on. */
	void (*aim)(struct lock_instrument *self, pid_t server);
	int (*read)(struct lock_instrument *self, struct lock_counts *counts, char *why,
		    size_t why_len);
	/* NULL: cannot tell who. Returns how many, the most frequent first. */
	size_t (*callers)(struct lock_instrument *self, struct lock_caller *callers, size_t max);
	void (*stop)(struct lock_instrument *self);
	struct procfile *files;
	void *state;
};

extern const struct lock_instrument lock_stat_instrument;
extern const struct lock_instrument lock_calls_instrument;
extern const struct lock_instrument lock_contention_instrument;
extern const struct lock_instrument lock_events_instrument;

/* The name of the server's threads that open and close files beside the connections. */
#define LOCK_NEIGHBOUR_NAME "neighbour"

#define LOCK_PARTS_MAX 2

/* The instruments in use: one that sees all, or several that see a part each. */
struct lock_watch {
	size_t n;
	struct lock_instrument part[LOCK_PARTS_MAX];
	bool one_process;
	char name[64], scope[256], blind[1024];
};

/*
 * Starts the best this kernel has, or the one named; false with the reason when there is none.
 * `name` is NULL for "the best".
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
