/* SPDX-License-Identifier: MIT */
/*
 * Linked into accept-server-faults: requests that fail as the environment says.
 *
 *   ACCEPT_SERVER_FAULTS=OP:ERROR:N[,...]   every N-th request of OP fails with ERROR
 *   ACCEPT_SERVER_DROP=OP:N[,...]           every N-th completion of OP is dropped
 *   ACCEPT_SERVER_ENTER=ERROR:FIRST:N       N calls of io_uring_enter() do nothing and fail with
 *                                           ERROR, from the FIRST on that finds the queue full
 *   ACCEPT_SERVER_SQ=N  ACCEPT_SERVER_CQ=N  entries of a ring's queues
 *   ACCEPT_SERVER_WATCHES=N                 an epoll instance has room for N files
 *   ACCEPT_SERVER_OLD_BUFFERS=1             the kernel does not tell what is in a ring of buffers, as before 6.8
 *   ACCEPT_SERVER_NO_MEMORY=N               there is no memory for N bytes, for more or fewer there is
 *
 * OP is one of the names below. ERROR is the name of an errno; or EVERY for each errno there is, one
 * after the other, but those that are fatal to OP (requests.h), and no more faults when all have had
 * their turn; or SINGLE for an accept that ends after one connection although it was asked for all;
 * or ASYNC for one that a thread of the kernel (io-wq) does, and waits with;
 * or SHORT for a send of the first byte alone; or STALE: the request does as it should, and beside it
 * a completion comes that looks like one of the connection that was there before.
 *
 * A request that is to fail is replaced, just before its submission, by a NOP with the injected
 * result (Linux 6.10), which keeps its user_data, its links and its flags: what the kernel does to
 * the rest of a chain is the kernel's own doing. A close that is said to have failed although the
 * descriptor is gone (EIO) is done, and its completion changed; so is a cancel of what a thread of the
 * kernel is at (EALREADY). A completion is dropped as the
 * kernel does it when it has no memory: it is nowhere, it is counted in the ring's cq_overflow, and
 * the io_uring_enter() that submits nothing says EBADR. Where a path makes a system call instead of
 * a request, the linker has put the functions __wrap_... below in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dup.h"
#include "message.h"
#include "ring.h"

#ifdef __SANITIZE_THREAD__
/*
 * ThreadSanitizer takes two workers that had the same fd, one after the other, for a race unless it
 * has seen the close between them, and it sees none that io_uring does. A recovery opens and closes
 * a folder itself, on whatever number is free. accept-server, which the other tests run, has no such
 * exception.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race_top:closedir\n";
}
#endif

struct fault {
	enum op op;
	int error;		    /* not positive: one of the names that are no errno */
	unsigned every, seen, last; /* LAST: of EVERY, the errno that was injected last */
	bool done;
};

enum {
	MOST = 8,
	MOST_ERRNO = 133, /* EHWPOISON */
	LATE = 64,
	SINGLE = 0,
	DROP = -1,
	SHORT = -2,
	STALE = -3,
	EVERY = -4,
	ASYNC = -5,
};

static const struct {
	const char *name;
	enum op op;
} op_names[] = {
	{ "accept", OP_ACCEPT },   { "listen", OP_LISTEN },
	{ "dup", OP_OPEN },	   { "install", OP_OPEN },
	{ "recv", OP_RECV },	   { "close_slot", OP_CLOSE_SLOT },
	{ "send", OP_SEND },	   { "shutdown", OP_SHUTDOWN },
	{ "retire", OP_RETIRE },   { "release", OP_RELEASE },
	{ "cancel", OP_CANCEL },   { "cancel_accept", OP_CANCEL_ACCEPT },
	{ "tick", OP_TICK },	   { "wake", OP_WAKE },
	{ "barrier", OP_BARRIER },
};

static const struct {
	const char *name;
	int error;
} error_names[] = {
	{ "SINGLE", SINGLE }, { "SHORT", SHORT }, { "STALE", STALE },
	{ "EVERY", EVERY },   { "ASYNC", ASYNC },
};

/* One set a worker: each counts for itself. */
static _Thread_local struct fault faults[MOST];
static _Thread_local unsigned n_faults;
static _Thread_local bool parsed;
static _Thread_local unsigned completions_seen, drops_said;

/* Requests that are done, and whose completions are to say something else. */
static _Thread_local struct {
	uint64_t data;
	int error;
} late[LATE];

static enum op op_by_name(const char *name)
{
	unsigned i;

	for (i = 0; i < sizeof(op_names) / sizeof(op_names[0]); i++) {
		if (!strcmp(op_names[i].name, name))
			return op_names[i].op;
	}
	die("no operation %s", name);
}

static int error_by_name(const char *name)
{
	unsigned i;
	int error;

	for (i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++) {
		if (!strcmp(error_names[i].name, name))
			return error_names[i].error;
	}
	for (error = 1; error <= MOST_ERRNO; error++) {
		if (strerrorname_np(error) && !strcmp(strerrorname_np(error), name))
			return error;
	}
	die("no error %s", name);
}

static void add_fault(char *text, bool drops)
{
	struct fault *f = &faults[n_faults++];
	char *op = strsep(&text, ":"), *error = drops ? NULL : strsep(&text, ":");

	if (n_faults > MOST || !text || !(f->every = (unsigned)atoi(text)))
		die("%s is not OP%s:N", op, drops ? "" : ":ERROR");
	f->op = op_by_name(op);
	f->error = drops ? DROP : error_by_name(error);
}

static void parse(const char *variable, bool drops)
{
	const char *value = getenv(variable);
	char *copy = value ? strdup(value) : NULL, *rest = copy, *one;

	while ((one = strsep(&rest, ",")) != NULL)
		add_fault(one, drops);
	free(copy);
}

static void parse_once(void)
{
	if (parsed)
		return;
	parsed = true;
	parse("ACCEPT_SERVER_FAULTS", false);
	parse("ACCEPT_SERVER_DROP", true);
}

/* The next errno of EVERY; 0 if all have had their turn. */
static int next_error(struct fault *f)
{
	while (f->last < MOST_ERRNO) {
		f->last++;
		if (strerrorname_np((int)f->last) && request_verdict(f->op, (int)f->last) != FATAL)
			return (int)f->last;
	}
	if (!f->done)
		say("every errno was injected: %s", request_name(f->op));
	f->done = true;
	return 0;
}

/* The fault that is due for a request of OP, and its errno or special name; NULL if none is. */
static const struct fault *due(enum op op, bool drops, int *error)
{
	unsigned i;

	parse_once();
	for (i = 0; i < n_faults; i++) {
		struct fault *f = &faults[i];

		if (f->op != op || (f->error == DROP) != drops || f->done ||
		    ++f->seen % f->every != 0)
			continue;
		*error = f->error == EVERY ? next_error(f) : f->error;
		return f->done ? NULL : f;
	}
	return NULL;
}

/* OP will be done, and its completion will say ERROR. */
static void inject_late(struct io_uring_sqe *sqe, int error)
{
	unsigned i;

	for (i = 0; i < LATE && late[i].error; i++)
		;
	if (i == LATE)
		return;
	late[i].data = sqe->user_data;
	late[i].error = error;
	sqe->flags &= (__u8)~IOSQE_CQE_SKIP_SUCCESS;
}

static void inject(struct io_uring_sqe *sqe, enum op op, int error)
{
	const unsigned kept = IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
	unsigned flags = sqe->flags & kept;

	if (error == SINGLE || error == ASYNC) {
		sqe->ioprio &= (__u16)~IORING_ACCEPT_MULTISHOT;
		if (error == ASYNC)
			sqe->flags |= IOSQE_ASYNC;
		return;
	}
	if (error == SHORT) {
		/* One byte is the whole of it to the kernel, which would go on with a close. */
		if (!(sqe->flags & IOSQE_IO_LINK))
			sqe->len = 1;
		return;
	}
	if (((op == OP_RETIRE || op == OP_RELEASE) && request_verdict(op, error) == NOTHING) ||
	    (op == OP_CANCEL && error == EALREADY)) {
		inject_late(sqe, error);
		return;
	}
	io_uring_prep_nop(sqe);
	sqe->ioprio = 0;
	sqe->buf_group = 0;
	sqe->file_index = 0;
	sqe->flags = (__u8)flags;
	sqe->len = (__u32)-error;
	sqe->rw_flags = IORING_NOP_INJECT_RESULT;
}

/* Behind all that this pass submits; not if there is no room. */
static void add_stale(struct ring *r, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
	uint64_t earlier = user_data_id(user_data_id(data) - CONN_GENERATION);

	if (!sqe)
		return;
	io_uring_prep_nop(sqe);
	sqe->user_data = user_data(user_data_op(data), earlier);
}

/* What is closed is open: a number that was closed before may be that of somebody else by then. */
static void check_close(const struct io_uring_sqe *sqe)
{
	if (sqe->opcode == IORING_OP_CLOSE && !sqe->file_index && fcntl(sqe->fd, F_GETFL) < 0)
		die("fd %d is closed twice", sqe->fd);
}

static void consider(struct ring *r, struct io_uring_sqe *sqe)
{
	enum op op = user_data_op(sqe->user_data);
	int error;

	check_close(sqe);
	if (!due(op, false, &error))
		return;
	if (error == STALE)
		add_stale(r, sqe->user_data);
	else
		inject(sqe, op, error);
}

static void change_late(struct io_uring_cqe *cqe)
{
	unsigned i;

	for (i = 0; i < LATE; i++) {
		if (late[i].error && late[i].data == cqe->user_data) {
			cqe->res = -late[i].error;
			late[i].error = 0;
			return;
		}
	}
}

/*
 * In its place the loop sees one that is nothing to it. Not that of a cancelled request: a recovery
 * cancels many, and would only make for more of them.
 */
static void consider_drop(struct ring *r, struct io_uring_cqe *cqe)
{
	int error;

	if (cqe->res == -ECANCELED || !due(user_data_op(cqe->user_data), true, &error))
		return;
	*cqe = (struct io_uring_cqe){ .user_data = user_data(OP_RELEASE, 0) };
	(*r->uring.cq.koverflow)++;
}

void ring_adjust_sizes(unsigned *sq_entries, unsigned *cq_entries)
{
	const char *sq = getenv("ACCEPT_SERVER_SQ"), *cq = getenv("ACCEPT_SERVER_CQ");

	if (sq)
		*sq_entries = (unsigned)atoi(sq);
	if (cq)
		*cq_entries = (unsigned)atoi(cq);
}

void ring_before_submit(struct ring *r)
{
	unsigned i, end;

	parse_once();
	end = r->uring.sq.sqe_tail;
	for (i = r->uring.sq.sqe_head; i != end; i++)
		consider(r, &r->uring.sq.sqes[i & r->uring.sq.ring_mask]);
}

int ring_after_submit(struct ring *r, int ret)
{
	unsigned tail = io_uring_smp_load_acquire(r->uring.cq.ktail);

	for (; completions_seen != tail; completions_seen++) {
		struct io_uring_cqe *cqe =
			&r->uring.cq.cqes[completions_seen & r->uring.cq.ring_mask];

		change_late(cqe);
		consider_drop(r, cqe);
	}
	if (!ret && drops_said != ring_dropped(r)) {
		drops_said = ring_dropped(r);
		return -EBADR;
	}
	return ret;
}

/* The error of this call to enter the kernel, or 0. WAIT: for how many completions. */
static int enter_fails(unsigned wait)
{
	static _Thread_local unsigned calls, failed;
	const char *value = getenv("ACCEPT_SERVER_ENTER");
	char *copy = value ? strdup(value) : NULL, *rest = copy;
	const char *error = strsep(&rest, ":"), *first = strsep(&rest, ":");
	unsigned from = first ? (unsigned)atoi(first) : 0, n = rest ? (unsigned)atoi(rest) : 0;
	/* They begin when the queue is full, where the server cannot go on without. */
	bool fails_now = value && calls >= from && failed < n && (failed || !wait);
	int ret = fails_now ? -error_by_name(error) : 0;

	free(copy);
	calls++;
	failed += fails_now;
	return ret;
}

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait)
{
	int ret = enter_fails(wait);

	return ret ? ret : __real_io_uring_submit_and_wait(ring, wait);
}

int __real_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring);
int __wrap_io_uring_submit_and_get_events(struct io_uring *ring)
{
	int ret = enter_fails(0);

	return ret ? ret : __real_io_uring_submit_and_get_events(ring);
}

int __real_io_uring_buf_ring_head(struct io_uring *ring, int group, uint16_t *head);
int __wrap_io_uring_buf_ring_head(struct io_uring *ring, int group, uint16_t *head);
int __wrap_io_uring_buf_ring_head(struct io_uring *ring, int group, uint16_t *head)
{
	if (getenv("ACCEPT_SERVER_OLD_BUFFERS"))
		return -EINVAL;
	return __real_io_uring_buf_ring_head(ring, group, head);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	const char *value = getenv("ACCEPT_SERVER_NO_MEMORY");

	return value && size == (size_t)atoi(value) ? NULL : __real_malloc(size);
}

/* ---- system calls of the paths that make them themselves ------------------------------------- */

/* Whether a call that stands for OP is to fail now; errno is set. */
static bool fails(enum op op)
{
	int error;

	if (!due(op, false, &error) || error <= 0)
		return false;
	errno = error;
	return true;
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	return fails(OP_ACCEPT) ? -1 : __real_accept4(fd, address, len, flags);
}

int __real_dup3(int old_fd, int new_fd, int flags);
int __wrap_dup3(int old_fd, int new_fd, int flags);
int __wrap_dup3(int old_fd, int new_fd, int flags)
{
	/* Not of the pool's placeholder (fdpool.h), which opens no connection. */
	bool placeholder = fcntl(old_fd, F_GETFL) & O_PATH;

	return !placeholder && fails(OP_OPEN) ? -1 : __real_dup3(old_fd, new_fd, flags);
}

ssize_t __real_recv(int fd, void *buffer, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t len, int flags)
{
	return fails(OP_RECV) ? -1 : __real_recv(fd, buffer, len, flags);
}

ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
	return fails(OP_SEND) ? -1 : __real_send(fd, data, len, flags);
}

/* The files in the worker's epoll instance, by number; what is closed leaves it. */
enum { WATCHABLE = 4096 };
static _Thread_local bool watched[WATCHABLE];
static _Thread_local unsigned watches;

static void set_watched(int fd, bool on)
{
	if (fd < 0 || fd >= WATCHABLE || watched[fd] == on)
		return;
	watched[fd] = on;
	watches += on ? 1 : -1U;
}

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	const char *most = getenv("ACCEPT_SERVER_WATCHES");
	int ret;

	if (op == EPOLL_CTL_ADD && most && watches >= (unsigned)atoi(most)) {
		errno = ENOSPC;
		return -1;
	}
	ret = __real_epoll_ctl(epoll, op, fd, event);
	if (!ret && op != EPOLL_CTL_MOD)
		set_watched(fd, op == EPOLL_CTL_ADD);
	return ret;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	set_watched(fd, false);
	return __real_close(fd);
}
