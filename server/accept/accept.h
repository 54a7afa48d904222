/* SPDX-License-Identifier: MIT */
/*
 * An accept path: how a connection gets its descriptor, and how it gives it back. Everything else
 * about a connection is the same code for all of them (serve.c), so that a difference between two
 * measurements is a difference between two paths. One file a path, and one row in paths.h.
 */
#ifndef SERVER_ACCEPT_H
#define SERVER_ACCEPT_H

#include <stdbool.h>

#include "accept/paths.h"

struct conn;
struct worker;

/* What a path needs of the kernel; see probe.h. */
enum kernel_feature {
	FEATURE_RING = 1 << 0,	   /* io_uring with DEFER_TASKRUN: Linux 6.1 */
	FEATURE_INSTALL = 1 << 1,  /* IORING_OP_FIXED_FD_INSTALL: Linux 6.8 */
	FEATURE_DUP = 1 << 2,	   /* IORING_OP_DUP: the series in kernel/patches */
	FEATURE_MIN_WAIT = 1 << 3, /* --min-wait: Linux 6.12; no path needs it */
};

/* The columns of paths.h. */
enum accept_kind { ACCEPTS_CALL, ACCEPTS_FD, ACCEPTS_SLOT };
enum serve_kind { SERVES_FD, SERVES_POOL, SERVES_SLOT };

struct accept_path {
	/* From the path's row: ACCEPT_PATH_ROW(). */
	const char *name;
	unsigned needs;		   /* enum kernel_feature, or-ed */
	bool nonblocking_listener; /* it calls accept4 itself; a request waits on a blocking one */
	bool accepts_slots;	   /* what accept yields is a slot, not an fd */
	bool uses_pool; /* fds come from an fdpool: see park.h, which has its init() and free() */

	const char *about; /* for --help: what it does, behind how often it takes file_lock */

	/*
	 * What the path itself needs, kept in worker.path_state: made before the worker listens
	 * (false: the reason has been said), freed after it has drained. NULL: it needs nothing.
	 */
	bool (*init)(struct worker *w);
	void (*free)(struct worker *w);

	/* Replaces the whole event loop; only epoll does. The rest is unused then. */
	void (*run)(struct worker *w);

	/*
	 * Starts accepting by an OP_ACCEPT or OP_LISTEN. In a drain that takes what is queued and
	 * does not wait: the accept fails with EAGAIN when that was all.
	 */
	void (*arm)(struct worker *w);

	/* OP_LISTEN: the listener is readable. */
	void (*readable)(struct worker *w);

	/* OP_ACCEPT: C has just been accepted as DESCRIPTOR and has no descriptor yet. */
	void (*accepted)(struct worker *w, struct conn *c, int descriptor);

	/* OP_OPEN and OP_CLOSE_SLOT: how the path's own requests on C ended. */
	void (*opened)(struct worker *w, struct conn *c, int res);
	void (*slot_closed)(struct worker *w, struct conn *c, int res);

	/*
	 * Gives up C's descriptor: by an OP_RETIRE, whose completion ends C; or at once, and ends C
	 * itself by conn_end(), as every path with a pool does.
	 */
	void (*retire)(struct worker *w, struct conn *c);

	/* retire() is a single request and may be linked behind the connection's last send. */
	bool retire_linked;

	/* Called every TICK_MS while something is open, or needs_tick() says so. */
	void (*tick)(struct worker *w);
	bool (*needs_tick)(const struct worker *w);
};

/* accept_NAME of each row, and what the row says: a path without a row does not compile. */
#define X(name, needs, accepts, serves, ...)                                                       \
	extern const struct accept_path accept_##name;                                             \
	enum {                                                                                     \
		name##_NEEDS = (needs),                                                            \
		name##_CALLS = ACCEPTS_##accepts == ACCEPTS_CALL,                                  \
		name##_SLOTS = ACCEPTS_##accepts == ACCEPTS_SLOT,                                  \
		name##_POOL = SERVES_##serves == SERVES_POOL,                                      \
	};
ACCEPT_PATHS(X)
#undef X

/* The first members of accept_NAME. */
#define ACCEPT_PATH_ROW(path)                                                                      \
	.name = #path, .needs = path##_NEEDS, .nonblocking_listener = path##_CALLS,                \
	.accepts_slots = path##_SLOTS, .uses_pool = path##_POOL

/* All paths, ended by NULL; and the one of that name, NULL if there is none. */
extern const struct accept_path *const accept_paths[];
const struct accept_path *accept_path_by_name(const char *name);

/*
 * What --accept auto means when the kernel has FEATURES: the path with a real fd that takes
 * file_lock least often and needs the fewest system calls.
 */
const struct accept_path *accept_path_best(unsigned features);

#endif
