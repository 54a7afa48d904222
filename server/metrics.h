/* SPDX-License-Identifier: MIT */
/*
 * The counters over HTTP, for Prometheus, on 127.0.0.1 only. A thread of its own serves them, with
 * the same parser and the same limits as the server. A scrape costs the workers and the main thread
 * nothing but an accept4 and a close on the fd table that they share with it.
 *
 * During a rolling restart two servers listen on the port (SO_REUSEPORT), and a scrape gets either;
 * process_start_time_seconds tells which. The old one stops listening when it begins to drain.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <pthread.h>
#include <stdbool.h>

#include "counters.h"
#include "options.h"

enum {
	METRICS_CLIENTS = 16, /* answered at once; more wait in the queue */
	METRICS_QUEUE = 16,
	/* With a descriptor each: a drain takes all, and the kernel queues one more than asked. */
	METRICS_PLACES = METRICS_CLIENTS + METRICS_QUEUE + 1,
};

struct metrics {
	const struct options *options;
	struct counters *const *blocks; /* one for each worker */
	unsigned n;
	int listener; /* -1: none */
	int wake;     /* an eventfd, written to when one of the next two is set */
	bool drain, end;
	uint64_t started_s; /* of the epoch */
	pthread_t thread;
	bool running;
};

/* Listens on PORT of 127.0.0.1. Returns the socket, or -1 with the reason said. */
int metrics_open(unsigned port);

/*
 * Starts to answer on LISTENER, which is given away, with the counters of the N workers; all of it
 * stays until metrics_end(). False: the reason has been said.
 */
bool metrics_start(struct metrics *m, int listener, const struct options *options,
		   struct counters *const *blocks, unsigned n);

/* Answers who waits already, and then listens no more. */
void metrics_drain(struct metrics *m);

/* Ends the thread. Does nothing if there is none. */
void metrics_end(struct metrics *m);

#endif
