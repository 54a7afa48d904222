/* SPDX-License-Identifier: MIT */
/* Listening sockets. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>

#include "options.h"

/*
 * Opens a socket bound to the options' address, and listening if LISTENING. Returns it, or -1 with
 * the reason said.
 *
 * A socket that is bound but does not listen gets no connections; main.c holds one to fix the port
 * that the workers' own listeners share by SO_REUSEPORT.
 *
 * MARK, unless 0, is a small number that every connection it accepts can be recognised by.
 */
int listener_open(const struct options *options, bool listening, bool nonblocking, unsigned mark);

/* Whether FD is a socket that was accepted from a listener with MARK (or is that listener). */
bool listener_accepted(int fd, unsigned mark);

/* Puts the port the kernel chose for FD into OPTIONS. */
void listener_learn_port(struct options *options, int fd);

#endif
