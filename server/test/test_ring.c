/* SPDX-License-Identifier: MIT */
/*
 * What recover.c relies on, of a ring whose completions have been lost. Exits 77 where there is no
 * io_uring.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "exit_codes.h"
#include "options.h"
#include "ring.h"

static const struct options options;
static struct counters counters;

static void prepare_close(struct ring *r, int fd)
{
	io_uring_prep_close(ring_request(r, OP_RELEASE, 0), fd);
}

static void reap_all(struct ring *r)
{
	io_uring_cq_advance(&r->uring, io_uring_cq_ready(&r->uring));
}

static void test_is_to_close(struct ring *r)
{
	int fds[2], i;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "%s", strerror(errno));
	CHECK(!ring_is_to_close(r, fds[0]), "nothing is prepared");
	prepare_close(r, fds[0]);
	CHECK(ring_is_to_close(r, fds[0]), "it is prepared");
	CHECK(!ring_is_to_close(r, fds[1]), "that of another is");
	io_uring_prep_nop(ring_request(r, OP_BARRIER, 0));
	CHECK(ring_is_to_close(r, fds[0]), "it still is");
	ring_submit_and_wait(r);
	CHECK(!ring_is_to_close(r, fds[0]), "it is done");
	io_uring_prep_close_direct(ring_request(r, OP_RELEASE, 0), (unsigned)fds[1]);
	CHECK(!ring_is_to_close(r, fds[1]), "that is a slot");
	ring_submit_and_wait(r);
	/* Once round the queue, whose positions begin anew. */
	for (i = 0; i < SQ_ENTRIES; i++) {
		io_uring_prep_nop(ring_request(r, OP_BARRIER, 0));
		if (i % 100 == 0)
			ring_submit_and_wait(r);
		reap_all(r);
	}
	prepare_close(r, fds[1]);
	CHECK(ring_is_to_close(r, fds[1]), "it is prepared, once round");
	ring_submit_and_wait(r);
	reap_all(r);
}

/* The buffer that a receive of one byte has taken, or -1: there was none. */
static int take_buffer(struct ring *r, const int fds[2])
{
	struct io_uring_sqe *sqe = ring_request(r, OP_RECV, 0);
	struct io_uring_cqe *cqe;
	char byte;
	int id = -1;

	CHECK(write(fds[1], "x", 1) == 1, "%s", strerror(errno));
	io_uring_prep_recv(sqe, fds[0], NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = RECV_BUFFER_GROUP;
	ring_submit_and_wait(r);
	CHECK(!io_uring_peek_cqe(&r->uring, &cqe), "no completion");
	CHECK(cqe->res == 1 || cqe->res == -ENOBUFS, "result %d", cqe->res);
	if (cqe->res == 1)
		id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	else
		CHECK(read(fds[0], &byte, 1) == 1, "%s", strerror(errno));
	reap_all(r);
	return id;
}

static void give_back(struct ring *r, unsigned id)
{
	const struct io_uring_cqe cqe = { .flags = IORING_CQE_F_BUFFER |
						   id << IORING_CQE_BUFFER_SHIFT };

	ring_buffer_return(r, &cqe);
}

/* Takes all that there are, and gives none back: each is there once. */
static void take_all(struct ring *r, const int fds[2])
{
	bool taken[RECV_BUFFERS] = { false };
	int i, id;

	for (i = 0; i < RECV_BUFFERS; i++) {
		id = take_buffer(r, fds);
		CHECK(id >= 0 && id < RECV_BUFFERS, "%d of %d buffers", i, RECV_BUFFERS);
		if (id < 0 || id >= RECV_BUFFERS)
			break;
		CHECK(!taken[id], "buffer %d is there twice", id);
		taken[id] = true;
	}
	CHECK(take_buffer(r, fds) == -1, "there are more than %d", RECV_BUFFERS);
}

static void test_buffers_renew(struct ring *r)
{
	int fds[2], i, round;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "%s", strerror(errno));
	ring_buffers_renew(r); /* none is missing */
	for (round = 0; round < 3; round++) {
		take_all(r, fds);
		ring_buffers_renew(r);
	}
	/* Some are there, some have been given back, and some are lost. */
	for (i = 0; i < RECV_BUFFERS / 2; i++) {
		int id = take_buffer(r, fds);

		CHECK(id >= 0, "none is left");
		if (id >= 0 && i % 3 == 0)
			give_back(r, (unsigned)id);
	}
	ring_buffers_renew(r);
	take_all(r, fds);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	struct ring r;
	int ret = ring_init(&r, SQ_ENTRIES, &options, &counters);

	if (ret) {
		fprintf(stderr, "io_uring: %s: %s\n", strerror(-ret), ring_error_hint(ret));
		return EXIT_SKIPPED;
	}
	test_is_to_close(&r);
	test_buffers_renew(&r);
	ring_free(&r);
	CHECK_EXIT();
}
