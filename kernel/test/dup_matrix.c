/*
 * dup_matrix.c - every combination of source, destination, flags and way of issue, with the result
 * computed from the rules of the interface.
 *
 *   source       fd or slot (by IORING_DUP_OLD_FIXED, by IOSQE_FIXED_FILE, by both);
 *                a file, a ring, nothing there, out of range, negative
 *   destination  fd, slot or "any slot"; empty, occupied, occupied by a file with a ->flush(), a
 * ring, reserved by a thread that has not installed yet, beyond the limit, negative, the source
 *   flags        NO_CLOEXEC, a personality, IOSQE_ASYNC
 *
 * Rules are a list of (condition, errno). Where several conditions hold any of their errnos is
 * right, since the interface does not say which comes first; where none holds the request has to
 * succeed. Afterwards the destination must be the source (or what it was), the file replaced must
 * be closed, and close-on-exec must be as asked for. Linux 7.3 with the series; root for the
 * message queue.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

enum {
	SLOTS = 16,
	SLOT_SOURCE = 3,
	SLOT_VACANT = 4,
	SLOT_TARGET = 5, /* VACANT is a source that is not there */
	FD_VACANT = 300,
	FD_TARGET = 301,
	FD_LIMIT = 4096,
	ID_SOURCE = 11,
};

enum source_way { BY_FD, BY_DUP_FLAG, BY_SQE_FLAG, BY_BOTH, SOURCE_WAYS };
enum source_state { S_FILE, S_RING, S_MISSING, S_RANGE, S_NEGATIVE, SOURCE_STATES };
enum target_way { TO_FD, TO_SLOT, TO_ANY, TARGET_WAYS };
enum target_state {
	T_EMPTY,
	T_PIPE,
	T_FLUSH,
	T_RING,
	T_RESERVED,
	T_RANGE,
	T_NEGATIVE,
	T_LOWEST,
	T_SOURCE,
	TARGET_STATES
};

static const char *const source_ways[] = { "fd", "slot", "slot (IOSQE)", "slot (both)" };
static const char *const source_states[] = { "file", "ring", "missing", "out of range",
					     "negative" };
static const char *const target_ways[] = { "fd", "slot", "any slot" };
static const char *const target_states[] = { "empty",	 "occupied", "with ->flush",
					     "ring",	 "reserved", "out of range",
					     "negative", "INT_MIN",  "source" };

struct point {
	enum source_way from;
	enum source_state source;
	enum target_way to;
	enum target_state target;
	bool no_cloexec, personality, async, full; /* full: no free slot is left */
};

static struct io_uring ring, other_ring;
static int source_fd, personality;
static struct reserved_fd *reserved;
static unsigned long points;

static bool from_slot(const struct point *p)
{
	return p->from != BY_FD;
}

/* an empty slot that is a source that is missing is also one that is free */
static bool vacancy_needed(const struct point *p)
{
	return p->source == S_MISSING && from_slot(p);
}

/* Some combinations do not exist: a ring is never in a slot, a slot is never reserved, ... */
static bool exists(const struct point *p)
{
	if (p->source == S_RING && from_slot(p))
		return false;
	if (p->to == TO_ANY)
		return p->target == T_EMPTY && !(p->full && vacancy_needed(p));
	if (p->full)
		return false;
	if (p->to == TO_SLOT && (p->target == T_RING || p->target == T_RESERVED))
		return false;
	if (p->target == T_SOURCE)
		return (p->to == TO_SLOT) == from_slot(p);
	return true;
}

struct rule {
	bool applies;
	int result;
};

#define MAX_RULES 12

static int rules_of(const struct point *p, struct rule rules[MAX_RULES])
{
	bool to_fd = p->to == TO_FD;
	int n = 0;

	rules[n++] = (struct rule){ p->target == T_SOURCE, -EINVAL };
	rules[n++] = (struct rule){ p->no_cloexec && !to_fd, -EINVAL };
	rules[n++] = (struct rule){ p->personality, -EPERM };
	rules[n++] = (struct rule){
		p->source == S_MISSING || p->source == S_RANGE || p->source == S_NEGATIVE, -EBADF
	};
	rules[n++] = (struct rule){ to_fd && (p->target == T_RANGE || p->target == T_NEGATIVE ||
					      p->target == T_LOWEST),
				    -EBADF };
	rules[n++] = (struct rule){ to_fd && p->target == T_RING, -EBADF };
	rules[n++] = (struct rule){ p->source == S_RING && !to_fd, -EBADF };
	rules[n++] = (struct rule){ to_fd && p->target == T_RESERVED, -EBUSY };
	rules[n++] = (struct rule){ p->to == TO_SLOT &&
					    (p->target == T_RANGE || p->target == T_NEGATIVE ||
					     p->target == T_LOWEST),
				    -EINVAL };
	rules[n++] = (struct rule){ p->to == TO_ANY && p->full, -ENFILE };
	return n;
}

/* Is @result right? If not, *expected is what would have been. */
static bool result_right(const struct point *p, int result, int wanted, int *expected)
{
	struct rule rules[MAX_RULES];
	int n = rules_of(p, rules);
	bool any = false;

	for (int i = 0; i < n; i++) {
		if (!rules[i].applies)
			continue;
		any = true;
		*expected = rules[i].result;
		if (result == rules[i].result)
			return true;
	}
	if (any)
		return false;
	*expected = wanted;
	return result == wanted;
}

static int source_number(const struct point *p)
{
	switch (p->source) {
	case S_FILE:
		return from_slot(p) ? SLOT_SOURCE : source_fd;
	case S_RING:
		return other_ring.ring_fd;
	case S_MISSING:
		return from_slot(p) ? SLOT_VACANT : FD_VACANT;
	case S_RANGE:
		return from_slot(p) ? SLOTS + 1 : FD_LIMIT + 1;
	default:
		return -7;
	}
}

static int target_number(const struct point *p)
{
	if (p->to == TO_ANY)
		return SLOT_ALLOC;
	switch (p->target) {
	case T_RANGE:
		return p->to == TO_FD ? FD_LIMIT : SLOTS;
	case T_NEGATIVE:
		/* one below SLOT_ALLOC: numbers are passed on plus one in places */
		return -2;
	case T_LOWEST:
		return -0x7fffffff - 1;
	case T_SOURCE:
		return source_number(p);
	case T_RING:
		return other_ring.ring_fd == source_number(p) ? ring.ring_fd : other_ring.ring_fd;
	case T_RESERVED:
		return reserved->fd;
	default:
		return p->to == TO_FD ? FD_TARGET : SLOT_TARGET;
	}
}

/* What stands at the destination before: returns the pipe whose end tells that it was closed. */
static int occupy(const struct point *p)
{
	int ends[2] = { -1, -1 };

	if (p->to == TO_ANY) {
		for (int slot = 0; slot < SLOTS; slot++)
			if (slot != SLOT_SOURCE && !(slot == SLOT_TARGET && !p->full) &&
			    !(slot == SLOT_VACANT && vacancy_needed(p)))
				slot_set(&ring, slot, source_fd);
		return -1;
	}
	if (p->target == T_PIPE) {
		MUST(pipe2(ends, O_CLOEXEC));
	} else if (p->target == T_FLUSH) {
		ends[1] = flush_file_make();
	} else {
		return -1;
	}
	if (p->to == TO_FD)
		MUST(dup3(ends[1], FD_TARGET, 0));
	else
		slot_set(&ring, SLOT_TARGET, ends[1]);
	close(ends[1]);
	return ends[0];
}

static void clear(int pipe_end)
{
	close(pipe_end);
	close(FD_TARGET);
	for (int slot = 0; slot < SLOTS; slot++)
		if (slot != SLOT_SOURCE)
			slot_set(&ring, slot, -1);
}

static struct stat identity(int fd)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	if (fd < 0 || fstat(fd, &st) < 0)
		memset(&st, 0, sizeof(st));
	return st;
}

static void try_point(const struct point *p)
{
	struct dup dup = {
		.fd = source_number(p),
		.new_fd = target_number(p),
		.flags = (p->from == BY_DUP_FLAG || p->from == BY_BOTH ? DUP_OLD_FIXED : 0) |
			 (p->to != TO_FD ? DUP_NEW_FIXED : 0) |
			 (p->no_cloexec ? DUP_NO_CLOEXEC : 0),
		.sqe_flags = (p->from == BY_SQE_FLAG || p->from == BY_BOTH ? IOSQE_FIXED_FILE : 0) |
			     (p->async ? IOSQE_ASYNC : 0),
		.personality = p->personality ? personality : 0,
	};
	int pipe_end = occupy(p);
	struct stat before = identity(p->to == TO_FD ? dup.new_fd : -1), after;
	int wanted = p->to == TO_ANY ? SLOT_TARGET : dup.new_fd;
	int result = do_dup(&ring, &dup), expected = 0;
	char what[160];

	snprintf(what, sizeof(what), "%s %s -> %s %s%s%s%s%s", source_ways[p->from],
		 source_states[p->source], target_ways[p->to], target_states[p->target],
		 p->no_cloexec ? ", NO_CLOEXEC" : "", p->personality ? ", personality" : "",
		 p->async ? ", ASYNC" : "", p->full ? ", no slot free" : "");
	points++;
	CHECK(result_right(p, result, wanted, &expected), "%s: %s, not %s", what, res_name(result),
	      res_name(expected));

	after = identity(p->to == TO_FD ? dup.new_fd : -1);
	if (result >= 0 && p->to == TO_FD) {
		CHECK(fd_cloexec(result) == !p->no_cloexec, "%s: close-on-exec", what);
		if (p->source == S_FILE)
			CHECK_RES(file_id(result), ID_SOURCE, "%s: another file is there", what);
		else
			CHECK(after.st_ino == identity(dup.fd).st_ino &&
				      after.st_dev == identity(dup.fd).st_dev,
			      "%s: not the ring", what);
	} else if (result >= 0) {
		CHECK_RES(slot_id(&ring, result), ID_SOURCE, "%s: another file is there", what);
	} else if (p->to == TO_FD) {
		CHECK(before.st_ino == after.st_ino && before.st_dev == after.st_dev,
		      "%s: the destination changed all the same", what);
		if (p->target == T_PIPE)
			CHECK(!fd_cloexec(dup.new_fd), "%s: close-on-exec changed all the same",
			      what);
	}
	if (pipe_end >= 0 && p->target == T_PIPE) {
		if (result >= 0)
			CHECK(pipe_hung_up(pipe_end), "%s: the file replaced is still open", what);
		else
			CHECK(pipe_alive(pipe_end), "%s: the destination was closed all the same",
			      what);
	}
	CHECK_RES(file_id(source_fd), ID_SOURCE, "%s: the source changed", what);
	CHECK_RES(slot_id(&ring, SLOT_SOURCE), ID_SOURCE, "%s: the source slot changed", what);
	clear(pipe_end);
}

static void try_flags(struct point p)
{
	for (int flags = 0; flags < 16; flags++) {
		p.no_cloexec = flags & 1;
		p.personality = flags & 2;
		p.async = flags & 4;
		p.full = flags & 8;
		if (exists(&p))
			try_point(&p);
	}
}

int main(void)
{
	struct point p;

	test_start("dup_matrix");
	ring_open(&ring, 8, 0);
	ring_open(&other_ring, 8, 0);
	slots_register(&ring, SLOTS);
	source_fd = file_make(ID_SOURCE);
	slot_set(&ring, SLOT_SOURCE, source_fd);
	personality = (int)MUST(io_uring_register_personality(&ring));
	reserved = fd_reserve();

	memset(&p, 0, sizeof(p));
	for (p.from = 0; p.from < SOURCE_WAYS; p.from++)
		for (p.source = 0; p.source < SOURCE_STATES; p.source++)
			for (p.to = 0; p.to < TARGET_WAYS; p.to++)
				for (p.target = 0; p.target < TARGET_STATES; p.target++)
					try_flags(p);

	fd_install_reserved(reserved);
	printf("dup_matrix: %lu combinations\n", points);
	return test_end();
}
