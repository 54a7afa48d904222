/* SPDX-License-Identifier: MIT */
/* The order of a run: every cell once a repetition, shuffled, the same for the same seed. */
#include "check.h"
#include "matrix.h"

#include <string.h>

static struct matrix_axes axes(void)
{
	return (struct matrix_axes){
		.accepts = { 3, { 0, 5, 8 } }, /* epoll, dup, nginx */
		.workers = { 2, { 2, 4 } },
		.fd_tables = { 2, { 0, 1 } },
		.loads = { 1, { 0 } },
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

int main(void)
{
	struct matrix_axes what = axes();
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
	return check_end();
}
