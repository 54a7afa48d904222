/* SPDX-License-Identifier: MIT */
/* See report_text.h. */
#include "report/report_pairs.h"
#include "cell/cell.h"
#include "cell/environment.h"
#include "cell/record.h"

#include <stdlib.h>
#include <math.h>
#include <string.h>

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

bool report_is_at_least(const struct report_cell *cell, const struct report_figure *f)
{
	enum limit limit;

	if (f != &figure_rate && f != &figure_requests)
		return false;
	limit = report_limit(cell);
	return limit == LIMIT_CLIENT || limit == LIMIT_NEITHER;
}

void report_print_figure(FILE *out, const struct report_cell *cell, const struct report_figure *f)
{
	struct summary s = report_figure_of(cell, f);
	char min[64], max[64];

	if (!s.n) {
		fprintf(out, "-");
		return;
	}
	if (report_is_at_least(cell, f))
		fprintf(out, REPORT_AT_LEAST);
	snprintf(min, sizeof(min), "%.*f", f->digits, s.min);
	snprintf(max, sizeof(max), "%.*f", f->digits, s.max);
	if (!strcmp(min, max))
		fprintf(out, "%.*f", f->digits, s.median);
	else
		fprintf(out, "%.*f (%s to %s)", f->digits, s.median, min, max);
}

/* ---- machines ---- */

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
	return !report_has_times(machine->environment);
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

void report_print_source(FILE *out, const struct report_machine *machine, const char *experiment)
{
	json_t *files = json_object(), *revisions = json_object(), *record;
	size_t i, n = 0;

	json_array_foreach (machine->all, i, record)
		n += is_of(record, experiment);
	fprintf(out, "From ");
	json_array_foreach (machine->all, i, record) {
		const char *file = json_string_value(json_object_get(record, REPORT_FILE_KEY));

		if (is_of(record, experiment))
			print_once(out, files, "`", file ? file : "");
	}
	fprintf(out, ", %zu record%s of experiment `%s`, server and harness of revision ", n,
		n == 1 ? "" : "s", experiment);
	json_array_foreach (machine->all, i, record)
		if (is_of(record, experiment))
			print_once(out, revisions, "",
				   record_text(record, "environment", "revision"));
	fprintf(out, ".\n\n");
	json_decref(files);
	json_decref(revisions);
}
