/* SPDX-License-Identifier: MIT */
/* See run_options.h. */
#include "plan/run_options.h"
#include "cell/child.h"
#include "cell/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const run_listeners[] = { "reuseport", "shared", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };
const char *const run_instruments[] = { "auto",	  "lock_stat", "calls", "contention",
					"events", "none",      NULL };

/* The preset gives the defaults of the other options, so it is looked for before they are parsed.
 */
static enum plan_preset find_preset(int argc, char **argv)
{
	enum plan_preset preset = PLAN_QUICK;

	for (int i = 1; i < argc; i++) {
		const char *value = NULL;

		if (!strncmp(argv[i], "--preset=", 9))
			value = argv[i] + 9;
		else if (!strcmp(argv[i], "--preset") && i + 1 < argc)
			value = argv[i + 1];
		for (int p = 0; value && plan_presets[p]; p++)
			if (!strcmp(value, plan_presets[p]))
				preset = (enum plan_preset)p;
	}
	return preset;
}

static void set_defaults(struct run_options *o, enum plan_preset preset)
{
	struct plan_sizes sizes = plan_sizes(preset);

	memset(o, 0, sizeof(*o));
	o->preset = preset;
	o->repetitions = sizes.repetitions;
	o->pairs = sizes.pairs;
	o->precision = 3;
	o->warm_up = sizes.warm_up;
	o->wrk_duration_ns = sizes.wrk_duration_ns;
	o->rate_duration_ns = sizes.rate_duration_ns;
	o->storm = storm_defaults;
	o->storm.connections = sizes.connections;
	o->storm.concurrency = sizes.concurrency;
	o->storm.seed = 0;
}

/* The values of what an experiment varies, where its row has an option for them. */
static void add_axis_rows(struct option_row *rows, struct plan_choice *choice)
{
	static char help[LIST_MAX][160];

	while (rows->name)
		rows++;
	for (size_t e = 0; e < n_experiments; e++) {
		const struct experiment_axis *axis = &experiments[e].axis;

		if (!axis->option)
			continue;
		snprintf(help[e], sizeof(help[e]), "%s in the experiment %s", axis->what,
			 experiments[e].name);
		*rows++ = (struct option_row){ axis->option, OPTION_COUNTS, &choice->values[e],
					       "LIST",	     help[e],	    axis->min,
					       axis->max,    NULL };
	}
}

static int parse(struct run_options *o, int argc, char **argv)
{
	struct plan_choice *choice = &o->choice;
	char experiments_help[512];
	const struct option_row fixed[] = {
		{ "server", OPTION_TEXT, &o->server, "PATH", "the accept-server to measure", 0, 0,
		  NULL },
		{ "out", OPTION_TEXT, &o->out, "FILE", "records are appended to this file", 0, 0,
		  NULL },
		{ "preset", OPTION_CHOICE, &o->preset, "NAME",
		  "defaults for all options below; --preset NAME --help shows them", 0, 0,
		  plan_presets },
		{ "experiments", OPTION_CHOICES, &choice->experiments, "LIST", experiments_help, 0,
		  0, experiment_names() },
		{ "paths", OPTION_CHOICES, &choice->accepts, "LIST",
		  "accept paths and peers; one named here that the kernel lacks is a failure, one of the "
		  "preset is skipped",
		  0, 0, path_names },
		{ "workers", OPTION_COUNTS, &choice->workers, "LIST",
		  "worker threads of the server; as the experiment has it", 1, 1024, NULL },
		{ "fd-tables", OPTION_CHOICES, &choice->fd_tables, "LIST",
		  "one fd table for all workers, or one each; as the experiment has it", 0, 0,
		  cell_fd_tables },
		{ "loads", OPTION_CHOICES, &choice->loads, "LIST",
		  "what drives the server in the experiment paths", 0, 0, cell_loads },
		{ "listener", OPTION_CHOICE, &o->listener, "KIND", "one a worker, or one for all",
		  0, 0, run_listeners },
		{ "repetitions", OPTION_COUNT, &o->repetitions, "N",
		  "of every cell, each time in a new random order; in pairs, at most this many", 1,
		  RUN_REPETITIONS_MAX, NULL },
		{ "pairs", OPTION_CHOICE, &o->pairs, "YES-OR-NO",
		  "measure each cell right before or after one of epoll, and ratios of these pairs",
		  0, 0, no_yes },
		{ "precision", OPTION_COUNT, &o->precision, "PERCENT",
		  "in pairs: repeat until the 95 % interval of the ratio of CPU per connection (in the "
		  "experiment latency, of the 99 % time) reaches at most this far to each side",
		  1, 100, NULL },
		{ "warm-up", OPTION_COUNT, &o->warm_up, "N",
		  "connections in a warm-up round, which is repeated until two agree within 10 %, at most "
		  "6 times; 0: no warm-up",
		  0, 10000000, NULL },
		{ "instrument", OPTION_CHOICE, &o->instrument, "NAME", "what watches the lock", 0,
		  0, run_instruments },
		{ "wrk-duration", OPTION_TIME, &o->wrk_duration_ns, "TIME", "of a cell under wrk",
		  1000000000, 59000000000, NULL },
		{ "rate-duration", OPTION_TIME, &o->rate_duration_ns, "TIME",
		  "how long a cell with a rate is measured, in the experiments latency and park",
		  100000000, 3600000000000, NULL },
		{ "server-arg", OPTION_TEXTS, &o->server_args, "ARG",
		  "an argument for the server, passed on as it is; may be repeated", 0, 0, NULL },
		{ "server-cpus", OPTION_TEXT, &o->server_cpus, "LIST",
		  "bind the server to these CPUs, as in 0,2-3", 0, 0, NULL },
		{ "client-cpus", OPTION_TEXT, &o->client_cpus, "LIST",
		  "bind the client to these CPUs", 0, 0, NULL },
		{ "neighbour-cpus", OPTION_TEXT, &o->neighbour_cpus, "LIST",
		  "bind the neighbours to these CPUs, so that a lower rate is due to the lock and not to "
		  "the CPU time they take",
		  0, 0, NULL },
		{ "no-self-check", OPTION_FLAG, &o->no_self_check, NULL,
		  "leave out the cells that count how often the harness itself takes the lock", 0,
		  0, NULL },
		{ "no-netns", OPTION_FLAG, &o->no_netns, NULL,
		  "stay in the network namespace of the caller; without this, root gets its own", 0,
		  0, NULL },
		{ "overhead", OPTION_FLAG, &o->overhead, NULL,
		  "measure every cell of the experiment paths again without the instrument: what watching costs",
		  0, 0, NULL },
		{ "resume", OPTION_FLAG, &o->resume, NULL,
		  "leave out cells of which the file has a good record with this seed", 0, 0,
		  NULL },
		{ "progress", OPTION_FLAG, &o->show, NULL,
		  "print a line a second on stderr even if that is no terminal", 0, 0, NULL },
		STORM_ROWS(o->storm),
		{ 0 },
	};
	struct option_row rows[sizeof(fixed) / sizeof(fixed[0]) + LIST_MAX] = { 0 };

	memcpy(rows, fixed, sizeof(fixed));
	add_axis_rows(rows, choice);
	snprintf(experiments_help, sizeof(experiments_help),
		 "which questions to measure; of this preset: %s",
		 plan_experiments_text((enum plan_preset)o->preset));
	return option_parse("run",
			    "Measures the cells of experiments: accept path x workers x fd table x "
			    "load.\nA cell that fails is recorded with its reason, the others go "
			    "on, and the exit code is 1.",
			    rows, argc, argv);
}

/*
 * What is looked at here is what is started later: a name without a slash would be looked for in
 * PATH then.
 */
static bool find_server(struct run_options *o)
{
	static char path[4096];
	struct stat there;

	if (!strchr(o->server, '/')) {
		snprintf(path, sizeof(path), "./%s", o->server);
		o->server = path;
	}
	if (!access(o->server, X_OK) && !stat(o->server, &there)) {
		if (S_ISREG(there.st_mode))
			return true;
		errno = EISDIR;
	}
	fprintf(stderr, "accept-bench run: --server: cannot execute '%s': %s\n", o->server,
		strerror(errno));
	return false;
}

static bool check_cpus(const char *option, const char *cpus)
{
	if (!cpus || child_count_cpus(cpus))
		return true;
	fprintf(stderr,
		"accept-bench run: --%s: '%s' is not valid; it takes CPU numbers and ranges, as in "
		"0,2-3\n",
		option, cpus);
	return false;
}

static bool check_options(struct run_options *o)
{
	if (!o->server || !o->out) {
		fprintf(stderr, "accept-bench run: --%s is needed; see accept-bench run --help\n",
			o->server ? "out" : "server");
		return false;
	}
	if (!find_server(o))
		return false;
	if (!check_cpus("server-cpus", o->server_cpus) ||
	    !check_cpus("client-cpus", o->client_cpus) ||
	    !check_cpus("neighbour-cpus", o->neighbour_cpus))
		return false;
	if (o->resume && !o->storm.seed) {
		fprintf(stderr,
			"accept-bench run: --resume needs the --seed of the run it resumes\n");
		return false;
	}
	return true;
}

int run_options_parse(struct run_options *o, int argc, char **argv)
{
	int code;

	set_defaults(o, find_preset(argc, argv));
	code = parse(o, argc, argv);
	return code == OPTION_GO_ON && !check_options(o) ? EXIT_USAGE : code;
}
