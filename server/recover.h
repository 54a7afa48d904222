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
 *     BEGUN      Accepting stops, so that nothing new gets a descriptor meanwhile, and so do receives,
 *                once they have ended. A new epoch of the ring begins: what earlier requests of the
 *                worker itself may still say is ignored. What has been accepted is reaped.
 *     SUSPECTED  Every connection is suspect until a completion of it comes. A barrier has been
 *                submitted: all before it gets as far as it can.
 *     SETTLED    It has. For each suspect the kernel is asked, by a cancel, whether the request it waits
 *                for is in flight.
 *     ASKED      A further barrier: what had completed when that was asked is told first.
 *     TOLD       It has been. Those that are still suspect are asked about again, as a request may be
 *                where no cancel finds it for a while. Who stays suspect has lost its completion, and
 *                is struck off, as soon as no receive is in flight: one that a thread of the kernel
 *                (io-wq) is at may have a buffer. Then the buffers that are missing are given back,
 *                the descriptors of this worker that no connection has are closed, and accepting and
 *                receiving begin anew.
 *
 * Slots and the numbers of a pool are the worker's own, and so are all fds with a tag (listener.h) in
 * a table that no other worker uses. In a table that workers share an fd is known by the tag itself,
 * which sockets inherit from the worker's listener. With --listener shared all have the same tag, and
 * with the sysctl tcp_migrate_req a socket may have the tag of another worker, so there an fd that was
 * lost stays open until the server ends. The sysctl is to be set before the server starts: who was
 * moved while it was on is not known when it is off again.
 */
#ifndef SERVER_RECOVER_H
#define SERVER_RECOVER_H

#include <stdint.h>

#include "conn.h"

struct io_uring_cqe;
struct worker;

enum recovery_stage {
	RECOVERY_NONE,
	RECOVERY_BEGUN,
	RECOVERY_SUSPECTED,
	RECOVERY_SETTLED,
	RECOVERY_ASKED,
	RECOVERY_TOLD,
};

struct recovery {
	enum recovery_stage stage;
	unsigned rounds;  /* how often the suspects have been asked about */
	uint64_t said_ms; /* when a recovery was last told of; 0: never */
};

/* Once per pass, behind the reaping: a few loads while nothing has been dropped. */
void recover_update(struct worker *w);

/* Whether no receive is to be submitted now. */
static inline bool recovery_holds_receives(const struct recovery *r)
{
	return r->stage != RECOVERY_NONE;
}

/* A completion of C has come, so C is not suspect. */
static inline void recover_answered(struct conn *c)
{
	c->suspect = false;
}

/* The completion of OP_BARRIER, which is of no connection. */
void recover_reached(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
