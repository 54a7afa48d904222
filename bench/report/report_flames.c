/* SPDX-License-Identifier: MIT */
/* See report_flames.h. */
#include "report/report_flames.h"

#include <stdbool.h>
#include <string.h>

#define SCHEMA "accept-flames/1"

static const struct {
	const char *key, *name;
} parts[] = {
	{ "allocation", "allocation of the number" },
	{ "close", "its close" },
	{ "replace", "its replacement" },
	{ "fd_table", "**the fd table's code in all**" },
	{ "file_lock", "of that, taking and leaving file_lock" },
	{ "file_lock_slow_path", "of that, in the spin lock's slow path" },
	{ "any_slow_path", "the slow path of any spin lock" },
	{ "socket_slow_path",
	  "of that, of a socket's lock, which the softirq with its data takes too" },
};

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

/* NULL: said why. */
static json_t *read_one(const char *folder)
{
	char path[4096];
	json_error_t error;
	json_t *summary;
	const char *schema;

	snprintf(path, sizeof(path), "%s/summary.json", folder);
	summary = json_load_file(path, 0, &error);
	if (!summary) {
		fprintf(stderr, "accept-bench report: --flames: %s: %s\n", path, error.text);
		return NULL;
	}
	schema = json_string_value(json_object_get(summary, "schema"));
	if (schema && !strcmp(schema, SCHEMA))
		return summary;
	fprintf(stderr, "accept-bench report: --flames: %s has the schema '%s', %s is expected\n",
		path, schema ? schema : "", SCHEMA);
	json_decref(summary);
	return NULL;
}

json_t *report_flames_read(const struct text_list *folders)
{
	json_t *summaries = json_array();

	for (size_t i = 0; i < folders->n; i++) {
		json_t *summary = read_one(folders->item[i]);

		if (!summary) {
			json_decref(summaries);
			return NULL;
		}
		json_array_append_new(summaries, summary);
	}
	return summaries;
}

static const char *text(json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static double number(json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static json_t *path_of(json_t *summary, size_t i)
{
	return json_array_get(json_object_get(summary, "paths"), i);
}

static json_t *part_of(json_t *path, const char *key)
{
	return json_object_get(json_object_get(path, "under"), key);
}

static bool emulated(json_t *summary)
{
	return strstr(text(json_object_get(summary, "environment"), "virtualisation"), "TCG");
}

/* ---- the table ---- */

static void print_part(FILE *out, json_t *summary, size_t i)
{
	fprintf(out, "| %s ", parts[i].name);
	for (size_t p = 0; p < 2; p++) {
		json_t *part = part_of(path_of(summary, p), parts[i].key);

		fprintf(out, "| %.3f (%.3f to %.3f) | %.0f ", number(part, "per_1000_connections"),
			number(part, "low"), number(part, "high"), number(part, "samples"));
	}
	fprintf(out, "|\n");
}

static void print_table(FILE *out, json_t *summary)
{
	fprintf(out, "| samples per 1000 connections (95 %% interval) ");
	for (size_t p = 0; p < 2; p++)
		fprintf(out, "| `%s` | samples ", text(path_of(summary, p), "accept"));
	fprintf(out, "|\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < N_PARTS; i++)
		print_part(out, summary, i);
	fprintf(out, "| everything the server did ");
	for (size_t p = 0; p < 2; p++) {
		json_t *path = path_of(summary, p);

		fprintf(out, "| %.1f | %.0f ",
			1000 * number(path, "samples") / number(path, "connections"),
			number(path, "samples"));
	}
	fprintf(out, "|\n| samples with an [unknown] frame ");
	for (size_t p = 0; p < 2; p++)
		fprintf(out, "| %.2f %% | ", number(path_of(summary, p), "unknown_percent"));
	fprintf(out, "|\n\n");
}

/* A claim only where the two intervals do not overlap. */
static void print_claim(FILE *out, json_t *summary)
{
	json_t *a = path_of(summary, 0), *b = path_of(summary, 1);
	json_t *in_a = part_of(a, "fd_table"), *in_b = part_of(b, "fd_table");
	double x = number(in_a, "per_1000_connections"), y = number(in_b, "per_1000_connections");

	fprintf(out,
		"Inside the fd table's code: `%s` %.3f samples per 1000 connections, `%s` %.3f",
		text(a, "accept"), x, text(b, "accept"), y);
	if (number(in_a, "high") < number(in_b, "low") ||
	    number(in_b, "high") < number(in_a, "low"))
		fprintf(out, "; the intervals do not overlap, so `%s` spends less there.",
			text(x < y ? a : b, "accept"));
	else
		fprintf(out, "; the intervals meet, so these samples tell no difference.");
	fprintf(out, " That is %.2f %% and %.2f %% of what the server does.",
		100 * number(in_a, "samples") / number(a, "samples"),
		100 * number(in_b, "samples") / number(b, "samples"));
	if (emulated(summary))
		fprintf(out, " The CPU is emulated: samples compare the two paths on this machine, "
			     "and are no CPU's time.");
	else
		fprintf(out, " A sample is %.0f us of CPU time.",
			1e6 / number(summary, "frequency_hz"));
	fprintf(out, "\n\n");
}

/* ---- the pictures ---- */

struct picture {
	char head[64];
	const char *file;
	char under[512];
};

static void print_pair(FILE *out, const char *prefix, const struct picture *a,
		       const struct picture *b)
{
	fprintf(out, "| %s | %s |\n|---|---|\n", a->head, b->head);
	fprintf(out, "| ![%s](%s%s) | ![%s](%s%s) |\n", a->file, prefix, a->file, b->file, prefix,
		b->file);
	fprintf(out, "| %s | %s |\n\n", a->under, b->under);
}

static void describe_table(char *under, size_t size, json_t *path)
{
	snprintf(
		under, size,
		"%.0f samples under allocation, %.0f under close, %.0f under replace, of these %.0f "
		"in file_lock's slow path, in %.0f connections",
		number(part_of(path, "allocation"), "samples"),
		number(part_of(path, "close"), "samples"),
		number(part_of(path, "replace"), "samples"),
		number(part_of(path, "file_lock_slow_path"), "samples"),
		number(path, "connections"));
}

static void print_enlarged(FILE *out, json_t *summary, const char *prefix)
{
	struct picture pair[2];

	for (size_t p = 0; p < 2; p++) {
		json_t *path = path_of(summary, p);

		snprintf(pair[p].head, sizeof(pair[p].head), "`%s` inside the fd table, enlarged",
			 text(path, "accept"));
		pair[p].file = text(path, "fd_table_picture");
		describe_table(pair[p].under, sizeof(pair[p].under), path);
	}
	print_pair(out, prefix, &pair[0], &pair[1]);
}

static void print_whole(FILE *out, json_t *summary, const char *prefix)
{
	struct picture pair[2];

	for (size_t p = 0; p < 2; p++) {
		json_t *path = path_of(summary, p), *part = part_of(path, "fd_table");

		snprintf(pair[p].head, sizeof(pair[p].head), "all that `%s` does",
			 text(path, "accept"));
		pair[p].file = text(path, "picture");
		snprintf(
			pair[p].under, sizeof(pair[p].under),
			"%.0f samples in %.0f connections; inside the fd table %.3f of %.1f samples per "
			"1000 connections",
			number(path, "samples"), number(path, "connections"),
			number(part, "per_1000_connections"),
			1000 * number(path, "samples") / number(path, "connections"));
	}
	print_pair(out, prefix, &pair[0], &pair[1]);
}

static void print_differences(FILE *out, json_t *summary, const char *prefix)
{
	json_t *differences = json_object_get(summary, "differences");
	struct picture pair[2];

	for (size_t i = 0; i < 2; i++) {
		json_t *difference = json_array_get(differences, i);
		json_t *from = path_of(summary, i), *to = path_of(summary, 1 - i);

		snprintf(pair[i].head, sizeof(pair[i].head), "from `%s` to `%s`",
			 text(difference, "from"), text(difference, "to"));
		pair[i].file = text(difference, "picture");
		snprintf(
			pair[i].under, sizeof(pair[i].under),
			"samples per 1000 connections under allocation %.3f to %.3f, close %.3f to "
			"%.3f, replace %.3f to %.3f",
			number(part_of(from, "allocation"), "per_1000_connections"),
			number(part_of(to, "allocation"), "per_1000_connections"),
			number(part_of(from, "close"), "per_1000_connections"),
			number(part_of(to, "close"), "per_1000_connections"),
			number(part_of(from, "replace"), "per_1000_connections"),
			number(part_of(to, "replace"), "per_1000_connections"));
	}
	print_pair(out, prefix, &pair[0], &pair[1]);
}

/* ---- waits ---- */

static void describe_waits(char *under, size_t size, json_t *path)
{
	json_t *waits = json_object_get(path, "waits");
	json_t *workers = json_object_get(waits, "workers");
	json_t *others = json_object_get(waits, "others");

	snprintf(under, size,
		 "`%s`: its workers waited for file_lock %.0f times in %.0f connections, %.1f ns a "
		 "connection; other threads that open and close a file all the time (%.0f) waited "
		 "%.0f times",
		 text(path, "accept"), number(workers, "contentions"), number(waits, "connections"),
		 number(workers, "wait_ns") / number(waits, "connections"),
		 number(waits, "neighbours"), number(others, "contentions"));
}

/* Where neither path waited there are no pictures, and the lines say so. */
static void print_waits(FILE *out, json_t *summary, const char *prefix)
{
	struct picture pair[2];
	json_t *waits = json_object_get(path_of(summary, 0), "waits");

	if (!json_is_true(json_object_get(waits, "visible"))) {
		fprintf(out, "Waits for file_lock by call path: %s.\n\n", text(waits, "reason"));
		return;
	}
	for (size_t p = 0; p < 2; p++) {
		json_t *path = path_of(summary, p);

		snprintf(pair[p].head, sizeof(pair[p].head), "`%s` waiting for file_lock",
			 text(path, "accept"));
		pair[p].file = text(json_object_get(path, "waits"), "picture");
		describe_waits(pair[p].under, sizeof(pair[p].under), path);
	}
	if (*pair[0].file)
		print_pair(out, prefix, &pair[0], &pair[1]);
	else
		fprintf(out, "%s.\n\n%s.\n\n", pair[0].under, pair[1].under);
}

static void print_set(FILE *out, json_t *summary, const char *prefix)
{
	json_t *environment = json_object_get(summary, "environment");

	fprintf(out, "### `%s` and `%s`\n\n", text(path_of(summary, 0), "accept"),
		text(path_of(summary, 1), "accept"));
	fprintf(out,
		"%.0f workers, %s fd table, Linux %s, virtualisation: %s, revision %s; cpu-clock at "
		"%.0f Hz, %.0f turns of each path.\n\n",
		number(summary, "workers"), text(summary, "fd_table"),
		text(environment, "kernel_release"), text(environment, "virtualisation"),
		text(environment, "revision"), number(summary, "frequency_hz"),
		number(summary, "turns"));
	print_claim(out, summary);
	fprintf(out, "![samples per 1000 connections](%snumbers.svg)\n\n", prefix);
	print_table(out, summary);
	print_enlarged(out, summary, prefix);
	print_whole(out, summary, prefix);
	print_differences(out, summary, prefix);
	print_waits(out, summary, prefix);
}

/* "a/b/", or what is left of it as seen from the report's folder. */
static void make_prefix(char *prefix, size_t size, const char *folder, const char *report)
{
	const char *slash = strrchr(report, '/');
	size_t len = slash ? (size_t)(slash - report) : 0, end = strlen(folder);

	while (end > 1 && folder[end - 1] == '/')
		end--;
	if (len && end == len && !strncmp(folder, report, len))
		snprintf(prefix, size, "%s", "");
	else if (len && end > len && !strncmp(folder, report, len) && folder[len] == '/')
		snprintf(prefix, size, "%.*s/", (int)(end - len - 1), folder + len + 1);
	else
		snprintf(prefix, size, "%.*s/", (int)end, folder);
}

void report_flames(FILE *out, json_t *summaries, const struct text_list *folders,
		   const char *report)
{
	json_t *summary;
	size_t i;

	if (!json_array_size(summaries))
		return;
	fprintf(out,
		"## Flame graphs\n\n"
		"Only the server's threads are sampled, and only under load. The pictures of a pair "
		"have one scale: the same number of connections, the same width. The fd table's code "
		"is orange, its lock pink, the rest of the kernel pale brown, the server blue. The "
		"numbers count the code that hands a descriptor's number out, takes it back or puts "
		"another file over it; the file itself, and its socket, are not in them. A "
		"difference starts where both paths do the same work, red has grown and blue has "
		"shrunk; a frame that is gone is seen in the other direction only. In the files "
		"themselves a click enlarges a frame, and the word Search at the top right marks "
		"names.\n\n");
	json_array_foreach (summaries, i, summary) {
		char prefix[4096];

		make_prefix(prefix, sizeof(prefix), folders->item[i], report);
		print_set(out, summary, prefix);
	}
}

void report_flames_pair(FILE *out, json_t *summaries, const struct text_list *folders,
			const char *page)
{
	size_t n = json_array_size(summaries), i = 0;
	json_t *summary, *environment;
	char prefix[4096];

	while (i < n && emulated(json_array_get(summaries, i)))
		i++;
	if (!n)
		return;
	i = i < n ? i : 0;
	summary = json_array_get(summaries, i);
	environment = json_object_get(summary, "environment");
	make_prefix(prefix, sizeof(prefix), folders->item[i], page);
	fprintf(out, "## Where the time goes\n\nLinux %s, %.0f workers, %s fd table. ",
		text(environment, "kernel_release"), number(summary, "workers"),
		text(summary, "fd_table"));
	print_claim(out, summary);
	print_whole(out, summary, prefix);
}

void report_flames_alone(FILE *out, json_t *summaries, const struct text_list *folders,
			 const char *report)
{
	fprintf(out, "# Flame graphs of accept paths\n\n");
	report_flames(out, summaries, folders, report);
}
