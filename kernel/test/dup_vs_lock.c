/*
 * dup_vs_lock.c [--seconds N] [--ops N] [--seed N] - DUP against fcntl(F_SETLK).
 *
 * When a file is removed from an fd table, the POSIX locks of that table on the file are removed. One
 * process locks the files at the numbers while a second one replaces them. Afterwards no replaced
 * file may be locked: the DUP must remove a lock that was set before it, and F_SETLK must remove a
 * lock that it set too late, and return -EBADF. A process with another fd table checks for locks.
 *
 * The files to be locked are also in slots of the ring, so that their last reference is not dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "race.h"

enum { PROCESSES = 3, LOCKED_AT = 1000, OVER = 1 /* what is put over them */ };

struct counts {
	unsigned long before, beside, after; /* the DUP, or as it happened */
};

static struct counts *counts;
static struct racer racer;

/* the DUPs, by hand: the sources are in slots for good */
static void put_locked(void)
{
	for (int i = 0; i < RACE_BATCH; i++)
		fill_dup(ring_sqe(&racer.ring),
			 &(struct dup){ .fd = i,
					.new_fd = RACE_FIRST + i,
					.flags = DUP_OLD_FIXED | race_flags(OVER) });
	MUST(io_uring_submit(&racer.ring));
	for (int i = 0; i < RACE_BATCH; i++)
		MUST(ring_reap(&racer.ring, NULL));
}

static void dupper(unsigned index)
{
	racer_open(&racer, index);
	for (int i = 0; i < RACE_BATCH; i++) {
		slot_set(&racer.ring, i, LOCKED_AT + i);
		close(LOCKED_AT + i);
	}
	for (;;) {
		struct race_dup dups[RACE_BATCH];

		put_locked();
		for (int i = 0; i < RACE_BATCH; i++)
			dups[i] = (struct race_dup){ .file = OVER, .number = RACE_FIRST + i };
		if (!race_meet(PROCESSES))
			break;
		racer_dawdle(&racer, 200000);
		racer_dups(&racer, dups, RACE_BATCH);
		for (int i = 0; i < RACE_BATCH; i++)
			CHECK_RES(dups[i].res, dups[i].number, "DUP against F_SETLK");
		race_count(RACE_BATCH);
		/* nobody looks before all are done; nothing changes before all are seen */
		if (!race_meet(PROCESSES) || !race_meet(PROCESSES))
			break;
	}
	racer_close(&racer);
}

static void locker(unsigned unused)
{
	(void)unused;
	while (race_meet(PROCESSES)) {
		for (int i = 0; i < RACE_BATCH; i++) {
			struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
			int error = fcntl(RACE_FIRST + i, F_SETLK, &lock) ? errno : 0;

			CHECK(error == 0 || error == EBADF || error == EINVAL, "F_SETLK: %s",
			      res_name(-error));
			if (error == EBADF)
				counts->beside++;
			else if (race_which(RACE_FIRST + i) == OVER)
				counts->after++;
			else
				counts->before++;
		}
		if (!race_meet(PROCESSES) || !race_meet(PROCESSES))
			break;
	}
}

/* with a table, and so with locks, of its own */
static void look(const int *files)
{
	while (race_meet(PROCESSES) && race_meet(PROCESSES)) {
		for (int i = 0; i < RACE_BATCH; i++) {
			struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

			MUST(fcntl(files[i], F_GETLK, &lock));
			CHECK(lock.l_type == F_UNLCK, "the file that was at %d is still locked",
			      RACE_FIRST + i);
		}
		if (!race_meet(PROCESSES))
			break;
	}
}

int main(int argc, char **argv)
{
	int files[RACE_BATCH], status;
	pid_t pid;

	race_start(argc, argv, "dup_vs_lock", 4, RACE_FILES_AT);
	counts = race_shared(sizeof(*counts));
	for (int i = 0; i < RACE_BATCH; i++) {
		int fd = file_make((uint32_t)i);

		files[i] = (int)MUST(dup3(fd, LOCKED_AT + i, O_CLOEXEC));
		close(fd);
	}
	fflush(stdout);
	pid = (pid_t)MUST(fork());
	if (pid == 0) {
		test_child();
		race_spawn(dupper, 0);
		race_spawn(locker, 1);
		race_wait();
		/* the end may have come with the files that are locked still there */
		close_range(RACE_FIRST, RACE_FIRST + RACE_BATCH - 1, 0);
		race_close_all(RACE_FIRST, RACE_BATCH);
		fflush(stdout);
		_exit(test_result());
	}
	look(files);
	MUST(waitpid(pid, &status, 0));
	CHECK(status == 0, "the processes that share a table: status %#x", status);
	printf("dup_vs_lock: %lu locks before the DUP, %lu beside it, %lu after it\n",
	       counts->before, counts->beside, counts->after);
	CHECK(counts->before + counts->beside && counts->after, "the two hardly met");
	return race_end();
}
