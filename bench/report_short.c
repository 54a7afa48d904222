/* SPDX-License-Identifier: MIT */
/* The report's first table: acquisitions per connection, a row a path, a column a number of
 * workers. */
#include "cell.h"
#include "record.h"
#include "report.h"

#include <string.h>

#define PART "lock"

static double workers(const struct report_cell *cell)
{
	double n = 0;

	record_number(cell->first, "cell", "workers", &n);
	return n;
}

static const char *accept_path(const struct report_cell *cell)
{
	return record_text(cell->first, "cell", "accept");
}

static bool has_figure(const struct report_cell *cell)
{
	return report_summary(cell, PART, "acquisitions_per_connection").n > 0 &&
	       strcmp(accept_path(cell), CELL_SELF_CHECK);
}

/* "1.01", or "2.00 + 0.81": what empty accepts cost stands apart, nothing is left out. */
static void print_cell(FILE *out, const struct report_cell *cell)
{
	double all = report_summary(cell, PART, "acquisitions_per_connection").median;
	double empty =
		report_summary(cell, PART, "empty_accept_acquisitions_per_connection").median;

	if (empty >= 0.005)
		fprintf(out, " %.2f + %.2f |", all - empty, empty);
	else
		fprintf(out, " %.2f |", all);
}

static const struct report_cell *find(const struct report_cell *cells, size_t n, const char *accept,
				      double column)
{
	for (size_t i = 0; i < n; i++)
		if (has_figure(&cells[i]) && workers(&cells[i]) == column &&
		    !strcmp(accept_path(&cells[i]), accept))
			return &cells[i];
	return NULL;
}

/* Cells of one load stand together, sorted by workers and then by path. */
static void print_row(FILE *out, const struct report_cell *cells, size_t n, const char *accept)
{
	double column = -1;

	fprintf(out, "| `%s` |", accept);
	for (size_t i = 0; i < n; i++) {
		const struct report_cell *cell;

		if (!has_figure(&cells[i]) || workers(&cells[i]) == column)
			continue;
		column = workers(&cells[i]);
		cell = find(cells, n, accept, column);
		if (cell)
			print_cell(out, cell);
		else
			fprintf(out, " - |");
	}
	fprintf(out, "\n");
}

static void print_head(FILE *out, const struct report_cell *cells, size_t n)
{
	double column = -1;

	fprintf(out, "| path |");
	for (size_t i = 0; i < n; i++) {
		if (has_figure(&cells[i]) && workers(&cells[i]) != column) {
			column = workers(&cells[i]);
			fprintf(out, " %.0f workers |", column);
		}
	}
	fprintf(out, "\n|---|");
	column = -1;
	for (size_t i = 0; i < n; i++) {
		if (has_figure(&cells[i]) && workers(&cells[i]) != column) {
			column = workers(&cells[i]);
			fprintf(out, "---|");
		}
	}
	fprintf(out, "\n");
}

static void print_group(FILE *out, size_t index, const struct report_cell *cells, size_t n)
{
	size_t figures = 0;

	for (size_t i = 0; i < n; i++)
		figures += has_figure(&cells[i]);
	if (!figures)
		return;
	fprintf(out, "Machine %c, %s fd table, ", (char)('A' + index % 26),
		record_text(cells[0].first, "cell", "fd_table"));
	report_print_load(out, cells[0].first);
	fprintf(out, ":\n\n");
	print_head(out, cells, n);
	for (size_t i = 0; i < n; i++) {
		bool printed = !has_figure(&cells[i]);

		for (size_t k = 0; k < i && !printed; k++)
			printed = has_figure(&cells[k]) &&
				  !strcmp(accept_path(&cells[k]), accept_path(&cells[i]));
		if (!printed)
			print_row(out, cells, n, accept_path(&cells[i]));
	}
	fprintf(out, "\n");
}

void report_short(FILE *out, const struct report_data *data)
{
	fprintf(out,
		"## In short\n\nAcquisitions of file_lock per connection; behind the plus, what "
		"accepts that found the queue empty add. All figures, the runs and the commands "
		"follow below.\n\n");
	for (size_t m = 0; m < data->n_machines; m++) {
		const struct report_machine *machine = &data->machines[m];
		size_t start = 0;

		for (size_t i = 1; i <= machine->n_cells; i++) {
			if (i < machine->n_cells &&
			    report_same_load(&machine->cells[start], &machine->cells[i]))
				continue;
			print_group(out, m, machine->cells + start, i - start);
			start = i;
		}
	}
}
