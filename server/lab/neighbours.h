/* SPDX-License-Identifier: MIT */
/*
 * Threads that open and close a file each, over and over, in the server's table of file
 * descriptors: what the rest of a real server does beside its connections (static files, logs,
 * sockets to upstreams), and what makes the table's lock hot even on a small machine. For
 * measuring.
 *
 * Each takes file_lock twice for an open and its close. It counts them, and its CPU time, so that
 * both can be told apart from what connections cost. The threads are named "neighbour".
 */
#ifndef SERVER_NEIGHBOURS_H
#define SERVER_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct neighbour;

struct neighbours {
	unsigned n;
	struct neighbour *each;
};

/* Starts N threads; false, with a line said, when it cannot. */
bool neighbours_start(struct neighbours *neighbours, unsigned n);

/* Ends them. What they counted stays, until neighbours_free(). */
void neighbours_stop(struct neighbours *neighbours);
void neighbours_free(struct neighbours *neighbours);

/* Adds " neighbour_opens=1 neighbour_cpu_us=1" to a line of totals; nothing when there are none. */
void neighbours_print(FILE *out, const struct neighbours *neighbours);

#endif
