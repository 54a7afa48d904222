/* SPDX-License-Identifier: MIT */
/*
 * One connection on a ring: its receives, its answers, and its end.
 *
 * Each function either prepares a request or handles the completion of one. A connection has one
 * request in flight at a time (conn.h lists which in each state); what its bytes mean is
 * protocol.h's business, and how its descriptor is given up is the accept path's.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct worker;

/*
 * Receives that wait for their turn. While a recovery runs, none is submitted. And when more
 * connections have bytes to be read than there are buffers, those whose receives are submitted first
 * would take all buffers, pass after pass. So then all wait in this queue, and each pass submits
 * RECV_BUFFERS of them. The first receive of a DUP's chain does not wait, since it is linked; if it
 * finds no buffer, it joins the queue.
 */
struct receives {
	uint32_t first, last; /* places of connections, linked by next_held; undefined if N is 0 */
	uint32_t n;
	bool failed;	       /* one has failed for want of a buffer in this pass */
	bool short_of_buffers; /* or in the pass before */
};

/*
 * Submits those whose turn it is. Returns whether some are left, so that this pass must not wait.
 * Once per pass, before ring_submit_...().
 */
bool serve_submit_receives(struct worker *w);

/* Receives on C, which has its descriptor. */
void serve_receive(struct worker *w, struct conn *c);

/*
 * The same as the last request of a chain that makes the descriptor: SQE was taken as its OP_RECV.
 */
void serve_receive_linked(struct worker *w, struct conn *c, struct io_uring_sqe *sqe);

/*
 * Tells C, which is on a spare place and has its descriptor, that the server is full, and ends it.
 */
void serve_refuse(struct worker *w, struct conn *c);

/* Cancels the request that C, which is overdue, waits for. The last try follows (conn.h). */
void serve_cancel(struct worker *w, struct conn *c);

/* Closes a DESCRIPTOR, as the path's accept has made it, that belongs to no connection. */
void serve_release(struct worker *w, int descriptor);

/* Completions of a connection's requests. */
void serve_opened(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_slot_closed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_received(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_receive_failed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_sent(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_send_failed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_shut_down(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_retired(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void serve_cancel_failed(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);

/*
 * The first receive of C behind a DUP has been reached: the chain has worked, and closed the slot.
 * Nothing for a connection without such a chain.
 */
void serve_chain_worked(struct worker *w, struct conn *c);

/* The completion of a serve_release(), which there is only if it failed: of no connection. */
void serve_release_failed(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

/* For accept/epoll.c as well, which has no requests: it calls recv(2) and send(2) itself. */

/* Puts C under the time limit that holds while it waits for bytes. */
void serve_limit_receive(struct worker *w, struct conn *c);

/* The flags of the send of C's answer. */
int serve_send_flags(const struct worker *w, const struct conn *c);

#endif
