/* SPDX-License-Identifier: MIT */
/*
 * Reads files under /proc through a direct descriptor of a ring: opening them takes no number in
 * the process's fd table and so no file_lock. What is measured is not changed by reading it.
 */
#ifndef BENCH_PROCFILE_H
#define BENCH_PROCFILE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>

struct procfile {
	struct io_uring ring;
};

int procfile_open(struct procfile *reader);
void procfile_close(struct procfile *reader);

/* The whole file as a string to be freed, or NULL with errno set. */
char *procfile_read(struct procfile *reader, const char *path);

#endif
