/*
 * dup_vs_range.c [--seconds N] [--ops N] [--seed N] - DUP against close_range().
 *
 * There are three adjacent ranges of numbers. The first is closed repeatedly. The second is set to
 * close-on-exec repeatedly; all DUPs over it set the bit too, so that afterwards all its numbers must
 * have it. The third is not changed by close_range(). With CLOSE_RANGE_UNSHARE the first range is
 * closed in a copy of the table, in which all other numbers must be open.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

enum {
	DUPPERS = 2,
	NUMBERS = 16,
	CLOSED = RACE_FIRST,
	MARKED = CLOSED + NUMBERS,
	KEPT = MARKED + NUMBERS
};

static atomic_ulong *closed, *marked, *copies;

static void dupper(unsigned index)
{
	struct racer racer;

	racer_open(&racer, index);
	for (unsigned turn = 0; !race_over(RACE_BATCH); turn++) {
		struct race_dup dups[RACE_BATCH];

		for (int i = 0; i < RACE_BATCH; i++) {
			int file = (int)racer_draw(&racer, RACE_FILES),
			    number = CLOSED + (int)racer_draw(&racer, 3 * NUMBERS);

			/* only files that are close-on-exec where that is checked */
			if (number >= MARKED && number < KEPT)
				file &= ~1;
			dups[i] = (struct race_dup){ .file = file,
						     .number = number,
						     .fresh = turn & 1 };
		}
		racer_dups(&racer, dups, RACE_BATCH);
		for (int i = 0; i < RACE_BATCH; i++)
			CHECK_RES(dups[i].res, dups[i].number, "DUP against close_range()");
	}
	racer_close(&racer);
}

static void close_range_of(int first, unsigned flags)
{
	MUST(syscall(SYS_close_range, first, first + NUMBERS - 1, flags));
}

static void closer(unsigned unused)
{
	(void)unused;
	while (!race_over(0)) {
		close_range_of(CLOSED, 0);
		atomic_fetch_add(closed, 1);
	}
}

static void marker(unsigned unused)
{
	(void)unused;
	while (!race_over(0)) {
		close_range_of(MARKED, CLOSE_RANGE_CLOEXEC);
		for (int number = MARKED; number < KEPT; number++)
			CHECK(fcntl(number, F_GETFD) == FD_CLOEXEC,
			      "%d is not close-on-exec after CLOSE_RANGE_CLOEXEC", number);
		atomic_fetch_add(marked, 1);
	}
}

/* in a process that shares the table until it closes a part of its copy of it */
static void unshare_and_check(bool mark)
{
	int from = mark ? MARKED : CLOSED;

	test_child();
	close_range_of(from, CLOSE_RANGE_UNSHARE | (mark ? CLOSE_RANGE_CLOEXEC : 0));
	for (int number = CLOSED; number < KEPT + NUMBERS; number++) {
		int file = race_which(number);

		if (number >= MARKED)
			race_check_open(number, "after CLOSE_RANGE_UNSHARE");
		else if (!mark)
			CHECK(file == -EBADF, "%d is not closed after CLOSE_RANGE_UNSHARE: %s",
			      number, res_name(file));
	}
	_exit(test_result());
}

static void unsharer(unsigned unused)
{
	(void)unused;
	for (unsigned turn = 0; !race_over(0); turn++) {
		int status;
		pid_t pid = (pid_t)MUST(
			syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));

		if (pid == 0)
			unshare_and_check(turn & 1);
		MUST(waitpid(pid, &status, 0));
		CHECK(status == 0, "CLOSE_RANGE_UNSHARE: status %#x", status);
		atomic_fetch_add(copies, 1);
	}
}

int main(int argc, char **argv)
{
	atomic_ulong *counts;

	race_start(argc, argv, "dup_vs_range", 4, RACE_FILES_AT);
	counts = race_shared(3 * sizeof(*counts));
	closed = counts, marked = counts + 1, copies = counts + 2;
	for (int i = 0; i < 3 * NUMBERS; i++)
		race_put(i / NUMBERS == 1 ? 0 : i % RACE_FILES, CLOSED + i);
	for (unsigned i = 0; i < DUPPERS; i++)
		race_spawn(dupper, i);
	race_spawn(closer, 0);
	race_spawn(marker, 0);
	race_spawn(unsharer, 0);
	race_wait();
	printf("dup_vs_range: closed %lu times, made close-on-exec %lu times, %lu copies\n",
	       atomic_load(closed), atomic_load(marked), atomic_load(copies));
	CHECK(atomic_load(closed) > 4 && atomic_load(marked) > 4 && atomic_load(copies) > 2,
	      "hardly anything happened");
	race_close_all(CLOSED, 3 * NUMBERS);
	return race_end();
}
