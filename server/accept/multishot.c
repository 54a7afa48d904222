/* SPDX-License-Identifier: MIT */
/*
 * multishot: one io_uring request accepts every connection, each as an ordinary fd.
 *
 * file_lock: 2 acquisitions per connection. ACCEPT reserves the number, CLOSE takes it back.
 * Needs Linux 5.19 for the multishot accept.
 */
#include "accept/shared.h"
#include "serve.h"

static void arm(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_request(&w->ring, OP_ACCEPT, w->ring.epoch);

	if (acceptor_one_at_a_time(w)) {
		io_uring_prep_accept(sqe, w->acceptor.listener, NULL, NULL, SOCK_CLOEXEC);
		sqe->ioprio |= accept_flags(w);
	} else {
		/* Multishot: no request and no system call per connection, until it fails. */
		io_uring_prep_multishot_accept(sqe, w->acceptor.listener, NULL, NULL, SOCK_CLOEXEC);
	}
}

static void accepted(struct worker *w, struct conn *c, int fd)
{
	c->fd = fd;
	serve_receive(w, c);
}

void multishot_retire(struct worker *w, struct conn *c)
{
	io_uring_prep_close(ring_request(&w->ring, OP_RETIRE, c->id), c->fd);
}

const struct accept_path accept_multishot = {
	ACCEPT_PATH_ROW(multishot), /* paths.h */
	.about = "2: multishot ACCEPT into fds, CLOSE",
	.arm = arm,
	.accepted = accepted,
	.retire = multishot_retire,
	.retire_linked = true,
};
