/* SPDX-License-Identifier: MIT */
#include "protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void protocol_init(struct protocol *p, const struct options *options, struct counters *counters)
{
	*p = (struct protocol){ .options = options, .counters = counters };
}

void protocol_drain(struct protocol *p)
{
	p->draining = true;
}

static struct carry *carry_new(const char *data, uint32_t len)
{
	struct carry *carry = malloc(sizeof(*carry) + len);

	if (carry) {
		carry->at = 0;
		carry->len = len;
		memcpy(carry->data, data, len);
	}
	return carry;
}

static void carry_drop(struct conn *c)
{
	free(c->carry);
	c->carry = NULL;
}

/* CLOSE: it is the last one in any case. */
static void answer(struct protocol *p, struct conn *c, bool close)
{
	struct http_answer a = http_answer(&c->http, p->draining || close);

	if (c->http.status == 200)
		count(p->counters->requests);
	else if (c->http.status != 100)
		count(p->counters->requests_bad);
	c->out = a.data;
	c->out_len = a.len;
	c->last = a.close;
	c->linger = a.close && (c->more || !http_is_last(&c->http));
	http_next(&c->http);
}

void protocol_refuse(const struct protocol *p, struct conn *c)
{
	struct http_answer a = http_refusal();

	if (p->options->protocol == PROTOCOL_ECHO)
		return;
	c->out = a.data;
	c->out_len = a.len;
	c->last = c->linger = true;
}

static int echo_received(struct protocol *p, struct conn *c, const char *data, uint32_t len)
{
	c->carry = carry_new(data, len);
	if (!c->carry) {
		count(p->counters->no_memory);
		return -ENOMEM;
	}
	c->out = c->carry->data;
	c->out_len = len;
	return 0;
}

/*
 * Reads one request at most: one answer is sent at a time, which is all the back-pressure needed.
 * What stands behind it is kept; if there is no memory for that, this answer is the last one.
 */
static void http_received(struct protocol *p, struct conn *c, const char *data, uint32_t len)
{
	uint32_t used = (uint32_t)http_parse(&c->http, &p->options->limits, data, len);
	bool more = used < len;

	if (!c->http.status)
		return;
	if (more)
		c->carry = carry_new(data + used, len - used);
	if (more && !c->carry) {
		count(p->counters->no_memory);
		if (c->http.status == 100)
			c->http.status = 503; /* a part of the body is lost */
	}
	answer(p, c, more && !c->carry);
	c->linger |= c->last && more;
	if (c->last)
		carry_drop(c);
}

int protocol_received(struct protocol *p, struct conn *c, const char *data, uint32_t len)
{
	count_add(p->counters->bytes_in, len);
	if (p->options->protocol == PROTOCOL_ECHO)
		return echo_received(p, c, data, len);
	http_received(p, c, data, len);
	return 0;
}

void protocol_sent(struct protocol *p, struct conn *c)
{
	struct carry *carry = c->carry;

	c->served = true;
	if (!carry)
		return;
	if (p->options->protocol == PROTOCOL_ECHO) {
		count(p->counters->requests);
		carry_drop(c);
		return;
	}
	carry->at += (uint32_t)http_parse(&c->http, &p->options->limits, carry->data + carry->at,
					  carry->len - carry->at);
	if (c->http.status)
		answer(p, c, false);
	c->linger |= c->last && carry->at < carry->len;
	if (carry->at == carry->len || c->last)
		carry_drop(c);
}

bool protocol_idle(const struct protocol *p, const struct conn *c)
{
	return p->options->protocol == PROTOCOL_ECHO || !c->http.started;
}

void protocol_timed_out(struct protocol *p, struct conn *c)
{
	if (protocol_idle(p, c))
		return;
	c->http.status = 408;
	answer(p, c, false);
}
