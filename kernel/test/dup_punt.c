/*
 * dup_punt.c - a DUP that may sleep runs in a worker, and no other DUP does.
 *
 * It may sleep if the replaced file has a ->flush(), which the test can delay here, or a ->lock(), if
 * the number is reserved, so that a file may appear there, and if the fd table must grow. Meanwhile
 * the submission returns, the ring processes other requests and file_lock is not held. The test
 * knows that a worker was used because the first punted request creates one; so each case is a new
 * process. Needs root, for FUSE.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"

/* since Linux 7.1 */
#ifndef UNSHARE_EMPTY_MNTNS
#define UNSHARE_EMPTY_MNTNS 0x00100000
#endif

enum { FD_TARGET = 40, SLOTS = 8, ID = 4 };

static struct io_uring ring;
static int source;

static void start(void)
{
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	source = file_make(ID);
	slot_set(&ring, 1, source);
}

static bool completed(void)
{
	struct io_uring_cqe *cqe;

	return io_uring_peek_cqe(&ring, &cqe) == 0;
}

static void nop_completes(const char *when)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);
	uint64_t user_data;

	io_uring_prep_nop(sqe);
	sqe->user_data = 77;
	MUST(io_uring_submit(&ring));
	CHECK_RES(ring_reap(&ring, &user_data), 0, "NOP %s", when);
	CHECK(user_data == 77, "the DUP completed %s", when);
}

static void flush_is_waited_for_in_a_worker(bool fixed, bool async)
{
	struct slow_fs *fs = slow_fs_mount();
	int fd = slow_fs_open(fs), other;
	struct dup dup = { .fd = fixed ? 1 : source,
			   .new_fd = FD_TARGET,
			   .flags = fixed ? DUP_OLD_FIXED : 0,
			   .sqe_flags = async ? IOSQE_ASYNC : 0 };

	MUST(dup3(fd, FD_TARGET, O_CLOEXEC));
	slow_fs_hold(fs, true);
	CHECK_RES(io_workers(), 0, "workers before");
	fill_dup(ring_sqe(&ring), &dup);
	MUST(io_uring_submit(&ring)); /* returns at once, or when the file system gives up */
	CHECK(!slow_fs_gave_up(fs), "the submission waited for ->flush()");
	CHECK(slow_fs_wait_flush(fs), "->flush() is called");
	CHECK(io_workers() > 0, "it runs in a worker");
	CHECK(!completed(), "completed before ->flush() returned");

	/* neither the ring nor the fd table waits */
	nop_completes("while ->flush() runs");
	other = (int)MUST(fcntl(source, F_DUPFD_CLOEXEC, 0));
	MUST(close(other));

	slow_fs_hold(fs, false);
	CHECK_RES(ring_reap(&ring, NULL), FD_TARGET, "after ->flush()");
	CHECK_RES(file_id(FD_TARGET), ID, "after ->flush()");
	CHECK(slow_fs_flushes(fs) == 1, "%u calls of ->flush()", slow_fs_flushes(fs));
	close(fd);
	slow_fs_unmount(fs);
}

static void flush_from_fd(void)
{
	flush_is_waited_for_in_a_worker(false, false);
}

static void flush_from_slot(void)
{
	flush_is_waited_for_in_a_worker(true, false);
}

static void flush_async(void)
{
	flush_is_waited_for_in_a_worker(true, true);
}

/* A message queue's ->flush() is short and has an effect that can be seen. */
static void flush_is_called(void)
{
	int fd = flush_file_make();

	MUST(dup3(fd, FD_TARGET, O_CLOEXEC));
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET), FD_TARGET, "over a message queue");
	CHECK(io_workers() > 0, "a file with ->flush() was closed in the submission");
	close(fd);
}

/*
 * The least that has a ->lock() and no ->flush() is nullfs, the empty root of a new mount namespace; see
 * dup_netfs for a file system that asks a server. A thread opens it, so that the process keeps its mounts.
 */
static void *open_nullfs(void *fd)
{
	if (unshare(UNSHARE_EMPTY_MNTNS) == 0)
		*(int *)fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return NULL;
}

static void lock_method(void)
{
	pthread_t thread;
	int fd = -1;

	MUST(-pthread_create(&thread, NULL, open_nullfs, &fd));
	MUST(-pthread_join(thread, NULL));
	if (fd < 0)
		test_skip("no empty mount namespace here: root and Linux 7.1 are needed");
	MUST(dup3(fd, FD_TARGET, O_CLOEXEC));
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = FD_TARGET), FD_TARGET,
		  "over one with ->lock()");
	CHECK(io_workers() > 0, "a file with ->lock() was closed in the submission");
	CHECK_RES(file_id(FD_TARGET), ID, "over one with ->lock()");
	close(fd);
}

/*
 * Any file can get to a reserved number at any moment, also one that must not be closed in the
 * submission: so a worker is who finds out that nothing can be replaced there. See dup_vs_flush.
 */
static void reserved_number(void)
{
	struct reserved_fd *reserved = fd_reserve();

	CHECK_RES(DUP(&ring, .fd = source, .new_fd = reserved->fd), -EBUSY,
		  "over a reserved number");
	CHECK(io_workers() > 0, "a reserved number was looked at in the submission only");
	fd_install_reserved(reserved);
}

/* nothing is flushed when a slot is emptied, so there is nothing to wait for */
static void slot_needs_no_worker(void)
{
	struct slow_fs *fs = slow_fs_mount();
	int fd = slow_fs_open(fs);

	slot_set(&ring, 3, fd);
	slow_fs_hold(fs, true);
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = 3, .flags = DUP_NEW_FIXED), 3, "over a slot");
	CHECK_RES(io_workers(), 0, "a slot's file has no ->flush() to wait for");
	CHECK_RES(slot_id(&ring, 3), ID, "over a slot");
	slow_fs_hold(fs, false);
	close(fd);
	slow_fs_unmount(fs);
}

/* the common cases are done within the submission */
static void no_needless_worker(void)
{
	static const unsigned kinds[] = { 0, DUP_OLD_FIXED, DUP_NEW_FIXED,
					  DUP_OLD_FIXED | DUP_NEW_FIXED };

	for (size_t i = 0; i < 4; i++) {
		struct dup dup = { .fd = kinds[i] & DUP_OLD_FIXED ? 1 : source,
				   .new_fd = kinds[i] & DUP_NEW_FIXED ? 5 : FD_TARGET,
				   .flags = kinds[i] };

		for (int round = 0; round < 3; round++) {
			fill_dup(ring_sqe(&ring), &dup);
			MUST(io_uring_submit(&ring));
			CHECK(completed(), "kind %zu, round %d: not completed at once", i, round);
			CHECK_RES(ring_reap(&ring, NULL), dup.new_fd, "kind %zu, round %d", i,
				  round);
		}
	}
	/* nor does an error need one */
	CHECK_RES(DUP(&ring, .fd = 2000, .new_fd = FD_TARGET), -EBADF, "a missing source");
	CHECK_RES(DUP(&ring, .fd = source, .new_fd = 1 << 30), -EBADF, "beyond the limit");
	CHECK_RES(io_workers(), 0, "workers for what can be done at once");
}

static void growth(bool fixed)
{
	long size = fd_table_size();
	struct rlimit files;
	int limit, last;

	MUST(getrlimit(RLIMIT_NOFILE, &files));
	limit = (int)files.rlim_cur;
	last = (int)size - 1;

	CHECK(size < limit, "the table has %ld entries already", size);
	CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = last,
		      .flags = fixed ? DUP_OLD_FIXED : 0),
		  last, "the last entry of the table");
	CHECK_RES(io_workers(), 0, "a worker for an entry that is there");
	CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = (int)size,
		      .flags = fixed ? DUP_OLD_FIXED : 0),
		  (int)size, "one beyond the table of %ld", size);
	CHECK(io_workers() > 0, "the table grew within the submission");
	CHECK(fd_table_size() > size, "the table did not grow");
	CHECK_RES(file_id((int)size), ID, "one beyond the table");
	CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = limit - 1,
		      .flags = fixed ? DUP_OLD_FIXED : 0),
		  limit - 1, "the last number of all");
	CHECK_RES(file_id(limit - 1), ID, "the last number of all");
	CHECK_RES(file_id(source), ID, "the source after the table was copied");
	CHECK_RES(file_id(last), ID, "an entry after the table was copied");
}

static void growth_from_fd(void)
{
	growth(false);
}

static void growth_from_slot(void)
{
	growth(true);
}

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void growth_shared(void)
{
	pthread_t thread;

	MUST(-pthread_create(&thread, NULL, wait_for_ever, NULL));
	growth(false);
}

/*
 * the source is that of the submission: whatever happens to its number before the worker comes to
 * it
 */
static void source_is_kept(void)
{
	int replaced = flush_file_make();

	for (int round = 0; round < 200; round++) {
		int mine = file_make(ID + 1);
		struct dup dup = { .fd = mine,
				   .new_fd = FD_TARGET,
				   .sqe_flags = round & 1 ? IOSQE_ASYNC : 0 };

		MUST(dup3(replaced, FD_TARGET, O_CLOEXEC)); /* so that it is punted */
		if (round & 2) {
			slot_set(&ring, 2, mine);
			dup.fd = 2;
			dup.flags = DUP_OLD_FIXED;
		}
		fill_dup(ring_sqe(&ring), &dup);
		MUST(io_uring_submit(&ring));
		if (round & 2)
			slot_set(&ring, 2, -1);
		close(mine);
		CHECK_RES(ring_reap(&ring, NULL), FD_TARGET,
			  "round %d, source closed after the submission", round);
		CHECK_RES(file_id(FD_TARGET), ID + 1, "round %d", round);
	}
}

int main(void)
{
	test_start("dup_punt");
	ALONE(start, no_needless_worker);
	ALONE(start, flush_is_called);
	ALONE(start, lock_method);
	ALONE(start, reserved_number);
	ALONE(start, flush_from_fd);
	ALONE(start, flush_from_slot);
	ALONE(start, flush_async);
	ALONE(start, slot_needs_no_worker);
	ALONE(start, growth_from_fd);
	ALONE(start, growth_from_slot);
	ALONE(start, growth_shared);
	ALONE(start, source_is_kept);
	return test_end();
}
