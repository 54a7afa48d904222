/* SPDX-License-Identifier: MIT */
/*
 * Every request the server makes, and what it does when the kernel answers one with an error.
 *
 * enum op is made from the list below, so a request without a decision for each kind of error does
 * not compile. An error that a peer, the network, an administrator or a limit can cause ends a
 * connection at most. Fatal are only those which show that this program's own books are wrong:
 * EBADF for a descriptor of its own, and EINVAL where nothing but the request can cause it.
 *
 * The paths that call accept4(2), recv(2) or send(2) themselves ask the same table.
 */
#ifndef SERVER_REQUESTS_H
#define SERVER_REQUESTS_H

enum verdict {
	AGAIN,	 /* nothing has happened: the same request once more */
	WAIT,	 /* once more, after a pause */
	END,	 /* what the request was for is over: a connection, or a try to open it */
	NOTHING, /* it has been done, or it does not matter that it has not */
	FATAL,	 /* the program ends, and says which request and which error */
};

/*
 * The kinds of errors, in the order of the columns:
 *
 *   interrupted   EINTR: a signal
 *   not done      EAGAIN, ECANCELED: the request was not carried out. EFAULT: nor was one for which
 *                 the kernel found no memory for a page to copy to or from: see pages.h
 *   no buffer     ENOBUFS: of a receive, that no provided buffer was free
 *   short         ENOMEM, EMFILE, ENFILE: the machine or a limit has run out
 *   peer          the connection is gone or cannot be reached: ECONNRESET, ETIMEDOUT, ...
 *   no file       EBADF
 *   invalid       EINVAL
 *   other         all the rest; ICMP and packet filters can make a socket report nearly any error
 *
 * A connection that TCP gives up reports the error of the last try to find a route (sk_err_soft,
 * tcp_write_err() in net/ipv4/tcp_timer.c). That of a blackhole route is EINVAL (fib_props[] in
 * net/ipv4/fib_semantics.c), so of a receive or a send EINVAL does not say that it was built wrong.
 *
 * X(request, its name, interrupted, not done, no buffer, short, peer, no file, invalid, other)
 */
#define REQUESTS(X)                                                                                 \
	/* A connection, as fd or slot. Invalid: the listener did not listen, see listener.h. */    \
	X(ACCEPT, "accept", AGAIN, AGAIN, WAIT, WAIT, AGAIN, FATAL, WAIT, WAIT)                     \
	/* The listener is readable (accept4, dup3). */                                             \
	X(LISTEN, "poll of the listener", AGAIN, AGAIN, WAIT, WAIT, AGAIN, FATAL, FATAL, WAIT)      \
	/* INSTALL, DUP or dup3 gives a connection its fd. */                                       \
	X(OPEN, "open", WAIT, WAIT, WAIT, WAIT, END, END, END, END)                                 \
	/* The slot is given up, the connection goes on as an fd. */                                \
	X(CLOSE_SLOT, "close of a slot", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN)    \
	X(RECV, "receive", AGAIN, AGAIN, AGAIN, END, END, FATAL, END, END)                          \
	X(SEND, "send", AGAIN, AGAIN, END, END, END, FATAL, END, END)                               \
	/* Of a slot; it does not matter to a connection that is gone already. */                   \
	X(SHUTDOWN, "shutdown", NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, FATAL, FATAL,          \
	  NOTHING)                                                                                  \
	/* Gives up a connection's descriptor. After EINTR and EIO of a close it is gone. */        \
	X(RETIRE, "close", NOTHING, AGAIN, AGAIN, AGAIN, NOTHING, FATAL, FATAL, NOTHING)            \
	/* The same where no connection waits for it. A recovery may have closed the slot first. */ \
	X(RELEASE, "close of a descriptor", NOTHING, AGAIN, AGAIN, AGAIN, NOTHING, NOTHING,         \
	  NOTHING, NOTHING)                                                                         \
	/* Of a connection's receive or send; ENOENT: it had just ended. */                         \
	X(CANCEL, "cancel", WAIT, WAIT, WAIT, WAIT, WAIT, FATAL, FATAL, WAIT)                       \
	X(CANCEL_ACCEPT, "cancel of the accept", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, FATAL, FATAL,   \
	  AGAIN)                                                                                    \
	/* The clock for time limits. Other: ETIME, which is how it ends. */                        \
	X(TICK, "timeout", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, FATAL, FATAL, AGAIN)                  \
	/* The main thread wants something. */                                                      \
	X(WAKE, "read of an eventfd", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, FATAL, FATAL, AGAIN)       \
	/* See recover.c. */                                                                        \
	X(BARRIER, "barrier", AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, FATAL, FATAL, AGAIN)

enum op {
#define X(request, ...) OP_##request,
	REQUESTS(X)
#undef X
		OPS,
};

/* What to do when request OP has ended with ERROR, a positive errno. */
enum verdict request_verdict(enum op op, int error);

/* Its name, for a person. */
const char *request_name(enum op op);

#endif
