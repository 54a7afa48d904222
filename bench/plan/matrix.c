/* SPDX-License-Identifier: MIT */
/* See matrix.h. */
#include "plan/matrix.h"
#include "cell/peer.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

/*
 * Paths with an option of the server's, measured beside the path itself in the same run: dup with
 * nothing parked, a control; and what the options that are there for speed bring.
 */
#define UNPARKED "dup-unparked"
#define DEFER	 "--defer-accept 1s"
#define GATHER	 "--min-wait 200us --min-batch 32"

static const struct {
	const char *name, *accept, *options;
} variants[] = {
	{ UNPARKED, "dup", "" }, /* --park 0, which has a place of its own in the record */
	{ "epoll-deferred", "epoll", DEFER },
	{ "multishot-deferred", "multishot", DEFER },
	{ "direct-deferred", "direct", DEFER },
	{ "direct-gathered", "direct", GATHER },
	{ "direct-apart", "direct", "--fin apart" },
};

/* clang-format off */
const char *const matrix_accepts[] = {
	"epoll", "accept4", "multishot", "install", "dup3", "dup", "direct",
	"bare", "bare-tuned", "nginx", "haproxy",
	UNPARKED, "epoll-deferred", "multishot-deferred", "direct-deferred", "direct-gathered",
	"direct-apart", NULL
};
/* clang-format on */
const char *const matrix_fd_tables[] = { "shared", "private", NULL };

/* epoll and multishot: what the peak is taken from */
static const struct count_list baselines = { MATRIX_BASELINES, { 0, 2 } };

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

static size_t combinations(const struct matrix_axes *axes)
{
	return items(&axes->accepts) * items(&axes->workers) * items(&axes->fd_tables) *
	       items(&axes->loads) * items(&axes->open_fds) * items(&axes->neighbours) *
	       items(&axes->levels) * items(&axes->rate_percents);
}

static void set_path(struct cell *cell, const char *name)
{
	cell->accept = name;
	cell->options = "";
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		if (strcmp(name, variants[i].name))
			continue;
		cell->accept = variants[i].accept;
		cell->options = variants[i].options;
		cell->unparked = !strcmp(name, UNPARKED);
	}
}

static struct cell combination(const struct matrix_axes *axes, size_t k)
{
	struct cell cell = { .experiment = axes->experiment };

	set_path(&cell, matrix_accepts[take(&axes->accepts, &k)]);
	cell.workers = (unsigned int)take(&axes->workers, &k);
	cell.fd_table = matrix_fd_tables[take(&axes->fd_tables, &k)];
	cell.load = (enum cell_load)take(&axes->loads, &k);
	cell.open_fds = (unsigned int)take(&axes->open_fds, &k);
	cell.neighbours = (unsigned int)take(&axes->neighbours, &k);
	cell.level = (enum cell_level)take(&axes->levels, &k);
	cell.rate_percent = (unsigned int)take(&axes->rate_percents, &k);
	return cell;
}

/*
 * What makes no sense is left out. Peers know nothing of fd tables, descriptors and neighbours;
 * descriptors that are open in one table are not in another; only who parks has a level.
 */
static bool is_cell(const struct matrix_axes *axes, const struct cell *cell)
{
	bool private = strcmp(cell->fd_table, "shared") != 0;
	bool parks = !cell->unparked && !strncmp(cell->accept, "dup", 3);

	if (peer_is(cell->accept) &&
	    ((private && axes->fd_tables.n > 1) || cell->open_fds || cell->neighbours))
		return false;
	if (cell->open_fds && private)
		return false;
	return !cell->level || parks;
}

static void add(struct matrix *matrix, const struct cell *cell)
{
	matrix->cells[matrix->n++] = *cell;
}

static void add_with_twin(struct matrix *matrix, const struct matrix_plan *plan, struct cell cell)
{
	cell.has_twin = plan->overhead && cell.experiment == CELL_PATHS;
	add(matrix, &cell);
	cell.unwatched = true;
	if (cell.has_twin)
		add(matrix, &cell);
}

static void shuffle(struct cell *cells, size_t n, uint64_t *rng)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = rng_below(rng, i);
		struct cell cell = cells[i - 1];

		cells[i - 1] = cells[k];
		cells[k] = cell;
	}
}

static void make_pass(const struct matrix_plan *plan, unsigned int repetition,
		      struct matrix *matrix)
{
	struct cell self = { .accept = CELL_SELF_CHECK,
			     .options = "",
			     .fd_table = "shared",
			     .repetition = repetition };

	if (plan->self_check)
		add(matrix, &self);
	for (size_t a = 0; a < plan->n_axes; a++) {
		const struct matrix_axes *axes = &plan->axes[a];

		for (size_t k = 0; k < combinations(axes); k++) {
			struct cell cell = combination(axes, k);

			cell.repetition = repetition;
			cell.asked_for = plan->asked_for;
			if (is_cell(axes, &cell))
				add_with_twin(matrix, plan, cell);
		}
	}
}

/* The best of what people run today, at the workers of the first rows of the latency. */
static void make_peaks(const struct matrix_plan *plan, unsigned int repetition,
		       struct matrix *matrix)
{
	for (size_t a = 0; a < plan->n_axes; a++) {
		struct matrix_axes axes = {
			.experiment = CELL_LATENCY,
			.accepts = baselines,
			.workers = plan->axes[a].workers,
		};

		if (plan->axes[a].experiment != CELL_LATENCY)
			continue;
		for (size_t k = 0; k < combinations(&axes); k++) {
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
		n += combinations(&plan->axes[a]) * 2;
		peaks += baselines.n * items(&plan->axes[a].workers);
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
