/* SPDX-License-Identifier: MIT */
/*
 * The end of a connection on the paths that put the next one over its fd: shut down, not closed.
 * fdpool.h keeps the numbers; here is what is done to them.
 */
#ifndef SERVER_PARK_H
#define SERVER_PARK_H

#include "worker.h"

/* A number for a new connection. There is one for every connection of the table. */
int park_take(struct worker *w);

/*
 * Ends C: shutdown(2), which takes no lock of the fd table and sends the FIN, then its number waits
 * for the next connection. With --park 0 it is replaced by the placeholder at once.
 */
void park_retire(struct worker *w, struct conn *c);

/* C never got its number because the DUP onto it failed: takes it back. */
void park_spoilt(struct worker *w, struct conn *c);

/* Closes what has been parked for longer than --park-timeout, or beyond --park. */
void park_tick(struct worker *w);

#endif
