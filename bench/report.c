/* SPDX-License-Identifier: MIT */
/* RESULTS.md. See report.h. */
#include "report.h"
#include "cell.h"
#include "record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BOOTSTRAP_SEED 1

static char letter(size_t machine)
{
	return (char)('A' + machine % 26);
}

static bool has_lock_stat(const struct report_machine *machine)
{
	return json_is_true(json_object_get(machine->environment, "lock_stat"));
}

static const char *environment_text(const struct report_machine *machine, const char *key)
{
	const char *text = json_string_value(json_object_get(machine->environment, key));

	return text ? text : "";
}

static void print_machine_name(FILE *out, const struct report_machine *machine, size_t index)
{
	fprintf(out, "machine %c: Linux %s%s, %lld CPUs, virtualisation: %s", letter(index),
		environment_text(machine, "kernel_release"),
		has_lock_stat(machine) ? " with lock_stat" : "",
		json_integer_value(json_object_get(machine->environment, "cpus")),
		environment_text(machine, "virtualisation"));
}

/* "2.004", or "2.004 (2.001 to 2.010)" when the runs differ in what is printed. */
static void print_summary(FILE *out, const struct summary *s, int digits)
{
	char min[64], max[64];

	snprintf(min, sizeof(min), "%.*f", digits, s->min);
	snprintf(max, sizeof(max), "%.*f", digits, s->max);
	if (!strcmp(min, max))
		fprintf(out, "| %.*f ", digits, s->median);
	else
		fprintf(out, "| %.*f (%s to %s) ", digits, s->median, min, max);
}

/* A dash when the instrument does not see it. */
static void print_figure(FILE *out, const struct report_cell *cell, const char *part,
			 const char *key, int digits)
{
	struct summary s = report_summary(cell, part, key);

	if (s.n)
		print_summary(out, &s, digits);
	else
		fprintf(out, "| - ");
}

static double total(const struct report_cell *cell, const char *part, const char *key)
{
	struct report_values values = report_values(cell, part, key);
	double sum = 0;

	for (size_t i = 0; i < values.n; i++)
		sum += values.value[i];
	free(values.value);
	return sum;
}

static const char *load_text(json_t *record, const char *key)
{
	const char *text =
		json_string_value(json_object_get(report_part(record, "storm.load"), key));

	return text ? text : "";
}

static double load_number(json_t *record, const char *key)
{
	return json_number_value(json_object_get(report_part(record, "storm.load"), key));
}

/* What drives the cell, in a few words. */
void report_print_load(FILE *out, json_t *record)
{
	double rate = load_number(record, "rate_per_s"), requests = load_number(record, "requests");
	const char *options = record_text(record, "cell", "server_options");

	if (strcmp(record_text(record, "cell", "load"), "storm")) {
		fprintf(out, "%s", record_text(record, "cell", "load"));
	} else {
		fprintf(out, "%s, %.0f open, %s", load_text(record, "protocol"),
			load_number(record, "concurrency"), load_text(record, "close"));
		if (requests > 1)
			fprintf(out, ", %.0f requests", requests);
		if (rate > 0)
			fprintf(out, ", %.0f/s", rate);
	}
	if (!strcmp(record_text(record, "cell", "listener"), "shared"))
		fprintf(out, ", one listener");
	if (*options)
		fprintf(out, ", %s", options);
	if (json_is_false(json_object_get(json_object_get(record, "cell"), "watched")))
		fprintf(out, ", unwatched");
}

static void print_cell_name(FILE *out, json_t *record)
{
	double workers = 0;

	record_number(record, "cell", "workers", &workers);
	if (!strcmp(record_text(record, "cell", "accept"), CELL_SELF_CHECK))
		fprintf(out, "| %s (no server) | - | - | ", CELL_SELF_CHECK);
	else
		fprintf(out, "| `%s` | %.0f | %s | ", record_text(record, "cell", "accept"),
			workers, record_text(record, "cell", "fd_table"));
	report_print_load(out, record);
	fprintf(out, " ");
}

/* ---- the lock ---- */

static bool has_lock_figures(const struct report_cell *cell)
{
	return *record_text(cell->first, "lock", "instrument") != '\0';
}

static void print_lock_row(FILE *out, const struct report_cell *cell)
{
	print_cell_name(out, cell->first);
	print_figure(out, cell, "lock", "acquisitions_per_connection", 3);
	print_figure(out, cell, "lock", "empty_accept_acquisitions_per_connection", 3);
	print_figure(out, cell, "lock", "sweep_acquisitions_per_connection", 3);
	print_figure(out, cell, "lock", "other_acquisitions_per_connection", 3);
	print_figure(out, cell, "lock", "contentions_per_1000_connections", 2);
	print_figure(out, cell, "lock", "wait_ns_per_connection", 1);
	print_figure(out, cell, "lock", "hold_ns_per_acquisition", 0);
	fprintf(out, "| %.0f | %.0f | %zu |\n", total(cell, "storm.result", "good"),
		total(cell, "storm.result", "failed"), json_array_size(cell->good));
}

static void print_lock_table(FILE *out, const struct report_machine *machine, size_t index)
{
	bool any = false;

	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i];

		if (!has_lock_figures(cell))
			continue;
		if (!any) {
			fprintf(out, "On ");
			print_machine_name(out, machine, index);
			fprintf(out, "; instrument: %s, %s.\n\n",
				record_text(cell->first, "lock", "instrument"),
				record_text(cell->first, "lock", "scope"));
			fprintf(out,
				"| path | workers | fd table | load | acquisitions per connection "
				"| of these by empty accepts | by sweeps of parked sockets "
				"| all others "
				"| contentions per 1000 connections | wait, ns per connection "
				"| hold, ns per acquisition | connections, all checked | failed "
				"| runs |\n"
				"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
		}
		any = true;
		print_lock_row(out, cell);
	}
	if (any)
		fprintf(out, "\n");
}

static bool any_lock_figures(const struct report_data *data)
{
	for (size_t m = 0; m < data->n_machines; m++)
		for (size_t i = 0; i < data->machines[m].n_cells; i++)
			if (has_lock_figures(&data->machines[m].cells[i]))
				return true;
	return false;
}

static void print_lock_section(FILE *out, const struct report_data *data)
{
	fprintf(out,
		"## Acquisitions of file_lock per connection\n\n"
		"Counted by the kernel between two readings, divided by the connections the server "
		"counted; nothing is subtracted. An accept4 that finds the queue empty takes the "
		"lock twice, a parked socket that grew too old and is swept takes it once more: these "
		"parts come from the server's own counts and stand apart. `" CELL_SELF_CHECK
		"` is the same load against a listener without file "
		"descriptors inside the harness: what the harness and the rest of the machine "
		"take.\n\n");
	if (!any_lock_figures(data))
		fprintf(out, "No cell was measured with an instrument that sees the lock.\n\n");
	for (size_t m = 0; m < data->n_machines; m++)
		print_lock_table(out, &data->machines[m], m);
}

/* ---- speed ---- */

static struct report_values speeds(const struct report_cell *cell)
{
	return strcmp(record_text(cell->first, "cell", "load"), "wrk")
		       ? report_values(cell, "storm.result", "connections_per_s")
		       : report_values(cell, "wrk", "requests_per_s");
}

static void print_ratio(FILE *out, const struct report_cell *baseline,
			const struct report_cell *cell)
{
	struct report_values a, b;
	struct ratio ratio;

	if (!baseline || baseline == cell) {
		fprintf(out, "| - ");
		return;
	}
	a = speeds(cell);
	b = speeds(baseline);
	if (!stats_ratio(a.value, a.n, b.value, b.n, BOOTSTRAP_SEED, &ratio))
		fprintf(out, "| - ");
	else if (a.n < STATS_CLAIM_MIN || b.n < STATS_CLAIM_MIN)
		fprintf(out, "| %.2f, no claim: fewer than %d runs ", ratio.value, STATS_CLAIM_MIN);
	else
		fprintf(out, "| %.2f (%.2f to %.2f)%s ", ratio.value, ratio.low, ratio.high,
			ratio.claim ? "" : ", no claim");
	free(a.value);
	free(b.value);
}

static void print_speed_row(FILE *out, const struct report_machine *machine,
			    const struct report_cell *cell)
{
	struct report_values v = speeds(cell);
	struct summary s = stats_summary(v.value, v.n);

	free(v.value);
	print_cell_name(out, cell->first);
	print_summary(out, &s, 0);
	print_ratio(out, report_baseline(machine, cell), cell);
	print_figure(out, cell, "server", "cpu_us_per_connection", 1);
	print_figure(out, cell, "storm.result.whole", "p50_us", 0);
	print_figure(out, cell, "storm.result.whole", "p99_us", 0);
	fprintf(out, "| %zu |\n", json_array_size(cell->good));
}

static void print_speed_table(FILE *out, const struct report_machine *machine, size_t index)
{
	if (!machine->n_cells)
		return;
	fprintf(out, "### Machine %c\n\nOn ", letter(index));
	print_machine_name(out, machine, index);
	fprintf(out, ".%s%s\n\n",
		has_lock_stat(machine)
			? " lock_stat slows every lock of this kernel: the speeds compare with each other "
			  "at most, and with no other table."
			: "",
		strstr(environment_text(machine, "virtualisation"), "TCG")
			? " The CPU is emulated: its times are no CPU's times."
			: "");
	fprintf(out, "| path | workers | fd table | load | connections/s "
		     "| ratio to epoll (95 %% interval) | server CPU, us per connection "
		     "| median time of a connection, us | 99 %% of them, us | runs |\n"
		     "|---|---|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < machine->n_cells; i++)
		if (strcmp(record_text(machine->cells[i].first, "cell", "accept"), CELL_SELF_CHECK))
			print_speed_row(out, machine, &machine->cells[i]);
	fprintf(out, "\n");
}

/* ---- what watching costs ---- */

static void print_overhead(FILE *out, const struct report_machine *machine, size_t index)
{
	bool any = false;

	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i];
		const struct report_cell *twin = report_unwatched_twin(machine, cell);

		if (!twin)
			continue;
		if (!any)
			fprintf(out,
				"What the instrument costs on machine %c:\n\n"
				"| path | workers | fd table | load | instrument "
				"| connections/s, watched to unwatched (95 %% interval) |\n"
				"|---|---|---|---|---|---|\n",
				letter(index));
		any = true;
		print_cell_name(out, cell->first);
		fprintf(out, "| %s ", record_text(cell->first, "lock", "instrument"));
		print_ratio(out, twin, cell);
		fprintf(out, "|\n");
	}
	if (any)
		fprintf(out, "\n");
}

/* ---- where it comes from ---- */

/* Folders of the machine it ran on say nothing to the reader. */
static void print_argument(FILE *out, const char *text)
{
	const char *slash = text[0] == '/' ? strrchr(text, '/') : NULL;

	if (slash && slash[1])
		text = slash + 1;
	fprintf(out, strpbrk(text, " \t'\"") ? " '%s'" : " %s", text);
}

static void print_command(FILE *out, json_t *command)
{
	json_t *argument;
	size_t i;

	fprintf(out, "   ");
	json_array_foreach (command, i, argument)
		print_argument(out, json_string_value(argument));
	fprintf(out, "\n");
}

/* Every different value of the list once, in the order of the records. */
static void print_once(FILE *out, json_t *records, const char *part, const char *key,
		       void (*print)(FILE *out, json_t *value))
{
	json_t *seen = json_object(), *record;
	size_t i;

	json_array_foreach (records, i, record) {
		json_t *value = json_object_get(report_part(record, part), key);
		char *text;

		if (!value || json_is_null(value))
			continue;
		text = json_dumps(value, JSON_ENCODE_ANY);
		if (!json_object_get(seen, text)) {
			json_object_set_new(seen, text, json_true());
			print(out, value);
		}
		free(text);
	}
	json_decref(seen);
}

static void print_bullet(FILE *out, json_t *text)
{
	fprintf(out, "- %s\n", json_string_value(text));
}

static void print_environment(FILE *out, const struct report_machine *machine)
{
	const char *key;
	json_t *value;

	fprintf(out, "| | |\n|---|---|\n");
	json_object_foreach (machine->environment, key, value) {
		char *text;

		if (json_is_array(value)) /* preflight, which is no single figure */
			continue;
		text = json_is_string(value) ? strdup(json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY);
		fprintf(out, "| %s | %s |\n", key, text);
		free(text);
	}
	fprintf(out, "\n");
}

static void print_machine(FILE *out, const struct report_machine *machine, size_t index)
{
	fprintf(out, "### Machine %c\n\n", letter(index));
	print_environment(out, machine);
	fprintf(out, "The runs:\n\n");
	print_once(out, machine->all, "run", "command", print_command);
	fprintf(out, "\nwhich started the servers:\n\n");
	print_once(out, machine->all, "server", "command", print_command);
	fprintf(out, "\nWhat cannot be seen here:\n\n");
	print_once(out, machine->all, "lock", "blind", print_bullet);
	print_once(out, machine->all, "lock", "reason", print_bullet);
	fprintf(out, "\n");
}

static void print_storm_errors(FILE *out, json_t *record)
{
	json_t *error;
	size_t i;

	json_array_foreach (report_part(record, "storm.result.errors"), i, error)
		fprintf(out, "; %s %s: %lld", json_string_value(json_object_get(error, "phase")),
			json_string_value(json_object_get(error, "reason")),
			json_integer_value(json_object_get(error, "n")));
}

/* One line of text for a record that came to nothing; to be freed. */
static char *bad_text(json_t *record, size_t machine)
{
	const char *reason = json_string_value(json_object_get(record, "reason"));
	double workers = 0;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	record_number(record, "cell", "workers", &workers);
	fprintf(out, "- machine %c, `%s`, %.0f workers, %s fd table, %s: %s: %s", letter(machine),
		record_text(record, "cell", "accept"), workers,
		record_text(record, "cell", "fd_table"), record_text(record, "cell", "load"),
		json_string_value(json_object_get(record, "outcome")),
		reason ? reason : "no reason given");
	print_storm_errors(out, record);
	fclose(out);
	return text;
}

static void print_bad(FILE *out, const struct report_data *data)
{
	json_t *lines = json_object(), *times;
	const char *line;

	fprintf(out, "## Cells that failed or were skipped\n\n");
	for (size_t m = 0; m < data->n_machines; m++) {
		json_t *record;
		size_t i;

		json_array_foreach (data->machines[m].bad, i, record) {
			char *text = bad_text(record, m);
			json_int_t n = json_integer_value(json_object_get(lines, text));

			json_object_set_new(lines, text, json_integer(n + 1));
			free(text);
		}
	}
	json_object_foreach (lines, line, times) {
		fprintf(out, "%s", line);
		if (json_integer_value(times) > 1)
			fprintf(out, " (%lld times)", json_integer_value(times));
		fprintf(out, "\n");
	}
	fprintf(out, json_object_size(lines) ? "\n" : "None.\n\n");
	json_decref(lines);
}

void report_markdown(FILE *out, const struct report_data *data, const char *const *files,
		     size_t n_files)
{
	fprintf(out, "# Results\n\nMade by `accept-bench report` from the records in");
	for (size_t i = 0; i < n_files; i++) {
		const char *slash = strrchr(files[i], '/');

		fprintf(out, "%s `%s`", i ? "," : "", slash ? slash + 1 : files[i]);
	}
	fprintf(out,
		"; not edited by hand. A figure is the median over the runs, with the smallest and "
		"the largest behind it when there is more than one. A dash is what could not be "
		"seen, never a zero.\n\n");
	if (any_lock_figures(data))
		report_short(out, data);
	print_lock_section(out, data);
	fprintf(out,
		"## Connections per second\n\nOne table a machine: a kernel that counts its locks, "
		"a guest without hardware help and a kernel at full speed have nothing to say about "
		"each other's speed. A ratio whose interval includes 1 is no claim.\n\n");
	for (size_t m = 0; m < data->n_machines; m++)
		print_speed_table(out, &data->machines[m], m);
	for (size_t m = 0; m < data->n_machines; m++)
		print_overhead(out, &data->machines[m], m);
	print_bad(out, data);
	fprintf(out, "## Machines and commands\n\n");
	for (size_t m = 0; m < data->n_machines; m++)
		print_machine(out, &data->machines[m], m);
}
