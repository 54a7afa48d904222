/* SPDX-License-Identifier: MIT */
/* The command line of accept-bench run. */
#ifndef BENCH_RUN_OPTIONS_H
#define BENCH_RUN_OPTIONS_H

#include "load/storm_cmd.h"
#include "plan/plan.h"

#define RUN_REPETITIONS_MAX 1000

extern const char *const run_listeners[], *const run_instruments[];

struct run_options {
	const char *server, *out;
	int preset, listener, instrument, pairs; /* indices into the arrays of choices */
	struct plan_choice choice;
	struct storm_settings storm;
	struct text_list server_args;
	const char *server_cpus, *client_cpus, *neighbour_cpus;
	uint64_t repetitions, precision, warm_up, wrk_duration_ns, rate_duration_ns;
	bool no_self_check, overhead, no_netns, resume, show;
};

/* Returns OPTION_GO_ON or an exit code; errors have been printed. */
int run_options_parse(struct run_options *options, int argc, char **argv);

#endif
