/* SPDX-License-Identifier: MIT */
/*
 * When a worker accepts and when it does not: arming the accept request once, ending it while the
 * server is full or out of descriptors, taking what is queued before a drain closes the listener.
 * How a connection is accepted is the path's business (accept/accept.h).
 */
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "listener.h"
#include "overflow.h"

struct conn;
struct io_uring_cqe;
struct worker;

struct acceptor {
	int listener;		    /* -1 once a drain has closed it */
	bool armed;		    /* an OP_ACCEPT or OP_LISTEN is in flight */
	bool cancelled;		    /* and has been asked to end, or will end by itself */
	bool many;		    /* and takes all that comes, not one connection */
	bool held;		    /* nothing is armed until acceptor_resume() */
	uint64_t held_epoch;	    /* of the ring when that began */
	bool left_some;		    /* it has stopped; others may take what is queued */
	bool full;		    /* --max-conns was reached; see acceptor_check_full() */
	uint64_t full_until_ms;	    /* until then at least 1/8 of the places must be free again */
	bool was_full;		    /* not long ago, so many may be queued: accept one at a time */
	uint64_t was_full_until_ms; /* at least */
	uint64_t resume_ms;	    /* accepting ran out of something; not before this */
	uint64_t said_ms;	    /* when that was last said; 0: never */
	struct listener_ends ends;  /* of the listener, by somebody else */
	struct overflow overflow;   /* accepted, and waiting for a place */
	int overflow_end;	    /* behind the highest descriptor that has been in there */
};

/* Opens the listener, or takes the shared one. False: the reason has been said. */
bool acceptor_init(struct worker *w);

/* Makes the listener listen, unless it is the shared one. False: the reason has been said. */
bool acceptor_listen(struct worker *w);

/* In a drain: nobody waits to be accepted, or for a place, and nobody can come. */
bool acceptor_is_done(const struct worker *w);

void acceptor_free(struct worker *w);

/* Once per pass: arms the accept request, or cancels it, as the worker's state asks for. */
void acceptor_update(struct worker *w);

/*
 * Compares the connections with --max-conns: notes, and counts, when the server has become full.
 * Once full, it is so until they are below 7/8 of --max-conns, or, after a twentieth of a
 * second, below --max-conns. In a drain, where nobody new comes behind, the spare places are used as well: who
 * waits in the queue would be reset when it is closed. To be called before acceptor_may_accept()
 * whenever connections may have come or gone.
 */
void acceptor_check_full(struct worker *w);

/*
 * Whether an accept is to take one connection, and not all that are queued: a multishot accept
 * takes everything, and what then has no room must be refused, or finds no slot. So is it once the
 * worker has been full, when there is not room for a whole queue, and with a shared listener when
 * another worker may have more of it. So is it in a drain, which wants to hear (-EAGAIN) when the
 * queue is empty.
 */
bool acceptor_one_at_a_time(const struct worker *w);

/* Whether a connection may be accepted now. */
bool acceptor_may_accept(const struct worker *w);

/*
 * A connection has been accepted as DESCRIPTOR: the path gets it. For want of room it is refused, or
 * waits until there is some.
 */
void acceptor_accepted(struct worker *w, int descriptor);

/*
 * Accepting failed with ERROR, a negative errno: goes on, pauses, makes the listener listen again,
 * closes it, or dies.
 */
void acceptor_failed(struct worker *w, int error);

/*
 * The path could not give C its fd now, for ERROR, a negative errno. C has what it was accepted as:
 * a slot, or its fd. If that error may pass, C waits, and so does accepting; then the path gets it
 * as if it had just been accepted. In a drain C is served as it is. Otherwise it ends.
 */
void acceptor_open_failed(struct worker *w, struct conn *c, int error);

/* Time is over for C, which waits for that. */
void acceptor_open_again(struct worker *w, struct conn *c);

/*
 * Cancels and forgets the request in flight, if any, and arms none until acceptor_resume(). Until
 * acceptor_has_stopped(), which asks the kernel and cancels it once more, that request may accept
 * somebody: a thread of the kernel (io-wq) that is at it takes a moment to stop.
 */
void acceptor_hold(struct worker *w);
bool acceptor_has_stopped(struct worker *w);
void acceptor_resume(struct worker *w);

/*
 * Once per TICK_MS: while the worker is full, or waits for descriptors, no accept finds out that
 * somebody has ended the listening.
 */
void acceptor_tick(struct worker *w);

/*
 * For ring_on_shortage(): accepts less for a while, and ends the connection that is idle longest.
 */
void acceptor_shed(void *worker);

/* With a shared listener: another worker may have left something in the queue. */
void acceptor_look_again(struct worker *w);

/* The completions of OP_ACCEPT and OP_LISTEN, and of an OP_CANCEL_ACCEPT that has failed. */
void acceptor_completed(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);
void acceptor_readable(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);
void acceptor_cancel_failed(struct worker *w, struct conn *none, struct io_uring_cqe *cqe);

#endif
