/* SPDX-License-Identifier: MIT */
/* A section an experiment: what was asked, what came of it, a table a machine, where it is from. */
#include "cell/cell.h"
#include "cell/record.h"
#include "report/report.h"
#include "report/report_plot.h"
#include "report/report_pairs.h"

#include <math.h>
#include <string.h>

static void print_column(FILE *out, const char *experiment, double value)
{
	if (!strcmp(experiment, "open-fds"))
		fprintf(out, "%.0f others open", value);
	else if (!strcmp(experiment, "neighbours"))
		fprintf(out, "%.0f neighbour%s", value, value == 1 ? "" : "s");
	else if (!strcmp(experiment, "park"))
		fprintf(out, "%s", cell_levels[(int)value]);
	else if (!strcmp(experiment, "latency"))
		fprintf(out, "%.0f %% of the peak", value);
	else
		fprintf(out, "%.0f worker%s", value, value == 1 ? "" : "s");
}

/* What a table shows of a cell. */
struct shown {
	const struct report_figure *figure; /* NULL: connections/s, or wrk's requests/s */
	bool is_ratio;			    /* of this figure to epoll's */
	const char *caption;
};

/* All cells of a table are driven alike. */
static const struct report_figure *figure_of(const struct shown *shown,
					     const struct report_pivot *p)
{
	return shown->figure ? shown->figure : p->is_wrk ? &figure_requests : &figure_rate;
}

static const struct report_cell *cell_at(const struct report_pivot *p, size_t row, size_t column,
					 const struct shown *shown)
{
	return report_pivot_cell(p, row, column, figure_of(shown, p));
}

/* Figures, or ratios with an interval: those share the probability of a miss. */
static size_t count_figures(const struct report_machine *machine, const struct report_pivot *p,
			    const struct shown *shown)
{
	const struct report_figure *figure = figure_of(shown, p);
	size_t n = 0;

	for (size_t r = 0; r < p->n_rows; r++) {
		for (size_t c = 0; c < p->n_columns; c++) {
			const struct report_cell *cell = cell_at(p, r, c, shown);
			struct ratio ratio;

			if (shown->is_ratio)
				n += cell &&
				     report_compare(cell, report_baseline(machine, cell), figure,
						    STATS_MISS, &ratio) >= TOO_FEW_PAIRS;
			else
				n += report_figure_of(cell, figure).n > 0;
		}
	}
	return n;
}

/* "(95 % for all 12 together, 99.6 % each)" */
static void print_level(FILE *out, size_t n)
{
	if (n > 1)
		fprintf(out, " (intervals of 95 %% for all %zu together, %.4g %% each)", n,
			100 * (1 - STATS_MISS / (double)n));
	else
		fprintf(out, " (95 %% interval)");
}

/* A row a path, a column a value of what is varied. */
static void print_pivot(FILE *out, const struct report_machine *machine, const char *experiment,
			const struct report_pivot *p, const struct shown *shown)
{
	size_t n = count_figures(machine, p, shown);

	if (!n)
		return;
	fprintf(out, "%s", shown->caption);
	if (shown->is_ratio)
		print_level(out, n);
	fprintf(out, ":\n\n| path ");
	for (size_t c = 0; c < p->n_columns; c++) {
		fprintf(out, "| ");
		print_column(out, experiment, p->column[c]);
		fprintf(out, " ");
	}
	fprintf(out, "|\n|---|");
	for (size_t c = 0; c < p->n_columns; c++)
		fprintf(out, "--:|");
	fprintf(out, "\n");
	for (size_t r = 0; r < p->n_rows; r++) {
		fprintf(out, "| `%s` ", p->row[r]);
		for (size_t c = 0; c < p->n_columns; c++) {
			const struct report_cell *cell = cell_at(p, r, c, shown);

			fprintf(out, "| ");
			if (!cell)
				fprintf(out, "-");
			else if (shown->is_ratio)
				report_print_ratio(out, cell, report_baseline(machine, cell),
						   figure_of(shown, p), STATS_MISS / (double)n);
			else
				report_print_figure(out, cell, figure_of(shown, p));
			fprintf(out, " ");
		}
		fprintf(out, "|\n");
	}
	fprintf(out, "\n");
}

/* The last column's figure over the first's: how many rows can be compared. */
static size_t count_changes(const struct report_pivot *p, const struct shown *shown)
{
	struct ratio ratio;
	size_t n = 0;

	for (size_t r = 0; r < p->n_rows; r++)
		n += report_compare(cell_at(p, r, p->n_columns - 1, shown), cell_at(p, r, 0, shown),
				    figure_of(shown, p), STATS_MISS, &ratio) >= TOO_FEW_PAIRS;
	return n;
}

/* "`epoll` 0.98 (0.95 to 1.02); ..." */
static void print_changes(FILE *out, const char *experiment, const struct report_pivot *p,
			  const struct shown *shown)
{
	const char *separator = "";
	size_t last = p->n_columns - 1, n;
	struct ratio ratio;

	n = p->n_columns < 2 ? 0 : count_changes(p, shown);
	if (!n)
		return;
	fprintf(out, "%s with ", shown->caption);
	print_column(out, experiment, p->column[last]);
	fprintf(out, ", over that with ");
	print_column(out, experiment, p->column[0]);
	print_level(out, n);
	fprintf(out, ": ");
	for (size_t r = 0; r < p->n_rows; r++) {
		const struct report_cell *cell = cell_at(p, r, last, shown);
		const struct report_cell *first = cell_at(p, r, 0, shown);

		if (report_compare(cell, first, figure_of(shown, p), STATS_MISS, &ratio) <
		    TOO_FEW_PAIRS)
			continue;
		fprintf(out, "%s`%s` ", separator, p->row[r]);
		report_print_ratio(out, cell, first, figure_of(shown, p), STATS_MISS / (double)n);
		separator = "; ";
	}
	fprintf(out, ".\n\n");
}

static const struct shown acquisitions = { &figure_acquisitions, false,
					   "Acquisitions of file_lock per connection" };
static const struct shown contentions = { &figure_contentions, false,
					  "Contentions of file_lock per 1000 connections" };
static const struct shown waits = { &figure_wait, false, "Wait for file_lock, ns per connection" };
static const struct shown holds = { &figure_hold, false, "Hold of file_lock, ns per acquisition" };
static const struct shown rates = { NULL, false, "Connections/s" };
static const struct shown rate_ratios = { NULL, true,
					  "Connections/s, ratio to `epoll` with the same options" };
static const struct shown cpus = { &figure_cpu, false, "Server CPU, us per connection" };
static const struct shown cpu_ratios = {
	&figure_cpu, true, "Server CPU per connection, ratio to `epoll` with the same options"
};
static const struct shown medians = { &figure_p50, false,
				      "Median time of a connection from its intended start, us" };
static const struct shown p99s = { &figure_p99, false, "99 % of connections take at most, us" };
static const struct shown p99_ratios = { &figure_p99, true, "The same, ratio to `epoll`" };

struct section {
	const char *experiment, *title, *question;
	const struct shown *on_counting[5]; /* on a kernel that counts its locks */
	const struct shown *elsewhere[8];
	size_t n_open_counting, n_open; /* so many of these are not folded away */
	const struct shown *changes[3]; /* last column to first, on the others */
	void (*more)(FILE *out, const struct report_machine *machine, const struct report_pivot *p);
};

/* ---- peers ---- */

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
	return strncmp(label, "bare", 4) && strcmp(label, "nginx") && strncmp(label, "haproxy", 7);
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

static void print_targets(FILE *out, const struct report_machine *machine,
			  const struct report_pivot *p)
{
	size_t column = report_main_column(p);
	const char *label = "";
	const struct report_cell *best = cheapest(machine, p, column, &label);
	const struct report_cell *bare =
		report_pivot_find(p, "bare", p->column[column], &figure_cpu);
	const struct report_cell *tuned =
		report_pivot_find(p, "bare-tuned", p->column[column], &figure_cpu);
	const struct report_cell *nginx =
		report_pivot_find(p, "nginx", p->column[column], &figure_cpu);

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

/* ---- parked sockets ---- */

/* A figure of the readings taken at one moment, over the repetitions. */
static void print_reading(FILE *out, const struct report_cell *cell, const char *when,
			  const char *key, const char *before)
{
	double value[256];
	size_t n = 0, i, k;
	json_t *record, *reading;

	json_array_foreach (cell->good, i, record) {
		json_t *readings = report_part(record, "server.readings"), *from = NULL, *to = NULL;

		json_array_foreach (readings, k, reading) {
			const char *moment = json_string_value(json_object_get(reading, "when"));

			if (moment && !strcmp(moment, when))
				to = json_object_get(reading, key);
			if (moment && before && !strcmp(moment, before))
				from = json_object_get(reading, key);
		}
		if (n < 256 && json_is_number(to) && (!before || json_is_number(from)))
			value[n++] = json_number_value(to) - json_number_value(from);
	}
	if (n)
		fprintf(out, "| %.0f ", stats_median(value, n));
	else
		fprintf(out, "| - ");
}

static void print_parked(FILE *out, const struct report_machine *machine,
			 const struct report_pivot *p)
{
	(void)machine;
	fprintf(out,
		"| path | level | parked under load | parked at the end | at most | swept | "
		"server memory more than at the start, KiB | sockets of the system under load, "
		"more than at the start | TCP memory under load, KiB |\n"
		"|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
	for (size_t r = 0; r < p->n_rows; r++) {
		for (size_t c = 0; c < p->n_columns; c++) {
			const struct report_cell *cell = p->cell[r][c][0];
			struct summary peak, swept;

			if (!cell)
				continue;
			peak = report_summary(cell, "server.totals", "parked_peak");
			swept = report_summary(cell, "server.totals", "swept");
			fprintf(out, "| `%s` | %s ", p->row[r], cell_levels[(int)p->column[c]]);
			print_reading(out, cell, "loaded", "parked_now", NULL);
			print_reading(out, cell, "after", "parked_now", NULL);
			fprintf(out, "| %.0f | %.0f ", peak.n ? peak.median : 0,
				swept.n ? swept.median : 0);
			print_reading(out, cell, "after", "rss_kib", "ready");
			print_reading(out, cell, "loaded", "sockets_used", "ready");
			print_reading(out, cell, "loaded", "tcp_memory_kib", NULL);
			fprintf(out, "|\n");
		}
	}
	fprintf(out, "\n");
}

/* ---- latency ---- */

static void print_peak(FILE *out, const struct report_machine *machine,
		       const struct report_pivot *p)
{
	double peak = 0;

	(void)machine;
	for (size_t r = 0; r < p->n_rows; r++) {
		const struct report_cell *cell = p->cell[r][0][0];

		if (!cell || !record_number(cell->first, "cell", "peak_connections_per_s", &peak))
			continue;
		fprintf(out, "The peak: %.0f connections/s, closed loop, of `%s`.\n\n", peak,
			record_text(cell->first, "cell", "peak_accept"));
		return;
	}
}

static const struct section sections[] = {
	{ .experiment = "paths",
	  .title = "Paths and controls",
	  .question =
		  "Every path at the same load, and the controls: private tables, dup3, DUP without "
		  "parking. Nothing is subtracted from the counts; an accept4 that finds the queue "
		  "empty takes the lock twice, a parked socket that grew too old is swept with one "
		  "acquisition more.",
	  .on_counting = { &acquisitions, &contentions, &waits, &holds },
	  .elsewhere = { &cpu_ratios, &cpus, &rates, &rate_ratios, &acquisitions, &contentions,
			 &waits } },
	{ .experiment = "scaling",
	  .title = "Scaling with workers",
	  .question =
		  "The same load with more workers. Where there are fewer CPUs than workers and "
		  "clients together, the client's share of the CPUs shrinks with every worker.",
	  .on_counting = { &acquisitions, &contentions, &waits },
	  .n_open_counting = 1,
	  .elsewhere = { &cpu_ratios, &cpus, &rates, &rate_ratios, &contentions, &waits },
	  .changes = { &cpus, &rates } },
	{ .experiment = "one-core",
	  .title = "One worker on a core of its own: the bare loop and the peers",
	  .question =
		  "The server has a CPU of its own, the client the others. `bare` is a blocking "
		  "accept, read, write, close loop in C: the floor of what this kernel allows; "
		  "`bare-tuned` is that with deferred accepts and the answer in one segment with "
		  "the FIN, as the server's options have it. What the peers' answers have beside the "
		  "same body is said in bench/cell/peer.h.",
	  .on_counting = { &acquisitions },
	  .n_open_counting = 1,
	  .elsewhere = { &cpu_ratios, &cpus, &rates, &rate_ratios },
	  .n_open = 1,
	  .more = print_targets },
	{ .experiment = "wrk",
	  .title = "A second opinion: wrk",
	  .question =
		  "The same cells driven by wrk, a client nobody here wrote. It counts requests "
		  "that were answered, and costs CPU of its own.",
	  .on_counting = { &acquisitions },
	  .elsewhere = { &cpu_ratios, &rates, &rate_ratios, &cpus },
	  .n_open = 1 },
	{ .experiment = "open-fds",
	  .title = "Other descriptors open in the server",
	  .question = "Does the lock cost more when the table is full of other descriptors?",
	  .on_counting = { &acquisitions, &holds },
	  .n_open_counting = 2,
	  .elsewhere = { &acquisitions, &rates, &cpus },
	  .changes = { &cpus, &rates } },
	{ .experiment = "neighbours",
	  .title = "Busy neighbours",
	  .question =
		  "Further threads of the server that open and close files all the time, as those of "
		  "real servers do. Where they have no CPUs of their own they take CPU time, too: a "
		  "loss of rate is not the lock's alone then; the wait is. Waits are those of all "
		  "threads where the instrument cannot tell them apart.",
	  .on_counting = { &waits, &contentions, &acquisitions },
	  .n_open_counting = 1,
	  .elsewhere = { &cpus, &waits, &contentions, &rates, &cpu_ratios, &rate_ratios },
	  .n_open = 2,
	  .changes = { &cpus, &rates } },
	{ .experiment = "park",
	  .title = "Parked sockets and memory",
	  .question =
		  "What the parked connections of `dup` keep: their number, and a socket that is shut "
		  "down. Idle: nobody comes after the warm-up; light: 200 connections/s; saturated: "
		  "closed loop. Parked connections older than a second are swept here.",
	  .more = print_parked },
	{ .experiment = "latency",
	  .title = "Latency at parts of the peak",
	  .question =
		  "Open loop: connections start at a fixed rate, and the time counts from when one "
		  "was meant to start, so that a server that stalls is charged for those that had to "
		  "wait.",
	  .elsewhere = { &p99s, &p99_ratios, &medians },
	  .n_open = 1,
	  .more = print_peak },
};

static void print_machine_part(FILE *out, const struct section *section,
			       const struct report_machine *machine, const struct report_pivot *p)
{
	bool counts = report_counts_locks(machine);
	const struct shown *const *shown = counts ? section->on_counting : section->elsewhere;
	size_t most = counts ? 4 : 7;
	size_t open = counts ? section->n_open_counting : section->n_open;

	fprintf(out, "**%s**, %s:\n\n", machine->name, p->load);
	if (section->more)
		section->more(out, machine, p);
	for (size_t i = 0; !counts && i < 3 && section->changes[i]; i++)
		print_changes(out, section->experiment, p, section->changes[i]);
	for (size_t i = 0; i < open; i++)
		print_pivot(out, machine, section->experiment, p, shown[i]);
	fprintf(out, "<details><summary>%s</summary>\n\n",
		shown[open] ? "More tables (medians, smallest and largest run), records"
			    : "Records");
	for (size_t i = open; i < most && shown[i]; i++)
		print_pivot(out, machine, section->experiment, p, shown[i]);
	if (p->left_out)
		fprintf(out, "%zu cells of other sizes are in the CSV file only.\n\n", p->left_out);
	report_print_source(out, machine, section->experiment);
	fprintf(out, "</details>\n\n");
}

static bool is_shown(const struct section *section, const struct report_machine *machine)
{
	if (report_counts_locks(machine))
		return section->on_counting[0] || section->more == print_parked;
	return section->elsewhere[0] || section->more;
}

static void print_section(FILE *out, const struct report_data *data, const struct section *section,
			  const char *plots)
{
	struct report_pivot p;
	bool any = false;

	for (size_t m = 0; m < data->n_machines; m++) {
		const struct report_machine *machine = &data->machines[m];
		size_t load = 0;

		if (!is_shown(section, machine))
			continue;
		for (; report_pivot(machine, section->experiment, load, &p); load++) {
			if (!any)
				fprintf(out, "### %s\n\n%s\n\n", section->title, section->question);
			any = true;
			if (load == 0 && plots)
				report_plot_links(out, machine, m, section->experiment, plots);
			print_machine_part(out, section, machine, &p);
		}
	}
}

/* ---- who takes the lock ---- */

static json_t *callers_of(const struct report_cell *cell)
{
	return json_object_get(report_part(cell->first, "lock"), "callers");
}

static void print_callers_of(FILE *out, const struct report_cell *cell)
{
	char label[PIVOT_LABEL];
	json_t *caller;
	size_t i;

	report_label(cell->first, label, sizeof(label));
	json_array_foreach (callers_of(cell), i, caller)
		fprintf(out, "| `%s` | `%s` | `%s` | %.3f |\n", label,
			json_string_value(json_object_get(caller, "function")),
			json_string_value(json_object_get(caller, "chain")),
			json_number_value(json_object_get(caller, "calls_per_connection")));
}

static void print_callers(FILE *out, const struct report_machine *machine)
{
	bool any = false;

	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i];

		if (strcmp(report_experiment(cell->first), "paths") ||
		    !json_array_size(callers_of(cell)))
			continue;
		if (!any)
			fprintf(out,
				"### Who takes the lock: %s\n\nFunctions that take "
				"file_lock, and from where they were called, in one run of each path.\n\n"
				"<details><summary>Table</summary>\n\n"
				"| path | function | called from | calls per connection |\n"
				"|---|---|---|--:|\n",
				machine->name);
		any = true;
		print_callers_of(out, cell);
	}
	if (any)
		fprintf(out, "\n</details>\n\n");
}

/* ---- options of the server ---- */

/* The same cell with the option's default; NULL: this one has no option, or there is no such cell. */
static const struct report_cell *without_options(const struct report_machine *machine,
						 const struct report_cell *cell, char *tried,
						 size_t size)
{
	char known[PIVOT_LABEL];

	report_options(cell->first, known, tried, size);
	if (!*tried || !strcmp(record_text(cell->first, "cell", "accept"), CELL_SELF_CHECK))
		return NULL;
	return report_other_options(machine, cell, known);
}

static size_t count_options(const struct report_data *data)
{
	char tried[PIVOT_LABEL];
	size_t n = 0;

	for (size_t m = 0; m < data->n_machines; m++)
		for (size_t i = 0; i < data->machines[m].n_cells; i++)
			n += without_options(&data->machines[m], &data->machines[m].cells[i], tried,
					     sizeof(tried)) != NULL;
	return n;
}

static void print_options_of(FILE *out, const struct report_machine *machine, double miss)
{
	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i], *without;
		char tried[PIVOT_LABEL];
		double workers = 0;

		without = without_options(machine, cell, tried, sizeof(tried));
		if (!without)
			continue;
		record_number(cell->first, "cell", "workers", &workers);
		fprintf(out, "| %s | `%s` | %.0f | %s | `%s` | ", machine->name,
			record_text(cell->first, "cell", "accept"), workers,
			report_experiment(cell->first), tried);
		report_print_ratio(out, cell, without, &figure_cpu, miss);
		fprintf(out, " | ");
		report_print_ratio(out, cell, without, report_rate_of(cell), miss);
		fprintf(out, " |\n");
	}
}

/* What does an option bring? */
static void print_options(FILE *out, const struct report_data *data)
{
	size_t n = count_options(data);

	if (!n)
		return;
	fprintf(out, "### Options of the server: what they bring\n\n"
		     "Each over the same cell with the option's default");
	print_level(out, 2 * n);
	fprintf(out, ".\n\n| machine | path | workers | experiment | option | server CPU | "
		     "connections/s |\n|---|---|---|---|---|---|---|\n");
	for (size_t m = 0; m < data->n_machines; m++)
		print_options_of(out, &data->machines[m], STATS_MISS / (2 * (double)n));
	fprintf(out, "\n");
}

void report_sections(FILE *out, const struct report_data *data, const char *plots)
{
	fprintf(out,
		"## The experiments\n\nA ratio in bold is a claim: its interval leaves out 1. A dash is "
		"what could not be seen, never a zero. " REPORT_AT_LEAST
		"stands before a rate that the server did not limit: it could have been higher. \"Not "
		"the server's\" is a ratio of such rates.\n\n");
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		print_section(out, data, &sections[i], plots);
	for (size_t m = 0; m < data->n_machines; m++)
		print_callers(out, &data->machines[m]);
	print_options(out, data);
}
