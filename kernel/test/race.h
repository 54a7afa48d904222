/*
 * race.h - what the tests share in which processes race DUP with something on one fd table.
 *
 * Their processes are made by clone(CLONE_FILES) without CLONE_VM: they share the table and no
 * memory, since user-mode Linux runs the threads of one memory one at a time. Each has a ring of
 * its own and puts up to RACE_BATCH requests into one io_uring_enter().
 *
 * The files are FIFOs, opened for writing. fstat() tells which of them is at an fd, and the read
 * end tells when the last opening of one is released: one reference lost, and it never hangs up;
 * one put too much, and it hangs up too soon. Files with an even index are put with close-on-exec
 * and those with an odd one without, always: so the file and the bit that are found at a number
 * have to agree, whoever came last.
 *
 * Each test takes --seconds N, --ops N and --seed N. It ends after so many seconds, or DUPs.
 */
#ifndef DUP_TEST_RACE_H
#define DUP_TEST_RACE_H

#include "harness.h"

#include <stdatomic.h>

enum {
	RACE_FILES = 8,
	RACE_BATCH = 64,
	RACE_FIRST = 256,    /* the numbers that are raced for begin here */
	RACE_FILES_AT = 3000 /* where the files themselves are kept, unless a test wants another */
};

/* in memory that all processes of a test share */
struct race {
	uint64_t seed, start_ms, end_ms;
	unsigned long ops_wanted, seconds;  /* of the whole test */
	unsigned long part_ops, ops_before; /* of this part, and at its beginning */
	atomic_ulong ops;		    /* DUPs that were asked for */
	atomic_bool over, broken;	    /* broken: a check failed, or a process died */
	atomic_uint arrived, meeting;	    /* of race_meet() */
};
extern struct race *race;

/*
 * Reads the options, prints the seed, prepares the files. Runs SECONDS by default. The files are
 * kept from number FILES_AT on.
 */
void race_start(int argc, char **argv, const char *name, unsigned seconds, int files_at);

/*
 * For a test of several: from here on the time and the operations count of part PART of PARTS, from
 * 0 on.
 */
void race_part(unsigned part, unsigned parts);

/* Closes the files and checks that each is released now and none was before. The exit code. */
int race_end(void);

/* memory that the processes share, zeroed */
void *race_shared(size_t size);

/* A process that shares the fd table, runs FUNCTION and ends. race_wait() checks how. */
void race_spawn(void (*function)(unsigned index), unsigned index);
void race_wait(void);

/* Adds to the operations done; and is it time to end? The second not where race_meet() decides. */
void race_count(unsigned ops);
bool race_over(unsigned ops);

/*
 * Waits until COUNT processes are here, of which this is one. Whether to go on: all of them get
 * the same answer.
 */
bool race_meet(unsigned count);

/* the index of the file at FD, -errno, -ENODATA if it is another one */
int race_which(int fd);

/* FD_CLOEXEC or 0, as the rule above says */
int race_bit(int file);
unsigned race_flags(int file); /* the same as DUP_NO_CLOEXEC or 0 */

int race_fd(int file); /* an fd of it that nobody touches */
const char *race_path(int file);

/* Puts FILE at NUMBER by dup3(). */
void race_put(int file, int number);

/* Hands the identities of the files on to a program, and takes them there. */
void race_export(void);
void race_import(void);

/*
 * What holds of a number at any time, in this process's table: it has one of the files, with its
 * bit. Not to be asked while others change it, since that takes two looks. Counts the checks.
 */
void race_check_open(int number, const char *when);

/*
 * For when all rest: each of COUNT numbers is open, with one of the files and its bit, or closed,
 * which it has to be for whoever looks for a free one as well.
 */
void race_check_rest(int first, unsigned count);

/* The same, and closes them. None may be found reserved. */
void race_close_all(int first, unsigned count);

/* a process of a race, with its ring */
struct racer {
	unsigned index;
	uint64_t random;
	struct io_uring ring;
};
void racer_open(struct racer *racer, unsigned index);
void racer_close(struct racer *racer);
unsigned racer_draw(struct racer *racer, unsigned below);

/* Lets some time pass, up to that of MOST turns of an empty loop. */
void racer_dawdle(struct racer *racer, unsigned most);

/* one DUP of a batch and its result */
struct race_dup {
	int file;
	int number;
	/* opened for this one: the number then has the only reference to it. Else race_fd(). */
	bool fresh;
	int res;
};

/* All of them with one io_uring_enter(), in order (and one before, if there are fresh ones). */
void racer_dups(struct racer *racer, struct race_dup *dups, unsigned count);

/* A batch of random DUPs over COUNT numbers; each must give its number. */
void racer_dups_random(struct racer *racer, int first, unsigned count, bool fresh);

/* closes NUMBERS by IORING_OP_CLOSE, in order; the results */
void racer_closes(struct racer *racer, const int *numbers, int *results, unsigned count);

#endif
