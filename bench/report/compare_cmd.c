/* SPDX-License-Identifier: MIT */
/*
 * accept-bench compare: do two runs of the same matrix agree within their stated precision?
 *
 * A run states counts, and ratios to epoll with 95 % intervals. For every cell that both runs, A and
 * B, have
 *
 *	- counts (acquisitions per connection, without empty accepts and sweeps) must be equal within
 *	  COUNT_APART, or their ranges from the smallest to the largest run must overlap;
 *	- the ratio to epoll in A divided by that in B has a 95 % interval (Welch's, from the logarithms
 *	  of the pairs), which must contain 1.
 *
 * Only ratios that the report may claim are used: of rates only if the server was the limit, of times
 * only if the CPU is not emulated.
 *
 * Even if the runs do not differ, one in twenty of these intervals misses 1 by chance. So the runs
 * agree if the number of misses is not above the 99 % quantile of that number, assuming that the
 * ratios are independent. If one run claims a difference and the other claims the opposite, they
 * disagree.
 *
 * Absolute rates (connections/s) are printed but not judged: a run does not say how much they vary
 * from run to run, and on a shared machine that is more than between the repetitions of one run.
 */
#include "option.h"
#include "cell/record.h"
#include "report/report.h"
#include "report/report_pairs.h"
#include "report/report_safe.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_APART 0.02 /* acquisitions per connection: set-up of a ring, a stray file */
#define LEVELS_MAX  4096

struct comparison {
	size_t cells, only_a, only_b;
	size_t counts, counts_apart;
	size_t ratios, ratios_apart, too_few, unsaid;
	size_t claims_a, claims_b, turned;
	size_t n_levels;
	double level[LEVELS_MAX]; /* connections/s in B over A */
};

static const struct report_cell *find(const struct report_machine *machine,
				      const struct report_cell *cell)
{
	for (size_t i = 0; i < machine->n_cells; i++)
		if (!report_compare_cells(&machine->cells[i], cell))
			return &machine->cells[i];
	return NULL;
}

static void print_cell(const struct report_cell *cell)
{
	const char *name = record_text(cell->first, "cell", "name");
	char label[PIVOT_LABEL];
	double workers = 0;

	report_label(cell->first, label, sizeof(label));
	record_number(cell->first, "cell", "workers", &workers);
	if (*name)
		printf("%s", name);
	else
		printf("%s: %s, %.0f workers", report_experiment(cell->first), label, workers);
}

static void compare_counts(struct comparison *c, const struct report_cell *a,
			   const struct report_cell *b)
{
	struct summary x = report_figure_of(a, &figure_others);
	struct summary y = report_figure_of(b, &figure_others);

	if (!x.n || !y.n)
		return;
	c->counts++;
	if (fabs(x.median - y.median) <= COUNT_APART || (x.min <= y.max && y.min <= x.max))
		return;
	c->counts_apart++;
	printf("  count apart: ");
	print_cell(a);
	printf(": %.3f acquisitions per connection in A, %.3f in B\n", x.median, y.median);
}

static bool is_claim(enum report_verdict verdict)
{
	return verdict == CLAIM_LESS || verdict == CLAIM_MORE;
}

/* Logarithms of the pairs of a cell and epoll. */
static size_t logs_of(const struct report_cell *cell, const struct report_cell *base,
		      const struct report_figure *f, double **log_ratio)
{
	struct report_pairs pairs = report_pairs(cell, base, f, ALL_PAIRS);
	size_t n = pairs.n;

	for (size_t i = 0; i < n; i++)
		pairs.a[i] = log(pairs.a[i] / pairs.b[i]);
	*log_ratio = pairs.a;
	pairs.a = NULL;
	report_pairs_free(&pairs);
	return n;
}

/* Four cells: the path and epoll, in A and in B. */
static bool ratio_of_ratios(const struct report_cell *const cell[4], const struct report_figure *f,
			    struct ratio *ratio)
{
	double *log_a, *log_b;
	size_t n_a = logs_of(cell[0], cell[1], f, &log_a);
	size_t n_b = logs_of(cell[2], cell[3], f, &log_b);
	bool good = stats_of_two(log_a, n_a, log_b, n_b, STATS_MISS, ratio);

	free(log_a);
	free(log_b);
	return good;
}

static void compare_ratio(struct comparison *c, const struct report_cell *const cell[4],
			  const struct report_figure *f)
{
	struct ratio a, b, both;
	enum report_verdict in_a = report_compare(cell[0], cell[1], f, STATS_MISS, &a);
	enum report_verdict in_b = report_compare(cell[2], cell[3], f, STATS_MISS, &b);
	bool turned = is_claim(in_a) && is_claim(in_b) && in_a != in_b;

	if (in_a == NOT_COMPARED || in_b == NOT_COMPARED)
		return;
	if (in_a < TOO_FEW_PAIRS || in_b < TOO_FEW_PAIRS) {
		c->unsaid++;
		return;
	}
	if (in_a == TOO_FEW_PAIRS || in_b == TOO_FEW_PAIRS) {
		c->too_few++;
		return;
	}
	c->ratios++;
	c->claims_a += is_claim(in_a);
	c->claims_b += is_claim(in_b);
	c->turned += turned;
	if (!ratio_of_ratios(cell, f, &both) || (both.low <= 1 && both.high >= 1 && !turned))
		return;
	c->ratios_apart += both.low > 1 || both.high < 1;
	printf(turned ? "  claim reversed: " : "  ratio apart: ");
	print_cell(cell[0]);
	printf(", %s to epoll's: %.2f (%.2f to %.2f) in A, %.2f (%.2f to %.2f) in B\n", f->title,
	       a.value, a.low, a.high, b.value, b.low, b.high);
}

static void note_level(struct comparison *c, const struct report_cell *a,
		       const struct report_cell *b)
{
	double x = report_figure_of(a, report_rate_of(a)).median;
	double y = report_figure_of(b, report_rate_of(b)).median;

	if (x > 0 && y > 0 && c->n_levels < LEVELS_MAX)
		c->level[c->n_levels++] = y / x;
}

static void compare_cell(struct comparison *c, const struct report_machine *in_a,
			 const struct report_machine *in_b, const struct report_cell *a,
			 const struct report_cell *b)
{
	const struct report_cell *const cell[4] = { a, report_baseline(in_a, a), b,
						    report_baseline(in_b, b) };

	c->cells++;
	compare_counts(c, a, b);
	note_level(c, a, b);
	if (!cell[1] || !cell[3] || report_is_unwatched(a->first))
		return;
	compare_ratio(c, cell, report_rate_of(a));
	compare_ratio(c, cell, &figure_cpu);
	if (!strcmp(report_experiment(a->first), "latency"))
		compare_ratio(c, cell, &figure_p99);
}

static void compare_machine(struct comparison *c, const struct report_machine *a,
			    const struct report_machine *b)
{
	size_t before = c->cells;

	printf("On ");
	report_print_machine(stdout, a);
	printf(":\n");
	for (size_t i = 0; i < a->n_cells; i++) {
		const struct report_cell *other = find(b, &a->cells[i]);

		if (other)
			compare_cell(c, a, b, &a->cells[i], other);
		else
			c->only_a++;
	}
	c->only_b += b->n_cells - (c->cells - before);
	printf("  %zu cells in both\n", c->cells - before);
}

/* 0: agree. */
static int conclude(struct comparison *c)
{
	size_t by_chance = stats_by_chance(c->ratios, STATS_MISS);
	bool agree = !c->counts_apart && !c->turned && c->ratios_apart <= by_chance;

	printf("Cells: %zu in both, %zu only in A, %zu only in B.\n", c->cells, c->only_a,
	       c->only_b);
	printf("Counts: %zu compared, %zu apart by more than %.2f per connection.\n", c->counts,
	       c->counts_apart, COUNT_APART);
	printf("Ratios to epoll: %zu compared, %zu apart by more than their intervals; up to %zu would "
	       "be by chance. %zu had fewer than %d pairs; %zu are of rates that the server did not "
	       "limit or of emulated times.\n",
	       c->ratios, c->ratios_apart, by_chance, c->too_few, STATS_PAIRS_MIN, c->unsaid);
	printf("Claims: %zu in A, %zu in B, %zu reversed.\n", c->claims_a, c->claims_b, c->turned);
	if (c->n_levels) {
		struct summary s = stats_summary(c->level, c->n_levels);

		printf("Not judged: connections/s in B over A: median %.2f, from %.2f to %.2f.\n",
		       s.median, s.min, s.max);
	}
	if (!c->counts && !c->ratios) {
		fprintf(stderr,
			"accept-bench compare: nothing to compare: no counts, and no ratio to epoll "
			"with %d pairs in both\n",
			STATS_PAIRS_MIN);
		return EXIT_FAILED;
	}
	printf(agree ? "The two runs agree within their own intervals.\n"
		     : "The two runs do not agree within their own intervals.\n");
	return agree ? EXIT_GOOD : EXIT_FAILED;
}

static int compare(const struct report_data *a, const struct report_data *b)
{
	static struct comparison c;
	bool any = false;

	memset(&c, 0, sizeof(c));
	for (size_t i = 0; i < a->n_machines; i++) {
		for (size_t k = 0; k < b->n_machines; k++) {
			if (!report_same_machine(a->machines[i].environment,
						 b->machines[k].environment))
				continue;
			any = true;
			compare_machine(&c, &a->machines[i], &b->machines[k]);
		}
	}
	if (!any) {
		fprintf(stderr,
			"accept-bench compare: the two have no machine in common: kernel, CPU, "
			"memory and virtualisation have to be the same\n");
		return EXIT_FAILED;
	}
	return conclude(&c);
}

static bool read_side(const struct text_list *files, json_t *records, struct report_data *data)
{
	for (size_t i = 0; i < files->n; i++)
		if (!report_read("compare", files->item[i],
				 &(struct report_records){ .cells = records }))
			return false;
	if (!report_make_safe(records)) {
		fprintf(stderr, "accept-bench compare: out of memory\n");
		return false;
	}
	report_sort(records, data);
	return true;
}

int compare_command(int argc, char **argv)
{
	struct text_list a = { 0 }, b = { 0 };
	struct report_data in_a = { 0 }, in_b = { 0 };
	const struct option_row rows[] = {
		{ "a", OPTION_TEXTS, &a, "FILE", "records of one run; may be repeated", 0, 0,
		  NULL },
		{ "b", OPTION_TEXTS, &b, "FILE", "records of the other; may be repeated", 0, 0,
		  NULL },
		{ 0 },
	};
	json_t *records_a, *records_b;
	int code = option_parse(
		"compare",
		"Says whether two runs agree within their own intervals. Exit code 0: they do; 1: they "
		"do not,\nor cannot be compared.\n\n"
		"It compares counts per connection, and the ratios to epoll of connections/s, of CPU per\n"
		"connection and (in the experiment latency) of the 99 % time. The quotient of the two "
		"runs' ratios\nhas an interval of its own, which must contain 1; by chance one in twenty "
		"does not. The runs\ndisagree if more miss it than chance explains, if a count differs, "
		"or if a claim is reversed.",
		rows, argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	if (!a.n || !b.n) {
		fprintf(stderr,
			"accept-bench compare: --%s is needed; see accept-bench compare --help\n",
			a.n ? "b" : "a");
		return EXIT_USAGE;
	}
	records_a = json_array();
	records_b = json_array();
	code = read_side(&a, records_a, &in_a) && read_side(&b, records_b, &in_b)
		       ? compare(&in_a, &in_b)
		       : EXIT_FAILED;
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "accept-bench compare: cannot write to stdout: %s\n",
			strerror(errno));
		code = EXIT_FAILED;
	}
	if (in_a.unknown)
		report_free(&in_a);
	if (in_b.unknown)
		report_free(&in_b);
	json_decref(records_a);
	json_decref(records_b);
	return code;
}
