/* SPDX-License-Identifier: MIT */
/* Prints the report: all parts in order. Also has the parts that are not about one experiment. */
#include "report/report.h"
#include "report/report_flames.h"
#include "report/report_instructions.h"
#include "report/report_opcode.h"
#include "cell/cell.h"
#include "cell/record.h"
#include "report/report_pairs.h"

#include <stdlib.h>
#include <string.h>

/* ---- what watching costs ---- */

/* Prints, or with NULL counts, the cells that were measured with and without an instrument. */
static size_t print_twins(FILE *out, const struct report_data *data, double miss)
{
	size_t n = 0;

	for (size_t m = 0; m < data->n_machines; m++) {
		const struct report_machine *machine = &data->machines[m];

		for (size_t i = 0; i < machine->n_cells; i++) {
			const struct report_cell *cell = &machine->cells[i];
			const struct report_cell *twin = report_unwatched_twin(machine, cell);
			char label[PIVOT_LABEL];
			double workers = 0;

			n += twin != NULL;
			if (!twin || !out)
				continue;
			report_label(cell->first, label, sizeof(label));
			record_number(cell->first, "cell", "workers", &workers);
			fprintf(out, "| %s | `%s` | %.0f | %s | ", machine->name, label, workers,
				record_text(cell->first, "lock", "instrument"));
			report_print_ratio(out, cell, twin, &figure_cpu, miss);
			fprintf(out, " |\n");
		}
	}
	return n;
}

static void print_overhead(FILE *out, const struct report_data *data)
{
	size_t n = print_twins(NULL, data, STATS_MISS);

	if (!n)
		return;
	fprintf(out,
		"## What the instruments cost\n\nServer CPU per connection, watched over unwatched "
		"(intervals of 95 %% for all %zu together).\n\n"
		"| machine | path | workers | instrument | ratio |\n|---|---|---|---|---|\n",
		n);
	print_twins(out, data, STATS_MISS / (double)n);
	fprintf(out, "\n");
}

static void print_self_check(FILE *out, const struct report_machine *machine)
{
	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i];
		struct summary s = report_figure_of(cell, &figure_acquisitions);

		if (strcmp(record_text(cell->first, "cell", "accept"), CELL_SELF_CHECK) || !s.n)
			continue;
		fprintf(out,
			"- `" CELL_SELF_CHECK
			"`, the load against a listener without descriptors inside the harness: "
			"%.3f acquisitions per connection (%s), which is what the harness and the "
			"rest of the machine take.\n",
			s.median, record_text(cell->first, "lock", "instrument"));
	}
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

/* Why a cell has no instrument. */
static void print_uncounted(FILE *out, json_t *reason)
{
	fprintf(out, "- cells without an instrument: %s\n", json_string_value(reason));
}

static void print_environment(FILE *out, const struct report_machine *machine)
{
	const char *key;
	json_t *value;

	fprintf(out, "| | |\n|---|---|\n");
	json_object_foreach (machine->environment, key, value) {
		char *text;

		if (json_is_array(value))
			continue;
		text = json_is_string(value) ? strdup(json_string_value(value))
					     : json_dumps(value, JSON_ENCODE_ANY);

		fprintf(out, "| %s | %s |\n", key, text);
		free(text);
	}
	fprintf(out, "\n");
}

/* What scripts/preflight found, of all runs, each line once. */
static void print_preflight(FILE *out, const struct report_machine *machine)
{
	json_t *seen = json_object(), *record, *check;
	size_t i, k;

	json_array_foreach (machine->all, i, record) {
		json_array_foreach (report_part(record, "environment.preflight"), k, check) {
			const char *level = json_string_value(json_object_get(check, "level"));
			const char *text = json_string_value(json_object_get(check, "text"));
			const char *name = json_string_value(json_object_get(check, "check"));
			char line[512];

			if (!level || !text || !name)
				continue;
			snprintf(line, sizeof(line), "- %s: %s: %s\n", level, name, text);
			if (json_object_get(seen, line))
				continue;
			if (!json_object_size(seen))
				fprintf(out, "What `scripts/preflight` found:\n\n");
			json_object_set_new(seen, line, json_true());
			fprintf(out, "%s", line);
		}
	}
	if (json_object_size(seen))
		fprintf(out, "\n");
	json_decref(seen);
}

static void print_machine(FILE *out, const struct report_machine *machine)
{
	fprintf(out, "<details><summary>%s</summary>\n\n", machine->name);
	print_environment(out, machine);
	print_preflight(out, machine);
	fprintf(out, "The runs:\n\n");
	print_once(out, machine->all, "run", "command", print_command);
	fprintf(out,
		"\nServers that others wrote, as they say themselves (none: older records):\n\n");
	print_once(out, machine->all, "server", "version", print_bullet);
	fprintf(out, "\n</details>\n\n");
}

/* A kernel at its own speed that shows how long the lock is held? */
static bool sees_holds(const struct report_data *data)
{
	for (size_t m = 0; m < data->n_machines; m++)
		for (size_t i = 0; i < data->machines[m].n_cells; i++)
			if (!report_is_emulated(&data->machines[m]) &&
			    report_figure_of(&data->machines[m].cells[i], &figure_hold).n)
				return true;
	return false;
}

/* Runs that took part in no ratio of times. */
static void print_unsteady(FILE *out, const struct report_machine *machine)
{
	size_t n = 0, i;
	json_t *record;

	json_array_foreach (machine->all, i, record)
		n += json_is_false(json_object_get(json_object_get(record, "warm_up"), "steady"));
	if (n)
		fprintf(out,
			"- the warm-up of %zu of %zu runs never became steady: their times are in no "
			"ratio\n",
			n, json_array_size(machine->all));
}

/* What limited the cells: only those that the server limited say how fast it is. */
static void print_limits(FILE *out, const struct report_data *data)
{
	fprintf(out,
		"## What limited the cells\n\n"
		"The client, where it used more than %.0f %% of the CPU time that its threads could have, or "
		"more than %.0f %% of an open loop's connections started late; else the server, where it "
		"used more than %.0f %%; else neither. A ratio of rates is given of two cells that the "
		"server limited, and of no others.\n\n"
		"| machine | client | server | neither | not known |\n|---|--:|--:|--:|--:|\n",
		100 * LIMIT_CLIENT_SHARE, 100 * LIMIT_LATE_SHARE, 100 * LIMIT_SERVER_SHARE);
	for (size_t m = 0; m < data->n_machines; m++) {
		const struct report_machine *machine = &data->machines[m];
		size_t n[4] = { 0 };

		for (size_t i = 0; i < machine->n_cells; i++)
			n[report_limit(&machine->cells[i])]++;
		fprintf(out, "| %s | %zu | %zu | %zu | %zu |\n", machine->name, n[LIMIT_CLIENT],
			n[LIMIT_SERVER], n[LIMIT_NEITHER], n[LIMIT_UNKNOWN]);
	}
	fprintf(out, "\n");
}

static void print_blind(FILE *out, const struct report_data *data)
{
	fprintf(out, "## What these machines could not show\n\n");
	for (size_t m = 0; m < data->n_machines; m++) {
		fprintf(out, "%s (", data->machines[m].name);
		report_print_machine(out, &data->machines[m]);
		fprintf(out, "):\n\n");
		if (report_is_emulated(&data->machines[m]))
			fprintf(out,
				"- it is emulated or in user-mode Linux: counts are exact, its times are no CPU's "
				"times, and its speeds compare with each other at most\n");
		print_once(out, data->machines[m].all, "lock", "blind", print_bullet);
		print_once(out, data->machines[m].all, "lock", "reason", print_uncounted);
		print_self_check(out, &data->machines[m]);
		print_unsteady(out, &data->machines[m]);
		fprintf(out, "\n");
	}
	if (!sees_holds(data))
		fprintf(out,
			"No model of how many cores would saturate the lock (acquisitions x hold time) is "
			"given: how long it is held was seen on no machine whose times are a CPU's "
			"times, so there is no input for one, nor a case to check it with.\n\n");
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
static char *bad_text(json_t *record, const struct report_machine *machine)
{
	const char *reason = json_string_value(json_object_get(record, "reason"));
	double workers = 0;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	record_number(record, "cell", "workers", &workers);
	fprintf(out, "- %s, `%s`, %.0f workers, %s fd table, %s: %s: %s", machine->name,
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

	for (size_t m = 0; m < data->n_machines; m++) {
		json_t *record;
		size_t i;

		json_array_foreach (data->machines[m].bad, i, record) {
			char *text = bad_text(record, &data->machines[m]);
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
	json_object_foreach (data->unknown, line, times)
		fprintf(out,
			"In no table: %lld records of the path `%s`, which this program does not "
			"have.\n\n",
			json_integer_value(times), line);
}

static void print_how_to(FILE *out, const struct report_files *files)
{
	fprintf(out,
		"## How to make it again\n\n"
		"All of it is `scripts/bench --preset full`; the commands of every run are below, under "
		"its machine. This file again, from the records alone:\n\n"
		"    build/release/accept-bench report");
	for (size_t i = 0; i < files->n_in; i++)
		fprintf(out, " \\\n        --in %s", files->in[i]);
	if (files->csv)
		fprintf(out, " \\\n        --csv %s", files->csv);
	if (files->charts)
		fprintf(out, " --charts %s", files->charts);
	for (size_t i = 0; files->flames && i < files->flames->n; i++)
		fprintf(out, " \\\n        --flames %s", files->flames->item[i]);
	fprintf(out, " \\\n        --out %s", files->out);
	if (files->page)
		fprintf(out, " --page %s", files->page);
	fprintf(out,
		"\n\nWhether another run agrees with it: `accept-bench compare` (README.md).\n\n");
	if (files->csv)
		fprintf(out, "Every record as a line: [%s](%s).\n\n", files->csv_seen,
			files->csv_seen);
}

void report_markdown(FILE *out, const struct report_data *data, const struct report_files *files)
{
	fprintf(out,
		"# All that was measured\n\n"
		"Made by `accept-bench report` from records, not edited by hand. A figure is the median over "
		"the runs, with the smallest and the largest behind it where they differ. A ratio is the "
		"geometric mean over pairs of runs: one right after the other, or in older records of the "
		"same pass over all cells. Its interval (Student's, of the logarithms) is corrected for how "
		"many stand in a table (Bonferroni), and fewer than %d pairs have no verdict. Acquisitions "
		"are counted, not sampled; one run of some thousand connections is enough for those.\n\n",
		STATS_PAIRS_MIN);
	print_limits(out, data);
	report_opcode(out, files->opcode, files->plots);
	report_sections(out, data, files->plots);
	report_instructions(out, files->instructions);
	report_flames(out, files->flame_summaries, files->flames, files->out);
	print_overhead(out, data);
	print_blind(out, data);
	print_how_to(out, files);
	fprintf(out, "## Cells that failed or were skipped\n\n");
	print_bad(out, data);
	fprintf(out, "## Machines and commands\n\n");
	for (size_t m = 0; m < data->n_machines; m++)
		print_machine(out, &data->machines[m]);
}
