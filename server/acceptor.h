/* SPDX-License-Identifier: MIT */
/*
 * When a worker accepts and when it does not: arming the accept request once, ending it while the
 * server is full or out of descriptors, taking what is queued before a drain closes the listener.
 * How a connection is accepted is the path's business (accept.h).
 */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include "worker.h"

/* Once per pass: starts or ends accepting, as the worker's state asks for. */
void acceptor_steer(struct worker *w);

/* The ring's shed(): the kernel has no memory. Accepts less, and ends the longest idle. */
void acceptor_shed(void *worker);

/* Gives up the descriptor of C, which was refused, and ends it. */
void acceptor_end_refused(struct worker *w, struct conn *c);

/* Whether an accept that ended so, which would be fatal otherwise, is what a drain may meet. */
bool acceptor_expects(const struct worker *w, const struct io_uring_cqe *cqe);

/* The completions of OP_ACCEPT and OP_LISTEN, and of what went wrong with others. C is NULL. */
void acceptor_accept(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void acceptor_listen(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void acceptor_release_error(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);
void acceptor_cancel_error(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
