/* SPDX-License-Identifier: MIT */
/*
 * direct: connections live and die as slots of the ring's own table; they never get an fd.
 *
 * A slot, or direct descriptor, is an index into a table of files that belongs to the ring. Only
 * requests of this ring can name it, with IOSQE_FIXED_FILE; read(2) or another process cannot. What
 * that buys: the table is changed under the ring's own lock, which one thread takes, instead of
 * file_lock, which all do; and a request takes no atomic reference to the file.
 *
 * file_lock: 0 acquisitions per connection. For servers that pass connections to nothing outside
 * io_uring. Needs Linux 5.19.
 */
#include "accept/shared.h"
#include "serve.h"

void direct_arm(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_request(&w->ring, OP_ACCEPT, w->ring.epoch);

	/* No SOCK_CLOEXEC: a slot has no such flag, and the kernel refuses it. Which slot: it says.
	 */
	if (acceptor_one_at_a_time(w)) {
		io_uring_prep_accept_direct(sqe, w->acceptor.listener, NULL, NULL, 0,
					    IORING_FILE_INDEX_ALLOC);
		sqe->ioprio |= accept_flags(w);
	} else {
		io_uring_prep_multishot_accept_direct(sqe, w->acceptor.listener, NULL, NULL, 0);
	}
}

static void accepted(struct worker *w, struct conn *c, int slot)
{
	c->slot = slot;
	serve_receive(w, c);
}

static void retire(struct worker *w, struct conn *c)
{
	io_uring_prep_close_direct(ring_request(&w->ring, OP_RETIRE, c->id), (unsigned)c->slot);
}

const struct accept_path accept_direct = {
	ACCEPT_PATH_ROW(direct), /* paths.h */
	.about = "0: multishot ACCEPT into slots, never a real fd",
	.arm = direct_arm,
	.accepted = accepted,
	.retire = retire,
	.retire_linked = true,
};
