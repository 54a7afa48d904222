/* SPDX-License-Identifier: MIT */
/* accept-bench run: measures a matrix of cells and appends a record for each. */
#include "plan/run_cmd.h"
#include "cell/environment.h"
#include "limits.h"
#include "plan/matrix.h"
#include "cell/netns.h"
#include "plan/pairs.h"
#include "plan/peaks.h"
#include "plan/plan.h"
#include "plan/run_options.h"
#include "cell/record.h"
#include "load/storm_cmd.h"
#include "load/storm_json.h"
#include "now.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Time that cells of one experiment took. */
struct spent {
	size_t n;
	double s;
};

struct run {
	const struct run_options *options;
	struct cell_setup setup;
	struct procfile files;
	struct lock_watch watch;
	struct progress progress;
	char blind_because[1200];
	json_t *common; /* run and environment, the same in every record */
	json_t *done;	/* --resume: the records that are there, by name and repetition */
	struct peaks peaks;
	struct pairs pairs;
	struct spent spent[LIST_MAX]; /* by experiment */
	int out;
	size_t n_ok, n_failed, n_skipped, n_resumed, n_settled;
};

static volatile sig_atomic_t interrupted;

static void handle_signal(int signal)
{
	(void)signal;
	interrupted = 1;
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
	const char *name = run_instruments[run->options->instrument];

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

static json_t *texts_json(const struct text_list *list)
{
	json_t *texts = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(texts, json_string(list->item[i]));
	return texts;
}

/* What cells of one name can differ in from run to run: --resume takes none that was made otherwise. */
static json_t *settings_json(const struct run *run)
{
	const struct run_options *o = run->options;

	return json_pack("{s:o,s:I,s:f,s:f,s:s,s:s,s:s?,s:s?,s:s?,s:o}", "load",
			 storm_options_json(&run->setup.storm, &run->setup.load), "warm_up",
			 (json_int_t)o->warm_up, "wrk_duration_s", (double)o->wrk_duration_ns / 1e9,
			 "rate_duration_s", (double)o->rate_duration_ns / 1e9, "listener",
			 run->setup.listener, "server", o->server, "server_cpus", o->server_cpus,
			 "client_cpus", o->client_cpus, "neighbour_cpus", o->neighbour_cpus,
			 "server_args", texts_json(&o->server_args));
}

/* Of the same seed and settings. */
static bool belongs_to_run(const struct run *run, json_t *record)
{
	json_t *settings = json_object_get(json_object_get(record, "run"), "settings");
	double seed;

	return record_number(record, "run", "seed", &seed) &&
	       (uint64_t)seed == run->options->storm.seed &&
	       json_equal(settings,
			  json_object_get(json_object_get(run->common, "run"), "settings"));
}

/* Good records of this run: neither measured again nor forgotten where the peak is looked for. */
static void note_done(struct run *run, json_t *records)
{
	json_t *record;
	size_t i;

	json_array_foreach (records, i, record) {
		char key[2 * CELL_NAME + 16];
		double repetition;

		if (strcmp(json_string_value(json_object_get(record, "outcome")), "ok") ||
		    !belongs_to_run(run, record) ||
		    !record_number(record, "cell", "repetition", &repetition))
			continue;
		snprintf(key, sizeof(key), "%s #%.0f %s", record_text(record, "cell", "name"),
			 repetition, record_text(record, "cell", "pair"));
		json_object_set(run->done, key, record);
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
			run->out == -EBUSY     ? "another run is writing to it"
			: run->out == -ENOTSUP ? "it is not a regular file, and records are read "
						 "before any is added"
					       : strerror(-run->out));
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
	run->setup.listener = run_listeners[o->listener];
	run->setup.server_args = &o->server_args;
	run->setup.server_cpus = o->server_cpus;
	run->setup.client_cpus = o->client_cpus;
	run->setup.neighbour_cpus = o->neighbour_cpus;
	run->setup.storm = *storm;
	run->setup.load = *load;
	run->setup.warm_up = o->warm_up;
	run->setup.wrk_duration_ns = o->wrk_duration_ns;
	run->setup.rate_duration_ns = o->rate_duration_ns;
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

/* ---- one cell after the other ---- */

static void count_outcome(struct run *run, enum cell_outcome outcome, json_t *record)
{
	size_t *const counts[] = { &run->n_ok, &run->n_failed, &run->n_skipped };

	++*counts[outcome];
	if (outcome != CELL_OK)
		fprintf(stderr, "  %s: %s\n", cell_outcomes[outcome],
			json_string_value(json_object_get(record, "reason")));
}

static bool measure_cell(struct run *run, const struct cell *cell)
{
	enum cell_outcome outcome;
	char time[32];
	json_t *record;
	int ret;

	now_text(time, sizeof(time));
	record = json_pack("{s:s,s:s}", "schema", RECORD_SCHEMA, "time", time);
	json_object_update(record, run->common);
	outcome = run_watched_or_not(run, cell, record);
	count_outcome(run, outcome, record);
	if (outcome == CELL_OK) {
		run->setup.peak = peaks_note(&run->peaks, cell, record);
		pairs_note(&run->pairs, cell, record);
	} else if (outcome == CELL_SKIPPED) {
		pairs_give_up(&run->pairs, cell);
	}
	ret = record_append(run->out, record);
	json_decref(record);
	if (ret < 0)
		fprintf(stderr,
			"accept-bench run: cannot write the record to %s: %s; what was "
			"written before is whole\n",
			run->options->out, strerror(-ret));
	return ret == 0;
}

/* What the cells from `from` on will take: as long as those of the same experiment before them. */
static double seconds_left(const struct run *run, const struct matrix *matrix, size_t from)
{
	double all_s = 0, left_s = 0;
	size_t all = 0;

	for (size_t e = 0; e < n_experiments; e++) {
		all_s += run->spent[e].s;
		all += run->spent[e].n;
	}
	for (size_t i = from; all && i < matrix->n; i++) {
		const struct spent *spent = &run->spent[matrix->cells[i].experiment - experiments];

		left_s += spent->n ? spent->s / (double)spent->n : all_s / (double)all;
	}
	return all ? left_s : -1;
}

static void say_cell(struct run *run, const struct matrix *matrix, size_t i, const char *name)
{
	double left = seconds_left(run, matrix, i);

	run->progress.others_s = seconds_left(run, matrix, i + 1);
	fprintf(stderr, "cell %zu of %zu: %s, repetition %u", i + 1, matrix->n, name,
		matrix->cells[i].repetition);
	if (left >= 0)
		fprintf(stderr, "; %d:%02d left", (int)left / 60, (int)left % 60);
	fprintf(stderr, "\n");
}

static bool measure_next(struct run *run, const struct matrix *matrix, size_t i)
{
	const struct cell *cell = &matrix->cells[i];
	struct spent *spent = &run->spent[cell->experiment - experiments];
	char name[CELL_NAME], key[2 * CELL_NAME + 16];
	uint64_t start = now_ns();
	json_t *record;
	bool good;

	cell_name(cell, name, sizeof(name));
	if (pairs_settled(&run->pairs, cell)) {
		run->n_settled++;
		return true;
	}
	snprintf(key, sizeof(key), "%s #%u %s", name, cell->repetition, cell->pair);
	record = json_object_get(run->done, key);
	if (record) {
		run->n_resumed++;
		run->setup.peak = peaks_note(&run->peaks, cell, record);
		pairs_note(&run->pairs, cell, record);
		return true;
	}
	say_cell(run, matrix, i, name);
	good = measure_cell(run, cell);
	spent->s += (double)(now_ns() - start) / 1e9;
	spent->n++;
	return good;
}

/* Why it ended where it did: the precision, or the number of repetitions. */
static void say_pairs(const struct run *run)
{
	size_t all, precise;

	pairs_count(&run->pairs, &all, &precise);
	if (all)
		fprintf(stderr,
			"%zu of %zu pairs are known to %" PRIu64
			" %%%s; %zu further cells were not "
			"needed\n",
			precise, all, run->options->precision,
			precise < all ? ", the others stopped at --repetitions" : "",
			run->n_settled);
}

static int measure_all(struct run *run, const struct matrix *matrix)
{
	for (size_t i = 0; i < matrix->n && !interrupted; i++)
		if (!measure_next(run, matrix, i))
			return EXIT_FAILED;
	fprintf(stderr, "%zu cells measured, %zu failed, %zu skipped, %zu were there already%s\n",
		run->n_ok, run->n_failed, run->n_skipped, run->n_resumed,
		interrupted ? "; interrupted, go on with --resume" : "");
	say_pairs(run);
	return run->n_failed || interrupted ? EXIT_FAILED : EXIT_GOOD;
}

static int run_matrix(struct run *run)
{
	const struct run_options *o = run->options;
	struct matrix_plan plan = {
		.repetitions = o->repetitions,
		.overhead = o->overhead,
		.pairs = o->pairs,
		.instrument = o->instrument ? run_instruments[o->instrument] : NULL,
	};
	struct matrix matrix;
	int code;

	plan_make((enum plan_preset)o->preset, &o->choice, &plan);
	plan.self_check = run->setup.watch && !o->no_self_check;
	if (!matrix_make(&plan, o->storm.seed, &matrix)) {
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
	if (!pairs_init(&run->pairs, (double)run->options->precision / 100))
		abort();
	run->common =
		json_pack("{s:{s:I,s:b,s:s,s:o,s:o},s:o}", "run", "seed",
			  (json_int_t)run->options->storm.seed, "own_network_namespace",
			  run->setup.own_network, "preset", plan_presets[run->options->preset],
			  "command", command_json(argc, argv), "settings", settings_json(run),
			  "environment", environment_json(&run->files));
	run->out = -1;
	if (choose_instrument(run) && open_records(run))
		code = run_matrix(run);
	lock_stop(&run->watch);
	if (run->out >= 0)
		close(run->out);
	json_decref(run->common);
	json_decref(run->done);
	pairs_free(&run->pairs);
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

	code = run_options_parse(&options, argc, argv);
	if (code != OPTION_GO_ON)
		return code;
	if (!storm_settings_apply("run", &options.storm, &storm, &load))
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
