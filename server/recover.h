/* SPDX-License-Identifier: MIT */
/*
 * What a worker does when the kernel has dropped completions.
 *
 * A completion that finds the completion queue full is kept by the kernel until there is room. It
 * is dropped only if there is no memory to keep it in. Then this worker's books are wrong: a
 * connection waits for a completion that never comes, an accepted socket belongs to nobody, a
 * receive buffer is not given back, or accepting is thought to be going on and is not. Nobody can
 * tell what has been dropped, so the books are compared with the kernel's, in these stages:
 *
 *     BEGUN     Accepting stops, so that nothing new gets a descriptor meanwhile, and a new epoch of
 *               the ring begins: what earlier requests of the worker itself may still say is ignored.
 *               What has been accepted is reaped.
 *     BARRIER   Every connection is suspect until a completion of it comes. All that has been
 *               submitted gets as far as it can.
 *     SETTLED   For each suspect the kernel is asked whether the request it waits for is in flight.
 *               If not, its completion was dropped, and the connection is struck off. Then the
 *               descriptors of this worker that no connection has are closed, and accepting and the
 *               clock begin anew.
 *
 * Slots and the numbers of a pool are the worker's own. An fd in a table that workers share is
 * known by a tag that sockets inherit from the worker's listener (listener.h). With --listener
 * shared all have the same tag, so there an fd that was lost stays open until the server ends.
 */
#ifndef SERVER_RECOVER_H
#define SERVER_RECOVER_H

#include <stdint.h>

#include "conn.h"

struct io_uring_cqe;
struct worker;

enum recovery_stage { RECOVERY_NONE, RECOVERY_BEGUN, RECOVERY_BARRIER, RECOVERY_SETTLED };

struct recovery {
	enum recovery_stage stage;
	uint64_t said_ms; /* when a recovery was last told of; 0: never */
};

/* Once per pass, behind the reaping: a few loads while nothing has been dropped. */
void recover_update(struct worker *w);

/* A completion of C has come, so C is not suspect. */
static inline void recover_answered(struct conn *c)
{
	c->suspect = false;
}

/* The completion of OP_BARRIER, which is of no connection. */
void recover_reached(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
