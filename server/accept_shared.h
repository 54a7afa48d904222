/* SPDX-License-Identifier: MIT */
/* Pieces that more than one accept path is made of. Each stands in the file of the first. */
#ifndef SERVER_ACCEPT_SHARED_H
#define SERVER_ACCEPT_SHARED_H

struct conn;
struct worker;

/* accept_multishot.c: the fd is closed by the ring. */
void retire_by_close(struct worker *w, struct conn *c);

/* accept_direct.c: a multishot accept into any free slot. */
void arm_direct(struct worker *w);

/* accept_accept4.c: a poll of the listener, and accept4 until the queue is empty. */
void arm_poll(struct worker *w);
void take_by_accept4(struct worker *w);

#endif
