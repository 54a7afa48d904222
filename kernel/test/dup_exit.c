/*
 * dup_exit.c - a process that ends while its DUPs are in flight.
 *
 * It ends by exit and by SIGKILL, with requests in a worker that sleeps in ->flush(), requests that
 * wait for a worker, and requests that wait for an earlier one of their chain. The process must end
 * and release every file. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { FD_TARGET = 90, SLOTS = 64, REQUESTS = 48, ROUNDS = 12 };

struct ending {
	const char *name;
	bool killed, flush, linked, async;
};

static const struct ending endings[] = {
	{ "exit, inline", false, false, false, false },
	{ "exit, in workers", false, false, false, true },
	{ "exit, ->flush() held", false, true, false, false },
	{ "kill, in workers", true, false, false, true },
	{ "kill, ->flush() held", true, true, false, false },
	{ "kill, ->flush() held, workers", true, true, false, true },
	{ "kill, behind a link that waits", true, false, true, false },
	{ "exit, behind a link that waits", false, false, true, true },
};

static void submit_all(struct io_uring *ring, const struct ending *ending, int source,
		       int never_ready)
{
	for (int i = 0; i < REQUESTS; i++) {
		bool to_slot = i % 3 == 2;
		struct io_uring_sqe *sqe;

		if (ending->linked && i % 4 == 0) {
			sqe = ring_sqe(ring);
			io_uring_prep_poll_add(sqe, never_ready, POLLIN);
			sqe->flags |= IOSQE_IO_LINK;
		}
		sqe = ring_sqe(ring);
		fill_dup(sqe, &(struct dup){ .fd = i % 2 ? 0 : source,
					     .flags = (i % 2 ? DUP_OLD_FIXED : 0) |
						      (to_slot ? DUP_NEW_FIXED : 0),
					     .new_fd = to_slot ? SLOT_ALLOC : FD_TARGET + i,
					     .sqe_flags = ending->async ? IOSQE_ASYNC : 0 });
	}
	MUST(io_uring_submit(ring));
}

/* the child: gets its DUPs under way, says so, and ends or waits to be ended */
static void child_main(const struct ending *ending, int pipe_write_end, struct slow_fs *fs,
		       int ready)
{
	struct io_uring ring;
	int never[2];

	test_start("dup_exit, child");
	MUST(pipe2(never, O_CLOEXEC));
	ring_open(&ring, 128, 0);
	slots_register(&ring, SLOTS);
	slot_set(&ring, 0, pipe_write_end);
	if (ending->flush) {
		int slow = slow_fs_open(fs);

		for (int i = 0; i < REQUESTS; i++)
			MUST(dup3(slow, FD_TARGET + i, O_CLOEXEC));
	}
	submit_all(&ring, ending, pipe_write_end, never[0]);
	MUST(write(ready, "r", 1));
	if (ending->killed)
		for (;;)
			pause();
	_exit(EXIT_GOOD);
}

static bool ends_in_time(pid_t child)
{
	for (uint64_t end = now_ms() + wait_ms(); now_ms() < end; usleep(1000)) {
		int status;

		if (waitpid(child, &status, WNOHANG) == child)
			return true;
	}
	return false;
}

static void try_ending(const struct ending *ending, struct slow_fs *fs)
{
	int ends[2], ready[2];
	pid_t child;
	bool ended;

	MUST(pipe2(ends, O_CLOEXEC));
	MUST(pipe2(ready, O_CLOEXEC));
	slow_fs_hold(fs, ending->flush);
	child = (pid_t)MUST(fork());
	if (child == 0)
		child_main(ending, ends[1], fs, ready[1]);
	close(ends[1]);
	close(ready[1]);
	CHECK(read(ready[0], &(char){ 0 }, 1) == 1, "%s: the child did not get that far",
	      ending->name);
	if (ending->flush)
		CHECK(slow_fs_wait_flush(fs), "%s: ->flush() is not called", ending->name);
	if (ending->killed)
		MUST(kill(child, SIGKILL));
	/* what sleeps in ->flush() is entitled to its answer */
	if (ending->flush) {
		usleep(20000);
		slow_fs_hold(fs, false);
	}
	ended = ends_in_time(child);
	CHECK(ended, "%s: the process does not end", ending->name);
	if (!ended)
		exit(test_end());
	CHECK(pipe_hung_up(ends[0]), "%s: a file was not released", ending->name);
	close(ends[0]);
	close(ready[0]);
}

int main(void)
{
	struct slow_fs *fs;

	test_start("dup_exit");
	fs = slow_fs_mount();
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
			try_ending(&endings[i], fs);
	slow_fs_unmount(fs);
	return test_end();
}
