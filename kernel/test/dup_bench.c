/*
 * dup_bench.c - measures what it costs to replace the file at an fd, without any networking.
 *
 *   dup_bench [--processes N,N..] [--tables NAME,..] [--sharing NAME,..] [--open N,N.. | --each N]
 *             [--methods NAME,..] [--ms N] [--repeats N] [--seconds N] [--progress] [--note KEY=VALUE]..
 *
 * One operation puts another file at a number of the fd table:
 *
 *   dup            DUP of a slot over an open fd
 *   dup-fd         DUP of an fd over an open fd
 *   install-close  close of an fd, FIXED_FD_INSTALL of the slot (it takes the lowest free number)
 *   close-dup      close(), dup(): the same by system calls
 *   dup3           dup3() over an open fd
 *   open-dup       OPENAT2 into a slot, DUP of the slot over an open fd
 *   open-install   close of an fd, OPENAT2 into a slot, FIXED_FD_INSTALL of the slot
 *   close-open     close(), open()
 *   fork           fork() of a child that exits at once: copying the table and closing all of it
 *
 * The operations are done by processes that share the fd table and no memory (CLONE_FILES without
 * CLONE_VM). They use the table as threads would, but also run in parallel in user-mode Linux, where
 * threads that share memory do not. With the table "private" each of them has unshared its table.
 * The processes share nothing but the table. Each has its own ring, CPU and source file (contention
 * on the reference count of a common file would be measured too), and its own range of numbers, which
 * starts at a cache line boundary of the table. To see what these are worth, --sharing takes one of
 * them away: with "source" all processes have the same source file, with "lines" their numbers take
 * turns, so that the pointers of several lie on one cache line. --open is the number of open fds in total (default
 * 1000), --each that of each process. The table has its full size before the measured window begins.
 *
 * Needs Linux 6.8 for FIXED_FD_INSTALL, and the series in kernel/patches for DUP. A method that the
 * kernel lacks is skipped. One record a line on stdout (NDJSON), in random order, round by round;
 * --seconds ends the program early, after a complete record. A window in which a process lost its
 * CPU or the table grew is discarded and repeated; if the repetitions fail too, the record has
 * "interrupted": true. With /proc/lock_stat a record has the acquisitions of file_lock in its window,
 * less those in an idle window of the same length. Speeds measured on a kernel with lock_stat are
 * meaningless; on a kernel without it acquisitions are not counted.
 *
 * In a record:
 *
 *   schema, record           2, "dup_bench"
 *   method, table, processes, open_fds, fds_of_a_process, repeat, window_ms   what was measured
 *   sharing                  "nothing" but the table, or "source" or "lines" as well
 *   batch                    operations that go to the kernel at once; 1: a system call each
 *   ops, ops_per_s           in all; the sum of what each process did in its own time
 *   interrupted, tries       see above
 *   file_lock_...            acquisitions, contentions, hold_us, wait_us in the window;
 *                            acquisitions_idle in a window without operations
 *   pinned_cpus              "0,1,2": a process each, again from the first when there are more
 *   kernel, user_mode_linux, cpu, cpus
 *   skipped                  why a method, or a number of processes, was not measured; then there
 *                            is no figure
 *   and what --note adds; series, flavour, machine and revision by convention
 *
 * Exit code: 0, 1 if something failed, 2 for wrong arguments, 77 if the kernel has none of the
 * methods.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum {
	BATCH = 128,	      /* operations that go down in one io_uring_enter() */
	FORKS = 8,	      /* children, one after the other, before the time is looked at */
	RANGE_ALIGN = 64,     /* numbers: 8 cache lines of pointers, a word of the bitmaps */
	FIRST_NUMBER = 64,    /* of the first range; what this program itself has open is below */
	FDS_OF_A_PROCESS = 8, /* ring, source, files of /proc */
	MAX_PROCESSES = 256,
	MAX_LIST = 16,
	MAX_NOTES = 16,
	MAX_TRIES = 5,
	SLOT_SOURCE = 0,
	SLOT_OPENED = 1,
	CACHE_LINES = 128 /* bytes that no two processes write to: two lines, for the prefetcher */
};

#define SCHEMA	    2
#define OPENED_PATH "/dev/null"

enum phase { SETTING_UP, GO, STOP, COUNTED };

/* What the processes of a cell have in common. */
struct shared {
	_Alignas(CACHE_LINES) _Atomic(enum phase) phase;
	_Alignas(CACHE_LINES) atomic_uint ready, done;
	struct lock_counts locks;
	int source; /* of all processes, for those that share it */
	struct outcome {
		_Alignas(CACHE_LINES) unsigned long ops;
		uint64_t started_ns, ended_ns;
		uint64_t batches;
		uint64_t longest_ns; /* between the ends of two batches */
		bool table_grew;
	} outcomes[MAX_PROCESSES];
};

/* One process. */
struct bench {
	struct io_uring ring;
	int source;
	uint64_t random;
	int *fds; /* what this one may replace */
	unsigned count, start;
};

struct method {
	const char *name;
	void (*run)(struct bench *bench); /* so many operations */
	unsigned ops;
	int opcode; /* what the kernel needs for it; < 0: nothing */
	const char *opcode_name;
};

enum sharing { SHARING_NOTHING, SHARING_SOURCE, SHARING_LINES, SHARINGS };

static const char *const sharing_names[SHARINGS] = { "nothing", "source", "lines" };

struct cell {
	const struct method *method;
	unsigned processes, open, each, repeat;
	bool private;
	enum sharing sharing;
};

struct settings {
	unsigned processes[MAX_LIST], opens[MAX_LIST];
	unsigned process_count, open_count, each, ms, repeats, seconds;
	bool shared, private, progress;
	const char *methods, *sharing, *notes[MAX_NOTES];
	unsigned note_count;
};

static struct shared *shared;
static int cpus[CPU_SETSIZE];
static unsigned cpu_count;
static bool user_mode_linux;
static char cpu_name[128] = "unknown";

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Every batch is timed, and in user-mode Linux clock_gettime() is a system call of microseconds. */
static uint64_t now_ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return now_ns();
#endif
}

static unsigned draw(uint64_t *state, unsigned below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (unsigned)((*state * 2685821657736338717ULL >> 33) % below);
}

/*
 * Where the k-th number of a batch is kept. They lie apart and are different ones, as a number that
 * was closed must not be closed again before it is open; where they begin is random.
 */
static int *number_at(struct bench *bench, unsigned k)
{
	return &bench->fds[(bench->start + k * (bench->count / BATCH)) % bench->count];
}

/* Submits what is prepared and takes all completions. A failure ends the program: it is no figure. */
static void run_ring(struct bench *bench, unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	MUST(io_uring_submit_and_wait(&bench->ring, count));
	io_uring_for_each_cqe (&bench->ring, head, cqe) {
		int *number = io_uring_cqe_get_data(cqe);

		MUST(cqe->res);
		if (number)
			*number = cqe->res;
		seen++;
	}
	io_uring_cq_advance(&bench->ring, seen);
	MUST(seen == count ? 0 : -EIO);
}

static void prep_dup(struct bench *bench, unsigned k, int fd, unsigned flags)
{
	fill_dup(ring_sqe(&bench->ring),
		 &(struct dup){ .fd = fd, .new_fd = *number_at(bench, k), .flags = flags });
}

static void run_dup(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++)
		prep_dup(bench, k, SLOT_SOURCE, DUP_OLD_FIXED);
	run_ring(bench, BATCH);
}

static void run_dup_fd(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++)
		prep_dup(bench, k, bench->source, 0);
	run_ring(bench, BATCH);
}

/*
 * Which number an installation gets is not ours to say: with several processes, one may get what
 * another has closed. Whoever got it has it in its list, in the place of the one it closed.
 */
static void prep_install(struct bench *bench, unsigned k, int slot)
{
	struct io_uring_sqe *sqe = ring_sqe(&bench->ring);

	io_uring_prep_fixed_fd_install(sqe, slot, 0);
	io_uring_sqe_set_data(sqe, number_at(bench, k));
}

static struct io_uring_sqe *prep_close(struct bench *bench, unsigned k)
{
	struct io_uring_sqe *sqe = ring_sqe(&bench->ring);

	io_uring_prep_close(sqe, *number_at(bench, k));
	return sqe;
}

/* Not linked: neither request is left to a worker, so they run in this order as they are. */
static void run_install_close(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++) {
		prep_close(bench, k);
		prep_install(bench, k, SLOT_SOURCE);
	}
	run_ring(bench, 2 * BATCH);
}

static void run_close_dup(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++) {
		int *number = number_at(bench, k);

		MUST(close(*number));
		*number = (int)MUST(dup(bench->source));
	}
}

static void run_dup3(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++)
		MUST(dup3(bench->source, *number_at(bench, k), O_CLOEXEC));
}

static struct open_how how = { .flags = O_RDONLY };

static void prep_open(struct bench *bench)
{
	struct io_uring_sqe *sqe = ring_sqe(&bench->ring);

	io_uring_prep_openat2_direct(sqe, AT_FDCWD, OPENED_PATH, &how, SLOT_OPENED);
	sqe->flags |= IOSQE_IO_LINK;
}

static void run_open_dup(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++) {
		prep_open(bench);
		prep_dup(bench, k, SLOT_OPENED, DUP_OLD_FIXED);
	}
	run_ring(bench, 2 * BATCH);
}

static void run_open_install(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++) {
		prep_close(bench, k)->flags |= IOSQE_IO_LINK;
		prep_open(bench);
		prep_install(bench, k, SLOT_OPENED);
	}
	run_ring(bench, 3 * BATCH);
}

static void run_close_open(struct bench *bench)
{
	for (unsigned k = 0; k < BATCH; k++) {
		int *number = number_at(bench, k);

		MUST(close(*number));
		*number = (int)MUST(open(OPENED_PATH, O_RDONLY | O_CLOEXEC));
	}
}

/* It shares the memory (and waits meanwhile), so that the table is most of what there is to copy. */
static int end_at_once(void *unused)
{
	_exit(EXIT_GOOD);
	return unused != NULL;
}

static void run_fork(struct bench *bench)
{
	static _Alignas(16) char stack[FORKS][16 * 1024];

	(void)bench;
	for (unsigned k = 0; k < FORKS; k++) {
		pid_t child = (pid_t)MUST(clone(end_at_once, stack[k] + sizeof(stack[k]),
						CLONE_VM | CLONE_VFORK | SIGCHLD, NULL));

		MUST(waitpid(child, NULL, 0));
	}
}

#define NEEDS_DUP     OP_DUP, "IORING_OP_DUP"
#define NEEDS_INSTALL IORING_OP_FIXED_FD_INSTALL, "IORING_OP_FIXED_FD_INSTALL"
#define NEEDS_NOTHING -1, NULL

static const struct method methods[] = {
	{ "dup", run_dup, BATCH, NEEDS_DUP },
	{ "dup-fd", run_dup_fd, BATCH, NEEDS_DUP },
	{ "install-close", run_install_close, BATCH, NEEDS_INSTALL },
	{ "close-dup", run_close_dup, BATCH, NEEDS_NOTHING },
	{ "dup3", run_dup3, BATCH, NEEDS_NOTHING },
	{ "open-dup", run_open_dup, BATCH, NEEDS_DUP },
	{ "open-install", run_open_install, BATCH, NEEDS_INSTALL },
	{ "close-open", run_close_open, BATCH, NEEDS_NOTHING },
	{ "fork", run_fork, FORKS, NEEDS_NOTHING },
};

#define METHODS ((unsigned)(sizeof(methods) / sizeof(methods[0])))

/* ---- a process ---- */

static void sleep_us(unsigned long us)
{
	struct timespec ts = { .tv_sec = (time_t)(us / 1000000),
			       .tv_nsec = (long)(us % 1000000 * 1000) };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static void wait_for(enum phase phase)
{
	while (atomic_load_explicit(&shared->phase, memory_order_acquire) < phase)
		sleep_us(100);
}

static void pin(unsigned index)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[index % cpu_count], &set);
	MUST(sched_setaffinity(0, sizeof(set), &set));
}

static bool needs_ring(const struct method *method)
{
	return method->opcode >= 0;
}

/* The I-th number of the process INDEX. */
static int own_number(const struct cell *cell, unsigned index, unsigned i)
{
	return (int)(FIRST_NUMBER + (cell->sharing == SHARING_LINES ? i * cell->processes + index
								    : index * cell->each + i));
}

/* Its own table if it is to have one, its own ring, its own source, which is then at all its numbers. */
static void set_up(struct bench *bench, const struct cell *cell, unsigned index)
{
	if (cell->private)
		MUST(unshare(CLONE_FILES));
	bench->source = cell->sharing == SHARING_SOURCE
				? (int)MUST(dup(shared->source))
				: (int)MUST(open(OPENED_PATH, O_RDONLY | O_CLOEXEC));
	if (needs_ring(cell->method)) {
		ring_open(&bench->ring, 4 * BATCH, 0);
		slots_register(&bench->ring, 2);
		slot_set(&bench->ring, SLOT_SOURCE, bench->source);
		MUST(io_uring_register_ring_fd(&bench->ring));
	}
	bench->random = 0x9e3779b97f4a7c15ULL * (index + 1) + cell->repeat;
	bench->count = cell->each;
	bench->fds = calloc(bench->count, sizeof(*bench->fds));
	MUST(bench->fds ? 0 : -ENOMEM);
	for (unsigned i = 0; i < bench->count; i++) {
		bench->fds[i] = own_number(cell, index, i);
		MUST(dup3(bench->source, bench->fds[i], O_CLOEXEC));
	}
}

static void run_window(struct bench *bench, const struct method *method, struct outcome *outcome)
{
	uint64_t ops = 0, longest = 0, first, last, now;

	outcome->started_ns = now_ns();
	first = last = now_ticks();
	while (atomic_load_explicit(&shared->phase, memory_order_relaxed) < STOP) {
		bench->start = draw(&bench->random, bench->count);
		method->run(bench);
		ops += method->ops;
		now = now_ticks();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	outcome->ended_ns = now_ns();
	outcome->ops = ops;
	outcome->batches = ops / method->ops;
	if (last > first)
		outcome->longest_ns = (uint64_t)((double)longest *
						 (double)(outcome->ended_ns - outcome->started_ns) /
						 (double)(last - first));
}

static void run_process(const struct cell *cell, unsigned index)
{
	struct outcome *outcome = &shared->outcomes[index];
	struct bench bench = { 0 };
	long size;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(index);
	set_up(&bench, cell, index);
	size = fd_table_size();
	atomic_fetch_add(&shared->ready, 1);
	wait_for(GO);
	run_window(&bench, cell->method, outcome);
	atomic_fetch_add(&shared->done, 1);
	wait_for(COUNTED);
	outcome->table_grew = fd_table_size() != size;
	_exit(EXIT_GOOD);
}

/* ---- a cell ---- */

static struct lock_counts counts_since(const struct lock_counts *before)
{
	struct lock_counts counts = read_lock_stat();

	counts.acquisitions -= before->acquisitions;
	counts.contentions -= before->contentions;
	counts.hold_us -= before->hold_us;
	counts.wait_us -= before->wait_us;
	return counts;
}

/* Waits until that many have counted up; one that ends before has failed and said why. */
static void wait_for_all(atomic_uint *counter, unsigned count)
{
	while (atomic_load(counter) < count) {
		if (waitpid(-1, NULL, WNOHANG) > 0) {
			fprintf(stderr, "dup_bench: a process ended before its time\n");
			_exit(EXIT_FAILED); /* the others die with it */
		}
		sleep_us(500);
	}
}

/* Room for what the processes open: the table does not grow in the window. */
static void grow_table(const struct cell *cell)
{
	int highest = (int)(FIRST_NUMBER + cell->open + FDS_OF_A_PROCESS * (cell->processes + 1));

	MUST(close((int)MUST(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, highest))));
}

/* In a process of its own, whose table the others share, and which ends with it. */
static void run_cell_alone(const struct cell *cell, unsigned ms)
{
	struct lock_counts before;
	int status, bad = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* what is said here is no record */
	MUST(dup2(STDERR_FILENO, STDOUT_FILENO));
	grow_table(cell);
	shared->source = (int)MUST(open(OPENED_PATH, O_RDONLY | O_CLOEXEC));
	for (unsigned i = 0; i < cell->processes; i++)
		if (!MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0)))
			run_process(cell, i);
	wait_for_all(&shared->ready, cell->processes);
	before = read_lock_stat();
	atomic_store_explicit(&shared->phase, GO, memory_order_release);
	sleep_us(ms * 1000UL);
	atomic_store(&shared->phase, STOP);
	wait_for_all(&shared->done, cell->processes);
	shared->locks = counts_since(&before);
	atomic_store(&shared->phase, COUNTED);
	for (unsigned i = 0; i < cell->processes; i++) {
		MUST(wait(&status));
		bad |= status;
	}
	_exit(bad ? EXIT_FAILED : EXIT_GOOD);
}

static void run_cell(const struct cell *cell, unsigned ms)
{
	int status;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	fflush(stdout);
	child = (pid_t)MUST(fork());
	if (child == 0)
		run_cell_alone(cell, ms);
	MUST(waitpid(child, &status, 0));
	if (status) {
		fprintf(stderr, "dup_bench: %s with %u processes failed; why stands above\n",
			cell->method->name, cell->processes);
		exit(EXIT_FAILED);
	}
}

/*
 * Was a process without its CPU? Then it began late or stood still for a good part of the window, and
 * far longer than its other batches took. More processes than CPUs take turns: that is how they are
 * measured then.
 */
static bool was_off_cpu(const struct outcome *outcome, unsigned ms)
{
	const uint64_t tenth = ms * 1000000ULL / 10, took = outcome->ended_ns - outcome->started_ns;
	uint64_t others =
		outcome->batches > 1 ? (took - outcome->longest_ns) / (outcome->batches - 1) : 0;

	return took < 9 * tenth ||
	       (outcome->longest_ns > tenth && outcome->longest_ns > 8 * others);
}

static bool interrupted(const struct cell *cell, unsigned ms)
{
	for (unsigned i = 0; i < cell->processes; i++) {
		const struct outcome *outcome = &shared->outcomes[i];

		if (!outcome->ops || outcome->table_grew ||
		    (cell->processes <= cpu_count && was_off_cpu(outcome, ms)))
			return true;
	}
	return false;
}

/* Acquisitions that the window itself and whatever else runs here bring along. */
static struct lock_counts idle_window(unsigned ms)
{
	struct lock_counts before = read_lock_stat();

	sleep_us(ms * 1000UL);
	return counts_since(&before);
}

/* ---- records ---- */

static void print_cpus(unsigned processes)
{
	printf(",\"pinned_cpus\":\"");
	for (unsigned i = 0; i < processes && i < cpu_count; i++)
		printf("%s%d", i ? "," : "", cpus[i]);
	printf("\"");
}

static void print_where(const struct settings *settings)
{
	struct utsname host;

	uname(&host);
	printf(",\"kernel\":\"%s\",\"user_mode_linux\":%s,\"cpu\":\"%s\",\"cpus\":%ld",
	       host.release, user_mode_linux ? "true" : "false", cpu_name,
	       sysconf(_SC_NPROCESSORS_ONLN));
	for (unsigned i = 0; i < settings->note_count; i++) {
		const char *value = strchr(settings->notes[i], '=');

		printf(",\"%.*s\":\"%s\"", (int)(value - settings->notes[i]), settings->notes[i],
		       value + 1);
	}
	printf("}\n");
	fflush(stdout);
}

static void print_locks(const struct lock_counts *locks, const struct lock_counts *idle,
			unsigned long ops)
{
	printf(",\"file_lock_acquisitions\":%llu,\"file_lock_acquisitions_idle\":%llu,\"file_lock_contentions\":%llu,"
	       "\"file_lock_acquisitions_per_op\":%.4f,\"file_lock_hold_us\":%.2f,\"file_lock_wait_us\":%.2f",
	       locks->acquisitions, idle->acquisitions, locks->contentions,
	       ((double)locks->acquisitions - (double)idle->acquisitions) / (double)ops,
	       locks->hold_us, locks->wait_us);
}

static void print_record(const struct cell *cell, const struct settings *settings,
			 const struct lock_counts *idle, bool was_interrupted, unsigned tries)
{
	unsigned long ops = 0;
	double ops_per_s = 0;

	for (unsigned i = 0; i < cell->processes; i++) {
		const struct outcome *outcome = &shared->outcomes[i];

		ops += outcome->ops;
		if (outcome->ops) /* 0 in a window that was interrupted */
			ops_per_s += (double)outcome->ops * 1e9 /
				     (double)(outcome->ended_ns - outcome->started_ns);
	}
	printf("{\"schema\":%d,\"record\":\"dup_bench\",\"method\":\"%s\",\"table\":\"%s\",\"sharing\":\"%s\",\"processes\":%u,"
	       "\"open_fds\":%u,\"fds_of_a_process\":%u,\"repeat\":%u,\"window_ms\":%u,\"ops\":%lu,"
	       "\"ops_per_s\":%.1f,\"interrupted\":%s,\"tries\":%u,\"batch\":%d",
	       SCHEMA, cell->method->name, cell->private ? "private" : "shared",
	       sharing_names[cell->sharing], cell->processes, cell->open, cell->each, cell->repeat,
	       settings->ms, ops, ops_per_s, was_interrupted ? "true" : "false", tries,
	       needs_ring(cell->method) ? BATCH : 1);
	if (shared->locks.known && ops)
		print_locks(&shared->locks, idle, ops);
	print_cpus(cell->processes);
	print_where(settings);
}

static void print_skipped(const struct settings *settings, const char *method, unsigned processes,
			  const char *why)
{
	printf("{\"schema\":%d,\"record\":\"dup_bench\",\"method\":\"%s\",\"skipped\":\"%s\"",
	       SCHEMA, method, why);
	if (processes)
		printf(",\"processes\":%u", processes);
	print_where(settings);
	fprintf(stderr, "dup_bench: %s skipped: %s\n", method, why);
}

/* Measured until a window is whole, at most MAX_TRIES times; true if it never was. */
static bool measure(const struct cell *cell, const struct settings *settings,
		    const struct lock_counts *idle)
{
	unsigned tries = 0;
	bool bad;

	do {
		run_cell(cell, settings->ms);
		bad = interrupted(cell, settings->ms);
	} while (++tries < MAX_TRIES && bad);
	print_record(cell, settings, idle, bad, tries);
	return bad;
}

/* ---- all cells ---- */

static void shuffle(struct cell *cells, unsigned count)
{
	uint64_t state = now_ns() | 1;

	for (unsigned i = count; i > 1; i--) {
		unsigned j = draw(&state, i);
		struct cell other = cells[i - 1];

		cells[i - 1] = cells[j];
		cells[j] = other;
	}
}

static bool in_list(const char *name, const char *list)
{
	size_t length = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (!strncmp(at, name, length) && (at[length] == ',' || !at[length]))
			return true;
	return !list;
}

/* Why a method cannot be measured here; NULL: it can. */
static const char *lacking(const struct method *method)
{
	static char why[200];
	struct utsname host;

	if (!needs_ring(method) || opcode_known(method->opcode))
		return NULL;
	uname(&host);
	snprintf(why, sizeof(why), "no %s in Linux %s", method->opcode_name, host.release);
	return why;
}

/* How many numbers each of so many has; 0 if there are too few. */
static unsigned share_of(const struct settings *settings, unsigned open, unsigned processes)
{
	unsigned each = settings->each ? settings->each : open / processes;

	each -= each % RANGE_ALIGN;
	return each < BATCH ? 0 : each;
}

static unsigned open_of(const struct settings *settings, unsigned o, unsigned processes)
{
	return settings->each ? settings->each * processes : settings->opens[o];
}

static rlim_t raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

/* The cells of one round, for one number of open fds. */
static unsigned make_round(struct cell *cells, const struct settings *settings, unsigned o,
			   unsigned repeat, rlim_t limit)
{
	unsigned count = 0;

	for (unsigned m = 0; m < METHODS; m++) {
		if (!in_list(methods[m].name, settings->methods) || lacking(&methods[m]))
			continue;
		for (unsigned p = 0; p < settings->process_count; p++) {
			unsigned processes = settings->processes[p];
			unsigned open = open_of(settings, o, processes);
			struct cell cell = { .method = &methods[m],
					     .processes = processes,
					     .open = open,
					     .each = share_of(settings, open, processes),
					     .repeat = repeat };

			if (!cell.each ||
			    FIRST_NUMBER + open + FDS_OF_A_PROCESS * (processes + 2) >= limit)
				continue;
			for (unsigned s = 0; s < SHARINGS; s++) {
				if (!in_list(sharing_names[s], settings->sharing))
					continue;
				cell.sharing = (enum sharing)s;
				cell.private = false;
				if (settings->shared)
					cells[count++] = cell;
				cell.private = true;
				if (settings->private)
					cells[count++] = cell;
			}
		}
	}
	shuffle(cells, count);
	return count;
}

/* What is left out is said once, in a record of its own. */
static void say_what_is_left_out(const struct settings *settings, rlim_t limit)
{
	char why[200];

	for (unsigned m = 0; m < METHODS; m++)
		if (in_list(methods[m].name, settings->methods) && lacking(&methods[m]))
			print_skipped(settings, methods[m].name, 0, lacking(&methods[m]));
	for (unsigned o = 0; o < settings->open_count; o++) {
		for (unsigned p = 0; p < settings->process_count; p++) {
			unsigned processes = settings->processes[p];
			unsigned open = open_of(settings, o, processes);
			unsigned needed = FIRST_NUMBER + open + FDS_OF_A_PROCESS * (processes + 2);

			if (!share_of(settings, open, processes)) {
				snprintf(why, sizeof(why),
					 "%u processes have less than %d of %u open fds each",
					 processes, BATCH, open);
				print_skipped(settings, "every method", processes, why);
			} else if (needed >= limit) {
				snprintf(
					why, sizeof(why),
					"%u processes with %u open fds need a limit of %u (ulimit -n), it is %llu",
					processes, open, needed + 1, (unsigned long long)limit);
				print_skipped(settings, "every method", processes, why);
			}
		}
	}
}

/* Every number up to there is open, so that what is closed is the lowest free one. */
static void open_up_to(unsigned end)
{
	int source = (int)MUST(open(OPENED_PATH, O_RDONLY | O_CLOEXEC)), fd;

	MUST(source < FIRST_NUMBER ? 0 : -EMFILE);
	do
		fd = (int)MUST(fcntl(source, F_DUPFD_CLOEXEC, 0));
	while (fd < (int)end - 1);
	if (fd >= (int)end)
		MUST(close(fd));
}

static void say_progress(unsigned done, unsigned count, uint64_t since_ns)
{
	static uint64_t said_ns;
	uint64_t now = now_ns();

	if (now - said_ns < 2000000000 && done < count)
		return;
	said_ns = now;
	fprintf(stderr, "dup_bench: %u of %u cells, %.0f s left\n", done, count,
		(double)(now - since_ns) / 1e9 / done * (count - done));
}

static int measure_all(const struct settings *settings, rlim_t limit)
{
	unsigned size = METHODS * settings->process_count * SHARINGS * 2, measured = 0, bad = 0,
		 all = 0;
	struct cell *cells = calloc(size, sizeof(*cells));
	uint64_t began = now_ns();

	MUST(cells ? 0 : -ENOMEM);
	for (unsigned o = 0; o < settings->open_count; o++)
		all += settings->repeats * make_round(cells, settings, o, 0, limit);
	for (unsigned o = 0; o < settings->open_count; o++) {
		struct lock_counts idle;
		unsigned most = 0;

		for (unsigned i = make_round(cells, settings, o, 0, limit); i; i--)
			most = cells[i - 1].open > most ? cells[i - 1].open : most;
		if (most)
			open_up_to(FIRST_NUMBER + most);
		idle = idle_window(settings->ms);
		for (unsigned r = 0; r < settings->repeats; r++) {
			unsigned count = make_round(cells, settings, o, r, limit);

			for (unsigned i = 0; i < count; i++) {
				if (settings->seconds &&
				    now_ns() - began > settings->seconds * 1000000000ULL)
					goto out;
				bad += measure(&cells[i], settings, &idle);
				measured++;
				if (settings->progress)
					say_progress(measured, all, began);
			}
		}
	}
out:
	free(cells);
	if (measured < all)
		fprintf(stderr,
			"dup_bench: after %u s, %u of %u cells are measured; the rest is left out\n",
			settings->seconds, measured, all);
	if (bad)
		fprintf(stderr,
			"dup_bench: in %u of %u windows a process was without its CPU, in %d tries each: "
			"the machine has other things to do; the records say so\n",
			bad, measured, MAX_TRIES);
	return measured ? EXIT_GOOD : EXIT_SKIPPED;
}

/* ---- this machine ---- */

static void find_cpus(void)
{
	cpu_set_t set;

	MUST(sched_getaffinity(0, sizeof(set), &set));
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			cpus[cpu_count++] = i;
}

static void read_cpuinfo(void)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		if (!value)
			continue;
		value += strspn(value, ": \t");
		value[strcspn(value, "\n\"\\")] = '\0';
		if (!strncmp(line, "vendor_id", 9) && !strcmp(value, "User Mode Linux"))
			user_mode_linux = true;
		if (!strncmp(line, "model name", 10))
			snprintf(cpu_name, sizeof(cpu_name), "%s", value);
	}
	if (file)
		fclose(file);
}

/* ---- arguments ---- */

static const char usage[] =
	"usage: dup_bench [--processes N,N..] [--tables NAME,..] [--sharing NAME,..] [--open N,N.. | --each N]\n"
	"                 [--methods NAME,..] [--ms N] [--repeats N] [--seconds N] [--progress] [--note KEY=VALUE]..\n"
	"\n"
	"  --processes N,N..  that share the table, at most 256; default: 1, 2, 4, .. up to the CPUs\n"
	"  --tables NAME,..   shared (default), private\n"
	"  --sharing NAME,..  what the processes share besides: nothing (default), source, lines\n"
	"  --open N,N..       open fds in all; default 1000\n"
	"  --each N           open fds of each process instead, at least 128\n"
	"  --methods NAME,..  dup, dup-fd, install-close, close-dup, dup3, open-dup, open-install, close-open, fork;\n"
	"                     default: all that this kernel has\n"
	"  --ms N             the window; default 200\n"
	"  --repeats N        default 3\n"
	"  --seconds N        end after so many, with what is measured by then; default: no limit\n"
	"  --progress         a line every two seconds on stderr\n"
	"  --note KEY=VALUE   goes into every record; may be given again\n"
	"\n"
	"Records go to stdout, one a line; what they mean is at the top of kernel/test/dup_bench.c.\n";

static unsigned parse_list(const char *option, const char *text, unsigned long least,
			   unsigned long most, unsigned list[MAX_LIST])
{
	const char *at = text;
	unsigned count = 0;
	char *end;

	for (;;) {
		unsigned long value = strtoul(at, &end, 10);

		if (*at < '0' || *at > '9' || (*end && *end != ',') || value < least ||
		    value > most || count == MAX_LIST) {
			fprintf(stderr,
				"dup_bench: %s %s: one to %d numbers from %lu to %lu are expected\n",
				option, text, MAX_LIST, least, most);
			exit(EXIT_USAGE);
		}
		list[count++] = (unsigned)value;
		if (!*end)
			return count;
		at = end + 1;
	}
}

static unsigned parse_number(const char *option, const char *text, unsigned long least,
			     unsigned long most)
{
	unsigned list[MAX_LIST];

	if (parse_list(option, text, least, most, list) == 1)
		return list[0];
	fprintf(stderr, "dup_bench: %s %s: one number is expected\n", option, text);
	exit(EXIT_USAGE);
}

static void check_names(const char *option, const char *list, bool (*known)(const char *name))
{
	char *copy = strdup(list), *at = copy, *name;

	MUST(copy ? 0 : -ENOMEM);
	while ((name = strsep(&at, ","))) {
		if (known(name))
			continue;
		fprintf(stderr, "dup_bench: %s %s: there is no '%s'; see dup_bench --help\n",
			option, list, name);
		exit(EXIT_USAGE);
	}
	free(copy);
}

static bool is_method(const char *name)
{
	for (unsigned m = 0; m < METHODS; m++)
		if (!strcmp(methods[m].name, name))
			return true;
	return false;
}

static bool is_table(const char *name)
{
	return !strcmp(name, "shared") || !strcmp(name, "private");
}

static bool is_sharing(const char *name)
{
	for (unsigned s = 0; s < SHARINGS; s++)
		if (!strcmp(sharing_names[s], name))
			return true;
	return false;
}

static void add_note(struct settings *settings, const char *note)
{
	const char *value = strchr(note, '=');

	if (settings->note_count == MAX_NOTES || !value || value == note ||
	    strpbrk(note, "\"\\\n")) {
		fprintf(stderr,
			"dup_bench: --note %s: at most %d of the form KEY=VALUE, without quotes and backslashes\n",
			note, MAX_NOTES);
		exit(EXIT_USAGE);
	}
	settings->notes[settings->note_count++] = note;
}

/* 1, 2, 4, .. and as many as there are CPUs */
static void set_default_processes(struct settings *settings)
{
	unsigned most = cpu_count < MAX_PROCESSES ? cpu_count : MAX_PROCESSES;

	for (unsigned n = 1; n < most; n *= 2)
		settings->processes[settings->process_count++] = n;
	settings->processes[settings->process_count++] = most;
}

static void parse(struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "processes", required_argument, NULL, 'p' },
		{ "tables", required_argument, NULL, 't' },
		{ "sharing", required_argument, NULL, 'S' },
		{ "open", required_argument, NULL, 'o' },
		{ "each", required_argument, NULL, 'e' },
		{ "methods", required_argument, NULL, 'M' },
		{ "ms", required_argument, NULL, 'm' },
		{ "repeats", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "progress", no_argument, NULL, 'P' },
		{ "note", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'p':
			settings->process_count = parse_list("--processes", optarg, 1,
							     MAX_PROCESSES, settings->processes);
			break;
		case 't':
			check_names("--tables", optarg, is_table);
			settings->shared = in_list("shared", optarg);
			settings->private = in_list("private", optarg);
			break;
		case 'S':
			check_names("--sharing", optarg, is_sharing);
			settings->sharing = optarg;
			break;
		case 'o':
			settings->open_count =
				parse_list("--open", optarg, BATCH, 1u << 24, settings->opens);
			break;
		case 'e':
			settings->each = parse_number("--each", optarg, BATCH, 1u << 16);
			settings->each -= settings->each % RANGE_ALIGN;
			break;
		case 'M':
			check_names("--methods", optarg, is_method);
			settings->methods = optarg;
			break;
		case 'm':
			settings->ms = parse_number("--ms", optarg, 1, 60000);
			break;
		case 'r':
			settings->repeats = parse_number("--repeats", optarg, 1, 1000);
			break;
		case 's':
			settings->seconds = parse_number("--seconds", optarg, 1, 86400);
			break;
		case 'P':
			settings->progress = true;
			break;
		case 'n':
			add_note(settings, optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_GOOD);
		default:
			fputs(usage, stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "dup_bench: unexpected argument %s; see dup_bench --help\n",
			argv[optind]);
		exit(EXIT_USAGE);
	}
}

int main(int argc, char **argv)
{
	struct settings settings = { .opens = { 1000 },
				     .open_count = 1,
				     .ms = 200,
				     .repeats = 3,
				     .shared = true,
				     .sharing = sharing_names[SHARING_NOTHING] };
	rlim_t limit;

	parse(&settings, argc, argv);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	find_cpus();
	read_cpuinfo();
	if (!settings.process_count)
		set_default_processes(&settings);
	limit = raise_limit();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	MUST(shared == MAP_FAILED ? -1 : 0);
	say_what_is_left_out(&settings, limit);
	return measure_all(&settings, limit);
}
