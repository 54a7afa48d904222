/*
 * dup_vs_dup.c [--seconds N] [--ops N] [--seed N] - DUP against DUP, dup2() and dup3().
 *
 * Processes install files at the same few numbers, which stay open: each DUP must return its number,
 * every lookup must find one of the files, and when all operations have ended, file and close-on-exec
 * bit must be from the same request. No file may be leaked or closed twice. A dup3() from such a
 * number must copy one of the files, even if that is replaced and released meanwhile.
 */
#include <fcntl.h>
#include <unistd.h>

#include "race.h"

enum { RACERS = 3, FEW = 3, DEEP = 6, PUTS = 16, COPIES = 8, COPIES_AT = RACE_FIRST + RACE_BATCH };

static struct racer racer;

/* to a number of this process, from one at which the others replace the file */
static void copy(void)
{
	int number = COPIES_AT + (int)racer.index;

	for (int i = 0; i < COPIES; i++) {
		MUST(dup3(RACE_FIRST, number, O_CLOEXEC));
		CHECK(race_which(number) >= 0, "a copy of a number that is open always: %s",
		      res_name(race_which(number)));
	}
	close(number);
}

/* many requests for a few numbers, by DUP and by dup3() */
static void deep(unsigned turn)
{
	unsigned few = 1 + turn % FEW;

	for (int i = 0; i < DEEP; i++) {
		int file;

		if (racer.index)
			racer_dups_random(&racer, RACE_FIRST, few, turn & 4);
		for (int put = racer.index ? PUTS - 1 : 0; put < PUTS; put++)
			race_put((int)racer_draw(&racer, RACE_FILES),
				 RACE_FIRST + (int)racer_draw(&racer, few));
		file = race_which(RACE_FIRST);
		CHECK(file >= 0, "a number that is open always: %s", res_name(file));
		copy();
	}
}

/* one request of each for many numbers, at about the same time: what one of them does remains */
static void wide(bool fresh)
{
	struct race_dup dups[RACE_BATCH];

	for (int i = 0; i < RACE_BATCH; i++)
		dups[i] = (struct race_dup){ .file = (int)racer_draw(&racer, RACE_FILES),
					     .number = RACE_FIRST + i,
					     .fresh = fresh };
	/* two by DUP, which are fast, and one by dup3() at the same numbers */
	if (racer.index) {
		racer_dawdle(&racer, 20000);
		racer_dups(&racer, dups, RACE_BATCH);
		for (int i = 0; i < RACE_BATCH; i++)
			CHECK_RES(dups[i].res, dups[i].number, "DUP against dup3()");
	} else {
		for (int i = 0; i < RACE_BATCH; i++)
			race_put(dups[i].file, dups[i].number);
	}
}

static void run(unsigned index)
{
	racer_open(&racer, index);
	for (unsigned turn = 0; race_meet(RACERS); turn++) {
		if (turn % 4 == 0)
			deep(turn / 4);
		else
			wide(turn & 1);
		race_count(RACE_BATCH);
		if (!race_meet(RACERS))
			break;
		for (int i = (int)index; i < RACE_BATCH; i += RACERS)
			race_check_open(RACE_FIRST + i, "after a race of DUPs");
	}
	racer_close(&racer);
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_dup", 4, RACE_FILES_AT);
	for (int i = 0; i < RACE_BATCH; i++)
		race_put(i % RACE_FILES, RACE_FIRST + i);
	for (unsigned i = 0; i < RACERS; i++)
		race_spawn(run, i);
	race_wait();
	race_close_all(RACE_FIRST, RACE_BATCH);
	return race_end();
}
