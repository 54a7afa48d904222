/* SPDX-License-Identifier: MIT */
/*
 * One connection, and the fixed array a worker keeps of them.
 *
 *                   accepted                 the fd is there
 *        FREE ───────────────────► OPENING ───────────────────┐
 *         ▲                           │ failed: ends at once  │
 *         │                           ▼                       ▼
 *         ├◄──────────────────────RETIRING ◄───────────── RECEIVING ◄─────────┐
 *         │   descriptor given up     ▲    end of stream,     │ a request is  │ sent, and
 *         │                           │    error, time limit  ▼ complete      │ the connection
 *         │                           ├◄────────────────── SENDING ───────────┘ goes on
 *         │                           │  sent, and the client │
 *         │                           │  sends nothing more   ▼ sent, and it was the last
 *         │                           └◄───────────────── LINGERING
 *         │                              end of stream, error, time limit
 *
 * What owns the descriptor in each state, and what is in flight:
 *
 *   FREE       nobody; nothing
 *   OPENING    what was accepted: a slot, or on dup3 an fd; the INSTALL that gives it its fd, or
 *              nothing while that is waited with (LIMIT_OPENING)
 *   RECEIVING  fd or slot; exactly one receive (dup: behind the chain that makes the fd); none while it
 *              is held
 *   SENDING    fd or slot; exactly one send (with the close linked to it where the path allows)
 *   LINGERING  fd or slot, shut down for writing; exactly one receive whose bytes are dropped. A
 *              socket that is closed with unread bytes resets the connection, and the answer is
 *              lost with it if the client has not read it yet (RFC 9112, 9.6)
 *   RETIRING   the path's retire(): a close in flight, or nothing any more
 *
 * When a time limit has passed, a connection is overdue: its receive or send is repeated without
 * waiting, since the bytes may have been there all the time that this thread did not run. Only if
 * this last try has nothing to do, the connection's time is over.
 *
 * A connection that finds no place gets a spare one. There it is refused: it is answered 503
 * and lingers like any other, so that the client can read the answer; then it ends.
 *
 * Towards the kernel a connection is named by its id, in which the place in the array stands behind
 * a generation that changes when the connection ends. So a late completion or event of an earlier
 * connection in the same place is recognised.
 */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "assertion.h"
#include "counters.h"
#include "http.h"

enum conn_state {
	CONN_FREE,
	CONN_OPENING,
	CONN_RECEIVING,
	CONN_SENDING,
	CONN_LINGERING,
	CONN_RETIRING,
};

/* The time limit a connection is under: each is a queue, oldest first, of one fixed duration. */
enum conn_limit {
	LIMIT_IDLE,    /* no request has begun */
	LIMIT_REQUEST, /* a request is coming in, or its answer going out */
	LIMIT_LINGER,  /* its last answer is out; what still comes is dropped */
	LIMIT_DRAIN,   /* idle while the server drains: its time is over at once */
	LIMIT_OPENING, /* no fd could be made for it: that is tried again when its time is over */
	CONN_LIMITS,
	LIMIT_NONE = CONN_LIMITS,
};

/* An id: the place in the low 32 bits, the generation in the 24 above. The rest is the ring's. */
#define CONN_ID_BITS	56
#define CONN_GENERATION (UINT64_C(1) << 32)

enum { NO_CONN = UINT32_MAX };

/* Bytes received behind a complete request, kept until the answer to it has been sent. */
struct carry {
	uint32_t at, len;
	char data[];
};

struct conn {
	uint64_t id;	      /* what requests and events carry; see conn_by_id() */
	uint8_t state;	      /* enum conn_state */
	uint8_t limit;	      /* enum conn_limit: the one that it is under */
	uint8_t overdue;      /* enum conn_limit: the one whose time has passed */
	bool last : 1;	      /* the connection ends when OUT has been sent */
	bool linger : 1;      /* and the client may send more bytes all the same */
	bool more : 1;	      /* the last receive has left bytes in the socket */
	bool cancelled : 1;   /* its request in flight is being cancelled */
	bool spare : 1;	      /* it is on a spare place */
	bool refused : 1;     /* it is told that the server is full */
	bool as_accepted : 1; /* it is served as the slot or fd that it was accepted as */
	bool suspect : 1;     /* its completion may have been dropped: see recover.h */
	bool held : 1;	      /* its receive waits to be submitted: see serve.h */
	bool served : 1;      /* at least one answer has been sent */
	bool watched : 1;     /* epoll: it is in the interest list */
	uint8_t tries;	      /* failed ones: to DUP it, or to receive while no buffer is free */
	int fd;		      /* -1: none */
	int slot;	      /* -1: none */
	uint32_t prev, next;  /* in the queue of its limit; next also in the free list */
	uint64_t since_ms;    /* when it entered that queue */
	const char *out;      /* what is being sent: constant, or inside CARRY */
	uint32_t out_len;
	uint32_t next_held;  /* in the queue of receives that it is held in */
	struct carry *carry; /* owned */
	struct http_request http;
};

struct conn_table {
	struct conn *conns;
	uint32_t places;   /* for connections that are served */
	uint32_t capacity; /* all places, spare ones included */
	uint32_t used, used_spare;
	uint32_t free, free_spare; /* heads of the free lists */
	uint32_t head[CONN_LIMITS], tail[CONN_LIMITS];
	uint64_t limit_ms[CONN_LIMITS];
	struct counters *counters;
};

/*
 * Makes a table for PLACES connections and SPARE further ones, with LIMIT_MS as the durations of
 * the time limits. It counts in COUNTERS, which must stay. Returns 0 or -ENOMEM.
 */
int conn_table_init(struct conn_table *t, uint32_t places, uint32_t spare,
		    const uint64_t limit_ms[CONN_LIMITS], struct counters *counters);
void conn_table_free(struct conn_table *t);

/*
 * A free connection, in state OPENING, without a descriptor, and under LIMIT_IDLE from NOW_MS on.
 * NULL when all places are in use.
 */
struct conn *conn_begin(struct conn_table *t, uint64_t now_ms);

/* The same on a spare place. NULL when all of them are in use, too. */
struct conn *conn_begin_spare(struct conn_table *t, uint64_t now_ms);

/* Ends C. Its descriptor must have been given up before (fd and slot are -1). */
void conn_end(struct conn_table *t, struct conn *c);

/*
 * Puts C under LIMIT, whose time begins at NOW_MS, also if C was under it before. LIMIT_NONE: under
 * none. C is then not overdue.
 */
void conn_set_limit(struct conn_table *t, struct conn *c, enum conn_limit limit, uint64_t now_ms);

/*
 * Makes the connection whose time ran out first overdue, and returns it; NULL if there is none. It
 * is under no limit any more, so a loop over these calls ends.
 */
struct conn *conn_expired(struct conn_table *t, uint64_t now_ms);

/* Makes C, which is under a limit, overdue now. */
void conn_expire(struct conn_table *t, struct conn *c);

/* Whether C is under LIMIT, or overdue by it. */
static inline bool conn_is_under(const struct conn *c, enum conn_limit limit)
{
	return c->limit == limit || c->overdue == limit;
}

static inline bool conn_table_empty(const struct conn_table *t)
{
	return !t->used && !t->used_spare;
}

static inline uint32_t conn_spare_places(const struct conn_table *t)
{
	return t->capacity - t->places - t->used_spare;
}

/* Its place in the array. */
static inline uint32_t conn_place(const struct conn *c)
{
	return (uint32_t)c->id;
}

/* The connection with that ID; NULL if it has ended. The ID is one that a connection has had. */
static inline struct conn *conn_by_id(const struct conn_table *t, uint64_t id)
{
	struct conn *c;

	assert((uint32_t)id < t->capacity);
	c = &t->conns[(uint32_t)id];
	return c->id == id && c->state != CONN_FREE ? c : NULL;
}

#endif
