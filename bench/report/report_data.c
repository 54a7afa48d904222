/* SPDX-License-Identifier: MIT */
/* See report_data.h. */
#include "report/report_data.h"
#include "cell/cell.h"
#include "cell/environment.h"
#include "cell/path.h"
#include "cell/record.h"
#include "plan/experiments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *report_part(json_t *record, const char *part)
{
	char copy[64];
	char *cursor = copy, *name;

	snprintf(copy, sizeof(copy), "%s", part);
	while ((name = strsep(&cursor, ".")))
		record = json_object_get(record, name);
	return record;
}

static bool is_user_mode(const char *virtualisation)
{
	return virtualisation && !strcmp(virtualisation, ENVIRONMENT_USER_MODE_LINUX);
}

bool report_has_times(json_t *environment)
{
	const char *virtual = json_string_value(json_object_get(environment, "virtualisation"));

	return !is_user_mode(virtual) && !(virtual && strstr(virtual, "TCG"));
}

bool report_same_machine(json_t *a, json_t *b)
{
	static const char *const keys[] = {
		"kernel_release", "kernel_version", "lock_stat", "virtualisation", "cpu",
		"cpus",		  "memory_mib"
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);

		if (x != y && !json_equal(x, y)) /* absent in both is equal as well */
			return false;
	}
	return true;
}

/* The self-check comes first. */
static int rank(const char *accept)
{
	return strcmp(accept, CELL_SELF_CHECK) ? (int)path_rank(accept) : -1;
}

static int compare_text(json_t *a, json_t *b, const char *part, const char *key)
{
	return strcmp(record_text(a, part, key), record_text(b, part, key));
}

static int compare_number(json_t *a, json_t *b, const char *part, const char *key)
{
	double x = json_number_value(json_object_get(report_part(a, part), key));
	double y = json_number_value(json_object_get(report_part(b, part), key));

	return (x > y) - (x < y);
}

const char *report_experiment(json_t *record)
{
	const char *experiment = record_text(record, "cell", "experiment");

	return *experiment ? experiment : experiments[0].name;
}

static int experiment_rank(json_t *record)
{
	const struct experiment *row = experiment_find(report_experiment(record));

	return (int)(row ? row - experiments : (ptrdiff_t)n_experiments);
}

static const char *const load_texts[] = { "load", "protocol", "close" };
static const char *const load_numbers[] = { "requests",	  "concurrency", "connections",
					    "duration_s", "threads",	 "sources" };

static int compare_load_text(json_t *a, json_t *b, const char *key)
{
	const char *x = json_string_value(json_object_get(report_part(a, "storm.load"), key));
	const char *y = json_string_value(json_object_get(report_part(b, "storm.load"), key));

	return strcmp(x ? x : "", y ? y : "");
}

/* By the value of what their experiment varies. A rate that is a part of a peak is named by the part. */
static int compare_values(json_t *a, json_t *b)
{
	const struct experiment *row = experiment_find(report_experiment(a));
	double rate = 0;
	int order = 0;

	if (row)
		order = compare_text(a, b, "cell", row->axis.key);
	if (row && !order)
		order = compare_number(a, b, "cell", row->axis.key);
	if (row && row->axis.kind == AXIS_RATE)
		record_number(a, "cell", row->axis.key, &rate);
	if (!order && rate == 0)
		order = compare_number(a, b, "storm.load", "rate_per_s");
	return order;
}

static int compare_experiment(json_t *a, json_t *b)
{
	static const char *const texts[] = { "server_cpus", "client_cpus", "neighbour_cpus" };
	int order = experiment_rank(a) - experiment_rank(b);

	if (!order)
		order = strcmp(report_experiment(a), report_experiment(b));
	for (size_t i = 0; !order && i < sizeof(texts) / sizeof(texts[0]); i++)
		order = compare_text(a, b, "cell", texts[i]);
	return order ? order : compare_values(a, b);
}

/* Everything that makes two cells different ones, in the order of the tables; 0: the same cell. */
static int compare_conditions(json_t *a, json_t *b)
{
	static const char *const texts[] = { "listener", "load", "server_options" };
	int order = compare_experiment(a, b);

	for (size_t i = 0; !order && i < 3; i++)
		order = compare_text(a, b, "cell", texts[i]);
	for (size_t i = 0; !order && i < sizeof(load_texts) / sizeof(load_texts[0]); i++)
		order = compare_load_text(a, b, load_texts[i]);
	for (size_t i = 0; !order && i < sizeof(load_numbers) / sizeof(load_numbers[0]); i++)
		order = compare_number(a, b, "storm.load", load_numbers[i]);
	return order;
}

bool report_is_unwatched(json_t *record)
{
	return json_is_false(json_object_get(json_object_get(record, "cell"), "watched"));
}

/* Figures of two instruments do not mix. */
static int compare_load(json_t *a, json_t *b)
{
	int order = compare_conditions(a, b);

	if (!order)
		order = report_is_unwatched(a) - report_is_unwatched(b);
	return order ? order : compare_text(a, b, "lock", "instrument");
}

static int compare_cells(const void *p, const void *q)
{
	json_t *a = ((const struct report_cell *)p)->first;
	json_t *b = ((const struct report_cell *)q)->first;
	const char *x = record_text(a, "cell", "accept"), *y = record_text(b, "cell", "accept");
	int order = compare_load(a, b);

	if (!order)
		order = compare_text(b, a, "cell", "fd_table"); /* shared first */
	if (!order)
		order = compare_number(a, b, "cell", "workers");
	if (!order)
		order = rank(x) - rank(y);
	return order ? order : strcmp(x, y);
}

static void *grow(void *array, size_t n, size_t size)
{
	array = realloc(array, (n + 1) * size);
	if (!array)
		abort();
	memset((char *)array + n * size, 0, size);
	return array;
}

static struct report_machine *find_machine(struct report_data *data, json_t *environment)
{
	struct report_machine *machine;

	for (size_t i = 0; i < data->n_machines; i++)
		if (report_same_machine(data->machines[i].environment, environment))
			return &data->machines[i];
	data->machines = grow(data->machines, data->n_machines, sizeof(*data->machines));
	machine = &data->machines[data->n_machines++];
	machine->environment = environment;
	machine->bad = json_array();
	machine->all = json_array();
	return machine;
}

static void add_to_cell(struct report_machine *machine, json_t *record)
{
	struct report_cell wanted = { .first = record };
	struct report_cell *cell;

	for (size_t i = 0; i < machine->n_cells; i++) {
		if (!compare_cells(&machine->cells[i], &wanted)) {
			json_array_append(machine->cells[i].good, record);
			return;
		}
	}
	machine->cells = grow(machine->cells, machine->n_cells, sizeof(*machine->cells));
	cell = &machine->cells[machine->n_cells++];
	cell->first = record;
	cell->good = json_array();
	json_array_append(cell->good, record);
}

int report_rank(json_t *record)
{
	return rank(record_text(record, "cell", "accept"));
}

int report_compare_cells(const struct report_cell *a, const struct report_cell *b)
{
	return compare_cells(a, b);
}

/* "7.3.4-dup-lockstat": how much of it is the version */
static size_t version_length(const char *release)
{
	return strspn(release, "0123456789.");
}

static void name_machine(struct report_machine *machine)
{
	json_t *environment = machine->environment;
	const char *release = json_string_value(json_object_get(environment, "kernel_release"));
	const char *virtual = json_string_value(json_object_get(environment, "virtualisation"));
	json_int_t cpus = json_integer_value(json_object_get(environment, "cpus"));

	release = release ? release : "?";
	snprintf(machine->name, sizeof(machine->name), "%lld CPU%s%s, Linux %.*s%s%s", cpus,
		 cpus == 1 ? "" : "s",
		 is_user_mode(virtual)		 ? " (user-mode Linux)"
		 : report_has_times(environment) ? ""
						 : " (emulated)",
		 (int)version_length(release), release,
		 strstr(release, "-exchange-dup") ? " with DUP and the exchange"
		 : strstr(release, "-dup")	  ? " with DUP"
						  : "",
		 json_is_true(json_object_get(environment, "lock_stat")) ? ", counts its locks"
									 : "");
}

/* What the names do not tell apart is numbered. */
static void name_machines(struct report_data *data)
{
	for (size_t m = 0; m < data->n_machines; m++) {
		char plain[sizeof(data->machines[m].name)];
		size_t same = 1;

		name_machine(&data->machines[m]);
		snprintf(plain, sizeof(plain), "%s", data->machines[m].name);
		for (size_t k = 0; k < m; k++)
			same += !strncmp(data->machines[k].name, plain, strlen(plain)) &&
				(data->machines[k].name[strlen(plain)] == '\0' ||
				 data->machines[k].name[strlen(plain)] == ' ');
		if (same > 1)
			snprintf(data->machines[m].name, sizeof(data->machines[m].name),
				 "%.100s (%zu)", plain, same);
	}
}

/* Records of a path that was given up, or is newer than this program: counted, in no table. */
static bool is_unknown(const char *accept, json_t *unknown)
{
	json_int_t n = json_integer_value(json_object_get(unknown, accept));

	if (!strcmp(accept, CELL_SELF_CHECK) || path_find(accept))
		return false;
	json_object_set_new(unknown, accept, json_integer(n + 1));
	return true;
}

void report_sort(json_t *records, struct report_data *data)
{
	json_t *record;
	size_t i;

	memset(data, 0, sizeof(*data));
	data->unknown = json_object();
	json_array_foreach (records, i, record) {
		struct report_machine *machine;
		const char *outcome = json_string_value(json_object_get(record, "outcome"));

		if (is_unknown(record_text(record, "cell", "accept"), data->unknown))
			continue;
		json_object_set_new(record, REPORT_INDEX_KEY, json_integer((json_int_t)i));
		machine = find_machine(data, json_object_get(record, "environment"));

		json_array_append(machine->all, record);
		if (!strcmp(outcome, "ok"))
			add_to_cell(machine, record);
		else
			json_array_append(machine->bad, record);
	}
	name_machines(data);
	for (i = 0; i < data->n_machines; i++)
		if (data->machines[i].n_cells)
			qsort(data->machines[i].cells, data->machines[i].n_cells,
			      sizeof(*data->machines[i].cells), compare_cells);
}

void report_free(struct report_data *data)
{
	for (size_t i = 0; i < data->n_machines; i++) {
		for (size_t k = 0; k < data->machines[i].n_cells; k++)
			json_decref(data->machines[i].cells[k].good);
		free(data->machines[i].cells);
		json_decref(data->machines[i].bad);
		json_decref(data->machines[i].all);
	}
	free(data->machines);
	json_decref(data->unknown);
}

struct report_values report_values(const struct report_cell *cell, const char *part,
				   const char *key)
{
	struct report_values values = { .value = calloc(json_array_size(cell->good) + 1,
							sizeof(double)) };
	json_t *record;
	size_t i;

	if (!values.value)
		abort();
	json_array_foreach (cell->good, i, record) {
		json_t *number = json_object_get(report_part(record, part), key);

		if (json_is_number(number))
			values.value[values.n++] = json_number_value(number);
	}
	return values;
}

struct summary report_summary(const struct report_cell *cell, const char *part, const char *key)
{
	struct report_values values = report_values(cell, part, key);
	struct summary summary = stats_summary(values.value, values.n);

	free(values.value);
	return summary;
}

/* Two cells that differ in nothing but how connections are taken. */
static bool same_task(json_t *a, json_t *b)
{
	bool same = !compare_experiment(a, b) && report_is_unwatched(a) == report_is_unwatched(b) &&
		    !compare_text(a, b, "cell", "listener") &&
		    !compare_text(a, b, "cell", "load") && !compare_number(a, b, "cell", "workers");

	for (size_t i = 0; same && i < sizeof(load_texts) / sizeof(load_texts[0]); i++)
		same = !compare_load_text(a, b, load_texts[i]);
	for (size_t i = 0; same && i < sizeof(load_numbers) / sizeof(load_numbers[0]); i++)
		same = !compare_number(a, b, "storm.load", load_numbers[i]);
	return same;
}

static bool is_baseline(json_t *record)
{
	return !strcmp(record_text(record, "cell", "accept"), paths[PATH_BASELINE].name) &&
	       !strcmp(record_text(record, "cell", "fd_table"), "shared");
}

const struct report_cell *report_baseline(const struct report_machine *machine,
					  const struct report_cell *cell)
{
	const struct report_cell *best = NULL;

	for (size_t i = 0; i < machine->n_cells; i++) {
		json_t *other = machine->cells[i].first;

		if (!is_baseline(other) || !same_task(other, cell->first))
			continue;
		/* With options like the cell's own, if there is one; else the plain one. */
		if (!is_baseline(cell->first) &&
		    !compare_text(other, cell->first, "cell", "server_options"))
			return &machine->cells[i];
		if (!best || strlen(record_text(other, "cell", "server_options")) <
				     strlen(record_text(best->first, "cell", "server_options")))
			best = &machine->cells[i];
	}
	return best;
}

const struct report_cell *report_other_options(const struct report_machine *machine,
					       const struct report_cell *cell, const char *options)
{
	for (size_t i = 0; i < machine->n_cells; i++) {
		json_t *other = machine->cells[i].first;

		if (!strcmp(record_text(other, "cell", "server_options"), options) &&
		    same_task(other, cell->first) &&
		    !compare_text(other, cell->first, "cell", "accept") &&
		    !compare_text(other, cell->first, "cell", "fd_table"))
			return &machine->cells[i];
	}
	return NULL;
}

const struct report_cell *report_unwatched_twin(const struct report_machine *machine,
						const struct report_cell *cell)
{
	for (size_t i = 0; i < machine->n_cells; i++) {
		json_t *other = machine->cells[i].first;

		if (report_is_unwatched(other) && !report_is_unwatched(cell->first) &&
		    !compare_conditions(other, cell->first) &&
		    !compare_text(other, cell->first, "cell", "fd_table") &&
		    !compare_text(other, cell->first, "cell", "accept") &&
		    !compare_number(other, cell->first, "cell", "workers"))
			return &machine->cells[i];
	}
	return NULL;
}
