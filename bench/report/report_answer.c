/* SPDX-License-Identifier: MIT */
/*
 * The report's beginning: the question, the answer in three parts, and one table. The sentences are
 * chosen by what the records show; a figure or a verdict is never part of the text here.
 */
#include "report/report.h"
#include "report/report_text.h"
#include "cell/record.h"

#include <math.h>
#include <string.h>

#define EXPERIMENT   "paths"
#define SMALL_CPUS   8	  /* with as few, hardly anybody meets at the lock */
#define SMALL_SHARE  0.01 /* of the CPU time: not worth a change of anything */
#define SAME_COUNT   0.02 /* acquisitions per connection: set-up and sweeps */
#define MACHINES_MAX 26

/* The paths of all machines, at the number of workers most of them were measured with. */
struct overview {
	const struct report_data *data;
	size_t n;
	double workers;
	struct report_pivot pivot[MACHINES_MAX]; /* no rows: no such cells */
};

static const struct report_cell *cell_of(const struct overview *o, size_t machine,
					 const char *label, const struct report_figure *figure)
{
	return report_pivot_find(&o->pivot[machine], label, o->workers, figure);
}

static void make_overview(const struct report_data *data, struct overview *o)
{
	size_t most = 0;

	memset(o, 0, sizeof(*o));
	o->data = data;
	o->n = data->n_machines < MACHINES_MAX ? data->n_machines : MACHINES_MAX;
	for (size_t m = 0; m < o->n; m++) {
		struct report_pivot *p = &o->pivot[m];

		if (report_pivot(&data->machines[m], EXPERIMENT, 0, p) && p->n_rows >= most) {
			most = p->n_rows;
			o->workers = p->column[report_main_column(p)];
		}
	}
}

static bool sees_count(const struct overview *o, size_t m, const char *label)
{
	return report_figure_of(cell_of(o, m, label, &figure_acquisitions), &figure_acquisitions)
		       .n > 0;
}

/* The machine to count on: one with `label`, better one whose kernel counts every acquisition. */
static bool counting_machine(const struct overview *o, const char *label, size_t *machine)
{
	bool found = false;

	for (size_t m = 0; m < o->n; m++) {
		if (!sees_count(o, m, label) ||
		    (found && !report_counts_locks(&o->data->machines[m])))
			continue;
		*machine = m;
		if (report_counts_locks(&o->data->machines[m]))
			return true;
		found = true;
	}
	return found;
}

static double count_of(const struct report_cell *cell)
{
	return report_figure_of(cell, &figure_acquisitions).median;
}

/* Empty accepts and sweeps apart: what the path itself takes. */
static double own_count(const struct report_cell *cell)
{
	struct summary own = report_figure_of(cell, &figure_others);

	return own.n ? own.median : count_of(cell);
}

static void print_counts(FILE *out, const struct overview *o, size_t m, const char *separator)
{
	static const char *const others[] = { "epoll", "multishot", "install", "direct" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct report_cell *cell = cell_of(o, m, others[i], &figure_acquisitions);
		double empty = report_figure_of(cell, &figure_empty).median;

		if (!sees_count(o, m, others[i]))
			continue;
		fprintf(out, "%s%.2f with `%s`", separator, own_count(cell), others[i]);
		if (empty > SAME_COUNT)
			fprintf(out, " (and %.2f for accepts that found the queue empty)", empty);
		separator = ", ";
	}
}

static void print_how_many(FILE *out, const struct overview *o)
{
	const char *rival;
	double dup, best;
	size_t m;

	fprintf(out, "1. **How many.** ");
	if (!counting_machine(o, "dup", &m)) {
		if (counting_machine(o, "epoll", &m)) {
			fprintf(out,
				"Of `dup` nothing was counted here; a connection takes the lock ");
			print_counts(out, o, m, "");
			fprintf(out, " times (machine %c).\n", report_letter(m));
		} else {
			fprintf(out, "No instrument here sees acquisitions of the lock.\n");
		}
		return;
	}
	dup = own_count(cell_of(o, m, "dup", &figure_acquisitions));
	rival = sees_count(o, m, "multishot") ? "multishot" : "epoll";
	best = own_count(cell_of(o, m, rival, &figure_acquisitions));
	fprintf(out, "A connection takes the lock %.2f times with `dup`", dup);
	print_counts(out, o, m, ", ");
	fprintf(out, " (machine %c, %.0f workers)", report_letter(m), o->workers);
	if (isnan(best))
		fprintf(out, ".\n");
	else if (dup > best - SAME_COUNT)
		fprintf(out, ": `dup` saves nothing.\n");
	else
		fprintf(out,
			": replacing the fd of a finished connection saves %.0f %% of the "
			"acquisitions of `%s`, %s.\n",
			100 * (1 - dup / best), rival,
			strcmp(rival, "epoll") ? "the same loop with fds of its own"
					       : "empty accepts apart");
}

/* The path of a machine that stands for "what DUP would bring". */
static const char *candidate(const struct overview *o, size_t m)
{
	if (cell_of(o, m, "dup", NULL))
		return "dup";
	return cell_of(o, m, "direct", NULL) ? "direct" : NULL;
}

/* What a path is measured against: what people run today, and the same loop with fds of its own. */
static const char *const rivals[] = { "epoll", "multishot" };

#define N_RIVALS (sizeof(rivals) / sizeof(rivals[0]))

static enum report_verdict against(const struct overview *o, size_t m, const char *label,
				   const char *rival, const struct report_figure *f,
				   struct ratio *ratio)
{
	const struct report_cell *cell = cell_of(o, m, label, f);
	const struct report_cell *base = !cell ? NULL
					 : !strcmp(rival, "epoll")
						 ? report_baseline(&o->data->machines[m], cell)
						 : cell_of(o, m, rival, f);

	return report_compare(cell, base, f, ratio);
}

static void print_verdict(FILE *out, const struct overview *o, size_t m, const char *label,
			  const char *rival)
{
	struct ratio r;

	switch (against(o, m, label, rival, &figure_rate, &r)) {
	case CLAIM_MORE:
		fprintf(out, "%.2f (%.2f to %.2f) times the connections/s of `%s`", r.value, r.low,
			r.high, rival);
		break;
	case CLAIM_LESS:
		fprintf(out, "only %.2f (%.2f to %.2f) times the connections/s of `%s`", r.value,
			r.low, r.high, rival);
		break;
	case NO_CLAIM:
		fprintf(out,
			"%.2f (%.2f to %.2f) times the connections/s of `%s`, no difference that "
			"could be claimed",
			r.value, r.low, r.high, rival);
		break;
	case TOO_FEW_RUNS:
		fprintf(out, "too few runs for anything to be said of its speed against `%s`",
			rival);
		break;
	default:
		fprintf(out, "nothing to be compared with of `%s`", rival);
	}
}

static void print_what_it_is_worth(FILE *out, const struct overview *o)
{
	const char *separator = "";
	bool has_dup = false;

	fprintf(out, "2. **In speed.** ");
	for (size_t m = 0; m < o->n; m++) {
		const struct report_machine *machine = &o->data->machines[m];
		const char *label = candidate(o, m);

		if (report_counts_locks(machine) || !label)
			continue;
		fprintf(out, "%sOn machine %c (", separator, report_letter(m));
		report_print_machine(out, machine);
		fprintf(out, ") ");
		if (strcmp(label, "dup"))
			fprintf(out, "there is no `IORING_OP_DUP`; ");
		has_dup = has_dup || !strcmp(label, "dup");
		fprintf(out, "`%s` has ", label);
		print_verdict(out, o, m, label, rivals[0]);
		fprintf(out, ", and ");
		print_verdict(out, o, m, label, rivals[1]);
		separator = ". ";
	}
	if (!*separator)
		fprintf(out,
			"No speed was measured on a kernel that leaves its locks uncounted.\n");
	else if (!has_dup)
		fprintf(out, ". Of the speed of `dup` itself there is no record here.\n");
	else
		fprintf(out, ".\n");
}

/* The cell that waits the longest, of those where waits and CPU time mean something. */
static const struct report_cell *longest_wait(const struct overview *o, const char *experiment,
					      size_t *machine)
{
	const struct report_cell *longest = NULL;

	for (size_t m = 0; m < o->n; m++) {
		const struct report_machine *where = &o->data->machines[m];

		for (size_t i = 0; i < where->n_cells && !report_counts_locks(where); i++) {
			const struct report_cell *cell = &where->cells[i];
			struct summary wait = report_figure_of(cell, &figure_wait);

			if (strcmp(report_experiment(cell->first), experiment) || !wait.n ||
			    !report_figure_of(cell, &figure_cpu).n)
				continue;
			if (!longest ||
			    wait.median > report_figure_of(longest, &figure_wait).median) {
				longest = cell;
				*machine = m;
			}
		}
	}
	return longest;
}

static json_int_t most_cpus(const struct report_data *data)
{
	json_int_t most = 0;

	for (size_t m = 0; m < data->n_machines; m++) {
		json_int_t n =
			json_integer_value(json_object_get(data->machines[m].environment, "cpus"));

		most = n > most ? n : most;
	}
	return most;
}

/* The lock made hot on purpose. */
static void print_neighbours(FILE *out, const struct overview *o)
{
	const struct report_cell *cell;
	double neighbours = 0;
	char label[PIVOT_LABEL];
	size_t m;

	cell = longest_wait(o, "neighbours", &m);
	if (!cell)
		return;
	record_number(cell->first, "cell", "neighbours", &neighbours);
	if (neighbours < 1)
		return; /* with none of them it was longest: they did not matter */
	report_label(cell->first, label, sizeof(label));
	fprintf(out,
		"With %.0f threads beside the server's that do nothing but open and close files, the "
		"longest wait is %.1f ns (machine %c, `%s`). ",
		neighbours, report_figure_of(cell, &figure_wait).median, report_letter(m), label);
}

static void print_limits(FILE *out, const struct overview *o)
{
	json_int_t cpus = most_cpus(o->data);
	const struct report_cell *cell;
	size_t m;

	fprintf(out, "3. **And the lock itself.** ");
	cell = longest_wait(o, EXPERIMENT, &m);
	if (cell) {
		double wait = report_figure_of(cell, &figure_wait).median;
		double cpu = report_figure_of(cell, &figure_cpu).median * 1000;
		char label[PIVOT_LABEL];

		report_label(cell->first, label, sizeof(label));
		fprintf(out,
			"Of the paths whose waits can be seen at full speed, the one that waits longest "
			"spends %.1f ns a connection on it, of %.0f us of CPU (machine %c, `%s`): ",
			wait, cpu / 1000, report_letter(m), label);
		if (wait < SMALL_SHARE * cpu)
			fprintf(out,
				"on this machine there is nothing to gain by taking it less often. ");
		else
			fprintf(out, "%.0f %%, the most that taking it less often can gain. ",
				100 * wait / cpu);
	} else {
		fprintf(out,
			"How long anybody waits for it at full speed could not be seen here. ");
	}
	print_neighbours(out, o);
	if (cpus <= SMALL_CPUS)
		fprintf(out,
			"All of this is of %lld CPUs; what the saved acquisitions are worth where "
			"many cores meet at one lock was not measured.\n",
			cpus);
	else
		fprintf(out, "All of this is of up to %lld CPUs and of loopback.\n", cpus);
}

/* ---- the table ---- */

static void print_heads(FILE *out, const struct overview *o)
{
	size_t columns = 1;

	fprintf(out, "| path ");
	for (size_t m = 0; m < o->n; m++) {
		char letter = report_letter(m);

		if (!o->pivot[m].n_rows)
			continue;
		if (report_counts_locks(&o->data->machines[m])) {
			fprintf(out,
				"| %c: acquisitions per connection | of these by empty accepts (2 each) "
				"| %c: contentions per 1000 ",
				letter, letter);
			columns += 3;
		} else {
			fprintf(out, "| %c: connections/s | %c: ratio to `epoll` (95 %%) ", letter,
				letter);
			columns += 2;
			if (report_is_emulated(&o->data->machines[m]))
				continue;
			fprintf(out, "| %c: CPU, us per connection ", letter);
			columns++;
		}
	}
	fprintf(out, "|\n|");
	for (size_t i = 0; i < columns; i++)
		fprintf(out, i ? "--:|" : "---|");
	fprintf(out, "\n");
}

static void print_median(FILE *out, const struct overview *o, size_t m, const char *label,
			 const struct report_figure *f, int digits)
{
	struct summary s = report_figure_of(cell_of(o, m, label, f), f);

	if (s.n)
		fprintf(out, "| %.*f ", digits, s.median);
	else
		fprintf(out, "| - ");
}

static void print_row(FILE *out, const struct overview *o, const char *label)
{
	fprintf(out, "| `%s` ", label);
	for (size_t m = 0; m < o->n; m++) {
		const struct report_machine *machine = &o->data->machines[m];
		const struct report_cell *cell = cell_of(o, m, label, &figure_rate);

		if (!o->pivot[m].n_rows)
			continue;
		if (report_counts_locks(machine)) {
			print_median(out, o, m, label, &figure_acquisitions, 2);
			print_median(out, o, m, label, &figure_empty, 2);
			print_median(out, o, m, label, &figure_contentions, 2);
			continue;
		}
		print_median(out, o, m, label, &figure_rate, 0);
		fprintf(out, "| ");
		report_print_ratio(out, cell, cell ? report_baseline(machine, cell) : NULL,
				   &figure_rate);
		fprintf(out, " ");
		if (!report_is_emulated(machine))
			print_median(out, o, m, label, &figure_cpu, 1);
	}
	fprintf(out, "|\n");
}

/* Rows in the order of the first machine; what only later ones have comes behind. */
static void print_table(FILE *out, const struct overview *o)
{
	fprintf(out,
		"## The table\n\nMedians, %.0f workers (a plain loop, nginx and haproxy: as many "
		"threads or processes), one request a connection. Columns of different machines do not "
		"compare: counting its locks slows a kernel, and an emulated CPU is no CPU.\n\n",
		o->workers);
	for (size_t m = 0; m < o->n; m++) {
		fprintf(out, "- machine %c: ", report_letter(m));
		report_print_machine(out, &o->data->machines[m]);
		fprintf(out, "\n");
	}
	fprintf(out, "\n");
	print_heads(out, o);
	for (size_t m = 0; m < o->n; m++) {
		for (size_t r = 0; r < o->pivot[m].n_rows; r++) {
			const char *label = o->pivot[m].row[r];
			bool printed = !cell_of(o, m, label, NULL);

			for (size_t k = 0; k < m && !printed; k++)
				printed = cell_of(o, k, label, NULL) != NULL;
			if (!printed)
				print_row(out, o, label);
		}
	}
	fprintf(out,
		"\n<details><summary>Its records, and the commands that make them again</summary>"
		"\n\n");
	for (size_t m = 0; m < o->n; m++)
		if (o->pivot[m].n_rows)
			report_print_source(out, &o->data->machines[m], m, EXPERIMENT);
	fprintf(out, "</details>\n\n");
}

void report_answer(FILE *out, const struct report_data *data)
{
	static struct overview o;

	make_overview(data, &o);
	fprintf(out,
		"## The question\n\nAll threads of a process share one table of file descriptors under "
		"one lock, `files_struct.file_lock`. How often does a server take it for a connection, "
		"by each way Linux has of accepting one; what does that cost; and does it help to put a "
		"new connection over the fd of a finished one (`IORING_OP_DUP`)?\n\n"
		"## The answer\n\n");
	if (o.workers < 1) {
		fprintf(out,
			"The experiment `paths`, which answers this, has no record here. What there is "
			"is below.\n\n");
		return;
	}
	print_how_many(out, &o);
	print_what_it_is_worth(out, &o);
	print_limits(out, &o);
	fprintf(out, "\n");
	print_table(out, &o);
}

/* ---- where there is nothing to gain ---- */

static void print_nothing_in(FILE *out, const struct overview *o, size_t m,
			     const struct report_figure *f, const char *what, bool more_is_better)
{
	for (size_t i = 0; i < N_RIVALS; i++) {
		struct ratio r;
		enum report_verdict verdict = against(o, m, "dup", rivals[i], f, &r);

		if (verdict == NO_CLAIM || verdict == (more_is_better ? CLAIM_LESS : CLAIM_MORE))
			fprintf(out, "- In %s on machine %c: %.2f (%.2f to %.2f) of `%s`, %s.\n",
				what, report_letter(m), r.value, r.low, r.high, rivals[i],
				verdict == NO_CLAIM ? "no difference that could be claimed"
						    : "worse");
		else if (verdict == TOO_FEW_RUNS)
			fprintf(out,
				"- In %s on machine %c, against `%s`: fewer than %d runs, so nothing "
				"is claimed.\n",
				what, report_letter(m), rivals[i], STATS_CLAIM_MIN);
	}
}

static void print_against_direct(FILE *out, const struct overview *o)
{
	size_t m;

	if (counting_machine(o, "dup", &m) && sees_count(o, m, "direct") &&
	    own_count(cell_of(o, m, "direct", &figure_acquisitions)) <
		    own_count(cell_of(o, m, "dup", &figure_acquisitions)))
		fprintf(out,
			"- Against `direct`: %.2f acquisitions to %.2f. Where nothing outside io_uring "
			"needs an fd, direct descriptors are the better answer.\n",
			own_count(cell_of(o, m, "dup", &figure_acquisitions)),
			own_count(cell_of(o, m, "direct", &figure_acquisitions)));
}

static void print_against_private(FILE *out, const struct overview *o)
{
	for (size_t m = 0; m < o->n; m++) {
		struct summary shared = report_figure_of(
			cell_of(o, m, "epoll", &figure_contentions), &figure_contentions);
		struct summary own = report_figure_of(
			cell_of(o, m, "epoll, private tables", &figure_contentions),
			&figure_contentions);

		/* where nobody ever waits there is nothing to tell them apart by */
		if (own.n && shared.n && (own.median > 0 || shared.median > 0))
			fprintf(out,
				"- Against a table a thread (`unshare(CLONE_FILES)`), where there is "
				"nobody to wait for: `epoll` has %.2f contentions per 1000 connections "
				"with it, %.2f without (machine %c, %zu and %zu runs).\n",
				own.median, shared.median, report_letter(m), own.n, shared.n);
	}
}

void report_no_gain(FILE *out, const struct report_data *data)
{
	static struct overview o;

	make_overview(data, &o);
	fprintf(out, "## Where DUP gains nothing\n\n");
	for (size_t m = 0; m < o.n; m++) {
		if (report_counts_locks(&data->machines[m]))
			continue;
		print_nothing_in(out, &o, m, &figure_rate, "connections/s", true);
		print_nothing_in(out, &o, m, &figure_cpu, "CPU time per connection", false);
		print_nothing_in(out, &o, m, &figure_p99,
				 "the time within which 99 % of connections are over", false);
	}
	print_against_direct(out, &o);
	print_against_private(out, &o);
	fprintf(out,
		"- Where connections are long: a lock taken once or twice a connection is taken once "
		"or twice in all the requests of a kept-alive one.\n\n");
}
