/* SPDX-License-Identifier: MIT */
/* See instructions_cmd.h. */
#include "instructions/instructions_cmd.h"
#include "cell/environment.h"
#include "cell/record.h"
#include "cell/server.h"
#include "instructions/steps.h"
#include "limits.h"
#include "load/storm.h"
#include "option.h"
#include "procfile.h"
#include "server/accept/paths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The server's own, in their order; peers and paths with options are no part of it. */
#define X(id, ...) #id,
static const char *const accept_names[] = { ACCEPT_PATHS(X) NULL };
#undef X

#define LOOPS	       20
#define LOOP_TURNS     100000ull
#define LOOP_PER_TURN  2
#define CLOCK_APART    0.005
#define SETTLE_LOOKS   400
#define SETTLE_LOOK_US 5000
#define START_TRIES    3
#define SEED	       1 /* the same client addresses each time */

struct instructions {
	const char *server, *out, *note;
	struct count_list paths, in_flight;
	struct text_list server_args;
	uint64_t connections, user_connections, warm_up, repetitions;

	struct procfile files;
	json_t *environment, *command, *kernel_compiler;
	double ns_per_instruction;
	int records;
};

/* One figure to be had. */
struct sample {
	const char *path, *counted;
	unsigned int in_flight, repetition;
	uint64_t connections;
};

/* What is held while it is taken. */
struct taking {
	struct server server;
	struct storm *storm;
	struct storm_result result;
	json_t *before, *after;
	uint64_t steps;
	char why[1024];
};

/* ---- the clock ---- */

static uint64_t own_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* The shortest of some runs of the loop: no tick of the timer came into it. */
static uint64_t loop_ns(uint64_t turns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < LOOPS; i++) {
		uint64_t left = turns, ns = own_cpu_ns();

#if defined(__x86_64__)
		__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
#endif
		ns = own_cpu_ns() - ns;
		best = ns < best ? ns : best;
	}
	return best;
}

/* Nanoseconds an instruction, of two loops: reading the clock is in both of them. */
static double measure_clock(void)
{
	uint64_t once = loop_ns(LOOP_TURNS), twice = loop_ns(2 * LOOP_TURNS);

	return ((double)twice - (double)once) / (LOOP_TURNS * LOOP_PER_TURN);
}

static bool counts_instructions(struct instructions *in)
{
	in->ns_per_instruction = measure_clock();
	if (in->ns_per_instruction > 1 - CLOCK_APART && in->ns_per_instruction < 1 + CLOCK_APART)
		return true;
	fprintf(stderr,
		"accept-bench instructions: the clock here does not count instructions: a loop of %llu "
		"took %.4f ns for each; run it by kernel/boot --icount, in the guest\n",
		LOOP_TURNS * LOOP_PER_TURN, in->ns_per_instruction);
	return false;
}

/* ---- one sample ---- */

static bool start_server(const struct instructions *in, const struct sample *sample,
			 struct taking *t, bool *unsupported)
{
	const char *argv[24 + LIST_MAX] = {
		in->server,  "--accept",  sample->path, "--workers", "1",
		"--address", "127.0.0.1", "--port",	"0",
	};
	enum server_verdict verdict = SERVER_FAILED;

	for (size_t i = 0; i < in->server_args.n; i++)
		argv[9 + i] = in->server_args.item[i];
	/*
	 * The guest's clock runs on while its host looks for a file, as fast as it can: a limit of a
	 * minute may be over before the server has been loaded. The next try finds it in memory.
	 */
	for (int tries = 0; tries < START_TRIES && verdict == SERVER_FAILED; tries++)
		verdict =
			server_start(&t->server, (char *const *)argv, NULL, t->why, sizeof(t->why));
	*unsupported = verdict == SERVER_UNSUPPORTED;
	return verdict == SERVER_READY;
}

static bool start_client(const struct sample *sample, struct taking *t)
{
	struct storm_options options = {
		.server = t->server.address,
		.threads = 1,
		.concurrency = sample->in_flight,
		.requests = 1,
		.sources = 64,
		.protocol = STORM_HTTP,
		.close = STORM_SERVER_FIN,
		.timeout_ns = 60000000000,
		.seed = SEED,
		.path = "/",
		.body = "hello, world\n",
	};

	t->storm = storm_create(&options, t->why, sizeof(t->why));
	return t->storm != NULL;
}

static bool drive(struct taking *t, uint64_t connections)
{
	struct storm_load load = { .connections = connections };

	if (!storm_run(t->storm, &load, &t->result, NULL, NULL)) {
		snprintf(t->why, sizeof(t->why), "%s", storm_why(t->storm));
		return false;
	}
	if (!t->result.failed && t->result.good == connections)
		return true;
	snprintf(t->why, sizeof(t->why), "%" PRIu64 " of %" PRIu64 " connections failed, %s: %s",
		 t->result.failed, t->result.started,
		 t->result.n_errors ? t->result.error[0].phase : "?",
		 t->result.n_errors ? t->result.error[0].reason : "?");
	return false;
}

static json_int_t total(json_t *totals, const char *key)
{
	return json_integer_value(json_object_get(totals, key));
}

/* The server's totals once its last connection has ended; looking costs it something, so not often. */
static json_t *settled_totals(struct taking *t)
{
	for (unsigned int i = 0; i < SETTLE_LOOKS; i++) {
		json_t *totals;

		usleep(SETTLE_LOOK_US);
		totals = server_totals(&t->server, t->why, sizeof(t->why));
		if (!totals || !total(totals, "conns_now"))
			return totals;
		json_decref(totals);
	}
	snprintf(t->why, sizeof(t->why), "connections are still open in the server");
	return NULL;
}

static bool count(const struct sample *sample, struct taking *t)
{
	bool by_steps = !strcmp(sample->counted, INSTRUCTIONS_USER);
	struct steps steps;

	t->before = settled_totals(t);
	if (!t->before)
		return false;
	if (by_steps && !steps_start(&steps, t->server.child.pid, t->why, sizeof(t->why)))
		return false;
	if (!drive(t, sample->connections)) {
		char why[256];

		if (by_steps)
			steps_stop(&steps, &t->steps, why, sizeof(why));
		return false;
	}
	if (by_steps) {
		usleep(SETTLE_LOOK_US); /* the last one's end */
		if (!steps_stop(&steps, &t->steps, t->why, sizeof(t->why)))
			return false;
	}
	t->after = settled_totals(t);
	return t->after != NULL;
}

static bool check_totals(const struct sample *sample, struct taking *t)
{
	json_int_t accepts = total(t->after, "accepts") - total(t->before, "accepts");

	if (accepts == (json_int_t)sample->connections)
		return true;
	snprintf(t->why, sizeof(t->why),
		 "storm made %" PRIu64 " connections, the server counted %lld", sample->connections,
		 (long long)accepts);
	return false;
}

static bool take(const struct instructions *in, const struct sample *sample, struct taking *t,
		 bool *unsupported)
{
	bool good;

	if (!start_server(in, sample, t, unsupported))
		return false;
	good = start_client(sample, t) && drive(t, in->warm_up) && count(sample, t) &&
	       check_totals(sample, t);
	storm_destroy(t->storm);
	if (!good) {
		char why[256];

		server_stop(&t->server, why, sizeof(why));
		return false;
	}
	return server_stop(&t->server, t->why, sizeof(t->why));
}

/* ---- records ---- */

/* "gcc (Debian 12.2.0-14) 12.2.0, GNU ld ...": what made the kernel, without where and by whom. */
static json_t *kernel_compiler(struct procfile *files)
{
	char *text = procfile_read(files, "/proc/version");
	char *from = text ? strstr(text, " (gcc") : NULL, *to;
	json_t *compiler;

	if (text && !from)
		from = strstr(text, " (clang");
	to = from ? strstr(from, ") #") : NULL;
	compiler = to ? json_stringn(from + 2, (size_t)(to - from - 2)) : json_null();
	free(text);
	return compiler;
}

static json_t *record_of(const struct instructions *in, const struct sample *sample,
			 const struct taking *t)
{
	bool by_steps = !strcmp(sample->counted, INSTRUCTIONS_USER);
	double connections = (double)sample->connections;
	double all = (double)(total(t->after, "cpu_us") - total(t->before, "cpu_us")) * 1000;
	double passes = (double)(total(t->after, "passes") - total(t->before, "passes"));
	char text[32];
	time_t now = time(NULL);
	struct tm tm;
	json_t *record;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	record = json_pack("{s:s,s:i,s:s,s:s,s:i,s:i,s:s,s:I,s:f,s:f,s:s,s:O,s:O,s:O}",
			   RECORD_KIND_KEY, INSTRUCTIONS_KIND, "schema", INSTRUCTIONS_SCHEMA,
			   "time", text, "path", sample->path, "in_flight", (int)sample->in_flight,
			   "repetition", (int)sample->repetition, "counted", sample->counted,
			   "connections", (json_int_t)sample->connections, "per_connection",
			   (by_steps ? (double)t->steps : all) / connections,
			   "passes_per_connection", passes / connections, "compiler", __VERSION__,
			   "kernel_compiler", in->kernel_compiler, "environment", in->environment,
			   "command", in->command);
	if (in->note)
		json_object_set_new(record, "note", json_string(in->note));
	if (!by_steps)
		json_object_set_new(record, "ns_per_instruction",
				    json_real(in->ns_per_instruction));
	return record;
}

/* EXIT_GOOD, EXIT_SKIPPED where this kernel lacks the path, or EXIT_FAILED; said why. */
static int measure(struct instructions *in, const struct sample *sample)
{
	struct taking t = { .why = "" };
	bool unsupported = false, good = take(in, sample, &t, &unsupported);
	json_t *record;
	int ret = 0;

	if (good) {
		record = record_of(in, sample, &t);
		fprintf(stderr, "%s, %u in flight, %s: %.0f instructions a connection\n",
			sample->path, sample->in_flight,
			strcmp(sample->counted, INSTRUCTIONS_USER) ? "all" : "in user mode",
			json_number_value(json_object_get(record, "per_connection")));
		ret = record_append(in->records, record);
		json_decref(record);
		if (ret)
			snprintf(t.why, sizeof(t.why), "cannot write to %s: %s", in->out,
				 strerror(-ret));
	}
	if (!good || ret)
		fprintf(stderr, "accept-bench instructions: %s, %u in flight: %s\n", sample->path,
			sample->in_flight, t.why);
	json_decref(t.before);
	json_decref(t.after);
	return good && !ret ? EXIT_GOOD : unsupported ? EXIT_SKIPPED : EXIT_FAILED;
}

static int measure_path(struct instructions *in, const char *path, unsigned int in_flight)
{
	struct sample sample = { .path = path,
				 .counted = INSTRUCTIONS_ALL,
				 .in_flight = in_flight,
				 .connections = in->connections };
	int code = EXIT_GOOD;

	for (uint64_t r = 1; in->connections && r <= in->repetitions && code == EXIT_GOOD; r++) {
		sample.repetition = (unsigned int)r;
		code = measure(in, &sample);
	}
	sample.repetition = 1;
	sample.counted = INSTRUCTIONS_USER;
	sample.connections = in->user_connections;
	return code == EXIT_GOOD && in->user_connections ? measure(in, &sample) : code;
}

/* A path that the kernel lacks fails no other, but it was asked for. */
static int measure_all(struct instructions *in)
{
	int worst = EXIT_GOOD;

	for (size_t p = 0; p < in->paths.n; p++) {
		for (size_t f = 0; f < in->in_flight.n; f++) {
			int code = measure_path(in, accept_names[in->paths.item[p]],
						(unsigned int)in->in_flight.item[f]);

			worst = code != EXIT_GOOD ? EXIT_FAILED : worst;
		}
	}
	return worst;
}

static int start(struct instructions *in, int argc, char **argv)
{
	int ret = procfile_open(&in->files), code;

	if (ret < 0) {
		fprintf(stderr, "accept-bench instructions: no io_uring: %s\n", strerror(-ret));
		return EXIT_FAILED;
	}
	in->environment = environment_json(&in->files);
	in->kernel_compiler = kernel_compiler(&in->files);
	procfile_close(&in->files);
	in->command = json_array();
	json_array_append_new(in->command, json_string("accept-bench"));
	for (int i = 0; i < argc; i++)
		json_array_append_new(in->command, json_string(argv[i]));
	in->records = record_open(in->out);
	if (in->records < 0) {
		fprintf(stderr, "accept-bench instructions: cannot write to %s: %s\n", in->out,
			strerror(-in->records));
		code = EXIT_FAILED;
	} else {
		code = measure_all(in);
		close(in->records);
	}
	json_decref(in->environment);
	json_decref(in->kernel_compiler);
	json_decref(in->command);
	return code;
}

static struct count_list all_paths(void)
{
	struct count_list list = { 0 };

	while (accept_names[list.n]) {
		list.item[list.n] = list.n;
		list.n++;
	}
	return list;
}

int instructions_command(int argc, char **argv)
{
	struct instructions in = {
		.connections = 4000,
		.user_connections = 64,
		.warm_up = 400,
		.repetitions = 3,
	};
	const struct option_row rows[] = {
		{ "server", OPTION_TEXT, &in.server, "PATH", "the accept-server to measure", 0, 0,
		  NULL },
		{ "out", OPTION_TEXT, &in.out, "FILE", "records are appended to this file", 0, 0,
		  NULL },
		{ "paths", OPTION_CHOICES, &in.paths, "LIST", "accept paths; all of the server's",
		  0, 0, accept_names },
		{ "in-flight", OPTION_COUNTS, &in.in_flight, "LIST",
		  "connections open at once; default 1,32", 1, 1024, NULL },
		{ "connections", OPTION_COUNT, &in.connections, "N",
		  "connections in a run counted by the clock; 0: none such, and the rest works on any machine",
		  0, 10000000, NULL },
		{ "user-connections", OPTION_COUNT, &in.user_connections, "N",
		  "connections in a run whose user-mode instructions are counted by single steps; 0: none such",
		  0, 100000, NULL },
		{ "warm-up", OPTION_COUNT, &in.warm_up, "N", "connections before counting begins",
		  1, 10000000, NULL },
		{ "repetitions", OPTION_COUNT, &in.repetitions, "N",
		  "repetitions of the runs counted by the clock", 1, 1000, NULL },
		{ "note", OPTION_TEXT, &in.note, "TEXT",
		  "goes into the records, and into the report", 0, 0, NULL },
		{ "server-arg", OPTION_TEXTS, &in.server_args, "ARG",
		  "an argument for the server, passed on as it is; may be repeated", 0, 0, NULL },
		{ 0 },
	};
	int code = option_parse(
		"instructions",
		"Counts the instructions that a connection costs the server, by path: where "
		"the clock counts them, in the guest that kernel/boot --icount starts.\nThe "
		"exit code is 77 where it does not.",
		rows, argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	if (!in.server || !in.out) {
		fprintf(stderr,
			"accept-bench instructions: --%s is needed; see accept-bench instructions --help\n",
			in.server ? "out" : "server");
		return EXIT_USAGE;
	}
	if (!in.paths.n)
		in.paths = all_paths();
	if (!in.in_flight.n)
		in.in_flight = (struct count_list){ 2, { 1, 32 } };
	if (access(in.server, X_OK)) {
		fprintf(stderr, "accept-bench instructions: --server: cannot execute '%s': %s\n",
			in.server, strerror(errno));
		return EXIT_FAILED;
	}
	if (in.connections && !counts_instructions(&in))
		return EXIT_SKIPPED;
	limits_raise(4096);
	return start(&in, argc, argv);
}
