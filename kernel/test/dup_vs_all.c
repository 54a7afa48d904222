/*
 * dup_vs_all.c [--seconds N] [--ops N] [--seed N] - DUP against all other operations at once.
 *
 * Several processes do DUPs on three kinds of numbers: their own, of which each process always knows
 * the files; shared ones, which stay open; and wild ones, which other processes close, allocate and
 * change at random. One process copies the table (fork, unshare, close_range) and checks the copy, one
 * closes, allocates, and sets F_SETFD and POSIX locks on wild numbers, and one reads /proc and makes
 * the table grow. The run is divided into epochs, each with a new table.
 *
 * The same seed gives the same sequence of requests in each process; the interleaving is the
 * kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

enum {
	RACERS = 3,
	OWN = 12,   /* numbers of each */
	SHARED = 4, /* numbers that are always open */
	WILD = 6,
	FIRST_OWN = 80,
	FIRST_SHARED = FIRST_OWN + RACERS * OWN,
	FIRST_WILD = FIRST_SHARED + SHARED,
	FILES_AT = 8,
	EPOCH_OPS = 2000000,
	LARGEST = 4000, /* the number up to which the table grows */
	CLOSED = -1
};

struct totals {
	atomic_ulong epochs, copies, wild, reads;
	atomic_ulong epoch_end; /* operations */
};

static struct totals *totals;
static struct racer racer;
static int own[OWN]; /* the file at each number of this process, or CLOSED */

static int own_number(int place)
{
	return FIRST_OWN + (int)racer.index * OWN + place;
}

static bool epoch_over(unsigned ops)
{
	return race_over(ops) || atomic_load(&race->ops) >= atomic_load(&totals->epoch_end);
}

static void do_batch(void)
{
	struct race_dup dups[RACE_BATCH];
	unsigned count = 1 + racer_draw(&racer, RACE_BATCH);
	bool fresh = racer_draw(&racer, 4) == 0;

	for (unsigned i = 0; i < count; i++) {
		unsigned kind = racer_draw(&racer, 8);
		int place = (int)racer_draw(&racer, OWN);

		dups[i].file = (int)racer_draw(&racer, RACE_FILES);
		dups[i].fresh = fresh;
		if (kind < 3)
			dups[i].number = FIRST_SHARED + (int)racer_draw(&racer, SHARED);
		else if (kind == 3)
			dups[i].number = FIRST_WILD + (int)racer_draw(&racer, WILD);
		else
			dups[i].number = own_number(place), own[place] = dups[i].file;
	}
	racer_dups(&racer, dups, count);
	for (unsigned i = 0; i < count; i++)
		if (dups[i].number < FIRST_WILD || dups[i].res != -EBUSY)
			CHECK_RES(dups[i].res, dups[i].number, "DUP of file %d", dups[i].file);
}

static void do_closes(void)
{
	int numbers[4], results[4], places[4], expected[4];

	for (int i = 0; i < 4; i++) {
		places[i] = (int)racer_draw(&racer, OWN);
		numbers[i] = own_number(places[i]);
		expected[i] = own[places[i]] == CLOSED ? -EBADF : 0;
		own[places[i]] = CLOSED;
	}
	racer_closes(&racer, numbers, results, 4);
	for (int i = 0; i < 4; i++)
		CHECK_RES(results[i], expected[i], "CLOSE of %d", numbers[i]);
}

static void do_calls(void)
{
	int place = (int)racer_draw(&racer, OWN), number = own_number(place),
	    file = (int)racer_draw(&racer, RACE_FILES);

	switch (racer_draw(&racer, 3)) {
	case 0:
		CHECK_RES(close(number) ? -errno : 0, own[place] == CLOSED ? -EBADF : 0,
			  "close() of %d", number);
		own[place] = CLOSED;
		break;
	case 1:
		race_put(file, number);
		own[place] = file;
		break;
	default:
		race_put(file, FIRST_SHARED + (int)racer_draw(&racer, SHARED));
	}
}

static void verify(int place)
{
	int number = own_number(place), file = race_which(number), bit = fcntl(number, F_GETFD);

	if (own[place] == CLOSED)
		CHECK_RES(file, -EBADF, "%d, which is closed", number);
	else
		CHECK(file == own[place] && bit == race_bit(file), "%d has %s with bit %d, not %d",
		      number, res_name(file), bit, own[place]);
}

static void work(unsigned index)
{
	unsigned long before = atomic_load(&totals->epochs);
	unsigned ops = 0;

	racer_open(&racer, index + (unsigned)before * RACERS);
	racer.index = index;
	for (int place = 0; place < OWN; place++)
		own[place] = CLOSED;
	while (!epoch_over(ops)) {
		unsigned kind = racer_draw(&racer, 16);

		ops = 1;
		if (kind == 0)
			do_calls();
		else if (kind == 1)
			do_closes();
		else
			do_batch(), ops = RACE_BATCH / 2;
		if (racer_draw(&racer, 4) == 0)
			verify((int)racer_draw(&racer, OWN));
	}
	for (int place = 0; place < OWN; place++)
		verify(place);
	racer_close(&racer);
}

/* The table of this process is its own: what is open has one of the files and its bit. */
static void check_copy(const char *how)
{
	test_child();
	for (int number = FIRST_OWN; number < FIRST_WILD; number++)
		if (number >= FIRST_SHARED || fd_open(number))
			race_check_open(number, how);
	_exit(test_result());
}

static void copier(unsigned unused)
{
	(void)unused;
	for (unsigned turn = 0; !epoch_over(0); turn++) {
		int status;
		pid_t pid = turn % 3 == 0 ? (pid_t)MUST(fork())
					  : (pid_t)MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD,
								NULL, NULL, NULL, NULL));

		if (pid == 0 && turn % 3 == 1)
			MUST(unshare(CLONE_FILES));
		if (pid == 0 && turn % 3 == 2)
			MUST(syscall(SYS_close_range, FIRST_WILD, ~0U, CLOSE_RANGE_UNSHARE));
		if (pid == 0)
			check_copy(turn % 3 ? "in an unshared copy" : "in a child");
		MUST(waitpid(pid, &status, 0));
		CHECK(status == 0, "a process with a copy of the table: status %#x", status);
		atomic_fetch_add(&totals->copies, 1);
	}
}

static void do_wild(int flush_file)
{
	int number = FIRST_WILD + (int)racer_draw(&racer, WILD), fd;
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	switch (racer_draw(&racer, 7)) {
	case 0:
		close(number);
		break;
	case 1:
		MUST(syscall(SYS_close_range, FIRST_WILD, number, 0));
		break;
	case 2:
		MUST(syscall(SYS_close_range, FIRST_WILD, number, CLOSE_RANGE_CLOEXEC));
		break;
	case 3:
		fcntl(number, F_SETFD, racer_draw(&racer, 2) ? FD_CLOEXEC : 0);
		break;
	case 4:
		fcntl(number, F_SETLK, &lock);
		break;
	case 5:
		dup2(flush_file, number);
		break;
	default:
		fd = (int)MUST(fcntl(race_fd(0), F_DUPFD_CLOEXEC, FIRST_WILD));
		if (fd >= FIRST_WILD + WILD)
			close(fd);
	}
	atomic_fetch_add(&totals->wild, 1);
}

static void wild(unsigned index)
{
	int flush_file = flush_file_make();

	racer_open(&racer, index);
	while (!epoch_over(0))
		do_wild(flush_file);
	MUST(syscall(SYS_close_range, FIRST_WILD, FIRST_WILD + WILD - 1, 0));
	close(flush_file);
	racer_close(&racer);
}

static void reader(unsigned index)
{
	int largest = FIRST_WILD + WILD;

	racer_open(&racer, index);
	while (!epoch_over(0)) {
		int number = FIRST_SHARED + (int)racer_draw(&racer, SHARED);
		char path[64], text[200] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
		CHECK(readlink(path, text, sizeof(text) - 1) > 0 && strstr(text, "dup_race"),
		      "%s leads to \"%s\"", path, text);
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", number);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "%s: %s", path,
		      strerror(errno));
		close(fd);
		if (atomic_fetch_add(&totals->reads, 1) % 64 == 0 && largest * 2 < LARGEST) {
			largest *= 2;
			MUST(dup3(race_fd(0), largest, O_CLOEXEC));
		}
	}
	racer_close(&racer);
}

static void run_epoch(void)
{
	test_child();
	for (int i = 0; i < SHARED; i++)
		race_put(0, FIRST_SHARED + i);
	for (unsigned i = 0; i < RACERS; i++)
		race_spawn(work, i);
	race_spawn(copier, RACERS);
	race_spawn(wild, RACERS + 1);
	race_spawn(reader, RACERS + 2);
	race_wait();
	/* a DUP may have come after the last close */
	MUST(syscall(SYS_close_range, FIRST_WILD, FIRST_WILD + WILD - 1, 0));
	race_close_all(FIRST_OWN, FIRST_WILD + WILD - FIRST_OWN);
	fflush(stdout);
	_exit(test_result());
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_all", 5, FILES_AT);
	totals = race_shared(sizeof(*totals));
	do {
		int status;
		pid_t pid;

		atomic_store(&totals->epoch_end, atomic_load(&race->ops) + EPOCH_OPS);
		fflush(stdout);
		pid = (pid_t)MUST(fork());
		if (pid == 0)
			run_epoch();
		MUST(waitpid(pid, &status, 0));
		CHECK(status == 0, "epoch %lu ended with status %#x", atomic_load(&totals->epochs),
		      status);
		atomic_fetch_add(&totals->epochs, 1);
	} while (!race_over(0));
	printf("dup_vs_all: %lu epochs, %lu copies of the table, %lu changes of the wild numbers, "
	       "%lu reads of /proc\n",
	       atomic_load(&totals->epochs), atomic_load(&totals->copies),
	       atomic_load(&totals->wild), atomic_load(&totals->reads));
	return race_end();
}
