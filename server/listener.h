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

/* Makes FD listen. False: the reason has been said, and FD is closed. */
bool listener_listen(const struct options *options, int fd);

/*
 * Somebody else can end the listening of a socket: `ss --kill`, say, which needs CAP_NET_ADMIN
 * (tcp_abort() in net/ipv4/tcp.c), or a shutdown() of a copy of the descriptor. An accept then fails
 * with EINVAL, as one does that is wrong itself; listener_listens() tells which it is.
 *
 * listener_listen_again() goes on with the socket, at ADDRESS, where it was, with a queue of
 * BACKLOG. Returns 0 or a negative errno. Who waited in the old queue is lost. So may the port
 * be, to another program, if the kernel had chosen it; one that was asked for stays the socket's.
 */
bool listener_listens(int fd);
int listener_listen_again(int fd, const struct sockaddr *address, socklen_t len, unsigned backlog);

/* Whether FD is a connection accepted from a listener with TAG, or such a listener itself. */
bool listener_accepted(int fd, unsigned tag);

/* Puts the port the kernel chose for FD into OPTIONS. */
void listener_learn_port(struct options *options, int fd);

#endif
