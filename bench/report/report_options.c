/* SPDX-License-Identifier: MIT */
/* The part of the report about the effect of server options that no experiment varies. */
#include "cell/cell.h"
#include "cell/record.h"
#include "report/report.h"
#include "report/report_pairs.h"

#include <string.h>

/* The same cell with the option's default; NULL: this one has no option, or there is no such cell. */
static const struct report_cell *without_options(const struct report_machine *machine,
						 const struct report_cell *cell, char *tried,
						 size_t size)
{
	char known[PIVOT_LABEL];

	report_options(cell->first, known, tried, size);
	if (!*tried || !strcmp(record_text(cell->first, "cell", "accept"), CELL_SELF_CHECK))
		return NULL;
	return report_other_options(machine, cell, known);
}

static size_t count_options(const struct report_data *data)
{
	char tried[PIVOT_LABEL];
	size_t n = 0;

	for (size_t m = 0; m < data->n_machines; m++)
		for (size_t i = 0; i < data->machines[m].n_cells; i++)
			n += without_options(&data->machines[m], &data->machines[m].cells[i], tried,
					     sizeof(tried)) != NULL;
	return n;
}

static void print_options_of(FILE *out, const struct report_machine *machine, double miss)
{
	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i], *without;
		char tried[PIVOT_LABEL];
		double workers = 0;

		without = without_options(machine, cell, tried, sizeof(tried));
		if (!without)
			continue;
		record_number(cell->first, "cell", "workers", &workers);
		fprintf(out, "| %s | `%s` | %.0f | %s | `%s` | ", machine->name,
			record_text(cell->first, "cell", "accept"), workers,
			report_experiment(cell->first), tried);
		report_print_ratio(out, cell, without, &figure_cpu, miss);
		fprintf(out, " | ");
		report_print_ratio(out, cell, without, report_rate_of(cell), miss);
		fprintf(out, " |\n");
	}
}

/* What does an option bring? */
void report_options_tried(FILE *out, const struct report_data *data)
{
	size_t n = count_options(data);

	if (!n)
		return;
	fprintf(out, "### Options of the server: what they bring\n\n"
		     "Each over the same cell with the option's default");
	report_print_level(out, 2 * n);
	fprintf(out, ".\n\n| machine | path | workers | experiment | option | server CPU | "
		     "connections/s |\n|---|---|---|---|---|---|---|\n");
	for (size_t m = 0; m < data->n_machines; m++)
		print_options_of(out, &data->machines[m], STATS_MISS / (2 * (double)n));
	fprintf(out, "\n");
}
