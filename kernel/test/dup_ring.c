/*
 * dup_ring.c - fds of rings: never replaced, never installed in a slot, but allowed as the source when
 * the destination is an fd.
 *
 * The process has a single thread, so that the fd table has the only reference to the ring whose fd
 * the request tries to replace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 4, ID = 6, ROUNDS = 50, FD_TARGET = 150 };

static const unsigned modes[] = { 0, IOSQE_ASYNC };

static void check_target(struct io_uring *ring, int ring_fd, int source, const char *what)
{
	for (size_t m = 0; m < 2; m++) {
		CHECK_RES(DUP(ring, .fd = source, .new_fd = ring_fd, .sqe_flags = modes[m]), -EBADF,
			  "fd over %s", what);
		CHECK_RES(DUP(ring, .fd = 1, .new_fd = ring_fd, .flags = DUP_OLD_FIXED,
			      .sqe_flags = modes[m]),
			  -EBADF, "slot over %s", what);
	}
}

static void check_source(struct io_uring *ring, struct io_uring *other)
{
	for (size_t m = 0; m < 2; m++) {
		CHECK_RES(DUP(ring, .fd = other->ring_fd, .new_fd = 2, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  -EBADF, "a ring into a slot");
		CHECK_RES(DUP(ring, .fd = ring->ring_fd, .new_fd = SLOT_ALLOC,
			      .flags = DUP_NEW_FIXED, .sqe_flags = modes[m]),
			  -EBADF, "a ring into any slot of its own");
		CHECK_RES(DUP(ring, .fd = ring->ring_fd, .new_fd = 2, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  -EBADF, "a ring into a slot of its own");

		/* a copy of a ring's fd is as good as the ring's fd, also of the ring that made it
		 */
		CHECK_RES(
			DUP(ring, .fd = other->ring_fd, .new_fd = FD_TARGET, .sqe_flags = modes[m]),
			FD_TARGET, "a ring to an fd");
		other->enter_ring_fd = FD_TARGET;
		io_uring_prep_nop(ring_sqe(other));
		CHECK_RES(ring_submit_wait(other), 0, "a request by the copy of the fd");
		other->enter_ring_fd = other->ring_fd;
		close(FD_TARGET);
		CHECK_RES(
			DUP(ring, .fd = ring->ring_fd, .new_fd = FD_TARGET, .sqe_flags = modes[m]),
			FD_TARGET, "itself to an fd");
		CHECK_RES(DUP(ring, .fd = 1, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED,
			      .sqe_flags = modes[m]),
			  -EBADF, "over that copy");
		close(FD_TARGET);
	}
}

static void try_setup(unsigned setup_flags, bool registered)
{
	struct io_uring ring, other;
	int source = file_make(ID);

	for (int round = 0; round < ROUNDS; round++) {
		int own;

		ring_open(&ring, 8, setup_flags);
		ring_open(&other, 8, 0);
		slots_register(&ring, SLOTS);
		slot_set(&ring, 1, source);
		own = ring.ring_fd;
		if (registered)
			MUST(io_uring_register_ring_fd(&ring));

		check_target(&ring, own, source, "the own ring");
		check_target(&ring, other.ring_fd, source, "another ring");
		if (round == 0)
			check_source(&ring, &other);
		/* both still work */
		io_uring_prep_nop(ring_sqe(&ring));
		CHECK_RES(ring_submit_wait(&ring), 0, "a request by the own ring");
		io_uring_prep_nop(ring_sqe(&other));
		CHECK_RES(ring_submit_wait(&other), 0, "a request by the other ring");
		io_uring_queue_exit(&other);
		io_uring_queue_exit(&ring);
	}
	close(source);
}

int main(void)
{
	test_start("dup_ring");
	try_setup(0, false);
	try_setup(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, false);
	try_setup(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, true);
	return test_end();
}
