/* SPDX-License-Identifier: MIT */
/* The sections about experiments: the question, the results with tables per machine, the sources. */
#include "cell/cell.h"
#include "cell/record.h"
#include "plan/experiments.h"
#include "report/report.h"
#include "report/report_experiment.h"
#include "report/report_plot.h"
#include "report/report_pairs.h"

static void print_column(FILE *out, const struct experiment *experiment, double value)
{
	const struct experiment_axis *axis = &experiment->axis;

	if (axis->kind == AXIS_LEVEL)
		fprintf(out, "%s", cell_levels[(int)value]);
	else
		fprintf(out, "%.0f %s", value, value == 1 ? axis->one : axis->many);
}

/* All cells of a table are driven alike. */
static const struct report_figure *figure_of(const struct experiment_table *shown,
					     const struct report_pivot *p)
{
	return shown->figure ? shown->figure : p->is_wrk ? &figure_requests : &figure_rate;
}

static const struct report_cell *cell_at(const struct report_pivot *p, size_t row, size_t column,
					 const struct experiment_table *shown)
{
	return report_pivot_cell(p, row, column, figure_of(shown, p));
}

/* Figures, or ratios with an interval: those share the probability of a miss. */
static size_t count_figures(const struct report_machine *machine, const struct report_pivot *p,
			    const struct experiment_table *shown)
{
	const struct report_figure *figure = figure_of(shown, p);
	size_t n = 0;

	for (size_t r = 0; r < p->n_rows; r++) {
		for (size_t c = 0; c < p->n_columns; c++) {
			const struct report_cell *cell = cell_at(p, r, c, shown);
			struct ratio ratio;

			if (shown->is_ratio)
				n += cell &&
				     report_compare(cell, report_baseline(machine, cell), figure,
						    STATS_MISS, &ratio) >= TOO_FEW_PAIRS;
			else
				n += report_figure_of(cell, figure).n > 0;
		}
	}
	return n;
}

/* A row a path, a column a value of what is varied. */
static void print_pivot(FILE *out, const struct report_machine *machine,
			const struct experiment *experiment, const struct report_pivot *p,
			const struct experiment_table *shown)
{
	size_t n = count_figures(machine, p, shown);

	if (!n)
		return;
	fprintf(out, "%s", shown->caption);
	if (shown->is_ratio)
		report_print_level(out, n);
	fprintf(out, ":\n\n| path ");
	for (size_t c = 0; c < p->n_columns; c++) {
		fprintf(out, "| ");
		print_column(out, experiment, p->column[c]);
		fprintf(out, " ");
	}
	fprintf(out, "|\n|---|");
	for (size_t c = 0; c < p->n_columns; c++)
		fprintf(out, "--:|");
	fprintf(out, "\n");
	for (size_t r = 0; r < p->n_rows; r++) {
		fprintf(out, "| `%s` ", p->row[r]);
		for (size_t c = 0; c < p->n_columns; c++) {
			const struct report_cell *cell = cell_at(p, r, c, shown);

			fprintf(out, "| ");
			if (!cell)
				fprintf(out, "-");
			else if (shown->is_ratio)
				report_print_ratio(out, cell, report_baseline(machine, cell),
						   figure_of(shown, p), STATS_MISS / (double)n);
			else
				report_print_figure(out, cell, figure_of(shown, p));
			fprintf(out, " ");
		}
		fprintf(out, "|\n");
	}
	fprintf(out, "\n");
}

/* The last column's figure over the first's: how many rows can be compared. */
static size_t count_changes(const struct report_pivot *p, const struct experiment_table *shown)
{
	struct ratio ratio;
	size_t n = 0;

	for (size_t r = 0; r < p->n_rows; r++)
		n += report_compare(cell_at(p, r, p->n_columns - 1, shown), cell_at(p, r, 0, shown),
				    figure_of(shown, p), STATS_MISS, &ratio) >= TOO_FEW_PAIRS;
	return n;
}

/* "`epoll` 0.98 (0.95 to 1.02); ..." */
static void print_changes(FILE *out, const struct experiment *experiment,
			  const struct report_pivot *p, const struct experiment_table *shown)
{
	const char *separator = "";
	size_t last = p->n_columns - 1, n;
	struct ratio ratio;

	n = p->n_columns < 2 ? 0 : count_changes(p, shown);
	if (!n)
		return;
	fprintf(out, "%s with ", shown->caption);
	print_column(out, experiment, p->column[last]);
	fprintf(out, ", over that with ");
	print_column(out, experiment, p->column[0]);
	report_print_level(out, n);
	fprintf(out, ": ");
	for (size_t r = 0; r < p->n_rows; r++) {
		const struct report_cell *cell = cell_at(p, r, last, shown);
		const struct report_cell *first = cell_at(p, r, 0, shown);

		if (report_compare(cell, first, figure_of(shown, p), STATS_MISS, &ratio) <
		    TOO_FEW_PAIRS)
			continue;
		fprintf(out, "%s`%s` ", separator, p->row[r]);
		report_print_ratio(out, cell, first, figure_of(shown, p), STATS_MISS / (double)n);
		separator = "; ";
	}
	fprintf(out, ".\n\n");
}

/* What the rates are parts of. */
static void print_peak(FILE *out, const struct report_pivot *p)
{
	double peak = 0;

	for (size_t r = 0; r < p->n_rows; r++) {
		const struct report_cell *cell = p->cell[r][0][0];

		if (!cell || !record_number(cell->first, "cell", "peak_connections_per_s", &peak))
			continue;
		fprintf(out, "The peak: %.0f connections/s, closed loop, of `%s`.\n\n", peak,
			record_text(cell->first, "cell", "peak_accept"));
		return;
	}
}

static void print_machine_part(FILE *out, const struct experiment *experiment,
			       const struct report_machine *machine, const struct report_pivot *p)
{
	bool counts = report_counts_locks(machine);
	const struct experiment_table *const *shown =
		counts ? experiment->on_counting : experiment->elsewhere;
	size_t open = counts ? experiment->n_open_counting : experiment->n_open;

	fprintf(out, "**%s**, %s:\n\n", machine->name, p->load);
	if (experiment->more)
		experiment->more(out, machine, p);
	if (experiment->axis.kind == AXIS_RATE)
		print_peak(out, p);
	for (size_t i = 0; !counts && i < 3 && experiment->changes[i]; i++)
		print_changes(out, experiment, p, experiment->changes[i]);
	for (size_t i = 0; i < open && shown[i]; i++)
		print_pivot(out, machine, experiment, p, shown[i]);
	fprintf(out, "<details><summary>%s</summary>\n\n",
		open < EXPERIMENT_TABLES && shown[open]
			? "More tables (medians, smallest and largest run), records"
			: "Records");
	for (size_t i = open; i < EXPERIMENT_TABLES && shown[i]; i++)
		print_pivot(out, machine, experiment, p, shown[i]);
	if (p->left_out)
		fprintf(out, "%zu cells of other sizes are in the CSV file only.\n\n", p->left_out);
	report_print_source(out, machine, experiment->name);
	fprintf(out, "</details>\n\n");
}

static bool is_shown(const struct experiment *experiment, const struct report_machine *machine)
{
	if (report_counts_locks(machine))
		return experiment->on_counting[0] || experiment->more_on_counting;
	return experiment->elsewhere[0] || experiment->more;
}

static void print_section(FILE *out, const struct report_data *data,
			  const struct experiment *experiment, const char *plots)
{
	struct report_pivot p;
	bool any = false;

	for (size_t m = 0; m < data->n_machines; m++) {
		const struct report_machine *machine = &data->machines[m];
		size_t load = 0;

		if (!is_shown(experiment, machine))
			continue;
		for (; report_pivot(machine, experiment->name, load, &p); load++) {
			if (!any)
				fprintf(out, "### %s\n\n%s\n\n", experiment->title,
					experiment->question);
			any = true;
			if (load == 0 && plots)
				report_plot_links(out, machine, m, experiment, plots);
			print_machine_part(out, experiment, machine, &p);
		}
	}
}

void report_sections(FILE *out, const struct report_data *data, const char *plots)
{
	fprintf(out,
		"## The experiments\n\nA ratio in bold is a claim: its interval excludes 1. A dash is "
		"what could not be seen, never a zero. " REPORT_AT_LEAST
		"stands before a rate that the server did not limit: it could have been higher. \"Not "
		"the server's\" is a ratio of such rates.\n\n");
	for (size_t i = 0; i < n_experiments; i++)
		print_section(out, data, &experiments[i], plots);
	for (size_t m = 0; m < data->n_machines; m++)
		report_callers(out, &data->machines[m]);
	report_options_tried(out, data);
}
