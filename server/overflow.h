/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that have been accepted and wait for a place, first come, first served.
 *
 * A multishot accept takes all that is queued, and a queue holds no more than --backlog and one, for
 * which there are spare places. But with the sysctl tcp_migrate_req the kernel moves the queue of a
 * listener that ends into another one of the port, however long that one becomes
 * (inet_csk_listen_stop() in net/ipv4/inet_connection_sock.c). Who is accepted beyond all places
 * waits here, as in the queue. On the paths that accept into slots that is as many as the table of
 * slots has room for (worker.c); of those beyond, the kernel closes one, and the rest stay queued.
 */
#ifndef SERVER_OVERFLOW_H
#define SERVER_OVERFLOW_H

#include <stdbool.h>
#include <stdint.h>

struct overflow {
	int *descriptors; /* owned; N of them from FIRST on */
	uint32_t first, n, size;
};

/* False if there is no memory for one more. All zeros is an empty one. */
bool overflow_add(struct overflow *o, int descriptor);

/* The one that has waited longest; -1: none waits. */
int overflow_take(struct overflow *o);

/* The I-th that waits; I is below n. */
static inline int overflow_at(const struct overflow *o, uint32_t i)
{
	return o->descriptors[o->first + i];
}

/* Frees the memory; the descriptors stay open. */
void overflow_free(struct overflow *o);

#endif
