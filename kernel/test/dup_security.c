/*
 * dup_security.c - security modules are asked before a direct descriptor becomes an fd.
 *
 * The guest has no security module, so this test acts as one: a BPF program attached to
 * security_file_receive() (BPF_MODIFY_RETURN, Documentation/bpf) denies the calls of this process,
 * beginning with the one that the test chooses. Where FIXED_FD_INSTALL is denied, DUP of a slot must
 * be denied too, inline and in a worker, and the destination must not change. For a source that is
 * already an fd the hook must not be called.
 *
 * Needs root, and a kernel with CONFIG_SECURITY, BPF and BTF.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

#ifdef HAVE_LIBBPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

enum { SLOTS = 8, FD_TARGET = 130, ID_BEFORE = 500, ID_SOURCE = 600 };

/* what the program and the test tell each other */
struct hook {
	uint32_t process;   /* whose calls are counted */
	uint32_t calls;	    /* how many there were */
	uint32_t deny_from; /* the first that is refused, counted from 1; 0: none */
};

static struct io_uring ring;
static int hook_map, before_fd;

static void hook_set(uint32_t deny_from)
{
	struct hook hook = { .process = (uint32_t)getpid(), .deny_from = deny_from };
	uint32_t key = 0;

	MUST(bpf_map_update_elem(hook_map, &key, &hook, BPF_ANY));
}

static int hook_calls(void)
{
	struct hook hook;
	uint32_t key = 0;

	MUST(bpf_map_lookup_elem(hook_map, &key, &hook));
	return (int)hook.calls;
}

/* The versions of clang-format do not agree on these. */
/* clang-format off */
#define LOAD(to, field) \
	{ .code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = (to), .src_reg = BPF_REG_6, .off = offsetof(struct hook, field) }
#define MOVE(to, value) \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) }
#define EXIT \
	{ .code = BPF_JMP | BPF_EXIT }
/* clang-format on */

/* Puts the program in place; it goes with this process. False, and says why, where that cannot be.
 */
static bool hook_attach(void)
{
	struct bpf_insn program[] = {
		/* r6 = the struct hook, in the map */
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_6,
		  .src_reg = BPF_PSEUDO_MAP_VALUE },
		{ .code = 0 },
		/* if (process of the caller != hook->process) goto allow */
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32 },
		LOAD(BPF_REG_1, process),
		{ .code = BPF_JMP | BPF_JNE | BPF_X,
		  .dst_reg = BPF_REG_0,
		  .src_reg = BPF_REG_1,
		  .off = 8 },
		/* calls = ++hook->calls */
		LOAD(BPF_REG_1, calls),
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = 1 },
		{ .code = BPF_STX | BPF_W | BPF_MEM,
		  .dst_reg = BPF_REG_6,
		  .src_reg = BPF_REG_1,
		  .off = offsetof(struct hook, calls) },
		/* if (!hook->deny_from || calls < hook->deny_from) goto allow */
		LOAD(BPF_REG_2, deny_from),
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_2, .imm = 0, .off = 3 },
		{ .code = BPF_JMP | BPF_JLT | BPF_X,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_2,
		  .off = 2 },
		MOVE(BPF_REG_0, -EACCES),
		EXIT,
		/* allow: */
		MOVE(BPF_REG_0, 0),
		EXIT,
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_MODIFY_RETURN);
	int id, loaded;

	libbpf_set_print(NULL);
	id = libbpf_find_vmlinux_btf_id("security_file_receive", BPF_MODIFY_RETURN);
	if (id <= 0) {
		printf("dup_security: security_file_receive() is not in the BTF of this kernel\n");
		return false;
	}
	options.attach_btf_id = (uint32_t)id;
	hook_map = (int)MUST(bpf_map_create(BPF_MAP_TYPE_ARRAY, "hook", sizeof(uint32_t),
					    sizeof(struct hook), 1, NULL));
	program[0].imm = hook_map;
	loaded = (int)MUST(bpf_prog_load(BPF_PROG_TYPE_TRACING, "deny_receive", "GPL", program,
					 sizeof(program) / sizeof(program[0]), &options));
	MUST(bpf_raw_tracepoint_open(NULL, loaded));
	return true;
}

/* destinations that are open, sources in slots */
static void start(void)
{
	hook_set(0);
	for (int i = 0; i < SLOTS; i++) {
		int made = file_make((uint32_t)(ID_SOURCE + i));

		slot_set(&ring, i, made);
		close(made);
		MUST(dup2(before_fd, FD_TARGET + i));
	}
}

static int install(unsigned sqe_flags)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	io_uring_prep_fixed_fd_install(sqe, 0, 0);
	sqe->flags |= (uint8_t)sqe_flags;
	return ring_submit_wait(&ring);
}

static void what_install_does(unsigned sqe_flags)
{
	start();
	hook_set(1);
	CHECK_RES(install(sqe_flags), -EACCES, "FIXED_FD_INSTALL, flags %#x", sqe_flags);
	CHECK_RES(hook_calls(), 1, "calls for FIXED_FD_INSTALL");
}

static void a_slot(unsigned sqe_flags)
{
	struct dup dup = {
		.fd = 1, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED, .sqe_flags = sqe_flags
	};

	start();
	hook_set(1);
	CHECK_RES(do_dup(&ring, &dup), -EACCES, "DUP of a slot, flags %#x", sqe_flags);
	CHECK_RES(hook_calls(), 1, "calls for DUP of a slot");
	CHECK_RES(file_id(FD_TARGET), ID_BEFORE, "the destination of what was refused");
	hook_set(0);
	CHECK_RES(do_dup(&ring, &dup), FD_TARGET, "DUP of a slot that is allowed");
	CHECK_RES(hook_calls(), 1, "calls for one that is allowed");
	CHECK_RES(file_id(FD_TARGET), ID_SOURCE + 1, "the destination of what was allowed");
}

/* A worker asks again: it may be refused although the submission was not. */
static void in_a_worker(void)
{
	int queue = flush_file_make();

	start();
	MUST(dup3(queue, FD_TARGET, O_CLOEXEC));
	hook_set(2);
	CHECK_RES(DUP(&ring, .fd = 1, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED), -EACCES,
		  "DUP over a file with ->flush()");
	CHECK(file_id(FD_TARGET) < 0, "the destination was replaced all the same");
	close(queue);
}

static void not_asked(void)
{
	int fd = file_make(ID_SOURCE + SLOTS);

	start();
	hook_set(1);
	CHECK_RES(DUP(&ring, .fd = fd, .new_fd = FD_TARGET), FD_TARGET, "DUP of an fd");
	CHECK_RES(DUP(&ring, .fd = fd, .new_fd = 2, .flags = DUP_NEW_FIXED), 2, "DUP into a slot");
	CHECK_RES(DUP(&ring, .fd = 1, .new_fd = 2, .flags = DUP_OLD_FIXED | DUP_NEW_FIXED), 2,
		  "DUP of a slot into a slot");
	CHECK_RES(hook_calls(), 0, "calls for what does not become an fd");
	close(fd);
}

int main(void)
{
	test_start("dup_security");
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	before_fd = file_make(ID_BEFORE);
	if (!hook_attach())
		return EXIT_SKIPPED;
	what_install_does(0);
	what_install_does(IOSQE_ASYNC);
	a_slot(0);
	a_slot(IOSQE_ASYNC);
	in_a_worker();
	not_asked();
	return test_end();
}

#else

int main(void)
{
	test_start("dup_security");
	printf("dup_security: libbpf was missing when this was built\n");
	return EXIT_SKIPPED;
}

#endif
