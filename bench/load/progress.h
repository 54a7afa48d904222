/* SPDX-License-Identifier: MIT */
/* One line a second on stderr, with a header now and then, when somebody is looking. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include "load/storm.h"

#include <signal.h>

struct progress {
	bool on;
	const volatile sig_atomic_t *stop; /* or NULL */
	unsigned int lines;
	uint64_t last_ns, last_good;
	uint64_t expected; /* connections; 0: not known */
	uint64_t limit_ns; /* duration; 0: not known */
	double others_s;   /* what is still to come after this load; < 0: nothing */
};

/* On when stderr is a terminal or `asked`. */
void progress_init(struct progress *progress, bool asked);
void progress_load(struct progress *progress, const struct storm_load *load);

/* For storm_run(): a line when somebody is looking; false when *stop is set. */
bool progress_line(const struct storm_progress *now, void *progress);

#endif
