/*
 * dup_cancel.c - ASYNC_CANCEL and LINK_TIMEOUT of a DUP that waits for a worker, or runs in one.
 *
 * The number of workers is limited to one, which sleeps in the open() of a FIFO, so that later
 * requests stay in the queue for as long as the test needs. A DUP that is cancelled in the queue must
 * have replaced nothing and hold no file. One that sleeps in ->flush() has already replaced the file,
 * so it must succeed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

enum { FD_TARGET = 70, SLOTS = 4, BEFORE = 1, AFTER = 2, STAY_MS = 50, ROUNDS = 20 };
enum { OPEN = 100, THE_DUP, CANCEL, TIMEOUT };

static struct io_uring ring;
static char fifo[64];
static int before;

/* a FIFO of which nothing is left over in the file system */
static void make_fifo(void)
{
	char dir[] = "/tmp/dup_cancel.XXXXXX";
	int fd;

	MUST(mkdtemp(dir) ? 0 : -1);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	MUST(mkfifo(fifo, 0600));
	fd = (int)MUST(open(fifo, O_PATH | O_CLOEXEC));
	unlink(fifo);
	rmdir(dir);
	snprintf(fifo, sizeof(fifo), "/proc/self/fd/%d", fd);
}

static void start(void)
{
	unsigned limits[2] = { 1, 1 };

	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	MUST(io_uring_register_iowq_max_workers(&ring, limits));
	before = file_make(BEFORE);
	make_fifo();
}

static void occupy_worker(void)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	io_uring_prep_openat(sqe, AT_FDCWD, fifo, O_RDONLY | O_CLOEXEC, 0);
	sqe->flags |= IOSQE_ASYNC;
	sqe->user_data = OPEN;
	MUST(io_uring_submit(&ring));
}

static void release_worker(void)
{
	/* non-blocking, it fails until the worker has got as far as its open() */
	int fd = -1;
	uint64_t end = now_ms() + wait_ms(), user_data;

	while (fd < 0 && now_ms() < end)
		fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	MUST(fd);
	close((int)MUST(ring_reap(&ring, &user_data)));
	CHECK(user_data == OPEN, "it is %llu that completed", (unsigned long long)user_data);
	close(fd);
}

static bool completes_within(unsigned ms)
{
	struct __kernel_timespec limit = { .tv_nsec = ms * 1000000L };
	struct io_uring_cqe *cqe;

	return io_uring_wait_cqe_timeout(&ring, &cqe, &limit) == 0;
}

/* ASYNC: for a worker from the start; otherwise it depends on the destination */
static struct io_uring_sqe *queue_dup(int source, bool fixed, bool async)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	if (fixed)
		slot_set(&ring, 1, source);
	fill_dup(sqe, &(struct dup){ .fd = fixed ? 1 : source,
				     .new_fd = FD_TARGET,
				     .flags = fixed ? DUP_OLD_FIXED : 0,
				     .sqe_flags = async ? IOSQE_ASYNC : 0 });
	sqe->user_data = THE_DUP;
	return sqe;
}

/* two completions that may come in either order */
static void reap_two(uint64_t other, int *dup_res, int *other_res)
{
	for (int i = 0; i < 2; i++) {
		uint64_t user_data;
		int res = ring_reap(&ring, &user_data);

		if (user_data == THE_DUP)
			*dup_res = res;
		else
			CHECK(user_data == other, "%llu completed", (unsigned long long)user_data);
		if (user_data == other)
			*other_res = res;
	}
}

static void cancel(int *dup_res, int *cancel_res)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	io_uring_prep_cancel64(sqe, THE_DUP, 0);
	sqe->user_data = CANCEL;
	MUST(io_uring_submit(&ring));
	reap_two(CANCEL, dup_res, cancel_res);
}

static bool same_file(int fd, int other)
{
	struct stat a, b;

	MUST(fstat(fd, &a));
	MUST(fstat(other, &b));
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* the one that waited is done with: nothing was replaced, and its source is not held any more */
static void check_undone(int ends[2], bool fixed, int destination)
{
	CHECK(same_file(FD_TARGET, destination), "the destination was replaced");
	CHECK(pipe_alive(ends[0]), "its source is gone too early");
	if (fixed)
		slot_set(&ring, 1, -1);
	close(ends[1]);
	CHECK(pipe_hung_up(ends[0]), "its source is still held");
	close(ends[0]);
}

static void queued_is_cancelled(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		int ends[2], dup_res = 1, cancel_res = 1;

		MUST(pipe2(ends, O_CLOEXEC));
		MUST(dup3(before, FD_TARGET, O_CLOEXEC));
		occupy_worker();
		queue_dup(ends[1], round & 1, true);
		MUST(io_uring_submit(&ring));
		if (round == 0)
			CHECK(!completes_within(STAY_MS), "the DUP does not wait for the worker");
		cancel(&dup_res, &cancel_res);
		CHECK_RES(cancel_res, 0, "ASYNC_CANCEL");
		CHECK_RES(dup_res, -ECANCELED, "a DUP that is cancelled");
		check_undone(ends, round & 1, before);
		release_worker();
	}
}

/* queues a LINK_TIMEOUT for the DUP */
static void queue_timeout(struct io_uring_sqe *dup, struct __kernel_timespec *limit)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	dup->flags |= IOSQE_IO_LINK;
	io_uring_prep_link_timeout(sqe, limit, 0);
	sqe->user_data = TIMEOUT;
}

/* The submission has tried it and left it to a worker: its time runs. */
static void queued_times_out(void)
{
	struct __kernel_timespec limit = { .tv_nsec = 5000000 };
	int flushed = flush_file_make();

	for (int round = 0; round < ROUNDS; round++) {
		int ends[2], dup_res = 1, timeout_res = 1;

		MUST(pipe2(ends, O_CLOEXEC));
		MUST(dup3(flushed, FD_TARGET, O_CLOEXEC));
		occupy_worker();
		queue_timeout(queue_dup(ends[1], round & 1, false), &limit);
		MUST(io_uring_submit(&ring));
		reap_two(TIMEOUT, &dup_res, &timeout_res);
		CHECK_RES(dup_res, -ECANCELED, "a DUP whose time is up");
		CHECK_RES(timeout_res, -ETIME, "its LINK_TIMEOUT");
		check_undone(ends, round & 1, flushed);
		release_worker();
	}
}

/* Nobody has tried it: its time does not run yet, and so it is done in the end. */
static void async_has_its_time(void)
{
	struct __kernel_timespec limit = { .tv_nsec = STAY_MS * 100000L };
	int source = file_make(AFTER), dup_res = 1, timeout_res = 1;

	MUST(dup3(before, FD_TARGET, O_CLOEXEC));
	occupy_worker();
	queue_timeout(queue_dup(source, false, true), &limit);
	MUST(io_uring_submit(&ring));
	CHECK(!completes_within(STAY_MS), "something completed that waits for a worker");
	CHECK_RES(file_id(FD_TARGET), BEFORE, "while it waits");
	release_worker();
	reap_two(TIMEOUT, &dup_res, &timeout_res);
	CHECK_RES(dup_res, FD_TARGET, "a DUP that waited for a worker");
	CHECK_RES(timeout_res, -ECANCELED, "its LINK_TIMEOUT");
	CHECK_RES(file_id(FD_TARGET), AFTER, "a DUP that waited for a worker");
}

static void running_is_not_undone(bool by_timeout)
{
	/* long enough for a busy machine to get it into ->flush() before */
	struct __kernel_timespec limit = { .tv_sec = 1 };
	struct slow_fs *fs = slow_fs_mount();
	int slow = slow_fs_open(fs), source = file_make(AFTER);
	struct io_uring_sqe *sqe;
	uint64_t user_data;

	MUST(dup3(slow, FD_TARGET, O_CLOEXEC));
	slow_fs_hold(fs, true);
	sqe = queue_dup(source, false, false);
	if (by_timeout)
		queue_timeout(sqe, &limit);
	MUST(io_uring_submit(&ring));
	CHECK(slow_fs_wait_flush(fs), "->flush() is called");
	if (!by_timeout) {
		sqe = ring_sqe(&ring);
		io_uring_prep_cancel64(sqe, THE_DUP, 0);
		sqe->user_data = CANCEL;
		MUST(io_uring_submit(&ring));
	}
	/* neither says that it has ended it: the one finds that it runs, the other finds nothing */
	CHECK_RES(ring_reap(&ring, &user_data), by_timeout ? -ENOENT : -EALREADY,
		  "what would end one that runs");
	CHECK(user_data == (by_timeout ? TIMEOUT : CANCEL), "%llu completed",
	      (unsigned long long)user_data);
	CHECK(!slow_fs_gave_up(fs), "it waited for ->flush()");
	slow_fs_hold(fs, false);
	CHECK_RES(ring_reap(&ring, &user_data), FD_TARGET, "one that runs");
	CHECK(user_data == THE_DUP, "%llu completed", (unsigned long long)user_data);
	CHECK_RES(file_id(FD_TARGET), AFTER, "one that runs");
	close(slow);
	slow_fs_unmount(fs);
}

static void running_is_not_cancelled(void)
{
	running_is_not_undone(false);
}

static void running_does_not_time_out(void)
{
	running_is_not_undone(true);
}

int main(void)
{
	test_start("dup_cancel");
	ALONE(start, queued_is_cancelled);
	ALONE(start, queued_times_out);
	ALONE(start, async_has_its_time);
	ALONE(start, running_is_not_cancelled);
	ALONE(start, running_does_not_time_out);
	return test_end();
}
