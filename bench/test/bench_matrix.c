/* SPDX-License-Identifier: MIT */
/* Tests the order of a run: every cell once per repetition, shuffled, reproducible by the seed. */
#include "check.h"
#include "cell/path.h"
#include "plan/pairs.h"
#include "plan/plan.h"
#include "report/stats.h"

#include <string.h>

static struct matrix_plan plan(void)
{
	return (struct matrix_plan){
		.n_axes = 1,
		.axes = { { &experiments[0],
			    { .accepts = { 3, { PATH_epoll, PATH_dup, PATH_nginx } },
			      .workers = { 2, { 2, 4 } },
			      .fd_tables = { 2, { 0, 1 } } } } },
		.repetitions = 10,
		.self_check = true,
		.asked_for = true,
	};
}

/* 2 paths x 2 workers x 2 tables, a peer x 2 workers, the self-check. */
#define PASS 11

static bool same_cell(const struct cell *a, const struct cell *b)
{
	return !strcmp(a->accept, b->accept) && a->workers == b->workers &&
	       !strcmp(a->fd_table, b->fd_table) && a->load == b->load;
}

static void test_passes(const struct matrix *matrix)
{
	for (size_t i = 0; i < matrix->n; i++) {
		size_t times = 0;

		CHECK(matrix->cells[i].repetition == 1 + i / PASS);
		for (size_t k = i / PASS * PASS; k < (i / PASS + 1) * PASS; k++)
			times += same_cell(&matrix->cells[i], &matrix->cells[k]);
		CHECK(times == 1, ": cell %zu is there %zu times", i, times);
	}
}

static size_t same_places(const struct matrix *a, size_t from_a, const struct matrix *b,
			  size_t from_b)
{
	size_t same = 0;

	for (size_t i = 0; i < PASS; i++)
		same += same_cell(&a->cells[from_a + i], &b->cells[from_b + i]);
	return same;
}

static size_t count(const struct matrix *matrix, const char *experiment)
{
	size_t n = 0;

	for (size_t i = 0; i < matrix->n; i++)
		n += !strcmp(matrix->cells[i].experiment->name, experiment);
	return n;
}

static uint64_t place_of(const char *experiment)
{
	const struct experiment *row = experiment_find(experiment);

	CHECK(row, ": there is no experiment %s", experiment);
	return row ? (uint64_t)(row - experiments) : 0;
}

/* What a row of experiments.c or path.h must hold for the rest to work. */
static void test_rows(void)
{
	static const char *const asked_for[] = { EXPERIMENT_PATHS, EXPERIMENT_ONE_CORE,
						 EXPERIMENT_NEIGHBOURS };

	for (size_t i = 0; i < sizeof(asked_for) / sizeof(asked_for[0]); i++)
		place_of(asked_for[i]);
	for (size_t e = 0; e < n_experiments; e++) {
		const struct experiment *row = &experiments[e];
		const struct experiment_axis *axis = &row->axis;
		unsigned int presets = 0;

		CHECK(experiment_find(row->name) == row, ": two are called %s", row->name);
		CHECK(row->varies && row->answers && row->title && row->question, ": %s",
		      row->name);
		CHECK(axis->key && (axis->kind == AXIS_WORKERS || axis->name), ": %s", row->name);
		CHECK(axis->kind == AXIS_LEVEL || (axis->one && axis->many), ": %s", row->name);
		CHECK(!axis->option || (axis->what && axis->max), ": %s", row->name);
		for (size_t i = 0; i < EXPERIMENT_CELLS; i++)
			presets |= row->cells[i].presets;
		CHECK(presets == (IN_SMOKE | IN_QUICK | IN_FULL), ": %s has no cells in a preset",
		      row->name);
		for (size_t i = 0; i < EXPERIMENT_PLOTS && row->plots[i].name; i++)
			CHECK(row->plots[i].bars || axis->label, ": %s", row->plots[i].name);
	}
	for (size_t i = 0; i < PATHS; i++)
		CHECK(path_find(paths[i].name) == &paths[i] &&
			      !strcmp(paths[i].name, path_names[i]),
		      ": %s", paths[i].name);
}

/* A variant is its path with options; its name stays in the command line. */
static void test_variants(void)
{
	struct plan_choice choice = { .experiments = { 1, { place_of(EXPERIMENT_ONE_CORE) } } };
	struct matrix_plan what = { .repetitions = 1 };
	struct matrix matrix;
	size_t deferred = 0;

	plan_make(PLAN_FULL, &choice, &what);
	CHECK(matrix_make(&what, 1, &matrix));
	for (size_t i = 0; i < matrix.n; i++) {
		const struct cell *cell = &matrix.cells[i];
		char name[256];

		cell_name(cell, name, sizeof(name));
		CHECK(!strstr(cell->accept, "deferred"));
		CHECK(!*cell->options == !strstr(name, "--"), ": %s", name);
		deferred += !strcmp(cell->options, "--defer-accept 1s");
	}
	CHECK(deferred == 3, ": %zu", deferred);
	matrix_free(&matrix);
}

/* The peak comes before what is a part of it, of the baselines, as often as the plan says. */
static void test_peak(void)
{
	struct plan_choice choice = { .experiments = { 1, { place_of("latency") } },
				      .accepts = { 1, { PATH_dup } } };
	struct matrix_plan what = { .repetitions = 2 };
	struct matrix matrix;

	plan_make(PLAN_FULL, &choice, &what);
	CHECK(matrix_make(&what, 1, &matrix));
	CHECK(matrix.n == 2 * 3 + 2 * 3, ": %zu", matrix.n);
	for (size_t i = 0; i < matrix.n; i++) {
		CHECK(matrix.cells[i].is_peak == (i < 6));
		CHECK(!cell_rate_percent(&matrix.cells[i]) == (i < 6));
		CHECK(!strcmp(matrix.cells[i].accept, "dup") == (i >= 6));
	}
	matrix_free(&matrix);
}

static const char *name_of(const struct matrix *matrix, size_t i)
{
	static char name[2][256];

	cell_name(&matrix->cells[i], name[i % 2], sizeof(name[0]));
	return name[i % 2];
}

/* No preset has the same cell twice, and every experiment can be asked for in every preset. */
static void test_presets(void)
{
	for (int preset = PLAN_SMOKE; preset <= PLAN_FULL; preset++) {
		struct plan_choice choice = { 0 };
		struct matrix_plan what = { .repetitions = 1 };
		struct matrix matrix;

		for (uint64_t e = 0; e < n_experiments; e++)
			choice.experiments.item[choice.experiments.n++] = e;
		plan_make((enum plan_preset)preset, &choice, &what);
		CHECK(matrix_make(&what, 1, &matrix));
		for (size_t e = 0; e < n_experiments; e++)
			CHECK(count(&matrix, experiments[e].name), ": %s has no %s",
			      plan_presets[preset], experiments[e].name);
		for (size_t i = 0; i < matrix.n; i++)
			for (size_t k = i + 1; k < matrix.n; k++) {
				char name[256];

				cell_name(&matrix.cells[k], name, sizeof(name));
				CHECK(strcmp(name_of(&matrix, i), name) ||
					      matrix.cells[i].repetition !=
						      matrix.cells[k].repetition,
				      ": %s twice", name);
			}
		matrix_free(&matrix);
	}
}

/* What is chosen on the command line takes the place of the preset's, once. */
static void test_choice(void)
{
	uint64_t neighbours = place_of(EXPERIMENT_NEIGHBOURS);
	struct plan_choice choice = {
		.experiments = { 2, { place_of(EXPERIMENT_PATHS), neighbours } },
		.accepts = { 2, { PATH_epoll, PATH_dup } },
		.workers = { 1, { 3 } },
	};
	struct matrix_plan what = { .repetitions = 1 };
	struct matrix matrix;

	choice.values[neighbours] = (struct count_list){ 2, { 0, 7 } };
	plan_make(PLAN_FULL, &choice, &what);
	CHECK(what.asked_for && matrix_make(&what, 1, &matrix));
	/* Shared and private: epoll and dup; 0 and 7 neighbours: those, and epoll in private ones
	 */
	CHECK(count(&matrix, EXPERIMENT_PATHS) == 4 && count(&matrix, EXPERIMENT_NEIGHBOURS) == 6,
	      ": %zu and %zu", count(&matrix, EXPERIMENT_PATHS),
	      count(&matrix, EXPERIMENT_NEIGHBOURS));
	for (size_t i = 0; i < matrix.n; i++) {
		CHECK(matrix.cells[i].workers == 3);
		CHECK(cell_neighbours(&matrix.cells[i]) == 0 ||
		      cell_neighbours(&matrix.cells[i]) == 7);
	}
	matrix_free(&matrix);
}

/* The fd tables that are chosen are those of all cells. */
static void test_choice_of_tables(void)
{
	struct plan_choice choice = { .experiments = { 1, { place_of("scaling") } },
				      .workers = { 1, { 2 } },
				      .fd_tables = { 1, { 1 } } };
	struct matrix_plan what = { .repetitions = 1 };
	struct matrix matrix;

	plan_make(PLAN_FULL, &choice, &what);
	CHECK(!what.asked_for && matrix_make(&what, 1, &matrix));
	CHECK(matrix.n == 4, ": %zu", matrix.n);
	for (size_t i = 0; i < matrix.n; i++)
		CHECK(!strcmp(matrix.cells[i].fd_table, "private"));
	matrix_free(&matrix);
}

/* How many cells these values of the experiment make of three paths, with shared and private tables. */
static size_t count_cells(const char *experiment, enum path_id peer, uint64_t value)
{
	struct matrix_plan what = { .n_axes = 1,
				    .axes = { { &experiments[place_of(experiment)],
						{ .accepts = { 3, { PATH_epoll, PATH_dup, peer } },
						  .workers = { 1, { 2 } },
						  .fd_tables = { 2, { 0, 1 } },
						  .values = { 2, { 0, value } } } } },
				    .repetitions = 1 };
	struct matrix matrix;
	size_t n;

	CHECK(matrix_make(&what, 1, &matrix));
	n = matrix.n;
	matrix_free(&matrix);
	return n;
}

/* Descriptors of one table are not in another, peers have no neighbours, who parks has a level. */
static void test_what_makes_no_sense(void)
{
	size_t n = count_cells("open-fds", PATH_nginx, 10);

	/* epoll and dup: shared 0, shared 10, private 0; nginx: shared 0 */
	CHECK(n == 3 + 3 + 1, ": %zu", n);
	n = count_cells(EXPERIMENT_NEIGHBOURS, PATH_bare, 2);
	/* epoll and dup: both tables with 0 and 2; the bare loop: shared 0 */
	CHECK(n == 4 + 4 + 1, ": %zu", n);
	n = count_cells("park", PATH_direct, CELL_IDLE);
	/* dup: both tables with and without a level; the others without */
	CHECK(n == 2 + 4 + 2, ": %zu", n);
}

/* The cell that another one is compared with, in the words of its name. */
static bool is_baseline(const struct cell *cell)
{
	return !strcmp(cell->accept, "epoll") && !strcmp(cell->fd_table, "shared") &&
	       !*cell->options;
}

/* In pairs: two neighbours of one pair are the cell itself and epoll, as often one first as the other. */
static void test_pairs(void)
{
	struct plan_choice choice = { .experiments = { 2,
						       { place_of(EXPERIMENT_PATHS),
							 place_of(EXPERIMENT_NEIGHBOURS) } } };
	struct matrix_plan what = { .repetitions = 20, .pairs = true };
	size_t alone = 0, pairs = 0, epoll_first = 0;
	struct matrix matrix;

	plan_make(PLAN_FULL, &choice, &what);
	CHECK(matrix_make(&what, 3, &matrix));
	for (size_t i = 0; i < matrix.n; i++) {
		const struct cell *a = &matrix.cells[i], *b = a + 1;
		const struct cell *about;
		char name[CELL_NAME];

		if (!*a->pair) {
			alone++;
			continue;
		}
		CHECK(i + 1 < matrix.n && !strcmp(a->pair, b->pair));
		CHECK(is_baseline(a) != is_baseline(b));
		about = is_baseline(a) ? b : a;
		cell_name(about, name, sizeof(name));
		CHECK(!strcmp(name, about->pair), ": %s", name);
		CHECK(a->workers == b->workers && a->value == b->value &&
		      a->repetition == b->repetition && a->experiment == b->experiment);
		epoll_first += is_baseline(a);
		pairs++;
		i++;
	}
	CHECK(alone == 0, ": %zu", alone); /* epoll itself is in pairs often enough */
	CHECK(epoll_first > pairs / 3 && epoll_first < 2 * pairs / 3, ": %zu of %zu", epoll_first,
	      pairs);
	matrix_free(&matrix);
}

/* Alone it is measured where nothing else is. */
static void test_lone_baseline(void)
{
	struct plan_choice choice = { .experiments = { 1, { place_of(EXPERIMENT_PATHS) } },
				      .accepts = { 1, { PATH_epoll } },
				      .workers = { 1, { 2 } },
				      .fd_tables = { 1, { 0 } } };
	struct matrix_plan what = { .repetitions = 3, .pairs = true };
	struct matrix matrix;

	plan_make(PLAN_FULL, &choice, &what);
	CHECK(matrix_make(&what, 1, &matrix) && matrix.n == 3, ": %zu", matrix.n);
	matrix_free(&matrix);
}

/* A run of pairs, as its records tell: how long is a pair measured? */
static json_t *made_up(double cpu_us)
{
	return json_pack("{s:{s:f}}", "server", "cpu_us_per_connection", cpu_us);
}

static void note(struct pairs *pairs, struct cell *cell, unsigned int repetition, double cpu_us)
{
	json_t *record = made_up(cpu_us);

	cell->repetition = repetition;
	pairs_note(pairs, cell, record);
	json_decref(record);
}

static void test_precision(void)
{
	struct cell cell = { .experiment = &experiments[0],
			     .accept = "dup",
			     .fd_table = "shared",
			     .options = "" },
		    base = cell;
	struct cell lone = cell, lacking = cell;
	struct pairs pairs;
	size_t all, precise;

	base.accept = "epoll";
	cell_name(&cell, cell.pair, sizeof(cell.pair));
	memcpy(base.pair, cell.pair, sizeof(base.pair));
	strcpy(lacking.pair, "of another");
	CHECK(pairs_init(&pairs, 0.03));
	for (unsigned int r = 1; r <= STATS_PAIRS_MIN;
	     r++) { /* the machine drifts, the ratio does not */
		CHECK(!pairs_settled(&pairs, &cell) && !pairs_settled(&pairs, &base));
		note(&pairs, r % 2 ? &base : &cell, r, r % 2 ? 10 * r : 8 * r);
		cell.repetition = base.repetition = r;
		CHECK(!pairs_settled(&pairs, &cell) && !pairs_settled(&pairs, &base));
		note(&pairs, r % 2 ? &cell : &base, r, r % 2 ? 8.01 * r : 10 * r);
		note(&pairs, &lone, r, 5);
	}
	CHECK(pairs_settled(&pairs, &cell) && pairs_settled(&pairs, &base));
	CHECK(!pairs_settled(&pairs, &lone));
	pairs_give_up(&pairs, &lacking);
	pairs_give_up(&pairs, &lone);
	CHECK(pairs_settled(&pairs, &lacking) && !pairs_settled(&pairs, &lone));
	pairs_count(&pairs, &all, &precise);
	CHECK(all == 1 && precise == 1);
	pairs_free(&pairs);

	/* With 20 % of noise eight pairs are not enough; one whose partner failed is none. */
	CHECK(pairs_init(&pairs, 0.03));
	for (unsigned int r = 1; r <= 2 * STATS_PAIRS_MIN; r++) {
		note(&pairs, &base, r, 10);
		if (r % 2)
			note(&pairs, &cell, r, r % 4 == 1 ? 12 : 10);
	}
	CHECK(!pairs_settled(&pairs, &cell));
	pairs_count(&pairs, &all, &precise);
	CHECK(all == 1 && precise == 0);
	pairs_free(&pairs);
}

int main(void)
{
	struct matrix_plan what = plan();
	struct matrix a, b, c;

	CHECK(matrix_make(&what, 1, &a) && matrix_make(&what, 1, &b) && matrix_make(&what, 2, &c));
	CHECK(a.n == 10 * PASS && b.n == a.n, ": %zu", a.n);
	test_passes(&a);
	CHECK(same_places(&a, 0, &b, 0) == PASS);
	CHECK(same_places(&a, 9 * PASS, &b, 9 * PASS) == PASS);
	CHECK(same_places(&a, 0, &c, 0) < PASS);
	CHECK(same_places(&a, 0, &a, PASS) < PASS); /* each repetition in another order */
	matrix_free(&a);
	matrix_free(&b);
	matrix_free(&c);
	test_rows();
	test_variants();
	test_pairs();
	test_lone_baseline();
	test_precision();
	test_peak();
	test_presets();
	test_choice();
	test_choice_of_tables();
	test_what_makes_no_sense();
	return check_end();
}
