/* SPDX-License-Identifier: MIT */
/*
 * A worker's ring: set-up, submission entries, and what user_data means.
 *
 * For who knows epoll: there the kernel says that a descriptor is ready, and the program makes the
 * call. Here the program writes down the call (a submission queue entry, SQE) and goes on; when the
 * kernel has done it, it writes down what the call returned (a completion, CQE), with the user_data
 * of its request. Both queues are memory that the two share: io_uring_enter() is the one system
 * call for any number of them, and waits like epoll_wait().
 *
 * Each feature is explained where it is used:
 *
 *   SINGLE_ISSUER, DEFER_TASKRUN, CQSIZE    ring_init()
 *   registered ring fd                      ring_init()
 *   provided buffers (BUFFER_SELECT)        buffers_init() in ring.c, prep_receive() in serve.c
 *   --min-wait                              enter() in ring.c
 *   multishot accept, F_MORE                accept/multishot.c, acceptor_completed()
 *   slots (direct descriptors, FIXED_FILE)  accept/direct.c
 *   links, CQE_SKIP_SUCCESS                 chain() in accept/dup.c, send_answer() in serve.c
 *   cancelling, timeouts                    clock.h
 *   an eventfd to be woken by               drain.h
 */
#ifndef SERVER_RING_H
#define SERVER_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "counters.h"
#include "options.h"
#include "requests.h"

/*
 * What a completion tells: which request it was, and whose.
 *
 *  63      56 55                                                  0
 * ┌──────────┬─────────────────────────────────────────────────────┐
 * │ enum op  │ id: of the connection (conn.h); for OP_RELEASE the  │
 * │          │ descriptor; for requests of the worker its epoch    │
 * └──────────┴─────────────────────────────────────────────────────┘
 */
static inline uint64_t user_data(enum op op, uint64_t id)
{
	return (uint64_t)op << CONN_ID_BITS | id;
}

static inline enum op user_data_op(uint64_t data)
{
	return (enum op)(data >> CONN_ID_BITS);
}

static inline uint64_t user_data_id(uint64_t data)
{
	return data % (UINT64_C(1) << CONN_ID_BITS);
}

_Static_assert(OPS <= 1 << (64 - CONN_ID_BITS), "an operation has the bits above an id");

enum {
	SQ_ENTRIES = 1024,
	RECV_BUFFERS = 256, /* a power of two; given back within the pass that filled them */
	RECV_BUFFER_SIZE = 4096,
	RECV_BUFFER_GROUP = 0,
};

struct ring {
	struct io_uring uring;
	struct io_uring_buf_ring *buffers;
	char *buffer_memory;
	struct counters *counters;
	const struct options *options;
	uint32_t slots;	  /* places in the table of direct descriptors; 0: none */
	unsigned dropped; /* completions that the kernel has dropped, when last looked at */
	uint32_t epoch;	  /* recoveries so far: the id of requests that belong to no connection */
	bool hurry;	  /* no batch is waited for, whatever --min-wait says */
	/* See ring_on_shortage(). */
	void (*shortage)(void *owner);
	void *owner;
};

/*
 * Sets up a ring with room for CQ_ENTRIES completions and its receive buffers. OPTIONS, which must
 * stay, say how it waits: --min-wait. To be called by the thread that will use it.
 * Returns 0 or a negative errno.
 */
int ring_init(struct ring *r, unsigned cq_entries, const struct options *options,
	      struct counters *counters);
void ring_free(struct ring *r);

/*
 * Makes a table of WANTED slots, all empty, for accepts to fill, or of as many as RLIMIT_NOFILE and
 * the kernel allow. Returns 0 or a negative errno.
 */
int ring_make_slots(struct ring *r, uint32_t wanted);

/* SHORTAGE is called whenever the kernel has no memory for a submission, before it is repeated. */
void ring_on_shortage(struct ring *r, void (*shortage)(void *owner), void *owner);

/* Says what a failed ring_init() most likely means, in a few words. */
const char *ring_error_hint(int error);

/*
 * Makes sure that N requests fit, submitting what is there if they do not: a chain of linked
 * requests must go down in one submission. Call it before the first ring_sqe() of the chain.
 */
void ring_reserve(struct ring *r, unsigned n);

/* A request of operation OP for ID, with its user_data set: prepare the rest. Never NULL. */
struct io_uring_sqe *ring_request(struct ring *r, enum op op, uint64_t id);

/*
 * The N requests of a chain, OPS[i] in SQES[i], for one submission. Prepare each, then set
 * IOSQE_IO_LINK in all but the last.
 */
void ring_chain(struct ring *r, struct io_uring_sqe **sqes, const enum op *ops, unsigned n,
		uint64_t id);

/*
 * Cancels request OP of ID now, without a request. Returns 0, or a negative errno: -ENOENT if there
 * is no such request. What is cancelled completes with -ECANCELED.
 */
int ring_cancel_now(struct ring *r, enum op op, uint64_t id);

/*
 * These do nothing here; test/faults.c replaces them. The first may change how many entries the
 * queues get. The second is called before each submission and sees what is submitted. The third is
 * called behind it, sees the completions that have come, and returns what the submission shall be
 * taken to have returned instead of RET.
 */
void ring_adjust_sizes(unsigned *sq_entries, unsigned *cq_entries);
void ring_before_submit(struct ring *r);
int ring_after_submit(struct ring *r, int ret);

/* Submits what is there, and waits for a completion. */
void ring_submit_and_wait(struct ring *r);

/* Submits what is prepared, and has the kernel tell what has completed, without a wait. */
void ring_submit_and_look(struct ring *r);

/* Submits all that is prepared, as often as it takes, and waits for no completion. */
void ring_submit(struct ring *r);

/* Brings back what has been swapped out of the receive buffers: see pages.h. */
void ring_bring_back(const struct ring *r);

/* Whether a request that is prepared, and not submitted yet, closes descriptor FD. */
bool ring_is_to_close(const struct ring *r, int fd);

/* How many completions the kernel has dropped so far, for want of memory. */
static inline unsigned ring_dropped(const struct ring *r)
{
	return IO_URING_READ_ONCE(*r->uring.cq.koverflow);
}

/* Whether it has dropped some since this was last asked. */
bool ring_has_dropped(struct ring *r);

/* Begins an epoch: what the worker's own requests of earlier ones may still say counts no more. */
void ring_new_epoch(struct ring *r);

/* Whether CQE, of a request that belongs to no connection, is of this epoch. */
static inline bool ring_is_current(const struct ring *r, const struct io_uring_cqe *cqe)
{
	return user_data_id(cqe->user_data) == r->epoch;
}

/* Whether no completion is there to be reaped, and the kernel keeps none back for want of room. */
bool ring_is_reaped(const struct ring *r);

/*
 * The buffer that a completion names, and giving it back, if it names one, once it has been handled. A
 * receive that has failed may name one, too: one that a thread of the kernel worked on (io-wq) took
 * it before it waited.
 */
static inline const char *ring_buffer(const struct ring *r, const struct io_uring_cqe *cqe)
{
	return r->buffer_memory +
	       (size_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT) * RECV_BUFFER_SIZE;
}

void ring_buffer_return(struct ring *r, const struct io_uring_cqe *cqe);

/*
 * Gives back those that dropped completions named. No other may be in use, and none may be waiting
 * to be reaped. It needs no memory, from Linux 6.8 on; before, it waits until there is some.
 */
void ring_buffers_renew(struct ring *r);

#endif
