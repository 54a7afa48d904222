/* SPDX-License-Identifier: MIT */
/*
 * install: accepted into a slot, then given an fd by FIXED_FD_INSTALL: the way of today's kernels
 * from a direct descriptor to a real one.
 *
 * file_lock: 2 acquisitions per connection. INSTALL reserves the number, CLOSE takes it back.
 * Needs Linux 6.8.
 */
#include "accept/shared.h"
#include "serve.h"

static void accepted(struct worker *w, struct conn *c, int slot)
{
	c->slot = slot;
	/* Not linked to the receive: which number it will be is known only when it is done. */
	io_uring_prep_fixed_fd_install(ring_request(&w->ring, OP_OPEN, c->id), slot, 0);
}

static void opened(struct worker *w, struct conn *c, int res)
{
	if (res < 0) {
		count(w->counters.install_errors);
		acceptor_open_failed(w, c, res);
		return;
	}
	/* The slot keeps a reference to the socket of its own. */
	serve_release(w, c->slot);
	c->slot = -1;
	count(w->counters.installs);
	c->fd = res;
	serve_receive(w, c);
}

const struct accept_path accept_install = {
	ACCEPT_PATH_ROW(install), /* paths.h */
	.about = "2: multishot ACCEPT into slots, FIXED_FD_INSTALL, CLOSE",
	.arm = direct_arm,
	.accepted = accepted,
	.opened = opened,
	.retire = multishot_retire,
	.retire_linked = true,
};
