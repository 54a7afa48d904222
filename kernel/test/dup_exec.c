/*
 * dup_exec.c - execve() while DUPs are in flight.
 *
 * When the new program starts all DUPs must have completed or been cancelled: none of its fds may
 * change any more. A destination has its old file, or the new one if that was installed without
 * close-on-exec, or is closed if it was installed with it. No file may be leaked. The new program is
 * this one again, which checks the fds it has inherited. Needs root, for FUSE.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { FD_KEPT = 100, FD_CLOSED = 200, REQUESTS = 40, SLOTS = 8, BEFORE = 1, AFTER = 2 };
enum { ROUNDS = 10, SETTLE_US = 20000 };

struct ending {
	const char *name;
	bool flush, linked, async;
};

static const struct ending endings[] = {
	{ "inline", false, false, false },
	{ "in workers", false, false, true },
	{ "->flush() held", true, false, false },
	{ "->flush() held, workers", true, false, true },
	{ "behind a link that waits", false, true, true },
};

/* the new program: FLUSHED says that a destination held the slow file, which has no id */
static int look_around(bool flushed, bool done)
{
	int ids[REQUESTS];

	test_start("dup_exec, the new program");
	for (int i = 0; i < REQUESTS; i++) {
		int id = ids[i] = file_id(FD_KEPT + i);
		bool was = flushed ? id != -EBADF && id != AFTER : id == BEFORE;

		CHECK(id == AFTER || (was && !done), "to be kept, %d: %s", i, res_name(id));
		/* what it was is not close-on-exec, what the DUP put there is */
		id = file_id(FD_CLOSED + i);
		was = flushed ? id != -EBADF && id != AFTER : id == BEFORE;
		CHECK(id == -EBADF || (was && !done), "close-on-exec, %d: %s", i, res_name(id));
	}
	usleep(SETTLE_US);
	for (int i = 0; i < REQUESTS; i++)
		CHECK_RES(file_id(FD_KEPT + i), ids[i], "%d, later", i);
	return test_end();
}

static void submit_all(struct io_uring *ring, const struct ending *ending, int source,
		       int never_ready)
{
	for (int i = 0; i < REQUESTS * 2; i++) {
		bool kept = i % 2, fixed = i % 3 == 0;
		struct io_uring_sqe *sqe;

		if (ending->linked) {
			sqe = ring_sqe(ring);
			io_uring_prep_poll_add(sqe, never_ready, POLLIN);
			sqe->flags |= IOSQE_IO_LINK;
		}
		fill_dup(ring_sqe(ring),
			 &(struct dup){ .fd = fixed ? 1 : source,
					.new_fd = (kept ? FD_KEPT : FD_CLOSED) + i / 2,
					.flags = (fixed ? DUP_OLD_FIXED : 0) |
						 (kept ? DUP_NO_CLOEXEC : 0),
					.sqe_flags = ending->async ? IOSQE_ASYNC : 0 });
	}
	MUST(io_uring_submit(ring));
}

static void child_main(const struct ending *ending, int pipe_write_end, struct slow_fs *fs)
{
	char *arguments[] = { "dup_exec", ending->flush ? "--flushed" : "--plain",
			      ending->flush || ending->linked || ending->async ? "--any" : "--done",
			      NULL };
	int never[2], old, source;
	struct io_uring ring;

	test_start("dup_exec, child");
	MUST(pipe2(never, O_CLOEXEC));
	ring_open(&ring, 256, 0);
	slots_register(&ring, SLOTS);
	source = file_make(AFTER);
	slot_set(&ring, 1, source);
	slot_set(&ring, 2, pipe_write_end); /* held by the ring alone: gone with it */
	close(pipe_write_end);
	old = ending->flush ? slow_fs_open(fs) : file_make(BEFORE);
	for (int i = 0; i < REQUESTS; i++) {
		MUST(dup2(old, FD_KEPT + i));
		MUST(dup2(old, FD_CLOSED + i));
	}
	submit_all(&ring, ending, source, never[0]);
	execv("/proc/self/exe", arguments);
	MUST(-errno);
}

static bool ends_in_time(pid_t child, int *status)
{
	for (uint64_t end = now_ms() + wait_ms(); now_ms() < end; usleep(1000))
		if (waitpid(child, status, WNOHANG) == child)
			return true;
	return false;
}

static void try_ending(const struct ending *ending, struct slow_fs *fs)
{
	int ends[2], status = -1;
	pid_t child;
	bool ended;

	MUST(pipe2(ends, O_CLOEXEC));
	slow_fs_hold(fs, ending->flush);
	child = (pid_t)MUST(fork());
	if (child == 0)
		child_main(ending, ends[1], fs);
	close(ends[1]);
	/* execve() waits for what sleeps in ->flush(), and that gets its answer */
	if (ending->flush) {
		CHECK(slow_fs_wait_flush(fs), "%s: ->flush() is not called", ending->name);
		usleep(SETTLE_US);
		slow_fs_hold(fs, false);
	}
	CHECK(pipe_hung_up(ends[0]), "%s: the ring's files are not released", ending->name);
	ended = ends_in_time(child, &status);
	CHECK(ended, "%s: the new program does not end", ending->name);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %#x", ending->name,
	      status);
	close(ends[0]);
	if (!ended) {
		kill(child, SIGKILL);
		exit(test_end());
	}
}

int main(int argc, char **argv)
{
	struct slow_fs *fs;

	if (argc > 2)
		return look_around(!strcmp(argv[1], "--flushed"), !strcmp(argv[2], "--done"));
	test_start("dup_exec");
	fs = slow_fs_mount();
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
			try_ending(&endings[i], fs);
	slow_fs_unmount(fs);
	return test_end();
}
