/*
 * dup_vs_fork.c [--seconds N] [--ops N] [--seed N] - DUP against fork() and unshare(CLONE_FILES).
 *
 * Both copy the fd table while DUPs replace its files, most of which are released when they are
 * replaced. In the copy every number must be open, with one of the files and its bit.
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

enum { DUPPERS = 2, NUMBERS = 24 };

static atomic_ulong *copies;

static void dupper(unsigned index)
{
	struct racer racer;

	racer_open(&racer, index);
	for (unsigned turn = 0; !race_over(RACE_BATCH); turn++)
		racer_dups_random(&racer, RACE_FIRST, NUMBERS, turn % 4);
	racer_close(&racer);
}

/* The table of this process is its own by now. */
static void check_copy(const char *how)
{
	test_child();
	for (int i = 0; i < NUMBERS; i++)
		race_check_open(RACE_FIRST + i, how);
	_exit(test_result());
}

static void await(pid_t pid, const char *how)
{
	int status;

	MUST(waitpid(pid, &status, 0));
	CHECK(status == 0, "a child of %s: status %#x", how, status);
	atomic_fetch_add(copies, 1);
}

static void forker(unsigned unused)
{
	(void)unused;
	while (!race_over(0)) {
		pid_t pid = (pid_t)MUST(fork());

		if (pid == 0)
			check_copy("in a child of fork()");
		await(pid, "fork()");
	}
}

static void unsharer(unsigned unused)
{
	(void)unused;
	while (!race_over(0)) {
		pid_t pid = (pid_t)MUST(
			syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));

		if (pid == 0) {
			MUST(unshare(CLONE_FILES));
			check_copy("after unshare()");
		}
		await(pid, "unshare()");
	}
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_fork", 4, RACE_FILES_AT);
	copies = race_shared(sizeof(*copies));
	for (int i = 0; i < NUMBERS; i++)
		race_put(i % RACE_FILES, RACE_FIRST + i);
	for (unsigned i = 0; i < DUPPERS; i++)
		race_spawn(dupper, i);
	race_spawn(forker, 0);
	race_spawn(unsharer, 0);
	race_wait();
	printf("dup_vs_fork: %lu copies of the table\n", atomic_load(copies));
	CHECK(atomic_load(copies) > 4, "only %lu copies", atomic_load(copies));
	race_close_all(RACE_FIRST, NUMBERS);
	return race_end();
}
