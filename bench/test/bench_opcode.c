/* SPDX-License-Identifier: MIT */
/*
 * Tests the report's section on the opcode: machines and kernels are not mixed, and records that do
 * not count are left out.
 */
#include "check.h"
#include "report/report_opcode.h"

#include <stdlib.h>
#include <string.h>

static json_t *record(const char *machine, const char *series, const char *method,
		      const char *table, int processes, double ops_per_s)
{
	json_t *made =
		json_pack("{s:i,s:s,s:s,s:s,s:i,s:f,s:b,s:s,s:b,s:s,s:i,s:i}", "schema", 2,
			  "record", "dup_bench", "method", method, "table", table, "processes",
			  processes, "ops_per_s", ops_per_s, "interrupted", false, "kernel",
			  series ? "7.3-um" : "6.18-plain", "user_mode_linux", series != NULL,
			  "machine", machine, "window_ms", 150, "fds_of_a_process", 128);

	if (series)
		json_object_set_new(made, "series", json_string(series));
	return made;
}

/* Three windows of one cell, the median of which is `ops_per_s`. */
static void add(json_t *records, const char *machine, const char *series, const char *method,
		const char *table, int processes, double ops_per_s)
{
	for (int i = -1; i <= 1; i++)
		json_array_append_new(records, record(machine, series, method, table, processes,
						      ops_per_s * (1 + i * 0.1)));
}

static json_t *made_up(void)
{
	json_t *records = json_array(), *odd;

	for (int n = 1; n <= 4; n *= 2) {
		add(records, "one", NULL, "install-close", "shared", n, 1.25e6);
		add(records, "one", NULL, "dup3", "shared", n, 2e6);
		add(records, "one", "dup", "install-close", "shared", n, 1e6);
		add(records, "one", "dup", "dup3", "shared", n, 0.2e6);
		add(records, "one", "dup", "dup", "shared", n, 1.5e6);
		add(records, "one", "exchange", "dup", "shared", n, n * 2e6);
		add(records, "one", "exchange", "dup", "private", n, n * 3e6);
	}
	add(records, "two", NULL, "dup3", "shared", 1, 7e6);

	odd = record("one", "dup", "dup", "shared", 4, 99e6);
	json_object_set_new(odd, "interrupted", json_true());
	json_array_append_new(records, odd);
	odd = record("one", NULL, "dup3", "shared", 4, 88e6);
	json_object_set_new(odd, "accelerator", json_string("tcg"));
	json_array_append_new(records, odd);
	odd = record("one", NULL, "dup", "shared", 8, 77e6);
	json_object_set_new(odd, "skipped", json_string("no such opcode"));
	json_array_append_new(records, odd);
	odd = record("two", NULL, "dup3", "shared", 1, 7e6);
	json_object_set_new(odd, "origin", json_string("Measured by something else."));
	json_array_append_new(records, odd);
	return records;
}

static char *make(json_t *records)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_opcode(out, records, "plots");
	fclose(out);
	return text;
}

static void test_text(void)
{
	static const char *const there[] = {
		"![operations per second by processes, one](plots/opcode-1.svg)",
		("**one**. Median of at most 3 windows of 150 ms, each process with 128 numbers of "
		 "its own; kernels: 6.18-plain, 7.3-um. 1 windows are left out"),
		"| operation | kernel | table | 1 | 2 | 4 |\n",
		"| DUP over an open fd | UML, `dup` | shared | 1.50 | 1.50 | 1.50 |\n",
		"| DUP over an open fd | UML, `exchange` | private | 3.00 | 6.00 | 12.0 |\n",
		"| dup3() over an open fd | native | shared | 2.00 | 2.00 | 2.00 |\n",
		"| close, FIXED_FD_INSTALL | shared | 1.25, 1.00 (0.80) |",
		"| dup3() over an open fd | shared | 2.00, 0.20 (0.10) |",
		"**two**. Median of at most 4 windows",
		"| dup3() over an open fd | native | shared | 7.00 |\n",
		" Measured by something else.\n",
	};
	/* interrupted, emulated, skipped; a system call in UML as if it said something of the table */
	static const char *const not_there[] = {
		"99", "88", "77", "| 8 |", "| dup3() over an open fd | UML", "opcode-2.svg"
	};
	json_t *records = made_up();
	char *first = make(records), *second = make(records);

	CHECK(!strcmp(first, second));
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		CHECK(strstr(first, there[i]), ": '%s' is missing in\n%s", there[i], first);
	for (size_t i = 0; i < sizeof(not_there) / sizeof(not_there[0]); i++)
		CHECK(!strstr(first, not_there[i]), ": '%s' is there", not_there[i]);
	free(first);
	free(second);
	json_decref(records);
}

/* The page has the machine with the most processes, its beginning and its end. */
static void test_summary(void)
{
	static const char *const there[] = {
		"| operation, millions a second | kernel | 1 process | 4, one table | 4, a table each "
		"|\n",
		"| DUP over an open fd | UML, `dup` | 1.50 (1.35 to 1.65) | 1.50 (1.35 to 1.65) | - "
		"|\n",
		"| DUP over an open fd | UML, `exchange` | 2.00 (1.80 to 2.20) | 8.00 (7.20 to 8.80) | "
		"12.0 (10.8 to 13.2) |\n",
		"| dup3() over an open fd | native | 2.00 (1.80 to 2.20) |",
		"(plots/opcode-1.svg)",
		"**one**.",
	};
	json_t *records = made_up();
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	report_opcode_summary(out, records, "plots");
	fclose(out);
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		CHECK(strstr(text, there[i]), ": '%s' is missing in\n%s", there[i], text);
	CHECK(!strstr(text, "**two**"));
	free(text);
	json_decref(records);
}

/* Without records there is no section, and of a single figure no comparison. */
static void test_little(void)
{
	json_t *records = json_array();
	char *text = make(records);

	CHECK(!*text);
	free(text);
	add(records, "one", "dup", "dup", "shared", 2, 1e6);
	text = make(records);
	CHECK(strstr(text, "| DUP over an open fd | UML, `dup` | shared | 1.00 |"));
	CHECK(!strstr(text, "<details>"));
	free(text);
	json_decref(records);
}

static void test_check(void)
{
	static const struct {
		const char *key, *what;
	} wrong[] = { { "schema", "schema 1" },
		      { "method", "without method" },
		      { "kernel", "without method or kernel" },
		      { "table", "without table" },
		      { "processes", "without table, processes" },
		      { "ops_per_s", "or ops_per_s" } };
	json_t *idle = record("one", NULL, "dup", "shared", 1, 0);
	char why[256];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *made = record("one", NULL, "dup", "shared", 1, 1);

		CHECK(report_is_opcode(made) && report_check_opcode(made, why, sizeof(why)));
		json_object_set_new(made, wrong[i].key, json_integer(i == 0));
		CHECK(!report_check_opcode(made, why, sizeof(why)) && strstr(why, wrong[i].what),
		      ": %s: %s", wrong[i].key, why);
		json_decref(made);
	}
	/* a window in which nothing got to run */
	CHECK(!report_check_opcode(idle, why, sizeof(why)));
	json_object_set_new(idle, "interrupted", json_true());
	CHECK(report_check_opcode(idle, why, sizeof(why)));
	json_decref(idle);
}

static void test_plot(void)
{
	json_t *records = made_up();
	char name[64], why[256], *svg;
	size_t len;

	CHECK(report_opcode_plot(records, 0, name, sizeof(name), &svg, &len, why, sizeof(why)) == 1,
	      ": %s", why);
	CHECK(!strcmp(name, "opcode-1.svg"));
	CHECK(strstr(svg, "DUP over an open fd: UML, exchange"));
	free(svg);
	/* the second machine has one number of processes: no curve */
	CHECK(report_opcode_plot(records, 1, name, sizeof(name), &svg, &len, why, sizeof(why)) ==
	      0);
	json_decref(records);
}

int main(void)
{
	test_text();
	test_summary();
	test_little();
	test_check();
	test_plot();
	return check_end();
}
