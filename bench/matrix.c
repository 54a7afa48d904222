/* SPDX-License-Identifier: MIT */
/* See matrix.h. */
#include "matrix.h"
#include "peer.h"
#include "rng.h"

#include <stdlib.h>

const char *const matrix_accepts[] = { "epoll",	 "accept4", "multishot", "install", "dup3", "dup",
				       "direct", "bare",    "nginx",	 "haproxy", NULL };
const char *const matrix_fd_tables[] = { "shared", "private", NULL };

/* Peers know nothing of fd tables: they have one cell, with the first of the list. */
static bool is_cell(const struct matrix_axes *axes, size_t accept, size_t table)
{
	return table == 0 || !peer_is(matrix_accepts[axes->accepts.item[accept]]);
}

static size_t make_twins(const struct matrix_axes *axes, struct cell cell, struct cell *cells)
{
	cells[0] = cell;
	cell.unwatched = true;
	if (axes->overhead)
		cells[1] = cell;
	return 1 + axes->overhead;
}

static size_t make_pass(const struct matrix_axes *axes, unsigned int repetition, struct cell *cells)
{
	struct cell cell = { .accept = CELL_SELF_CHECK,
			     .fd_table = "shared",
			     .repetition = repetition };
	size_t n = 0;

	if (axes->self_check)
		cells[n++] = cell;
	cell.asked_for = axes->asked_for;
	for (size_t a = 0; a < axes->accepts.n; a++) {
		cell.accept = matrix_accepts[axes->accepts.item[a]];
		for (size_t w = 0; w < axes->workers.n; w++) {
			cell.workers = (unsigned int)axes->workers.item[w];
			for (size_t t = 0; t < axes->fd_tables.n && is_cell(axes, a, t); t++) {
				cell.fd_table = matrix_fd_tables[axes->fd_tables.item[t]];
				for (size_t l = 0; l < axes->loads.n; l++) {
					cell.load = (enum cell_load)axes->loads.item[l];
					n += make_twins(axes, cell, cells + n);
				}
			}
		}
	}
	return n;
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

bool matrix_make(const struct matrix_axes *axes, uint64_t seed, struct matrix *matrix)
{
	size_t pass = axes->self_check + axes->accepts.n * axes->workers.n * axes->fd_tables.n *
						 axes->loads.n * (1 + axes->overhead);

	matrix->n = 0;
	matrix->cells = calloc(pass * axes->repetitions, sizeof(*matrix->cells));
	if (!matrix->cells)
		return false;
	for (uint64_t r = 1; r <= axes->repetitions; r++) {
		size_t n = make_pass(axes, (unsigned int)r, matrix->cells + matrix->n);

		shuffle(matrix->cells + matrix->n, n, &seed);
		matrix->n += n;
	}
	return true;
}

void matrix_free(struct matrix *matrix)
{
	free(matrix->cells);
}
