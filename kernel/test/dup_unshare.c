/*
 * dup_unshare.c - which fd table a DUP uses after its thread has called unshare(CLONE_FILES).
 *
 * A request that runs inline uses the table of the thread that submits, and so does a worker created
 * after the unshare(). A worker created before keeps using the old table. This is true of every
 * request that uses the fd table, so the test first observes CLOSE, and DUP must behave the same. The
 * commit message and the man page describe this behaviour and must be changed if it changes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "harness.h"

enum { FD_TARGET = 40, FD_CLOSED = 41, SLOTS = 4, BEFORE = 1, AFTER = 2, ROUNDS = 3 };

static struct io_uring ring;
static int source, ask[2], answer[2];

/* the thread that stays with the old table: says which file it has at a number */
static void *stay_behind(void *unused)
{
	int fd, id;

	while (read(ask[0], &fd, sizeof(fd)) == sizeof(fd)) {
		id = file_id(fd);
		MUST(write(answer[1], &id, sizeof(id)));
	}
	return unused;
}

static int old_table_id(int fd)
{
	int id;

	MUST(write(ask[1], &fd, sizeof(fd)));
	MUST(read(answer[0], &id, sizeof(id)) == sizeof(id) ? 0 : -EIO);
	return id;
}

static void start(void)
{
	pthread_t thread;
	int before = file_make(BEFORE);

	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	source = file_make(AFTER);
	slot_set(&ring, 1, source);
	MUST(pipe2(ask, O_CLOEXEC));
	MUST(pipe2(answer, O_CLOEXEC));
	MUST(dup3(before, FD_TARGET, O_CLOEXEC));
	MUST(dup3(before, FD_CLOSED, O_CLOEXEC));
	MUST(-pthread_create(&thread, NULL, stay_behind, NULL));
}

/* one worker, so that it is the one that runs the next request as well */
static void make_worker(void)
{
	unsigned limits[2] = { 1, 1 };

	MUST(io_uring_register_iowq_max_workers(&ring, limits));
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET + 10, .sqe_flags = IOSQE_ASYNC),
		  FD_TARGET + 10, "before");
	CHECK_RES(io_workers(), 1, "a worker from before");
}

static void check_own_table(unsigned sqe_flags, const char *what)
{
	for (unsigned fixed = 0; fixed < 2; fixed++) {
		int before = file_make(BEFORE);

		MUST(dup3(before, FD_TARGET, O_CLOEXEC));
		close(before);
		CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = FD_TARGET,
			      .flags = fixed ? DUP_OLD_FIXED : 0, .sqe_flags = sqe_flags),
			  FD_TARGET, "%s", what);
		CHECK_RES(file_id(FD_TARGET), AFTER, "%s: the own table", what);
		CHECK_RES(old_table_id(FD_TARGET), BEFORE, "%s: the table left behind", what);
	}
}

static void no_worker_before(void)
{
	MUST(unshare(CLONE_FILES));
	check_own_table(0, "in the submission");
	check_own_table(IOSQE_ASYNC, "in a worker made after");
}

static int close_in_worker(int fd)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	sqe->opcode = IORING_OP_CLOSE;
	sqe->flags = IOSQE_ASYNC;
	sqe->fd = fd;
	return ring_submit_wait(&ring);
}

static void worker_before(void)
{
	int own, old;

	make_worker();
	MUST(unshare(CLONE_FILES));
	check_own_table(0, "in the submission, a worker from before");

	CHECK_RES(close_in_worker(FD_CLOSED), 0, "CLOSE in a worker from before");
	own = file_id(FD_CLOSED);
	old = old_table_id(FD_CLOSED);
	CHECK((own == -EBADF) != (old == -EBADF), "CLOSE closed %s and %s", res_name(own),
	      res_name(old));

	for (int round = 0; round < ROUNDS; round++) {
		int before = file_make(BEFORE);

		MUST(dup3(before, FD_TARGET, O_CLOEXEC));
		close(before);
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET, .sqe_flags = IOSQE_ASYNC),
			  FD_TARGET, "in a worker from before");
		CHECK_RES(file_id(FD_TARGET), own == -EBADF ? AFTER : BEFORE,
			  "DUP and CLOSE use different tables: the own one");
		CHECK_RES(old_table_id(FD_TARGET), old == -EBADF ? AFTER : BEFORE,
			  "DUP and CLOSE use different tables: the one left behind");
	}
	CHECK_RES(io_workers(), 1, "still that worker");
}

int main(void)
{
	test_start("dup_unshare");
	ALONE(start, no_worker_before);
	ALONE(start, worker_before);
	return test_end();
}
