/*
 * dup_prep.c - invalid DUP requests are refused, with and without IOSQE_ASYNC.
 *
 * Each row is a request with exactly one fault, and is compared with the same request without it.
 * Linux 7.3 with the series, no privileges. Errors that depend on the state of descriptors are tested
 * by dup_matrix.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 8, SLOT_SOURCE = 1, SLOT_EMPTY = 2, FD_TARGET = 200 };

struct fault {
	const char *name;
	size_t offset, size; /* the field of the SQE that is set */
	uint64_t value;
	int result;
};

#define FIELD(field) offsetof(struct io_uring_sqe, field), sizeof(((struct io_uring_sqe *)0)->field)

static const struct fault faults[] = {
	{ "off", FIELD(off), 1, -EINVAL },
	{ "off, high half", FIELD(off), 1ULL << 32, -EINVAL },
	{ "addr", FIELD(addr), 1, -EINVAL },
	{ "addr, high half", FIELD(addr), 1ULL << 63, -EINVAL },
	{ "len", FIELD(len), 1, -EINVAL },
	{ "buf_index", FIELD(buf_index), 1, -EINVAL },
	{ "addr3", FIELD(addr3), 1, -EINVAL },
	{ "addr3, high half", FIELD(addr3), 1ULL << 40, -EINVAL },
	{ "ioprio", FIELD(ioprio), 1, -EINVAL },
};

struct shape {
	const char *name;
	struct dup dup;
};

static const struct shape shapes[] = {
	{ "fd to fd", { .new_fd = FD_TARGET } },
	{ "slot to fd", { .fd = SLOT_SOURCE, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED } },
	{ "fd to slot", { .new_fd = SLOT_EMPTY, .flags = DUP_NEW_FIXED } },
	{ "slot to slot",
	  { .fd = SLOT_SOURCE, .new_fd = SLOT_EMPTY, .flags = DUP_OLD_FIXED | DUP_NEW_FIXED } },
	{ "slot to any slot",
	  { .fd = SLOT_SOURCE, .new_fd = SLOT_ALLOC, .flags = DUP_OLD_FIXED | DUP_NEW_FIXED } },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct io_uring ring;
static int source;

static struct dup shaped(const struct shape *shape, unsigned sqe_flags)
{
	struct dup dup = shape->dup;

	if (!(dup.flags & DUP_OLD_FIXED))
		dup.fd = source;
	dup.sqe_flags = sqe_flags;
	return dup;
}

/* The destination is as it was before: nothing there. */
static void check_untouched(const char *what)
{
	CHECK(!fd_open(FD_TARGET), "%s: the destination was installed", what);
	CHECK_RES(slot_id(&ring, SLOT_EMPTY), -EBADF, "%s: the destination slot was filled", what);
}

static void undo(int result)
{
	close(FD_TARGET);
	if (result >= 0 && result < SLOTS && result != SLOT_SOURCE)
		slot_set(&ring, result, -1);
}

static void check_fields(const struct shape *shape, unsigned sqe_flags)
{
	struct dup dup = shaped(shape, sqe_flags);

	for (size_t i = 0; i < COUNT(faults); i++) {
		const struct fault *fault = &faults[i];
		struct io_uring_sqe *sqe = ring_sqe(&ring);

		fill_dup(sqe, &dup);
		memcpy((char *)sqe + fault->offset, &fault->value, fault->size);
		CHECK_RES(ring_submit_wait(&ring), fault->result, "%s, %s", shape->name,
			  fault->name);
		check_untouched(fault->name);
	}
}

static void check_flags(const struct shape *shape, unsigned sqe_flags)
{
	for (unsigned bit = 3; bit < 32; bit++) {
		struct dup dup = shaped(shape, sqe_flags);

		dup.flags |= 1U << bit;
		CHECK_RES(do_dup(&ring, &dup), -EINVAL, "%s, flag bit %u", shape->name, bit);
		check_untouched("unknown flag");
	}
}

static void check_no_cloexec(const struct shape *shape, unsigned sqe_flags)
{
	struct dup dup = shaped(shape, sqe_flags);
	int result;

	dup.flags |= DUP_NO_CLOEXEC;
	result = do_dup(&ring, &dup);
	if (dup.flags & DUP_NEW_FIXED) {
		CHECK_RES(result, -EINVAL, "%s, NO_CLOEXEC", shape->name);
		check_untouched("NO_CLOEXEC");
	} else {
		CHECK_RES(result, FD_TARGET, "%s, NO_CLOEXEC", shape->name);
	}
	undo(result);
}

static void check_personality(const struct shape *shape, unsigned sqe_flags, int personality)
{
	struct dup dup = shaped(shape, sqe_flags);

	dup.personality = personality;
	CHECK_RES(do_dup(&ring, &dup), -EPERM, "%s, a personality", shape->name);
	check_untouched("personality");
	/* one that is not registered is refused by the core */
	dup.personality = personality + 1;
	CHECK_RES(do_dup(&ring, &dup), -EINVAL, "%s, an unknown personality", shape->name);
	check_untouched("unknown personality");
}

static void check_good(const struct shape *shape, unsigned sqe_flags)
{
	struct dup dup = shaped(shape, sqe_flags);
	int result = do_dup(&ring, &dup);

	if (dup.new_fd == SLOT_ALLOC)
		CHECK(result >= 0 && result < SLOTS, "%s: %s", shape->name, res_name(result));
	else
		CHECK_RES(result, dup.new_fd, "%s, without a fault", shape->name);
	undo(result);
}

/* the same table and the same number, whether or not there is anything at that number */
static void check_same(unsigned sqe_flags)
{
	static const int numbers[] = { -5, 0, FD_TARGET, 1 << 30 };

	for (size_t i = 0; i < COUNT(numbers); i++) {
		int n = numbers[i];

		CHECK_RES(DUP(&ring, .fd = n, .new_fd = n, .sqe_flags = sqe_flags), -EINVAL,
			  "fd %d to itself", n);
		CHECK_RES(DUP(&ring, .fd = n, .new_fd = n, .flags = DUP_OLD_FIXED | DUP_NEW_FIXED,
			      .sqe_flags = sqe_flags),
			  -EINVAL, "slot %d to itself", n);
		CHECK_RES(DUP(&ring, .fd = n, .new_fd = n, .flags = DUP_NEW_FIXED,
			      .sqe_flags = sqe_flags | IOSQE_FIXED_FILE),
			  -EINVAL, "slot %d to itself, IOSQE_FIXED_FILE", n);
	}
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = source, .sqe_flags = sqe_flags), -EINVAL,
		  "an open fd to itself");
	CHECK_RES(DUP(&ring, .fd = SLOT_SOURCE, .new_fd = SLOT_SOURCE,
		      .flags = DUP_OLD_FIXED | DUP_NEW_FIXED, .sqe_flags = sqe_flags),
		  -EINVAL, "a full slot to itself");
	CHECK_RES(file_id(source), 7, "the source is gone");
	CHECK_RES(slot_id(&ring, SLOT_SOURCE), 7, "the source slot is empty");
	/* SLOT_ALLOC is no number: this is a missing source */
	CHECK_RES(DUP(&ring, .fd = SLOT_ALLOC, .new_fd = SLOT_ALLOC,
		      .flags = DUP_OLD_FIXED | DUP_NEW_FIXED, .sqe_flags = sqe_flags),
		  -EBADF, "slot -1 to any slot");
	/* the same number in the other table is another thing */
	CHECK_RES(DUP(&ring, .fd = SLOT_SOURCE, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED,
		      .sqe_flags = sqe_flags),
		  FD_TARGET, "slot to fd");
	CHECK_RES(DUP(&ring, .fd = SLOT_EMPTY, .new_fd = SLOT_EMPTY, .flags = DUP_OLD_FIXED,
		      .sqe_flags = sqe_flags),
		  -EBADF, "an empty slot to the fd of its number");
	undo(FD_TARGET);
}

int main(void)
{
	static const unsigned modes[] = { 0, IOSQE_ASYNC };
	int personality;

	test_start("dup_prep");
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	source = file_make(7);
	slot_set(&ring, SLOT_SOURCE, source);
	personality = (int)MUST(io_uring_register_personality(&ring));

	for (size_t m = 0; m < COUNT(modes); m++) {
		for (size_t i = 0; i < COUNT(shapes); i++) {
			check_good(&shapes[i], modes[m]);
			check_fields(&shapes[i], modes[m]);
			check_flags(&shapes[i], modes[m]);
			check_no_cloexec(&shapes[i], modes[m]);
			check_personality(&shapes[i], modes[m], personality);
			check_good(&shapes[i], modes[m]);
		}
		check_same(modes[m]);
	}
	/* no buffer is selected by a DUP */
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET, .sqe_flags = IOSQE_BUFFER_SELECT),
		  -EOPNOTSUPP, "IOSQE_BUFFER_SELECT");
	return test_end();
}
