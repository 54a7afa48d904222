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

static void answer(struct protocol *p, struct conn *c)
{
	struct http_answer a = http_answer(&c->http, p->draining);

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

void protocol_refuse(struct conn *c)
{
	struct http_answer a = http_refusal();

	c->out = a.data;
	c->out_len = a.len;
	c->last = c->linger = true;
}

/* Reads one request at most: one answer is sent at a time, which is all the back-pressure needed.
 */
static uint32_t http_received(struct protocol *p, struct conn *c, const char *data, uint32_t len)
{
	uint32_t used = (uint32_t)http_parse(&c->http, &p->options->limits, data, len);

	if (c->http.status)
		answer(p, c);
	return used;
}

int protocol_received(struct protocol *p, struct conn *c, const char *data, uint32_t len)
{
	uint32_t used;

	count_add(p->counters->bytes_in, len);
	if (p->options->protocol == PROTOCOL_ECHO) {
		c->carry = carry_new(data, len);
		if (!c->carry)
			return -ENOMEM;
		c->out = c->carry->data;
		c->out_len = len;
		return 0;
	}
	used = http_received(p, c, data, len);
	c->linger |= c->last && used < len;
	if (used < len && !c->last) {
		c->carry = carry_new(data + used, len - used);
		if (!c->carry)
			return -ENOMEM;
	}
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
	carry->at += http_received(p, c, carry->data + carry->at, carry->len - carry->at);
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
	answer(p, c);
}
