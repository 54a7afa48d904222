/*
 * harness.h - functions shared by the tests of IORING_OP_DUP.
 *
 * The tests use the raw interface: they fill the SQE themselves and use liburing only to set up a
 * ring, to submit SQEs and to reap CQEs. Nothing here depends on how the kernel implements the
 * opcode. Needs Linux 7.3 with the series in kernel/patches; a test exits with 77 if the opcode is
 * missing.
 */
#ifndef DUP_TEST_HARNESS_H
#define DUP_TEST_HARNESS_H

#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* From the server's folder only the opcode's number and the exit codes are used. */
#include "dup.h"
#include "exit_codes.h"

#define OP_DUP	       OP_DUP_NUMBER
#define DUP_NO_CLOEXEC (1U << 0)
#define DUP_OLD_FIXED  (1U << 1)
#define DUP_NEW_FIXED  (1U << 2)
#define SLOT_ALLOC     ((int)~0U)

/* the arguments of a DUP request */
struct dup {
	int fd;		    /* source: fd or slot */
	int new_fd;	    /* destination: fd, slot or SLOT_ALLOC */
	unsigned flags;	    /* DUP_* */
	unsigned sqe_flags; /* IOSQE_* */
	int personality;
};

/*
 * Begins a test called `name`, also in a child process. From now on this process is killed when its
 * parent ends, so that nothing outlives the test. Exits with 77 if the kernel lacks the opcode.
 */
void test_start(const char *name);

/* Does the running kernel have this opcode of io_uring? */
bool opcode_known(int opcode);

/*
 * Does this kernel replace an open fd without file_lock? It does if it was built with the series
 * exchange. That can only be seen in the kernel's release string, where kernel/build puts the name
 * of the series.
 */
bool kernel_has_exchange(void);

/* Ends the test, or the part of it run by ALONE(), as skipped, and prints the reason. */
_Noreturn void test_skip(const char *why);

/*
 * Prints the number of checks and of failures, and returns the exit code. If a part of the test was
 * skipped the test counts as skipped, unless another part failed.
 */
int test_end(void);

/*
 * For a child process of a test: test_child() resets the counts inherited from the parent, and
 * test_result() returns an exit code that says whether all checks since then succeeded.
 */
void test_child(void);
int test_result(void);

/*
 * Runs a part of a test in a new process and checks how that ends. SETUP, if not NULL, runs first in
 * that process. In a new process io_workers() shows whether the part used a worker. If a part calls
 * test_skip(), the other parts still run, and the whole test then counts as skipped.
 */
#define ALONE(setup, function) test_alone(setup, function, #function)
void test_alone(void (*setup)(void), void (*function)(void), const char *name);

/*
 * Counts a check; if it fails, prints where and why. With DUP_TEST_FIRST_FAILURE in the environment
 * the first failure ends the test, and no wait takes longer than IMPATIENT_S. This saves time in
 * kernel/test/mutants, which only needs to know whether a test fails.
 */
#define CHECK(condition, ...) check_(!!(condition), __FILE__, __LINE__, #condition, __VA_ARGS__)
bool check_(bool good, const char *file, int line, const char *what, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Checks that the result GOT of a request, a number or -errno, is WANT. */
#define CHECK_RES(got, want, ...) check_res_(got, want, __FILE__, __LINE__, __VA_ARGS__)
bool check_res_(int got, int want, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Ends the program with a message if the expression is negative: -1 with errno, or -errno. For steps
 * that the test depends on but does not test. Otherwise returns the value.
 */
#define MUST(expression) must_((long)(expression), __FILE__, __LINE__, #expression)
long must_(long result, const char *file, int line, const char *what);

/* the name of an errno, such as "EBADF" for -EBADF; for other results the number */
const char *res_name(int res);

void ring_open(struct io_uring *ring, unsigned entries, unsigned flags);
struct io_uring_sqe *ring_sqe(struct io_uring *ring);
void fill_dup(struct io_uring_sqe *sqe, const struct dup *dup);
int ring_submit_wait(struct io_uring *ring); /* submits, reaps one CQE and returns its result */
int ring_reap(struct io_uring *ring, uint64_t *user_data); /* reaps a CQE within wait_ms() */

int do_dup(struct io_uring *ring, const struct dup *dup);
#define DUP(ring, ...) do_dup(ring, &(struct dup){ __VA_ARGS__ })

/* Files that can be identified by their contents: memfds that contain their id. */
int file_make(uint32_t id);
int file_id(int fd);			      /* the id, or -errno if it is no such file */
int slot_id(struct io_uring *ring, int slot); /* the same for a direct descriptor */

bool fd_open(int fd);
bool fd_cloexec(int fd);
int fd_free_above(int from);	 /* a number that is not in use */
long fd_table_size(void);	 /* capacity of the fd table; for more fds it has to grow */
bool pipe_hung_up(int read_end); /* waits for the last write end to be closed; false: it was not */
bool pipe_alive(int read_end);	 /* is there a write end? does not wait */

void slot_set(struct io_uring *ring, int slot, int fd); /* fd < 0 empties it */
void slots_register(struct io_uring *ring, unsigned count);

/*
 * A reserved number: an open() has allocated it but has not installed the file yet. A thread opens a
 * FIFO, which sleeps until the other end is opened. fd_install_reserved() opens the other end, checks
 * that the file is then at the number, and closes it.
 */
struct reserved_fd {
	int fd;
	pthread_t thread;
	char path[64];
};
struct reserved_fd *fd_reserve(void);
void fd_install_reserved(struct reserved_fd *reserved);

/* a file with a ->flush() method: a POSIX message queue */
int flush_file_make(void);

/*
 * A file whose ->flush() the test can delay: the only file of a FUSE file system, which a child
 * process serves. Needs root; skips the test if there is no /dev/fuse.
 */
struct slow_fs;
struct slow_fs *slow_fs_mount(void);
void slow_fs_unmount(struct slow_fs *fs);
int slow_fs_open(struct slow_fs *fs);		  /* a new fd of the file */
void slow_fs_hold(struct slow_fs *fs, bool hold); /* true: delay FLUSH; false: answer */
bool slow_fs_wait_flush(struct slow_fs *fs);	  /* waits until a FLUSH is being delayed */
unsigned slow_fs_flushes(struct slow_fs *fs);	  /* number of FLUSH requests so far */
void slow_fs_watch(struct slow_fs *fs,
		   pid_t thread); /* from now on count the FLUSH requests made by THREAD */
unsigned slow_fs_flushes_watched(struct slow_fs *fs);
unsigned slow_fs_releases(struct slow_fs *fs);
bool slow_fs_gave_up(struct slow_fs *fs); /* was a FLUSH answered after wait_ms(), unreleased? */

/* the number of io-wq workers of this process; the first punted request creates the first one */
int io_workers(void);

/*
 * The counts of /proc/lock_stat for file_lock, over all processes; known is false if the kernel lacks
 * lock_stat. The counts are taken when the file is opened, and include that open().
 */
struct lock_counts {
	bool known;
	unsigned long long contentions, acquisitions;
	double wait_us, hold_us; /* all waits and holds together */
};
struct lock_counts read_lock_stat(void);

uint64_t now_ms(void);

/* the limit for waiting for something that has to happen: WAIT_S or IMPATIENT_S, in ms */
uint64_t wait_ms(void);

enum { WAIT_S = 30, IMPATIENT_S = 8 };

#endif
