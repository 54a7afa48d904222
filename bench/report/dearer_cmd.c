/* SPDX-License-Identifier: MIT */
/*
 * accept-bench dearer: does a connection cost more instructions than an earlier record says?
 *
 * Compares every combination of path, kernel and number of connections in flight that both files
 * have. Of the runs that were counted by the clock, each file's lowest count is used, since
 * disturbances only add instructions. Counts of different kernel releases, or of kernels and servers
 * built by different compilers, are not comparable and are skipped.
 */
#include "cell/record.h"
#include "instructions/instructions_cmd.h"
#include "option.h"
#include "report/report.h"
#include "report/report_instructions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct comparison {
	json_t *was, *is;
	double limit;
	size_t n, dearer;
};

/* What is the same in both was made by the same compilers. */
static bool same_makers(json_t *a, json_t *b)
{
	return json_equal(json_object_get(a, "compiler"), json_object_get(b, "compiler")) &&
	       json_equal(json_object_get(a, "kernel_compiler"),
			  json_object_get(b, "kernel_compiler"));
}

static bool same_kernel(json_t *records, json_t *record)
{
	struct instructions_key key = report_instructions_key(record);
	json_t *other;
	size_t i;

	json_array_foreach (records, i, other)
		if (!strcmp(report_instructions_key(other).kernel, key.kernel) &&
		    same_makers(other, record))
			return true;
	return false;
}

static void compare(struct comparison *c, const struct instructions_key *key)
{
	double was = report_instructions_of(c->was, key, INSTRUCTIONS_ALL, "per_connection").min;
	double is = report_instructions_of(c->is, key, INSTRUCTIONS_ALL, "per_connection").min;
	bool dearer = is > was * (1 + c->limit);

	if (!(was > 0 && is > 0))
		return;
	c->n++;
	c->dearer += dearer;
	printf("%s, %s, %u in flight: %.0f instructions a connection, were %.0f (%+.1f %%)%s\n",
	       key->kernel, key->path, key->in_flight, is, was, 100 * (is / was - 1),
	       dearer ? ": dearer" : "");
}

static bool is_new(json_t *seen, const struct instructions_key *key)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %s %u", key->kernel, key->path, key->in_flight);
	if (json_object_get(seen, text))
		return false;
	json_object_set_new(seen, text, json_true());
	return true;
}

static int compare_all(struct comparison *c, uint64_t percent)
{
	json_t *seen = json_object(), *record;
	size_t i;

	json_array_foreach (c->is, i, record) {
		struct instructions_key key = report_instructions_key(record);

		if (same_kernel(c->was, record) && is_new(seen, &key))
			compare(c, &key);
	}
	json_decref(seen);
	if (!c->n) {
		fprintf(stderr,
			"accept-bench dearer: the two have no path on the same kernel, of the "
			"same compilers, in common: nothing was compared\n");
		return EXIT_SKIPPED;
	}
	printf("%zu of %zu are more than %" PRIu64 " %% dearer\n", c->dearer, c->n, percent);
	return c->dearer ? EXIT_FAILED : EXIT_GOOD;
}

static bool read_all(const struct text_list *files, json_t *instructions)
{
	json_t *records = json_array();
	bool good = true;

	for (size_t i = 0; i < files->n && good; i++)
		good = report_read(
			"dearer", files->item[i],
			&(struct report_records){ .cells = records, .instructions = instructions });
	json_decref(records);
	return good;
}

int dearer_command(int argc, char **argv)
{
	struct comparison c = { .was = json_array(), .is = json_array() };
	struct text_list was = { 0 }, is = { 0 };
	uint64_t percent = 3;
	const struct option_row rows[] = {
		{ "than", OPTION_TEXTS, &was, "FILE", "earlier records; may be repeated", 0, 0,
		  NULL },
		{ "in", OPTION_TEXTS, &is, "FILE", "new records; may be repeated", 0, 0, NULL },
		{ "percent", OPTION_COUNT, &percent, "N",
		  "a path that takes this much more than before is a failure", 0, 100, NULL },
		{ 0 },
	};
	int code = option_parse(
		"dearer",
		"Compares instructions per connection with those in earlier records.\nThe exit code "
		"is 1 if a path takes more than --percent more, 77 if nothing could be compared.",
		rows, argc, argv);

	if (code == OPTION_GO_ON && (!was.n || !is.n)) {
		fprintf(stderr,
			"accept-bench dearer: --%s is needed; see accept-bench dearer --help\n",
			was.n ? "in" : "than");
		code = EXIT_USAGE;
	}
	if (code == OPTION_GO_ON) {
		c.limit = (double)percent / 100;
		code = read_all(&was, c.was) && read_all(&is, c.is) ? compare_all(&c, percent)
								    : EXIT_FAILED;
	}
	json_decref(c.was);
	json_decref(c.is);
	return code;
}
