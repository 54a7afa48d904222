/* SPDX-License-Identifier: MIT */
/*
 * The counters over HTTP, for Prometheus, on 127.0.0.1 only. Served by the main thread, one client
 * at a time and briefly: a scrape costs that thread an accept4 and a close on the shared table, and
 * the workers nothing.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "counters.h"

/* Listens on PORT of 127.0.0.1. Returns the socket, or -1 with the reason said. */
int metrics_open(unsigned port);

/* Answers the client that waits on LISTENER with the counters of the N workers. */
void metrics_serve(int listener, struct counters *const *blocks, unsigned n);

#endif
