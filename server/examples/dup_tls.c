/* SPDX-License-Identifier: MIT */
/*
 * dup_tls.c - TLS by OpenSSL on connections that came by DUP. Libraries like it are why a server
 * needs real file descriptors at all: SSL_set_fd() wants one, and io_uring's slots are none.
 *
 * The ring accepts, makes the fd and waits for it; OpenSSL reads and writes it by system calls. To
 * compare, the same program does it without DUP:
 *
 *     HOW       the life of a connection's fd              takes the lock of the fd table
 *     dup       ACCEPT into a slot, DUP over a parked fd,   once: DUP (never with the series
 *               shutdown, park                              "exchange")
 *     accept    ACCEPT, CLOSE                               twice: both
 *
 * When it ends (SIGINT, SIGTERM), it says how many handshakes there were, and how fast they came;
 * and, where the kernel counts them in /proc/lock_stat (those of all processes), the acquisitions.
 * A handshake takes far more time than a lock: this is for servers that have many threads and
 * connections beside their handshakes, not for making handshakes faster.
 *
 * What a library must leave alone for a number to be parked:
 *  - It must not close the fd. SSL_set_fd() has BIO_NOCLOSE, so SSL_free() does not. BIO_new_socket()
 *    has a flag for it.
 *  - It must be done with the fd when the number is parked, as the next DUP gives it to another
 *    client. So SSL_free() comes before.
 *  - It must not be given the fd before the DUP has succeeded; the first poll tells.
 *
 * Kernel: dup: Linux 7.3 with the series in kernel/patches, otherwise it exits with code 77. accept:
 *         Linux 6.1.
 * Run:    build/release/examples/dup_tls [PORT [HOW]], see README.md; the certificate is made anew
 *         each time and signed by itself: openssl s_client -connect 127.0.0.1:8443
 * Leaves out: a certificate that anybody trusts, session tickets shared by servers, threads
 *         (dup_threads.c), IPv6, draining. dup.c explains the pool and each trap of DUP.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "dup.h" /* IORING_OP_DUP, for a liburing that does not have it */

enum {
	CONNS = 500,
	SECONDS = 10,  /* a client may be silent, and a socket parked, for as long */
	FIRST_FD = 64, /* the numbers are from here on; those below are for everything else */
	SLOTS = 1024, /* accepted, without an fd yet: a full backlog comes at once, so twice that */
};

/* What a completion is of. A connection has one poll or chain in flight, never two. */
enum op { OP_ACCEPT, OP_CANCEL, OP_DUP, OP_CLOSE, OP_POLL, OP_TICK };

struct conn {
	enum { VACANT, IN_USE, PARKED } state;
	int fd;		/* with "dup" its number, always the same */
	int slot;	/* where it came from */
	unsigned since; /* when bytes last came or went, or it was parked; see ticks */
	SSL *ssl;
	int len, sent; /* of the buffer; receive when all is sent */
	char buffer[4096];
};

static enum how { DUP, ACCEPT, HOWS } how;
static const char *const hows[HOWS] = { "dup", "accept" };
static struct io_uring ring;
static SSL_CTX *tls;
static struct conn conns[CONNS], *unused[CONNS]; /* unused: a stack of those not IN_USE */
static int n_unused, listener, placeholder;
static enum { STOPPED, ACCEPTING, CANCELLING } accepting;
static bool accept_failed; /* out of memory, slots or fds: not before the next tick */
static int waiting[SLOTS]; /* a ring buffer: slots, or fds, of clients that must wait */
static unsigned accepted, started, ticks, handshakes;
static double first_handshake, last_handshake;
static volatile sig_atomic_t stop;

static void die(const char *what, int error, const char *hint)
{
	fprintf(stderr, "dup_tls: %s: %s; %s\n", what, strerror(error), hint);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
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

static void prep_poll(struct conn *c, unsigned events)
{
	io_uring_prep_poll_add(request(OP_POLL, c), c->fd, events);
}

static struct io_uring_sqe *close_slot(int slot)
{
	struct io_uring_sqe *sqe = request(OP_CLOSE, NULL);

	io_uring_prep_close_direct(sqe, (unsigned)slot);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	return sqe;
}

/* DESCRIPTOR is an fd, or, with "dup", a slot: DUP -> CLOSE of the slot -> POLL, linked. */
static void start(struct conn *c, int descriptor)
{
	struct io_uring_sqe *sqe;

	c->state = IN_USE;
	c->since = ticks;
	c->len = c->sent = 0;
	if (how == ACCEPT) {
		c->fd = descriptor;
	} else {
		c->slot = descriptor;
		reserve(3);
		sqe = request(OP_DUP, c);
		prep_dup_slot_to_fd(sqe, c->slot, c->fd);
		sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
		close_slot(c->slot)->flags |= IOSQE_IO_LINK;
	}
	prep_poll(c, POLLIN);
}

static void park(struct conn *c)
{
	c->state = how == DUP ? PARKED : VACANT;
	c->since = ticks;
	unused[n_unused++] = c;
}

/* GOOD: the connection can still be told that this is its end (close_notify). */
static void end(struct conn *c, bool good)
{
	struct io_uring_sqe *sqe;

	if (c->ssl && good)
		SSL_shutdown(c->ssl); /* does not wait for the answer */
	SSL_free(c->ssl);	      /* leaves the fd open */
	c->ssl = NULL;
	ERR_clear_error(); /* the queue of errors is the thread's: this one is no other connection's */
	if (how == DUP) {
		shutdown(c->fd, SHUT_RDWR);
	} else {
		sqe = request(OP_CLOSE, NULL);
		io_uring_prep_close(sqe, c->fd);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	}
	park(c);
}

/* Everything is as it was before: the slot has the client, the number what it had. See dup.c. */
static void dup_failed(struct conn *c, int error)
{
	fprintf(stderr, "dup_tls: DUP over fd %d: %s (was ulimit -n lowered?); a client is lost\n",
		c->fd, strerror(-error));
	close_slot(c->slot);
	park(c);
	memmove(unused + 1, unused, (size_t)(n_unused - 1) * sizeof(*unused));
	unused[0] = c;
}

/* One step of the connection: > 0 it went on, <= 0 see SSL_get_error(). */
static int step(struct conn *c)
{
	int n;

	if (!SSL_is_init_finished(c->ssl)) {
		n = SSL_do_handshake(c->ssl);
		if (n > 0) {
			last_handshake = now();
			first_handshake = handshakes++ ? first_handshake : last_handshake;
		}
	} else if (c->sent < c->len) {
		n = SSL_write(c->ssl, c->buffer + c->sent, c->len - c->sent);
		c->sent += n > 0 ? n : 0;
	} else {
		n = SSL_read(c->ssl, c->buffer, sizeof(c->buffer));
		if (n > 0)
			c->len = n, c->sent = 0;
	}
	return n;
}

/*
 * The fd is ready. Goes on until OpenSSL wants to wait: it may have read more than it has given out,
 * and what it keeps the next poll does not see.
 */
static void ready(struct conn *c)
{
	int n, why;

	if (!c->ssl) {
		c->ssl = SSL_new(tls);
		if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) {
			end(c, false);
			return;
		}
		SSL_set_accept_state(c->ssl);
	}
	c->since = ticks;
	while ((n = step(c)) > 0)
		;
	why = SSL_get_error(c->ssl, n);
	if (why == SSL_ERROR_WANT_READ)
		prep_poll(c, POLLIN);
	else if (why == SSL_ERROR_WANT_WRITE)
		prep_poll(c, POLLOUT);
	else
		end(c, why == SSL_ERROR_ZERO_RETURN);
}

static void accept_done(int res, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		accepting = STOPPED;
	if (res >= 0 && accepted - started < SLOTS) {
		waiting[accepted++ % SLOTS] = res;
	} else if (res >= 0) {
		close(res); /* an fd, and too many of them: as if the backlog were full */
	} else if (res != -ECANCELED) {
		fprintf(stderr, "dup_tls: accept: %s; goes on within a second\n", strerror(-res));
		accept_failed = true;
	}
}

static void accept_more(void)
{
	struct io_uring_sqe *sqe;

	while (started != accepted && n_unused)
		start(unused[--n_unused], waiting[started++ % SLOTS]);
	if (accepting == STOPPED && n_unused && !accept_failed) {
		/* NONBLOCK, so that OpenSSL's system calls do not wait. */
		sqe = request(OP_ACCEPT, NULL);
		if (how == DUP)
			io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL,
							      SOCK_NONBLOCK);
		else
			io_uring_prep_multishot_accept(sqe, listener, NULL, NULL,
						       SOCK_NONBLOCK | SOCK_CLOEXEC);
		accepting = ACCEPTING;
	} else if (accepting == ACCEPTING && !n_unused) {
		/* It would go on until no slot, or no fd, is left. */
		io_uring_prep_cancel64(request(OP_CANCEL, NULL), OP_ACCEPT, 0);
		accepting = CANCELLING;
	}
}

/* Once a second: silent clients are shut down, their poll completes; old parked sockets closed. */
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

static void dispatch(const struct io_uring_cqe *cqe)
{
	struct conn *c = &conns[cqe->user_data >> 8];
	enum op op = cqe->user_data & 0xff;

	if (op == OP_ACCEPT)
		accept_done(cqe->res, cqe->flags);
	else if (op == OP_DUP)
		dup_failed(c, cqe->res);
	else if (op == OP_POLL && cqe->res >= 0)
		ready(c);
	else if (op == OP_POLL)
		end(c, false); /* no memory */
	else if (op == OP_TICK)
		tick();
	else if (op == OP_CLOSE)
		die("close", -cqe->res, "that is a bug of this program");
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

static bool make_tls(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;

	tls = SSL_CTX_new(TLS_server_method());
	return key && name && tls && X509_set_version(cert, 2) &&
	       ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
	       X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
	       X509_gmtime_adj(X509_getm_notAfter(cert), 86400) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					  (const unsigned char *)"localhost", -1, -1, 0) &&
	       X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
	       X509_sign(cert, key, EVP_sha256()) && SSL_CTX_use_certificate(tls, cert) == 1 &&
	       SSL_CTX_use_PrivateKey(tls, key) == 1;
}

static void reserve_numbers(void)
{
	placeholder = open("/dev/null", O_PATH | O_CLOEXEC);
	for (int i = CONNS - 1; i >= 0; i--) { /* the highest first, so that the table grows now */
		if (how == DUP)
			conns[i].fd = fcntl(placeholder, F_DUPFD_CLOEXEC, FIRST_FD + i);
		if (conns[i].fd < 0)
			die("reserving fds", errno, "see ulimit -n");
		unused[n_unused++] = &conns[i];
	}
}

/* The opcode's number may have another meaning elsewhere: see whether it does as DUP does. */
static void prove_dup(void)
{
	int is_listener = 0;
	socklen_t len = sizeof(is_listener);

	prep_dup_fd_to_fd(request(OP_DUP, NULL), listener, conns[0].fd);
	io_uring_submit_and_wait(&ring, 1);
	io_uring_cq_advance(&ring, 1);
	getsockopt(conns[0].fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listener, &len);
	if (!is_listener || dup3(placeholder, conns[0].fd, O_CLOEXEC) < 0) {
		fprintf(stderr,
			"dup_tls: this kernel has no IORING_OP_DUP; kernel/boot boots one\n");
		exit(77);
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
	int ret = io_uring_queue_init_params(1024, &ring, &params);

	if (ret < 0 || (ret = io_uring_register_files_sparse(&ring, SLOTS)) < 0)
		die("io_uring", -ret, "see sysctl kernel.io_uring_disabled and ulimit -n");
	reserve_numbers();
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, SLOTS / 2) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		die("listening", errno, "another PORT may do");
	if (how == DUP)
		prove_dup();
	printf("dup_tls: 127.0.0.1:%d, %s, at most %d connections\n", ntohs(at.sin_port), hows[how],
	       CONNS);
	fflush(stdout);
}

static void say_count(double locks)
{
	double seconds = last_handshake - first_handshake;

	printf("%s: %u connections, %u handshakes", hows[how], accepted, handshakes);
	if (handshakes > 1)
		printf(", %.0f/s", (handshakes - 1) / seconds);
	if (locks >= 0 && accepted)
		printf(", %.3f acquisitions of file_lock for each", locks / accepted);
	printf("\n");
}

static void on_signal(int signal)
{
	stop = signal;
}

int main(int argc, char **argv)
{
	struct io_uring_cqe *cqe;
	double before;

	for (how = DUP; argc > 2 && how < HOWS && strcmp(argv[2], hows[how]); how++)
		;
	if (how == HOWS)
		die(argv[2], EINVAL, "HOW is dup or accept");
	signal(SIGINT, on_signal); /* it is looked at every second at least */
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes by write(2), without MSG_NOSIGNAL */
	if (!make_tls()) {
		ERR_print_errors_fp(stderr);
		die("a key and a certificate", EINVAL, "OpenSSL 3.0 or newer is needed");
	}
	set_up(argc > 1 ? atoi(argv[1]) : 8443);
	tick();
	before = acquisitions();
	while (!stop) {
		unsigned head, n = 0;
		int ret;

		accept_more();
		ret = io_uring_submit_and_wait(&ring, 1);
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			die("io_uring_enter", -ret, "see io_uring_enter(2)");
		io_uring_for_each_cqe (&ring, head, cqe) {
			dispatch(cqe);
			n++;
		}
		io_uring_cq_advance(&ring, n);
	}
	say_count(before < 0 ? -1 : acquisitions() - before);
	return 0;
}
