/* SPDX-License-Identifier: MIT */
/*
 * dup: accepted into a slot, then put by DUP over the fd of a finished connection.
 *
 * file_lock: 1 acquisition per connection. DUP installs the new socket and takes out the old one
 * under one hold; nothing reserves and nothing closes. The previous connection on the number has
 * been shut down and parked (park.h), so its client is not kept waiting.
 * Needs IORING_OP_DUP: the series in kernel/patches.
 */
#include "accept/park.h"
#include "accept/shared.h"
#include "dup.h"
#include "serve.h"

/*
 * DUP -> CLOSE of the slot -> RECV, linked, so that the receive can only ever meet the new socket,
 * even if the kernel has to finish the DUP elsewhere. The slot has to be closed: it holds a
 * reference of its own, and without the close the socket would never go away.
 *
 * The first two post no completion unless they fail. When one does, the kernel drops the rest of
 * the chain without a completion of its own (it inherits the silence), so every chain posts exactly
 * one: OP_OPEN, OP_CLOSE_SLOT or OP_RECV tells how far it came.
 */
static void chain(struct worker *w, struct conn *c)
{
	static const enum op ops[] = { OP_OPEN, OP_CLOSE_SLOT, OP_RECV };
	struct io_uring_sqe *sqes[3];

	c->fd = park_take(w);
	ring_chain(&w->ring, sqes, ops, 3, c->id);
	prep_dup_slot_to_fd(sqes[0], c->slot, c->fd);
	sqes[0]->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_prep_close_direct(sqes[1], (unsigned)c->slot);
	sqes[1]->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	serve_receive_linked(w, c, sqes[2]);
}

static void accepted(struct worker *w, struct conn *c, int slot)
{
	c->slot = slot;
	chain(w, c);
}

/* The DUP has failed. Another number may do. */
static void opened(struct worker *w, struct conn *c, int res)
{
	park_give_back(w, c, -res);
	if (++c->tries < DUP_TRIES) {
		chain(w, c);
		return;
	}
	acceptor_open_failed(w, c, res);
}

/* The DUP has worked, the close of the slot has not; the receive behind it was dropped. */
static void slot_closed(struct worker *w, struct conn *c, int res)
{
	(void)res;
	count(w->counters.dups);
	serve_release(w, c->slot);
	c->slot = -1;
	serve_receive(w, c);
}

const struct accept_path accept_dup = {
	ACCEPT_PATH_ROW(dup), /* paths.h */
	.about = "1: multishot ACCEPT into slots, DUP over a parked fd",
	.init = park_init,
	.free = park_free,
	.arm = direct_arm,
	.accepted = accepted,
	.opened = opened,
	.slot_closed = slot_closed,
	.retire = park_retire,
	.tick = park_tick,
	.needs_tick = park_needs_tick,
};
