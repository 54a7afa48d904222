/* SPDX-License-Identifier: MIT */
/* The few words the tests share. A failed check names its line and goes on; the exit code tells. */
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

/* A folder of its own under $TMPDIR or /tmp, removed with what is in it at exit. */
const char *check_folder(void);

int check_end(void);

#endif
