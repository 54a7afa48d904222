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
 *     stop accepting        nothing new gets a descriptor meanwhile
 *     settle                what was submitted has ended or waits; what was completed is reaped
 *     connections           the request each has in flight is asked after: not there, it was
 *                           dropped, and the connection is struck off
 *     descriptors           of those that are this worker's, all that no connection has are closed
 *     accept, clock         made anew; what the earlier ones may still say is recognised by
 *                           worker.round and ignored
 *
 * Slots and the numbers of a pool are the worker's own. An fd of a table that workers share is
 * known by a mark that sockets inherit from the worker's listener (listener.h); with --listener
 * shared all have the same mark, and an fd that was lost then stays open until the server ends.
 */
#ifndef SERVER_RECOVER_H
#define SERVER_RECOVER_H

#include "worker.h"

/* Once per pass, behind the reaping: two loads while nothing has been dropped. */
void recover(struct worker *w);

#endif
