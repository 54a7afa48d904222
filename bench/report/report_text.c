/* SPDX-License-Identifier: MIT */
/* See report_text.h. */
#include "report/report_text.h"
#include "cell/cell.h"
#include "cell/environment.h"
#include "cell/record.h"

#include <stdlib.h>
#include <math.h>
#include <string.h>

#define BOOTSTRAP_SEED 1

const struct report_figure figure_acquisitions = { "lock", "acquisitions_per_connection",
						   "acquisitions per connection", 3 };
const struct report_figure figure_empty = { "lock", "empty_accept_acquisitions_per_connection",
					    "of these by empty accepts", 3 };
const struct report_figure figure_sweeps = { "lock", "sweep_acquisitions_per_connection",
					     "by sweeps of parked sockets", 3 };
const struct report_figure figure_others = { "lock", "other_acquisitions_per_connection",
					     "all others", 3 };
const struct report_figure figure_contentions = { "lock", "contentions_per_1000_connections",
						  "contentions per 1000 connections", 2 };
const struct report_figure figure_wait = { "lock", "wait_ns_per_connection",
					   "wait for the lock, ns per connection", 1 };
const struct report_figure figure_hold = { "lock", "hold_ns_per_acquisition",
					   "hold, ns per acquisition", 0 };
const struct report_figure figure_rate = { "storm.result", "connections_per_s", "connections/s",
					   0 };
const struct report_figure figure_requests = { "wrk", "requests_per_s", "requests/s by wrk", 0 };
const struct report_figure figure_cpu = { "server", "cpu_us_per_connection",
					  "server CPU, us per connection", 1 };
const struct report_figure figure_p50 = { "storm.result.whole", "p50_us",
					  "median time of a connection, us", 0 };
const struct report_figure figure_p99 = { "storm.result.whole", "p99_us", "99 % of them, us", 0 };

const struct report_figure *report_rate_of(const struct report_cell *cell)
{
	return strcmp(record_text(cell->first, "cell", "load"), "wrk") ? &figure_rate
								       : &figure_requests;
}

struct summary report_figure_of(const struct report_cell *cell, const struct report_figure *f)
{
	if (!cell)
		return stats_summary(NULL, 0);
	return report_summary(cell, f->part, f->key);
}

void report_print_figure(FILE *out, const struct report_cell *cell, const struct report_figure *f)
{
	struct summary s = report_figure_of(cell, f);
	char min[64], max[64];

	if (!s.n) {
		fprintf(out, "-");
		return;
	}
	snprintf(min, sizeof(min), "%.*f", f->digits, s.min);
	snprintf(max, sizeof(max), "%.*f", f->digits, s.max);
	if (!strcmp(min, max))
		fprintf(out, "%.*f", f->digits, s.median);
	else
		fprintf(out, "%.*f (%s to %s)", f->digits, s.median, min, max);
}

enum report_verdict report_compare(const struct report_cell *cell, const struct report_cell *base,
				   const struct report_figure *f, struct ratio *ratio)
{
	enum report_verdict verdict = NOT_COMPARED;
	struct report_values a, b;

	if (!cell || !base || cell == base)
		return NOT_COMPARED;
	a = report_values(cell, f->part, f->key);
	b = report_values(base, f->part, f->key);
	if (stats_ratio(a.value, a.n, b.value, b.n, BOOTSTRAP_SEED, ratio)) {
		if (a.n < STATS_CLAIM_MIN || b.n < STATS_CLAIM_MIN)
			verdict = TOO_FEW_RUNS;
		else if (!ratio->claim)
			verdict = NO_CLAIM;
		else
			verdict = ratio->high < 1 ? CLAIM_LESS : CLAIM_MORE;
	}
	free(a.value);
	free(b.value);
	return verdict;
}

void report_print_ratio(FILE *out, const struct report_cell *cell, const struct report_cell *base,
			const struct report_figure *f)
{
	struct ratio r;
	int digits;

	switch (report_compare(cell, base, f, &r)) {
	case NOT_COMPARED:
		fprintf(out, "-");
		break;
	case TOO_FEW_RUNS:
		fprintf(out, "%.2f, no claim: fewer than %d runs", r.value, STATS_CLAIM_MIN);
		break;
	case NO_CLAIM:
		fprintf(out, "%.2f (%.2f to %.2f), no claim", r.value, r.low, r.high);
		break;
	default:
		/* a claim leaves out 1, and has to look so */
		digits = fabs(r.low - 1) < 0.005 || fabs(r.high - 1) < 0.005 ? 4 : 2;
		fprintf(out, "**%.*f** (%.*f to %.*f)", digits, r.value, digits, r.low, digits,
			r.high);
	}
}

/* ---- machines ---- */

char report_letter(size_t machine)
{
	return (char)('A' + machine % 26);
}

bool report_counts_locks(const struct report_machine *machine)
{
	return json_is_true(json_object_get(machine->environment, "lock_stat"));
}

static bool is_user_mode(const struct report_machine *machine)
{
	return !strcmp(report_environment(machine, "virtualisation"), ENVIRONMENT_USER_MODE_LINUX);
}

bool report_is_emulated(const struct report_machine *machine)
{
	return strstr(report_environment(machine, "virtualisation"), "TCG") ||
	       is_user_mode(machine);
}

const char *report_environment(const struct report_machine *machine, const char *key)
{
	const char *text = json_string_value(json_object_get(machine->environment, key));

	return text ? text : "";
}

void report_print_machine(FILE *out, const struct report_machine *machine)
{
	json_int_t cpus = json_integer_value(json_object_get(machine->environment, "cpus"));

	fprintf(out, "Linux %s, %lld CPU%s, ", report_environment(machine, "kernel_release"), cpus,
		cpus == 1 ? "" : "s");
	if (is_user_mode(machine))
		fprintf(out, ENVIRONMENT_USER_MODE_LINUX);
	else if (report_is_emulated(machine))
		fprintf(out, "emulated (QEMU TCG)");
	else if (!strcmp(report_environment(machine, "virtualisation"), "none"))
		fprintf(out, "no virtualisation");
	else
		fprintf(out, "under %s", report_environment(machine, "virtualisation"));
	if (report_counts_locks(machine))
		fprintf(out, ", counts its locks");
}

/* ---- where it comes from ---- */

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

/* The options of a run but those that say where, from what and which experiments. */
static void print_options(FILE *out, json_t *command)
{
	static const char *const with_value[] = { "--server",	   "--out",  "--preset",
						  "--experiments", "--seed", NULL };
	static const char *const alone[] = { "run", "--progress", "--resume", NULL };
	bool skip = false;
	json_t *word;
	size_t i;

	json_array_foreach (command, i, word) {
		const char *text = json_string_value(word);

		if (i == 0 || skip || is_one_of(text, alone)) {
			skip = false;
			continue;
		}
		skip = is_one_of(text, with_value);
		if (!skip)
			fprintf(out, " %s", text);
	}
}

static void print_again(FILE *out, json_t *record, const char *experiment)
{
	const char *kernel = record_text(record, "environment", "kernel_release");
	const char *flavour = strstr(kernel, "-dup-");

	if (flavour)
		fprintf(out, "kernel/boot --flavour %s --rwdir build -- ", flavour + 5);
	fprintf(out,
		"build/release/accept-bench run --server build/release/accept-server "
		"--out build/again.ndjson --preset %s --experiments %s",
		record_text(record, "run", "preset"), experiment);
	print_options(out, json_object_get(json_object_get(record, "run"), "command"));
}

/* Every different text once. */
static void print_once(FILE *out, json_t *seen, const char *before, const char *text)
{
	if (!*text || json_object_get(seen, text))
		return;
	fprintf(out, "%s%s", json_object_size(seen) ? ", " : "", before);
	fprintf(out, "%s%s", text, before);
	json_object_set_new(seen, text, json_true());
}

/* The self-check goes with whatever else was measured, and is of no experiment. */
static bool is_of(json_t *record, const char *experiment)
{
	return !strcmp(report_experiment(record), experiment) &&
	       strcmp(record_text(record, "cell", "accept"), CELL_SELF_CHECK);
}

/* Every command there was, once each, one a line. */
static void print_commands(FILE *out, const struct report_machine *machine, const char *experiment)
{
	json_t *seen = json_object(), *record;
	size_t i, len;

	json_array_foreach (machine->all, i, record) {
		char *text = NULL;
		FILE *command;

		if (!is_of(record, experiment))
			continue;
		command = open_memstream(&text, &len);
		print_again(command, record, experiment);
		fclose(command);
		if (!json_object_get(seen, text)) {
			json_object_set_new(seen, text, json_true());
			fprintf(out, "    %s\n", text);
		}
		free(text);
	}
	json_decref(seen);
}

void report_print_source(FILE *out, const struct report_machine *machine, size_t index,
			 const char *experiment)
{
	json_t *files = json_object(), *revisions = json_object(), *record;
	size_t i, n = 0;

	fprintf(out, "Machine %c: ", report_letter(index));
	json_array_foreach (machine->all, i, record) {
		const char *file = json_string_value(json_object_get(record, REPORT_FILE_KEY));

		if (!is_of(record, experiment))
			continue;
		n++;
		print_once(out, files, "`", file ? file : "");
	}
	fprintf(out, ", %zu record%s of experiment `%s`, server and harness of revision ", n,
		n == 1 ? "" : "s", experiment);
	json_array_foreach (machine->all, i, record)
		if (is_of(record, experiment))
			print_once(out, revisions, "",
				   record_text(record, "environment", "revision"));
	fprintf(out, ". Again:\n\n");
	print_commands(out, machine, experiment);
	fprintf(out, "\n");
	json_decref(files);
	json_decref(revisions);
}
