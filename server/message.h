/* SPDX-License-Identifier: MIT */
/*
 * What the server says to a person: one line on stderr that names what failed, with which value,
 * why, and what to do. Standard output is for data: the configuration line and the totals.
 */
#ifndef SERVER_MESSAGE_H
#define SERVER_MESSAGE_H

#include <stdio.h>
#include <stdlib.h>

#include "exit_codes.h"

#define say(...)                                                                                   \
	do {                                                                                       \
		fputs("accept-server: ", stderr);                                                  \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
	} while (0)

/* For what must not happen: a broken promise of the kernel or of this program. */
#define die(...)                                                                                   \
	do {                                                                                       \
		say(__VA_ARGS__);                                                                  \
		exit(EXIT_FAILED);                                                                 \
	} while (0)

#endif
