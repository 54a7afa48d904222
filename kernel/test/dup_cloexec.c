/*
 * dup_cloexec.c - the close-on-exec bit of the new fd.
 *
 * The bit must be set unless IORING_DUP_NO_CLOEXEC is given, whatever that of the replaced fd was, for
 * both kinds of source, inline and in a worker. Checked by execve() of this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { FIRST_FD = 100, COMBINATIONS = 32, ID = 5 };

/* bits of a combination */
enum { KEEP = 1, FIXED = 2, ASYNC = 4, OCCUPIED = 8, OLD_CLOEXEC = 16 };

/* after the execve(): exactly those that were asked for are here */
static int after_exec(void)
{
	for (int c = 0; c < COMBINATIONS; c++) {
		int wanted = c & KEEP ? ID : -EBADF;

		CHECK_RES(file_id(FIRST_FD + c), wanted, "combination %#x after execve", c);
	}
	return test_end();
}

int main(int argc, char **argv)
{
	struct io_uring ring;
	int source, status;
	pid_t child;

	test_start("dup_cloexec");
	if (argc == 2 && !strcmp(argv[1], "after-exec"))
		return after_exec();

	ring_open(&ring, 8, 0);
	slots_register(&ring, 2);
	source = file_make(ID);
	slot_set(&ring, 1, source);
	for (int c = 0; c < COMBINATIONS; c++) {
		int fd = FIRST_FD + c;

		if (c & OCCUPIED)
			MUST(dup3(STDOUT_FILENO, fd, c & OLD_CLOEXEC ? O_CLOEXEC : 0));
		CHECK_RES(DUP(&ring, .fd = c & FIXED ? 1 : source, .new_fd = fd,
			      .flags = (c & FIXED ? DUP_OLD_FIXED : 0) |
				       (c & KEEP ? DUP_NO_CLOEXEC : 0),
			      .sqe_flags = c & ASYNC ? IOSQE_ASYNC : 0),
			  fd, "combination %#x", c);
		CHECK(fd_cloexec(fd) == !(c & KEEP), "combination %#x", c);
	}
	/* the source keeps what it had */
	CHECK(fd_cloexec(source), "close-on-exec of the source");

	child = (pid_t)MUST(fork());
	if (child == 0) {
		execl("/proc/self/exe", argv[0], "after-exec", (char *)NULL);
		_exit(EXIT_FAILED);
	}
	MUST(waitpid(child, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the executed program: status %#x",
	      status);
	return test_end();
}
