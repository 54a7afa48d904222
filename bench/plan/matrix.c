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
	{ "epoll-once", "epoll", "--accept-batch 1" }, /* no accept that finds nobody */
	{ "epoll-deferred", "epoll", DEFER },
	{ "multishot-deferred", "multishot", DEFER },
	{ "direct-deferred", "direct", DEFER },
	{ "direct-gathered", "direct", GATHER },
	{ "direct-apart", "direct", "--fin apart" },
};

/* clang-format off */
const char *const matrix_accepts[] = {
	"epoll", "accept4", "multishot", "install", "dup3", "dup", "direct",
	"bare", "bare-tuned", "nginx", "haproxy", "haproxy-tables",
	UNPARKED, "epoll-once", "epoll-deferred", "multishot-deferred", "direct-deferred", "direct-gathered",
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

/* What a cell is compared with: epoll and a shared table, under the same conditions. */
static struct cell baseline_of(const struct cell *cell)
{
	struct cell base = *cell;

	base.accept = "epoll";
	base.fd_table = "shared";
	base.unparked = false;
	if (strcmp(base.options,
		   DEFER)) /* what the client sees differently; the others need a ring */
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
	bool overhead = plan->overhead && cell.experiment == CELL_PATHS;

	cell.has_twin = overhead;
	if (overhead) {
		other = cell;
		other.unwatched = true;
	}
	/* levels are about what is parked: no ratio is made of them */
	if (overhead || (plan->pairs && !cell.level && !same_name(&cell, &other))) {
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
	struct cell self = { .accept = CELL_SELF_CHECK,
			     .options = "",
			     .fd_table = "shared",
			     .repetition = repetition };

	size_t from = matrix->n;

	if (plan->self_check)
		add(matrix, &self);
	for (size_t a = 0; a < plan->n_axes; a++) {
		const struct matrix_axes *axes = &plan->axes[a];

		for (size_t k = 0; k < combinations(axes); k++) {
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
