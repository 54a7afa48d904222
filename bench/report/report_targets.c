/* SPDX-License-Identifier: MIT */
/* For the experiment "one-core": compares the cheapest path to the bare loop and the peers. */
#include "cell/path.h"
#include "report/report_experiment.h"
#include "report/report_pairs.h"

#include <math.h>

#define NGINX_TARGET 0.6
#define N_TARGETS    5 /* read together */

static void print_target(FILE *out, const struct report_cell *best, const struct report_cell *peer,
			 const char *peer_name, const struct report_figure *f, double target,
			 bool more_is_better)
{
	struct ratio r;
	enum report_verdict verdict =
		report_compare_half(best, peer, f, TESTING_HALF, STATS_MISS / N_TARGETS, &r);
	const char *met;

	if (verdict == NOT_COMPARED)
		return;
	fprintf(out, "| %s, of %s | %s %.1f ", f->title, peer_name,
		more_is_better ? "at least" : "at most", target);
	if (verdict == CLIENT_LIMITED) {
		fprintf(out, "| - | not decided: the client was the limit |\n");
		return;
	}
	if (verdict == TOO_FEW_PAIRS)
		met = "not decided: too few pairs";
	else if (more_is_better ? r.low >= target : r.high <= target)
		met = "met";
	else if (more_is_better ? r.high < target : r.low > target)
		met = "missed";
	else
		met = "not decided: the interval holds the target";
	fprintf(out, "| %.2f (%.2f to %.2f) | %s |\n", r.value, r.low, r.high, met);
}

static bool is_ours(const char *label)
{
	const struct path *path =
		path_find(label); /* NULL: one with options, which peers have not */

	return !path || path->role != PATH_ROLE_PEER;
}

/* By the runs that choose: the others are left to test the choice. */
static const struct report_cell *cheapest(const struct report_machine *machine,
					  const struct report_pivot *p, size_t column,
					  const char **label)
{
	const struct report_cell *best = NULL;
	double least = INFINITY;

	for (size_t r = 0; r < p->n_rows; r++) {
		const struct report_cell *cell = report_pivot_cell(p, r, column, &figure_cpu);
		struct ratio ratio;

		if (!cell || !is_ours(p->row[r]) ||
		    report_compare_half(cell, report_baseline(machine, cell), &figure_cpu,
					CHOOSING_HALF, STATS_MISS, &ratio) < TOO_FEW_PAIRS ||
		    ratio.value >= least)
			continue;
		least = ratio.value;
		best = cell;
		*label = p->row[r];
	}
	return best;
}

/* Of one answer, head and body; NaN: nothing came back. */
static double answer_bytes(const struct report_cell *cell)
{
	double bytes = report_summary(cell, "storm.result", "bytes_received").median;
	double requests = report_summary(cell, "storm.result", "requests").median;

	return requests > 0 ? bytes / requests : NAN;
}

/* "An answer has 97 bytes, of `nginx` 157." */
static void print_answers(FILE *out, const struct report_pivot *p, size_t column)
{
	double usual = NAN;

	for (size_t r = 0; r < p->n_rows; r++) {
		const struct report_cell *cell = p->cell[r][column][0];
		double bytes = cell ? answer_bytes(cell) : NAN;

		if (isnan(bytes) || fabs(bytes - usual) < 0.5)
			continue;
		if (isnan(usual))
			fprintf(out, "An answer has %.0f bytes", bytes);
		else
			fprintf(out, ", of `%s` %.0f", p->row[r], bytes);
		usual = isnan(usual) ? bytes : usual;
	}
	if (!isnan(usual))
		fprintf(out, ".\n\n");
}

void report_targets(FILE *out, const struct report_machine *machine, const struct report_pivot *p)
{
	size_t column = report_main_column(p);
	const char *label = "";
	const struct report_cell *best = cheapest(machine, p, column, &label);
	const struct report_cell *bare =
		report_pivot_find(p, paths[PATH_bare].name, p->column[column], &figure_cpu);
	const struct report_cell *tuned =
		report_pivot_find(p, paths[PATH_bare_tuned].name, p->column[column], &figure_cpu);
	const struct report_cell *nginx =
		report_pivot_find(p, paths[PATH_nginx].name, p->column[column], &figure_cpu);

	print_answers(out, p, column);
	if (!best || (!bare && !nginx) || report_is_emulated(machine))
		return;
	fprintf(out,
		"What this project set itself, for the path that takes the least CPU, `%s`: chosen by "
		"every other pair with `epoll`, tested on the rest.\n\n"
		"| what | target | measured (intervals of 95 %% for all %d together) | |\n"
		"|---|---|---|---|\n",
		label, N_TARGETS);
	print_target(out, best, bare, "the bare loop", &figure_cpu, 1, false);
	print_target(out, best, nginx, "nginx", &figure_cpu, NGINX_TARGET, false);
	print_target(out, best, bare, "the bare loop", &figure_rate, 1, true);
	print_target(out, best, tuned, "the tuned bare loop", &figure_cpu, 1, false);
	print_target(out, best, tuned, "the tuned bare loop", &figure_rate, 1, true);
	fprintf(out, "\n");
}
