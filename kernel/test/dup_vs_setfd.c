/*
 * dup_vs_setfd.c [--seconds N] [--ops N] [--seed N] - DUP against fcntl(F_SETFD).
 *
 * Every number has a file with its close-on-exec bit. One process replaces the file at each number by
 * another with the same bit; a second one changes the bit and then checks which file is there. If it
 * still finds the old file, its change came before the DUP, so the bit must finally be the one that
 * the DUP set. If it finds the new file, either order is possible, and both values are correct.
 */
#include <fcntl.h>
#include <unistd.h>

#include "race.h"

enum { OLD = 0, NEW = 2 }; /* and one more for files without the bit */

struct counts {
	unsigned long before, after;
};

static struct counts *counts;
static struct racer racer;

static void dupper(unsigned index)
{
	racer_open(&racer, index);
	for (int odd = 0; race_meet(2); odd ^= 1) {
		struct race_dup dups[RACE_BATCH];

		for (int i = 0; i < RACE_BATCH; i++)
			dups[i] = (struct race_dup){ .file = NEW + odd, .number = RACE_FIRST + i };
		racer_dawdle(&racer, 200000);
		racer_dups(&racer, dups, RACE_BATCH);
		for (int i = 0; i < RACE_BATCH; i++)
			CHECK_RES(dups[i].res, dups[i].number, "DUP against F_SETFD");
		race_count(RACE_BATCH);
		if (!race_meet(2))
			break;
	}
	racer_close(&racer);
}

static void setter(unsigned index)
{
	racer_open(&racer, index);
	for (int odd = 0;; odd ^= 1) {
		int seen[RACE_BATCH], bit = race_bit(OLD + odd);

		for (int i = 0; i < RACE_BATCH; i++)
			race_put(OLD + odd, RACE_FIRST + i);
		if (!race_meet(2))
			break;
		for (int i = 0; i < RACE_BATCH; i++) {
			MUST(fcntl(RACE_FIRST + i, F_SETFD, bit ^ FD_CLOEXEC));
			seen[i] = race_which(RACE_FIRST + i);
		}
		if (!race_meet(2))
			break;
		for (int i = 0; i < RACE_BATCH; i++) {
			int number = RACE_FIRST + i, file = race_which(number);

			CHECK(file == NEW + odd, "%d has file %s", number, res_name(file));
			if (seen[i] == OLD + odd) {
				counts->before++;
				CHECK(fcntl(number, F_GETFD) == bit,
				      "%d: the bit of a change that came before the DUP", number);
			} else {
				counts->after++;
			}
		}
	}
	racer_close(&racer);
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_setfd", 4, RACE_FILES_AT);
	counts = race_shared(sizeof(*counts));
	race_spawn(dupper, 0);
	race_spawn(setter, 1);
	race_wait();
	printf("dup_vs_setfd: %lu changes before the DUP, %lu after it\n", counts->before,
	       counts->after);
	CHECK(counts->before && counts->after, "the two hardly met");
	close_range(RACE_FIRST, RACE_FIRST + RACE_BATCH - 1, 0);
	race_close_all(RACE_FIRST, RACE_BATCH);
	return race_end();
}
