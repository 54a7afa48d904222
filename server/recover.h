/* SPDX-License-Identifier: MIT */
/*
 * When the kernel has dropped completions.
 *
 * A completion that finds the completion queue full is kept by the kernel until there is room, and
 * dropped only if there is no memory to keep it in. Then this worker's books are wrong: a
 * connection waits for an answer that never comes, an accepted socket belongs to nobody, a receive
 * buffer is not given back, or accepting is thought to be going on and is not. What was dropped
 * cannot be known, so the books are compared with the kernel's:
 *
 *     BEGUN     accepting stops, so that nothing new gets a descriptor meanwhile; what has been
 *               accepted is reaped
 *     BARRIER   every connection is suspect until a completion of it comes; all that has been
 *               submitted gets as far as it can
 *     SETTLED   the request each suspect waits for is asked after: not there, it was dropped, and
 *               the connection is struck off. Of the descriptors that are this worker's, those that
 *               no connection has are closed. Accepting and the clock begin anew; what the earlier
 *               ones may still say is recognised by worker.round and ignored
 *
 * Slots and the numbers of a pool are the worker's own. An fd of a table that workers share is
 * known by a mark that sockets inherit from the worker's listener (listener.h); with --listener
 * shared all have the same mark, and an fd that was lost then stays open until the server ends.
 */
#ifndef SERVER_RECOVER_H
#define SERVER_RECOVER_H

#include "worker.h"

/* Once per pass, behind the reaping: a few loads while nothing has been dropped. */
void recover(struct worker *w);

/* The completion of OP_BARRIER. */
void recover_barrier(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
