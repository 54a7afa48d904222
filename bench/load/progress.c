/* SPDX-License-Identifier: MIT */
/* Progress lines. See progress.h. */
#include "load/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADER_EVERY 20

void progress_init(struct progress *progress, bool asked)
{
	memset(progress, 0, sizeof(*progress));
	progress->on = asked || isatty(STDERR_FILENO);
	progress->others_s = -1;
}

void progress_load(struct progress *progress, const struct storm_load *load)
{
	progress->last_ns = 0;
	progress->last_good = 0;
	progress->expected = load->connections;
	progress->limit_ns = load->duration_ns;
}

/* Seconds this load still takes at its speed so far; < 0 when there is nothing to tell from. */
static double seconds_left(const struct progress *progress, const struct storm_progress *now)
{
	double left = -1;

	if (progress->limit_ns)
		left = ((double)progress->limit_ns - (double)now->elapsed_ns) / 1e9;
	else if (now->good)
		left = (double)now->elapsed_ns / 1e9 *
		       ((double)progress->expected / (double)now->good - 1);
	return left;
}

static void print_line(struct progress *progress, const struct storm_progress *now)
{
	double seconds = (double)(now->elapsed_ns - progress->last_ns) / 1e9;
	double left = seconds_left(progress, now);

	if (progress->lines++ % HEADER_EVERY == 0)
		fprintf(stderr, "%8s %10s %10s %8s %9s\n", "time", "conns/s", "conns", "failed",
			"left");
	fprintf(stderr, "%7.0fs %10.0f %10" PRIu64 " %8" PRIu64, (double)now->elapsed_ns / 1e9,
		seconds > 0 ? (double)(now->good - progress->last_good) / seconds : 0, now->good,
		now->failed);
	if (left >= 0)
		fprintf(stderr, " %8.0fs",
			left + (progress->others_s > 0 ? progress->others_s : 0));
	fprintf(stderr, "\n");
	progress->last_ns = now->elapsed_ns;
	progress->last_good = now->good;
}

bool progress_line(const struct storm_progress *now, void *arg)
{
	struct progress *progress = arg;

	if (progress->on)
		print_line(progress, now);
	return !progress->stop || !*progress->stop;
}
