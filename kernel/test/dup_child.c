/*
 * dup_child.c - DUP by a child process that uses a ring inherited from its parent.
 *
 * An fd belongs to the process that submits: the child's DUP must look up its source in the child's
 * fd table and replace an fd there, inline and in a worker. A slot belongs to the ring: both
 * processes see it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 8, FD_TARGET = 60, FD_SOURCE = 61, PARENTS = 1, CHILDS = 2, SLOTS_OWN = 3 };

static struct io_uring ring;

static int child_main(void)
{
	static const unsigned modes[] = { 0, IOSQE_ASYNC };
	int parents = (int)MUST(fcntl(FD_TARGET, F_DUPFD_CLOEXEC, 200)), childs = file_make(CHILDS);

	test_start("dup_child, child");
	/* a number that is another file in the parent */
	MUST(dup3(childs, FD_SOURCE, O_CLOEXEC));
	for (size_t m = 0; m < 2; m++) {
		MUST(dup3(parents, FD_TARGET, O_CLOEXEC));
		CHECK_RES(DUP(&ring, .fd = FD_SOURCE, .new_fd = FD_TARGET, .sqe_flags = modes[m]),
			  FD_TARGET, "fd to fd");
		CHECK_RES(file_id(FD_TARGET), CHILDS, "fd to fd");
		CHECK_RES(DUP(&ring, .fd = 1, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED,
			      .sqe_flags = modes[m]),
			  FD_TARGET, "slot to fd");
		CHECK_RES(file_id(FD_TARGET), SLOTS_OWN, "slot to fd");
		CHECK_RES(DUP(&ring, .fd = FD_SOURCE, .new_fd = 2 + (int)m, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  2 + (int)m, "fd to slot");
		CHECK_RES(
			DUP(&ring, .fd = childs + 100, .new_fd = FD_TARGET, .sqe_flags = modes[m]),
			-EBADF, "a source that the child has not got");
	}
	/* the parent's ring is as little to be replaced as one of the child's own */
	CHECK_RES(DUP(&ring, .fd = FD_SOURCE, .new_fd = ring.ring_fd), -EBADF, "over the ring");
	return test_end();
}

int main(void)
{
	int status, parents;
	pid_t child;

	test_start("dup_child");
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	slot_set(&ring, 1, file_make(SLOTS_OWN));
	parents = file_make(PARENTS);
	MUST(dup3(parents, FD_TARGET, O_CLOEXEC));
	MUST(dup3(parents, FD_SOURCE, O_CLOEXEC));
	/* a worker of the parent is there already, and is none of the child's */
	CHECK_RES(DUP(&ring, .fd = parents, .new_fd = FD_TARGET, .sqe_flags = IOSQE_ASYNC),
		  FD_TARGET, "before");

	child = (pid_t)MUST(fork());
	if (child == 0)
		_exit(child_main());
	MUST(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child: status %#x", status);
	/* the queue is where the child left it, which the parent's liburing has not seen */
	ring.sq.sqe_head = ring.sq.sqe_tail = __atomic_load_n(ring.sq.ktail, __ATOMIC_ACQUIRE);
	CHECK_RES(file_id(FD_TARGET), PARENTS, "the parent's fd, after the child's DUPs");
	CHECK_RES(file_id(FD_SOURCE), PARENTS, "the parent's fd");
	CHECK_RES(slot_id(&ring, 2), CHILDS, "the ring's slot");
	CHECK_RES(slot_id(&ring, 3), CHILDS, "the ring's slot, by a worker");
	/* and the parent goes on with its ring */
	CHECK_RES(DUP(&ring, .fd = 2, .new_fd = FD_TARGET, .flags = DUP_OLD_FIXED), FD_TARGET,
		  "after");
	CHECK_RES(file_id(FD_TARGET), CHILDS, "after");
	return test_end();
}
