/*
 * dup_stress.c - random DUPs of many tasks, checked against a model of which file each number has.
 *
 *   dup_stress [--seed N] [--threads N] [--processes N] [--ops N] [--seconds N]
 *
 * The tasks are threads, and processes that share only the fd table with them: in user-mode Linux such
 * processes run in parallel, while threads that share memory do not. The processes also submit more
 * requests per io_uring_enter(), fewer of which are punted to workers.
 *
 * Each task has its own fd numbers and slots, and always knows which files they have. It does random
 * DUPs among them, in batches, in chains and in workers, mixed with close(), dup2() and open(), and
 * checks every result, file and close-on-exec bit. All tasks also work on a few shared numbers, for
 * which the model only knows what must not happen. One more thread sleeps in read() on a number that
 * is replaced meanwhile.
 *
 * The run is divided into epochs. Each is a process that ends with requests in flight, like the
 * processes that it starts.
 *
 * Prints the seed first; the same seed gives the same sequence of requests in each task (the
 * interleaving is the kernel's). Exit codes: 0 no mismatch and enough operations, 1, 2 usage, 77.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum {
	FILES = 12,	  /* ids 0.. : memfds */
	ID_FLUSH = FILES, /* a file with ->flush() */
	ID_NONE = -1,
	FDS = 24,
	SLOTS = 24, /* of each task */
	BATCH = 48,
	BATCH_PROCESS = 120,
	SHARED = 6, /* numbers that all tasks use */
	MAX_TASKS = 64,
	FIRST_FD = 256,
	NO_FD = 4000,	/* never open */
	HIGH_FD = 3900, /* what must not be found by chance is up here */
	SLEEPER_FD = 3800,
	EPOCH_OPS = 400000,
	LEFT_IN_FLIGHT = 16,
};

struct place {
	int id;
	bool cloexec;
};

/* one request as sent, and what it must give */
struct sent {
	int expected;
	bool any_slot; /* any slot that was free */
	bool shared;   /* the destination or -EBUSY */
};

struct worker {
	pthread_t thread;
	pid_t process; /* not for a thread; the parent writes it */
	unsigned index;
	unsigned batch; /* requests in an enter, at most */
	unsigned kinds; /* one in so many enters is a link, a request for a worker, a system call */
	unsigned any_slot; /* one in so many requests for a slot is for any: it ends the batch */
	uint64_t random;
	struct io_uring ring;
	int first_fd;
	struct place fds[FDS], slots[SLOTS];
	struct sent sent[BATCH_PROCESS];
	unsigned long ops;
};

/* in memory that all processes share: what the epochs add up, and the models of this epoch */
struct totals {
	atomic_ulong ops, dups, mismatches, epochs, sleepers;
	atomic_bool stop;
	struct worker workers[MAX_TASKS];
};

static struct totals *totals;
static struct worker *workers;
static int files[FILES + 1], first_shared;
static unsigned long ops_wanted = 200000, epoch_end;
static unsigned threads = 8, processes;
static uint64_t seed, deadline_ms;
static struct io_uring sleeper_ring;
static int sleeper_pipe[2];

/* xorshift64*: small, and the same everywhere */
static unsigned draw(struct worker *w, unsigned below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (unsigned)((w->random * 2685821657736338717ULL >> 33) % below);
}

static bool one_in(struct worker *w, unsigned n)
{
	return draw(w, n) == 0;
}

static void mismatch(struct worker *w, const char *what, int got, int expected)
{
	if (atomic_fetch_add(&totals->mismatches, 1) < 20)
		printf("dup_stress: MISMATCH task %u after %lu operations: %s: %s, not %s\n",
		       w->index, w->ops, what, res_name(got), res_name(expected));
}

static int free_slots(const struct worker *w)
{
	int n = 0;

	for (int i = 0; i < SLOTS; i++)
		n += w->slots[i].id == ID_NONE;
	return n;
}

/* Draws a source: an fd or slot of its own (also an empty one), or one of the files themselves. */
static int draw_source(struct worker *w, struct dup *dup)
{
	unsigned kind = draw(w, 8), i;

	if (kind < 3) {
		i = draw(w, FDS);
		dup->fd = w->first_fd + (int)i;
		return w->fds[i].id;
	}
	if (kind < 6) {
		i = draw(w, SLOTS);
		dup->fd = (int)i;
		if (one_in(w, 2))
			dup->flags |= DUP_OLD_FIXED;
		else
			dup->sqe_flags |= IOSQE_FIXED_FILE;
		return w->slots[i].id;
	}
	if (kind == 6 && one_in(w, 8)) {
		dup->fd = NO_FD;
		return ID_NONE;
	}
	/* seldom one that will have to be flushed when it is replaced */
	i = one_in(w, 16) ? ID_FLUSH : draw(w, FILES);
	dup->fd = files[i];
	return (int)i;
}

static bool source_is_slot(const struct dup *dup)
{
	return (dup->flags & DUP_OLD_FIXED) || (dup->sqe_flags & IOSQE_FIXED_FILE);
}

/*
 * Draws one DUP, writes down what it must give and brings the model to the state after it. Returns
 * whether the next request may follow in the same batch: not when this one may be overtaken, since
 * it goes to a worker, nor when the model does not know its result yet.
 */
static bool draw_dup(struct worker *w, struct dup *dup, struct sent *sent, bool ordered)
{
	int source;
	unsigned i;

	memset(dup, 0, sizeof(*dup));
	memset(sent, 0, sizeof(*sent));
	source = draw_source(w, dup);
	if (one_in(w, 64)) {
		/* an unknown flag: refused, whatever else it asks for */
		dup->flags |= 1U << (3 + draw(w, 29));
		dup->new_fd = w->first_fd;
		sent->expected = -EINVAL;
		return true;
	}
	if (one_in(w, 10)) {
		dup->new_fd = first_shared + (int)draw(w, SHARED);
		sent->shared = source != ID_NONE;
		sent->expected = source == ID_NONE ? -EBADF : dup->new_fd;
		return true;
	}
	if (one_in(w, 2)) {
		struct place *target;
		bool flushes;

		i = draw(w, FDS);
		target = &w->fds[i];
		dup->new_fd = w->first_fd + (int)i;
		if (one_in(w, 2))
			dup->flags |= DUP_NO_CLOEXEC;
		if (!source_is_slot(dup) && dup->fd == dup->new_fd)
			sent->expected = -EINVAL;
		else if (source == ID_NONE)
			sent->expected = -EBADF;
		else
			sent->expected = dup->new_fd;
		if (sent->expected < 0)
			return true;
		flushes = target->id == ID_FLUSH;
		*target = (struct place){ .id = source, .cloexec = !(dup->flags & DUP_NO_CLOEXEC) };
		return ordered || !flushes;
	}
	dup->flags |= DUP_NEW_FIXED;
	if (!ordered && one_in(w, w->any_slot)) {
		dup->new_fd = SLOT_ALLOC;
		if (source == ID_NONE)
			sent->expected = -EBADF;
		else if (!free_slots(w))
			sent->expected = -ENFILE;
		else
			sent->any_slot = true, sent->expected = source;
		return !sent->any_slot;
	}
	i = draw(w, SLOTS);
	dup->new_fd = (int)i;
	if (source_is_slot(dup) && dup->fd == dup->new_fd)
		sent->expected = -EINVAL;
	else if (source == ID_NONE)
		sent->expected = -EBADF;
	else
		sent->expected = dup->new_fd;
	if (sent->expected >= 0)
		w->slots[i] = (struct place){ .id = source };
	return true;
}

static void reap(struct worker *w, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		uint64_t i;
		int res = ring_reap(&w->ring, &i);
		struct sent *sent;

		if (i >= count) {
			mismatch(w, "a completion nobody waits for", res, 0);
			continue;
		}
		sent = &w->sent[i];
		if (sent->any_slot) {
			if (res < 0 || res >= SLOTS || w->slots[res].id != ID_NONE)
				mismatch(w, "the slot that was picked", res, -ENFILE);
			else
				w->slots[res].id = sent->expected;
		} else if (res != sent->expected && !(sent->shared && res == -EBUSY)) {
			mismatch(w, "result", res, sent->expected);
		}
		w->ops++;
	}
	atomic_fetch_add(&totals->dups, count);
}

/* requests that run in the order they are submitted in, since none of them leaves the submission */
static void do_batch(struct worker *w)
{
	unsigned wanted = 1 + draw(w, w->batch), count = 0;
	bool more = true;

	while (count < wanted && more) {
		struct io_uring_sqe *sqe = ring_sqe(&w->ring);
		struct dup dup;

		more = draw_dup(w, &dup, &w->sent[count], false);
		fill_dup(sqe, &dup);
		sqe->user_data = count++;
	}
	MUST(io_uring_submit(&w->ring));
	reap(w, count);
}

/* a link: in order even through workers; ends with the first that fails */
static void do_link(struct worker *w)
{
	unsigned count = 2 + draw(w, 6);
	bool broken = false;

	for (unsigned i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&w->ring);
		struct sent *sent = &w->sent[i];
		struct dup dup;

		if (broken) {
			dup = (struct dup){ .fd = files[0], .new_fd = w->first_fd };
			*sent = (struct sent){ .expected = -ECANCELED };
		} else {
			draw_dup(w, &dup, sent, true);
			/* this one may fail or not: too little is known to have others depend on it
			 */
			if (sent->shared)
				count = i + 1;
			/*
			 * refused when it is taken in: then the whole link is cancelled, also what
			 * is before it
			 */
			if (dup.flags & ~7U || sent->expected == -EINVAL) {
				dup = (struct dup){ .fd = NO_FD, .new_fd = w->first_fd };
				*sent = (struct sent){ .expected = -EBADF };
			}
			broken = sent->expected < 0;
		}
		fill_dup(sqe, &dup);
		if (one_in(w, 3))
			sqe->flags |= IOSQE_ASYNC;
		if (i + 1 < count)
			sqe->flags |= IOSQE_IO_LINK;
		sqe->user_data = i;
	}
	MUST(io_uring_submit(&w->ring));
	reap(w, count);
}

static void do_async(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_sqe(&w->ring);
	struct dup dup;

	draw_dup(w, &dup, &w->sent[0], false);
	fill_dup(sqe, &dup);
	sqe->flags |= IOSQE_ASYNC;
	sqe->user_data = 0;
	MUST(io_uring_submit(&w->ring));
	reap(w, 1);
}

/* the calls everybody knows, in between */
static void do_syscall(struct worker *w)
{
	unsigned i = draw(w, FDS), j = draw(w, FDS), file = draw(w, FILES);
	int fd = w->first_fd + (int)i, other = w->first_fd + (int)j,
	    shared = first_shared + (int)draw(w, SHARED), res, expected;

	w->ops++;
	switch (draw(w, 8)) {
	case 0:
	case 1:
		res = close(fd) ? -errno : 0;
		expected = w->fds[i].id == ID_NONE ? -EBADF : 0;
		w->fds[i].id = ID_NONE;
		if (res != expected)
			mismatch(w, "close", res, expected);
		break;
	case 2:
		res = dup3(files[file], fd, O_CLOEXEC) < 0 ? -errno : fd;
		if (res != fd)
			mismatch(w, "dup3", res, fd);
		w->fds[i] = (struct place){ .id = (int)file, .cloexec = true };
		break;
	case 3:
		res = dup2(other, fd) < 0 ? -errno : fd;
		expected = w->fds[j].id == ID_NONE ? -EBADF : fd;
		if (res != expected)
			mismatch(w, "dup2", res, expected);
		if (res == fd && i != j)
			w->fds[i] = (struct place){ .id = w->fds[j].id };
		break;
	case 4:
		/* a slot is emptied */
		i = draw(w, SLOTS);
		io_uring_prep_close_direct(ring_sqe(&w->ring), i);
		res = ring_submit_wait(&w->ring);
		expected = w->slots[i].id == ID_NONE ? -EBADF : 0;
		w->slots[i].id = ID_NONE;
		if (res != expected)
			mismatch(w, "close of a slot", res, expected);
		break;
	case 5:
		close(shared);
		break;
	case 6:
		dup2(files[file], shared);
		break;
	default:
		/* numbers that are reserved for a moment: the lowest, which are the shared ones */
		fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
		if (fd >= first_shared + SHARED)
			close(fd);
	}
}

static int expected_id(int id)
{
	return id == ID_NONE ? -EBADF : id == ID_FLUSH ? -ENODATA : id;
}

/* one fd and one slot, or all of them */
static void verify(struct worker *w, bool all)
{
	unsigned from = all ? 0 : draw(w, FDS), to = all ? FDS : from + 1;

	for (unsigned i = from; i < to; i++) {
		int fd = w->first_fd + (int)i, id = file_id(fd), flags = fcntl(fd, F_GETFD);

		if (id != expected_id(w->fds[i].id))
			mismatch(w, "the file at an fd", id, expected_id(w->fds[i].id));
		else if (flags >= 0 && !!(flags & FD_CLOEXEC) != w->fds[i].cloexec)
			mismatch(w, "close-on-exec", flags, w->fds[i].cloexec);
		/* a read from the message queue would wait for a message */
		if (w->slots[i].id == ID_FLUSH)
			continue;
		id = slot_id(&w->ring, (int)i);
		if (id != expected_id(w->slots[i].id))
			mismatch(w, "the file in a slot", id, expected_id(w->slots[i].id));
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;
	unsigned long counted = 0;

	while (!atomic_load_explicit(&totals->stop, memory_order_relaxed)) {
		switch (draw(w, w->kinds)) {
		case 0:
			do_link(w);
			break;
		case 1:
			do_async(w);
			break;
		case 2:
			do_syscall(w);
			break;
		default:
			do_batch(w);
		}
		verify(w, one_in(w, 500));
		atomic_fetch_add(&totals->ops, w->ops - counted);
		counted = w->ops;
		if (atomic_load(&totals->ops) >= epoch_end || now_ms() >= deadline_ms ||
		    atomic_load(&totals->mismatches) > 20)
			atomic_store(&totals->stop, true);
	}
	verify(w, true);
	return NULL;
}

/* Has a worker sleep in read() on a number, and puts something else there meanwhile. */
static void *sleep_and_be_replaced(void *unused)
{
	while (!atomic_load(&totals->stop)) {
		char byte = 0;
		struct io_uring_sqe *sqe;

		MUST(dup3(sleeper_pipe[0], SLEEPER_FD, O_CLOEXEC));
		sqe = ring_sqe(&sleeper_ring);
		io_uring_prep_read(sqe, SLEEPER_FD, &byte, 1, 0);
		sqe->user_data = 1;
		sqe->flags |= IOSQE_ASYNC;
		MUST(io_uring_submit(&sleeper_ring));
		usleep(1000);
		sqe = ring_sqe(&sleeper_ring);
		fill_dup(sqe, &(struct dup){ .fd = files[0], .new_fd = SLEEPER_FD });
		sqe->user_data = 2;
		MUST(io_uring_submit(&sleeper_ring));
		for (int i = 0; i < 2; i++) {
			uint64_t which;
			int res = ring_reap(&sleeper_ring, &which),
			    expected = which == 1 ? 1 : SLEEPER_FD;

			if (res != expected)
				mismatch(&workers[0], "the sleeper", res, expected);
			if (which == 2)
				MUST(write(sleeper_pipe[1], "s", 1));
		}
		if (byte != 's')
			mismatch(&workers[0], "the sleeper's byte", byte, 's');
		atomic_fetch_add(&totals->sleepers, 1);
	}
	return unused;
}

static void leave_in_flight(struct worker *w)
{
	for (unsigned i = 0; i < LEFT_IN_FLIGHT; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&w->ring);

		fill_dup(sqe, &(struct dup){ .fd = files[i % (FILES + 1)],
					     .new_fd = i & 1 ? SLOT_ALLOC : w->first_fd + (int)i,
					     .flags = i & 1 ? DUP_NEW_FIXED : 0,
					     .sqe_flags = IOSQE_ASYNC });
	}
	MUST(io_uring_submit(&w->ring));
}

/* a process with the fd table of this one, and nothing else in common */
static void start_process(struct worker *w)
{
	pid_t pid;

	fflush(stdout);
	pid = (pid_t)MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
	if (pid) {
		w->process = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work(w);
	leave_in_flight(w);
	fflush(stdout);
	_exit(EXIT_GOOD);
}

static void run_epoch(unsigned epoch)
{
	unsigned tasks = threads + processes;
	bool all_ended = true;
	pthread_t sleeper;

	for (int i = 0; i <= FILES; i++) {
		int fd = i < FILES ? file_make((uint32_t)i) : flush_file_make();

		files[i] = (int)MUST(fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD));
		close(fd);
	}
	for (unsigned i = 0; i < tasks; i++) {
		struct worker *w = &workers[i];
		bool process = i >= threads;

		w->index = i;
		w->ops = 0;
		w->batch = process ? BATCH_PROCESS : BATCH;
		w->kinds = process ? 64 : 8;
		w->any_slot = process ? 128 : 4;
		w->random = (seed + epoch * 1000003ULL + i) * 0x9e3779b97f4a7c15ULL | 1;
		w->first_fd = FIRST_FD + (int)i * FDS;
		ring_open(&w->ring, process ? 128 : 64, IORING_SETUP_SUBMIT_ALL);
		slots_register(&w->ring, SLOTS);
		for (int n = 0; n < FDS; n++)
			w->fds[n].id = w->slots[n].id = ID_NONE;
	}
	ring_open(&sleeper_ring, 4, 0);
	MUST(pipe2(sleeper_pipe, O_CLOEXEC));
	/*
	 * the lowest numbers that are free, which open() picks: nothing below may come or go from
	 * here on
	 */
	first_shared = (int)MUST(fcntl(files[0], F_DUPFD, 0));
	for (unsigned i = threads; i < tasks; i++)
		start_process(&workers[i]);
	MUST(-pthread_create(&sleeper, NULL, sleep_and_be_replaced, NULL));
	for (unsigned i = 0; i < threads; i++)
		MUST(-pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	for (unsigned i = 0; i < threads; i++)
		MUST(-pthread_join(workers[i].thread, NULL));
	for (unsigned i = threads; i < tasks; i++) {
		int status;

		MUST(waitpid(workers[i].process, &status, 0));
		if (status != 0) {
			printf("dup_stress: process of task %u: status %#x\n", i, status);
			all_ended = false;
			atomic_store(&totals->stop, true);
		}
	}
	MUST(-pthread_join(sleeper, NULL));
	for (unsigned i = 0; i < threads; i++)
		leave_in_flight(&workers[i]);
	fflush(stdout);
	_exit(all_ended ? EXIT_GOOD : EXIT_FAILED);
}

static unsigned long number(const char *option, const char *text, unsigned long least,
			    unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*end || !*text || value < least || value > most) {
		fprintf(stderr, "dup_stress: %s %s: not a number from %lu to %lu\n", option, text,
			least, most);
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "processes", required_argument, NULL, 'p' },
		{ "ops", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 'd' },
		{ 0 },
	};
	uint64_t started = now_ms();
	unsigned long seconds = 60, ops;
	int option;

	seed = (uint64_t)time(NULL);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			seed = number("--seed", optarg, 0, ~0UL);
			break;
		case 't':
			threads = (unsigned)number("--threads", optarg, 0, MAX_TASKS / 2);
			break;
		case 'p':
			processes = (unsigned)number("--processes", optarg, 0, MAX_TASKS / 2);
			break;
		case 'o':
			ops_wanted = number("--ops", optarg, 1, ~0UL >> 1);
			break;
		case 'd':
			seconds = number("--seconds", optarg, 1, 86400);
			break;
		default:
			fprintf(stderr,
				"usage: dup_stress [--seed N] [--threads N] [--processes N] "
				"[--ops N] [--seconds N]\n");
			return EXIT_USAGE;
		}
	}
	if (!threads && !processes) {
		fprintf(stderr, "dup_stress: --threads and --processes are both 0\n");
		return EXIT_USAGE;
	}
	test_start("dup_stress");
	printf("dup_stress: seed %llu, %u threads, %u processes, %lu operations or %lu s\n",
	       (unsigned long long)seed, threads, processes, ops_wanted, seconds);
	deadline_ms = started + seconds * 1000;
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	MUST(totals == MAP_FAILED ? -1 : 0);
	workers = totals->workers;

	while ((ops = atomic_load(&totals->ops)) < ops_wanted && now_ms() < deadline_ms &&
	       !atomic_load(&totals->mismatches)) {
		pid_t child;
		int status;

		atomic_store(&totals->stop, false);
		epoch_end = ops + EPOCH_OPS < ops_wanted ? ops + EPOCH_OPS : ops_wanted;
		fflush(stdout);
		child = (pid_t)MUST(fork());
		if (child == 0)
			run_epoch((unsigned)atomic_load(&totals->epochs));
		MUST(waitpid(child, &status, 0));
		CHECK(status == 0, "epoch %lu: status %#x", atomic_load(&totals->epochs), status);
		atomic_fetch_add(&totals->epochs, 1);
		if (status)
			break;
	}
	printf("dup_stress: seed %llu: %lu operations, %lu of them DUPs, %lu epochs, %lu sleepers, "
	       "%lu mismatches, %.1f s\n",
	       (unsigned long long)seed, ops, atomic_load(&totals->dups),
	       atomic_load(&totals->epochs), atomic_load(&totals->sleepers),
	       atomic_load(&totals->mismatches), (double)(now_ms() - started) / 1000);
	CHECK(atomic_load(&totals->mismatches) == 0, "%lu mismatches",
	      atomic_load(&totals->mismatches));
	CHECK(ops >= ops_wanted, "%lu operations in %lu s, not %lu", ops, seconds, ops_wanted);
	return test_end();
}
