/* SPDX-License-Identifier: MIT */
/*
 * accept4: the ring's loop, but the connections come from accept4(2), called when a poll of the
 * listener says so. Beside multishot it shows what the multishot request itself is worth.
 *
 * file_lock: 2 acquisitions per connection (accept4 reserves the number, CLOSE takes it back), and
 * 2 more for each accept4 that finds the queue empty (it reserves a number and puts it back).
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "accept/shared.h"
#include "serve.h"

void accept4_batch(struct worker *w, int flags, void (*take)(struct worker *w, int fd))
{
	unsigned i;

	for (i = 0; i < w->config.options->accept_batch; i++) {
		int fd, error;

		acceptor_check_full(w);
		if (!acceptor_may_accept(w))
			return;
		fd = accept4(w->acceptor.listener, NULL, NULL, SOCK_CLOEXEC | flags);
		error = errno;
		if (fd >= 0) {
			take(w, fd);
			continue;
		}
		if (error == EAGAIN)
			count(w->counters.accept_empty);
		acceptor_failed(w, -error);
		if (error == EAGAIN)
			return;
	}
}

void accept4_readable(struct worker *w)
{
	accept4_batch(w, 0, acceptor_accepted);
}

void accept4_arm(struct worker *w)
{
	struct io_uring_sqe *sqe = ring_request(&w->ring, OP_LISTEN, w->ring.epoch);

	/*
	 * A single-shot poll looks at the queue when it is armed, so a batch that left something
	 * behind is called again at once and nothing has to be remembered. A drain must not wait: a
	 * batch in every pass, until accept4 says that the queue is empty.
	 */
	if (w->drain.active)
		io_uring_prep_nop(sqe);
	else
		io_uring_prep_poll_add(sqe, w->acceptor.listener, POLLIN);
}

static void accepted(struct worker *w, struct conn *c, int fd)
{
	c->fd = fd;
	serve_receive(w, c);
}

const struct accept_path accept_accept4 = {
	ACCEPT_PATH_ROW(accept4), /* paths.h */
	.about = "2, and 2 per empty accept4: accept4 on a poll of the ring, CLOSE",
	.arm = accept4_arm,
	.readable = accept4_readable,
	.accepted = accepted,
	.retire = multishot_retire,
	.retire_linked = true,
};
