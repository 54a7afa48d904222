/* SPDX-License-Identifier: MIT */
/* The report: the same bytes every time, machines kept apart, no claim without grounds. */
#include "check.h"
#include "report/report.h"
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

static json_t *made_up_records(void)
{
	json_t *records = json_array(), *bad;

	for (int i = 1; i <= 6; i++) {
		json_array_append_new(
			records, record("7.3-locks", true, "dup", i, 1.25 + i * 0.002, 1000 + i));
		json_array_append_new(records,
				      record("6.18-plain", false, "epoll", i, 0, 50000 + i * 100));
		json_array_append_new(records,
				      record("6.18-plain", false, "direct", i, 0, 75000 + i * 100));
		json_array_append_new(records, record("6.18-plain", false, "install", i, 0,
						      50000 + (i * 3 % 7) * 100));
	}
	bad = record("6.18-plain", false, "dup", 1, 0, 0);
	json_object_set_new(bad, "outcome", json_string("skipped"));
	json_object_set_new(bad, "reason", json_string("no such opcode"));
	json_array_append_new(records, bad);
	return records;
}

static char *make(json_t *records)
{
	static const char *const in[] = { "/some/where/records.ndjson" };
	const struct report_files files = { .in = in, .n_in = 1 };
	struct report_data data;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_sort(records, &data);
	report_markdown(out, &data, &files);
	report_csv(out, records);
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
	CHECK(has_line(first, "| `dup` | 1.257 (1.252 to 1.262) |", ""));
	CHECK(has_line(first, "| `dup` | 1.26 | 0.25 | 1.50 | - | - | - |", ""));
	CHECK(has_line(first, "| `direct` | - | - | - | 75350 | **1.50** (", ""));
	CHECK(has_line(first, "| `direct` | 75350 (75100 to 75600) |", ""));
	CHECK(!has_line(first, "| `direct`", "no claim"));
	CHECK(has_line(first, "| `install` |", "no claim"));
	CHECK(has_line(first, "machine B, `dup`", "skipped: no such opcode"));
	CHECK(has_line(first, "- cells without an instrument: not visible on this kernel because",
		       "of the test"));
	CHECK(has_line(first, "**Machine A** (Linux 7.3-locks", "counts its locks"));
	CHECK(has_line(first, "6 records of experiment `paths`", "revision"));
	CHECK(has_line(first, "--preset quick --experiments paths --connections 7", ""));
	CHECK(!has_line(first, "accept-bench run --server build", "/else/where"));
	CHECK(has_line(first, "ok,7.3-locks,1,none,", ",dup,2,shared,"));
	free(first);
	free(second);
	json_decref(records);
}

/* Records of one machine: epoll and another path, the other one's speed and wait as given. */
static json_t *two_paths(const char *accept, double speed, double acquisitions, double wait)
{
	json_t *records = json_array();

	for (int i = 1; i <= 6; i++) {
		json_t *epoll = record("9.9-plain", true, "epoll", i, 2.25, 50000 + i * 100);
		json_t *other = record("9.9-plain", true, accept, i, acquisitions, speed + i * 100);

		json_object_set_new(json_object_get(epoll, "lock"), "wait_ns_per_connection",
				    json_real(wait));
		json_object_set_new(json_object_get(epoll, "environment"), "lock_stat",
				    json_false());
		json_object_set_new(json_object_get(other, "environment"), "lock_stat",
				    json_false());
		json_array_append_new(records, epoll);
		json_array_append_new(records, other);
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

static void expect_answer(json_t *records, const char *const *there, const char *const *not_there)
{
	char *text = make(records);

	for (; *there; there++)
		CHECK(strstr(text, *there), ": '%s' is missing", *there);
	for (; *not_there; not_there++)
		CHECK(!strstr(text, *not_there), ": '%s' is there", *not_there);
	free(text);
	json_decref(records);
}

/* The sentences follow the records, also where these say something else than the project hopes. */
static void test_answer(void)
{
	expect_answer(two_paths("dup", 50000, 1.25, 20),
		      (const char *const[]){ "takes the lock 1.00 times with `dup`",
					     "saves 50 % of the acquisitions",
					     "no difference that could be claimed",
					     "there is nothing to gain by taking it less often",
					     "- In connections/s on machine A: 1.00", NULL },
		      (const char *const[]){ "has only", "**1.", "`dup` saves nothing", NULL });
	expect_answer(two_paths("dup", 90000, 1.25, 2000),
		      (const char *const[]){ "`dup` has 1.79 (", "20 %, the most that", NULL },
		      (const char *const[]){ "- In connections/s on", "nothing to gain by taking",
					     NULL });
	expect_answer(two_paths("dup", 30000, 2.25, 20),
		      (const char *const[]){ "`dup` saves nothing", "`dup` has only 0.60 (",
					     "- In connections/s on machine A: 0.60", NULL },
		      (const char *const[]){ "saves 0 %", NULL });
	expect_answer(only_dups(),
		      (const char *const[]){ "takes the lock 1.00 times with `dup` (",
					     "In no table: 2 records of the path `dup-batch`",
					     NULL },
		      (const char *const[]){ "saves nan", "| `dup-batch`", "with `dup-batch`",
					     "`dup` saves", NULL });
	expect_answer(two_paths("direct", 50000, 0.25, 20),
		      (const char *const[]){ "Of `dup` nothing was counted here",
					     "there is no `IORING_OP_DUP`", NULL },
		      (const char *const[]){ "with `dup`", "- In connections/s", NULL });
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
	json_t *records = json_array();
	char *text;

	for (int i = 1; i <= 5; i++) {
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
	text = make(records);
	CHECK(has_line(text, "| `epoll` | 503 (501 to 505) | 600 | ", ""));
	CHECK(has_line(text, "| `epoll` | - | 4.5 | - |", ""));
	CHECK(has_line(text, "| path | 0 neighbours | 2 neighbours |", ""));
	CHECK(has_line(text, "| `epoll` | 903 (901 to 905) | 303 (301 to 305) |", ""));
	CHECK(has_line(text, "Connections/s with 2 neighbours, over that with 0 neighbours",
		       "`epoll` **0.34** (0.33 to 0.34)."));
	CHECK(has_line(text, "| path | 1 worker | 2 workers | 4 workers |", ""));
	CHECK(has_line(text, "| path | 50 % of the peak | 90 % of the peak |", ""));
	CHECK(!strstr(text, "### Parked sockets"));
	CHECK(has_line(text, "10 records of experiment `neighbours`", ""));
	free(text);
	json_decref(records);
}

/* Records of one worker on a core of its own, with the CPU time per connection given. */
static void add_one_core(json_t *records, const char *accept, double cpu_us, double speed)
{
	for (int i = 1; i <= 5; i++) {
		json_t *made = record("9.9-plain", false, accept, i, 0, speed + i);

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
	json_t *records = json_array();
	char *text;

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
	CHECK(has_line(text, "| A | `direct` | 2 | one-core | `--fin apart` | **1.33** (",
		       "| 1.00 (1.00 to 1.00), no claim |"));
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
	CHECK(!strcmp(name, "rate-a.svg"), ": %s", name);
	CHECK(strstr(one, "epoll") && strstr(one, "90350"));
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
	test_experiments();
	test_targets();
	test_options();
	test_plots();
	test_server_lines();
	test_wrk_lines();
	return check_end();
}
