/* SPDX-License-Identifier: MIT */
/*
 * dup_threads.c - one thread accepts, others serve, and a connection is handed over as a number.
 *
 * This is the case in which DUP has no substitute. A thread with an fd table of its own
 * (unshare(CLONE_FILES)) never waits for the lock of the table, but its numbers mean nothing to the
 * other threads: it must send the open file itself. So the same program does it in three ways:
 *
 *     HOW       what is handed over                              takes the lock of a table
 *     dup       a parked number, after a DUP onto it             once: DUP (never with "exchange")
 *     accept    an fd that accept has made and close will end    twice: accept, close
 *     private   the file, by SCM_RIGHTS, to a table of its own   4 times: accept, close in the one
 *                                                                table, receive, close in the other
 *
 * Nobody waits for the locks of "private", but each file costs a message, an fd in both tables, and
 * two closes. When it ends (SIGINT, SIGTERM), the program says how many acquisitions of file_lock
 * there were, from /proc/lock_stat, which counts those of all processes.
 *
 *     thread that accepts                                thread that serves (two of them)
 *     ACCEPT ─► slot ─► DUP ─► CLOSE slot ─► MSG_RING ────► RECV, SEND, ...
 *                        ▲                                  shutdown(2)
 *                        └── the number is parked ◄──────── MSG_RING
 *
 * A number has one owner at any time, and the message makes the other thread the owner: no lock.
 * dup.c explains the pool of numbers and each trap of DUP; read it first.
 *
 * Kernel: dup: Linux 7.3 with the series in kernel/patches, otherwise it exits with code 77. The
 *         others: Linux 6.1. For the counts CONFIG_LOCK_STAT (kernel/boot --flavour um-lockstat).
 * Run:    build/release/examples/dup_threads [PORT [HOW]], see README.md
 * Leaves out: provided buffers, IPv6, draining.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dup.h" /* IORING_OP_DUP, for a liburing that does not have it */

enum {
	THREADS = 2,   /* that serve */
	CONNS = 500,   /* all together */
	SECONDS = 10,  /* a client may be silent, and a socket parked, for as long */
	FIRST_FD = 64, /* the numbers are from here on; those below are for everything else */
	SLOTS = 1024, /* accepted, not yet handed over: a full backlog comes at once, so twice that */
	MAX_FD = 4096,
};

/*
 * What a completion is of. OP_NEW and OP_UNUSED come from the other thread by MSG_RING, the rest from
 * one's own requests. user_data has the operation, a slot, and an fd.
 */
enum op {
	OP_ACCEPT,
	OP_CANCEL,
	OP_TICK,
	OP_DUP,
	OP_CLOSE,
	OP_HAND_OVER,
	OP_GIVE_BACK,
	OP_NEW,
	OP_UNUSED,
	OP_RECVMSG,
	OP_TRANSFER
};

/* A number without a connection. With "accept" and "private" only their count matters. */
struct unused {
	int fd;
	unsigned parked; /* when, in ticks; 0: it has the placeholder */
};

struct conn {
	bool in_use;
	int fd;
	unsigned since;	  /* when bytes last came or went */
	size_t len, sent; /* of the buffer; receive when all is sent */
	char buffer[4096];
};

struct server {
	pthread_t thread;
	struct io_uring ring;
	unsigned ticks;
	struct conn *conns; /* by fd. With private tables two threads may have the same fd */
	int socket[2];	    /* private: files are sent to the first and received from the second */
	struct msghdr message;
	char control[CMSG_SPACE(sizeof(int))];
};

static enum how { DUP, ACCEPT, PRIVATE, HOWS } how;
static const char *const hows[HOWS] = { "dup", "accept", "private" };
static struct server servers[THREADS];
static pthread_barrier_t ready;
static volatile sig_atomic_t stop;

/* Of the thread that accepts. */
static struct io_uring ring;
static struct unused unused[CONNS]; /* a stack */
static int n_unused, placeholder, listener;
static enum { STOPPED, ACCEPTING, CANCELLING } accepting;
static bool accept_failed; /* out of memory, slots or fds: not before the next tick */
static int waiting[SLOTS]; /* a ring buffer: slots, or fds, for which there is no room yet */
static unsigned accepted, started, ticks;

static void die(const char *what, int error, const char *hint)
{
	fprintf(stderr, "dup_threads: %s: %s; %s\n", what, strerror(error), hint);
	exit(1);
}

/* ---- what both kinds of thread do with their ring -------------------------------------------- */

static uint64_t user_data(enum op op, int fd, int slot)
{
	return (uint64_t)op << 56 | (uint64_t)slot << 32 | (uint32_t)fd;
}

/* A chain is cut where a submission ends, so make room for all of it before its first request. */
static void reserve(struct io_uring *r, unsigned requests)
{
	while (io_uring_sq_space_left(r) < requests)
		io_uring_submit(r);
}

static struct io_uring_sqe *request(struct io_uring *r, enum op op, int fd, int slot)
{
	struct io_uring_sqe *sqe;

	reserve(r, 1);
	sqe = io_uring_get_sqe(r);
	sqe->user_data = user_data(op, fd, slot);
	return sqe;
}

static void prep_tick(struct io_uring *r)
{
	static struct __kernel_timespec second = { .tv_sec = 1 };

	io_uring_prep_timeout(request(r, OP_TICK, 0, 0), &second, 0, 0);
}

static void open_ring(struct io_uring *r)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = 2 * CONNS + 2 * SLOTS, /* all that can complete in one pass */
	};
	int ret = io_uring_queue_init_params(1024, r, &params);

	if (ret < 0)
		die("io_uring", -ret, "see sysctl kernel.io_uring_disabled and ulimit -n");
}

static void submit_and_wait(struct io_uring *r)
{
	int ret = io_uring_submit_and_wait(r, 1);

	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		die("io_uring_enter", -ret, "see io_uring_enter(2)");
}

/* ---- a thread that serves -------------------------------------------------------------------- */

static void transfer(struct server *s, struct conn *c)
{
	struct io_uring_sqe *sqe = request(&s->ring, OP_TRANSFER, c->fd, 0);

	if (c->sent < c->len)
		io_uring_prep_send(sqe, c->fd, c->buffer + c->sent, c->len - c->sent, MSG_NOSIGNAL);
	else
		io_uring_prep_recv(sqe, c->fd, c->buffer, sizeof(c->buffer), 0);
}

static void begin(struct server *s, int fd)
{
	struct conn *c = &s->conns[fd];

	c->in_use = true;
	c->fd = fd;
	c->since = s->ticks;
	c->len = c->sent = 0;
	transfer(s, c);
}

/*
 * From the message on, the number is the other thread's: nothing of this thread may use it any more,
 * and nothing does, as its last request has completed. A message that found no memory is sent again.
 */
static void give_back(struct server *s, int fd)
{
	struct io_uring_sqe *sqe = request(&s->ring, OP_GIVE_BACK, fd, 0);

	io_uring_prep_msg_ring(sqe, ring.ring_fd, 0, user_data(OP_UNUSED, fd, 0), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void end(struct server *s, struct conn *c)
{
	struct io_uring_sqe *sqe;

	c->in_use = false;
	reserve(&s->ring, 2);
	if (how == DUP) {
		shutdown(c->fd, SHUT_RDWR);
	} else {
		sqe = request(&s->ring, OP_CLOSE, c->fd, 0);
		io_uring_prep_close(sqe, c->fd);
		sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS; /* first it is closed */
	}
	give_back(s, c->fd);
}

static void transferred(struct server *s, struct conn *c, int res)
{
	if (res <= 0) { /* the end of the stream, or an error of the network */
		end(s, c);
		return;
	}
	c->since = s->ticks;
	if (c->sent < c->len)
		c->sent += (size_t)res;
	else
		c->len = (size_t)res, c->sent = 0;
	transfer(s, c);
}

/* private: the next file, which gets an fd in this thread's table. */
static void prep_recvmsg(struct server *s)
{
	static char byte; /* nobody reads it */
	static struct iovec one_byte = { &byte, 1 };

	s->message = (struct msghdr){ .msg_iov = &one_byte,
				      .msg_iovlen = 1,
				      .msg_control = s->control,
				      .msg_controllen = sizeof(s->control) };
	io_uring_prep_recvmsg(request(&s->ring, OP_RECVMSG, 0, 0), s->socket[1], &s->message,
			      MSG_CMSG_CLOEXEC);
}

static void received(struct server *s, int res)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&s->message);
	int fd;

	if (res < 0 || !cmsg) /* no fd: the kernel has dropped the file */
		die("receiving a file", res < 0 ? -res : EMFILE, "see ulimit -n");
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	if (fd >= MAX_FD)
		die("receiving a file", EMFILE, "raise MAX_FD");
	prep_recvmsg(s);
	begin(s, fd);
}

static void server_tick(struct server *s)
{
	prep_tick(&s->ring);
	s->ticks++;
	for (struct conn *c = s->conns; c < s->conns + MAX_FD; c++) {
		if (c->in_use && s->ticks - c->since > SECONDS)
			shutdown(c->fd, SHUT_RDWR);
	}
}

static void server_dispatch(struct server *s, const struct io_uring_cqe *cqe)
{
	enum op op = (enum op)(cqe->user_data >> 56);
	int fd = (int)cqe->user_data;

	if (op == OP_NEW)
		begin(s, fd);
	else if (op == OP_TRANSFER)
		transferred(s, &s->conns[fd], cqe->res);
	else if (op == OP_RECVMSG)
		received(s, cqe->res);
	else if (op == OP_GIVE_BACK)
		give_back(s, fd);
	else if (op == OP_TICK)
		server_tick(s);
	else if (op == OP_CLOSE)
		die("close", -cqe->res, "that is a bug of this program");
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct io_uring_cqe *cqe;

	/* Before the ring is opened: a request of an older ring may be served with the old table. */
	if (how == PRIVATE && unshare(CLONE_FILES))
		die("unshare", errno, "see unshare(2)");
	open_ring(&s->ring);
	s->conns = calloc(MAX_FD, sizeof(*s->conns));
	if (!s->conns)
		die("starting", ENOMEM, "it needs 16 MiB a thread");
	if (how == PRIVATE)
		prep_recvmsg(s);
	server_tick(s);
	pthread_barrier_wait(&ready);
	for (;;) {
		unsigned head, n = 0;

		submit_and_wait(&s->ring);
		io_uring_for_each_cqe (&s->ring, head, cqe) {
			server_dispatch(s, cqe);
			n++;
		}
		io_uring_cq_advance(&s->ring, n);
	}
	return NULL;
}

/* ---- the thread that accepts ----------------------------------------------------------------- */

static void hand_over(const struct server *s, int fd, int slot)
{
	struct io_uring_sqe *sqe = request(&ring, OP_HAND_OVER, fd, slot);

	io_uring_prep_msg_ring(sqe, s->ring.ring_fd, 0, user_data(OP_NEW, fd, 0), 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

static void close_slot(int fd, int slot, unsigned char flags)
{
	struct io_uring_sqe *sqe = request(&ring, OP_CLOSE, fd, slot);

	io_uring_prep_close_direct(sqe, (unsigned)slot);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS | flags;
}

/*
 * DUP -> CLOSE of the slot -> the message, linked: the other thread is told when the fd is there. All
 * of it succeeds silently. What fails posts a completion, and the rest is dropped without any.
 */
static void start_dup(const struct server *s, int fd, int slot)
{
	struct io_uring_sqe *sqe;

	reserve(&ring, 3);
	sqe = request(&ring, OP_DUP, fd, slot);
	prep_dup_slot_to_fd(sqe, slot, fd);
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	close_slot(fd, slot, IOSQE_IO_LINK);
	hand_over(s, fd, slot);
}

/* The file itself, since the other thread has another table. */
static void send_file(const struct server *s, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec one_byte = { &byte, 1 };
	struct msghdr message = { .msg_iov = &one_byte,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	while (sendmsg(s->socket[0], &message, MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			die("sending a file", errno, "see sendmsg(2)");
	}
	close(fd); /* or it would stay open here as well */
}

/* DESCRIPTOR is a slot with "dup" and an fd otherwise; number is what it may use of UNUSED. */
static void start(struct unused number, int descriptor)
{
	const struct server *s = &servers[started % THREADS];

	if (how == DUP)
		start_dup(s, number.fd, descriptor);
	else if (how == PRIVATE)
		send_file(s, descriptor);
	else
		hand_over(s, descriptor, 0);
}

/* Everything is as it was before: the slot has the client, the number what it had. See dup.c. */
static void dup_failed(int fd, int slot, int error)
{
	fprintf(stderr,
		"dup_threads: DUP over fd %d: %s (was ulimit -n lowered?); a client is lost\n", fd,
		strerror(-error));
	close_slot(fd, slot, 0);
	memmove(unused + 1, unused, (size_t)n_unused++ * sizeof(*unused));
	unused[0] = (struct unused){ .fd = fd, .parked = ticks };
}

static void prep_accept(void)
{
	struct io_uring_sqe *sqe = request(&ring, OP_ACCEPT, 0, 0);

	if (how == DUP)
		io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
	else
		io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
}

static void accept_more(void)
{
	for (; started != accepted && n_unused; started++)
		start(unused[--n_unused], waiting[started % SLOTS]);
	if (accepting == STOPPED && n_unused && !accept_failed) {
		prep_accept();
		accepting = ACCEPTING;
	} else if (accepting == ACCEPTING && !n_unused) {
		/* It would go on until no slot, or no fd, is left. */
		io_uring_prep_cancel64(request(&ring, OP_CANCEL, 0, 0), user_data(OP_ACCEPT, 0, 0),
				       0);
		accepting = CANCELLING;
	}
}

static void accept_done(int res, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		accepting = STOPPED;
	if (res >= 0 && (how == DUP || res < MAX_FD) && accepted - started < SLOTS) {
		waiting[accepted++ % SLOTS] = res;
	} else if (res >= 0) {
		close(res); /* an fd, and too many of them: as if the backlog were full */
	} else if (res != -ECANCELED) {
		fprintf(stderr, "dup_threads: accept: %s; goes on in a second\n", strerror(-res));
		accept_failed = true;
	}
}

static void tick(void)
{
	prep_tick(&ring);
	ticks++;
	accept_failed = false;
	for (struct unused *u = unused; u < unused + n_unused; u++) {
		if (u->parked && ticks - u->parked > SECONDS &&
		    dup3(placeholder, u->fd, O_CLOEXEC) >= 0)
			u->parked = 0;
	}
}

static void dispatch(const struct io_uring_cqe *cqe)
{
	enum op op = (enum op)(cqe->user_data >> 56);
	int slot = (int)(cqe->user_data >> 32) & 0xffffff, fd = (int)cqe->user_data;

	if (op == OP_ACCEPT)
		accept_done(cqe->res, cqe->flags);
	else if (op == OP_UNUSED)
		unused[n_unused++] = (struct unused){ fd, how == DUP ? ticks : 0 };
	else if (op == OP_DUP)
		dup_failed(fd, slot, cqe->res);
	else if (op == OP_HAND_OVER) /* no memory: again */
		hand_over(&servers[0], fd, slot);
	else if (op == OP_TICK)
		tick();
	else if (op == OP_CLOSE)
		die("close of a slot", -cqe->res, "that is a bug of this program");
}

/* ---- set-up, and the count ------------------------------------------------------------------- */

/* Acquisitions of all locks of fd tables so far; -1 if this kernel does not count them. */
static double acquisitions(void)
{
	static const char class[] = "&newf->file_lock:";
	FILE *file = fopen("/proc/lock_stat", "re");
	char line[512], *at;
	double n = -1;

	while (file && n < 0 && fgets(line, sizeof(line), file)) {
		at = strstr(line, class);
		/* con-bounces contentions wait-min wait-max wait-total wait-avg acq-bounces ... */
		if (at && sscanf(at + strlen(class), "%*s %*s %*s %*s %*s %*s %*s %lf", &n) != 1)
			n = -1;
	}
	if (file)
		fclose(file);
	return n;
}

static void reserve_numbers(void)
{
	placeholder = open("/dev/null", O_PATH | O_CLOEXEC);
	for (int i = CONNS - 1; i >= 0; i--) { /* the highest first, so that the table grows now */
		int fd = how == DUP ? fcntl(placeholder, F_DUPFD_CLOEXEC, FIRST_FD + i) : 0;

		if (fd < 0)
			die("reserving fds", errno, "see ulimit -n");
		if (fd >= MAX_FD)
			die("reserving fds", EMFILE, "others are open; raise MAX_FD");
		unused[n_unused++].fd = fd;
	}
}

/* The opcode's number may have another meaning elsewhere: see whether it does as DUP does. */
static void prove_dup(void)
{
	int is_listener = 0;
	socklen_t len = sizeof(is_listener);

	prep_dup_fd_to_fd(request(&ring, OP_DUP, 0, 0), listener, unused[0].fd);
	io_uring_submit_and_wait(&ring, 1);
	io_uring_cq_advance(&ring, 1);
	getsockopt(unused[0].fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &len);
	if (!is_listener || dup3(placeholder, unused[0].fd, O_CLOEXEC) < 0) {
		fprintf(stderr,
			"dup_threads: this kernel has no IORING_OP_DUP; kernel/boot boots one\n");
		exit(77);
	}
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
	printf("dup_threads: 127.0.0.1:%d, %s, at most %d connections\n", ntohs(at.sin_port),
	       hows[how], CONNS);
}

static void set_up(int port)
{
	int ret;

	reserve_numbers();
	open_ring(&ring); /* before the threads: their tables need its fd, for MSG_RING */
	listen_on(port);
	if (how == DUP) {
		ret = io_uring_register_files_sparse(&ring, SLOTS);
		if (ret < 0)
			die("registering slots", -ret, "see ulimit -n");
		prove_dup();
	}
	pthread_barrier_init(&ready, NULL, THREADS + 1);
	for (struct server *s = servers; s < servers + THREADS; s++) {
		if (how == PRIVATE &&
		    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->socket))
			die("socketpair", errno, "see ulimit -n");
		ret = pthread_create(&s->thread, NULL, serve, s);
		if (ret)
			die("pthread_create", ret, "see ulimit -u");
	}
	pthread_barrier_wait(&ready);
}

static void on_signal(int signal)
{
	stop = signal;
}

int main(int argc, char **argv)
{
	struct io_uring_cqe *cqe;
	double before, after;

	for (how = DUP; argc > 2 && how < HOWS && strcmp(argv[2], hows[how]); how++)
		;
	if (how == HOWS)
		die(argv[2], EINVAL, "HOW is dup, accept or private");
	signal(SIGINT, on_signal); /* it is looked at every second at least */
	signal(SIGTERM, on_signal);
	set_up(argc > 1 ? atoi(argv[1]) : 8080);
	tick();
	before = acquisitions();
	fflush(stdout);
	while (!stop) {
		unsigned head, n = 0;

		accept_more();
		submit_and_wait(&ring);
		io_uring_for_each_cqe (&ring, head, cqe) {
			dispatch(cqe);
			n++;
		}
		io_uring_cq_advance(&ring, n);
	}
	after = acquisitions();
	if (before >= 0 && accepted)
		printf("%s: %u connections, %.3f acquisitions of file_lock for each\n", hows[how],
		       accepted, (after - before) / accepted);
	else
		printf("%s: %u connections; this kernel has no /proc/lock_stat\n", hows[how],
		       accepted);
	return 0;
}
