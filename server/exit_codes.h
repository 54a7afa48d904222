/* SPDX-License-Identifier: MIT */
/* How every program here ends; CTest takes 77 for a test that this kernel or machine cannot run. */
#ifndef SERVER_EXIT_CODES_H
#define SERVER_EXIT_CODES_H

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SKIPPED = 77 };

/* For --help. */
#define EXIT_CODES_HELP "0 good, 1 failed, 2 usage, 77 this kernel cannot do it"

#endif
