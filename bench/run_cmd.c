/* SPDX-License-Identifier: MIT */
/* accept-bench run: measures a matrix of cells and appends a record for each. */
#include "run_cmd.h"
#include "environment.h"
#include "limits.h"
#include "matrix.h"
#include "netns.h"
#include "record.h"
#include "storm_cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum preset { PRESET_SMOKE, PRESET_QUICK, PRESET_FULL };
static const char *const presets[] = { "smoke", "quick", "full", NULL };
static const char *const listeners[] = { "reuseport", "shared", NULL };
static const char *const instruments[] = {
	"auto", "lock_stat", "calls", "contention", "none", NULL
};

enum {
	A_EPOLL,
	A_ACCEPT4,
	A_MULTISHOT,
	A_INSTALL,
	A_DUP3,
	A_DUP,
	A_DIRECT,
	A_BARE,
	A_NGINX,
	A_HAPROXY
};

struct run_options {
	const char *server, *out;
	int preset, listener, instrument;
	struct matrix_axes axes;
	struct storm_settings storm;
	struct text_list server_args;
	const char *server_cpus, *client_cpus;
	uint64_t warm_up, wrk_duration_ns;
	bool no_self_check, no_netns, resume, show;
};

struct run {
	const struct run_options *options;
	struct cell_setup setup;
	struct procfile files;
	struct lock_watch watch;
	struct progress progress;
	char blind_because[1200];
	json_t *common; /* run and environment, the same in every record */
	json_t *done;	/* --resume: names of cells that are measured already */
	int out;
	size_t n_ok, n_failed, n_skipped, n_resumed;
};

static volatile sig_atomic_t interrupted;

static void handle_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static const struct run_options preset_options[] = {
	[PRESET_SMOKE] = {
		.axes = { .accepts = { 5, { A_EPOLL, A_MULTISHOT, A_INSTALL, A_DUP, A_DIRECT } },
			  .workers = { 1, { 2 } }, .fd_tables = { 1, { 0 } }, .loads = { 1, { 0 } },
			  .repetitions = 1 },
		.storm.connections = 500,
		.storm.concurrency = 16,
		.warm_up = 100,
		.wrk_duration_ns = 1000000000,
	},
	[PRESET_QUICK] = {
		.axes = { .accepts = { 5, { A_EPOLL, A_MULTISHOT, A_INSTALL, A_DUP, A_DIRECT } },
			  .workers = { 2, { 2, 4 } }, .fd_tables = { 1, { 0 } },
			  .loads = { 1, { 0 } }, .repetitions = 1 },
		.storm.connections = 20000,
		.storm.concurrency = 64,
		.warm_up = 500,
		.wrk_duration_ns = 5000000000,
	},
	[PRESET_FULL] = {
		.axes = { .accepts = { 10, { A_EPOLL, A_ACCEPT4, A_MULTISHOT, A_INSTALL, A_DUP3,
					    A_DUP, A_DIRECT, A_BARE, A_NGINX, A_HAPROXY } },
			  .workers = { 3, { 1, 2, 4 } }, .fd_tables = { 2, { 0, 1 } },
			  .loads = { 1, { 0 } }, .repetitions = 5 },
		.storm.connections = 20000,
		.storm.concurrency = 64,
		.warm_up = 1000,
		.wrk_duration_ns = 10000000000,
	},
};

/* The preset gives the defaults of the other options, so it is looked for before they are parsed.
 */
static enum preset find_preset(int argc, char **argv)
{
	enum preset preset = PRESET_QUICK;

	for (int i = 1; i < argc; i++) {
		const char *value = NULL;

		if (!strncmp(argv[i], "--preset=", 9))
			value = argv[i] + 9;
		else if (!strcmp(argv[i], "--preset") && i + 1 < argc)
			value = argv[i + 1];
		for (int p = 0; value && presets[p]; p++)
			if (!strcmp(value, presets[p]))
				preset = (enum preset)p;
	}
	return preset;
}

static void set_defaults(struct run_options *o, enum preset preset)
{
	struct storm_settings storm = storm_defaults;

	*o = preset_options[preset];
	storm.connections = o->storm.connections;
	storm.concurrency = o->storm.concurrency;
	storm.seed = 0;
	o->storm = storm;
	o->preset = preset;
}

static int parse(struct run_options *o, int argc, char **argv)
{
	struct count_list accepts = { 0 };
	const struct option_row rows[] = {
		{ "server", OPTION_TEXT, &o->server, "PATH", "the accept-server to measure", 0, 0,
		  NULL },
		{ "out", OPTION_TEXT, &o->out, "FILE", "records are appended to this file", 0, 0,
		  NULL },
		{ "preset", OPTION_CHOICE, &o->preset, "NAME",
		  "defaults for everything below; see the values of --preset NAME --help", 0, 0,
		  presets },
		{ "paths", OPTION_CHOICES, &accepts, "LIST",
		  "accept paths and peers; one named here that the kernel lacks is a failure, one of the "
		  "preset is skipped",
		  0, 0, matrix_accepts },
		{ "workers", OPTION_COUNTS, &o->axes.workers, "LIST",
		  "worker threads of the server", 1, 1024, NULL },
		{ "fd-tables", OPTION_CHOICES, &o->axes.fd_tables, "LIST",
		  "one fd table for all workers, or one each", 0, 0, matrix_fd_tables },
		{ "loads", OPTION_CHOICES, &o->axes.loads, "LIST", "what drives the server", 0, 0,
		  cell_loads },
		{ "listener", OPTION_CHOICE, &o->listener, "KIND", "one a worker, or one for all",
		  0, 0, listeners },
		{ "repetitions", OPTION_COUNT, &o->axes.repetitions, "N",
		  "of every cell, each repetition in a new random order", 1, 1000, NULL },
		{ "warm-up", OPTION_COUNT, &o->warm_up, "N",
		  "connections a warm-up round: rounds until two agree within 10 %, at most 6; 0: none",
		  0, 10000000, NULL },
		{ "instrument", OPTION_CHOICE, &o->instrument, "NAME", "what watches the lock", 0,
		  0, instruments },
		{ "wrk-duration", OPTION_TIME, &o->wrk_duration_ns, "TIME", "of a cell under wrk",
		  1000000000, 59000000000, NULL },
		{ "server-arg", OPTION_TEXTS, &o->server_args, "ARG",
		  "handed to the server as it is; may be repeated", 0, 0, NULL },
		{ "server-cpus", OPTION_TEXT, &o->server_cpus, "LIST",
		  "bind the server to these CPUs, as in 0,2-3", 0, 0, NULL },
		{ "client-cpus", OPTION_TEXT, &o->client_cpus, "LIST",
		  "bind the client to these CPUs", 0, 0, NULL },
		{ "no-self-check", OPTION_FLAG, &o->no_self_check, NULL,
		  "leave out the cells that count what the harness itself takes", 0, 0, NULL },
		{ "no-netns", OPTION_FLAG, &o->no_netns, NULL,
		  "stay in the network namespace of the caller; without this, root gets its own", 0,
		  0, NULL },
		{ "overhead", OPTION_FLAG, &o->axes.overhead, NULL,
		  "every cell a second time without the instrument, to see what watching costs", 0,
		  0, NULL },
		{ "resume", OPTION_FLAG, &o->resume, NULL,
		  "leave out what the file already has a good record of, with this seed", 0, 0,
		  NULL },
		{ "progress", OPTION_FLAG, &o->show, NULL,
		  "a line a second on stderr even when it is no terminal", 0, 0, NULL },
		STORM_ROWS(o->storm),
		{ 0 },
	};
	int code =
		option_parse("run",
			     "Measures every cell of a matrix: accept path x workers x fd table "
			     "x load.\nA cell that fails is recorded with its reason, the others "
			     "go on, the exit code is 1.",
			     rows, argc, argv);

	if (code == OPTION_GO_ON && accepts.n) {
		o->axes.accepts = accepts;
		o->axes.asked_for = true;
	}
	return code;
}

static bool check_options(struct run_options *o)
{
	if (!o->server || !o->out) {
		fprintf(stderr, "accept-bench run: --%s is needed; see accept-bench run --help\n",
			o->server ? "out" : "server");
		return false;
	}
	if (access(o->server, X_OK)) {
		fprintf(stderr, "accept-bench run: --server: cannot execute '%s': %s\n", o->server,
			strerror(errno));
		return false;
	}
	if (o->resume && !o->storm.seed) {
		fprintf(stderr,
			"accept-bench run: --resume needs the --seed of the run it resumes\n");
		return false;
	}
	return true;
}

static json_t *command_json(int argc, char **argv)
{
	json_t *command = json_array();

	json_array_append_new(command, json_string("accept-bench"));
	for (int i = 0; i < argc; i++)
		json_array_append_new(command, json_string(argv[i]));
	return command;
}

static bool choose_instrument(struct run *run)
{
	const char *name = instruments[run->options->instrument];

	if (!strcmp(name, "none")) {
		snprintf(run->blind_because, sizeof(run->blind_because),
			 "not looked at: --instrument none");
	} else if (lock_start(&run->watch, strcmp(name, "auto") ? name : NULL, &run->files,
			      run->blind_because, sizeof(run->blind_because))) {
		run->setup.watch = &run->watch;
	} else if (strcmp(name, "auto")) {
		fprintf(stderr, "accept-bench run: --instrument %s: %s\n", name,
			run->blind_because);
		return false;
	}
	run->setup.blind_because = run->blind_because;
	return true;
}

static void note_done(struct run *run, json_t *records)
{
	json_t *record;
	size_t i;

	json_array_foreach (records, i, record) {
		char name[256];
		double seed, workers, repetition;
		json_t *watched;

		if (strcmp(json_string_value(json_object_get(record, "outcome")), "ok") ||
		    !record_number(record, "run", "seed", &seed) ||
		    (uint64_t)seed != run->options->storm.seed ||
		    !record_number(record, "cell", "workers", &workers) ||
		    !record_number(record, "cell", "repetition", &repetition))
			continue;
		watched = json_object_get(json_object_get(record, "cell"), "watched");
		snprintf(name, sizeof(name), "%s workers=%.0f fd-table=%s load=%s%s #%.0f",
			 record_text(record, "cell", "accept"), workers,
			 record_text(record, "cell", "fd_table"),
			 record_text(record, "cell", "load"),
			 json_is_false(watched) ? " unwatched" : "", repetition);
		json_object_set_new(run->done, name, json_true());
	}
}

/* Reads what is there before anything is added: a file that is no record file is left alone. */
static bool open_records(struct run *run)
{
	const char *path = run->options->out;
	json_t *records;
	char why[512];
	bool good;

	run->out = record_open(path);
	if (run->out < 0) {
		fprintf(stderr, "accept-bench run: cannot write to %s: %s\n", path,
			run->out == -EBUSY ? "another run is writing to it" : strerror(-run->out));
		return false;
	}
	records = json_array();
	good = record_read(path, records, why, sizeof(why));
	if (!good)
		fprintf(stderr, "accept-bench run: will not add to this file: %s\n", why);
	else if (run->options->resume)
		note_done(run, records);
	json_decref(records);
	return good;
}

static void make_setup(struct run *run, const struct storm_options *storm,
		       const struct storm_load *load)
{
	const struct run_options *o = run->options;

	run->setup.server = o->server;
	run->setup.listener = listeners[o->listener];
	run->setup.server_args = &o->server_args;
	run->setup.server_cpus = o->server_cpus;
	run->setup.client_cpus = o->client_cpus;
	run->setup.storm = *storm;
	run->setup.load = *load;
	run->setup.warm_up = o->warm_up;
	run->setup.wrk_duration_ns = o->wrk_duration_ns;
	run->setup.files = &run->files;
	run->setup.progress = &run->progress;
}

static void now_text(char *text, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* An instrument that is not wanted is taken out of the kernel, not just ignored. */
static enum cell_outcome run_watched_or_not(struct run *run, const struct cell *cell,
					    json_t *record)
{
	enum cell_outcome outcome;

	if (!cell->unwatched)
		return cell_run(cell, &run->setup, record);
	lock_stop(&run->watch);
	outcome = cell_run(cell, &run->setup, record);
	if (run->setup.watch && !choose_instrument(run))
		run->setup.watch = NULL;
	return outcome;
}

static bool measure_cell(struct run *run, const struct cell *cell, size_t index, size_t of)
{
	char name[256], key[300], time[32];
	enum cell_outcome outcome;
	json_t *record;
	int ret;

	cell_name(cell, name, sizeof(name));
	snprintf(key, sizeof(key), "%s #%u", name, cell->repetition);
	if (json_object_get(run->done, key)) {
		run->n_resumed++;
		return true;
	}
	fprintf(stderr, "cell %zu of %zu: %s, repetition %u\n", index + 1, of, name,
		cell->repetition);
	now_text(time, sizeof(time));
	record = json_pack("{s:s,s:s}", "schema", RECORD_SCHEMA, "time", time);
	json_object_update(record, run->common);
	outcome = run_watched_or_not(run, cell, record);
	if (outcome == CELL_OK)
		run->n_ok++;
	else if (outcome == CELL_FAILED)
		run->n_failed++;
	else
		run->n_skipped++;
	if (outcome != CELL_OK)
		fprintf(stderr, "  %s: %s\n", cell_outcomes[outcome],
			json_string_value(json_object_get(record, "reason")));
	ret = record_append(run->out, record);
	json_decref(record);
	if (ret < 0)
		fprintf(stderr,
			"accept-bench run: cannot write the record to %s: %s; what was "
			"written before is whole\n",
			run->options->out, strerror(-ret));
	return ret == 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int measure_all(struct run *run, const struct matrix *matrix)
{
	uint64_t start = now_ns();

	for (size_t i = 0; i < matrix->n && !interrupted; i++) {
		size_t measured = i - run->n_resumed;

		if (measured)
			run->progress.others_s = (double)(now_ns() - start) / 1e9 /
						 (double)measured * (double)(matrix->n - i - 1);
		if (!measure_cell(run, &matrix->cells[i], i, matrix->n))
			return EXIT_FAILED;
	}
	fprintf(stderr, "%zu cells measured, %zu failed, %zu skipped, %zu were there already%s\n",
		run->n_ok, run->n_failed, run->n_skipped, run->n_resumed,
		interrupted ? "; interrupted, go on with --resume" : "");
	return run->n_failed || interrupted ? EXIT_FAILED : EXIT_OK;
}

static int run_matrix(struct run *run)
{
	struct matrix_axes axes = run->options->axes;
	struct matrix matrix;
	int code;

	axes.self_check = run->setup.watch && !run->options->no_self_check;
	if (!matrix_make(&axes, run->options->storm.seed, &matrix)) {
		fprintf(stderr, "accept-bench run: out of memory\n");
		return EXIT_FAILED;
	}
	code = measure_all(run, &matrix);
	matrix_free(&matrix);
	return code;
}

static int start(struct run *run, int argc, char **argv)
{
	int ret, code = EXIT_FAILED;

	run->setup.own_network = !run->options->no_netns && netns_enter();
	ret = procfile_open(&run->files);
	if (ret < 0) {
		fprintf(stderr,
			"accept-bench run: no io_uring: %s; see "
			"/proc/sys/kernel/io_uring_disabled, ulimit -l and the container's "
			"seccomp profile\n",
			strerror(-ret));
		return EXIT_FAILED;
	}
	run->done = json_object();
	run->common = json_pack("{s:{s:I,s:b,s:s,s:o},s:o}", "run", "seed",
				(json_int_t)run->options->storm.seed, "own_network_namespace",
				run->setup.own_network, "preset", presets[run->options->preset],
				"command", command_json(argc, argv), "environment",
				environment_json(&run->files));
	run->out = -1;
	if (choose_instrument(run) && open_records(run))
		code = run_matrix(run);
	lock_stop(&run->watch);
	if (run->out >= 0)
		close(run->out);
	json_decref(run->common);
	json_decref(run->done);
	procfile_close(&run->files);
	return code;
}

int run_command(int argc, char **argv)
{
	struct sigaction on_signal = { .sa_handler = handle_signal };
	struct storm_options storm = { 0 };
	struct run_options options;
	struct storm_load load;
	struct run run = { .options = &options };
	int code;

	set_defaults(&options, find_preset(argc, argv));
	code = parse(&options, argc, argv);
	if (code != OPTION_GO_ON)
		return code;
	if (!check_options(&options) || !storm_settings_apply("run", &options.storm, &storm, &load))
		return EXIT_USAGE;
	if (!options.storm.seed)
		options.storm.seed = storm.seed = (uint64_t)time(NULL);
	sigaction(SIGINT, &on_signal, NULL);
	sigaction(SIGTERM, &on_signal, NULL);
	limits_raise(2 * options.storm.concurrency);
	progress_init(&run.progress, options.show);
	run.progress.stop = &interrupted;
	make_setup(&run, &storm, &load);
	return start(&run, argc, argv);
}
