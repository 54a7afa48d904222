/*
 * dup_alloc.c - IORING_FILE_INDEX_ALLOC as a destination, and slots that do not exist.
 *
 * The slots allocated are free, each is allocated once, and all are in the range registered for
 * allocation. A full table gives -ENFILE and changes nothing. Without a table, and for a slot beyond
 * its end, the result is that of other requests that install into a slot; OPENAT is used to compare.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 32, RANGE_FROM = 8, RANGE = 5, ID = 9 };

static int source;

/* what an open() into that slot gets: file_index is the slot plus one, or the wish for any */
static int open_into(struct io_uring *ring, int slot)
{
	static const char path[] = "/dev/null";
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_OPENAT;
	sqe->fd = AT_FDCWD;
	sqe->addr = (uintptr_t)path;
	sqe->open_flags = O_RDONLY;
	sqe->file_index = slot == SLOT_ALLOC ? IORING_FILE_INDEX_ALLOC : (unsigned)slot + 1;
	return ring_submit_wait(ring);
}

static void check_range(struct io_uring *ring, unsigned sqe_flags)
{
	uint64_t seen = 0;

	MUST(io_uring_register_file_alloc_range(ring, RANGE_FROM, RANGE));
	for (int i = 0; i < RANGE; i++) {
		int slot = DUP(ring, .fd = source, .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED,
			       .sqe_flags = sqe_flags);

		if (!CHECK(slot >= RANGE_FROM && slot < RANGE_FROM + RANGE, "slot %s of the range",
			   res_name(slot)))
			return;
		CHECK(!(seen & 1ULL << slot), "slot %d was handed out twice", slot);
		seen |= 1ULL << slot;
		CHECK_RES(slot_id(ring, slot), ID, "slot %d", slot);
	}
	for (int i = 0; i < 3; i++)
		CHECK_RES(DUP(ring, .fd = source, .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED,
			      .sqe_flags = sqe_flags),
			  -ENFILE, "the range is used up");
	CHECK_RES(DUP(ring, .fd = RANGE_FROM, .new_fd = SLOT_ALLOC,
		      .flags = DUP_NEW_FIXED | DUP_OLD_FIXED, .sqe_flags = sqe_flags),
		  -ENFILE, "the range is used up, slot to slot");

	/* what becomes free is found again */
	slot_set(ring, RANGE_FROM + 2, -1);
	CHECK_RES(DUP(ring, .fd = source, .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED,
		      .sqe_flags = sqe_flags),
		  RANGE_FROM + 2, "the one free slot");
	/* a slot outside the range can be named all the same */
	CHECK_RES(DUP(ring, .fd = source, .new_fd = 0, .flags = DUP_NEW_FIXED,
		      .sqe_flags = sqe_flags),
		  0, "slot 0");
	CHECK_RES(DUP(ring, .fd = source, .new_fd = SLOTS - 1, .flags = DUP_NEW_FIXED,
		      .sqe_flags = sqe_flags),
		  SLOTS - 1, "the last slot");
	/* and naming one takes it away from allocation */
	slot_set(ring, RANGE_FROM + 1, -1);
	CHECK_RES(DUP(ring, .fd = source, .new_fd = RANGE_FROM + 1, .flags = DUP_NEW_FIXED,
		      .sqe_flags = sqe_flags),
		  RANGE_FROM + 1, "a slot of the range by its number");
	CHECK_RES(DUP(ring, .fd = source, .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED,
		      .sqe_flags = sqe_flags),
		  -ENFILE, "that slot is taken");
	for (int slot = 0; slot < SLOTS; slot++)
		slot_set(ring, slot, -1);
}

static void check_like_open(struct io_uring *ring, const char *state)
{
	static const int slots[] = { SLOTS, SLOTS + 1, 1 << 20, 0x7ffffffe };

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++)
		CHECK_RES(DUP(ring, .fd = source, .new_fd = slots[i], .flags = DUP_NEW_FIXED),
			  open_into(ring, slots[i]), "%s: slot %d", state, slots[i]);
	CHECK_RES(DUP(ring, .fd = source, .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED),
		  open_into(ring, SLOT_ALLOC), "%s: any slot", state);
}

int main(void)
{
	struct io_uring ring;
	int pipe_ends[2];

	test_start("dup_alloc");
	ring_open(&ring, 8, 0);
	source = file_make(ID);

	check_like_open(&ring, "no table");
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = 0, .flags = DUP_NEW_FIXED), -ENXIO,
		  "no table");
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED), -ENFILE,
		  "no table");
	CHECK_RES(DUP(&ring, .fd = 0, .new_fd = 100, .flags = DUP_OLD_FIXED), -EBADF,
		  "a slot without a table");

	slots_register(&ring, SLOTS);
	MUST(io_uring_register_file_alloc_range(&ring, 0, 0));
	check_like_open(&ring, "an empty range");
	check_range(&ring, 0);
	check_range(&ring, IOSQE_ASYNC);

	/* a DUP that finds no slot must not keep its file */
	MUST(pipe2(pipe_ends, O_CLOEXEC));
	MUST(io_uring_register_file_alloc_range(&ring, 0, 0));
	for (int i = 0; i < 100; i++) {
		DUP(&ring, .fd = pipe_ends[1], .new_fd = SLOT_ALLOC, .flags = DUP_NEW_FIXED);
		DUP(&ring, .fd = pipe_ends[1], .new_fd = SLOTS, .flags = DUP_NEW_FIXED,
		    .sqe_flags = IOSQE_ASYNC);
	}
	CHECK(pipe_alive(pipe_ends[0]), "the write end is still open");
	close(pipe_ends[1]);
	CHECK(pipe_hung_up(pipe_ends[0]), "failed requests kept the file");
	return test_end();
}
