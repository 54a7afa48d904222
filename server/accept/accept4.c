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

#include "worker.h"

#include "accept/shared.h"

void take_by_accept4(struct worker *w)
{
	unsigned most = w->draining ? UINT32_MAX : w->options->accept_batch;
	unsigned i;

	for (i = 0; i < most && worker_wants_accept(w); i++) {
		int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
		int error = fd < 0 ? errno : 0;

		if (!error) {
			worker_accepted(w, fd);
			continue;
		}
		if (error == EAGAIN)
			count(w->counters.accept_empty);
		worker_accept_failed(w, -error);
		if (error == EAGAIN)
			return;
	}
}

void arm_poll(struct worker *w)
{
	if (w->draining) {
		w->accepting = w->accept_cancelled = false;
		take_by_accept4(w);
		return;
	}
	/*
	 * A single-shot poll looks at the queue when it is armed, so a batch that left something
	 * behind is called again at once and nothing has to be remembered.
	 */
	io_uring_prep_poll_add(worker_sqe(w, OP_LISTEN, NULL), w->listener, POLLIN);
}

static void accepted(struct worker *w, struct conn *c, int fd)
{
	c->fd = fd;
	worker_receive(w, c);
}

const struct accept_path accept_accept4 = {
	ACCEPT_PATH_ROW(accept4), /* paths.h */
	.about = "2, and 2 per empty accept4: accept4 on a poll of the ring, CLOSE",
	.arm = arm_poll,
	.readable = take_by_accept4,
	.accepted = accepted,
	.retire = retire_by_close,
	.retire_linked = true,
};
