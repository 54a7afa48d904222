/*
 * dup_vs_grow.c [--seconds N] [--ops N] [--seed N] - DUP against the growing of the fd table.
 *
 * Each process has its own numbers and knows which file its last DUP installed at each. A file that
 * was installed in the old table while that was being copied would be missing in the new one. Tables
 * never shrink, so each epoch is a new process with a small table.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

enum {
	DUPPERS = 2,
	NUMBERS = 8, /* of each */
	FILES_AT = 8,
	FIRST = 40,	/* with the files and the rings still in the smallest table, of 64 */
	LARGEST = 8192, /* fds */
};

static atomic_bool *grown;
static atomic_ulong *growths;
static unsigned epoch;

static void dupper(unsigned index)
{
	struct racer racer;
	int file_at[NUMBERS], first = FIRST + (int)index * NUMBERS;
	bool last = false;

	racer_open(&racer, epoch * (DUPPERS + 1) + index);
	for (int i = 0; i < NUMBERS; i++)
		race_put(file_at[i] = 0, first + i);
	for (unsigned turn = 0; !last; turn++) {
		struct race_dup dups[RACE_BATCH];

		/* one more when the table has its size */
		last = atomic_load(grown) || atomic_load(&race->broken);
		for (int i = 0; i < RACE_BATCH; i++) {
			int place = (int)racer_draw(&racer, NUMBERS);

			dups[i] = (struct race_dup){ .file = (int)racer_draw(&racer, RACE_FILES),
						     .number = first + place,
						     .fresh = turn % 4 == 0 };
			file_at[place] = dups[i].file;
		}
		racer_dups(&racer, dups, RACE_BATCH);
		for (int i = 0; i < RACE_BATCH; i++)
			CHECK_RES(dups[i].res, dups[i].number, "DUP while the table grows");
		for (int i = 0; i < NUMBERS; i++) {
			int file = race_which(first + i), bit = fcntl(first + i, F_GETFD);

			CHECK(file == file_at[i] && bit == race_bit(file_at[i]),
			      "%d has %s with bit %d, not file %d", first + i, res_name(file), bit,
			      file_at[i]);
		}
		race_over(RACE_BATCH);
	}
	racer_close(&racer);
}

/* half of the times by dup3(), else by a DUP, which a worker does */
static void grower(unsigned index)
{
	struct racer racer;
	long size;

	racer_open(&racer, epoch * (DUPPERS + 1) + index);
	while ((size = fd_table_size()) < LARGEST) {
		usleep(racer_draw(&racer, 3000));
		if (racer_draw(&racer, 2)) {
			MUST(dup3(race_fd(0), (int)size, O_CLOEXEC));
		} else {
			struct race_dup dup = { .file = 0, .number = (int)size };

			racer_dups(&racer, &dup, 1);
			CHECK_RES(dup.res, dup.number, "DUP that makes the table grow");
		}
		atomic_fetch_add(growths, 1);
	}
	racer_close(&racer);
	atomic_store(grown, true);
}

static void run_epoch(void)
{
	struct rlimit files = { LARGEST + 1, LARGEST + 1 };

	MUST(setrlimit(RLIMIT_NOFILE, &files));
	CHECK(fd_table_size() == 64, "the table begins with %ld", fd_table_size());
	for (unsigned i = 0; i < DUPPERS; i++)
		race_spawn(dupper, i);
	race_spawn(grower, DUPPERS);
	race_wait();
	race_check_rest(FIRST, DUPPERS * NUMBERS);
	fflush(stdout);
	_exit(test_result());
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_grow", 4, FILES_AT);
	grown = race_shared(sizeof(*grown));
	growths = race_shared(sizeof(*growths));
	do {
		int status;
		pid_t pid;

		fflush(stdout);
		pid = (pid_t)MUST(fork());
		if (pid == 0) {
			test_child();
			run_epoch();
		}
		MUST(waitpid(pid, &status, 0));
		CHECK(status == 0, "an epoch ended with status %#x", status);
		atomic_store(grown, false);
		epoch++;
	} while (!race_over(0));
	printf("dup_vs_grow: the table grew %lu times\n", atomic_load(growths));
	return race_end();
}
