/*
 * dup_setup.c - DUP on every kind of ring: with polled submission, deferred completion, big and mixed
 * entries, and restricted to opcodes. It is refused on rings for polled I/O (IORING_SETUP_IOPOLL).
 * Also checks the opcode's name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* since Linux 6.19; older headers lack them */
#ifndef IORING_SETUP_SQE_MIXED
#define IORING_SETUP_SQE_MIXED (1U << 19)
#endif
#define OP_NOP128 63

enum { SLOTS = 8, FD_TARGET = 120, ID = 12 };

struct kind {
	const char *name;
	unsigned flags;
};

static const struct kind kinds[] = {
	{ "plain", 0 },
	{ "SQPOLL", IORING_SETUP_SQPOLL },
	{ "COOP_TASKRUN", IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG },
	{ "DEFER_TASKRUN", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN },
	{ "SQE128", IORING_SETUP_SQE128 },
	{ "CQE32", IORING_SETUP_CQE32 },
	{ "NO_SQARRAY", IORING_SETUP_NO_SQARRAY },
	{ "SUBMIT_ALL", IORING_SETUP_SUBMIT_ALL },
};

static int source;

static void try_all_four(struct io_uring *ring, const char *name)
{
	for (unsigned c = 0; c < 8; c++) {
		bool fixed = c & 1, to_slot = c & 2;
		struct dup dup = { .fd = fixed ? 1 : source,
				   .new_fd = to_slot ? 3 : FD_TARGET,
				   .flags = (fixed ? DUP_OLD_FIXED : 0) |
					    (to_slot ? DUP_NEW_FIXED : 0),
				   .sqe_flags = c & 4 ? IOSQE_ASYNC : 0 };

		for (int round = 0; round < 3; round++)
			CHECK_RES(do_dup(ring, &dup), dup.new_fd, "%s, combination %#x", name, c);
		CHECK_RES(to_slot ? slot_id(ring, 3) : file_id(FD_TARGET), ID,
			  "%s, combination %#x", name, c);
		CHECK_RES(DUP(ring, .fd = fixed ? 2 : 2000, .new_fd = dup.new_fd,
			      .flags = dup.flags, .sqe_flags = dup.sqe_flags),
			  -EBADF, "%s, a missing source", name);
		/* a table that grows, a file that is flushed: whoever submits must not sleep */
		if (!to_slot) {
			int flushed = flush_file_make();

			MUST(dup3(flushed, FD_TARGET, O_CLOEXEC));
			CHECK_RES(do_dup(ring, &dup), FD_TARGET, "%s, over a file with ->flush()",
				  name);
			close(flushed);
			close(FD_TARGET);
		}
	}
}

/* between entries of twice the size, at each place of the queue */
static void try_mixed(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE_MIXED };
	struct io_uring ring;
	int result = io_uring_queue_init_params(8, &ring, &params);

	CHECK_RES(result, 0, "a ring of SQE_MIXED");
	if (result < 0)
		return;
	slots_register(&ring, SLOTS);
	slot_set(&ring, 1, source);
	try_all_four(&ring, "SQE_MIXED");
	for (unsigned i = 0; i < 64; i++) {
		bool fixed = i & 1;
		uint64_t user_data;

		/* one of 128 bytes must not wrap around: fill up with small ones before */
		while ((ring.sq.sqe_tail & ring.sq.ring_mask) > ring.sq.ring_mask - 2) {
			io_uring_prep_nop(ring_sqe(&ring));
			CHECK_RES(ring_submit_wait(&ring), 0, "a NOP");
		}
		struct io_uring_sqe *sqe = ring_sqe(&ring);

		sqe->opcode = OP_NOP128;
		sqe->user_data = 1;
		memset(sqe + 1, 0, sizeof(*sqe));
		ring.sq.sqe_tail++;
		sqe = ring_sqe(&ring);
		fill_dup(sqe, &(struct dup){ .fd = fixed ? 1 : source,
					     .new_fd = FD_TARGET,
					     .flags = fixed ? DUP_OLD_FIXED : 0 });
		sqe->user_data = 2;
		MUST(io_uring_submit(&ring));
		CHECK_RES(ring_reap(&ring, &user_data), 0, "NOP128, round %u", i);
		CHECK(user_data == 1, "round %u", i);
		CHECK_RES(ring_reap(&ring, &user_data), FD_TARGET, "after NOP128, round %u", i);
		CHECK(user_data == 2, "round %u", i);
		CHECK_RES(file_id(FD_TARGET), ID, "after NOP128, round %u", i);
		close(FD_TARGET);
	}
	io_uring_queue_exit(&ring);
}

static void try_restricted(void)
{
	struct io_uring_restriction allow[2] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = OP_DUP },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE },
	};
	struct io_uring ring;

	ring_open(&ring, 4, IORING_SETUP_R_DISABLED);
	slots_register(&ring, SLOTS);
	slot_set(&ring, 1, source);
	MUST(io_uring_register_restrictions(&ring, allow, 2));
	MUST(io_uring_enable_rings(&ring));
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET), FD_TARGET, "allowed");
	CHECK_RES(DUP(&ring, .fd = 1, .new_fd = FD_TARGET, .sqe_flags = IOSQE_FIXED_FILE),
		  FD_TARGET, "allowed with the flag");
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET, .sqe_flags = IOSQE_ASYNC), -EACCES,
		  "a flag that is not allowed");
	io_uring_queue_exit(&ring);

	allow[0].sqe_op = IORING_OP_NOP;
	ring_open(&ring, 4, IORING_SETUP_R_DISABLED);
	MUST(io_uring_register_restrictions(&ring, allow, 1));
	MUST(io_uring_enable_rings(&ring));
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET), -EACCES,
		  "an opcode that is not allowed");
	io_uring_queue_exit(&ring);
	close(FD_TARGET);
}

/* polled I/O has no place for it, as for FIXED_FD_INSTALL */
static void try_iopoll(void)
{
	struct io_uring ring;

	ring_open(&ring, 4, IORING_SETUP_IOPOLL);
	fill_dup(ring_sqe(&ring), &(struct dup){ .fd = source, .new_fd = FD_TARGET });
	MUST(io_uring_submit(&ring));
	CHECK_RES(ring_reap(&ring, NULL), -EINVAL, "IOPOLL");
	CHECK(!fd_open(FD_TARGET), "IOPOLL");
	io_uring_queue_exit(&ring);
}

/* the name is seen in the trace of submissions; where there is none it is not looked for */
static void try_name(void)
{
#define TRACE "/sys/kernel/tracing/"
	static char trace[1 << 16];
	struct io_uring ring;
	FILE *enable = fopen(TRACE "events/io_uring/io_uring_submit_req/enable", "we"), *lines;
	size_t n;

	if (!enable) {
		printf("dup_setup: no trace events here, the opcode's name is not checked\n");
		return;
	}
	fputs("1", enable);
	fflush(enable);
	ring_open(&ring, 4, 0);
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET), FD_TARGET, "traced");
	io_uring_queue_exit(&ring);
	close(FD_TARGET);
	rewind(enable);
	fputs("0", enable);
	fclose(enable);
	lines = fopen(TRACE "trace", "re");
	MUST(lines ? 0 : -1);
	n = fread(trace, 1, sizeof(trace) - 1, lines);
	trace[n] = '\0';
	fclose(lines);
	CHECK(strstr(trace, "opcode DUP,") || strstr(trace, "opcode DUP "),
	      "the trace has no opcode DUP");
}

int main(void)
{
	test_start("dup_setup");
	source = file_make(ID);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct io_uring ring;

		ring_open(&ring, 8, kinds[i].flags);
		slots_register(&ring, SLOTS);
		slot_set(&ring, 1, source);
		try_all_four(&ring, kinds[i].name);
		io_uring_queue_exit(&ring);
	}
	try_mixed();
	try_restricted();
	try_iopoll();
	try_name();
	return test_end();
}
