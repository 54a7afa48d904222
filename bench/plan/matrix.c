/* SPDX-License-Identifier: MIT */
/* See matrix.h. */
#include "plan/matrix.h"
#include "cell/path.h"
#include "cell/peer.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

/* What the peak is taken from. */
static const struct count_list baselines = { MATRIX_BASELINES, { PATH_epoll, PATH_multishot } };

static size_t items(const struct count_list *list)
{
	return list->n ? list->n : 1;
}

/* The digit of combination `k` for this list, the lists being the digits; 0 of an empty one. */
static uint64_t take(const struct count_list *list, size_t *k)
{
	size_t digit = *k % items(list);

	*k /= items(list);
	return list->n ? list->item[digit] : 0;
}

static size_t combinations(const struct cell_lists *lists)
{
	return items(&lists->accepts) * items(&lists->workers) * items(&lists->fd_tables) *
	       items(&lists->loads) * items(&lists->values);
}

static void set_path(struct cell *cell, const struct path *path)
{
	cell->accept = paths[path->accept].name;
	cell->unparked = !strcmp(path->options, PATH_UNPARKED);
	cell->options = cell->unparked ? "" : path->options;
}

static struct cell combination(const struct matrix_axes *axes, size_t k)
{
	const struct cell_lists *lists = &axes->lists;
	struct cell cell = { .experiment = axes->experiment };

	set_path(&cell, &paths[take(&lists->accepts, &k)]);
	cell.workers = (unsigned int)take(&lists->workers, &k);
	cell.fd_table = cell_fd_tables[take(&lists->fd_tables, &k)];
	cell.load = (enum cell_load)take(&lists->loads, &k);
	cell.value = (unsigned int)take(&lists->values, &k);
	return cell;
}

/*
 * What makes no sense is left out. Peers know nothing of fd tables and of the server's options;
 * descriptors that are open in one table are not in another; only who parks has a level.
 */
static bool is_cell(const struct matrix_axes *axes, const struct cell *cell)
{
	bool private = strcmp(cell->fd_table, cell_fd_tables[CELL_SHARED]) != 0;
	bool parks = !cell->unparked && path_find(cell->accept)->parks;

	if (peer_is(cell->accept) &&
	    ((private && axes->lists.fd_tables.n > 1) || cell_option(cell)))
		return false;
	if (cell_option(cell) && cell->experiment->axis.shared_table_only && private)
		return false;
	return !cell_level(cell) || parks;
}

static void add(struct matrix *matrix, const struct cell *cell)
{
	matrix->cells[matrix->n++] = *cell;
}

/* What a cell is compared with: epoll and a shared table, under the same conditions. */
static struct cell baseline_of(const struct cell *cell)
{
	struct cell base = *cell;

	base.accept = paths[PATH_BASELINE].name;
	base.fd_table = cell_fd_tables[CELL_SHARED];
	base.unparked = false;
	/* what the client sees differently; the others need a ring */
	if (strcmp(base.options, PATH_DEFER))
		base.options = "";
	return base;
}

static bool same_name(const struct cell *a, const struct cell *b)
{
	char x[CELL_NAME], y[CELL_NAME];

	cell_name(a, x, sizeof(x));
	cell_name(b, y, sizeof(y));
	return !strcmp(x, y);
}

/* The cell as it is, or beside it what it is compared with. */
static void add_unit(struct matrix *matrix, const struct matrix_plan *plan, struct cell cell)
{
	struct cell other = baseline_of(&cell);
	bool overhead = plan->overhead && cell.experiment->has_twins;

	cell.has_twin = overhead;
	if (overhead) {
		other = cell;
		other.unwatched = true;
	}
	/* levels are about what is parked: no ratio is made of them */
	if (overhead || (plan->pairs && !cell_level(&cell) && !same_name(&cell, &other))) {
		cell_name(&cell, cell.pair, sizeof(cell.pair));
		memcpy(other.pair, cell.pair, sizeof(other.pair));
		add(matrix, &cell);
		add(matrix, &other);
	} else {
		add(matrix, &cell);
	}
}

/* A baseline that is measured in pairs need not be measured alone as well. */
static void drop_lone_baselines(struct matrix *matrix, size_t from)
{
	size_t kept = from;

	for (size_t i = from; i < matrix->n; i++) {
		const struct cell *cell = &matrix->cells[i];
		bool in_pair = false;

		for (size_t k = from; k < matrix->n && !*cell->pair && !in_pair; k++)
			in_pair = k != i && *matrix->cells[k].pair &&
				  same_name(cell, &matrix->cells[k]);
		if (!in_pair)
			matrix->cells[kept++] = *cell;
	}
	matrix->n = kept;
}

static void swap(struct cell *a, struct cell *b)
{
	struct cell cell = *a;

	*a = *b;
	*b = cell;
}

/* Units of one cell or of a pair, which stays together: `unit` has where each starts. */
static void shuffle(struct cell *cells, size_t n, uint64_t *rng)
{
	struct cell *shuffled = calloc(n + 1, sizeof(*shuffled));
	size_t *unit = calloc(n + 1, sizeof(*unit));
	size_t units = 0, to = 0;

	if (!shuffled || !unit)
		abort();
	for (size_t i = 0; i < n; i += *cells[i].pair ? 2 : 1)
		unit[units++] = i;
	for (size_t i = units; i > 0; i--) {
		size_t k = rng_below(rng, i), from = unit[k];

		unit[k] = unit[i - 1];
		shuffled[to++] = cells[from];
		if (!*cells[from].pair)
			continue;
		shuffled[to++] = cells[from + 1];
		if (rng_below(rng, 2))
			swap(&shuffled[to - 2], &shuffled[to - 1]);
	}
	memcpy(cells, shuffled, n * sizeof(*cells));
	free(shuffled);
	free(unit);
}

static void make_pass(const struct matrix_plan *plan, unsigned int repetition,
		      struct matrix *matrix)
{
	struct cell self = { .experiment = &experiments[0],
			     .accept = CELL_SELF_CHECK,
			     .options = "",
			     .fd_table = cell_fd_tables[CELL_SHARED],
			     .repetition = repetition };

	size_t from = matrix->n;

	if (plan->self_check)
		add(matrix, &self);
	for (size_t a = 0; a < plan->n_axes; a++) {
		const struct matrix_axes *axes = &plan->axes[a];

		for (size_t k = 0; k < combinations(&axes->lists); k++) {
			struct cell cell = combination(axes, k);

			cell.repetition = repetition;
			cell.asked_for = plan->asked_for;
			cell.instrument = plan->instrument;
			if (is_cell(axes, &cell))
				add_unit(matrix, plan, cell);
		}
	}
	drop_lone_baselines(matrix, from);
}

/* The best of what people run today, at the workers of the first rows that want parts of it. */
static void make_peaks(const struct matrix_plan *plan, unsigned int repetition,
		       struct matrix *matrix)
{
	for (size_t a = 0; a < plan->n_axes; a++) {
		struct matrix_axes axes = {
			.experiment = plan->axes[a].experiment,
			.lists = { .accepts = baselines, .workers = plan->axes[a].lists.workers },
		};

		if (axes.experiment->axis.kind != AXIS_RATE)
			continue;
		for (size_t k = 0; k < combinations(&axes.lists); k++) {
			struct cell cell = combination(&axes, k);

			cell.repetition = repetition;
			cell.is_peak = true;
			add(matrix, &cell);
		}
		return;
	}
}

/* More than there will be: what makes no sense is counted, too. */
static size_t bound(const struct matrix_plan *plan)
{
	size_t n = 0, peaks = 0;

	for (size_t a = 0; a < plan->n_axes; a++) {
		n += combinations(&plan->axes[a].lists) * 2;
		peaks += baselines.n * items(&plan->axes[a].lists.workers);
	}
	return (n + 1) * plan->repetitions + peaks * plan->peak_repetitions;
}

bool matrix_make(const struct matrix_plan *plan, uint64_t seed, struct matrix *matrix)
{
	matrix->n = 0;
	matrix->cells = calloc(bound(plan) + 1, sizeof(*matrix->cells));
	if (!matrix->cells)
		return false;
	for (uint64_t r = 1; r <= plan->peak_repetitions + plan->repetitions; r++) {
		size_t from = matrix->n;

		if (r <= plan->peak_repetitions)
			make_peaks(plan, (unsigned int)r, matrix);
		else
			make_pass(plan, (unsigned int)(r - plan->peak_repetitions), matrix);
		for (size_t i = from; i < matrix->n; i++)
			matrix->cells[i].instrument = plan->instrument;
		shuffle(matrix->cells + from, matrix->n - from, &seed);
	}
	return true;
}

void matrix_free(struct matrix *matrix)
{
	free(matrix->cells);
}
