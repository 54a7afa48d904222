/*
 * dup_vs_flush.c [--seconds N] [--ops N] [--seed N] - DUP while files that need special treatment
 * appear at its destination.
 *
 * - A file with ->flush(): each time such a file is removed from a number, by any operation, it must
 *   be flushed once. A FUSE file system counts the flushes.
 * - The same if the file is allocated at the memory address of the file that was at the number before.
 *   A DUP must replace it in a worker, whatever file was at the number before.
 * - A file with ->flush() that an open() installs at a number it has reserved: a DUP over that number
 *   must return -EBUSY or replace the file in a worker.
 * - A ring: IORING_OP_CLOSE must not close it, even if it appears at the number during the request.
 *
 * Needs root and /dev/fuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "race.h"

enum { PARTS = 4, NUMBERS = 4, FLUSHED_PER_BATCH = 4, PLAIN = 0 };

static struct slow_fs *fs;
static int flushed_fd;
static struct io_uring target;	 /* the ring that is not to be closed */
static atomic_ulong *puts_count; /* how often the file with ->flush() got to a number */
static atomic_ulong *busy_count; /* how many DUPs met a reserved number */
static atomic_int *number_raced; /* -1: none yet */
static struct racer racer;

/* DUPs of the file at FD, and in between of plain ones, to NUMBERS numbers; how many of the first */
static unsigned dup_mixed(int fd)
{
	int numbers[RACE_BATCH];
	unsigned put = 0;

	for (int i = 0; i < RACE_BATCH; i++) {
		bool flushed = i % (RACE_BATCH / FLUSHED_PER_BATCH) == 0;
		struct io_uring_sqe *sqe = ring_sqe(&racer.ring);

		numbers[i] = RACE_FIRST + (int)racer_draw(&racer, NUMBERS);
		fill_dup(sqe, &(struct dup){ .fd = flushed ? fd : race_fd(PLAIN),
					     .new_fd = numbers[i] });
		sqe->user_data = (unsigned)i * 2 + flushed;
	}
	MUST(io_uring_submit(&racer.ring));
	for (int i = 0; i < RACE_BATCH; i++) {
		uint64_t data;
		int res = ring_reap(&racer.ring, &data);

		CHECK_RES(res, numbers[data / 2], "DUP of a file with ->flush()");
		put += res >= 0 && data % 2;
	}
	return put;
}

static void flush_racer(unsigned index)
{
	racer_open(&racer, index);
	while (!race_over(index < 2 ? RACE_BATCH : 0)) {
		int numbers[NUMBERS], results[NUMBERS];

		switch (index) {
		case 0:
			racer_dups_random(&racer, RACE_FIRST, NUMBERS, false);
			break;
		case 1:
			atomic_fetch_add(puts_count, dup_mixed(flushed_fd));
			break;
		case 2:
			for (int i = 0; i < NUMBERS; i++)
				numbers[i] = RACE_FIRST + i;
			racer_closes(&racer, numbers, results, NUMBERS);
			for (int i = 0; i < NUMBERS; i++)
				CHECK(results[i] == 0 || results[i] == -EBADF, "CLOSE: %s",
				      res_name(results[i]));
			break;
		default:
			MUST(dup3(flushed_fd, RACE_FIRST, O_CLOEXEC));
			atomic_fetch_add(puts_count, 1);
			if (racer_draw(&racer, 2))
				race_put(PLAIN, RACE_FIRST);
			else
				close(RACE_FIRST);
		}
	}
	racer_close(&racer);
}

/* Waits until there were as many as expected: a flush may be handed on to somebody else. */
static void check_flushes(unsigned long expected)
{
	uint64_t end = now_ms() + wait_ms();

	while (slow_fs_flushes(fs) < expected && now_ms() < end)
		usleep(5000);
	CHECK(slow_fs_flushes(fs) == expected, "%u flushes of a file that left the table %lu times",
	      slow_fs_flushes(fs), expected);
}

static void flushes_are_counted(void)
{
	flushed_fd = slow_fs_open(fs);
	for (unsigned i = 0; i < 4; i++)
		race_spawn(flush_racer, i);
	race_wait();
	for (int i = 0; i < NUMBERS; i++)
		close(RACE_FIRST + i);
	close(flushed_fd);
	printf("dup_vs_flush: a file with ->flush() was put %lu times\n", atomic_load(puts_count));
	check_flushes(atomic_load(puts_count) + 1);
}

/*
 * DUPs over the number at which the other process puts files, then a pause of at most DAWDLE loops. If the
 * other process reserves the number, the DUPs may return -EBUSY.
 */
static void dup_over_number(bool reserves, unsigned dawdle)
{
	struct race_dup dups[RACE_BATCH];
	int number = atomic_load(number_raced);
	unsigned count = 1 + racer_draw(&racer, RACE_BATCH);

	for (unsigned i = 0; i < count; i++)
		dups[i] = (struct race_dup){ .file = PLAIN, .number = number };
	racer_dups(&racer, dups, count);
	race_count(count);
	for (unsigned i = 0; i < count; i++) {
		bool busy = reserves && dups[i].res == -EBUSY;

		CHECK(dups[i].res == number || busy, "DUP over %d: %s", number,
		      res_name(dups[i].res));
		atomic_fetch_add(busy_count, busy);
	}
	racer_dawdle(&racer, dawdle);
}

/*
 * Replaces a file that nobody else has, opens one with ->flush(), which most often is at the same
 * address then, and puts that at the same number. It is flushed when it leaves the number, and when
 * the one is closed that it was opened at.
 */
static void reopen(void)
{
	int number = atomic_load(number_raced), fd;

	fd = (int)MUST(open(race_path(PLAIN), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
	MUST(dup3(fd, number, O_CLOEXEC));
	close(fd);
	racer_dawdle(&racer, 20000);
	race_put(PLAIN, number);
	fd = slow_fs_open(fs);
	MUST(dup3(fd, number, O_CLOEXEC));
	close(fd);
	atomic_fetch_add(puts_count, 2);
	racer_dawdle(&racer, 20000);
}

/* Opens a file with ->flush(), which gets the number unless a DUP takes it first. */
static void open_at_number(void)
{
	int fd;

	close(atomic_load(number_raced));
	fd = slow_fs_open(fs);
	atomic_fetch_add(puts_count, 1);
	if (fd != atomic_load(number_raced))
		close(fd);
}

/* Two processes and the lowest free number: the first one DUPs over it, the second one does PUT. */
static void race_for_number(unsigned index, bool reserves, unsigned dawdle, void (*put)(void))
{
	racer_open(&racer, index);
	if (!race_meet(2))
		return;
	if (index == 0) {
		slow_fs_watch(fs, getpid());
		atomic_store(number_raced, (int)MUST(fcntl(race_fd(PLAIN), F_DUPFD_CLOEXEC, 0)));
	}
	if (!race_meet(2))
		return;
	while (!race_over(0)) {
		if (index == 0)
			dup_over_number(reserves, dawdle);
		else
			put();
	}
	racer_close(&racer);
}

static void address_racer(unsigned index)
{
	race_for_number(index, false, 100000, reopen);
}

static void open_racer(unsigned index)
{
	race_for_number(index, true, 50000, open_at_number);
}

/* Runs such a race, and checks that each file was flushed once, and never by the submission of a DUP. */
static void race_and_check_flushes(void (*number_racer)(unsigned index))
{
	unsigned long before = slow_fs_flushes(fs);

	atomic_store(puts_count, 0);
	for (unsigned i = 0; i < 2; i++)
		race_spawn(number_racer, i);
	race_wait();
	close(atomic_load(number_raced));
	check_flushes(before + atomic_load(puts_count));
	CHECK(slow_fs_flushes_watched(fs) == 0, "%u flushes in the submission of a DUP",
	      slow_fs_flushes_watched(fs));
}

static void the_same_address(void)
{
	race_and_check_flushes(address_racer);
	printf("dup_vs_flush: a file with ->flush() came after a plain one %lu times\n",
	       atomic_load(puts_count) / 2);
}

static void opened_meanwhile(void)
{
	race_and_check_flushes(open_racer);
	printf("dup_vs_flush: a file with ->flush() was opened %lu times, %lu DUPs met a reserved number\n",
	       atomic_load(puts_count), atomic_load(busy_count));
	CHECK(atomic_load(busy_count) > 0, "no DUP met a reserved number");
}

static void dup_ring(void)
{
	for (int i = 0; i < RACE_BATCH; i++)
		fill_dup(ring_sqe(&racer.ring),
			 &(struct dup){ .fd = target.ring_fd, .new_fd = RACE_FIRST + i });
	MUST(io_uring_submit(&racer.ring));
	for (int i = 0; i < RACE_BATCH; i++) {
		int res = ring_reap(&racer.ring, NULL);

		CHECK(res >= RACE_FIRST, "DUP of a ring: %s", res_name(res));
	}
}

static void close_plain(void)
{
	int numbers[RACE_BATCH], results[RACE_BATCH];

	for (int i = 0; i < RACE_BATCH; i++)
		numbers[i] = RACE_FIRST + i;
	racer_closes(&racer, numbers, results, RACE_BATCH);
	for (int i = 0; i < RACE_BATCH; i++)
		CHECK(results[i] == 0 || results[i] == -EBADF, "CLOSE: %s", res_name(results[i]));
}

/* Whatever the order, the ring is at each number in the end. */
static void ring_racer(unsigned index)
{
	racer_open(&racer, index);
	for (;;) {
		for (int i = 0; index && i < RACE_BATCH; i++)
			race_put(PLAIN, RACE_FIRST + i);
		if (!race_meet(2))
			break;
		racer_dawdle(&racer, 30000);
		if (index)
			close_plain();
		else
			dup_ring();
		race_count(index ? 0 : RACE_BATCH);
		if (!race_meet(2))
			break;
		for (int i = 0; index && i < RACE_BATCH; i++)
			CHECK(race_which(RACE_FIRST + i) == -ENODATA,
			      "the ring is gone from %d, there is %s", RACE_FIRST + i,
			      res_name(race_which(RACE_FIRST + i)));
	}
	racer_close(&racer);
}

static void rings_are_not_closed(void)
{
	ring_open(&target, 4, 0);
	for (unsigned i = 0; i < 2; i++)
		race_spawn(ring_racer, i);
	race_wait();
	for (int i = 0; i < RACE_BATCH; i++)
		close(RACE_FIRST + i);
	race_close_all(RACE_FIRST, RACE_BATCH);
	io_uring_prep_nop(ring_sqe(&target));
	CHECK_RES(ring_submit_wait(&target), 0, "the ring still works");
	io_uring_queue_exit(&target);
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_flush", 6, RACE_FILES_AT);
	fs = slow_fs_mount();
	puts_count = race_shared(sizeof(*puts_count));
	busy_count = race_shared(sizeof(*busy_count));
	number_raced = race_shared(sizeof(*number_raced));
	race_part(0, PARTS);
	flushes_are_counted();
	race_part(1, PARTS);
	the_same_address();
	race_part(2, PARTS);
	opened_meanwhile();
	race_part(3, PARTS);
	rings_are_not_closed();
	slow_fs_unmount(fs);
	return race_end();
}
