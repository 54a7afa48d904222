/*
 * dup_opath.c - fds opened with O_PATH: they cannot be a source, because io_uring refuses them as the
 * file of a request, but they can be replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 4, FD_TARGET = 60, ID = 5 };

int main(void)
{
	static const unsigned modes[] = { 0, IOSQE_ASYNC };
	struct io_uring ring;
	int source, path;

	test_start("dup_opath");
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	source = file_make(ID);
	slot_set(&ring, 1, source);
	path = (int)MUST(open("/", O_PATH | O_CLOEXEC));

	for (size_t m = 0; m < 2; m++) {
		MUST(dup3(source, FD_TARGET, O_CLOEXEC));
		CHECK_RES(DUP(&ring, .fd = path, .new_fd = FD_TARGET, .sqe_flags = modes[m]),
			  -EBADF, "O_PATH to an fd");
		CHECK_RES(file_id(FD_TARGET), ID, "O_PATH to an fd: the destination");
		CHECK_RES(DUP(&ring, .fd = path, .new_fd = 2, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  -EBADF, "O_PATH to a slot");
		CHECK_RES(slot_id(&ring, 2), -EBADF, "O_PATH to a slot: the destination");

		for (unsigned fixed = 0; fixed < 2; fixed++) {
			MUST(dup3(path, FD_TARGET, O_CLOEXEC));
			CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = FD_TARGET,
				      .flags = fixed ? DUP_OLD_FIXED : 0, .sqe_flags = modes[m]),
				  FD_TARGET, "over O_PATH");
			CHECK_RES(file_id(FD_TARGET), ID, "over O_PATH");
		}
	}
	return test_end();
}
