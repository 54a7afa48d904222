/*
 * dup_vs_close.c [--seconds N] [--ops N] [--seed N] - DUP against close() and IORING_OP_CLOSE.
 *
 * A DUP must return its number, whether that is open or closed at the time; a close must succeed or
 * return -EBADF. When all operations have ended, each number must be either open, with one of the
 * files and its bit, or closed and free. In a second part another process also allocates numbers:
 * then a DUP may return -EBUSY too.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "race.h"

enum { DUPPERS = 2, CLOSERS = 2, NUMBERS = 6, TURNS = 6 };

static struct racer racer;
static bool allocates; /* there is somebody who reserves numbers */

static void dup_over(unsigned turn)
{
	struct race_dup dups[RACE_BATCH];

	for (int i = 0; i < RACE_BATCH; i++)
		dups[i] =
			(struct race_dup){ .file = (int)racer_draw(&racer, RACE_FILES),
					   .number = RACE_FIRST + (int)racer_draw(&racer, NUMBERS),
					   .fresh = turn & 1 };
	racer_dups(&racer, dups, RACE_BATCH);
	for (int i = 0; i < RACE_BATCH; i++)
		if (!allocates || dups[i].res != -EBUSY)
			CHECK_RES(dups[i].res, dups[i].number, "DUP against close");
}

static void close_by_call(void)
{
	for (int i = 0; i < RACE_BATCH / 4; i++) {
		int number = RACE_FIRST + (int)racer_draw(&racer, NUMBERS),
		    error = close(number) ? errno : 0;

		CHECK(error == 0 || error == EBADF, "close(): %s", res_name(-error));
	}
}

static void close_by_ring(void)
{
	int numbers[RACE_BATCH], results[RACE_BATCH];

	for (int i = 0; i < RACE_BATCH; i++)
		numbers[i] = RACE_FIRST + (int)racer_draw(&racer, NUMBERS);
	racer_closes(&racer, numbers, results, RACE_BATCH);
	for (int i = 0; i < RACE_BATCH; i++)
		CHECK(results[i] == 0 || results[i] == -EBADF, "CLOSE: %s", res_name(results[i]));
}

/* takes the lowest that is free, mostly one of those in the race */
static void allocate(void)
{
	for (int i = 0; i < RACE_BATCH / 4; i++) {
		int file = (int)racer_draw(&racer, RACE_FILES),
		    number = (int)MUST(fcntl(
			    race_fd(file), race_bit(file) ? F_DUPFD_CLOEXEC : F_DUPFD, RACE_FIRST));

		if (number >= RACE_FIRST + NUMBERS)
			close(number);
	}
}

static void run(unsigned index)
{
	unsigned count = DUPPERS + CLOSERS + (allocates ? 1 : 0);

	racer_open(&racer, index);
	while (race_meet(count)) {
		for (unsigned turn = 0; turn < TURNS; turn++) {
			if (index < DUPPERS)
				dup_over(turn);
			else if (index == DUPPERS)
				close_by_call();
			else if (index == DUPPERS + 1)
				close_by_ring();
			else
				allocate();
		}
		race_count(index < DUPPERS ? TURNS * RACE_BATCH : 0);
		if (!race_meet(count))
			break;
		if (index == 0)
			race_check_rest(RACE_FIRST, NUMBERS);
	}
	racer_close(&racer);
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_close", 4, RACE_FILES_AT);
	race_part(0, 2);
	for (unsigned i = 0; i < DUPPERS + CLOSERS; i++)
		race_spawn(run, i);
	race_wait();
	race_close_all(RACE_FIRST, NUMBERS);

	race_part(1, 2);
	allocates = true;
	for (unsigned i = 0; i < DUPPERS + CLOSERS + 1; i++)
		race_spawn(run, i);
	race_wait();
	race_close_all(RACE_FIRST, NUMBERS);
	return race_end();
}
