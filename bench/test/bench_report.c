/* SPDX-License-Identifier: MIT */
/* The report: the same bytes every time, machines kept apart, no claim without grounds. */
#include "check.h"
#include "report.h"
#include "server.h"
#include "wrk.h"

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

	return json_pack("{s:s,s:s,s:n,s:{s:s,s:s,s:b,s:s,s:i},s:{s:i,s:[s,s]},"
			 "s:{s:s,s:i,s:s,s:s,s:s,s:i,s:s},s:{s:[s,s],s:f},s:o,"
			 "s:{s:{s:s,s:s,s:s,s:i},s:{s:i,s:i,s:f,s:{s:f,s:f}}}}",
			 "schema", "accept-bench/1", "outcome", "ok", "reason", "environment",
			 "kernel_release", kernel, "virtualisation", "none", "lock_stat", lock_stat,
			 "cpu", "a CPU", "cpus", 2, "run", "seed", 1, "command", "accept-bench",
			 "run", "cell", "accept", accept, "workers", 2, "fd_table", "shared",
			 "listener", "reuseport", "load", "storm", "repetition", repetition,
			 "server_options", "", "server", "command", "/some/where/accept-server",
			 "--x", "cpu_us_per_connection", 10.0, "lock", lock, "storm", "load",
			 "load", "closed-loop", "protocol", "http", "close", "server-fin",
			 "concurrency", 64, "result", "good", 1000, "failed", 0,
			 "connections_per_s", speed, "whole", "p50_us", 100.0, "p99_us", 900.0);
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
	static const char *const files[] = { "/some/where/records.ndjson" };
	struct report_data data;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_sort(records, &data);
	report_markdown(out, &data, files, 1);
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
	CHECK(has_line(first, "`dup` | 2 | shared", "| 1.257 (1.252 to 1.262) | 0.250 | - |"));
	CHECK(has_line(first, "`direct` | 2 | shared", "75350 (75100 to 75600) | 1.50 ("));
	CHECK(!has_line(first, "`direct` | 2 | shared", "no claim"));
	CHECK(has_line(first, "`install` | 2 | shared", "no claim"));
	CHECK(has_line(first, "machine B, `dup`", "skipped: no such opcode"));
	CHECK(has_line(first, "- not visible on this kernel because", "of the test"));
	CHECK(has_line(first, "On machine A: Linux 7.3-locks with lock_stat", "instrument"));
	CHECK(!has_line(first, "On machine B", "instrument")); /* it saw no lock: no table */
	CHECK(!strstr(first, "/some/where"));
	CHECK(has_line(first, "ok,7.3-locks,1,none,", ",dup,2,shared,"));
	free(first);
	free(second);
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
	test_server_lines();
	test_wrk_lines();
	return check_end();
}
