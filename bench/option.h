/* SPDX-License-Identifier: MIT */
/*
 * Command lines: one table per subcommand. Parsing, range checks and the help text with the current
 * defaults all use the table, so that they always agree.
 */
#ifndef BENCH_OPTION_H
#define BENCH_OPTION_H

#include "server/exit_codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,	/* bool: present or not */
	OPTION_COUNT,	/* uint64_t: 20k; see server/quantity.h */
	OPTION_TIME,	/* uint64_t nanoseconds, with a unit: 5s, 200ms */
	OPTION_TEXT,	/* const char * */
	OPTION_TEXTS,	/* struct text_list: may be given several times */
	OPTION_CHOICE,	/* int: index into choices */
	OPTION_CHOICES, /* struct count_list of indices into choices: a,b,c */
	OPTION_COUNTS,	/* struct count_list: 1,2,4 */
};

#define LIST_MAX 24

struct count_list {
	size_t n;
	uint64_t item[LIST_MAX];
};

struct text_list {
	size_t n;
	const char *item[LIST_MAX];
};

struct option_row {
	const char *name;
	enum option_kind kind;
	void *value;
	const char *argument; /* name of the argument in the help */
	const char *help;
	uint64_t min, max;
	const char *const *choices; /* ends with NULL; only for OPTION_CHOICE and OPTION_CHOICES */
};

/* Returned by option_parse() if the program is to continue; any other value is an exit code. */
#define OPTION_GO_ON (-1)

/*
 * Parses options; operands are an error. Prints help to stdout, errors to stderr. The table ends
 * with a row whose name is NULL.
 */
int option_parse(const char *command, const char *summary, const struct option_row *rows, int argc,
		 char **argv);

#endif
