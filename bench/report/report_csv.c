/* SPDX-License-Identifier: MIT */
/*
 * Writes the records as CSV for other programs: one line per record; a field is empty if the figure
 * was not measured.
 */
#include "cell/record.h"
#include "plan/experiments.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

struct column {
	const char *name, *part, *key;
};

/* Before and behind what the experiments vary. */
static const struct column first[] = {
	{ "kernel_release", "environment", "kernel_release" },
	{ "lock_stat", "environment", "lock_stat" },
	{ "virtualisation", "environment", "virtualisation" },
	{ "revision", "environment", "revision" },
	{ "cpu", "environment", "cpu" },
	{ "cpus", "environment", "cpus" },
	{ "experiment", "cell", "experiment" },
	{ "accept", "cell", "accept" },
	{ "workers", "cell", "workers" },
	{ "fd_table", "cell", "fd_table" },
	{ "listener", "cell", "listener" },
	{ "load", "cell", "load" },
	{ "server_options", "cell", "server_options" },
	{ "server_cpus", "cell", "server_cpus" },
	{ "client_cpus", "cell", "client_cpus" },
}, last[] = {
	{ "watched", "cell", "watched" },
	{ "repetition", "cell", "repetition" },
	{ "protocol", "storm.load", "protocol" },
	{ "close", "storm.load", "close" },
	{ "concurrency", "storm.load", "concurrency" },
	{ "rate_per_s", "storm.load", "rate_per_s" },
	{ "good", "storm.result", "good" },
	{ "failed", "storm.result", "failed" },
	{ "connections_per_s", "storm.result", "connections_per_s" },
	{ "wrk_requests_per_s", "wrk", "requests_per_s" },
	{ "server_cpu_us_per_connection", "server", "cpu_us_per_connection" },
	{ "instrument", "lock", "instrument" },
	{ "acquisitions_per_connection", "lock", "acquisitions_per_connection" },
	{ "empty_accept_acquisitions_per_connection", "lock",
	  "empty_accept_acquisitions_per_connection" },
	{ "sweep_acquisitions_per_connection", "lock", "sweep_acquisitions_per_connection" },
	{ "other_acquisitions_per_connection", "lock", "other_acquisitions_per_connection" },
	{ "contentions_per_1000_connections", "lock", "contentions_per_1000_connections" },
	{ "wait_ns_per_connection", "lock", "wait_ns_per_connection" },
	{ "hold_ns_per_acquisition", "lock", "hold_ns_per_acquisition" },
	{ "connection_p50_us", "storm.result.whole", "p50_us" },
	{ "connection_p90_us", "storm.result.whole", "p90_us" },
	{ "connection_p99_us", "storm.result.whole", "p99_us" },
	{ "connection_p999_us", "storm.result.whole", "p999_us" },
};

#define N_FIRST (sizeof(first) / sizeof(first[0]))
#define N_LAST	(sizeof(last) / sizeof(last[0]))

/* What an experiment varies has a column where a record has the key: older ones do not. */
static bool has_key(json_t *records, const char *key)
{
	json_t *record;
	size_t i;

	json_array_foreach (records, i, record)
		if (json_object_get(report_part(record, "cell"), key))
			return true;
	return false;
}

struct columns {
	size_t n;
	struct column column[N_FIRST + LIST_MAX + N_LAST];
};

static void find_columns(json_t *records, struct columns *columns)
{
	memcpy(columns->column, first, sizeof(first));
	columns->n = N_FIRST;
	for (size_t i = 0; i < n_experiments; i++) {
		const struct experiment_axis *axis = &experiments[i].axis;

		if (axis->kind != AXIS_WORKERS && has_key(records, axis->key))
			columns->column[columns->n++] =
				(struct column){ axis->key, "cell", axis->key };
	}
	memcpy(columns->column + columns->n, last, sizeof(last));
	columns->n += N_LAST;
}

static void print_text(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"\n")) {
		fprintf(out, "%s", text);
		return;
	}
	fputc('"', out);
	for (; *text; text++)
		fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
	fputc('"', out);
}

static void print_value(FILE *out, json_t *value)
{
	if (json_is_string(value))
		print_text(out, json_string_value(value));
	else if (json_is_integer(value))
		fprintf(out, "%lld", json_integer_value(value));
	else if (json_is_real(value))
		fprintf(out, "%.10g", json_real_value(value));
	else if (json_is_boolean(value))
		fprintf(out, json_is_true(value) ? "1" : "0");
}

void report_csv(FILE *out, json_t *records)
{
	struct columns columns;
	json_t *record;
	size_t i;

	find_columns(records, &columns);
	fprintf(out, "outcome");
	for (size_t c = 0; c < columns.n; c++)
		fprintf(out, ",%s", columns.column[c].name);
	fprintf(out, "\n");
	json_array_foreach (records, i, record) {
		fprintf(out, "%s", json_string_value(json_object_get(record, "outcome")));
		for (size_t c = 0; c < columns.n; c++) {
			const struct column *column = &columns.column[c];

			fputc(',', out);
			print_value(out, json_object_get(report_part(record, column->part),
							 column->key));
		}
		fprintf(out, "\n");
	}
}
