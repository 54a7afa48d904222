/* SPDX-License-Identifier: MIT */
/*
 * dup3: a control. accept4 as usual, then dup3(2) over the fd of a finished connection, then the
 * temporary number is closed. It shows that replacing alone gains nothing: the number accept4 made
 * has to be reserved and given back all the same.
 *
 * file_lock: 3 acquisitions per connection (accept4, dup3, close), and 2 more for each accept4 that
 * finds the queue empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "accept/park.h"
#include "accept/shared.h"
#include "serve.h"

/* Puts FD over a number of the pool. Returns 0, or an errno: another number may do. */
static int put_over(struct worker *w, struct conn *c, int fd)
{
	int error;

	c->fd = park_take(w);
	if (dup3(fd, c->fd, O_CLOEXEC) == c->fd)
		return 0;
	error = errno;
	park_give_back(w, c, error);
	return error;
}

static void accepted(struct worker *w, struct conn *c, int fd)
{
	int error;

	while ((error = put_over(w, c, fd)) != 0 && ++c->tries < DUP_TRIES)
		;
	if (error) {
		c->fd = fd;
		acceptor_open_failed(w, c, -error);
		return;
	}
	close(fd);
	count(w->counters.dups);
	serve_receive(w, c);
}

const struct accept_path accept_dup3 = {
	ACCEPT_PATH_ROW(dup3), /* paths.h */
	.about = "3, and 2 per empty accept4: accept4, dup3 over a parked fd, close",
	.init = park_init,
	.free = park_free,
	.arm = accept4_arm,
	.readable = accept4_readable,
	.accepted = accepted,
	.retire = park_retire,
	.tick = park_tick,
	.needs_tick = park_needs_tick,
};
