/* SPDX-License-Identifier: MIT */
/*
 * What the server says to a person: one line on stderr that names what failed, with which value,
 * why, and what to do. Standard output is for data: the configuration line and the totals.
 *
 * Neither is ever waited for while connections are served: what a reader who does not read has left
 * no room for is dropped.
 */
#ifndef SERVER_MESSAGE_H
#define SERVER_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "exit_codes.h"

/* Near the start of main(), once: makes sure that no write to the two waits. */
void message_begin(void);

/* Writes "accept-server: ", the text and the end of the line, from any thread. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Whether a line that may be due many times a second is to be said now: once in SAY_AGAIN_MS at
 * most. SAID_MS is where the time of the last one is kept; 0: it has never been said.
 */
enum { SAY_AGAIN_MS = 10000 };

static inline bool say_again(uint64_t *said_ms, uint64_t now_ms)
{
	if (*said_ms && now_ms - *said_ms < SAY_AGAIN_MS)
		return false;
	*said_ms = now_ms;
	return true;
}

/* For what must not happen: a broken promise of the kernel or of this program. */
#define die(...)                                                                                   \
	do {                                                                                       \
		say(__VA_ARGS__);                                                                  \
		exit(EXIT_FAILED);                                                                 \
	} while (0)

/*
 * For the main thread: what is printed to the file that output_begin() returns goes to standard
 * output with output_end(), which waits WAIT_MS milliseconds at most for a reader to make room.
 * output_end() returns whether all of it was written; errno says why not, EAGAIN for want of room.
 * All memory is there after the first time.
 */
FILE *output_begin(void);
bool output_end(int wait_ms);

#endif
