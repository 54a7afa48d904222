/*
 * harness.h - what the tests of IORING_OP_DUP share.
 *
 * The tests speak the raw interface: they fill the SQE themselves and use liburing only to set up a
 * ring and to move entries. Nothing here knows how the kernel does it, so the programs judge any
 * implementation of the interface. Needs Linux 7.3 with the series in kernel/patches; where the
 * opcode is missing a test exits with 77.
 */
#ifndef DUP_TEST_HARNESS_H
#define DUP_TEST_HARNESS_H

#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Of the server: the opcode's number and the exit codes, and nothing else. */
#include "dup.h"
#include "exit_codes.h"

#define OP_DUP	       OP_DUP_NUMBER
#define DUP_NO_CLOEXEC (1U << 0)
#define DUP_OLD_FIXED  (1U << 1)
#define DUP_NEW_FIXED  (1U << 2)
#define SLOT_ALLOC     ((int)~0U)

/* one DUP as an application would ask for it */
struct dup {
	int fd;		    /* source: fd or slot */
	int new_fd;	    /* destination: fd, slot or SLOT_ALLOC */
	unsigned flags;	    /* DUP_* */
	unsigned sqe_flags; /* IOSQE_* */
	int personality;
};

/* Says which test this is, lets no orphan survive it, skips without the opcode. */
void test_start(const char *name);

/* Does the running kernel have this opcode of io_uring? */
bool opcode_known(int opcode);

/*
 * Whether this kernel replaces an open fd without file_lock: it was built with the series exchange,
 * which kernel/build writes into its release, as nothing else tells.
 */
bool kernel_has_exchange(void);

/* Ends the test, or the part of it that runs alone, with the reason why it cannot be run here. */
_Noreturn void test_skip(const char *why);

/*
 * The exit code: prints the number of checks and of failures. A test of which a part was skipped is
 * skipped, unless another part failed.
 */
int test_end(void);

/*
 * For a process of a test: forgets what the parent has counted; whether the checks made since were
 * good, as an exit code.
 */
void test_child(void);
int test_result(void);

/*
 * Runs a part of a test in a process of its own, after SETUP if that is not NULL, and checks how it
 * ends. Whether a worker was used can be seen there: see io_workers(). A part that skips itself
 * has the whole test skipped, once the others have run.
 */
#define ALONE(setup, function) test_alone(setup, function, #function)
void test_alone(void (*setup)(void), void (*function)(void), const char *name);

/*
 * Counts a check; when it fails, says where and what. With DUP_TEST_FIRST_FAILURE in the
 * environment the first one that fails ends the test, and nothing is waited for longer than
 * IMPATIENT_S: for kernel/test/mutants, which only has to know that a test fails.
 */
#define CHECK(condition, ...) check_(!!(condition), __FILE__, __LINE__, #condition, __VA_ARGS__)
bool check_(bool good, const char *file, int line, const char *what, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The result has to be this one. */
#define CHECK_RES(got, want, ...) check_res_(got, want, __FILE__, __LINE__, __VA_ARGS__)
bool check_res_(int got, int want, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* For what the test itself cannot do without: ends the program. */
#define MUST(expression) must_((long)(expression), __FILE__, __LINE__, #expression)
long must_(long result, const char *file, int line, const char *what);

/* "EBADF" for -EBADF, the number for what is none */
const char *res_name(int res);

void ring_open(struct io_uring *ring, unsigned entries, unsigned flags);
struct io_uring_sqe *ring_sqe(struct io_uring *ring);
void fill_dup(struct io_uring_sqe *sqe, const struct dup *dup);
int ring_submit_wait(struct io_uring *ring); /* submits one, returns the result of one */
int ring_reap(struct io_uring *ring, uint64_t *user_data); /* waits, at most wait_ms() */

int do_dup(struct io_uring *ring, const struct dup *dup);
#define DUP(ring, ...) do_dup(ring, &(struct dup){ __VA_ARGS__ })

/* Files that tell which one they are: a memfd with its name as contents. */
int file_make(uint32_t id);
int file_id(int fd);			      /* -errno if it is no such file */
int slot_id(struct io_uring *ring, int slot); /* the same for a direct descriptor */

bool fd_open(int fd);
bool fd_cloexec(int fd);
int fd_free_above(int from);	 /* a number that is not in use */
long fd_table_size(void);	 /* how many fds there is room for before the table has to grow */
bool pipe_hung_up(int read_end); /* is the last write end gone? waits for it */
bool pipe_alive(int read_end);	 /* is there a write end? does not wait */

void slot_set(struct io_uring *ring, int slot, int fd); /* fd < 0 empties it */
void slots_register(struct io_uring *ring, unsigned count);

/*
 * A number that an open() has taken and has put no file at yet: it opens a FIFO in a thread, and waits
 * for the other end. fd_install_reserved() has it come, checks that the file is at the number, and closes it.
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
 * A file whose ->flush() takes as long as the test likes: one file of a FUSE file system that this
 * process serves. Needs root; skips the test where there is no /dev/fuse.
 */
struct slow_fs;
struct slow_fs *slow_fs_mount(void);
void slow_fs_unmount(struct slow_fs *fs);
int slow_fs_open(struct slow_fs *fs);		  /* a new fd of the file */
void slow_fs_hold(struct slow_fs *fs, bool hold); /* answer no FLUSH until released */
bool slow_fs_wait_flush(struct slow_fs *fs);	  /* until a FLUSH is being held */
unsigned slow_fs_flushes(struct slow_fs *fs);
void slow_fs_watch(struct slow_fs *fs,
		   pid_t thread); /* from here on count what THREAD calls itself */
unsigned slow_fs_flushes_watched(struct slow_fs *fs);
unsigned slow_fs_releases(struct slow_fs *fs);
bool slow_fs_gave_up(struct slow_fs *fs); /* was a FLUSH held for wait_ms() and then let go? */

/*
 * how many io-wq workers this process has: one comes into being with the first request that is
 * punted
 */
int io_workers(void);

/*
 * What /proc/lock_stat says of file_lock, of all processes together; not known where there is none.
 * The counts are those of when the file is opened; that counts itself.
 */
struct lock_counts {
	bool known;
	unsigned long long contentions, acquisitions;
	double wait_us, hold_us; /* all waits and holds together */
};
struct lock_counts read_lock_stat(void);

uint64_t now_ms(void);

/* how long to wait for what has to come: WAIT_S, or IMPATIENT_S */
uint64_t wait_ms(void);

enum { WAIT_S = 30, IMPATIENT_S = 8 };

#endif
