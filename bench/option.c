/* SPDX-License-Identifier: MIT */
/* Parsing, range checks and help for option tables. See option.h. */
#include "option.h"
#include "server/quantity.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64

static void print_time(FILE *out, uint64_t ns)
{
	if (ns && ns % 1000000000 == 0)
		fprintf(out, "%" PRIu64 "s", ns / 1000000000);
	else if (ns && ns % 1000000 == 0)
		fprintf(out, "%" PRIu64 "ms", ns / 1000000);
	else if (ns && ns % 1000 == 0)
		fprintf(out, "%" PRIu64 "us", ns / 1000);
	else
		fprintf(out, "%" PRIu64 "%s", ns, ns ? "ns" : "");
}

static void print_choices(FILE *out, const struct option_row *row)
{
	for (const char *const *choice = row->choices; *choice; choice++)
		fprintf(out, "%s%s", choice == row->choices ? "" : "|", *choice);
}

/* What the option accepts, for the help and for every refusal. */
static void print_range(FILE *out, const struct option_row *row)
{
	switch (row->kind) {
	case OPTION_COUNT:
	case OPTION_COUNTS:
		fprintf(out, "%" PRIu64 " to %" PRIu64, row->min, row->max);
		if (row->kind == OPTION_COUNTS)
			fprintf(out, ", at most %d separated by commas", LIST_MAX);
		break;
	case OPTION_TIME:
		print_time(out, row->min);
		fprintf(out, " to ");
		print_time(out, row->max);
		fprintf(out, ", with a unit: ns, us, ms, s, m or h");
		break;
	case OPTION_CHOICES:
		fprintf(out, "separated by commas: ");
		print_choices(out, row);
		break;
	case OPTION_CHOICE:
		print_choices(out, row);
		break;
	default:
		fprintf(out, "%s", row->argument ? row->argument : "no value");
	}
}

static void print_text(FILE *out, const char *text)
{
	if (!text)
		return;
	fprintf(out, " [");
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else
			fputc(*text, out);
	}
	fprintf(out, "]");
}

static void print_default(FILE *out, const struct option_row *row)
{
	const struct count_list *list = row->value;

	switch (row->kind) {
	case OPTION_COUNT:
		fprintf(out, " [%" PRIu64 "]", *(uint64_t *)row->value);
		break;
	case OPTION_TIME:
		fprintf(out, " [");
		print_time(out, *(uint64_t *)row->value);
		fprintf(out, "]");
		break;
	case OPTION_TEXT:
		print_text(out, *(const char **)row->value);
		break;
	case OPTION_CHOICE:
		fprintf(out, " [%s]", row->choices[*(int *)row->value]);
		break;
	case OPTION_CHOICES:
		for (size_t i = 0; i < list->n; i++)
			fprintf(out, "%s%s", i ? "," : " [", row->choices[list->item[i]]);
		fprintf(out, "%s", list->n ? "]" : "");
		break;
	case OPTION_COUNTS:
		for (size_t i = 0; i < list->n; i++)
			fprintf(out, "%s%" PRIu64, i ? "," : " [", list->item[i]);
		fprintf(out, "%s", list->n ? "]" : "");
		break;
	default:
		break;
	}
}

static void print_help(const char *command, const char *summary, const struct option_row *rows)
{
	printf("usage: accept-bench %s [option]...\n\n%s\n\n", command, summary);
	for (const struct option_row *row = rows; row->name; row++) {
		printf("  --%s%s%s\n        %s", row->name, row->argument ? " " : "",
		       row->argument ? row->argument : "", row->help);
		print_default(stdout, row);
		if (row->kind != OPTION_FLAG && row->kind != OPTION_TEXT &&
		    row->kind != OPTION_TEXTS) {
			printf("; ");
			print_range(stdout, row);
		}
		printf("\n");
	}
	printf("  --help\n        print this and exit\n\n"
	       "exit codes: " EXIT_CODES_HELP "\n");
}

static bool parse_choice(const struct option_row *row, const char *text, uint64_t *index)
{
	for (*index = 0; row->choices[*index]; ++*index)
		if (!strcmp(row->choices[*index], text))
			return true;
	return false;
}

static bool parse_item(const struct option_row *row, const char *text, uint64_t *value)
{
	if (row->kind == OPTION_CHOICE || row->kind == OPTION_CHOICES)
		return parse_choice(row, text, value);
	if (row->kind == OPTION_TIME) {
		if (!quantity_time(text, value))
			return false;
	} else if (!quantity_count(text, value)) {
		return false;
	}
	return *value >= row->min && *value <= row->max;
}

static bool parse_list(const struct option_row *row, const char *text)
{
	struct count_list *list = row->value;
	char copy[512];
	char *cursor = copy;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	list->n = 0;
	while (cursor) {
		char *item = strsep(&cursor, ",");

		if (list->n == LIST_MAX || !parse_item(row, item, &list->item[list->n]))
			return false;
		list->n++;
	}
	return true;
}

static bool parse_value(const struct option_row *row, const char *text)
{
	struct text_list *texts = row->value;
	uint64_t number;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)row->value = true;
		return true;
	case OPTION_TEXT:
		*(const char **)row->value = text;
		return *text != '\0';
	case OPTION_TEXTS:
		if (texts->n == LIST_MAX)
			return false;
		texts->item[texts->n++] = text;
		return true;
	case OPTION_CHOICES:
	case OPTION_COUNTS:
		return parse_list(row, text);
	case OPTION_CHOICE:
		if (!parse_item(row, text, &number))
			return false;
		*(int *)row->value = (int)number;
		return true;
	default:
		return parse_item(row, text, row->value);
	}
}

static int refuse(const char *command, const struct option_row *row, const char *text)
{
	fprintf(stderr, "accept-bench %s: --%s: '%s' is not valid; it takes ", command, row->name,
		text);
	print_range(stderr, row);
	fprintf(stderr, "\n");
	return EXIT_USAGE;
}

int option_parse(const char *command, const char *summary, const struct option_row *rows, int argc,
		 char **argv)
{
	struct option table[ROWS_MAX + 2] = { 0 };
	int n = 0;

	for (; rows[n].name; n++) {
		if (n == ROWS_MAX)
			abort();
		table[n] = (struct option){ rows[n].name, rows[n].kind != OPTION_FLAG, NULL, n };
	}
	table[n] = (struct option){ "help", no_argument, NULL, ROWS_MAX };

	opterr = 0;
	optind = 1;
	for (;;) {
		int at = optind;
		/* "+": an operand ends the options; ":": a missing argument is told apart. */
		int chosen = getopt_long(argc, argv, "+:", table, NULL);

		if (chosen == -1)
			break;
		if (chosen == ROWS_MAX) {
			print_help(command, summary, rows);
			return EXIT_GOOD;
		}
		if (chosen == '?' || chosen == ':') {
			fprintf(stderr, "accept-bench %s: %s '%s'; see accept-bench %s --help\n",
				command,
				chosen == ':' ? "a value is missing after" : "unknown option",
				argv[at], command);
			return EXIT_USAGE;
		}
		if (!parse_value(&rows[chosen], optarg))
			return refuse(command, &rows[chosen], optarg);
	}
	if (optind < argc) {
		fprintf(stderr,
			"accept-bench %s: unexpected argument '%s'; see accept-bench %s --help\n",
			command, argv[optind], command);
		return EXIT_USAGE;
	}
	return OPTION_GO_ON;
}
