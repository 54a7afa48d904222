/* SPDX-License-Identifier: MIT */
/* See report_pivot.h. */
#include "report/report_text.h"
#include "cell/cell.h"
#include "cell/record.h"
#include "plan/experiments.h"

#include <stdio.h>
#include <string.h>

const char *report_axis(const char *name)
{
	const struct experiment *experiment = experiment_find(name);

	return experiment ? experiment->axis.key : "workers";
}

/* What the experiments themselves hand to the server: it is in keys of its own. */
static bool is_known(const char *word)
{
	if (!strcmp(word, CELL_PARK) || !strcmp(word, CELL_PARK_TIMEOUT))
		return true;
	for (size_t i = 0; i < n_experiments; i++)
		if (experiments[i].axis.kind == AXIS_OPTION && !strncmp(word, "--", 2) &&
		    !strcmp(word + 2, experiments[i].axis.name))
			return true;
	return false;
}

static void append(char *text, size_t size, const char *separator, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s", separator, word);
}

void report_options(json_t *record, char *known, char *tried, size_t size)
{
	char copy[1024];
	char *cursor = copy, *word;
	bool is_value = false;

	known[0] = tried[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", record_text(record, "cell", "server_options"));
	while ((word = strsep(&cursor, " "))) {
		bool of_experiment = is_value || is_known(word);
		char *text = of_experiment ? known : tried;

		is_value = of_experiment && !is_value;
		if (*word)
			append(text, size, *text ? " " : "", word);
	}
}

void report_label(json_t *record, char *text, size_t size)
{
	char known[PIVOT_LABEL], tried[PIVOT_LABEL];
	double park = 1;

	snprintf(text, size, "%s", record_text(record, "cell", "accept"));
	if (record_number(record, "cell", "park", &park) && park == 0)
		append(text, size, ", ", "nothing parked");
	if (!strcmp(record_text(record, "cell", "fd_table"), "private"))
		append(text, size, ", ", "private tables");
	if (!strcmp(record_text(record, "cell", "listener"), "shared"))
		append(text, size, ", ", "one listener");
	report_options(record, known, tried, sizeof(tried));
	if (*tried)
		append(text, size, ", ", tried);
}

static double axis_value(json_t *record, const char *axis)
{
	double value = 0;

	if (record_number(record, "cell", axis, &value))
		return value;
	for (int level = 0; cell_levels[level]; level++)
		if (!strcmp(cell_levels[level], record_text(record, "cell", axis)))
			return level;
	return 0;
}

static void load_text(json_t *record, char *text, size_t size)
{
	json_t *load = report_part(record, "storm.load");
	double requests = json_number_value(json_object_get(load, "requests"));

	if (!load) {
		snprintf(text, size, "%s", record_text(record, "cell", "load"));
		return;
	}
	snprintf(text, size, "%s, %.0f connections open, closed by %s",
		 json_string_value(json_object_get(load, "protocol")),
		 json_number_value(json_object_get(load, "concurrency")),
		 json_string_value(json_object_get(load, "close")));
	if (requests > 1)
		snprintf(text + strlen(text), size - strlen(text), ", %.0f requests each",
			 requests);
}

static bool belongs(const struct report_cell *cell, const char *experiment)
{
	const struct experiment *row = experiment_find(experiment);
	bool has_rate = row && row->axis.kind == AXIS_RATE;
	double rate = 0;

	if (has_rate)
		record_number(cell->first, "cell", row->axis.key, &rate);
	return !strcmp(report_experiment(cell->first), experiment) &&
	       strcmp(record_text(cell->first, "cell", "accept"), CELL_SELF_CHECK) &&
	       !report_is_unwatched(cell->first) && (!has_rate || rate > 0);
}

static bool nth_load(const struct report_machine *machine, const char *experiment, size_t index,
		     char *load, size_t size)
{
	char seen[8][PIVOT_LABEL];
	size_t n = 0;

	for (size_t i = 0; i < machine->n_cells; i++) {
		bool known = false;

		if (!belongs(&machine->cells[i], experiment))
			continue;
		load_text(machine->cells[i].first, load, size);
		for (size_t k = 0; k < n; k++)
			known = known || !strcmp(seen[k], load);
		if (known)
			continue;
		if (n == index)
			return true;
		if (n == sizeof(seen) / sizeof(seen[0]))
			return false;
		snprintf(seen[n++], sizeof(seen[0]), "%s", load);
	}
	return false;
}

static size_t find_row(struct report_pivot *pivot, const char *label)
{
	for (size_t r = 0; r < pivot->n_rows; r++)
		if (!strcmp(pivot->row[r], label))
			return r;
	if (pivot->n_rows < PIVOT_ROWS)
		snprintf(pivot->row[pivot->n_rows++], PIVOT_LABEL, "%s", label);
	return pivot->n_rows - 1;
}

static size_t find_column(struct report_pivot *pivot, double value)
{
	size_t c = 0;

	while (c < pivot->n_columns && pivot->column[c] < value)
		c++;
	if (c < pivot->n_columns && pivot->column[c] == value)
		return c;
	if (pivot->n_columns == PIVOT_COLUMNS)
		return PIVOT_COLUMNS - 1;
	for (size_t k = pivot->n_columns; k > c; k--) {
		pivot->column[k] = pivot->column[k - 1];
		for (size_t r = 0; r < PIVOT_ROWS; r++)
			memcpy(pivot->cell[r][k], pivot->cell[r][k - 1], sizeof(pivot->cell[r][k]));
	}
	for (size_t r = 0; r < PIVOT_ROWS; r++)
		memset(pivot->cell[r][c], 0, sizeof(pivot->cell[r][c]));
	pivot->column[c] = value;
	pivot->n_columns++;
	return c;
}

/* Of the cells of a row, whichever there is. */
static json_t *row_record(const struct report_pivot *pivot, size_t row)
{
	for (size_t c = 0; c < pivot->n_columns; c++)
		if (pivot->cell[row][c][0])
			return pivot->cell[row][c][0]->first;
	return NULL;
}

/* Shared tables first, then private ones; paths in the order of --help, plain ones first. */
static bool comes_before(const struct report_pivot *pivot, size_t a, size_t b)
{
	json_t *x = row_record(pivot, a), *y = row_record(pivot, b);
	int order;

	if (!x || !y)
		return false;
	order = strcmp(record_text(y, "cell", "fd_table"), record_text(x, "cell", "fd_table"));
	if (!order)
		order = report_rank(x) - report_rank(y);
	if (!order)
		order = (int)strlen(pivot->row[a]) - (int)strlen(pivot->row[b]);
	return (order ? order : strcmp(pivot->row[a], pivot->row[b])) < 0;
}

static void swap_rows(struct report_pivot *pivot, size_t a, size_t b)
{
	char label[PIVOT_LABEL];

	memcpy(label, pivot->row[a], sizeof(label));
	memcpy(pivot->row[a], pivot->row[b], sizeof(label));
	memcpy(pivot->row[b], label, sizeof(label));
	for (size_t c = 0; c < pivot->n_columns; c++) {
		const struct report_cell *cells[PIVOT_SIZES];

		memcpy(cells, pivot->cell[a][c], sizeof(cells));
		memcpy(pivot->cell[a][c], pivot->cell[b][c], sizeof(cells));
		memcpy(pivot->cell[b][c], cells, sizeof(cells));
	}
}

static double connections(const struct report_cell *cell)
{
	return json_number_value(json_object_get(report_part(cell->first, "storm.result"), "good"));
}

static bool is_larger(const struct report_cell *a, const struct report_cell *b)
{
	size_t x = json_array_size(a->good), y = json_array_size(b->good);

	return x != y ? x > y : connections(a) > connections(b);
}

/* The last place is free. */
static void put(const struct report_cell **place, const struct report_cell *cell)
{
	size_t k = PIVOT_SIZES - 1;

	for (; k && (!place[k - 1] || is_larger(cell, place[k - 1])); k--)
		place[k] = place[k - 1];
	place[k] = cell;
}

bool report_pivot(const struct report_machine *machine, const char *experiment, size_t index,
		  struct report_pivot *pivot)
{
	const char *axis = report_axis(experiment);

	memset(pivot, 0, sizeof(*pivot));
	if (!nth_load(machine, experiment, index, pivot->load, sizeof(pivot->load)))
		return false;
	pivot->is_wrk = !strcmp(pivot->load, cell_loads[CELL_WRK]);
	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i];
		char label[PIVOT_LABEL], load[PIVOT_LABEL];
		size_t row, column;

		if (!belongs(cell, experiment))
			continue;
		load_text(cell->first, load, sizeof(load));
		if (strcmp(load, pivot->load))
			continue;
		report_label(cell->first, label, sizeof(label));
		row = find_row(pivot, label);
		column = find_column(pivot, axis_value(cell->first, axis));
		if (strcmp(pivot->row[row], label) || pivot->cell[row][column][PIVOT_SIZES - 1])
			pivot->left_out++;
		else
			put(pivot->cell[row][column], cell);
	}
	for (size_t r = 1; r < pivot->n_rows; r++)
		for (size_t k = r; k && comes_before(pivot, k, k - 1); k--)
			swap_rows(pivot, k, k - 1);
	return true;
}

static size_t count_cells(const struct report_pivot *pivot)
{
	size_t n = 0;

	for (size_t r = 0; r < pivot->n_rows; r++)
		for (size_t c = 0; c < pivot->n_columns; c++)
			n += pivot->cell[r][c][0] != NULL;
	return n;
}

bool report_pivot_main(const struct report_machine *machine, const char *experiment,
		       struct report_pivot *pivot)
{
	size_t best = 0, most = 0;

	for (size_t load = 0; report_pivot(machine, experiment, load, pivot); load++) {
		if (count_cells(pivot) <= most)
			continue;
		most = count_cells(pivot);
		best = load;
	}
	return most && report_pivot(machine, experiment, best, pivot);
}

const struct report_cell *report_pivot_cell(const struct report_pivot *pivot, size_t row,
					    size_t column, const struct report_figure *figure)
{
	const struct report_cell *const *cells = pivot->cell[row][column];

	for (size_t k = 0; figure && k < PIVOT_SIZES && cells[k]; k++)
		if (report_figure_of(cells[k], figure).n)
			return cells[k];
	return cells[0];
}

const struct report_cell *report_pivot_find(const struct report_pivot *pivot, const char *row,
					    double column, const struct report_figure *figure)
{
	for (size_t r = 0; r < pivot->n_rows; r++)
		for (size_t c = 0; c < pivot->n_columns; c++)
			if (pivot->column[c] == column && !strcmp(pivot->row[r], row))
				return report_pivot_cell(pivot, r, c, figure);
	return NULL;
}

size_t report_main_column(const struct report_pivot *pivot)
{
	size_t best = 0, most = 0;

	for (size_t c = 0; c < pivot->n_columns; c++) {
		size_t n = 0;

		for (size_t r = 0; r < pivot->n_rows; r++)
			n += pivot->cell[r][c][0] != NULL;
		if (n >= most) {
			most = n;
			best = c;
		}
	}
	return best;
}
