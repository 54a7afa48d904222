/*
 * dup_filter.c - what a BPF filter of requests (IORING_REGISTER_BPF_FILTER) gets to know about a DUP:
 * the destination, and the flags, in which IOSQE_FIXED_FILE appears as IORING_DUP_OLD_FIXED.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#define REGISTER_FILTER 37
#define SIZE_STRICT	2

enum { SLOTS = 8, FD_TARGET = 120, FD_PROTECTED = 121, ID = 12, ALLOW = 1, DENY = 0 };
/* where a filter finds them: behind user_data, opcode, flags and padding */
enum { AT_FLAGS = 16, AT_NEW_FD = 20, PDU_SIZE = 8 };

/* struct io_uring_bpf of <linux/io_uring/bpf_filter.h>, which older headers lack */
struct filter_registration {
	uint16_t command, command_flags;
	uint32_t reserved;
	uint32_t opcode, flags, length;
	uint8_t pdu_size, reserved2[3];
	uint64_t program, reserved3[5];
};

static int source;

static int set_filter(struct io_uring *ring, struct sock_filter *program, size_t length,
		      uint8_t *pdu_size, unsigned flags)
{
	struct filter_registration registration = { .command = 1,
						    .opcode = OP_DUP,
						    .flags = flags,
						    .length = (uint32_t)length,
						    .pdu_size = *pdu_size,
						    .program = (uintptr_t)program };
	int result = io_uring_register((unsigned)ring->ring_fd, REGISTER_FILTER, &registration, 1);

	*pdu_size = registration.pdu_size;
	return result;
}

static void open_filtered(struct io_uring *ring, struct sock_filter *program, size_t length)
{
	uint8_t pdu_size = PDU_SIZE;

	ring_open(ring, 8, 0);
	slots_register(ring, SLOTS);
	slot_set(ring, 1, source);
	MUST(set_filter(ring, program, length, &pdu_size, SIZE_STRICT));
}

#define OPEN_FILTERED(ring, program)                                                               \
	open_filtered(ring, program, sizeof(program) / sizeof((program)[0]))

static void sizes_agree(void)
{
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, ALLOW) };
	uint8_t pdu_size = PDU_SIZE - 4;
	struct io_uring ring;

	ring_open(&ring, 4, 0);
	CHECK_RES(set_filter(&ring, all, 1, &pdu_size, SIZE_STRICT), -EMSGSIZE, "too small");
	CHECK(pdu_size == PDU_SIZE, "the kernel has %u bytes for a filter", pdu_size);
	CHECK_RES(set_filter(&ring, all, 1, &pdu_size, SIZE_STRICT), 0, "the kernel's size");
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET), FD_TARGET, "all are allowed");
	io_uring_queue_exit(&ring);
}

/* one fd is not to be touched; the slot of that number may be */
static void by_destination(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_FLAGS),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, DUP_NEW_FIXED, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_NEW_FD),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FD_PROTECTED, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, ALLOW),
		BPF_STMT(BPF_RET | BPF_K, DENY),
	};
	static const unsigned modes[] = { 0, IOSQE_ASYNC };
	int protected = file_make(ID + 1);
	struct io_uring ring;

	OPEN_FILTERED(&ring, program);
	MUST(dup3(protected, FD_PROTECTED, O_CLOEXEC));
	for (size_t m = 0; m < 2; m++) {
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET, .sqe_flags = modes[m]),
			  FD_TARGET, "another fd");
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_PROTECTED, .sqe_flags = modes[m]),
			  -EACCES, "fd to the fd that is protected");
		CHECK_RES(DUP(&ring, .fd = 1, .new_fd = FD_PROTECTED, .flags = DUP_OLD_FIXED,
			      .sqe_flags = modes[m]),
			  -EACCES, "slot to the fd that is protected");
		CHECK_RES(file_id(FD_PROTECTED), ID + 1, "the fd that is protected");
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_PROTECTED, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  -EINVAL, "a slot of that number passes, and is out of range");
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = 3, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  3, "a slot");
	}
	io_uring_queue_exit(&ring);
}

/* exactly these flags, or none of it */
static void by_flags(void)
{
	static const struct {
		unsigned sqe_flags, flags, told;
	} cases[] = {
		{ 0, 0, 0 },
		{ 0, DUP_NO_CLOEXEC, DUP_NO_CLOEXEC },
		{ 0, DUP_OLD_FIXED, DUP_OLD_FIXED },
		{ IOSQE_FIXED_FILE, 0, DUP_OLD_FIXED },
		{ IOSQE_FIXED_FILE, DUP_OLD_FIXED, DUP_OLD_FIXED },
		{ IOSQE_FIXED_FILE, DUP_NO_CLOEXEC, DUP_OLD_FIXED | DUP_NO_CLOEXEC },
		{ 0, DUP_NEW_FIXED, DUP_NEW_FIXED },
		{ IOSQE_FIXED_FILE, DUP_NEW_FIXED, DUP_OLD_FIXED | DUP_NEW_FIXED },
	};

	for (unsigned told = 0; told < 8; told++) {
		struct sock_filter program[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_FLAGS),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, told, 0, 1),
			BPF_STMT(BPF_RET | BPF_K, ALLOW),
			BPF_STMT(BPF_RET | BPF_K, DENY),
		};
		struct io_uring ring;

		OPEN_FILTERED(&ring, program);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			bool fixed = cases[i].told & DUP_OLD_FIXED;
			int new_fd = cases[i].flags & DUP_NEW_FIXED ? 3 : FD_TARGET;

			CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = new_fd,
				      .flags = cases[i].flags, .sqe_flags = cases[i].sqe_flags),
				  cases[i].told == told ? new_fd : -EACCES,
				  "case %zu, a filter for flags %#x", i, told);
		}
		io_uring_queue_exit(&ring);
	}
}

int main(void)
{
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, ALLOW) };
	uint8_t pdu_size = PDU_SIZE;
	struct io_uring ring;

	test_start("dup_filter");
	source = file_make(ID);
	ring_open(&ring, 4, 0);
	if (set_filter(&ring, all, 1, &pdu_size, 0) == -EINVAL)
		test_skip("no BPF filters of requests in this kernel (CONFIG_IO_URING_BPF)");
	io_uring_queue_exit(&ring);
	sizes_agree();
	by_destination();
	by_flags();
	return test_end();
}
