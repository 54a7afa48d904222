/* SPDX-License-Identifier: MIT */
/*
 * What a connection answers to the bytes it gets: HTTP or echo. How bytes are received and sent is
 * none of its business: both the ring's loop (serve.c) and the readiness loop (accept/epoll.c) use
 * it:
 *
 *   bytes received        -> protocol_received(), then send c->out if c->out_len is not 0
 *   all of c->out sent    -> protocol_sent(), then send c->out again if there is more
 *   the time limit passed -> protocol_timed_out(), then send c->out if there is something to say
 *
 * c->last says that the connection ends when c->out has been sent; c->linger, that the client may
 * send more all the same. The caller sets c->more when it knows of bytes that it has not received
 * yet.
 */
#ifndef SERVER_PROTOCOL_H
#define SERVER_PROTOCOL_H

#include "conn.h"
#include "counters.h"
#include "options.h"

struct protocol {
	const struct options *options;
	struct counters *counters;
	bool draining; /* no answer keeps its connection */
};

void protocol_init(struct protocol *p, const struct options *options, struct counters *counters);

/* From here on every answer is the last one of its connection. */
void protocol_drain(struct protocol *p);

/*
 * Takes the LEN bytes at DATA, which need not stay. Returns 0, or -ENOMEM: close the connection.
 * That is for echo alone; an HTTP request is answered, and those behind it are dropped with the
 * connection if there is no memory to keep them.
 */
int protocol_received(struct protocol *p, struct conn *c, const char *data, uint32_t len);

/* Makes the answer of C, if the protocol has one, say that the server is full. */
void protocol_refuse(const struct protocol *p, struct conn *c);

/* All of C's answer has been sent: makes the next one if a whole request has come already. */
void protocol_sent(struct protocol *p, struct conn *c);

/* C's time is over: makes an answer that says so if C is in the middle of a request. */
void protocol_timed_out(struct protocol *p, struct conn *c);

/* Whether C is between two requests: nothing of the next one has come. */
bool protocol_idle(const struct protocol *p, const struct conn *c);

#endif
