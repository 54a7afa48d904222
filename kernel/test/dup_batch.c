/*
 * dup_batch.c - many replacements in one request: what it does, and what it does not touch.
 *
 * Every rule of IORING_OP_DUP_BATCH that can be told from the results and from what is at the
 * numbers afterwards; above all that a pair which cannot be done, at whatever position, leaves the
 * ones before it done and the ones behind it untouched. What goes to a worker is in dup_batch_punt.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

enum {
	PAIRS = 70,	  /* more than twice what one hold of the lock takes */
	ID_BEFORE = 1000, /* file ids: what is replaced */
	ID_SOURCE = 2000, /* and what it is replaced by */
	SLOTS = DUP_BATCH_MAX + 8,
	FIRST_SOURCE = 500,
	FIRST_TARGET = 1000,
	NOT_OPEN = 3900,
};

static const unsigned modes[] = { 0, IOSQE_ASYNC };

static struct io_uring ring;
static int before_fd, reserved_fd, ring_fd;

/* ---- what a request may not ask for ---------------------------------------------------------- */

#define FIELD(field) offsetof(struct io_uring_sqe, field), sizeof(((struct io_uring_sqe *)0)->field)

static const struct {
	const char *name;
	size_t offset, size;
	uint64_t value;
	int result;
} faults[] = {
	{ "fd", FIELD(fd), 0, -EINVAL },
	{ "fd -2", FIELD(fd), 0xfffffffe, -EINVAL },
	{ "off", FIELD(off), 1, -EINVAL },
	{ "off, high half", FIELD(off), 1ULL << 32, -EINVAL },
	{ "buf_index", FIELD(buf_index), 1, -EINVAL },
	{ "file_index", FIELD(file_index), 1, -EINVAL },
	{ "addr3", FIELD(addr3), 1, -EINVAL },
	{ "addr3, high half", FIELD(addr3), 1ULL << 40, -EINVAL },
	{ "ioprio", FIELD(ioprio), 1, -EINVAL },
	{ "no pair", FIELD(len), 0, -EINVAL },
	{ "a pair too many", FIELD(len), DUP_BATCH_MAX + 1, -EINVAL },
	{ "2^31 pairs", FIELD(len), 1U << 31, -EINVAL },
	{ "2^32 - 1 pairs", FIELD(len), ~0U, -EINVAL },
	{ "no array", FIELD(addr), 0, -EFAULT },
	{ "an array in the kernel", FIELD(addr), 1ULL << 63, -EFAULT },
	{ "IOSQE_BUFFER_SELECT", FIELD(flags), IOSQE_BUFFER_SELECT, -EOPNOTSUPP },
};

static void check_refused(unsigned mode)
{
	struct dup_pair pair = { before_fd, FIRST_TARGET };
	struct dup_batch batch = { .pairs = &pair, .count = 1, .sqe_flags = mode };

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct io_uring_sqe *sqe = ring_sqe(&ring);

		fill_dup_batch(sqe, &batch);
		memcpy((char *)sqe + faults[i].offset, &faults[i].value, faults[i].size);
		CHECK_RES(ring_submit_wait(&ring), faults[i].result, "%s", faults[i].name);
		CHECK(!fd_open(FIRST_TARGET), "%s: done all the same", faults[i].name);
	}
	/* a slot as the destination needs no lock, and so no batch */
	for (unsigned bit = 2; bit < 32; bit++) {
		batch.flags = 1U << bit;
		CHECK_RES(do_dup_batch(&ring, &batch), -EINVAL, "flag bit %u", bit);
		CHECK(!fd_open(FIRST_TARGET), "flag bit %u: done all the same", bit);
	}
	batch.flags = 0;
	batch.personality = (int)MUST(io_uring_register_personality(&ring));
	CHECK_RES(do_dup_batch(&ring, &batch), -EPERM, "a personality");
	CHECK(!fd_open(FIRST_TARGET), "a personality: done all the same");
	MUST(io_uring_unregister_personality(&ring, batch.personality));
}

/* The array ends at a page that is not there: all of it is read, before anything is done. */
static void check_array_half_there(unsigned mode)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dup_pair *pairs = (struct dup_pair *)(void *)(pages + page) - 2;

	MUST(pages == MAP_FAILED ? -1 : 0);
	pairs[0] = (struct dup_pair){ before_fd, FIRST_TARGET };
	pairs[1] = (struct dup_pair){ before_fd, FIRST_TARGET + 1 };
	MUST(mprotect(pages + page, page, PROT_NONE));
	CHECK_RES(DUP_BATCH(&ring, .pairs = pairs, .count = 3, .sqe_flags = mode), -EFAULT,
		  "the third pair is not there");
	CHECK(!fd_open(FIRST_TARGET), "the first pair was done all the same");
	CHECK_RES(DUP_BATCH(&ring, .pairs = pairs, .count = 2, .sqe_flags = mode), 2,
		  "the whole array");
	close(FIRST_TARGET);
	close(FIRST_TARGET + 1);
	munmap(pages, 2 * page);
}

/* ---- batches of every size ------------------------------------------------------------------- */

static struct dup_pair pairs[DUP_BATCH_MAX];

/* COUNT sources, as fds and in slots, and as many open numbers to put them over */
static void prepare(unsigned count, bool from_slots)
{
	for (unsigned i = 0; i < count; i++) {
		int source = FIRST_SOURCE + (int)i;

		if (file_id(source) != ID_SOURCE + (int)i) {
			int made = file_make(ID_SOURCE + i);

			MUST(dup3(made, source, O_CLOEXEC));
			slot_set(&ring, (int)i, made);
			close(made);
		}
		/* without close-on-exec, so that it shows whether it was set */
		MUST(dup2(before_fd, FIRST_TARGET + (int)i));
		pairs[i] = (struct dup_pair){ from_slots ? (int)i : source, FIRST_TARGET + (int)i };
	}
}

static void check_done(unsigned from, unsigned to, bool cloexec, const char *what)
{
	for (unsigned i = from; i < to; i++) {
		int fd = FIRST_TARGET + (int)i;

		CHECK_RES(file_id(fd), ID_SOURCE + (int)i, "%s: pair %u is not done", what, i);
		CHECK(fd_cloexec(fd) == cloexec, "%s: close-on-exec of pair %u", what, i);
	}
}

static void check_untouched(unsigned from, unsigned to, const char *what)
{
	for (unsigned i = from; i < to; i++) {
		int fd = FIRST_TARGET + (int)i;

		CHECK_RES(file_id(fd), ID_BEFORE, "%s: pair %u was touched", what, i);
		CHECK(!fd_cloexec(fd), "%s: close-on-exec of pair %u was touched", what, i);
	}
}

enum { FROM_SLOT = 1, SQE_FLAG = 2, NO_CLOEXEC = 4, ASYNC = 8, KINDS = 16 };

static struct dup_batch kind_of(int kind, unsigned count)
{
	return (struct dup_batch){
		.pairs = pairs,
		.count = count,
		.flags = (kind & FROM_SLOT && !(kind & SQE_FLAG) ? DUP_OLD_FIXED : 0) |
			 (kind & NO_CLOEXEC ? DUP_NO_CLOEXEC : 0),
		.sqe_flags = (kind & FROM_SLOT && kind & SQE_FLAG ? IOSQE_FIXED_FILE : 0) |
			     (kind & ASYNC ? IOSQE_ASYNC : 0),
	};
}

static void check_sizes(void)
{
	static const unsigned sizes[] = { 1, 2, 3, 31, 32, 33, 64, 65, 255, 256 };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (int kind = 0; kind < KINDS; kind++) {
			struct dup_batch batch = kind_of(kind, sizes[s]);
			char what[64];

			snprintf(what, sizeof(what), "%u pairs, kind %#x", sizes[s],
				 (unsigned)kind);
			prepare(sizes[s], kind & FROM_SLOT);
			CHECK_RES(do_dup_batch(&ring, &batch), (int)sizes[s], "%s", what);
			check_done(0, sizes[s], !(kind & NO_CLOEXEC), what);
		}
}

/* ---- a pair that cannot be done, at every position ------------------------------------------- */

enum fault {
	SOURCE_CLOSED,
	SOURCE_RANGE,
	TARGET_NEGATIVE,
	TARGET_LIMIT,
	TARGET_INT_MAX,
	TARGET_RING,
	TARGET_RESERVED,
	TARGET_SAME,
	FAULTS
};

static const char *const fault_names[] = { "source not open",	   "source out of range",
					   "negative destination", "destination at the limit",
					   "destination INT_MAX",  "destination a ring",
					   "destination reserved", "destination the source" };

/* Makes pair AT one that cannot be done; gives its errno. */
static int break_pair(enum fault fault, unsigned at, bool from_slots)
{
	struct dup_pair *pair = &pairs[at];

	switch (fault) {
	case SOURCE_CLOSED:
		pair->old_fd = from_slots ? SLOTS - 1 : NOT_OPEN;
		return -EBADF;
	case SOURCE_RANGE:
		pair->old_fd = at & 1 ? -1 - (int)at : 1 << 20;
		return -EBADF;
	case TARGET_NEGATIVE:
		pair->new_fd = at & 1 ? -1 : -0x7fffffff - 1;
		return -EBADF;
	case TARGET_LIMIT:
		pair->new_fd = 4096; /* test_start() */
		return -EBADF;
	case TARGET_INT_MAX:
		pair->new_fd = 0x7fffffff;
		return -EBADF;
	case TARGET_RING:
		pair->new_fd = ring_fd;
		return -EBADF;
	case TARGET_RESERVED:
		pair->new_fd = reserved_fd;
		return -EBUSY;
	default:
		pair->new_fd = pair->old_fd;
		return -EINVAL;
	}
}

static void try_position(enum fault fault, unsigned at, int kind)
{
	struct dup_batch batch = kind_of(kind, PAIRS);
	char what[128];
	int error;

	snprintf(what, sizeof(what), "%s at %u, kind %#x", fault_names[fault], at, (unsigned)kind);
	prepare(PAIRS, kind & FROM_SLOT);
	error = break_pair(fault, at, kind & FROM_SLOT);
	CHECK_RES(do_dup_batch(&ring, &batch), at ? (int)at : error, "%s", what);
	check_done(0, at, !(kind & NO_CLOEXEC), what);
	check_untouched(at, PAIRS, what);

	/* what is left says why; without the bad one it goes on */
	batch.pairs += at;
	batch.count -= at;
	CHECK_RES(do_dup_batch(&ring, &batch), error, "%s, the rest", what);
	check_untouched(at, PAIRS, what);
	if (at == PAIRS - 1)
		return;
	batch.pairs++;
	batch.count--;
	CHECK_RES(do_dup_batch(&ring, &batch), PAIRS - 1 - (int)at, "%s, behind it", what);
	check_done(at + 1, PAIRS, !(kind & NO_CLOEXEC), what);
	check_untouched(at, at + 1, what);
}

static void check_positions(void)
{
	for (enum fault fault = 0; fault < FAULTS; fault++)
		for (unsigned at = 0; at < PAIRS; at++)
			for (int slots = 0; slots < 2; slots++) {
				/*
				 * the other bits in turn: every position has both sources, all bits
				 * come by
				 */
				int kind = (slots ? FROM_SLOT : 0) | (int)(at * 2 % KINDS & ~1U);

				/* a slot and an fd of the same number are two things */
				if (fault != TARGET_SAME || !slots)
					try_position(fault, at, kind);
			}
}

/* ---- order, links, references ---------------------------------------------------------------- */

/* All sources are looked up before anything is replaced: so files can change places. */
static void check_rotation(unsigned mode)
{
	enum { N = 40 };

	for (unsigned i = 0; i < N; i++) {
		int made = file_make(i);

		MUST(dup3(made, FIRST_TARGET + (int)i, O_CLOEXEC));
		close(made);
		pairs[i] = (struct dup_pair){ FIRST_TARGET + (int)i,
					      FIRST_TARGET + (int)((i + 1) % N) };
	}
	CHECK_RES(DUP_BATCH(&ring, .pairs = pairs, .count = N, .sqe_flags = mode), N, "a rotation");
	for (unsigned i = 0; i < N; i++)
		CHECK_RES(file_id(FIRST_TARGET + (int)((i + 1) % N)), (int)i,
			  "a rotation, number %u", i);
}

/* The same destination several times: the last one stays, the others are closed. */
static void check_same_target(unsigned mode)
{
	enum { N = 40 };
	int ends[N][2];

	for (unsigned i = 0; i < N; i++) {
		MUST(pipe2(ends[i], O_CLOEXEC));
		pairs[i] = (struct dup_pair){ ends[i][1], FIRST_TARGET };
	}
	CHECK_RES(DUP_BATCH(&ring, .pairs = pairs, .count = N, .sqe_flags = mode), N,
		  "one destination");
	for (unsigned i = 0; i < N; i++) {
		close(ends[i][1]);
		if (i < N - 1)
			CHECK(pipe_hung_up(ends[i][0]), "one destination: pair %u is still open",
			      i);
	}
	CHECK(pipe_alive(ends[N - 1][0]), "one destination: the last is not there");
	close(FIRST_TARGET);
	CHECK(pipe_hung_up(ends[N - 1][0]), "one destination: the last was not released");
	for (unsigned i = 0; i < N; i++)
		close(ends[i][0]);
}

/* Each pair that is done holds one reference, what it replaced none, and what failed none. */
static void check_references(int kind, unsigned fails_at)
{
	enum { N = 50 };
	int old[N][2], new[N][2];
	struct dup_batch batch = kind_of(kind, N);

	for (unsigned i = 0; i < N; i++) {
		MUST(pipe2(old[i], O_CLOEXEC));
		MUST(pipe2(new[i], O_CLOEXEC));
		MUST(dup3(old[i][1], FIRST_TARGET + (int)i, O_CLOEXEC));
		close(old[i][1]);
		if (kind & FROM_SLOT)
			slot_set(&ring, (int)i, new[i][1]);
		pairs[i] = (struct dup_pair){ kind & FROM_SLOT ? (int)i : new[i][1],
					      FIRST_TARGET + (int)i };
	}
	if (fails_at < N)
		pairs[fails_at].new_fd = reserved_fd;
	CHECK_RES(do_dup_batch(&ring, &batch), (int)fails_at, "references, kind %#x", kind);
	for (unsigned i = 0; i < N; i++) {
		close(new[i][1]);
		if (kind & FROM_SLOT)
			slot_set(&ring, (int)i, -1);
		if (i < fails_at) {
			CHECK(pipe_hung_up(old[i][0]),
			      "kind %#x: what pair %u replaced is still open", kind, i);
			CHECK(pipe_alive(new[i][0]), "kind %#x: pair %u does not hold its file",
			      kind, i);
		} else {
			CHECK(pipe_alive(old[i][0]),
			      "kind %#x: the destination of pair %u was closed", kind, i);
			CHECK(pipe_hung_up(new[i][0]), "kind %#x: the source of pair %u is kept",
			      kind, i);
		}
		close(FIRST_TARGET + (int)i);
		CHECK(pipe_hung_up(i < fails_at ? new[i][0] : old[i][0]),
		      "kind %#x: pair %u was not released", kind, i);
		close(old[i][0]);
		close(new[i][0]);
	}
}

/* A batch that is not done whole breaks its link, and is not silent about it. */
static void check_links(unsigned mode)
{
	for (unsigned bad = 0; bad <= 3; bad++) {
		struct io_uring_cqe *cqe;
		uint64_t which;

		prepare(3, false);
		if (bad < 3)
			pairs[bad].old_fd = NOT_OPEN;
		fill_dup_batch(ring_sqe(&ring),
			       &(struct dup_batch){ .pairs = pairs,
						    .count = 3,
						    .sqe_flags = mode | IOSQE_IO_LINK |
								 IOSQE_CQE_SKIP_SUCCESS });
		io_uring_prep_nop(ring_sqe(&ring));
		ring.sq.sqes[(ring.sq.sqe_tail - 1) & ring.sq.ring_mask].user_data = 1;
		MUST(io_uring_submit(&ring));
		if (bad == 3) {
			CHECK_RES(ring_reap(&ring, &which), 0, "behind a batch that is whole");
			CHECK(which == 1, "a batch that is whole is not silent");
		} else {
			/* the rest of the link inherits the silence */
			CHECK_RES(ring_reap(&ring, &which), bad ? (int)bad : -EBADF,
				  "the batch in a link");
			CHECK(which == 0, "what is behind a broken batch ran");
		}
		io_uring_prep_nop(ring_sqe(&ring));
		CHECK_RES(ring_submit_wait(&ring), 0, "afterwards");
		CHECK(io_uring_peek_cqe(&ring, &cqe) == -EAGAIN, "a completion too many");
	}
}

/* ---- a reserved number ----------------------------------------------------------------------- */

static char fifo[64];

/* open() of a FIFO has its number reserved while it waits for the other end */
static void *reserve(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)open(fifo, O_RDONLY | O_CLOEXEC);
}

static void reserve_start(pthread_t *thread)
{
	snprintf(fifo, sizeof(fifo), "/tmp/dup_batch.%d", getpid());
	MUST(mkfifo(fifo, 0600));
	reserved_fd = (int)MUST(dup(before_fd));
	close(reserved_fd);
	MUST(-pthread_create(thread, NULL, reserve, NULL));
	for (uint64_t end = now_ms() + WAIT_S * 1000; now_ms() < end; usleep(1000)) {
		int probe = dup(before_fd);

		close(probe);
		if (probe != reserved_fd)
			return;
	}
	MUST(-ETIMEDOUT);
}

static void reserve_end(pthread_t thread)
{
	int other = (int)MUST(open(fifo, O_WRONLY | O_CLOEXEC));
	void *fd;

	MUST(-pthread_join(thread, &fd));
	CHECK_RES((int)(intptr_t)fd, reserved_fd, "the open() that was waiting");
	close(other);
	close(reserved_fd);
	unlink(fifo);
}

int main(void)
{
	struct io_uring other;
	pthread_t thread;

	test_start("dup_batch");
	test_needs_batch();
	ring_open(&ring, 8, 0);
	ring_open(&other, 8, 0);
	ring_fd = other.ring_fd;
	slots_register(&ring, SLOTS);
	before_fd = file_make(ID_BEFORE);

	for (size_t m = 0; m < 2; m++) {
		check_refused(modes[m]);
		check_array_half_there(modes[m]);
	}
	check_sizes();
	reserve_start(&thread);
	check_positions();
	for (int kind = 0; kind < KINDS; kind++) {
		check_references(kind, 50);
		check_references(kind, 1 + (unsigned)kind * 3);
	}
	reserve_end(thread);
	for (size_t m = 0; m < 2; m++) {
		check_rotation(modes[m]);
		check_same_target(modes[m]);
		check_links(modes[m]);
	}
	io_uring_prep_nop(ring_sqe(&other));
	CHECK_RES(ring_submit_wait(&other), 0, "the ring that was not to be replaced");
	return test_end();
}
