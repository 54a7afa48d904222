/* SPDX-License-Identifier: MIT */
/* Listening sockets. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>

#include "options.h"

/*
 * Opens a socket bound to the options' address. Returns it, or -1 after it has said why it cannot.
 *
 * A socket that is bound and does not listen gets no connections. main.c holds one to keep the
 * port, which the workers' own listeners share by SO_REUSEPORT; and the others listen when all that
 * could prevent the server from starting is done, since a client in the queue of a server that ends
 * is reset.
 *
 * TAG, a small number, goes into the socket and from there into every connection it accepts, so
 * that listener_accepted() recognises them. 0: no tag.
 */
int listener_open(const struct options *options, bool nonblocking, unsigned tag);

/*
 * The same for the first listener. Where the port in OPTIONS is 0, the kernel chooses one, which is put
 * there, and the listener is bound to that by number: a port that nobody has asked for is given back
 * when the listening ends (SOCK_BINDPORT_LOCK in net/ipv4/tcp.c), and could not be told the next time.
 */
int listener_open_first(struct options *options, bool nonblocking, unsigned tag);

/* Makes FD listen. False: the reason has been said, and FD is closed. */
bool listener_listen(const struct options *options, int fd);

/* Whether FD listens, as SO_ACCEPTCONN says. */
bool listener_listens(int fd);

/*
 * Whether connections wait in the queue of FD, as the length of the queue in TCP_INFO says
 * (tcp_get_info() in net/ipv4/tcp.c).
 */
bool listener_has_queue(int fd);

/*
 * Somebody else can end the listening of a socket: with `ss --kill`, say, which needs CAP_NET_ADMIN
 * (tcp_abort() in net/ipv4/tcp.c), or by shutdown() of a copy of the descriptor. An accept then
 * fails with EINVAL.
 *
 * listener_revive() is for the thread that has got EINVAL: where the socket does not listen, it makes
 * it listen again, with a queue of BACKLOG. Who waited in the queue is reset, unless
 * tcp_migrate_req moves him to another listener of the port. Another program may have taken the port
 * in the meantime (EADDRINUSE), if it sets SO_REUSEADDR. It says on stderr what it has done, for WHO,
 * a worker for instance.
 */
struct listener_ends {
	unsigned seen;	     /* how many ends had been mended when this thread looked last */
	uint64_t revived_ms; /* when it was last said that it listens again; 0: never */
	uint64_t failed_ms;  /* when it was last said that it cannot */
};

enum listener_end {
	LISTENER_LISTENS,     /* no thread of this program has mended it: somebody else has */
	LISTENER_REVIVED,     /* by this call, or by another thread since the last one */
	LISTENER_STAYS_ENDED, /* it is worth another try later */
};

enum listener_end listener_revive(struct listener_ends *ends, int fd, unsigned backlog,
				  const char *who, uint64_t now_ms);

/*
 * Whether FD is a connection accepted from a listener with TAG, or such a listener itself. ANY_TAG: with
 * any tag, be it one of another server whose queue the kernel has moved here (tcp_migrate_req).
 */
enum { ANY_TAG = 0 };
bool listener_accepted(int fd, unsigned tag);

#endif
