/* SPDX-License-Identifier: MIT */
/*
 * Reads files under /proc through a direct descriptor of a ring. Opening a file this way allocates
 * no number in the process's fd table and takes no file_lock, so that reading does not change the
 * counts being measured.
 */
#ifndef BENCH_PROCFILE_H
#define BENCH_PROCFILE_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>

struct procfile {
	struct io_uring ring;
};

/* 0 or -errno. */
int procfile_open(struct procfile *reader);
void procfile_close(struct procfile *reader);

/* The whole file as a string that the caller frees, or NULL with errno set. */
char *procfile_read(struct procfile *reader, const char *path);

#endif
