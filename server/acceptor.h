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

/* The completions of OP_ACCEPT and OP_LISTEN. C is NULL. */
void acceptor_accept(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);
void acceptor_listen(struct worker *w, struct conn *c, struct io_uring_cqe *cqe);

#endif
