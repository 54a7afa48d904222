/*
 * dup_lifetime.c - the references to a file, and how long they are held.
 *
 * The file is the write end of a pipe: the read end hangs up when the last reference to it is
 * dropped. After every kind of DUP, successful or failed, inline or in a worker, the only references
 * must be those in the tables, and a file must be released when the last of these is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 8, SLOT_SOURCE = 1, SLOT_TARGET = 2, FD_TARGET = 70, ROUNDS = 40 };

static struct io_uring ring;

/* bits of a combination */
enum { FROM_SLOT = 1, TO_SLOT = 2, ASYNC = 4, FLUSH = 8, FAIL = 16, COMBINATIONS = 32 };

static void try_combination(int c)
{
	int ends[2], old = -1, target = c & TO_SLOT ? SLOT_TARGET : FD_TARGET;
	struct dup dup = {
		.new_fd = c & FAIL ? (c & TO_SLOT ? SLOTS : 1 << 30) : target,
		.flags = (c & FROM_SLOT ? DUP_OLD_FIXED : 0) | (c & TO_SLOT ? DUP_NEW_FIXED : 0),
		.sqe_flags = c & ASYNC ? IOSQE_ASYNC : 0,
	};

	MUST(pipe2(ends, O_CLOEXEC));
	if (c & FLUSH && !(c & TO_SLOT)) {
		old = flush_file_make();
		MUST(dup3(old, FD_TARGET, O_CLOEXEC));
	}
	if (c & FROM_SLOT) {
		slot_set(&ring, SLOT_SOURCE, ends[1]);
		close(ends[1]);
		dup.fd = SLOT_SOURCE;
	} else {
		dup.fd = ends[1];
	}
	for (int round = 0; round < ROUNDS; round++) {
		int result = do_dup(&ring, &dup);

		if (c & FAIL)
			CHECK(result < 0, "combination %#x: %s", c, res_name(result));
		else
			CHECK_RES(result, target, "combination %#x", c);
	}

	/* the source goes: the copy, if there is one, is what keeps the pipe */
	if (c & FROM_SLOT)
		slot_set(&ring, SLOT_SOURCE, -1);
	else
		close(ends[1]);
	if (c & FAIL) {
		CHECK(pipe_hung_up(ends[0]), "combination %#x: a failed DUP kept the file", c);
	} else {
		CHECK(pipe_alive(ends[0]), "combination %#x: the copy does not hold the file", c);
		CHECK_RES(DUP(&ring, .fd = ends[0], .new_fd = target,
			      .flags = c & TO_SLOT ? DUP_NEW_FIXED : 0),
			  target, "combination %#x, replaced", c);
		CHECK(pipe_hung_up(ends[0]), "combination %#x: the file was not released", c);
		if (c & TO_SLOT)
			slot_set(&ring, SLOT_TARGET, -1);
	}
	close(FD_TARGET);
	close(old);
	close(ends[0]);
}

/* Many at once in one submission over one number: each one but the last is closed. */
static void try_batch(unsigned sqe_flags)
{
	enum { BATCH = 32 };
	int ends[BATCH][2], last = -1;

	for (int i = 0; i < BATCH; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&ring);

		MUST(pipe2(ends[i], O_CLOEXEC));
		fill_dup(sqe, &(struct dup){ .fd = ends[i][1],
					     .new_fd = FD_TARGET,
					     .sqe_flags = sqe_flags });
		sqe->user_data = (unsigned)i;
	}
	MUST(io_uring_submit(&ring));
	for (int i = 0; i < BATCH; i++)
		CHECK_RES(ring_reap(&ring, NULL), FD_TARGET, "batch of %d", BATCH);
	for (int i = 0; i < BATCH; i++)
		close(ends[i][1]);
	for (int i = 0; i < BATCH; i++)
		if (pipe_alive(ends[i][0])) {
			CHECK(last < 0, "%d and %d are both open", last, i);
			last = i;
		}
	CHECK(last >= 0, "none is open");
	close(FD_TARGET);
	for (int i = 0; i < BATCH; i++) {
		CHECK(pipe_hung_up(ends[i][0]), "%d was not released", i);
		close(ends[i][0]);
	}
}

/* The ring goes away with a copy in its table; and with a copy of a slot in the process's table. */
static void try_ring_exit(void)
{
	int a[2], b[2];
	struct io_uring mortal;

	MUST(pipe2(a, O_CLOEXEC));
	MUST(pipe2(b, O_CLOEXEC));
	ring_open(&mortal, 4, 0);
	slots_register(&mortal, SLOTS);
	CHECK_RES(DUP(&mortal, .fd = a[1], .new_fd = 3, .flags = DUP_NEW_FIXED), 3,
		  "into a mortal ring");
	slot_set(&mortal, 4, b[1]);
	CHECK_RES(DUP(&mortal, .fd = 4, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED), FD_TARGET,
		  "out of a mortal ring");
	close(a[1]);
	close(b[1]);
	CHECK(pipe_alive(a[0]), "held by the slot");
	io_uring_queue_exit(&mortal);
	CHECK(pipe_hung_up(a[0]), "the ring is gone and its slot still holds the file");
	CHECK(pipe_alive(b[0]), "held by the fd");
	close(FD_TARGET);
	CHECK(pipe_hung_up(b[0]), "not released");
	close(a[0]);
	close(b[0]);
}

int main(void)
{
	test_start("dup_lifetime");
	ring_open(&ring, 64, 0);
	slots_register(&ring, SLOTS);
	for (int c = 0; c < COMBINATIONS; c++)
		try_combination(c);
	try_batch(0);
	try_batch(IOSQE_ASYNC);
	try_ring_exit();
	return test_end();
}
