/* SPDX-License-Identifier: MIT */
/* accept-bench report: RESULTS.md and CSV from records. */
#include "option.h"
#include "record.h"
#include "report.h"
#include "report_svg.h"

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
	FILE *out = fopen(path, "w");
	bool written;

	if (!out)
		return complain("open", path);
	written = fwrite(text, 1, len, out) == len;
	if (fclose(out) || !written)
		return complain("write", path);
	return EXIT_OK;
}

/* Beside the old file first, then in its place: a reader sees the old one or the new one, whole. */
static int write_file(const char *path, const char *text, size_t len)
{
	int code = EXIT_OK, fd;
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
	if (fclose(out) && code == EXIT_OK)
		code = complain("write", temporary);
	if (code == EXIT_OK && rename(temporary, path))
		code = complain("rename to", path);
	if (code != EXIT_OK)
		unlink(temporary);
	free(temporary);
	return code;
}

/* A printer's text into a file. `print` returns false when there is nothing to write. */
static int write_printed(const char *path, bool (*print)(FILE *out, void *arg), void *arg)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int code = EXIT_OK;
	bool any;

	if (!memory)
		return complain("hold the text of", path);
	any = print(memory, arg);
	fclose(memory);
	if (any)
		code = write_file(path, text, len);
	free(text);
	return code;
}

struct report {
	json_t *records;
	const struct text_list *in;
	struct report_data data;
	size_t machine;
	const struct report_chart *chart;
};

static bool print_markdown(FILE *out, void *arg)
{
	struct report *report = arg;

	report_markdown(out, &report->data, report->in->item, report->in->n);
	return true;
}

static bool print_csv(FILE *out, void *arg)
{
	struct report *report = arg;

	report_csv(out, report->records);
	return true;
}

static bool print_chart(FILE *out, void *arg)
{
	struct report *report = arg;

	return report_svg(out, &report->data.machines[report->machine], report->machine,
			  report->chart);
}

static int write_charts(struct report *report, const char *folder)
{
	char path[4096];

	for (report->machine = 0; report->machine < report->data.n_machines; report->machine++) {
		for (size_t c = 0; c < report_n_charts; c++) {
			int code;

			report->chart = &report_charts[c];
			snprintf(path, sizeof(path), "%s/%c-%s.svg", folder,
				 (char)('a' + report->machine % 26), report->chart->name);
			code = write_printed(path, print_chart, report);
			if (code != EXIT_OK)
				return code;
		}
	}
	return EXIT_OK;
}

static int make(json_t *records, const struct text_list *in, const char *out, const char *csv,
		const char *charts)
{
	struct report report = { .records = records, .in = in };
	int code;

	report_sort(records, &report.data);
	code = write_printed(out, print_markdown, &report);
	if (code == EXIT_OK && csv)
		code = write_printed(csv, print_csv, &report);
	if (code == EXIT_OK && charts)
		code = write_charts(&report, charts);
	report_free(&report.data);
	return code;
}

int report_command(int argc, char **argv)
{
	const char *out = NULL, *csv = NULL, *charts = NULL;
	struct text_list in = { 0 };
	json_t *records;
	char why[512];
	const struct option_row rows[] = {
		{ "in", OPTION_TEXTS, &in, "FILE", "records; may be repeated", 0, 0, NULL },
		{ "out", OPTION_TEXT, &out, "FILE", "the report, Markdown", 0, 0, NULL },
		{ "csv", OPTION_TEXT, &csv, "FILE", "one line a record as well", 0, 0, NULL },
		{ "charts", OPTION_TEXT, &charts, "FOLDER",
		  "SVG pictures as well, into this folder that exists", 0, 0, NULL },
		{ 0 },
	};
	int code = option_parse("report",
				"Makes the report from records and nothing else: the same records "
				"give the same bytes.",
				rows, argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	if (!in.n || !out) {
		fprintf(stderr,
			"accept-bench report: --%s is needed; see accept-bench report "
			"--help\n",
			in.n ? "out" : "in");
		return EXIT_USAGE;
	}
	records = json_array();
	code = EXIT_OK;
	for (size_t i = 0; i < in.n && code == EXIT_OK; i++) {
		if (!record_read(in.item[i], records, why, sizeof(why))) {
			fprintf(stderr, "accept-bench report: %s\n", why);
			code = EXIT_FAILED;
		}
	}
	if (code == EXIT_OK && !json_array_size(records)) {
		fprintf(stderr, "accept-bench report: no records in %s\n", in.item[0]);
		code = EXIT_FAILED;
	}
	if (code == EXIT_OK)
		code = make(records, &in, out, csv, charts);
	json_decref(records);
	return code;
}
