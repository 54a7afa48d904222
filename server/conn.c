/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int conn_table_init(struct conn_table *t, uint32_t capacity)
{
	uint32_t i;

	memset(t, 0, sizeof(*t));
	t->conns = calloc(capacity, sizeof(*t->conns));
	if (!t->conns)
		return -ENOMEM;
	t->capacity = capacity;
	for (i = 0; i < capacity; i++) {
		t->conns[i].next = i + 1 < capacity ? i + 1 : NO_CONN;
		t->conns[i].limit = LIMIT_NONE;
		t->conns[i].fd = t->conns[i].slot = -1;
	}
	for (i = 0; i < CONN_LIMITS; i++)
		t->head[i] = t->tail[i] = NO_CONN;
	return 0;
}

void conn_table_free(struct conn_table *t)
{
	uint32_t i;

	for (i = 0; i < t->capacity; i++)
		free(t->conns[i].carry);
	free(t->conns);
	memset(t, 0, sizeof(*t));
}

struct conn *conn_begin(struct conn_table *t)
{
	struct conn *c;

	if (t->free == NO_CONN)
		return NULL;
	c = &t->conns[t->free];
	assert(c->state == CONN_FREE);
	t->free = c->next;
	t->used++;
	c->state = CONN_OPENING;
	return c;
}

void conn_end(struct conn_table *t, struct conn *c)
{
	uint32_t generation = (c->generation + 1) & ((1U << GENERATION_BITS) - 1);

	assert(c->state != CONN_FREE && c->fd < 0 && c->slot < 0);
	conn_set_limit(t, c, LIMIT_NONE, 0);
	free(c->carry);
	memset(c, 0, sizeof(*c));
	c->generation = generation;
	c->limit = LIMIT_NONE;
	c->fd = c->slot = -1;
	c->next = t->free;
	t->free = conn_index(t, c);
	t->used--;
}

static void unlink_limit(struct conn_table *t, struct conn *c)
{
	uint32_t *from_prev = c->prev == NO_CONN ? &t->head[c->limit] : &t->conns[c->prev].next;
	uint32_t *from_next = c->next == NO_CONN ? &t->tail[c->limit] : &t->conns[c->next].prev;

	*from_prev = c->next;
	*from_next = c->prev;
	c->limit = LIMIT_NONE;
}

void conn_set_limit(struct conn_table *t, struct conn *c, enum conn_limit limit, uint64_t now_ms)
{
	uint32_t index = conn_index(t, c);

	if (c->limit != LIMIT_NONE)
		unlink_limit(t, c);
	if (limit == LIMIT_NONE)
		return;
	c->limit = (uint8_t)limit;
	c->since_ms = now_ms;
	c->prev = t->tail[limit];
	c->next = NO_CONN;
	if (c->prev == NO_CONN)
		t->head[limit] = index;
	else
		t->conns[c->prev].next = index;
	t->tail[limit] = index;
}

struct conn *conn_expired(struct conn_table *t, uint64_t now_ms)
{
	unsigned limit;

	for (limit = 0; limit < CONN_LIMITS; limit++) {
		struct conn *c;

		if (t->head[limit] == NO_CONN)
			continue;
		c = &t->conns[t->head[limit]];
		if (now_ms - c->since_ms < t->limit_ms[limit])
			continue;
		unlink_limit(t, c);
		return c;
	}
	return NULL;
}
