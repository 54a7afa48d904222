/*
 * dup_batch_punt.c - a batch that has to sleep goes on in a worker, from the pair that makes it.
 *
 * At every position: a file with ->flush(), here one that takes as long as the test wants, and an
 * fd beyond the end of the table. The submission returns meanwhile, the ring goes on with other
 * requests, the fd table is not locked, and the batch is completed once, as a whole, with the
 * sources that were there when it was submitted. Nothing else is left to a worker. Needs root, for
 * FUSE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { N = 40, SLOTS = 64, FIRST_TARGET = 100, BLOCKED = 90, ID_BEFORE = 500, ID_SOURCE = 600 };

static struct io_uring ring;
static struct dup_pair pairs[N];
static int before_fd;

/* sources in slots, destinations that are open */
static void start(void)
{
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	before_fd = file_make(ID_BEFORE);
	for (int i = 0; i < N; i++) {
		int made = file_make((uint32_t)(ID_SOURCE + i));

		slot_set(&ring, i, made);
		close(made);
		MUST(dup2(before_fd, FIRST_TARGET + i));
		pairs[i] = (struct dup_pair){ i, FIRST_TARGET + i };
	}
}

static void submit(unsigned sqe_flags)
{
	fill_dup_batch(ring_sqe(&ring), &(struct dup_batch){ .pairs = pairs,
							     .count = N,
							     .flags = DUP_OLD_FIXED,
							     .sqe_flags = sqe_flags });
	MUST(io_uring_submit(
		&ring)); /* does not return if this blocks: the time limit ends the test */
}

static bool completed(void)
{
	struct io_uring_cqe *cqe;

	return io_uring_peek_cqe(&ring, &cqe) == 0;
}

static void check_all(const char *what, int at)
{
	for (int i = 0; i < N; i++)
		CHECK_RES(file_id(pairs[i].new_fd), ID_SOURCE + i, "%s at %d, pair %d", what, at,
			  i);
}

static void try_flush(struct slow_fs *fs, int at, unsigned sqe_flags)
{
	unsigned flushes = slow_fs_flushes(fs);
	struct io_uring_sqe *sqe;
	uint64_t user_data;
	int slow = slow_fs_open(fs), other;

	start();
	MUST(dup3(slow, FIRST_TARGET + at, O_CLOEXEC));
	slow_fs_hold(fs, true);
	submit(sqe_flags);
	CHECK(slow_fs_wait_flush(fs), "->flush() of pair %d is called", at);
	CHECK(io_workers() > 0, "->flush() of pair %d does not run in a worker", at);
	CHECK(!completed(), "completed before ->flush() of pair %d returned", at);

	/* neither the ring nor the fd table waits */
	sqe = ring_sqe(&ring);
	io_uring_prep_nop(sqe);
	sqe->user_data = 77;
	MUST(io_uring_submit(&ring));
	CHECK_RES(ring_reap(&ring, &user_data), 0, "a NOP while ->flush() runs");
	CHECK(user_data == 77, "the batch completed while ->flush() runs");
	other = (int)MUST(fcntl(before_fd, F_DUPFD_CLOEXEC, 0));
	MUST(close(other));
	/* the number is not what is waited for: whoever uses it meets the new file */
	CHECK_RES(file_id(FIRST_TARGET + at), ID_SOURCE + at, "while ->flush() of pair %d runs",
		  at);

	slow_fs_hold(fs, false);
	CHECK_RES(ring_reap(&ring, NULL), N, "->flush() at %d", at);
	check_all("->flush()", at);
	CHECK(slow_fs_flushes(fs) == flushes + 1, "%u calls of ->flush()",
	      slow_fs_flushes(fs) - flushes);
	close(slow);
	io_uring_queue_exit(&ring);
}

static void flush_inline(void)
{
	struct slow_fs *fs = slow_fs_mount();

	for (int at = 0; at < N; at++)
		try_flush(fs, at, 0);
	slow_fs_unmount(fs);
}

static void flush_async(void)
{
	struct slow_fs *fs = slow_fs_mount();

	for (int at = 0; at < N; at += 13)
		try_flush(fs, at, IOSQE_ASYNC);
	slow_fs_unmount(fs);
}

/* What is put at a number by one pair and replaced by a later one has a ->flush() too. */
static void flush_of_its_own(void)
{
	int queue = flush_file_make();

	start();
	slot_set(&ring, 3, queue);
	pairs[35].new_fd = FIRST_TARGET + 3;
	submit(0);
	CHECK_RES(ring_reap(&ring, NULL), N, "a batch that flushes its own file");
	CHECK(io_workers() > 0, "a file with ->flush() was closed in the submission");
	CHECK_RES(file_id(FIRST_TARGET + 3), ID_SOURCE + 35, "the later pair");
	CHECK_RES(file_id(FIRST_TARGET + 35), ID_BEFORE, "the number that no pair names any more");
}

/* Sources are those of the submission, whatever happens to their slots while a worker is busy. */
static void sources_are_kept(void)
{
	struct slow_fs *fs = slow_fs_mount();
	int slow = slow_fs_open(fs);

	start();
	MUST(dup3(slow, FIRST_TARGET, O_CLOEXEC));
	/* the second one that is flushed is reached after the first: still with what was found */
	MUST(dup3(slow, FIRST_TARGET + 35, O_CLOEXEC));
	slow_fs_hold(fs, true);
	submit(0);
	for (int i = 0; i < N; i++)
		slot_set(&ring, i, i & 1 ? -1 : before_fd);
	CHECK(slow_fs_wait_flush(fs), "->flush() is called");
	slow_fs_hold(fs, false);
	CHECK_RES(ring_reap(&ring, NULL), N, "slots that changed after the submission");
	check_all("changed slots", 0);
	close(slow);
	slow_fs_unmount(fs);
}

/* In a worker a pair that cannot be done ends the batch as well. */
static void fails_in_a_worker(void)
{
	int queue = flush_file_make();

	for (int at = 1; at < N; at++) {
		start();
		MUST(dup3(queue, FIRST_TARGET, O_CLOEXEC));
		if (at & 1)
			pairs[at].old_fd = SLOTS - 1;
		else
			pairs[at].new_fd = -1;
		submit(0);
		CHECK_RES(ring_reap(&ring, NULL), at, "fails at %d in a worker", at);
		for (int i = 0; i < N; i++)
			CHECK_RES(file_id(FIRST_TARGET + i), i < at ? ID_SOURCE + i : ID_BEFORE,
				  "fails at %d: pair %d", at, i);
		io_uring_queue_exit(&ring);
	}
	CHECK(io_workers() > 0, "a file with ->flush() was closed in the submission");
}

/* Pair AT is beyond the table, and the one behind it beyond what that one makes of it. */
static void grow_at(int at)
{
	long size;

	start();
	size = fd_table_size();
	CHECK(2 * size < 4096, "the table has %ld entries already", size);
	pairs[at].new_fd = (int)size;
	if (at + 1 < N)
		pairs[at + 1].new_fd = (int)(2 * size);
	submit(0);
	CHECK_RES(ring_reap(&ring, NULL), N, "growth at %d", at);
	CHECK(io_workers() > 0, "the table grew within the submission");
	CHECK(fd_table_size() > size, "the table did not grow");
	check_all("growth", at);
}

static void growth_first(void)
{
	grow_at(0);
}

static void growth_middle(void)
{
	grow_at(17);
}

static void growth_last(void)
{
	grow_at(N - 1);
}

static void no_needless_worker(void)
{
	start();
	for (int round = 0; round < 3; round++) {
		submit(0);
		CHECK(completed(), "round %d: not completed at once", round);
		CHECK_RES(ring_reap(&ring, NULL), N, "round %d", round);
	}
	check_all("inline", 0);
	/* nor does a pair that fails need one */
	pairs[20].new_fd = 1 << 30;
	submit(0);
	CHECK(completed(), "one that fails: not completed at once");
	CHECK_RES(ring_reap(&ring, NULL), 20, "one that fails");
	CHECK_RES(io_workers(), 0, "workers for what can be done at once");
}

/* A batch that is cancelled before a worker has it says how many pairs the submission had done. */
static void try_cancel(struct slow_fs *fs, int at, unsigned sqe_flags)
{
	enum { BLOCKER = 1, BATCH, CANCEL };
	unsigned most_workers[2] = { 1, 0 };
	int slow = slow_fs_open(fs), queue = flush_file_make();
	int done = sqe_flags & IOSQE_ASYNC ? 0 : at;
	struct io_uring_sqe *sqe;

	start();
	MUST(io_uring_register_iowq_max_workers(&ring, most_workers));
	MUST(dup3(slow, BLOCKED, O_CLOEXEC));
	slow_fs_hold(fs, true);
	sqe = ring_sqe(&ring);
	fill_dup(sqe, &(struct dup){ .fd = before_fd, .new_fd = BLOCKED });
	sqe->user_data = BLOCKER;
	MUST(io_uring_submit(&ring));
	CHECK(slow_fs_wait_flush(fs), "the one worker has something to do");

	MUST(dup3(queue, FIRST_TARGET + at, O_CLOEXEC));
	sqe = ring_sqe(&ring);
	fill_dup_batch(sqe, &(struct dup_batch){ .pairs = pairs,
						 .count = N,
						 .flags = DUP_OLD_FIXED,
						 .sqe_flags = sqe_flags });
	sqe->user_data = BATCH;
	MUST(io_uring_submit(&ring));
	CHECK(!completed(), "a batch that flushes at %d, and is not left to a worker", at);
	sqe = ring_sqe(&ring);
	io_uring_prep_cancel64(sqe, BATCH, 0);
	sqe->user_data = CANCEL;
	MUST(io_uring_submit(&ring));
	for (int i = 0; i < 2; i++) {
		uint64_t user_data;
		int res = ring_reap(&ring, &user_data);

		if (user_data == CANCEL)
			CHECK_RES(res, 0, "the cancel of a batch that waits at %d", at);
		else
			CHECK_RES(res, done ? done : -ECANCELED, "cancelled at %d", at);
	}
	for (int i = 0; i < N; i++)
		if (i != at)
			CHECK_RES(file_id(FIRST_TARGET + i), i < done ? ID_SOURCE + i : ID_BEFORE,
				  "cancelled at %d: pair %d", at, i);
	CHECK(file_id(FIRST_TARGET + at) < 0, "cancelled at %d, and it was replaced", at);

	slow_fs_hold(fs, false);
	CHECK_RES(ring_reap(&ring, NULL), BLOCKED, "the one before it");
	close(queue);
	close(slow);
	io_uring_queue_exit(&ring);
}

static void cancelled(void)
{
	struct slow_fs *fs = slow_fs_mount();

	for (int at = 0; at < N; at += 13) {
		try_cancel(fs, at, 0);
		try_cancel(fs, at, IOSQE_ASYNC);
	}
	slow_fs_unmount(fs);
}

/* The process ends while a batch is in a worker, or waits for one: nothing may be left behind. */
static void exit_in_flight(void)
{
	struct slow_fs *fs = slow_fs_mount();

	for (int round = 0; round < 20; round++) {
		int ends[2];
		pid_t child;

		MUST(pipe2(ends, O_CLOEXEC));
		slow_fs_hold(fs, round & 1);
		child = (pid_t)MUST(fork());
		if (child == 0) {
			start();
			for (int i = 0; i < N; i++)
				slot_set(&ring, i, ends[1]);
			MUST(dup3(slow_fs_open(fs), FIRST_TARGET + round, O_CLOEXEC));
			submit(round & 2 ? IOSQE_ASYNC : 0);
			submit(IOSQE_ASYNC);
			_exit(EXIT_GOOD);
		}
		close(ends[1]);
		if (round & 1) {
			CHECK(slow_fs_wait_flush(fs), "round %d: ->flush() is not called", round);
			usleep(5000);
			slow_fs_hold(fs, false);
		}
		MUST(waitpid(child, NULL, 0));
		CHECK(pipe_hung_up(ends[0]), "round %d: a file was not released", round);
		close(ends[0]);
	}
	slow_fs_unmount(fs);
}

int main(void)
{
	test_start("dup_batch_punt");
	test_needs_batch();
	ALONE(NULL, no_needless_worker);
	ALONE(NULL, flush_inline);
	ALONE(NULL, flush_async);
	ALONE(NULL, flush_of_its_own);
	ALONE(NULL, sources_are_kept);
	ALONE(NULL, fails_in_a_worker);
	ALONE(NULL, growth_first);
	ALONE(NULL, growth_middle);
	ALONE(NULL, growth_last);
	ALONE(NULL, cancelled);
	ALONE(NULL, exit_in_flight);
	return test_end();
}
