/* SPDX-License-Identifier: MIT */
/*
 * epoll_dup.c - for a server with an epoll loop that is to stay as it is: only its accept4() and its
 * close() are replaced, by a small ring beside the loop.
 *
 *     epoll_wait says that               the loop did                it does now
 *     there are clients                  accept4(listener)           dup_accept()
 *     a client sends, can be sent to     recv(), send()              recv(), send()
 *     a client is gone                   close(fd)                   dup_close(fd)
 *
 * The first part of the file is what to copy, the second is any epoll server. The connections have
 * fds as before; each takes the lock of the fd table once instead of twice, or not at all on a
 * kernel with the series "exchange". dup.c explains the pool of numbers and its picture.
 *
 * What epoll must be told. close() also ends a registration with epoll, parking does not, and a DUP
 * onto the number neither moves nor renews one: epoll knows the pair of fd and open file.
 *  - Before a number is parked, EPOLL_CTL_DEL. A socket that was shut down is readable, for ever: a
 *    parked one would have every epoll_wait() return at once.
 *  - It cannot be done later. After the DUP, EPOLL_CTL_DEL of the fd looks for the new socket, and
 *    finds nothing (ENOENT). If something else still has the old one open (a child after fork(), a
 *    request in flight), its events go on to arrive, under the number of the new one.
 *  - After the DUP, EPOLL_CTL_ADD: the new socket is not registered (EPOLL_CTL_MOD: ENOENT).
 *  - epoll_wait() may have returned events of other connections already. If yours closes others than
 *    the one whose event it handles, look whether an event is still of the same client.
 *
 * When it is not worth it: where the lock is not waited for (accept-bench waits --pid PID shows it),
 * where each connection has many requests, or where threads do not hand connections to each other
 * and can have a table each (unshare(CLONE_FILES)). It takes an EPOLL_CTL_DEL more for each connection
 * than close() did, and parked sockets take memory for some seconds.
 *
 * Kernel: Linux 7.3 with the series in kernel/patches; on any other it exits with code 77.
 * Run:    build/release/examples/epoll_dup [PORT], see README.md
 * Leaves out: threads (one ring, pool and epoll instance for each), IPv6, draining.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dup.h" /* IORING_OP_DUP, for a liburing that does not have it */

enum {
	CONNS = 500,
	SECONDS = 10,  /* a client may be silent, and a socket parked, for as long */
	FIRST_FD = 64, /* the numbers are from here on; those below are for everything else */
	SLOTS = 1024, /* accepted, without an fd yet: a full backlog comes at once, so twice that */
};

static void die(const char *what, int error, const char *hint)
{
	fprintf(stderr, "epoll_dup: %s: %s; %s\n", what, strerror(error), hint);
	exit(1);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec;
}

/* ---- instead of accept4() and close() -------------------------------------------------------- */

/* One completion for each client: of the CLOSE that ends its chain, or of a DUP that failed. */
enum op { OP_ACCEPT, OP_CANCEL, OP_DUP, OP_CLOSE_SLOT };

/* A number that no connection has: parked at that time, or, if 0, with the placeholder in it. */
struct unused {
	int fd;
	time_t parked;
};

static struct io_uring ring;
static struct unused unused[CONNS]; /* a stack */
static int n_unused, placeholder, listener;
static enum { STOPPED, ACCEPTING, CANCELLING } accepting;
static time_t accept_failed; /* when: out of memory or slots */
static int waiting[SLOTS];   /* a ring buffer: slots of clients that have no number yet */
static unsigned accepted, started;

/* A chain is cut where a submission ends, so make room for all of it before its first request. */
static void reserve(unsigned requests)
{
	while (io_uring_sq_space_left(&ring) < requests)
		io_uring_submit(&ring);
}

static struct io_uring_sqe *request(enum op op, int fd, int slot)
{
	struct io_uring_sqe *sqe;

	reserve(1);
	sqe = io_uring_get_sqe(&ring);
	sqe->user_data = (uint64_t)op << 56 | (uint64_t)slot << 32 | (uint32_t)fd;
	return sqe;
}

/*
 * DUP -> CLOSE of the slot, linked. The slot must be closed, for it has a reference of its own. The
 * completion of the CLOSE says that the fd is there. A DUP that fails posts one instead, and the
 * CLOSE is dropped without any: that is what IOSQE_CQE_SKIP_SUCCESS does for a request that fails.
 */
static void start(int fd, int slot)
{
	struct io_uring_sqe *sqe;

	reserve(2);
	sqe = request(OP_DUP, fd, slot);
	prep_dup_slot_to_fd(sqe, slot, fd);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_prep_close_direct(request(OP_CLOSE_SLOT, fd, slot), (unsigned)slot);
}

/* Everything is as it was before: the slot has the client, the number what it had. See dup.c. */
static void dup_failed(int fd, int slot, int error)
{
	fprintf(stderr,
		"epoll_dup: DUP over fd %d: %s (was ulimit -n lowered?); a client is lost\n", fd,
		strerror(-error));
	io_uring_prep_close_direct(request(OP_CLOSE_SLOT, -1, slot), (unsigned)slot);
	memmove(unused + 1, unused, (size_t)n_unused++ * sizeof(*unused));
	unused[0] = (struct unused){ .fd = fd, .parked = now() };
}

/* Gives numbers to clients, and goes on accepting as long as there are numbers. */
static void accept_more(void)
{
	while (started != accepted && n_unused)
		start(unused[--n_unused].fd, waiting[started++ % SLOTS]);
	if (accepting == STOPPED && n_unused && accept_failed != now()) {
		struct io_uring_sqe *sqe = request(OP_ACCEPT, 0, 0);

		io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, SOCK_NONBLOCK);
		accepting = ACCEPTING;
	} else if (accepting == ACCEPTING && !n_unused) {
		/* It would go on until no slot is left, and then close what it accepts. */
		io_uring_prep_cancel64(request(OP_CANCEL, 0, 0), (uint64_t)OP_ACCEPT << 56, 0);
		accepting = CANCELLING;
	}
}

static void accept_done(int res, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		accepting = STOPPED;
	if (res >= 0) {
		waiting[accepted++ % SLOTS] = res;
	} else if (res != -ECANCELED) {
		fprintf(stderr, "epoll_dup: accept: %s; goes on in a second\n", strerror(-res));
		accept_failed = now();
	}
}

/*
 * The fd of a new client, nonblocking and closed on exec, or -1 if there is none at the moment: then
 * wait until epoll says that the ring is readable. To be called again and again until it is -1.
 */
static int dup_accept(void)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&ring, &cqe)) {
		enum op op = (enum op)(cqe->user_data >> 56);
		int slot = (int)(cqe->user_data >> 32) & 0xffffff, fd = (int)cqe->user_data;
		int res = cqe->res;
		unsigned flags = cqe->flags;

		io_uring_cqe_seen(&ring, cqe);
		if (op == OP_ACCEPT)
			accept_done(res, flags);
		else if (op == OP_DUP)
			dup_failed(fd, slot, res);
		else if (op == OP_CLOSE_SLOT && res < 0)
			die("close of a slot", -res, "that is a bug of this program");
		else if (op == OP_CLOSE_SLOT && fd >= 0)
			return fd;
	}
	return -1;
}

/*
 * Before each epoll_wait(). The ring has DEFER_TASKRUN, so what it has to do is done in here and not
 * at any moment; its fd becomes readable when there is something. True if dup_accept() has clients.
 */
static bool dup_submit(void)
{
	int ret;

	accept_more();
	ret = io_uring_submit_and_get_events(&ring);
	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		die("io_uring_enter", -ret, "see io_uring_enter(2)");
	return io_uring_cq_ready(&ring) > 0;
}

/* Ends a connection: no close(2), which would give the number to somebody else. */
static void dup_close(int epoll, int fd)
{
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); /* see above; takes no lock of the fd table */
	shutdown(fd, SHUT_RDWR);
	unused[n_unused++] = (struct unused){ .fd = fd, .parked = now() };
}

/* Once a second: sockets that were parked long ago are closed, their numbers stay ours. */
static void dup_sweep(void)
{
	for (struct unused *u = unused; u < unused + n_unused; u++) {
		if (u->parked && now() - u->parked > SECONDS &&
		    dup3(placeholder, u->fd, O_CLOEXEC) >= 0)
			u->parked = 0;
	}
}

/* With the listener already there; returns what to wait for with epoll in its place. */
static int dup_init(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = CONNS + 2 * SLOTS,
	};
	int is_listener = 0, ret = io_uring_queue_init_params(1024, &ring, &params);
	socklen_t len = sizeof(is_listener);

	if (ret < 0 || (ret = io_uring_register_files_sparse(&ring, SLOTS)) < 0)
		die("io_uring", -ret, "see sysctl kernel.io_uring_disabled and ulimit -n");
	placeholder = open("/dev/null", O_PATH | O_CLOEXEC);
	for (int i = CONNS - 1; i >= 0; i--) { /* the highest first, so that the table grows now */
		unused[n_unused].fd = fcntl(placeholder, F_DUPFD_CLOEXEC, FIRST_FD + i);
		if (unused[n_unused++].fd < 0)
			die("reserving fds", errno, "see ulimit -n");
	}
	/* The opcode's number may have another meaning elsewhere: see whether it does as DUP does. */
	prep_dup_fd_to_fd(request(OP_DUP, 0, 0), listener, unused[0].fd);
	io_uring_submit_and_wait(&ring, 1);
	io_uring_cq_advance(&ring, 1);
	getsockopt(unused[0].fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &len);
	if (!is_listener || dup3(placeholder, unused[0].fd, O_CLOEXEC) < 0) {
		fprintf(stderr,
			"epoll_dup: this kernel has no IORING_OP_DUP; kernel/boot boots one\n");
		exit(77);
	}
	return ring.ring_fd;
}

/* ---- any epoll server ------------------------------------------------------------------------ */

struct conn {
	bool in_use;
	int fd;
	time_t since;	  /* when bytes last came or went */
	size_t len, sent; /* of the buffer; receive when all is sent */
	char buffer[4096];
};

static struct conn conns[CONNS], *free_conns[CONNS];
static int n_free, epoll;

static void watch(int operation, struct conn *c, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll, operation, c->fd, &event))
		die("epoll_ctl", errno, "see epoll_ctl(2)");
}

static void begin(int fd)
{
	struct conn *c = free_conns[--n_free]; /* there are as many as numbers: one is free */

	*c = (struct conn){ .in_use = true, .fd = fd, .since = now() };
	watch(EPOLL_CTL_ADD, c, EPOLLIN);
}

static void end(struct conn *c)
{
	c->in_use = false;
	free_conns[n_free++] = c;
	dup_close(epoll, c->fd); /* was: close(c->fd) */
}

static void handle(struct conn *c)
{
	bool was_sending = c->sent < c->len;
	ssize_t n;

	if (!was_sending) {
		n = recv(c->fd, c->buffer, sizeof(c->buffer), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			end(c);
			return;
		}
		c->len = (size_t)n;
		c->sent = 0;
	}
	c->since = now();
	n = send(c->fd, c->buffer + c->sent, c->len - c->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		end(c);
		return;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	if (was_sending != (c->sent < c->len))
		watch(EPOLL_CTL_MOD, c, was_sending ? EPOLLIN : EPOLLOUT);
}

/* After the events of a pass, so that none of them is of a connection that ends here. */
static void tick(void)
{
	for (struct conn *c = conns; c < conns + CONNS; c++) {
		if (c->in_use && now() - c->since > SECONDS)
			end(c);
	}
	dup_sweep();
}

static void listen_on(int port)
{
	struct sockaddr_in at = { AF_INET, htons((uint16_t)port), { htonl(INADDR_LOOPBACK) }, "" };
	socklen_t len = sizeof(at);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, SLOTS / 2) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		die("listening", errno, "another PORT may do");
	printf("epoll_dup: 127.0.0.1:%d, at most %d connections\n", ntohs(at.sin_port), CONNS);
}

int main(int argc, char **argv)
{
	struct epoll_event events[64], event = { .events = EPOLLIN };
	time_t ticked = now();

	while (n_free < CONNS)
		free_conns[n_free] = &conns[n_free], n_free++;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listen_on(argc > 1 ? atoi(argv[1]) : 8080);
	/* The ring is waited for where the listener was; data.ptr is NULL. */
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, dup_init(), &event))
		die("epoll_ctl", errno, "see epoll_ctl(2)");
	fflush(stdout);
	for (;;) {
		int n, fd;

		while (dup_submit()) {
			while ((fd = dup_accept()) >= 0) /* was: accept4(listener, ...) */
				begin(fd);
		}
		n = epoll_wait(epoll, events, 64, 1000);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				handle(events[i].data.ptr);
		}
		if (now() != ticked)
			tick();
		ticked = now();
	}
}
