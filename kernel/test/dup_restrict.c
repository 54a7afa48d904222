/*
 * dup_restrict.c - DUP on a ring that is restricted to opcodes and to flags of the SQE.
 *
 * Restrictions apply to the flags of the SQE, not to the opcode's own flags. IOSQE_FIXED_FILE and
 * IORING_DUP_OLD_FIXED mean the same to the opcode, but not to restrictions: a ring that forbids
 * IOSQE_FIXED_FILE still allows IORING_DUP_OLD_FIXED, and one that requires IOSQE_FIXED_FILE does not
 * accept IORING_DUP_OLD_FIXED instead. The same is true of IORING_OP_SPLICE.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 8, FD_TARGET = 120, ID = 12, NONE = -1 };

static int source;

struct setup {
	const char *name;
	int allowed, required; /* flags of the SQE, or NONE: no such restriction */
	int opcode;
	/* what comes of a source that is an fd, and of a slot: by the one, the other, and both */
	int fd, by_sqe_flag, by_dup_flag, by_both;
};

enum { OK = 0 };

static const struct setup setups[] = {
	{ "DUP alone", NONE, NONE, OP_DUP, OK, -EACCES, OK, -EACCES },
	{ "no flag allowed", 0, NONE, OP_DUP, OK, -EACCES, OK, -EACCES },
	{ "FIXED_FILE allowed", IOSQE_FIXED_FILE, NONE, OP_DUP, OK, OK, OK, OK },
	{ "ASYNC allowed", IOSQE_ASYNC, NONE, OP_DUP, OK, -EACCES, OK, -EACCES },
	{ "FIXED_FILE required", NONE, IOSQE_FIXED_FILE, OP_DUP, -EACCES, OK, -EACCES, OK },
	{ "NOP alone", NONE, NONE, IORING_OP_NOP, -EACCES, -EACCES, -EACCES, -EACCES },
	{ "NOP alone, FIXED_FILE allowed", IOSQE_FIXED_FILE, NONE, IORING_OP_NOP, -EACCES, -EACCES,
	  -EACCES, -EACCES },
};

static void restrict_ring(struct io_uring *ring, const struct setup *setup)
{
	struct io_uring_restriction restrictions[3] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = (__u8)setup->opcode },
	};
	unsigned count = 1;

	if (setup->allowed != NONE) {
		restrictions[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
		restrictions[count++].sqe_flags = (__u8)setup->allowed;
	}
	if (setup->required != NONE) {
		restrictions[count].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
		restrictions[count++].sqe_flags = (__u8)setup->required;
	}
	MUST(io_uring_register_restrictions(ring, restrictions, count));
	MUST(io_uring_enable_rings(ring));
}

static void try_one(struct io_uring *ring, const struct setup *setup, const char *what, int want,
		    bool fixed, unsigned sqe_flags, unsigned dup_flags)
{
	for (unsigned to_slot = 0; to_slot < 2; to_slot++) {
		int new_fd = to_slot ? 3 : FD_TARGET;

		CHECK_RES(DUP(ring, .fd = fixed ? 1 : source, .new_fd = new_fd,
			      .flags = dup_flags | (to_slot ? DUP_NEW_FIXED : 0),
			      .sqe_flags = sqe_flags),
			  want == OK ? new_fd : want, "%s, %s, to %s", setup->name, what,
			  to_slot ? "a slot" : "an fd");
		if (!to_slot)
			CHECK_RES(file_id(FD_TARGET), want == OK ? ID : -EBADF, "%s, %s",
				  setup->name, what);
	}
	close(FD_TARGET);
}

static void try_setup(const struct setup *setup)
{
	struct io_uring ring;

	ring_open(&ring, 4, IORING_SETUP_R_DISABLED);
	slots_register(&ring, SLOTS);
	slot_set(&ring, 1, source);
	restrict_ring(&ring, setup);
	try_one(&ring, setup, "an fd", setup->fd, false, 0, 0);
	try_one(&ring, setup, "FIXED_FILE", setup->by_sqe_flag, true, IOSQE_FIXED_FILE, 0);
	try_one(&ring, setup, "OLD_FIXED", setup->by_dup_flag, true, 0, DUP_OLD_FIXED);
	try_one(&ring, setup, "both", setup->by_both, true, IOSQE_FIXED_FILE, DUP_OLD_FIXED);
	io_uring_queue_exit(&ring);
}

int main(void)
{
	test_start("dup_restrict");
	source = file_make(ID);
	for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++)
		try_setup(&setups[i]);
	return test_end();
}
