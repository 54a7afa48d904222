/* SPDX-License-Identifier: MIT */
/* See report_opcode.h. */
#include "report/report_opcode.h"
#include "report/report_plot.h"
#include "report/stats.h"

#include <stdlib.h>
#include <string.h>

#define OPCODE_SCHEMA 2
#define MACHINES      16
#define COLUMNS	      32
#define REPETITIONS   256
#define TEXT	      256

/* A line of the table: a way to put a file at a number, on one kernel. */
struct row {
	const char *method, *where, *title, *kernel;
	bool in_table; /* system calls cost too much in user-mode Linux to say anything there */
	const char *colour; /* NULL: not in the picture */
};

#define NATIVE	 "native"
#define UM_DUP	 "dup"
#define UM_XCHG	 "exchange"
#define UM_PROTO "exchange-prototype"

#define INSTALL	  "close, FIXED_FD_INSTALL"
#define CLOSE_DUP "close(), dup()"
#define DUP3	  "dup3() over an open fd"
#define DUP	  "DUP over an open fd"

static const struct row rows[] = {
	{ "install-close", NATIVE, INSTALL, "native", true, "#b279a2" },
	{ "install-close", UM_DUP, INSTALL, "UML, `dup`", true, "#b05080" },
	{ "install-close", UM_PROTO, INSTALL, "UML, prototype of `exchange`", true, NULL },
	{ "install-close", UM_XCHG, INSTALL, "UML, `exchange`", true, NULL },
	{ "close-dup", NATIVE, CLOSE_DUP, "native", true, "#c44e52" },
	{ "close-dup", UM_DUP, CLOSE_DUP, "UML, `dup`", false, NULL },
	{ "dup3", NATIVE, DUP3, "native", true, "#937860" },
	{ "dup3", UM_DUP, DUP3, "UML, `dup`", false, NULL },
	{ "dup", UM_DUP, DUP, "UML, `dup`", true, "#2a7f62" },
	{ "dup", UM_PROTO, DUP, "UML, prototype of `exchange`", true, "#4c78a8" },
	{ "dup", UM_XCHG, DUP, "UML, `exchange`", true, "#1f4e9c" },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const tables[] = { "shared", "private" };

/* One machine's part of the records. */
struct curve {
	char machine[TEXT];
	json_t *records; /* those that count */
	size_t n_columns, interrupted;
	unsigned column[COLUMNS]; /* processes, ascending */
};

static const char *text_of(json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

bool report_is_opcode(json_t *record)
{
	return !strcmp(text_of(record, "record"), "dup_bench");
}

bool report_check_opcode(json_t *record, char *why, size_t why_len)
{
	json_int_t schema = json_integer_value(json_object_get(record, "schema"));
	bool skipped = json_is_string(json_object_get(record, "skipped"));
	bool interrupted = json_is_true(json_object_get(record, "interrupted"));
	json_t *rate = json_object_get(record, "ops_per_s");

	if (schema != OPCODE_SCHEMA)
		snprintf(why, why_len, "of dup_bench, with schema %lld; this program reads %d",
			 (long long)schema, OPCODE_SCHEMA);
	else if (!json_is_string(json_object_get(record, "method")) ||
		 !json_is_string(json_object_get(record, "kernel")))
		snprintf(why, why_len, "of dup_bench, without method or kernel");
	else if (!skipped &&
		 (!json_is_string(json_object_get(record, "table")) ||
		  json_integer_value(json_object_get(record, "processes")) <= 0 ||
		  !json_is_number(rate) || (json_number_value(rate) <= 0 && !interrupted)))
		snprintf(why, why_len, "of dup_bench, without table, processes or ops_per_s");
	else
		return true;
	return false;
}

/* On which kernel; "" for what is no part of the curve, as an emulated guest. */
static const char *where_of(json_t *record)
{
	if (json_is_true(json_object_get(record, "user_mode_linux")))
		return text_of(record, "series");
	return *text_of(record, "accelerator") ? "" : NATIVE;
}

static void machine_of(json_t *record, char text[TEXT])
{
	if (*text_of(record, "machine"))
		snprintf(text, TEXT, "%s", text_of(record, "machine"));
	else
		snprintf(text, TEXT, "%s, %lld CPUs", text_of(record, "cpu"),
			 (long long)json_integer_value(json_object_get(record, "cpus")));
}

/* ---- one machine ---- */

static void add_column(struct curve *curve, unsigned processes)
{
	size_t i = curve->n_columns;

	for (size_t c = 0; c < curve->n_columns; c++)
		if (curve->column[c] == processes)
			return;
	if (curve->n_columns == COLUMNS)
		return;
	for (; i > 0 && curve->column[i - 1] > processes; i--)
		curve->column[i] = curve->column[i - 1];
	curve->column[i] = processes;
	curve->n_columns++;
}

/* The `index`-th machine in the order of the records; false when there are not so many. */
static bool find_curve(json_t *opcode, size_t index, struct curve *curve)
{
	char seen[MACHINES][TEXT], machine[TEXT];
	json_t *record;
	size_t n = 0, i;

	json_array_foreach (opcode, i, record) {
		size_t m = 0;

		if (json_object_get(record, "skipped") || !*where_of(record))
			continue;
		machine_of(record, machine);
		while (m < n && strcmp(seen[m], machine))
			m++;
		if (m == n && n < MACHINES)
			snprintf(seen[n++], TEXT, "%s", machine);
	}
	if (index >= n)
		return false;
	*curve = (struct curve){ .records = json_array() };
	snprintf(curve->machine, TEXT, "%s", seen[index]);
	json_array_foreach (opcode, i, record) {
		machine_of(record, machine);
		if (json_object_get(record, "skipped") || !*where_of(record) ||
		    strcmp(machine, curve->machine))
			continue;
		if (json_is_true(json_object_get(record, "interrupted"))) {
			curve->interrupted++;
			continue;
		}
		json_array_append(curve->records, record);
		add_column(curve,
			   (unsigned)json_integer_value(json_object_get(record, "processes")));
	}
	return true;
}

/* Millions of operations a second, over the repetitions. */
static struct summary figure(const struct curve *curve, const struct row *row, const char *table,
			     unsigned processes)
{
	double value[REPETITIONS];
	json_t *record;
	size_t n = 0, i;

	json_array_foreach (curve->records, i, record)
		if (n < REPETITIONS && !strcmp(text_of(record, "method"), row->method) &&
		    !strcmp(where_of(record), row->where) &&
		    !strcmp(text_of(record, "table"), table) &&
		    json_integer_value(json_object_get(record, "processes")) == processes)
			value[n++] = json_number_value(json_object_get(record, "ops_per_s")) / 1e6;
	return stats_summary(value, n);
}

static bool has_row(const struct curve *curve, const struct row *row, const char *table)
{
	for (size_t c = 0; c < curve->n_columns; c++)
		if (figure(curve, row, table, curve->column[c]).n)
			return true;
	return false;
}

static void print_million(FILE *out, double value)
{
	fprintf(out, "%.*f", value < 10 ? 2 : 1, value);
}

/* ---- text ---- */

static void print_table(FILE *out, const struct curve *curve)
{
	fprintf(out, "| operation | kernel | table |");
	for (size_t c = 0; c < curve->n_columns; c++)
		fprintf(out, " %u |", curve->column[c]);
	fprintf(out, "\n|---|---|---|");
	for (size_t c = 0; c < curve->n_columns; c++)
		fprintf(out, "--:|");
	fprintf(out, "\n");
	for (size_t t = 0; t < 2; t++) {
		for (size_t r = 0; r < ROWS; r++) {
			if (!rows[r].in_table || !has_row(curve, &rows[r], tables[t]))
				continue;
			fprintf(out, "| %s | %s | %s |", rows[r].title, rows[r].kernel, tables[t]);
			for (size_t c = 0; c < curve->n_columns; c++) {
				struct summary s =
					figure(curve, &rows[r], tables[t], curve->column[c]);

				fprintf(out, " ");
				if (s.n)
					print_million(out, s.median);
				else
					fprintf(out, "-");
				fprintf(out, " |");
			}
			fprintf(out, "\n");
		}
	}
	fprintf(out, "\n");
}

static void print_spread(FILE *out, struct summary s)
{
	if (!s.n) {
		fprintf(out, " - |");
		return;
	}
	fprintf(out, " ");
	print_million(out, s.median);
	if (s.n > 1) {
		fprintf(out, " (");
		print_million(out, s.min);
		fprintf(out, " to ");
		print_million(out, s.max);
		fprintf(out, ")");
	}
	fprintf(out, " |");
}

/* The most processes that DUP was measured with on a shared table, or that anything was. */
static unsigned end_of(const struct curve *curve)
{
	for (size_t c = curve->n_columns; c-- > 0;)
		for (size_t r = 0; r < ROWS; r++)
			if (!strcmp(rows[r].method, "dup") &&
			    figure(curve, &rows[r], tables[0], curve->column[c]).n)
				return curve->column[c];
	return curve->n_columns ? curve->column[curve->n_columns - 1] : 0;
}

/* What the curve says at its beginning and where most processes meet. */
static void print_ends(FILE *out, const struct curve *curve)
{
	unsigned end = end_of(curve);

	fprintf(out,
		"| operation, millions a second | kernel | 1 process | %u, one table | "
		"%u, a table each |\n|---|---|--:|--:|--:|\n",
		end, end);
	for (size_t r = 0; r < ROWS; r++) {
		if (!rows[r].in_table || !has_row(curve, &rows[r], tables[0]))
			continue;
		fprintf(out, "| %s | %s |", rows[r].title, rows[r].kernel);
		print_spread(out, figure(curve, &rows[r], tables[0], 1));
		print_spread(out, figure(curve, &rows[r], tables[0], end));
		print_spread(out, figure(curve, &rows[r], tables[1], end));
		fprintf(out, "\n");
	}
	fprintf(out, "\n");
}

static const struct row *native_row(const struct row *um)
{
	for (size_t r = 0; r < ROWS; r++)
		if (!strcmp(rows[r].where, NATIVE) && !strcmp(rows[r].method, um->method))
			return &rows[r];
	return NULL;
}

/* Why a figure of user-mode Linux is to be believed: the same operation on the machine's kernel. */
static void print_beside(FILE *out, const struct curve *curve)
{
	bool any = false;

	for (size_t t = 0; t < 2; t++) {
		for (size_t r = 0; r < ROWS; r++) {
			const struct row *native = native_row(&rows[r]);

			if (!native || strcmp(rows[r].where, UM_DUP) ||
			    !has_row(curve, &rows[r], tables[t]) ||
			    !has_row(curve, native, tables[t]))
				continue;
			if (!any) {
				fprintf(out,
					"<details><summary>Native beside user-mode Linux</summary>\n\n"
					"The same machine: native, UML, and UML's part of native:\n\n"
					"| operation | table |");
				for (size_t c = 0; c < curve->n_columns; c++)
					fprintf(out, " %u |", curve->column[c]);
				fprintf(out, "\n|---|---|");
				for (size_t c = 0; c < curve->n_columns; c++)
					fprintf(out, "--:|");
				fprintf(out, "\n");
			}
			any = true;
			fprintf(out, "| %s | %s |", rows[r].title, tables[t]);
			for (size_t c = 0; c < curve->n_columns; c++) {
				struct summary um =
					figure(curve, &rows[r], tables[t], curve->column[c]);
				struct summary n =
					figure(curve, native, tables[t], curve->column[c]);

				if (!um.n || !n.n) {
					fprintf(out, " - |");
					continue;
				}
				fprintf(out, " ");
				print_million(out, n.median);
				fprintf(out, ", ");
				print_million(out, um.median);
				fprintf(out, " (%.2f) |", um.median / n.median);
			}
			fprintf(out, "\n");
		}
	}
	if (any)
		fprintf(out,
			"\nA figure of UML may be taken for one of this machine where its part of "
			"native is near 1, as it is to be where the lock is the limit: on a shared "
			"table with some processes. Elsewhere UML is slower, most of all in system "
			"calls, which cost microseconds there, so its figures are to be compared with "
			"each other only, and dup3() and dup() say nothing of the table.\n\n</details>\n\n");
}

/* Every different value of a key once. */
static void print_once(FILE *out, json_t *records, const char *key, const char *before,
		       const char *between)
{
	json_t *seen = json_object(), *record;
	size_t i;

	json_array_foreach (records, i, record) {
		const char *text = text_of(record, key);

		if (!*text || json_object_get(seen, text))
			continue;
		json_object_set_new(seen, text, json_true());
		fprintf(out, "%s%s", json_object_size(seen) > 1 ? between : before, text);
	}
	json_decref(seen);
}

static void smallest_and_largest(json_t *records, const char *key, double *least, double *most)
{
	json_t *record;
	size_t i;

	*least = *most = 0;
	json_array_foreach (records, i, record) {
		double value = json_number_value(json_object_get(record, key));

		*least = i == 0 || value < *least ? value : *least;
		*most = value > *most ? value : *most;
	}
}

static size_t repetitions(const struct curve *curve)
{
	size_t most = 0;

	for (size_t r = 0; r < ROWS; r++)
		for (size_t t = 0; t < 2; t++)
			for (size_t c = 0; c < curve->n_columns; c++) {
				size_t n = figure(curve, &rows[r], tables[t], curve->column[c]).n;

				most = n > most ? n : most;
			}
	return most;
}

static void print_how(FILE *out, const struct curve *curve)
{
	double least, most;

	fprintf(out, "**%s**. Median of at most %zu windows", curve->machine, repetitions(curve));
	smallest_and_largest(curve->records, "window_ms", &least, &most);
	if (least > 0)
		fprintf(out, least == most ? " of %.0f ms" : " of %.0f to %.0f ms", least, most);
	smallest_and_largest(curve->records, "fds_of_a_process", &least, &most);
	if (most > 0)
		fprintf(out, ", each process with %.0f numbers of its own", most);
	print_once(out, curve->records, "kernel", "; kernels: ", ", ");
	fprintf(out, ".");
	if (curve->interrupted)
		fprintf(out,
			" %zu windows are left out, in which a process was without its CPU in every "
			"try.",
			curve->interrupted);
	print_once(out, curve->records, "origin", " ", " ");
	fprintf(out, "\n\n");
}

static void plot_name(size_t machine, char *name, size_t size)
{
	snprintf(name, size, "opcode-%zu.svg", machine + 1);
}

static bool has_plot(const struct curve *curve)
{
	bool any = false;

	for (size_t r = 0; r < ROWS; r++)
		any = any || (rows[r].colour && (has_row(curve, &rows[r], tables[0]) ||
						 has_row(curve, &rows[r], tables[1])));
	return any && curve->n_columns > 1;
}

static void print_picture(FILE *out, const struct curve *curve, size_t machine, const char *plots)
{
	char name[64];

	if (!plots || !has_plot(curve))
		return;
	plot_name(machine, name, sizeof(name));
	fprintf(out, "![operations per second by processes, %s](%s%s%s)\n\n", curve->machine, plots,
		*plots ? "/" : "", name);
}

/* The machine with the most processes on one table. */
static size_t largest(json_t *opcode)
{
	struct curve curve;
	size_t best = 0;
	unsigned most = 0;

	for (size_t m = 0; find_curve(opcode, m, &curve); m++) {
		if (end_of(&curve) > most) {
			most = end_of(&curve);
			best = m;
		}
		json_decref(curve.records);
	}
	return best;
}

void report_opcode_summary(FILE *out, json_t *opcode, const char *plots)
{
	size_t machine = largest(opcode);
	struct curve curve;

	if (!find_curve(opcode, machine, &curve))
		return;
	fprintf(out,
		"The operations alone, without a server: processes that share an fd table, or have one "
		"each, replace the files at fds of their own. Natively, and in user-mode Linux "
		"(UML) with a series of patches. ");
	print_how(out, &curve);
	print_picture(out, &curve, machine, plots);
	print_ends(out, &curve);
	json_decref(curve.records);
}

void report_opcode(FILE *out, json_t *opcode, const char *plots)
{
	struct curve curve;

	for (size_t m = 0; find_curve(opcode, m, &curve); m++) {
		if (m == 0)
			fprintf(out,
				"## Processes at one table: operations per second\n\n"
				"What the lock lets through, without a server around it: processes that "
				"share a table of file descriptors, or have one each, replace the files "
				"at fds of their own, in millions of operations per second, by "
				"their number. In user-mode Linux (UML) the patched kernel runs as "
				"native code on all CPUs, with the lock of any kernel "
				"(`kernel/measure curve`).\n\n");
		print_picture(out, &curve, m, plots);
		print_how(out, &curve);
		print_table(out, &curve);
		print_beside(out, &curve);
		json_decref(curve.records);
	}
}

void report_opcode_alone(FILE *out, json_t *opcode, const char *plots)
{
	fprintf(out, "# Results\n\nMade by `accept-bench report` from records of the opcode "
		     "alone.\n\n");
	report_opcode(out, opcode, plots);
}

/* ---- the picture ---- */

static void print_points(FILE *out, const struct curve *curve, const struct row *row,
			 const char *table, size_t name)
{
	fprintf(out, "$d%zu << EOD\n", name);
	for (size_t c = 0; c < curve->n_columns; c++) {
		struct summary s = figure(curve, row, table, curve->column[c]);

		if (s.n)
			fprintf(out, "%u %.6g %.6g %.6g\n", curve->column[c], s.median, s.min,
				s.max);
	}
	fprintf(out, "EOD\n");
}

/* gnuplot's enhanced text takes some signs for itself. */
static void print_plain(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '`')
			continue;
		else
			fputc(strchr("_^@&~{}\"\\", *text) ? ' ' : *text, out);
}

static void print_script(FILE *out, const struct curve *curve)
{
	const char *separator = "plot ";

	fprintf(out,
		"set encoding utf8\n"
		"set terminal svg size 800,480 enhanced font 'sans-serif,12' background '#ffffff'\n"
		"set title \"Millions of operations per second on one fd table\\n{/*0.8 ");
	print_plain(out, curve->machine);
	fprintf(out,
		"}\\n{/*0.8 median, smallest and largest run; dashed: a table each}\"\n"
		"set border 3 lc '#888888'\nset tics nomirror out tc '#222222'\n"
		"set grid lc '#dddddd'\nset logscale y\nset xlabel 'processes'\n"
		"set key outside bottom center horizontal maxcols 2 samplen 2 width 2 noenhanced\nset xrange [%.6g:%.6g]\nset xtics (",
		curve->column[0] * 0.5, curve->column[curve->n_columns - 1] + 0.5);
	for (size_t c = 0; c < curve->n_columns; c++)
		fprintf(out, "%s%u", c ? ", " : "", curve->column[c]);
	fprintf(out, ")\n");
	for (size_t r = 0; r < ROWS; r++)
		for (size_t t = 0; t < 2 && rows[r].colour; t++)
			print_points(out, curve, &rows[r], tables[t], 2 * r + t);
	for (size_t r = 0; r < ROWS; r++) {
		for (size_t t = 0; t < 2 && rows[r].colour; t++) {
			if (!has_row(curve, &rows[r], tables[t]))
				continue;
			fprintf(out,
				"%s$d%zu using 1:2:3:4 with yerrorlines lw 1.5 pt 7 ps 0.4 dt %d lc '%s' ",
				separator, 2 * r + t, t ? 2 : 1, rows[r].colour);
			if (t) {
				fprintf(out, "notitle");
			} else {
				fprintf(out, "title \"%s: ", rows[r].title);
				print_plain(out, rows[r].kernel);
				fprintf(out, "\"");
			}
			separator = ", ";
		}
	}
	fprintf(out, "\n");
}

int report_opcode_plot(json_t *opcode, size_t index, char *name, size_t name_size, char **svg,
		       size_t *len, char *why, size_t why_len)
{
	struct curve curve;
	char *script = NULL;
	size_t script_len;
	bool good;
	FILE *out;

	for (size_t m = 0; find_curve(opcode, m, &curve); m++) {
		if (!has_plot(&curve) || index--) {
			json_decref(curve.records);
			continue;
		}
		plot_name(m, name, name_size);
		out = open_memstream(&script, &script_len);
		if (!out)
			abort();
		print_script(out, &curve);
		fclose(out);
		good = report_run_gnuplot(script, script_len, svg, len, why, why_len);
		free(script);
		json_decref(curve.records);
		return good ? 1 : -1;
	}
	return 0;
}
