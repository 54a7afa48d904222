/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests. A failed CHECK() prints its file, line and condition, and the test continues;
 * check_end() returns the exit code.
 */
#ifndef BENCH_TEST_CHECK_H
#define BENCH_TEST_CHECK_H

#include "server/exit_codes.h"

#include <stdbool.h>
#include <stdio.h>

extern int check_failures;

#define CHECK(what, ...)                                                                           \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s", __FILE__, __LINE__, #what);                   \
			fprintf(stderr, " " __VA_ARGS__);                                          \
			fprintf(stderr, "\n");                                                     \
			check_failures++;                                                          \
		}                                                                                  \
	} while (0)

/* The path of a new folder in $TMPDIR or /tmp, which is removed with its contents at exit. */
const char *check_folder(void);

int check_end(void);

#endif
