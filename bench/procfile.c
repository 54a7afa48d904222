/* SPDX-License-Identifier: MIT */
/* Reads files without an fd. See procfile.h. */
#include "procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define FIRST_SIZE 65536
#define SIZE_MAX_  (64u << 20)

int procfile_open(struct procfile *reader)
{
	int ret = io_uring_queue_init(8, &reader->ring, 0);

	if (ret < 0)
		return ret;
	io_uring_register_ring_fd(&reader->ring);
	ret = io_uring_register_files_sparse(&reader->ring, 1);
	if (ret < 0)
		io_uring_queue_exit(&reader->ring);
	return ret;
}

void procfile_close(struct procfile *reader)
{
	io_uring_queue_exit(&reader->ring);
}

static int run_one(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit(ring);

	if (ret < 0)
		return ret;
	do
		ret = io_uring_wait_cqe(ring, &cqe);
	while (ret == -EINTR);
	if (ret < 0)
		return ret;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static int read_all(struct io_uring *ring, char **text)
{
	size_t size = 0, used = 0;

	for (;;) {
		struct io_uring_sqe *sqe;
		int ret;

		/* only when it is full: a sanitizer's realloc copies even to the same size */
		if (used + 1 >= size) {
			size_t larger = size ? size * 2 : FIRST_SIZE;
			char *grown = larger > SIZE_MAX_ ? NULL : realloc(*text, larger);

			if (!grown)
				return larger > SIZE_MAX_ ? -EFBIG : -ENOMEM;
			*text = grown;
			size = larger;
		}
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_read(sqe, 0, *text + used, (unsigned int)(size - used - 1), used);
		sqe->flags |= IOSQE_FIXED_FILE;
		ret = run_one(ring);
		if (ret < 0)
			return ret;
		if (ret == 0)
			break;
		used += (size_t)ret;
	}
	(*text)[used] = '\0';
	return 0;
}

char *procfile_read(struct procfile *reader, const char *path)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&reader->ring);
	char *text = NULL;
	int ret;

	io_uring_prep_openat_direct(sqe, AT_FDCWD, path, O_RDONLY, 0, 0);
	ret = run_one(&reader->ring);
	if (ret >= 0) {
		ret = read_all(&reader->ring, &text);
		sqe = io_uring_get_sqe(&reader->ring);
		io_uring_prep_close_direct(sqe, 0);
		run_one(&reader->ring);
	}
	if (ret < 0) {
		free(text);
		errno = -ret;
		return NULL;
	}
	return text;
}
