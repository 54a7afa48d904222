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
 *         │                           │  sent, and it was     │
 *         │                           │  the last             ▼ sent, and it refused
 *         │                           └◄───────────────── LINGERING    the request
 *         │                              end of stream, error, time limit
 *
 * What owns the descriptor in each state, and what is in flight:
 *
 *   FREE       nobody; nothing
 *   OPENING    the connection owns a slot; the INSTALL that gives it an fd
 *   RECEIVING  fd or slot; exactly one receive (dup: behind the chain that makes the fd)
 *   SENDING    fd or slot; exactly one send (with the close linked to it where the path allows)
 *   LINGERING  fd or slot; exactly one receive whose bytes are dropped, so that closing with unread
 *              bytes does not reset the connection before the client has read why it was refused
 *   RETIRING   the path's retire(): a close in flight, or nothing any more
 *
 * A connection is named by index and generation; the generation changes when it ends, so that a
 * late completion or event of an earlier connection in the same place is recognised.
 */
#ifndef SERVER_CONN_H
#define SERVER_CONN_H

#include <stdbool.h>
#include <stdint.h>

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
	LIMIT_LINGER,  /* refused; its last bytes are dropped */
	LIMIT_DRAIN,   /* idle while the server drains: no time at all */
	CONN_LIMITS,
	LIMIT_NONE = CONN_LIMITS,
};

enum { NO_CONN = UINT32_MAX, GENERATION_BITS = 24 };

/* Bytes received behind a complete request, kept until the answer to it has been sent. */
struct carry {
	uint32_t at, len;
	char data[];
};

struct conn {
	uint32_t generation;
	uint8_t state;	    /* enum conn_state */
	uint8_t limit;	    /* enum conn_limit */
	bool last : 1;	    /* the connection ends when OUT has been sent */
	bool linger : 1;    /* and was refused, so that unread bytes may follow */
	bool timed_out : 1; /* its request in flight is being cancelled */
	bool suspect : 1;   /* its completion may have been dropped: see recover.h */
	bool served : 1;    /* at least one answer has been sent */
	bool watched : 1;   /* epoll: it is in the interest list */
	uint8_t dup_tries;
	int fd;		     /* -1: none */
	int slot;	     /* -1: none */
	uint32_t prev, next; /* in the queue of its limit; next also in the free list */
	uint64_t since_ms;   /* when it entered that queue */
	const char *out;     /* what is being sent: constant, or inside CARRY */
	uint32_t out_len;
	struct carry *carry; /* owned */
	struct http_request http;
};

struct conn_table {
	struct conn *conns;
	uint32_t capacity, used;
	uint32_t free; /* head of the free list */
	uint32_t head[CONN_LIMITS], tail[CONN_LIMITS];
	uint64_t limit_ms[CONN_LIMITS];
};

/* Makes a table for CAPACITY connections. Returns 0 or -ENOMEM. */
int conn_table_init(struct conn_table *t, uint32_t capacity);
void conn_table_free(struct conn_table *t);

/* A free connection in state OPENING with no descriptor, or NULL when all are in use. */
struct conn *conn_begin(struct conn_table *t);

/* Ends C, whose descriptor must have been given up (fd and slot -1). */
void conn_end(struct conn_table *t, struct conn *c);

/* Puts C under LIMIT from NOW_MS on (again, if it was); LIMIT_NONE lifts all. */
void conn_set_limit(struct conn_table *t, struct conn *c, enum conn_limit limit, uint64_t now_ms);

/*
 * The oldest connection whose time ran out, taken off its queue; NULL if there is none. At most as
 * many calls as there are connections return one.
 */
struct conn *conn_expired(struct conn_table *t, uint64_t now_ms);

static inline uint32_t conn_index(const struct conn_table *t, const struct conn *c)
{
	return (uint32_t)(c - t->conns);
}

#endif
