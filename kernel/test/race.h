/*
 * race.h - shared by the tests in which processes on one fd table race DUP against another operation.
 *
 * The processes are created by clone(CLONE_FILES) without CLONE_VM: they share the fd table but no
 * memory, because user-mode Linux does not run threads that share memory in parallel. Each process
 * has its own ring and submits up to RACE_BATCH requests with one io_uring_enter().
 *
 * The files are FIFOs, opened for writing. fstat() identifies the file at an fd, and the read end
 * shows whether references are counted correctly: if one is leaked the read end never hangs up, and
 * if one is dropped twice it hangs up too early. Files with an even index are always installed with
 * close-on-exec, those with an odd index always without: so file and bit at a number must match,
 * whichever operation came last.
 *
 * Each test takes --seconds N, --ops N and --seed N. It ends after N seconds or N DUPs.
 */
#ifndef DUP_TEST_RACE_H
#define DUP_TEST_RACE_H

#include "harness.h"

#include <stdatomic.h>

enum {
	RACE_FILES = 8,
	RACE_BATCH = 64,
	RACE_FIRST = 256,    /* the first of the numbers that the operations race on */
	RACE_FILES_AT = 3000 /* default of race_start()'s files_at */
};

/* state of a test, in memory shared by all its processes */
struct race {
	uint64_t seed, start_ms, end_ms;
	unsigned long ops_wanted, seconds;  /* of the whole test */
	unsigned long part_ops, ops_before; /* DUPs wanted for this part; DUPs done before it */
	atomic_ulong ops;		    /* DUPs requested so far */
	atomic_bool over, broken;	    /* broken: a check failed, or a process died */
	atomic_uint arrived, meeting;	    /* state of race_meet() */
};
extern struct race *race;

/*
 * Parses the options, prints the seed, opens the files at numbers from FILES_AT on. SECONDS is the
 * default duration.
 */
void race_start(int argc, char **argv, const char *name, unsigned seconds, int files_at);

/*
 * For a test with several parts: starts part PART, counted from 0, of PARTS. Each part gets an equal
 * share of the time and of the operations.
 */
void race_part(unsigned part, unsigned parts);

/*
 * Closes the files and checks that each is released by that and that none was released before.
 * Returns the exit code of the test.
 */
int race_end(void);

/* allocates zeroed memory that is shared by the processes created later */
void *race_shared(size_t size);

/*
 * Starts a process that shares the fd table, runs FUNCTION(INDEX) and ends. race_wait() waits for all
 * of them and checks how they ended.
 */
void race_spawn(void (*function)(unsigned index), unsigned index);
void race_wait(void);

/*
 * Both add to the number of DUPs. race_over() also returns whether the part is over; a test in which
 * race_meet() decides that calls race_count().
 */
void race_count(unsigned ops);
bool race_over(unsigned ops);

/*
 * A barrier: waits until COUNT processes, including this one, have called it. Returns whether to
 * continue; all of them get the same answer.
 */
bool race_meet(unsigned count);

/* the index of the file at FD; -errno; -ENODATA if it is none of the test's files */
int race_which(int fd);

/* the close-on-exec bit that belongs to the file, see above: FD_CLOEXEC or 0 */
int race_bit(int file);
unsigned race_flags(int file); /* the same for a DUP: 0 or DUP_NO_CLOEXEC */

int race_fd(int file); /* an fd of the file that no operation of the race changes */
const char *race_path(int file);

/* Installs FILE at NUMBER with dup3(). */
void race_put(int file, int number);

/* Passes the identities of the files through execve(): exported before it, imported after it. */
void race_export(void);
void race_import(void);

/*
 * Checks that the number in this process's table is one of the files, with the bit that belongs to
 * it. Not for use while other processes change the number, because it takes two system calls.
 */
void race_check_open(int number, const char *when);

/*
 * For use while no operation is running: checks that each of COUNT numbers either is open, with one
 * of the files and its bit, or is closed and can be allocated.
 */
void race_check_rest(int first, unsigned count);

/* The same, and then closes the numbers. No number may be left reserved. */
void race_close_all(int first, unsigned count);

/* the state of one process of a race */
struct racer {
	unsigned index;
	uint64_t random;
	struct io_uring ring;
};
void racer_open(struct racer *racer, unsigned index);
void racer_close(struct racer *racer);
unsigned racer_draw(struct racer *racer, unsigned below);

/* Delays for a random time, at most that of MOST iterations of an empty loop. */
void racer_dawdle(struct racer *racer, unsigned most);

/* one DUP of a batch and its result */
struct race_dup {
	int file;
	int number;
	/* The source is opened for this DUP, so that the number has the only reference; else race_fd(). */
	bool fresh;
	int res;
};

/*
 * Does all COUNT of them, in order, with one io_uring_enter(), preceded by another one if there are
 * fresh files to open. Fills in the results.
 */
void racer_dups(struct racer *racer, struct race_dup *dups, unsigned count);

/* Does a batch of random DUPs onto COUNT numbers and checks that each returns its number. */
void racer_dups_random(struct racer *racer, int first, unsigned count, bool fresh);

/* closes NUMBERS with IORING_OP_CLOSE, in order; fills in the results */
void racer_closes(struct racer *racer, const int *numbers, int *results, unsigned count);

#endif
