/*
 * dup_vs_exec.c [--seconds N] [--ops N] [--seed N] - DUP against execve().
 *
 * A process that shares the table with those that do DUPs executes this program again. In the new
 * program a number must be open if its file had no close-on-exec bit when the table was copied, and
 * closed if it had one. One range of numbers gets only files without the bit, one only files with it,
 * and one gets both.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

#define AFTER "--after-exec"

enum {
	DUPPERS = 2,
	NUMBERS = 8,
	OPEN = RACE_FIRST,
	CLOSED = OPEN + NUMBERS,
	EITHER = CLOSED + NUMBERS,
	END = EITHER + NUMBERS
};

static atomic_ulong *programs;

/* a file that may be at this number */
static int draw_file(struct racer *racer, int number)
{
	int file = (int)racer_draw(racer, RACE_FILES);

	return number < CLOSED ? file | 1 : number < EITHER ? file & ~1 : file;
}

static void dupper(unsigned index)
{
	struct racer racer;

	racer_open(&racer, index);
	for (unsigned turn = 0; !race_over(RACE_BATCH); turn++) {
		struct race_dup dups[RACE_BATCH];

		for (int i = 0; i < RACE_BATCH; i++) {
			int number = OPEN + (int)racer_draw(&racer, END - OPEN);

			dups[i] = (struct race_dup){ .file = draw_file(&racer, number),
						     .number = number,
						     .fresh = turn & 1 };
		}
		racer_dups(&racer, dups, RACE_BATCH);
		for (int i = 0; i < RACE_BATCH; i++)
			CHECK_RES(dups[i].res, dups[i].number, "DUP against execve()");
	}
	racer_close(&racer);
}

static void executer(unsigned unused)
{
	(void)unused;
	while (!race_over(0)) {
		int status;
		pid_t pid = (pid_t)MUST(
			syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));

		if (pid == 0) {
			execl("/proc/self/exe", "dup_vs_exec", AFTER, NULL);
			_exit(EXIT_USAGE);
		}
		MUST(waitpid(pid, &status, 0));
		CHECK(status == 0, "the program executed: status %#x", status);
		atomic_fetch_add(programs, 1);
	}
}

static int after_exec(void)
{
	race_import();
	for (int number = OPEN; number < END; number++) {
		int file = race_which(number);

		if (file >= 0)
			CHECK(file % 2 && (number < CLOSED || number >= EITHER),
			      "%d still has file %d after execve()", number, file);
		else
			CHECK(file == -EBADF && number >= CLOSED, "%d after execve(): %s", number,
			      res_name(file));
	}
	return test_result();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], AFTER))
		return after_exec();
	race_start(argc, argv, "dup_vs_exec", 4, RACE_FILES_AT);
	race_export();
	programs = race_shared(sizeof(*programs));
	for (int number = OPEN; number < END; number++)
		race_put(number < CLOSED, number);
	for (unsigned i = 0; i < DUPPERS; i++)
		race_spawn(dupper, i);
	race_spawn(executer, 0);
	race_wait();
	printf("dup_vs_exec: %lu programs\n", atomic_load(programs));
	CHECK(atomic_load(programs) > 2, "only %lu programs", atomic_load(programs));
	race_close_all(OPEN, END - OPEN);
	return race_end();
}
