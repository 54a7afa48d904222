/* SPDX-License-Identifier: MIT */
/*
 * A worker: one thread, one ring, one listener, one array of connections. Workers share nothing
 * but the process's table of file descriptors, which is what is being measured, and with
 * --fd-table private not even that.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "accept/accept.h"
#include "conn.h"
#include "counters.h"
#include "fdpool.h"
#include "options.h"
#include "protocol.h"
#include "ring.h"

/* How far the recovery from dropped completions has come: see recover.h. */
enum recovery { RECOVERY_NONE, RECOVERY_BEGUN, RECOVERY_BARRIER, RECOVERY_SETTLED };

struct worker {
	/* Written by the main thread before the worker starts, constant afterwards. */
	unsigned index;
	int cpu; /* -1: any */
	const struct options *options;
	const struct accept_path *path;
	uint32_t max_conns;	  /* this worker's share */
	uint32_t park_max;	  /* and of the parked ones */
	int pool_first;		  /* the first number of its fdpool */
	int fd_end;		  /* behind the highest number that a connection can have */
	int shared_listener;	  /* -1: it opens its own */
	unsigned mark;		  /* of the sockets it accepts (listener.h); 0: not only of its */
	unsigned *listener_users; /* workers that still use the shared one */
	pthread_t thread;
	/* Called by the worker once: it listens, or, with OK false, has said why it cannot. */
	void (*ready)(bool ok);
	/* Called by the worker when it has drained and given up everything. */
	void (*ended)(void);

	/* The main thread sets STOP, then writes to WAKE, an eventfd. */
	int wake;
	bool stop;

	/* The worker's own. */
	int listener; /* -1 once it is closed by a drain */
	struct ring ring;
	int epoll; /* of the path that has no ring */
	struct conn_table conns;
	struct fdpool pool;
	struct protocol protocol;
	uint64_t now_ms;       /* the time at the start of this pass */
	bool accepting;	       /* an OP_ACCEPT or OP_LISTEN is in flight */
	bool accept_cancelled; /* and has been asked to end */
	bool draining;
	bool accept_full; /* --max-conns was reached, and not enough have ended since */
	bool crowded;	  /* it was full, so many may be queued: accept one at a time */
	bool ticking;	  /* an OP_TICK is in flight */
	enum recovery recovery;
	uint32_t round; /* how often that was so */
	uint32_t slots; /* in the ring's table */
	struct __kernel_timespec tick_period;
	uint64_t crowded_until_ms;
	uint64_t accept_resume_ms; /* accepting ran out of something; not before this */
	uint64_t accept_said_ms;   /* when that was last said; 0: never */
	uint64_t recover_said_ms;  /* the same of a recovery */
	uint64_t drain_end_ms;
	uint64_t wake_value;

	struct counters counters;
};

/* Connections of a worker that can be told at the same time that there is no room. */
enum { SPARE_CONNS = 1024 };

/* How often time limits are looked at, in milliseconds. */
enum { TICK_MS = 100 };

/* The worker thread. ARG is its struct worker; it calls ready() when it is set up. */
void *worker_main(void *arg);

/* Milliseconds of a monotonic clock, cheap and a few milliseconds coarse. */
uint64_t clock_ms(void);

/* For the accept paths. */

/* A request of operation OP on C; its user_data is set, prepare the rest. */
struct io_uring_sqe *worker_sqe(struct worker *w, enum op op, const struct conn *c);

/* Tells C, which is on a spare place and has its descriptor, that there is no room, and ends it. */
void worker_refuse(struct worker *w, struct conn *c);

/* A new connection for the accepted DESCRIPTOR; the path takes it from there. */
void worker_accepted(struct worker *w, int descriptor);

/* Accepting failed with ERROR, a negative errno: go on, wait for better times, or die. */
void worker_accept_failed(struct worker *w, int error);

/* Receive on C, whose descriptor is known (and, behind a link, will be there by then). */
void worker_receive(struct worker *w, struct conn *c);

/* C is overdue: ends its request in flight, whose completion leads to the last try. */
void worker_cancel_request(struct worker *w, struct conn *c);

/* C is over: the path gives up its descriptor. */
void worker_retire(struct worker *w, struct conn *c);

/* C's descriptor has been given up. */
void worker_conn_end(struct worker *w, struct conn *c);

/* Closes a slot that no connection owns any more. */
void worker_close_slot(struct worker *w, int slot);

/* The loop: returns when the worker has drained. */
void worker_loop(struct worker *w);

/* The user_data of request OP on C, or of the one such request of the worker if C is NULL. */
uint64_t worker_user_data(const struct worker *w, enum op op, const struct conn *c);

/* For accept/epoll.c, which has a loop of its own. */
struct conn *worker_conn_begin(struct worker *w);
void worker_close_listener(struct worker *w);
int worker_send_flags(const struct worker *w, const struct conn *c);
void worker_limit_receive(struct worker *w, struct conn *c);
bool worker_wants_accept(struct worker *w);
bool worker_finished(const struct worker *w);
void worker_check_stop(struct worker *w);

#endif
