/*
 * dup_vs_dup.c [--seconds N] [--ops N] [--seed N] - DUP against DUP, dup2() and dup3().
 *
 * Processes put files over the same few numbers, which stay open throughout: each DUP gives its
 * number, whoever looks finds one of the files there, and when all rest, file and close-on-exec bit
 * are those of one of the requests and not of two. No file is lost, none is closed twice.
 */
#include <fcntl.h>
#include <unistd.h>

#include "race.h"

enum { RACERS = 3, FEW = 3, DEEP = 6 };

static struct racer racer;

/* many requests for a few numbers */
static void deep(unsigned turn)
{
	for (int i = 0; i < DEEP; i++) {
		int number = RACE_FIRST + (int)racer_draw(&racer, FEW);

		racer_dups_random(&racer, RACE_FIRST, 1 + turn % FEW, turn & 4);
		race_put((int)racer_draw(&racer, RACE_FILES), number);
		number = race_which(RACE_FIRST);
		CHECK(number >= 0, "a number that is open always: %s", res_name(number));
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
