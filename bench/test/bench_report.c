/* SPDX-License-Identifier: MIT */
/* Tests that the report is reproducible, does not mix machines, and makes no unfounded claim. */
#include "check.h"
#include "report/report.h"
#include "report/report_pairs.h"
#include "report/report_plot.h"
#include "cell/server.h"
#include "load/wrk.h"

#include <stdlib.h>
#include <string.h>

/* A record as cell_run() makes them, cut down to what a report reads. */
static json_t *record(const char *kernel, bool lock_stat, const char *accept, int repetition,
		      double acquisitions, double speed)
{
	json_t *lock = lock_stat
			       ? json_pack("{s:s,s:s,s:s,s:f,s:f,s:f,s:f}", "instrument",
					   "lock_stat", "scope", "all", "blind", "nothing",
					   "acquisitions_per_connection", acquisitions,
					   "empty_accept_acquisitions_per_connection", 0.25,
					   "other_acquisitions_per_connection", acquisitions - 0.25,
					   "contentions_per_1000_connections", 1.5)
			       : json_pack("{s:n,s:s}", "instrument", "reason",
					   "not visible on this kernel because of the test");

	return json_pack("{s:s,s:s,s:n,s:{s:s,s:s,s:b,s:s,s:i},s:{s:i,s:s,s:[s,s,s,s,s,s]},"
			 "s:{s:s,s:i,s:s,s:s,s:s,s:i,s:s},s:{s:[s,s],s:f},s:o,"
			 "s:{s:{s:s,s:s,s:s,s:i},s:{s:i,s:i,s:f,s:{s:f,s:f}}}}",
			 "schema", "accept-bench/1", "outcome", "ok", "reason", "environment",
			 "kernel_release", kernel, "virtualisation", "none", "lock_stat", lock_stat,
			 "cpu", "a CPU", "cpus", 2, "run", "seed", 1, "preset", "quick", "command",
			 "accept-bench", "run", "--server", "/else/where", "--connections", "7",
			 "cell", "accept", accept, "workers", 2, "fd_table", "shared", "listener",
			 "reuseport", "load", "storm", "repetition", repetition, "server_options",
			 "", "server", "command", "/some/where/accept-server", "--x",
			 "cpu_us_per_connection", 10.0, "lock", lock, "storm", "load", "load",
			 "closed-loop", "protocol", "http", "close", "server-fin", "concurrency",
			 64, "result", "good", 1000, "failed", 0, "connections_per_s", speed,
			 "whole", "p50_us", 100.0, "p99_us", 900.0);
}

/* What limited the run, as cell_run() notes it. */
static json_t *with_limit(json_t *record, double client, double server, double late)
{
	json_object_set_new(record, "limit",
			    json_pack("{s:f,s:f,s:f}", "client_cpu_share", client,
				      "server_cpu_share", server, "late_share", late));
	return record;
}

static json_t *made_up_records(void)
{
	json_t *records = json_array(), *bad, *each;
	size_t k;

	for (int i = 1; i <= 8; i++) {
		json_array_append_new(
			records, record("7.3-locks", true, "dup", i, 1.25 + i * 0.002, 1000 + i));
		json_array_append_new(records,
				      record("6.18-plain", false, "epoll", i, 0, 50000 + i * 100));
		json_array_append_new(records,
				      record("6.18-plain", false, "direct", i, 0, 75000 + i * 100));
		json_array_append_new(records, record("6.18-plain", false, "install", i, 0,
						      50000 + (i * 3 % 7) * 100));
	}
	json_array_foreach (records, k, each)
		with_limit(each, 0.5, 0.95, 0);
	bad = record("6.18-plain", false, "dup", 1, 0, 0);
	json_object_set_new(bad, "outcome", json_string("skipped"));
	json_object_set_new(bad, "reason", json_string("no such opcode"));
	json_array_append_new(records, bad);
	return records;
}

static char *make(json_t *records)
{
	static const char *const in[] = { "/some/where/records.ndjson" };
	const struct report_files files = { .in = in, .n_in = 1, .out = "REPORT.md" };
	struct report_data data;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_csv(out, records);
	report_sort(records, &data);
	report_markdown(out, &data, &files);
	report_free(&data);
	fclose(out);
	return text;
}

static char *make_page(json_t *records)
{
	const struct report_files files = { .out = "REPORT.md",
					    .page = "RESULTS.md",
					    .out_seen = "REPORT.md" };
	struct report_data data;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_sort(records, &data);
	report_page(out, &data, &files);
	report_free(&data);
	fclose(out);
	return text;
}

/* Is there a line with all of these? */
static bool has_line(const char *text, const char *a, const char *b)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t len;

		line += *line == '\n';
		len = strcspn(line, "\n");
		if (memmem(line, len, a, strlen(a)) && memmem(line, len, b, strlen(b)))
			return true;
	}
	return false;
}

static void test_report(void)
{
	json_t *records = made_up_records();
	char *first = make(records), *second = make(records);

	CHECK(!strcmp(first, second));
	CHECK(has_line(first, "| `dup` | 1.259 (1.252 to 1.266) |", ""));
	CHECK(has_line(first, "| `direct` | 75450 (75100 to 75800) |", ""));
	CHECK(has_line(first, "| `direct` | **1.50** (1.49 to 1.50) |", ""));
	CHECK(has_line(first, "| `install` | 1.00 (", ""));
	CHECK(!has_line(first, "| `install` | **", ""));
	CHECK(has_line(first, "- 2 CPUs, Linux 6.18, `dup`", "skipped: no such opcode"));
	CHECK(has_line(first, "- cells without an instrument: not visible on this kernel because",
		       "of the test"));
	CHECK(has_line(first, "**2 CPUs, Linux 7.3, counts its locks**", ""));
	CHECK(has_line(first, "8 records of experiment `paths`", "revision"));
	CHECK(has_line(first, "accept-bench run --server where --connections 7", ""));
	CHECK(!has_line(first, "accept-bench run", "/else/where"));
	CHECK(has_line(first, "ok,7.3-locks,1,none,", ",dup,2,shared,"));
	CHECK(has_line(first, "| 2 CPUs, Linux 6.18 | 0 | 3 | 0 | 0 |", ""));
	free(first);
	free(second);
	json_decref(records);
}

/* Records of one machine: epoll, multishot and another path, its speed and epoll's wait as given. */
static json_t *two_paths(const char *accept, double speed, double acquisitions, double wait)
{
	json_t *records = json_array(), *each;
	size_t k;

	for (int i = 1; i <= 8; i++) {
		json_t *epoll = record("9.9-plain", true, "epoll", i, 2.25, 50000 + i * 100);
		json_t *loop = record("9.9-plain", true, "multishot", i, 2.25, 50000 + i * 100);
		json_t *other = record("9.9-plain", true, accept, i, acquisitions, speed + i * 100);

		json_object_set_new(json_object_get(epoll, "lock"), "wait_ns_per_connection",
				    json_real(wait));
		json_array_append_new(records, epoll);
		json_array_append_new(records, loop);
		json_array_append_new(records, other);
	}
	json_array_foreach (records, k, each) {
		json_object_set_new(json_object_get(each, "environment"), "lock_stat",
				    json_false());
		with_limit(each, 0.5, 0.95, 0);
	}
	return records;
}

/* Records that have nobody to compare with; some are of a path that was given up. */
static json_t *only_dups(void)
{
	json_t *records = json_array();

	for (int i = 1; i <= 2; i++) {
		json_array_append_new(records, record("9.9-locks", true, "dup", i, 1.25, 50000));
		json_array_append_new(records,
				      record("9.9-locks", true, "dup-batch", i, 0.65, 50000));
	}
	return records;
}

static void expect(json_t *records, char *(*made)(json_t *), const char *const *there,
		   const char *const *not_there)
{
	char *text = made(records);

	for (; *there; there++)
		CHECK(strstr(text, *there), ": '%s' is missing", *there);
	for (; *not_there; not_there++)
		CHECK(!strstr(text, *not_there), ": '%s' is there", *not_there);
	free(text);
	json_decref(records);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The sentences follow the records, also where these say something else than the project hopes. */
static void test_answer(void)
{
	expect(two_paths("dup", 50000, 1.25, 20), make_page,
	       LIST("2.00 times with `epoll`, 2.00 times with `multishot`, 1.00 times with `dup`.",
		    "saves 50 % of the acquisitions of `multishot`", "| `dup` | 1.00 | 0.25 |",
		    "there is nothing to gain by taking the lock less often"),
	       LIST("`dup` saves nothing"));
	expect(two_paths("dup", 90000, 1.25, 2000), make_page, LIST("20 %, the most that"),
	       LIST("nothing to gain by taking"));
	expect(two_paths("dup", 30000, 2.25, 20), make_page, LIST("`dup` saves nothing"),
	       LIST("saves 0 %"));
	expect(two_paths("direct", 50000, 0.25, 20), make_page,
	       LIST("For `dup` nothing was counted here", "- A server with `dup` under contention"),
	       LIST("times with `dup`", "saves "));
	expect(only_dups(), make_page, LIST("1.00 times with `dup`."),
	       LIST("saves nan", "`dup` saves", "dup-batch"));
	expect(only_dups(), make, LIST("In no table: 2 records of the path `dup-batch`"),
	       LIST("| `dup-batch`"));
}

/* ---- limits ---- */

static json_t *two_limited(double client, double server, double late)
{
	json_t *records = two_paths("direct", 90000, 0.25, 20), *each;
	size_t k;

	json_array_foreach (records, k, each)
		with_limit(each, client, server, late);
	return records;
}

/* A rate that the client limited is "at least", and in no claim; its CPU time may be. */
static void test_limits(void)
{
	expect(two_limited(0.5, 0.95, 0), make, LIST("| `direct` | 90450 (", "**1.79** ("),
	       LIST(REPORT_AT_LEAST "90450", "| not the server's |"));
	expect(two_limited(0.91, 0.95, 0), make,
	       LIST("| `direct` | " REPORT_AT_LEAST "90450 (",
		    "| 2 CPUs, Linux 9.9 | 3 | 0 | 0 | 0 |"),
	       LIST("**1.79**"));
	expect(two_limited(0.5, 0.95, 0.011), make, LIST("| `direct` | " REPORT_AT_LEAST "90450 ("),
	       LIST("**1.79**"));
	expect(two_limited(0.5, 0.8, 0), make,
	       LIST("| `direct` | " REPORT_AT_LEAST "90450 (",
		    "| 2 CPUs, Linux 9.9 | 0 | 0 | 3 | 0 |"),
	       LIST("**1.79**"));
}

/* Older records lack the shares: computed from the CPU time of a connection and the rate. */
static void test_computed_limits(void)
{
	static const struct {
		double client_us, server_us, rate, late;
		const char *server_cpus, *client_cpus;
		enum limit limit;
	} rows[] = {
		{ 40, 10, 24000, 0, "", "", LIMIT_CLIENT },	   /* 0.96 of one thread */
		{ 5, 19, 100000, 0, "", "", LIMIT_SERVER },	   /* 0.5, and 1.9 of two */
		{ 5, 10, 100000, 0, "", "", LIMIT_NEITHER },	   /* 0.5, and 1.0 of two */
		{ 5, 10, 100000, 0, "1", "", LIMIT_SERVER },	   /* bound to one CPU */
		{ 5, 10, 100000, 0, "0-1", "2-9", LIMIT_NEITHER }, /* more CPUs than threads */
		{ 5, 19, 100000, 20, "", "", LIMIT_CLIENT },	   /* 2 % of 1000 came late */
		{ 5, 19, 100000, 10, "", "", LIMIT_SERVER },	   /* 1 % */
		{ -1, 19, 100000, 0, "", "", LIMIT_UNKNOWN },	   /* wrk, then */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *made = record("9.9-plain", false, "epoll", 1, 0, rows[i].rate);
		json_t *result = report_part(made, "storm.result");
		json_t *cell = json_object_get(made, "cell");
		struct limit_shares shares;

		if (rows[i].client_us > 0)
			json_object_set_new(result, "client_cpu_us_per_connection",
					    json_real(rows[i].client_us));
		json_object_set_new(report_part(made, "storm.load"), "threads", json_integer(1));
		json_object_set_new(report_part(made, "storm.load"), "rate_per_s",
				    json_real(rows[i].late > 0 ? 1000 : 0));
		json_object_set_new(result, "started", json_integer(1000));
		json_object_set_new(result, "late", json_real(rows[i].late));
		json_object_set_new(json_object_get(made, "server"), "cpu_us_per_connection",
				    json_real(rows[i].server_us));
		json_object_set_new(cell, "server_cpus", json_string(rows[i].server_cpus));
		json_object_set_new(cell, "client_cpus", json_string(rows[i].client_cpus));
		shares = report_shares(made);
		CHECK(limit_of(&shares) == rows[i].limit,
		      ": row %zu: client %.3f, server %.3f, late %.3f", i, shares.client,
		      shares.server, shares.late);
		json_decref(made);
	}
}

static json_t *with_cpu(json_t *record, double us)
{
	json_object_set_new(json_object_get(record, "server"), "cpu_us_per_connection",
			    json_real(us));
	return record;
}

/* Times of an emulated CPU are no CPU's times, however far apart. */
static void test_emulated(void)
{
	json_t *records = two_paths("direct", 90000, 0.25, 20), *each;
	size_t k;

	json_array_foreach (records, k, each) {
		json_object_set_new(json_object_get(each, "environment"), "virtualisation",
				    json_string("QEMU TCG (emulation)"));
		if (!strcmp(json_string_value(report_part(each, "cell.accept")), "direct"))
			with_cpu(each, 5 + 0.01 * (double)k);
	}
	expect(records, make, LIST("(emulated)"), LIST("**1.", "**0."));
}

/* ---- pairs ---- */

/* A machine that slows down to a third: of each pair, `direct` uses 0.8 of what epoll does. */
static json_t *drifting_pairs(bool with_pairs)
{
	json_t *records = json_array();

	for (int i = 1; i <= 8; i++) {
		for (int twin = 0; twin < 2; twin++) { /* a second epoll, of another pair, later */
			double cpu = 10 + 2 * i + (twin ? 7 : 0);
			json_t *epoll =
				with_cpu(record("9.9-plain", false, "epoll", i, 0, 1000), cpu);
			json_t *other = with_cpu(record("9.9-plain", false,
							twin ? "multishot" : "direct", i, 0, 1000),
						 0.8 * cpu);
			json_t *pair = json_string(twin ? "of multishot" : "of direct");

			if (with_pairs) {
				json_object_set(json_object_get(epoll, "cell"), "pair", pair);
				json_object_set(json_object_get(other, "cell"), "pair", pair);
			}
			json_decref(pair);
			json_array_append_new(records, epoll);
			json_array_append_new(records, other);
		}
	}
	return records;
}

static const struct report_cell *find_cell(const struct report_data *data, const char *accept)
{
	for (size_t i = 0; i < data->machines[0].n_cells; i++)
		if (!strcmp(json_string_value(
				    report_part(data->machines[0].cells[i].first, "cell.accept")),
			    accept))
			return &data->machines[0].cells[i];
	return NULL;
}

static void test_pairs(void)
{
	for (int with_pairs = 0; with_pairs < 2; with_pairs++) {
		json_t *records = drifting_pairs(with_pairs);
		struct report_pairs pairs;
		struct report_data data;
		struct ratio ratio;

		report_sort(records, &data);
		CHECK(report_compare(find_cell(&data, "direct"), find_cell(&data, "epoll"),
				     &figure_cpu, STATS_MISS, &ratio) == CLAIM_LESS);
		CHECK(ratio.value > 0.7999 && ratio.value < 0.8001 && ratio.n == 8, ": %.4f of %zu",
		      ratio.value, ratio.n);
		pairs = report_pairs(find_cell(&data, "direct"), find_cell(&data, "epoll"),
				     &figure_cpu, TESTING_HALF);
		CHECK(pairs.n == 4);
		report_pairs_free(&pairs);
		report_free(&data);
		json_decref(records);
	}
}

/* Seven are too few, and a run that never became steady is none. */
static void test_unsteady(void)
{
	json_t *records = drifting_pairs(true), *last;

	expect(json_incref(records), make, LIST("**0.80** ("),
	       LIST(": no verdict |", "never became steady"));
	last = json_array_get(records, json_array_size(records) - 1);
	json_object_set_new(last, "warm_up", json_pack("{s:b}", "steady", 0));
	expect(records, make,
	       LIST("| `multishot` | 0.80, 7 pairs: no verdict |", "| `direct` | **0.80** (",
		    "warm-up of 1 of 32 runs never became steady"),
	       LIST("| `multishot` | **"));
}

/* A cell of an experiment: `key` of the cell is what is varied. */
static json_t *varied(const char *experiment, const char *key, int value, int repetition,
		      double speed)
{
	json_t *made = record("9.9-plain", false, "epoll", repetition, 0, speed);
	json_t *cell = json_object_get(made, "cell");

	json_object_set_new(cell, "experiment", json_string(experiment));
	json_object_set_new(cell, key, json_integer(value));
	return made;
}

/* What an experiment varies is a column, and its first and last one are compared. */
static void test_experiments(void)
{
	json_t *records = json_array(), *each;
	char *text;
	size_t k;

	for (int i = 1; i <= 9; i++) {
		json_array_append_new(records, varied("neighbours", "neighbours", 0, i, 900 + i));
		json_array_append_new(records, varied("neighbours", "neighbours", 2, i, 300 + i));
		json_array_append_new(records, varied("scaling", "workers", 1, i, 500 + i));
		json_array_append_new(records, varied("scaling", "workers", 4, i, 500 + 7 % i));
		json_array_append_new(records, varied("latency", "rate_of_peak_percent", 0, i, 9));
		json_array_append_new(records, varied("latency", "rate_of_peak_percent", 50, i, 9));
		json_array_append_new(records, varied("latency", "rate_of_peak_percent", 90, i, 9));
	}
	/* The same cell in two sizes: each figure is from the larger that has it. */
	for (int i = 1; i <= 3; i++) {
		json_t *small = varied("scaling", "workers", 2, i, 77);
		json_t *large = varied("scaling", "workers", 2, i, 600);

		json_object_set_new(report_part(small, "storm.load"), "concurrency",
				    json_integer(64));
		json_object_set_new(report_part(small, "storm.load"), "connections",
				    json_integer(10));
		json_object_set_new(report_part(small, "storm.result"), "good", json_integer(10));
		json_object_set_new(json_object_get(small, "lock"), "wait_ns_per_connection",
				    json_real(4.5));
		json_array_append_new(records, small);
		json_array_append_new(records, large);
	}
	json_array_foreach (records, k, each)
		with_limit(each, 0.5, 0.95, 0);
	text = make(records);
	CHECK(has_line(text, "| `epoll` | 505 (501 to 509) | 600 | ", ""));
	CHECK(has_line(text, "| `epoll` | - | 4.5 | - |", ""));
	CHECK(has_line(text, "| path | 0 neighbours | 2 neighbours |", ""));
	CHECK(has_line(text, "| `epoll` | 905 (901 to 909) | 305 (301 to 309) |", ""));
	CHECK(has_line(text, "Connections/s with 2 neighbours, over that with 0 neighbours",
		       "`epoll` **0.34** (0.34 to 0.34)."));
	CHECK(has_line(text, "Server CPU, us per connection with 2 neighbours", "`epoll` 1.00 ("));
	CHECK(has_line(text, "| path | 1 worker | 2 workers | 4 workers |", ""));
	CHECK(has_line(text, "| path | 50 % of the peak | 90 % of the peak |", ""));
	CHECK(!strstr(text, "### Parked sockets"));
	CHECK(has_line(text, "18 records of experiment `neighbours`", ""));
	free(text);
	json_decref(records);
}

/* Records of one worker on a core of its own, with the CPU time per connection given. */
static void add_one_core(json_t *records, const char *accept, double cpu_us, double speed)
{
	for (int i = 1; i <= 16; i++) {
		json_t *made = with_limit(record("9.9-plain", false, accept, i, 0, speed + i), 0.5,
					  0.95, 0);

		json_object_set_new(json_object_get(made, "cell"), "experiment",
				    json_string("one-core"));
		json_object_set_new(json_object_get(made, "server"), "cpu_us_per_connection",
				    json_real(cpu_us + i * 0.01));
		json_array_append_new(records, made);
	}
}

/* A target is met or missed by the interval, not by the median. */
static void test_targets(void)
{
	json_t *records = json_array(), *each;
	char *text;
	size_t k;

	add_one_core(records, "epoll", 12, 30000);
	add_one_core(records, "direct", 9, 40000);
	add_one_core(records, "bare", 8, 39000);
	add_one_core(records, "nginx", 16, 20000);
	text = make(records);
	CHECK(has_line(
		text,
		"What this project set itself, for the path that takes the least CPU, `direct`",
		""));
	CHECK(has_line(text, "of the bare loop | at most 1.0 | 1.12 (", "| missed |"));
	CHECK(has_line(text, "of nginx | at most 0.6 | 0.56 (", "| met |"));
	CHECK(has_line(text, "of the bare loop | at least 1.0 | 1.03 (", "| met |"));
	free(text);
	json_array_foreach (records, k, each)
		with_limit(each, 0.95, 0.95, 0);
	text = make(records);
	CHECK(has_line(text, "of the bare loop | at most 1.0 | 1.12 (", "| missed |"));
	CHECK(has_line(text, "of the bare loop | at least 1.0 | - |", "the client was the limit"));
	free(text);
	json_decref(records);
}

/*
 * Two paths that do not differ, and one of them is lucky in every other run: the runs that choose it
 * do not say how good it is.
 */
static void test_chosen_path(void)
{
	json_t *records = json_array();
	char *text;

	add_one_core(records, "epoll", 10, 30000);
	add_one_core(records, "bare", 10, 30000);
	add_one_core(records, "direct", 10, 30000);
	add_one_core(records, "multishot", 10, 30000);
	for (size_t k = 0; k < 16; k += 2) /* direct's, which are the third sixteen */
		with_cpu(json_array_get(records, 32 + k), 5);
	text = make(records);
	CHECK(has_line(text, "takes the least CPU, `direct`", "tested on the rest"));
	CHECK(has_line(text, "of the bare loop | at most 1.0 | 1.00 (1.00 to 1.00)", ""));
	free(text);
	json_decref(records);
}

/* With neighbours, one table against a table a thread: paths that take the lock, and one that does not. */
static json_t *neighbours(double factor)
{
	static const char *const paths[] = { "epoll", "multishot", "direct" };
	json_t *records = json_array();

	for (int i = 1; i <= 4; i++) {
		for (int path = 0; path < 3; path++) {
			for (int own = 0; own < 2; own++) {
				for (int n = 0; n <= 8; n += 4) {
					double cpu = 10 + 0.01 * i;
					json_t *made =
						varied("neighbours", "neighbours", n, i, 1000);
					json_t *cell = json_object_get(made, "cell");

					if (!own && n && path < 2)
						cpu *= factor;
					json_object_set_new(cell, "accept",
							    json_string(paths[path]));
					json_object_set_new(
						cell, "fd_table",
						json_string(own ? "private" : "shared"));
					json_array_append_new(records, with_cpu(made, cpu));
				}
			}
		}
	}
	return records;
}

static void test_where_it_is_wanted(void)
{
	expect(neighbours(1.5), make_page,
	       LIST("up to 8 further threads",
		    "Paths that take the lock: 1.50 times (1.50 to 1.50, 16 pairs)."
		    " `direct`, which does not take it: 1.00 times (1.00 to 1.00, 8 pairs), no difference"),
	       LIST("in 16 pairs"));
	expect(neighbours(1), make_page,
	       LIST("Paths that take the lock: 1.00 times (1.00 to 1.00, 16 pairs), no difference"),
	       LIST("1.50"));
}

/* A second load, under which few paths were measured, does not take the place of the first. */
static void test_two_loads(void)
{
	json_t *records = json_array(), *each;
	size_t k;

	add_one_core(records, "direct", 5, 40000);
	json_array_foreach (records, k, each) {
		json_object_set_new(report_part(each, "storm.load"), "close",
				    json_string("client-fin"));
		json_object_set_new(report_part(each, "storm.result"),
				    "client_cpu_us_per_connection", json_real(7.5));
	}
	add_one_core(records, "epoll", 12, 40000);
	add_one_core(records, "direct", 9, 40000);
	json_array_foreach (records, k, each)
		if (!json_object_get(report_part(each, "storm.result"),
				     "client_cpu_us_per_connection"))
			json_object_set_new(report_part(each, "storm.result"),
					    "client_cpu_us_per_connection", json_real(18.17));
	expect(records, make_page,
	       LIST("| `direct` | 9.1 |",
		    "driving `direct`: 7.5 us closed by client-fin (1.5 times the server's), 18.2 us closed by "
		    "server-fin (2.0 times the server's)."),
	       LIST("| `direct` | 5.1 |"));
}

/* However much there is: one page. */
static void test_page_length(void)
{
	static const char *const paths[] = { "epoll",	   "accept4", "multishot", "install",
					     "dup3",	   "dup",     "direct",	   "bare",
					     "bare-tuned", "nginx",   "haproxy",   "haproxy-tables",
					     NULL };
	json_t *records = neighbours(1.5);
	size_t lines = 0;
	char *text;

	for (int i = 0; paths[i]; i++) {
		for (int r = 1; r <= 8; r++) {
			json_array_append_new(records,
					      record("7.3-locks", true, paths[i], r, 2, 1000));
			json_array_append_new(records,
					      record("7.4-locks", true, paths[i], r, 2, 1000));
			json_array_append_new(records,
					      record("9.9-plain", false, paths[i], r, 0, 1000));
		}
		add_one_core(records, paths[i], 10, 30000);
		for (int own = 0; own < 2; own++) {
			json_t *made = varied("neighbours", "neighbours", 2, 1, 1000);

			json_object_set_new(json_object_get(made, "cell"), "accept",
					    json_string(paths[i]));
			json_object_set_new(json_object_get(made, "cell"), "fd_table",
					    json_string(own ? "private" : "shared"));
			json_array_append_new(records, made);
		}
	}
	text = make_page(records);
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	printf("the page has %zu lines\n", lines);
	CHECK(lines > 60 && lines <= 100); /* flame graphs and a curve have some more */
	free(text);
	json_decref(records);
}

/* With an option of the server, over the same cell without it. */
static void test_options(void)
{
	json_t *records = json_array(), *with = json_array(), *each;
	char *text;
	size_t k;

	add_one_core(records, "direct", 9, 40000);
	add_one_core(with, "direct", 12, 40000);
	json_array_foreach (with, k, each)
		json_object_set_new(json_object_get(each, "cell"), "server_options",
				    json_string("--park-timeout 1s --fin apart"));
	json_array_extend(records, with);
	text = make(records);
	CHECK(!strstr(text, "### Options of the server: what they bring")); /* two differ */
	free(text);
	json_array_foreach (with, k, each)
		json_object_set_new(json_object_get(each, "cell"), "server_options",
				    json_string("--fin apart"));
	text = make(records);
	CHECK(has_line(text,
		       "| 2 CPUs, Linux 9.9 | `direct` | 2 | one-core | `--fin apart` | **1.33** (",
		       "| 1.00 (1.00 to 1.00) |"));
	free(text);
	json_decref(with);
	json_decref(records);
}

/* The plots: as many as there are figures for, the same bytes, and a word where gnuplot is missing.
 */
static void test_plots(void)
{
	json_t *records = two_paths("dup", 90000, 1.25, 20);
	char name[64], why[256], *one, *two;
	size_t one_len, two_len;
	struct report_data data;

	report_sort(records, &data);
	CHECK(report_plot(&data, 0, name, sizeof(name), &one, &one_len, why, sizeof(why)) == 1);
	CHECK(!strcmp(name, "paths-1.svg"), ": %s", name);
	CHECK(strstr(one, "epoll") && strstr(one, "10.0"));
	CHECK(report_plot(&data, 0, name, sizeof(name), &two, &two_len, why, sizeof(why)) == 1);
	CHECK(one_len == two_len && !memcmp(one, two, one_len));
	free(one);
	free(two);
	CHECK(report_plot(&data, 1, name, sizeof(name), &one, &one_len, why, sizeof(why)) == 0);
	setenv("PATH", "/nowhere", 1);
	CHECK(report_plot(&data, 0, name, sizeof(name), &one, &one_len, why, sizeof(why)) == -1);
	CHECK(strstr(why, "install gnuplot-nox"), ": %s", why);
	report_free(&data);
	json_decref(records);
}

static void test_server_lines(void)
{
	struct server server;
	json_t *totals = server_parse_totals("totals accepts=12 accept_empty=3 x=y z rate=1.5");

	CHECK(server_parse_ready(&server, "accept-server 0.1 accept=dup workers=2 "
					  "listen=127.0.0.1:4567 pid=1"));
	CHECK(!strcmp(server.accept, "dup") && server.address.sin_port == htons(4567));
	CHECK(!server_parse_ready(&server, "accept-server 0.1 accept=dup workers=2"));
	CHECK(!server_parse_ready(&server, "listen=127.0.0.1:99999 accept=dup"));
	CHECK(!server_parse_ready(&server, ""));
	CHECK(json_object_size(totals) == 2 &&
	      json_integer_value(json_object_get(totals, "accepts")) == 12);
	json_decref(totals);
	CHECK(!server_parse_totals("something else"));
}

static void test_wrk_lines(void)
{
	static const char *const lines[] = {
		"Running 2s test @ http://127.0.0.1:8080/",
		"  1 threads and 64 connections",
		"    Latency     1.19ms  348.45us   5.60ms   78.29%",
		"  91873 requests in 2.05s, 8.50MB read",
		"  Socket errors: connect 1, read 2, write 3, timeout 4",
		"  Non-2xx or 3xx responses: 5",
		"Requests/sec:  44812.33",
		"Transfer/sec:      4.15MB",
	};
	struct wrk_result r = { 0 };

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		wrk_parse_line(lines[i], &r);
	CHECK(r.requests == 91873 && r.requests_per_s == 44812.33);
	CHECK(r.socket_errors == 10 && r.bad_status == 5);
}

int main(void)
{
	test_report();
	test_answer();
	test_limits();
	test_computed_limits();
	test_emulated();
	test_pairs();
	test_unsteady();
	test_chosen_path();
	test_where_it_is_wanted();
	test_two_loads();
	test_page_length();
	test_experiments();
	test_targets();
	test_options();
	test_plots();
	test_server_lines();
	test_wrk_lines();
	return check_end();
}
