/* SPDX-License-Identifier: MIT */
/* accept-bench report: RESULTS.md and CSV from records. */
#include "option.h"
#include "cell/record.h"
#include "report/report.h"
#include "report/report_flames.h"
#include "report/report_instructions.h"
#include "report/report_opcode.h"
#include "report/report_plot.h"
#include "report/report_safe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *what, const char *path)
{
	fprintf(stderr, "accept-bench report: cannot %s %s: %s\n", what, path, strerror(errno));
	return EXIT_FAILED;
}

/* A pipe, a terminal, a device: nothing to be put in the place of. */
static int write_through(const char *path, const char *text, size_t len)
{
	FILE *out = fopen(path, "we");
	bool written;

	if (!out)
		return complain("open", path);
	written = fwrite(text, 1, len, out) == len;
	if (fclose(out) || !written)
		return complain("write", path);
	return EXIT_GOOD;
}

/* Beside the old file first, then in its place: a reader sees the old one or the new one, whole. */
static int write_file(const char *path, const char *text, size_t len)
{
	int code = EXIT_GOOD, fd;
	struct stat there;
	char *temporary;
	mode_t mask;
	FILE *out;

	if (!stat(path, &there) && !S_ISREG(there.st_mode))
		return write_through(path, text, len);
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return EXIT_FAILED;
	fd = mkstemp(temporary);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		code = complain("create", temporary);
		if (fd >= 0) {
			close(fd);
			unlink(temporary);
		}
		free(temporary);
		return code;
	}
	mask = umask(0);
	umask(mask);
	fchmod(fd, 0666 & ~mask);
	if (fwrite(text, 1, len, out) != len || fflush(out) || fsync(fd))
		code = complain("write", temporary);
	if (fclose(out) && code == EXIT_GOOD)
		code = complain("write", temporary);
	if (code == EXIT_GOOD && rename(temporary, path))
		code = complain("rename to", path);
	if (code != EXIT_GOOD)
		unlink(temporary);
	free(temporary);
	return code;
}

/* One file of the report, made before any is written. */
struct product {
	char *path, *text;
	size_t len;
};

struct report {
	json_t *records, *opcode, *instructions; /* cells, and struct report_records' others */
	struct report_data data;
	struct report_files files;
	size_t n;
	struct product product[256];
};

static FILE *begin(struct report *report, const char *folder, const char *name)
{
	struct product *product = &report->product[report->n++];
	FILE *out = open_memstream(&product->text, &product->len);

	if (!out || asprintf(&product->path, "%s%s%s", folder, *folder ? "/" : "", name) < 0)
		abort();
	return out;
}

/* The `index`-th picture of the cells, or of the opcode: as report_plot(). */
static int add_plot(struct report *report, const char *folder, size_t index, bool of_opcode)
{
	char name[64], why[512], *svg;
	size_t len;
	FILE *out;
	int ret;

	if (of_opcode)
		ret = report_opcode_plot(report->opcode, index, name, sizeof(name), &svg, &len, why,
					 sizeof(why));
	else
		ret = report_plot(&report->data, index, name, sizeof(name), &svg, &len, why,
				  sizeof(why));
	if (ret < 0)
		fprintf(stderr, "accept-bench report: %s\n", why);
	if (ret <= 0)
		return ret;
	out = begin(report, folder, name);
	fwrite(svg, 1, len, out);
	fclose(out);
	free(svg);
	return ret;
}

static int make_plots(struct report *report, const char *folder)
{
	const size_t most = sizeof(report->product) / sizeof(report->product[0]) - 2;

	for (int of_opcode = 0; of_opcode < 2; of_opcode++) {
		int ret = 1;

		for (size_t i = 0; report->n < most && ret > 0; i++)
			ret = add_plot(report, folder, i, of_opcode);
		if (ret < 0)
			return EXIT_FAILED;
	}
	return EXIT_GOOD;
}

/* All of it in memory first: when something cannot be made, nothing is written. */
static int make(struct report *report)
{
	const struct report_files *files = &report->files;
	FILE *out;

	if (files->csv) { /* first: it has the texts as they are */
		out = begin(report, "", files->csv);
		report_csv(out, report->records);
		fclose(out);
	}
	if (!report_make_safe(report->records) || !report_make_safe(report->opcode) ||
	    !report_make_safe(report->instructions) ||
	    !report_make_safe(report->files.flame_summaries)) {
		fprintf(stderr, "accept-bench report: out of memory\n");
		return EXIT_FAILED;
	}
	report_sort(report->records, &report->data);
	if (files->charts && make_plots(report, files->charts) != EXIT_GOOD)
		return EXIT_FAILED;
	out = begin(report, "", files->out);
	if (json_array_size(report->records))
		report_markdown(out, &report->data, files);
	else if (json_array_size(report->opcode))
		report_opcode_alone(out, report->opcode, report->files.plots);
	else if (json_array_size(report->instructions))
		report_instructions_alone(out, report->instructions);
	else
		report_flames_alone(out, files->flame_summaries, files->flames, files->out);
	fclose(out);
	if (files->page) {
		out = begin(report, "", files->page);
		report_page(out, &report->data, files);
		fclose(out);
	}
	return EXIT_GOOD;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return !strcmp(a, b) || (!stat(a, &x) && !stat(b, &y) && S_ISREG(x.st_mode) &&
				 x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* What a report is made of stays, and no part of it takes another one's place. */
static bool overwrites_input(const struct report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		const char *path = report->product[i].path;

		for (size_t k = 0; k < report->files.n_in; k++) {
			if (!same_file(path, report->files.in[k]))
				continue;
			fprintf(stderr,
				"accept-bench report: will not write over %s, which it reads\n",
				path);
			return true;
		}
		for (size_t k = 0; k < i; k++) {
			if (!same_file(path, report->product[k].path))
				continue;
			fprintf(stderr,
				"accept-bench report: %s was named for two parts of the report\n",
				path);
			return true;
		}
	}
	return false;
}

static int write_all(const struct report *report)
{
	int code = EXIT_GOOD;

	for (size_t i = 0; i < report->n && code == EXIT_GOOD; i++)
		code = write_file(report->product[i].path, report->product[i].text,
				  report->product[i].len);
	return code;
}

static void free_report(struct report *report)
{
	for (size_t i = 0; i < report->n; i++) {
		free(report->product[i].path);
		free(report->product[i].text);
	}
	if (report->data.unknown)
		report_free(&report->data);
	json_decref(report->records);
	json_decref(report->opcode);
	json_decref(report->instructions);
	json_decref(report->files.flame_summaries);
	free(report);
}

/* A file below the report's own folder as seen from there; else as it was given. */
static const char *seen_from(const char *out, const char *path)
{
	const char *slash = strrchr(out, '/');
	size_t len = slash ? (size_t)(slash - out) + 1 : 0;

	if (path && len && !strncmp(path, out, len - 1) && !path[len - 1])
		return "";
	return path && !strncmp(path, out, len) ? path + len : path;
}

/* What is no cell goes where its kind is wanted; what an older or newer program left is said. */
static bool sort_other(const char *command, const char *path, json_t *record,
		       const struct report_records *records)
{
	char why[256];

	if (report_is_opcode(record) && records->opcode) {
		if (report_check_opcode(record, why, sizeof(why)))
			return !json_array_append(records->opcode, record);
	} else if (report_is_instructions(record) && records->instructions) {
		if (report_check_instructions(record, why, sizeof(why)))
			return !json_array_append(records->instructions, record);
	} else {
		fprintf(stderr, "accept-bench %s: %s: not a record that this command reads: '%s'\n",
			command, path, json_string_value(json_object_get(record, RECORD_KIND_KEY)));
		return false;
	}
	fprintf(stderr, "accept-bench %s: %s: a record %s\n", command, path, why);
	return false;
}

bool report_read(const char *command, const char *path, const struct report_records *records)
{
	size_t before = json_array_size(records->cells), i;
	const char *slash = strrchr(path, '/');
	json_t *others = json_array(), *record;
	char why[512];
	bool good;

	good = record_read_all(path, records->cells, others, why, sizeof(why));
	if (!good)
		fprintf(stderr, "accept-bench %s: %s\n", command, why);
	json_array_foreach (others, i, record)
		good = good && sort_other(command, path, record, records);
	if (good && json_array_size(records->cells) == before && !json_array_size(others)) {
		fprintf(stderr, "accept-bench %s: no records in %s\n", command, path);
		good = false;
	}
	json_decref(others);
	for (i = before; good && i < json_array_size(records->cells); i++)
		json_object_set_new(json_array_get(records->cells, i), REPORT_FILE_KEY,
				    json_string(slash ? slash + 1 : path));
	return good;
}

static int report_records(const struct report_files *files)
{
	struct report *report = calloc(1, sizeof(*report));
	struct report_records kinds;
	int code = EXIT_GOOD;

	if (!report)
		abort();
	report->records = json_array();
	report->opcode = json_array();
	report->instructions = json_array();
	kinds = (struct report_records){ report->records, report->opcode, report->instructions };
	report->files = *files;
	report->files.opcode = report->opcode;
	report->files.instructions = report->instructions;
	report->files.flame_summaries = report_flames_read(files->flames);
	if (!report->files.flame_summaries)
		code = EXIT_FAILED;
	for (size_t i = 0; i < files->n_in && code == EXIT_GOOD; i++)
		if (!report_read("report", files->in[i], &kinds))
			code = EXIT_FAILED;
	if (code == EXIT_GOOD)
		code = make(report);
	if (code == EXIT_GOOD && !overwrites_input(report))
		code = write_all(report);
	else
		code = EXIT_FAILED;
	free_report(report);
	return code;
}

int report_command(int argc, char **argv)
{
	struct text_list in = { 0 }, flames = { 0 };
	struct report_files files = { .flames = &flames };
	const struct option_row rows[] = {
		{ "in", OPTION_TEXTS, &in, "FILE", "records; may be repeated", 0, 0, NULL },
		{ "flames", OPTION_TEXTS, &flames, "FOLDER",
		  "flame graphs that scripts/flamegraph left there; may be repeated; without --in the "
		  "report is about them alone",
		  0, 0, NULL },
		{ "out", OPTION_TEXT, &files.out, "FILE", "the report, Markdown", 0, 0, NULL },
		{ "page", OPTION_TEXT, &files.page, "FILE",
		  "one page as well, with what most readers want to know", 0, 0, NULL },
		{ "csv", OPTION_TEXT, &files.csv, "FILE", "one line a record as well", 0, 0, NULL },
		{ "charts", OPTION_TEXT, &files.charts, "FOLDER",
		  "plots by gnuplot (SVG) as well, into this folder that exists; the report shows them",
		  0, 0, NULL },
		{ 0 },
	};
	int code = option_parse("report",
				"Makes the report from records and nothing else: the same records "
				"give the same bytes.",
				rows, argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	if (!(in.n || flames.n) || !files.out || (files.page && !in.n)) {
		fprintf(stderr,
			"accept-bench report: --%s is needed; see accept-bench report "
			"--help\n",
			!(in.n || flames.n) || files.out ? "in" : "out");
		return EXIT_USAGE;
	}
	files.in = in.item;
	files.n_in = in.n;
	files.csv_seen = seen_from(files.out, files.csv);
	files.plots = seen_from(files.out, files.charts);
	if (files.page) {
		files.out_seen = seen_from(files.page, files.out);
		files.plots_seen = seen_from(files.page, files.charts);
	}
	return report_records(&files);
}
