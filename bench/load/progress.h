/* SPDX-License-Identifier: MIT */
/* Progress on stderr: one line per second, below a header that is repeated now and then. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include "load/storm.h"

#include <signal.h>

struct progress {
	bool on;
	const volatile sig_atomic_t *stop; /* set by a signal handler to end the load; or NULL */
	unsigned int lines;
	uint64_t last_ns, last_good;
	uint64_t expected; /* connections; 0: not known */
	uint64_t limit_ns; /* duration; 0: not known */
	double others_s;   /* estimated seconds of the loads after this one; < 0: there are none */
};

/* Progress is printed if stderr is a terminal or `asked` is true. */
void progress_init(struct progress *progress, bool asked);
void progress_load(struct progress *progress, const struct storm_load *load);

/* A callback for storm_run(): prints a line if progress is on. Returns false when *stop is set. */
bool progress_line(const struct storm_progress *now, void *progress);

#endif
