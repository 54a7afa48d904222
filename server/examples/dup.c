/* SPDX-License-Identifier: MIT */
/*
 * dup.c - an echo server by io_uring alone, in one thread, whose connections are real file
 * descriptors. Each takes the lock of the fd table once, where accept4() and close() take it twice;
 * with the series "exchange" in the kernel, not at all.
 * A connection is accepted into a slot of the ring (a direct descriptor: no lock); IORING_OP_DUP
 * then puts it over the fd of a finished one: the new socket goes in and the old one comes out. So
 * finished connections are not closed. They are shut down, which their client sees at once, and
 * their number is parked until the next DUP. One is reserved for each connection there can be:
 *
 *                     DUP                     shutdown(2), park
 *      VACANT ─────────────────► IN USE ──────────────────────────► PARKED
 *      (a placeholder) ▲            ▲      DUP: the next client        │
 *                      │            └──────────────────────────────────┤
 *                      └───────────────────────────────────────────────┘
 *                        the placeholder, after SECONDS without a client
 *
 * Kernel: Linux 7.3 with the series in kernel/patches; on any other it exits with code 77.
 * Run:    build/release/examples/dup [PORT], see README.md
 * Leaves out: threads (dup_threads.c), provided buffers, IPv6, draining: see server/README.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dup.h" /* IORING_OP_DUP, for a liburing that does not have it */

enum {
	CONNS = 500,
	SECONDS = 10,  /* a client may be silent, and a socket parked, for as long */
	FIRST_FD = 64, /* the numbers are from here on; those below are for everything else */
	SLOTS = 1024, /* accepted, without an fd yet: a full backlog comes at once, so twice that */
};

/* What a completion is of. A connection has one transfer or chain in flight, never two. */
enum op { OP_ACCEPT, OP_CANCEL, OP_DUP, OP_CLOSE_SLOT, OP_TRANSFER, OP_TICK };

struct conn {
	enum { VACANT, IN_USE, PARKED } state;
	int fd;		  /* its number, always the same */
	int slot;	  /* where it came from */
	unsigned since;	  /* when bytes were last transferred, or it was parked; see ticks */
	size_t len, sent; /* of the buffer; receive when all is sent */
	char buffer[4096];
};

static struct io_uring ring;
static struct conn conns[CONNS], *unused[CONNS]; /* unused: a stack of those not IN_USE */
static int n_unused, listener, placeholder;
static enum { STOPPED, ACCEPTING, CANCELLING } accepting;
static bool accept_failed; /* out of memory or slots: not before the next tick */
static int waiting[SLOTS]; /* a ring buffer: slots of clients that have no number yet */
static unsigned accepted, started, ticks; /* ticks: seconds that have passed */

static void die(const char *what, int error, const char *hint)
{
	fprintf(stderr, "dup: %s: %s; %s\n", what, strerror(error), hint);
	exit(1);
}

/* A chain is cut where a submission ends, so make room for all of it before its first request. */
static void reserve(unsigned requests)
{
	while (io_uring_sq_space_left(&ring) < requests)
		io_uring_submit(&ring);
}

static struct io_uring_sqe *request(enum op op, const struct conn *c)
{
	struct io_uring_sqe *sqe;

	reserve(1);
	sqe = io_uring_get_sqe(&ring);
	sqe->user_data = op | (c ? (uint64_t)(c - conns) << 8 : 0);
	return sqe;
}

static void transfer(struct conn *c)
{
	struct io_uring_sqe *sqe = request(OP_TRANSFER, c);

	if (c->sent < c->len)
		io_uring_prep_send(sqe, c->fd, c->buffer + c->sent, c->len - c->sent, MSG_NOSIGNAL);
	else
		io_uring_prep_recv(sqe, c->fd, c->buffer, sizeof(c->buffer), 0);
}

static struct io_uring_sqe *close_slot(int slot)
{
	struct io_uring_sqe *sqe = request(OP_CLOSE_SLOT, NULL);

	io_uring_prep_close_direct(sqe, (unsigned)slot);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	return sqe;
}

/*
 * DUP -> CLOSE of the slot -> RECV.
 *  - The slot must be closed: DUP duplicates, it does not move. The slot's own reference would keep
 *    the socket open when everything else has let go of it, and the table of slots would fill up.
 *  - They are linked, so that each begins when the one before it has succeeded. The kernel may
 *    leave a DUP to another thread; a receive without a link could then meet the old connection.
 *  - The first two succeed silently. One that fails posts a completion, and the rest of the chain
 *    is dropped without any (it inherits the silence): one completion a chain, whatever happens.
 */
static void start(struct conn *c, int slot)
{
	struct io_uring_sqe *sqe;

	c->state = IN_USE;
	c->since = ticks;
	c->slot = slot;
	c->len = c->sent = 0;
	reserve(3);
	sqe = request(OP_DUP, c);
	prep_dup_slot_to_fd(sqe, slot, c->fd);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	close_slot(slot)->flags |= IOSQE_IO_LINK;
	transfer(c);
}

/*
 * The connection is over. Not close(2): the number would go to somebody else. shutdown(2) sends the
 * FIN and takes no lock of the table; IORING_OP_SHUTDOWN is always left to another thread. Parked on
 * top of the stack: the number used last is the next one, and those below age.
 */
static void finish(struct conn *c)
{
	shutdown(c->fd, SHUT_RDWR);
	c->state = PARKED;
	c->since = ticks;
	unused[n_unused++] = c;
}

/*
 * What a failed DUP leaves: everything as it was. The number has what it had, the slot still has
 * the connection, the rest of the chain is gone. Closing the slot ends the connection. The number
 * goes to the bottom: on top, it would fail the next client as well.
 */
static void dup_failed(struct conn *c, int error)
{
	fprintf(stderr, "dup: DUP over fd %d: %s (was ulimit -n lowered?); a client is lost\n",
		c->fd, strerror(-error));
	close_slot(c->slot);
	finish(c);
	memmove(unused + 1, unused, (size_t)(n_unused - 1) * sizeof(*unused));
	unused[0] = c;
}

static void transferred(struct conn *c, size_t bytes)
{
	c->since = ticks;
	if (c->sent < c->len)
		c->sent += bytes;
	else
		c->len = bytes, c->sent = 0;
	transfer(c);
}

static void accept_done(int res, unsigned flags)
{
	/* A multishot accept goes on until a completion lacks this flag: only then start another. */
	if (!(flags & IORING_CQE_F_MORE))
		accepting = STOPPED;
	if (res >= 0) {
		waiting[accepted++ % SLOTS] = res;
	} else if (res != -ECANCELED) {
		fprintf(stderr, "dup: accept: %s; goes on within a second\n", strerror(-res));
		accept_failed = true;
	}
}

/* Clients get numbers. Those for whom there is none wait in slots, later ones in the backlog. */
static void accept_more(void)
{
	while (started != accepted && n_unused)
		start(unused[--n_unused], waiting[started++ % SLOTS]);
	if (accepting == STOPPED && n_unused && !accept_failed) {
		/* SOCK_CLOEXEC is invalid here: slots have no such flag, and DUP sets the fd's. */
		io_uring_prep_multishot_accept_direct(request(OP_ACCEPT, NULL), listener, NULL,
						      NULL, 0);
		accepting = ACCEPTING;
	} else if (accepting == ACCEPTING && !n_unused) {
		/* It would go on until no slot is left, and then close what it accepts. */
		io_uring_prep_cancel64(request(OP_CANCEL, NULL), OP_ACCEPT, 0);
		accepting = CANCELLING;
	}
}

/*
 * Once a second. A silent client is shut down, and its transfer completes. A socket that is parked
 * costs memory, and if its client does not close, it stays (FIN_WAIT2 has no time limit while there
 * is an fd). The placeholder closes it and keeps the number, by one acquisition of the lock.
 */
static void tick(void)
{
	static struct __kernel_timespec second = { .tv_sec = 1 };

	io_uring_prep_timeout(request(OP_TICK, NULL), &second, 0, 0);
	ticks++;
	accept_failed = false;
	for (struct conn *c = conns; c < conns + CONNS; c++) {
		if (c->state == IN_USE && ticks - c->since > SECONDS)
			shutdown(c->fd, SHUT_RDWR);
		if (c->state == PARKED && ticks - c->since > SECONDS &&
		    dup3(placeholder, c->fd, O_CLOEXEC) >= 0)
			c->state = VACANT;
	}
}

/*
 * The highest number comes first, so that the table grows once, now: a DUP beyond its end is left
 * to another thread, and growing a table that threads share waits for every CPU. O_PATH, as nobody
 * can read from that by mistake, and it has no ->flush(), which would also need another thread.
 * O_CLOEXEC, as DUP sets it: the flag of a number then never changes.
 */
static void reserve_numbers(void)
{
	placeholder = open("/dev/null", O_PATH | O_CLOEXEC);
	for (int i = CONNS - 1; i >= 0; i--) {
		conns[i].fd = fcntl(placeholder, F_DUPFD_CLOEXEC, FIRST_FD + i);
		if (conns[i].fd < 0)
			die("reserving fds", errno, "see ulimit -n");
		unused[n_unused++] = &conns[i];
	}
}

static void set_up(int port)
{
	struct sockaddr_in at = { AF_INET, htons((uint16_t)port), { htonl(INADDR_LOOPBACK) }, "" };
	socklen_t len = sizeof(at);
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = CONNS + 2 * SLOTS, /* all that can complete in one pass */
	};
	int is_listener = 0, ret = io_uring_queue_init_params(1024, &ring, &params);

	if (ret < 0 || (ret = io_uring_register_files_sparse(&ring, SLOTS)) < 0)
		die("io_uring", -ret, "see sysctl kernel.io_uring_disabled and ulimit -n");
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, SLOTS / 2) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		die("listening", errno, "another PORT may do");
	/* The opcode's number may have another meaning elsewhere: see whether it does as DUP does. */
	prep_dup_fd_to_fd(request(OP_DUP, NULL), listener, conns[0].fd);
	io_uring_submit_and_wait(&ring, 1);
	io_uring_cq_advance(&ring, 1);
	getsockopt(conns[0].fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &len);
	if (!is_listener || dup3(placeholder, conns[0].fd, O_CLOEXEC) < 0) {
		fprintf(stderr, "dup: this kernel has no IORING_OP_DUP; kernel/boot boots one\n");
		exit(77);
	}
	printf("dup: 127.0.0.1:%d, at most %d connections\n", ntohs(at.sin_port), CONNS);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct io_uring_cqe *cqe;

	reserve_numbers();
	set_up(argc > 1 ? atoi(argv[1]) : 8080);
	tick();
	for (;;) {
		unsigned head, n = 0;
		int ret;

		accept_more();
		ret = io_uring_submit_and_wait(&ring, 1);
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			die("io_uring_enter", -ret, "see io_uring_enter(2)");
		io_uring_for_each_cqe (&ring, head, cqe) {
			struct conn *c = &conns[cqe->user_data >> 8];
			enum op op = cqe->user_data & 0xff;

			if (op == OP_ACCEPT)
				accept_done(cqe->res, cqe->flags);
			else if (op == OP_DUP)
				dup_failed(c, cqe->res);
			else if (op == OP_TRANSFER && cqe->res > 0)
				transferred(c, (size_t)cqe->res);
			else if (op == OP_TRANSFER)
				finish(c); /* the end of the stream, or an error of the network */
			else if (op == OP_TICK)
				tick();
			else if (op == OP_CLOSE_SLOT)
				die("close of a slot", -cqe->res, "that is a bug of this program");
			n++;
		}
		io_uring_cq_advance(&ring, n);
	}
}
