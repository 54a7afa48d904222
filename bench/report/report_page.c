/* SPDX-License-Identifier: MIT */
/*
 * Prints RESULTS.md: one page that helps readers decide whether IORING_OP_DUP would be useful to
 * them. All figures and verdicts are computed from the records; none is written into the text here.
 * All other results are in the report (report.c).
 */
#include "report/report.h"
#include "report/report_flames.h"
#include "report/report_instructions.h"
#include "report/report_opcode.h"
#include "report/report_pairs.h"
#include "cell/path.h"
#include "cell/record.h"
#include "plan/experiments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_SHARE 0.01 /* of the CPU time: not worth a change of anything */
#define SAME_COUNT  0.02 /* acquisitions per connection: set-up and sweeps */
#define COUNTERS    3	 /* machines whose counts stand side by side */

/*
 * Labels of the paths, in the order of the tables: those on the page, a path's variants behind it; those
 * that are compared, controls apart; of these, those whose connections take the lock; and those that do
 * not.
 */
typedef const char *path_list[PATHS + 1];
static path_list shown_paths, compared, lock_takers, lock_free;

static void add_path(path_list list, const char *label)
{
	size_t n = 0;

	while (list[n])
		n++;
	list[n] = label;
}

static void list_variants(enum path_id accept)
{
	static char labels[PATHS][PIVOT_LABEL];

	for (enum path_id id = 0; id < PATHS; id++) {
		if (id == accept || paths[id].accept != accept || paths[id].role != PATH_ROLE_PATH)
			continue;
		snprintf(labels[id], sizeof(labels[id]), "%s, %s", paths[accept].name,
			 paths[id].options);
		add_path(shown_paths, labels[id]);
	}
}

static void list_paths(void)
{
	memset(shown_paths, 0, sizeof(shown_paths));
	memset(compared, 0, sizeof(compared));
	memset(lock_takers, 0, sizeof(lock_takers));
	memset(lock_free, 0, sizeof(lock_free));
	for (enum path_id id = 0; id < PATHS; id++) {
		if (paths[id].accept != id)
			continue;
		add_path(shown_paths, paths[id].name);
		list_variants(id);
		if (paths[id].role != PATH_ROLE_PATH)
			continue;
		add_path(compared, paths[id].name);
		add_path(paths[id].lock ? lock_takers : lock_free, paths[id].name);
	}
}

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(*list, text))
			return true;
	return false;
}

/* An experiment of a machine, and the column of it that most paths have. */
struct view {
	const struct report_machine *machine; /* NULL: nobody measured it */
	struct report_pivot pivot;
	double column;
};

static const struct report_cell *cell_of(const struct view *v, const char *label,
					 const struct report_figure *f)
{
	return v->machine ? report_pivot_find(&v->pivot, label, v->column, f) : NULL;
}

static bool look(const struct report_machine *machine, const char *experiment, struct view *v)
{
	if (!report_pivot_main(machine, experiment, &v->pivot))
		return false;
	v->machine = machine;
	v->column = v->pivot.column[report_main_column(&v->pivot)];
	return true;
}

static json_int_t cpus_of(const struct report_machine *machine)
{
	return json_integer_value(json_object_get(machine->environment, "cpus"));
}

/* The times of a machine mean something where its CPU is one, and its kernel does not count locks. */
static bool has_times(const struct report_machine *machine)
{
	return !report_is_emulated(machine) && !report_counts_locks(machine);
}

/* Of those whose times mean something, the one with the most CPUs, or with the fewest. */
static bool look_at_times(const struct report_data *data, const char *experiment, bool most,
			  struct view *v)
{
	const struct report_machine *best = NULL;

	v->machine = NULL;
	for (size_t m = 0; m < data->n_machines; m++) {
		const struct report_machine *machine = &data->machines[m];

		if (!has_times(machine) || !report_pivot_main(machine, experiment, &v->pivot))
			continue;
		if (!best ||
		    (most ? cpus_of(machine) > cpus_of(best) : cpus_of(machine) < cpus_of(best)))
			best = machine;
	}
	return best && look(best, experiment, v);
}

/* ---- counts ---- */

/* Empty accepts and sweeps apart: what the path itself takes. NaN: not seen. */
static double own_count(const struct report_cell *cell)
{
	struct summary own = report_figure_of(cell, &figure_others);

	return own.n ? own.median : report_figure_of(cell, &figure_acquisitions).median;
}

static double count_of(const struct view *v, const char *label)
{
	return own_count(cell_of(v, label, &figure_acquisitions));
}

static bool has_count(const struct report_machine *machine, struct view *v)
{
	if (!look(machine, EXPERIMENT_PATHS, v))
		return false;
	for (size_t i = 0; shown_paths[i]; i++)
		if (!isnan(count_of(v, shown_paths[i])))
			return true;
	return false;
}

/* Kernels that count every acquisition; if there is none, others that see how many there are. */
static size_t find_counters(const struct report_data *data, struct view counter[COUNTERS])
{
	size_t n = 0;

	for (int exact = 1; exact >= 0 && !n; exact--)
		for (size_t m = 0; m < data->n_machines && n < COUNTERS; m++)
			if (report_counts_locks(&data->machines[m]) == exact)
				n += has_count(&data->machines[m], &counter[n]);
	return n;
}

/* A kernel that replaces a file in another way has another count. */
static void say_other_kernels(FILE *out, const struct view *counter, size_t n)
{
	double dup = count_of(&counter[0], paths[PATH_dup].name);

	for (size_t k = 1; k < n; k++) {
		double other = count_of(&counter[k], paths[PATH_dup].name);

		if (!isnan(other) && !isnan(dup) && fabs(other - dup) > SAME_COUNT)
			fprintf(out, " On another kernel `dup` takes it %.2f times: %s.", other,
				counter[k].machine->name);
	}
}

static void say_how_often(FILE *out, const struct view *counter, size_t n)
{
	const struct view *v = &counter[0];
	double dup = count_of(v, paths[PATH_dup].name),
	       rival = count_of(v, paths[PATH_multishot].name);
	const char *separator = "";

	fprintf(out, "- **How often.** A connection takes the lock ");
	for (size_t i = 0; shown_paths[i]; i++) {
		const char *path = shown_paths[i];
		double count = count_of(v, path);

		if (isnan(count) || !is_one_of(path, compared))
			continue;
		fprintf(out, "%s%.2f times with `%s`", separator, count, path);
		separator = ", ";
	}
	fprintf(out, ".");
	if (isnan(dup))
		fprintf(out, " For `dup` nothing was counted here.");
	else if (!isnan(rival) && dup > rival - SAME_COUNT)
		fprintf(out, " So `dup` saves nothing.");
	else if (!isnan(rival))
		fprintf(out,
			" So replacing the fd of a finished connection saves %.0f %% of the "
			"acquisitions of `multishot`, the same loop with fds of its own.",
			100 * (1 - dup / rival));
	say_other_kernels(out, counter, n);
	fprintf(out, "\n");
}

static void print_count(FILE *out, const struct report_cell *cell)
{
	double own = own_count(cell), empty = report_figure_of(cell, &figure_empty).median;

	if (isnan(own))
		fprintf(out, "| - | - ");
	else if (isnan(empty)) /* a server that does not say how often it found nobody */
		fprintf(out, "| %.2f | - ", own);
	else
		fprintf(out, "| %.2f | %.2f ", own, empty);
}

static void print_counts(FILE *out, const struct view *counter, size_t n)
{
	fprintf(out, "## How often a connection takes the lock\n\n");
	if (!n) {
		fprintf(out, "No instrument here sees acquisitions of the lock.\n\n");
		return;
	}
	fprintf(out,
		"Acquisitions of `file_lock` per connection, counted and not sampled, one request a "
		"connection.\n\n| path ");
	for (size_t k = 0; k < n; k++)
		fprintf(out,
			"| %s, %.0f workers | more, for `accept4` calls that found the queue empty ",
			counter[k].machine->name, counter[k].column);
	fprintf(out, "|\n|---|");
	for (size_t k = 0; k < n; k++)
		fprintf(out, "--:|--:|");
	fprintf(out, "\n");
	for (size_t i = 0; shown_paths[i]; i++) {
		bool any = false;

		for (size_t k = 0; k < n; k++)
			any = any || !isnan(count_of(&counter[k], shown_paths[i]));
		if (!any)
			continue;
		fprintf(out, "| `%s` ", shown_paths[i]);
		for (size_t k = 0; k < n; k++)
			print_count(out,
				    cell_of(&counter[k], shown_paths[i], &figure_acquisitions));
		fprintf(out, "|\n");
	}
	fprintf(out, "\n");
}

/* ---- where the lock is wanted ---- */

/* Pairs of one table and private ones, of several cells: their CPU time per connection. */
struct pool {
	size_t n, size;
	double *shared, *own;
};

static void add_pairs(struct pool *pool, const struct report_cell *shared,
		      const struct report_cell *own)
{
	struct report_pairs pairs = report_pairs(shared, own, &figure_cpu, ALL_PAIRS);

	pool->shared = realloc(pool->shared, (pool->n + pairs.n + 1) * sizeof(double));
	pool->own = realloc(pool->own, (pool->n + pairs.n + 1) * sizeof(double));
	if (!pool->shared || !pool->own)
		abort();
	memcpy(pool->shared + pool->n, pairs.a, pairs.n * sizeof(double));
	memcpy(pool->own + pool->n, pairs.b, pairs.n * sizeof(double));
	pool->n += pairs.n;
	report_pairs_free(&pairs);
}

static void free_pool(struct pool *pool)
{
	free(pool->shared);
	free(pool->own);
}

/* All runs of these paths with a neighbour or more. */
static struct pool pool_of(const struct view *v, const char *const *labels)
{
	struct pool pool = { 0 };

	for (size_t i = 0; labels[i]; i++) {
		for (size_t c = 0; c < v->pivot.n_columns; c++) {
			double column = v->pivot.column[c];
			const struct report_cell *shared, *own;
			char label[PIVOT_LABEL];

			snprintf(label, sizeof(label), "%s, private tables", labels[i]);
			shared = report_pivot_find(&v->pivot, labels[i], column, &figure_cpu);
			own = report_pivot_find(&v->pivot, label, column, &figure_cpu);
			if (column > 0 && shared && own)
				add_pairs(&pool, shared, own);
		}
	}
	return pool;
}

static void say_pool(FILE *out, const struct pool *pool, const char *what)
{
	struct ratio r;

	/* two such ratios are read together */
	if (!stats_of_pairs(pool->shared, pool->own, pool->n, STATS_MISS / 2, &r))
		return;
	fprintf(out, " %s: %.2f times", what, r.value);
	if (r.n < STATS_PAIRS_MIN)
		fprintf(out, " in %zu pairs, which are too few for a verdict.", r.n);
	else
		fprintf(out, " (%.2f to %.2f, %zu pairs)%s.", r.low, r.high, r.n,
			r.claim ? "" : ", no difference that could be claimed");
}

static void say_what_it_costs(FILE *out, const struct view *v)
{
	double most = v->machine ? v->pivot.column[v->pivot.n_columns - 1] : 0;
	struct pool takers, none;

	if (most < 1)
		return;
	takers = pool_of(v, lock_takers);
	none = pool_of(v, lock_free);
	if (takers.n) {
		fprintf(out,
			"- **Where many threads contend for the lock** (%s, up to %.0f further threads of the process "
			"open and close files), server CPU per connection with one table for all threads, relative "
			"to one table per thread.",
			v->machine->name, most);
		say_pool(out, &takers, "Paths that take the lock");
		say_pool(out, &none, "`direct`, which does not take it");
		fprintf(out, "\n");
	}
	free_pool(&takers);
	free_pool(&none);
}

static void print_thousands(FILE *out, double value)
{
	if (value >= 1000)
		fprintf(out, "%.0f,%03.0f", floor(value / 1000), fmod(value, 1000));
	else
		fprintf(out, "%.0f", value);
}

/* "160,000/s at 18.0 us" */
static void print_rate_and_cpu(FILE *out, const struct report_cell *cell)
{
	struct summary rate = report_figure_of(cell, &figure_rate);
	struct summary cpu = report_figure_of(cell, &figure_cpu);

	fprintf(out, "| ");
	if (!rate.n || !cpu.n) {
		fprintf(out, "- ");
		return;
	}
	if (report_is_at_least(cell, &figure_rate))
		fprintf(out, REPORT_AT_LEAST);
	/* three digits: no run is known better */
	print_thousands(out, rate.median < 1000 ? rate.median : round(rate.median / 1000) * 1000);
	fprintf(out, "/s at %.1f us ", cpu.median);
}

static void print_neighbours(FILE *out, const struct view *v)
{
	const struct report_pivot *p = &v->pivot;
	const struct report_cell *any = NULL;
	double workers = 0;

	if (!v->machine)
		return;
	for (size_t r = 0; r < p->n_rows && !any; r++)
		any = p->cell[r][0][0];
	if (any)
		record_number(any->first, "cell", "workers", &workers);
	fprintf(out,
		"%s, %.0f workers%s; connections/s and server CPU per connection, medians:\n\n"
		"| path ",
		v->machine->name, workers,
		any && *record_text(any->first, "cell", "server_cpus")
			? ", client and server on CPUs of their own"
			: "");
	for (size_t c = 0; c < p->n_columns; c++)
		fprintf(out, "| %.0f neighbour%s ", p->column[c], p->column[c] == 1 ? "" : "s");
	fprintf(out, "|\n|---|");
	for (size_t c = 0; c < p->n_columns; c++)
		fprintf(out, "--:|");
	fprintf(out, "\n");
	for (size_t r = 0; r < p->n_rows && r < 10; r++) {
		fprintf(out, "| `%s` ", p->row[r]);
		for (size_t c = 0; c < p->n_columns; c++)
			print_rate_and_cpu(out, p->cell[r][c][0]);
		fprintf(out, "|\n");
	}
	fprintf(out, "\n");
}

/* ---- where it is not ---- */

/* The path that waits the longest for the lock, of those that were measured without neighbours. */
static const struct report_cell *longest_wait(const struct view *v)
{
	const struct report_cell *longest = NULL;

	for (size_t r = 0; v->machine && r < v->pivot.n_rows; r++) {
		const struct report_cell *cell =
			report_pivot_find(&v->pivot, v->pivot.row[r], v->column, &figure_wait);
		struct summary wait = report_figure_of(cell, &figure_wait);

		if (is_one_of(v->pivot.row[r], lock_takers) && wait.n &&
		    report_figure_of(cell, &figure_cpu).n &&
		    (!longest || wait.median > report_figure_of(longest, &figure_wait).median))
			longest = cell;
	}
	return longest;
}

static void say_where_not(FILE *out, const struct view *v)
{
	const struct report_cell *cell = longest_wait(v);
	char label[PIVOT_LABEL];
	double wait, cpu;

	if (!cell) {
		fprintf(out,
			"- **Where few threads do**: how long anybody waits for the lock at full speed was "
			"not seen here.\n");
		return;
	}
	wait = report_figure_of(cell, &figure_wait).median;
	cpu = report_figure_of(cell, &figure_cpu).median * 1000;
	report_label(cell->first, label, sizeof(label));
	fprintf(out,
		"- **Where few threads do** (%s, %.0f workers), the path that waits longest, `%s`, waits %.1f ns "
		"per connection, out of %.0f us of CPU: ",
		v->machine->name, v->column, label, wait, cpu / 1000);
	if (wait < SMALL_SHARE * cpu)
		fprintf(out, "there is nothing to gain by taking the lock less often.\n");
	else
		fprintf(out, "%.0f %%, the most that taking the lock less often can gain.\n",
			100 * wait / cpu);
}

/* ---- CPU per connection ---- */

static size_t count_ratios(const struct view *v)
{
	struct ratio ratio;
	size_t n = 0;

	for (size_t i = 0; shown_paths[i]; i++) {
		const struct report_cell *cell = cell_of(v, shown_paths[i], &figure_cpu);

		n += cell && report_compare(cell, report_baseline(v->machine, cell), &figure_cpu,
					    STATS_MISS, &ratio) >= TOO_FEW_PAIRS;
	}
	return n;
}

static void print_share(FILE *out, double share)
{
	if (isnan(share))
		fprintf(out, "| ? ");
	else
		fprintf(out, "| %.0f %% ", 100 * share);
}

static void print_cpu(FILE *out, const struct view *v)
{
	size_t n = v->machine ? count_ratios(v) : 0;

	fprintf(out, "## Server CPU per connection\n\n");
	if (!v->machine) {
		fprintf(out,
			"No record here is of the experiment `one-core` and of a CPU that is not "
			"emulated.\n\n");
		return;
	}
	fprintf(out,
		"%s, %.0f worker%s, the client on other CPUs. Where the client used more than %.0f %% of "
		"its CPUs, the client was the limit: the rate then says nothing about the server, but the "
		"server's CPU time does. With one CPU for each of the two, that is the rule.\n\n"
		"| path | us per connection | ratio to `epoll` (95 %% for all %zu) | connections/s | "
		"client busy | server busy |\n|---|--:|--:|--:|--:|--:|\n",
		v->machine->name, v->column, v->column == 1 ? "" : "s", 100 * LIMIT_CLIENT_SHARE,
		n);
	for (size_t i = 0; shown_paths[i]; i++) {
		const struct report_cell *cell = cell_of(v, shown_paths[i], &figure_cpu);
		struct summary cpu = report_figure_of(cell, &figure_cpu);
		struct limit_shares shares;

		if (!cpu.n)
			continue;
		shares = report_cell_shares(cell);
		fprintf(out, "| `%s` | %.1f | ", shown_paths[i], cpu.median);
		report_print_ratio(out, cell, report_baseline(v->machine, cell), &figure_cpu,
				   STATS_MISS / (n ? (double)n : 1));
		fprintf(out, " | %s",
			report_is_at_least(cell, &figure_rate) ? REPORT_AT_LEAST : "");
		print_thousands(out, report_figure_of(cell, &figure_rate).median);
		fprintf(out, " ");
		print_share(out, shares.client);
		print_share(out, shares.server);
		fprintf(out, "|\n");
	}
	fprintf(out, "\n");
}

/* By who closes: what the client spends on a connection beside what the server does. */
static void print_client(FILE *out, const struct view *v)
{
	static struct report_pivot p;
	const char *separator = "What the client spends on a connection, driving `direct`: ";
	bool any = false;

	for (size_t load = 0; v->machine && report_pivot(v->machine, EXPERIMENT_ONE_CORE, load, &p);
	     load++) {
		const struct report_cell *cell =
			p.is_wrk ? NULL
				 : report_pivot_find(&p, paths[PATH_direct].name, v->column,
						     &figure_cpu);
		struct summary client, server = report_figure_of(cell, &figure_cpu);
		json_t *how = cell ? report_part(cell->first, "storm.load") : NULL;

		if (!server.n)
			continue;
		client = report_summary(cell, "storm.result", "client_cpu_us_per_connection");
		fprintf(out, "%s%.1f us closed by %s (%.1f times the server's)", separator,
			client.median, json_string_value(json_object_get(how, "close")),
			client.median / server.median);
		separator = ", ";
		any = true;
	}
	if (any)
		fprintf(out, ".\n\n");
}

/* ---- what to do ---- */

static void print_decision(FILE *out)
{
	fprintf(out,
		"## Which path for which server\n\n"
		"| your server | take | because |\n|---|---|---|\n"
		"| `accept-bench waits --pid PID` shows next to no waits | what you have | nobody waits "
		"for the lock |\n"
		"| its connections live long (keep-alive, websockets) | what you have | the lock is taken "
		"per connection, not per request |\n"
		"| no thread needs another one's descriptors | `unshare(CLONE_FILES)` in each thread, any "
		"path | nobody else takes a private table's lock; no patch |\n"
		"| all its I/O goes through io_uring | `direct` | a slot takes no lock at all |\n"
		"| threads share real fds (TLS libraries, hand-over, children) | `dup` on a patched "
		"kernel, otherwise `multishot` | an open fd is replaced, not closed and allocated |\n"
		"| an epoll loop that stays one | `epoll` with one accept a wake-up | an `accept4` that finds "
		"the queue empty takes the lock twice |\n\n");
}

/* Was the opcode itself ever measured on a CPU that is one? */
static bool has_dup_times(const struct report_data *data)
{
	for (size_t m = 0; m < data->n_machines; m++)
		for (size_t i = 0; has_times(&data->machines[m]) && i < data->machines[m].n_cells;
		     i++)
			if (!strcmp(record_text(data->machines[m].cells[i].first, "cell", "accept"),
				    paths[PATH_dup].name))
				return true;
	return false;
}

static json_int_t most_cpus(const struct report_data *data)
{
	json_int_t most = 0;

	for (size_t m = 0; m < data->n_machines; m++)
		if (has_times(&data->machines[m]) && cpus_of(&data->machines[m]) > most)
			most = cpus_of(&data->machines[m]);
	return most;
}

static void print_not_measured(FILE *out, const struct report_data *data)
{
	size_t cells = 0, limited = 0;

	for (size_t m = 0; m < data->n_machines; m++) {
		for (size_t i = 0; has_times(&data->machines[m]) && i < data->machines[m].n_cells;
		     i++) {
			cells++;
			limited += report_limit(&data->machines[m].cells[i]) == LIMIT_CLIENT;
		}
	}
	fprintf(out, "## What was not measured\n\n");
	if (!has_dup_times(data))
		fprintf(out,
			"- A server with `dup` under contention: the patched kernel ran on emulated "
			"CPUs only, which show counts and no times. `direct` and private tables "
			"stand in for it.\n");
	fprintf(out,
		"- More than %lld CPUs, and a network card: all of this is loopback.\n"
		"- Rates of servers whose client was the limit: %zu of %zu cells on real CPUs. No claim "
		"rests on them.\n"
		"- Requests on kept-alive connections: one request a connection is the worst case for "
		"this lock.\n\n",
		most_cpus(data), limited, cells);
}

static void print_again(FILE *out, const struct report_files *files)
{
	fprintf(out,
		"## Measuring again\n\n"
		"    scripts/bench --preset full              # measures, writes this page and %s\n"
		"    scripts/bench --only native --records build/mine --out build/mine.md\n"
		"    build/release/accept-bench compare --a bench/records/native.ndjson.gz --b "
		"build/mine/native.ndjson.gz\n\n"
		"Which machine, which commands, which records: %s.\n",
		files->out_seen, files->out_seen);
}

void report_page(FILE *out, const struct report_data *data, const struct report_files *files)
{
	static struct view counter[COUNTERS], neighbours, few, one_core;
	size_t n;

	list_paths();
	n = find_counters(data, counter);
	look_at_times(data, EXPERIMENT_NEIGHBOURS, true, &neighbours);
	look_at_times(data, EXPERIMENT_PATHS, false, &few);
	look_at_times(data, EXPERIMENT_ONE_CORE, false, &one_core);
	fprintf(out,
		"# Results\n\nMade by `accept-bench report` from the records in this repository, not edited. "
		"Everything that was measured is in [%s](%s).\n\n"
		"## The question\n\nAll threads of a process share one table of file descriptors under "
		"one lock, `files_struct.file_lock`. How often does a server take it for a connection, in "
		"each of the ways Linux has to accept one; what does that cost; and does it help to put a new "
		"connection over the fd of a finished one (`IORING_OP_DUP`)?\n\n## The answer\n\n",
		files->out_seen, files->out_seen);
	if (n)
		say_how_often(out, counter, n);
	say_what_it_costs(out, &neighbours);
	say_where_not(out, &few);
	report_instructions_line(out, files->instructions);
	fprintf(out,
		"- **For you?** Only if many threads contend for one table, their connections are short, "
		"and they need real fds that all of them see; [Which path for which "
		"server](#which-path-for-which-server) has the other cases.\n\n"
		"A ratio comes from runs that were measured in pairs. It is in bold if its interval "
		"excludes 1; fewer than %d pairs give no verdict. " REPORT_AT_LEAST
		"stands before a rate that the server did not limit.\n\n",
		STATS_PAIRS_MIN);
	print_counts(out, counter, n);
	if (neighbours.machine || json_array_size(files->opcode))
		fprintf(out, "## What the lock costs under contention\n\n");
	print_neighbours(out, &neighbours);
	report_opcode_summary(out, files->opcode, files->plots_seen);
	print_cpu(out, &one_core);
	print_client(out, &one_core);
	report_flames_pair(out, files->flame_summaries, files->flames, files->page);
	print_decision(out);
	print_not_measured(out, data);
	print_again(out, files);
}
