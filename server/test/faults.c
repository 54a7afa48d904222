/* SPDX-License-Identifier: MIT */
/*
 * Linked into accept-server-faults: requests that fail as the environment says.
 *
 *   ACCEPT_SERVER_FAULTS=OP:ERROR:N[,...]   every N-th request of OP fails with ERROR
 *   ACCEPT_SERVER_DROP=OP:N[,...]           every N-th completion of OP is dropped
 *   ACCEPT_SERVER_SQ=N  ACCEPT_SERVER_CQ=N  entries of a ring's queues
 *
 * OP is one of the names below; ERROR the name of an errno, or SINGLE for an accept that ends after
 * one connection although it was asked for all, or SHORT for a send of the first byte alone, or
 * STALE: the request does as it should, and beside it a completion comes that looks like one of the
 * connection that was there before.
 *
 * A request that is to fail is replaced, just before its submission, by a NOP with the injected
 * result (Linux 6.10), which keeps its user_data, its links and its flags: what the kernel does to
 * the rest of a chain is the kernel's own doing. A completion is dropped as the kernel does it when
 * it has no memory: it is nowhere, it is counted in the ring's cq_overflow, and the
 * io_uring_enter() that submits nothing says EBADR.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	int error; /* not positive: one of the names that are no errno */
	unsigned every, seen;
};

enum { MOST = 8, SINGLE = 0, DROP = -1, SHORT = -2, STALE = -3 };

static const struct {
	const char *name;
	enum op op;
} op_names[] = {
	{ "accept", OP_ACCEPT }, { "dup", OP_OPEN },  { "install", OP_OPEN },
	{ "recv", OP_RECV },	 { "send", OP_SEND }, { "close_slot", OP_CLOSE_SLOT },
	{ "retire", OP_RETIRE }, { "tick", OP_TICK }, { "shutdown", OP_SHUTDOWN },
	{ "listen", OP_LISTEN }, { "wake", OP_WAKE },
};

static const struct {
	const char *name;
	int error;
} error_names[] = {
	{ "SINGLE", SINGLE },	    { "SHORT", SHORT },
	{ "STALE", STALE },	    { "EMFILE", EMFILE },
	{ "ENFILE", ENFILE },	    { "ENOBUFS", ENOBUFS },
	{ "ENOMEM", ENOMEM },	    { "ECONNABORTED", ECONNABORTED },
	{ "EBUSY", EBUSY },	    { "EBADF", EBADF },
	{ "ECANCELED", ECANCELED }, { "ECONNRESET", ECONNRESET },
	{ "EINTR", EINTR },	    { "EPIPE", EPIPE },
	{ "EAGAIN", EAGAIN },
};

/* One set a worker: each counts for itself. */
static _Thread_local struct fault faults[MOST];
static _Thread_local unsigned n_faults;
static _Thread_local bool parsed;
static _Thread_local unsigned completions_seen, drops_said;

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

	for (i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++) {
		if (!strcmp(error_names[i].name, name))
			return error_names[i].error;
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

static void inject(struct io_uring_sqe *sqe, const struct fault *f)
{
	const unsigned kept = IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
	unsigned flags = sqe->flags & kept;

	switch (f->error) {
	case SINGLE:
		sqe->ioprio &= (__u16)~IORING_ACCEPT_MULTISHOT;
		return;
	case SHORT:
		/* One byte is the whole of it to the kernel, which would go on with a close. */
		if (!(sqe->flags & IOSQE_IO_LINK))
			sqe->len = 1;
		return;
	}
	io_uring_prep_nop(sqe);
	sqe->ioprio = 0;
	sqe->buf_group = 0;
	sqe->file_index = 0;
	sqe->flags = (__u8)flags;
	sqe->len = (__u32)-f->error;
	sqe->rw_flags = IORING_NOP_INJECT_RESULT;
}

/* Behind all that this pass submits; not if there is no room. */
static void add_stale(struct ring *r, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
	uint32_t generation = (user_data_generation(data) - 1) & ((1U << GENERATION_BITS) - 1);

	if (!sqe)
		return;
	io_uring_prep_nop(sqe);
	sqe->user_data = user_data(user_data_op(data), generation, user_data_index(data));
}

static void consider(struct ring *r, struct io_uring_sqe *sqe)
{
	enum op op = user_data_op(sqe->user_data);
	unsigned i;

	for (i = 0; i < n_faults; i++) {
		if (faults[i].op == op && faults[i].error != DROP &&
		    ++faults[i].seen % faults[i].every == 0) {
			if (faults[i].error == STALE)
				add_stale(r, sqe->user_data);
			else
				inject(sqe, &faults[i]);
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
	enum op op = user_data_op(cqe->user_data);
	unsigned i;

	for (i = 0; i < n_faults && cqe->res != -ECANCELED; i++) {
		if (faults[i].op == op && faults[i].error == DROP &&
		    ++faults[i].seen % faults[i].every == 0) {
			*cqe = (struct io_uring_cqe){ .user_data = user_data(OP_REFUSE, 0, 0) };
			(*r->uring.cq.koverflow)++;
			return;
		}
	}
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

	if (!parsed) {
		parsed = true;
		parse("ACCEPT_SERVER_FAULTS", false);
		parse("ACCEPT_SERVER_DROP", true);
	}
	end = r->uring.sq.sqe_tail;
	for (i = r->uring.sq.sqe_head; n_faults && i != end; i++)
		consider(r, &r->uring.sq.sqes[i & r->uring.sq.ring_mask]);
}

int ring_after_submit(struct ring *r, int ret)
{
	unsigned tail = io_uring_smp_load_acquire(r->uring.cq.ktail);

	for (; completions_seen != tail; completions_seen++)
		consider_drop(r, &r->uring.cq.cqes[completions_seen & r->uring.cq.ring_mask]);
	if (!ret && drops_said != ring_dropped(r)) {
		drops_said = ring_dropped(r);
		return -EBADR;
	}
	return ret;
}
