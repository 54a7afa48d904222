/* SPDX-License-Identifier: MIT */
/*
 * A worker: one thread, one ring, one listener, one array of connections. Workers share nothing
 * but the process's table of file descriptors, which is what is being measured, and with
 * --fd-table private not even that.
 *
 * struct worker is made of the structs of its modules. A module reads what it needs of the others,
 * and changes its own alone; for the rest it calls their functions.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <pthread.h>

#include "accept/accept.h"
#include "acceptor.h"
#include "clock.h"
#include "conn.h"
#include "counters.h"
#include "drain.h"
#include "options.h"
#include "protocol.h"
#include "recover.h"
#include "ring.h"
#include "serve.h"

/* What the main thread decides before the worker starts. It does not change afterwards. */
struct worker_config {
	unsigned index;
	int cpu; /* to bind the thread to; -1: any */
	const struct options *options;
	const struct accept_path *path;
	uint32_t max_conns; /* this worker's share of --max-conns */
	uint32_t park_max;  /* and of --park */
	int pool_first;	    /* where the worker's range of fds begins, for a path with a pool */
	int fd_end;	    /* behind the highest fd of one that has a place (others: acceptor.h) */
	int shared_listener; /* -1: the worker opens one of its own */
	unsigned
		listener_tag; /* 0 if this worker's sockets cannot be told from others' (listener.h) */
	unsigned *listener_users; /* how many workers still use the shared listener */
	int migrate_req; /* the sysctl tcp_migrate_req, open for pread(2); -1: it cannot be read */
	/*
	 * Called by the worker when it has all it needs, and again when it listens; or, with OK
	 * false, when it has said why it cannot. Between the two it calls wait_for_all(), which
	 * returns when every worker may listen.
	 */
	void (*ready)(bool ok);
	void (*wait_for_all)(void);
	/* Called by the worker: each worker is to look at the shared listener again. */
	void (*wake_all)(void);
	/* Called by the worker when it has drained and has given up all that it held. */
	void (*ended)(void);
};

struct worker {
	struct worker_config config;
	pthread_t thread;
	struct ring ring;
	struct conn_table conns;
	struct protocol protocol;
	struct acceptor acceptor;
	struct clock clock;
	struct drain drain;
	struct recovery recovery;
	struct receives receives;
	void *path_state; /* the accept path's own */
	struct counters counters;
};

/*
 * Connections of a worker that can be told at the same time that the server is full: as many as its
 * queue may hold, which one burst of a multishot accept can take. For more see overflow.h.
 */
static inline uint32_t spare_conns(const struct options *options)
{
	return options->backlog + 1; /* the kernel takes one more than asked */
}

/*
 * For the main thread. Each worker is initialised, started, and, once it is ready, stopped and
 * waited for. They return 0 or a negative errno. A worker that is to be stopped drains; see
 * drain.h. One that is woken looks at its listener again.
 */
int worker_init(struct worker *w, const struct worker_config *config);
int worker_start(struct worker *w);
int worker_stop(struct worker *w);
uint64_t worker_extension_ms(const struct worker *w); /* see drain_extended_ms() */
void worker_wake(struct worker *w);
void worker_join(struct worker *w);

#endif
