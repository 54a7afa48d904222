/* SPDX-License-Identifier: MIT */
/* accept-bench report: RESULTS.md and CSV from records. */
#include "option.h"
#include "record.h"
#include "report.h"

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

/* Beside the old file first, then in its place: a reader sees the old one or the new one, whole. */
static int write_file(const char *path, const char *text, size_t len)
{
	int code = EXIT_OK, fd;
	char *temporary;
	mode_t mask;
	FILE *out;

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

static int make(json_t *records, const struct text_list *in, const char *out, const char *csv)
{
	struct report_data data;
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int code;

	if (!memory)
		return complain("hold", "the report");
	report_sort(records, &data);
	report_markdown(memory, &data, in->item, in->n);
	report_free(&data);
	fclose(memory);
	code = write_file(out, text, len);
	free(text);
	if (code != EXIT_OK || !csv)
		return code;
	memory = open_memstream(&text, &len);
	if (!memory)
		return complain("hold", "the table");
	report_csv(memory, records);
	fclose(memory);
	code = write_file(csv, text, len);
	free(text);
	return code;
}

int report_command(int argc, char **argv)
{
	const char *out = NULL, *csv = NULL;
	struct text_list in = { 0 };
	json_t *records;
	char why[512];
	const struct option_row rows[] = {
		{ "in", OPTION_TEXTS, &in, "FILE", "records; may be repeated", 0, 0, NULL },
		{ "out", OPTION_TEXT, &out, "FILE", "the report, Markdown", 0, 0, NULL },
		{ "csv", OPTION_TEXT, &csv, "FILE", "one line a record as well", 0, 0, NULL },
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
		code = make(records, &in, out, csv);
	json_decref(records);
	return code;
}
