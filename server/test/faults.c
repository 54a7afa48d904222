/* SPDX-License-Identifier: MIT */
/*
 * Linked into accept-server-faults: requests that fail as the environment says.
 *
 *   ACCEPT_SERVER_FAULTS=OP:ERROR:N[,...]   every N-th request of OP fails with ERROR
 *   ACCEPT_SERVER_SQ=N  ACCEPT_SERVER_CQ=N  entries of a ring's queues
 *
 * OP is accept, dup, close_slot, install, recv or send; ERROR the name of an errno, or SINGLE for
 * an accept that ends after one connection although it was asked for all.
 *
 * A request that is to fail is replaced, just before its submission, by a NOP with the injected
 * result (Linux 6.10), which keeps its user_data, its links and its flags: what the kernel does to
 * the rest of a chain is the kernel's own doing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dup.h"
#include "message.h"
#include "ring.h"

struct fault {
	enum op op;
	int error; /* 0: SINGLE */
	unsigned every, seen;
};

enum { MOST = 8 };

static const struct {
	const char *name;
	enum op op;
} op_names[] = {
	{ "accept", OP_ACCEPT }, { "dup", OP_OPEN },  { "install", OP_OPEN },
	{ "recv", OP_RECV },	 { "send", OP_SEND }, { "close_slot", OP_CLOSE_SLOT },
};

static const struct {
	const char *name;
	int error;
} error_names[] = {
	{ "SINGLE", 0 },
	{ "EMFILE", EMFILE },
	{ "ENFILE", ENFILE },
	{ "ENOBUFS", ENOBUFS },
	{ "ENOMEM", ENOMEM },
	{ "ECONNABORTED", ECONNABORTED },
	{ "EBUSY", EBUSY },
	{ "EBADF", EBADF },
	{ "ECANCELED", ECANCELED },
	{ "ECONNRESET", ECONNRESET },
	{ "EINTR", EINTR },
	{ "EPIPE", EPIPE },
	{ "EAGAIN", EAGAIN },
};

/* One set a worker: each counts for itself. */
static _Thread_local struct fault faults[MOST];
static _Thread_local unsigned n_faults;
static _Thread_local bool parsed;

static void add_fault(char *text)
{
	struct fault *f = &faults[n_faults];
	char *op = strsep(&text, ":"), *error = strsep(&text, ":");
	unsigned i;

	if (n_faults == MOST || !error || !text || !(f->every = (unsigned)atoi(text)))
		die("ACCEPT_SERVER_FAULTS: %s is not OP:ERROR:N", op);
	for (i = 0; strcmp(op_names[i].name, op); i++) {
		if (i + 1 == sizeof(op_names) / sizeof(op_names[0]))
			die("ACCEPT_SERVER_FAULTS: no operation %s", op);
	}
	f->op = op_names[i].op;
	for (i = 0; strcmp(error_names[i].name, error); i++) {
		if (i + 1 == sizeof(error_names) / sizeof(error_names[0]))
			die("ACCEPT_SERVER_FAULTS: no error %s", error);
	}
	f->error = error_names[i].error;
	n_faults++;
}

static void parse(void)
{
	const char *value = getenv("ACCEPT_SERVER_FAULTS");
	char *copy = value ? strdup(value) : NULL, *rest = copy, *one;

	parsed = true;
	while ((one = strsep(&rest, ",")) != NULL)
		add_fault(one);
	free(copy);
}

static void inject(struct io_uring_sqe *sqe, const struct fault *f)
{
	const unsigned kept = IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
	unsigned flags = sqe->flags & kept;

	if (!f->error) {
		sqe->ioprio &= (__u16)~IORING_ACCEPT_MULTISHOT;
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

static void consider(struct io_uring_sqe *sqe)
{
	enum op op = user_data_op(sqe->user_data);
	unsigned i;

	for (i = 0; i < n_faults; i++) {
		if (faults[i].op == op && ++faults[i].seen % faults[i].every == 0) {
			inject(sqe, &faults[i]);
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
	unsigned i;

	if (!parsed)
		parse();
	for (i = r->uring.sq.sqe_head; n_faults && i != r->uring.sq.sqe_tail; i++)
		consider(&r->uring.sq.sqes[i & r->uring.sq.ring_mask]);
}
