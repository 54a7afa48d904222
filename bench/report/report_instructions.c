/* SPDX-License-Identifier: MIT */
/* See report_instructions.h. */
#include "report/report_instructions.h"
#include "cell/record.h"
#include "instructions/instructions_cmd.h"
#include "option.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RIVAL "multishot" /* the same loop with fds of its own */

static const char *text_of(json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

bool report_is_instructions(json_t *record)
{
	return !strcmp(text_of(record, RECORD_KIND_KEY), INSTRUCTIONS_KIND);
}

bool report_check_instructions(json_t *record, char *why, size_t why_len)
{
	json_int_t schema = json_integer_value(json_object_get(record, "schema"));
	const char *counted = text_of(record, "counted");

	if (schema != INSTRUCTIONS_SCHEMA)
		snprintf(why, why_len, "of instructions, with schema %lld; this program reads %d",
			 (long long)schema, INSTRUCTIONS_SCHEMA);
	else if (!*text_of(record, "path") ||
		 !*record_text(record, "environment", "kernel_release") ||
		 json_integer_value(json_object_get(record, "in_flight")) <= 0)
		snprintf(why, why_len, "of instructions, without path, kernel or in_flight");
	else if (strcmp(counted, INSTRUCTIONS_ALL) && strcmp(counted, INSTRUCTIONS_USER))
		snprintf(why, why_len, "of instructions, counted as '%s'", counted);
	else if (!(json_number_value(json_object_get(record, "per_connection")) > 0))
		snprintf(why, why_len, "of instructions, without per_connection");
	else
		return true;
	return false;
}

struct instructions_key report_instructions_key(json_t *record)
{
	return (struct instructions_key){
		.kernel = record_text(record, "environment", "kernel_release"),
		.path = text_of(record, "path"),
		.in_flight = (unsigned int)json_integer_value(json_object_get(record, "in_flight")),
	};
}

static bool same_key(const struct instructions_key *a, const struct instructions_key *b)
{
	return !strcmp(a->kernel, b->kernel) && !strcmp(a->path, b->path) &&
	       a->in_flight == b->in_flight;
}

struct summary report_instructions_of(json_t *records, const struct instructions_key *key,
				      const char *counted, const char *figure)
{
	double *values = calloc(json_array_size(records) + 1, sizeof(*values));
	struct summary summary;
	json_t *record;
	size_t i, n = 0;

	if (!values)
		abort();
	json_array_foreach (records, i, record) {
		struct instructions_key other = report_instructions_key(record);
		json_t *value = json_object_get(record, figure);

		if (same_key(key, &other) && !strcmp(text_of(record, "counted"), counted) &&
		    json_is_number(value))
			values[n++] = json_number_value(value);
	}
	summary = stats_summary(values, n);
	free(values);
	return summary;
}

/* ---- the table ---- */

/* The values that the records of a kernel have, in their order: of paths, or of in_flight. */
struct axes {
	size_t n_paths, n_in_flight;
	const char *path[LIST_MAX];
	unsigned int in_flight[LIST_MAX];
};

static struct axes axes_of(json_t *records, const char *kernel)
{
	struct axes axes = { 0 };
	json_t *record;
	size_t i, k;

	json_array_foreach (records, i, record) {
		struct instructions_key key = report_instructions_key(record);

		if (strcmp(key.kernel, kernel))
			continue;
		for (k = 0; k < axes.n_paths && strcmp(axes.path[k], key.path); k++)
			;
		if (k == axes.n_paths && k < LIST_MAX)
			axes.path[axes.n_paths++] = key.path;
		for (k = 0; k < axes.n_in_flight && axes.in_flight[k] != key.in_flight; k++)
			;
		if (k == axes.n_in_flight && k < LIST_MAX)
			axes.in_flight[axes.n_in_flight++] = key.in_flight;
	}
	return axes;
}

/* The `index`-th kernel that there are records of, or NULL. */
static const char *kernel_of(json_t *records, size_t index)
{
	const char *seen[LIST_MAX];
	json_t *record;
	size_t i, k, n = 0;

	json_array_foreach (records, i, record) {
		const char *kernel = report_instructions_key(record).kernel;

		for (k = 0; k < n && strcmp(seen[k], kernel); k++)
			;
		if (k < n || n == LIST_MAX)
			continue;
		seen[n++] = kernel;
		if (n > index)
			return kernel;
	}
	return NULL;
}

static double all_of(json_t *records, struct instructions_key key)
{
	return report_instructions_of(records, &key, INSTRUCTIONS_ALL, "per_connection").median;
}

/* What executes in user mode does not depend on the series: it may have been counted on another. */
static double user_of(json_t *records, struct instructions_key key)
{
	double user =
		report_instructions_of(records, &key, INSTRUCTIONS_USER, "per_connection").median;

	for (size_t k = 0; isnan(user) && kernel_of(records, k); k++) {
		key.kernel = kernel_of(records, k);
		user = report_instructions_of(records, &key, INSTRUCTIONS_USER, "per_connection")
			       .median;
	}
	return user;
}

static void print_count(FILE *out, double count)
{
	if (isnan(count))
		fprintf(out, "| - ");
	else
		fprintf(out, "| %.0f ", count);
}

static void print_cells(FILE *out, json_t *records, const struct instructions_key *key)
{
	struct summary all =
		report_instructions_of(records, key, INSTRUCTIONS_ALL, "per_connection");
	struct summary passes =
		report_instructions_of(records, key, INSTRUCTIONS_ALL, "passes_per_connection");
	struct instructions_key rival = *key;
	double user = user_of(records, *key);

	rival.path = RIVAL;
	print_count(out, all.median);
	if (all.n > 1)
		fprintf(out, "(%.0f to %.0f) ", all.min, all.max);
	print_count(out, user);
	print_count(out, all.median - user);
	if (isnan(all.median / all_of(records, rival)))
		fprintf(out, "| - ");
	else
		fprintf(out, "| %.3f ", all.median / all_of(records, rival));
	if (isnan(passes.median))
		fprintf(out, "| - ");
	else
		fprintf(out, "| %.2f ", passes.median);
}

/* A kernel that checks its locks, which costs many times what taking them does. */
static bool checks_locks(json_t *records, const char *kernel)
{
	json_t *record;
	size_t i;

	json_array_foreach (records, i, record)
		if (!strcmp(report_instructions_key(record).kernel, kernel))
			return json_is_true(json_object_get(json_object_get(record, "environment"),
							    "lock_stat"));
	return false;
}

static void print_kernel(FILE *out, json_t *records, const char *kernel)
{
	struct axes axes = axes_of(records, kernel);

	if (checks_locks(records, kernel))
		fprintf(out,
			"Linux %s checks its locks, and most of what it executes is that: its figures "
			"are for comparing with later ones (`ctest --preset instructions`), and only "
			"those in user mode are what a connection costs.\n\n",
			kernel);
	for (size_t f = 0; f < axes.n_in_flight; f++) {
		fprintf(out,
			"Linux %s, %u in flight:\n\n"
			"| path | all | in user mode | in the kernel | all, of `" RIVAL
			"` | passes of the server's loop |\n|---|--:|--:|--:|--:|--:|\n",
			kernel, axes.in_flight[f]);
		for (size_t p = 0; p < axes.n_paths; p++) {
			struct instructions_key key = { kernel, axes.path[p], axes.in_flight[f] };

			if (isnan(all_of(records, key)) && isnan(user_of(records, key)))
				continue;
			fprintf(out, "| `%s` ", axes.path[p]);
			print_cells(out, records, &key);
			fprintf(out, "|\n");
		}
		fprintf(out, "\n");
	}
}

/* The commands and revisions that the records were made with, each once. */
static void print_origin(FILE *out, json_t *records)
{
	json_t *seen = json_object(), *record;
	const char *line;
	json_t *value;
	size_t i;

	json_array_foreach (records, i, record) {
		char text[512];

		snprintf(text, sizeof(text), "revision %s, %s, %s%s%s",
			 record_text(record, "environment", "revision"),
			 record_text(record, "environment", "kernel_release"),
			 record_text(record, "environment", "virtualisation"),
			 *text_of(record, "note") ? ", " : "", text_of(record, "note"));
		json_object_set_new(seen, text, json_true());
	}
	fprintf(out, "Made by `accept-bench instructions`: ");
	i = 0;
	json_object_foreach (seen, line, value)
		fprintf(out, "%s%s", i++ ? "; " : "", line);
	fprintf(out, ".\n\n");
	json_decref(seen);
}

void report_instructions(FILE *out, json_t *records)
{
	if (!json_array_size(records))
		return;
	fprintf(out,
		"## Instructions per connection\n\n"
		"Of the server's process, one worker, one request a connection, in an emulated guest with one "
		"CPU whose clock counts instructions: what else the machine does is not in them. Medians, with "
		"the smallest and the largest run; those in user mode are counted one by one. With one "
		"connection in flight each finds a server that waits, with many they share its passes. The "
		"client's are not in them, and neither is what the caches of a real CPU make of them.\n\n");
	for (size_t k = 0; kernel_of(records, k); k++)
		print_kernel(out, records, kernel_of(records, k));
	print_origin(out, records);
}

void report_instructions_alone(FILE *out, json_t *records)
{
	fprintf(out, "# Results\n\nMade by `accept-bench report` from records of instructions "
		     "alone.\n\n");
	report_instructions(out, records);
}

/* ---- the line ---- */

/* The `index`-th kernel whose figures are what a connection costs, or NULL. */
static const char *plain_kernel_of(json_t *records, size_t index)
{
	const char *kernel;

	for (size_t k = 0; (kernel = kernel_of(records, k)); k++)
		if (!checks_locks(records, kernel) && !index--)
			return kernel;
	return NULL;
}

static void say_kernel(FILE *out, json_t *records, const char *kernel)
{
	struct axes axes = axes_of(records, kernel);
	unsigned int in_flight = axes.in_flight[axes.n_in_flight - 1];
	const char *separator = "";

	fprintf(out, "on Linux %s, with %u in flight, ", kernel, in_flight);
	for (size_t p = 0; p < axes.n_paths; p++) {
		double all = all_of(records,
				    (struct instructions_key){ kernel, axes.path[p], in_flight });

		if (isnan(all))
			continue;
		fprintf(out, "%s%.0f with `%s`", separator, all, axes.path[p]);
		separator = ", ";
	}
}

void report_instructions_line(FILE *out, json_t *records)
{
	const char *kernel;
	size_t k;

	for (k = 0; (kernel = plain_kernel_of(records, k)); k++) {
		fprintf(out, k ? "; " : "- **In instructions** a connection costs the server, ");
		say_kernel(out, records, kernel);
	}
	if (k)
		fprintf(out, ".\n");
}
