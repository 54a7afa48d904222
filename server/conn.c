/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int conn_table_init(struct conn_table *t, uint32_t places, uint32_t spare,
		    const uint64_t limit_ms[CONN_LIMITS], struct counters *counters)
{
	uint32_t i;

	memset(t, 0, sizeof(*t));
	t->conns = calloc(places + spare, sizeof(*t->conns));
	if (!t->conns)
		return -ENOMEM;
	t->places = places;
	t->capacity = places + spare;
	t->free_spare = spare ? places : NO_CONN;
	for (i = 0; i < t->capacity; i++) {
		bool last = i + 1 == places || i + 1 == t->capacity;

		t->conns[i].id = i;
		t->conns[i].next = last ? NO_CONN : i + 1;
		t->conns[i].limit = t->conns[i].overdue = LIMIT_NONE;
		t->conns[i].fd = t->conns[i].slot = -1;
	}
	for (i = 0; i < CONN_LIMITS; i++)
		t->head[i] = t->tail[i] = NO_CONN;
	memcpy(t->limit_ms, limit_ms, sizeof(t->limit_ms));
	t->counters = counters;
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

static struct conn *take(struct conn_table *t, uint32_t *free_list)
{
	struct conn *c;

	if (*free_list == NO_CONN)
		return NULL;
	c = &t->conns[*free_list];
	assert(c->state == CONN_FREE);
	*free_list = c->next;
	c->state = CONN_OPENING;
	return c;
}

struct conn *conn_begin(struct conn_table *t, uint64_t now_ms)
{
	struct conn *c = take(t, &t->free);

	if (!c)
		return NULL;
	t->used++;
	conn_set_limit(t, c, LIMIT_IDLE, now_ms);
	count_set(t->counters->conns_now, t->used);
	if (t->used > t->counters->conns_peak)
		count_set(t->counters->conns_peak, t->used);
	return c;
}

struct conn *conn_begin_spare(struct conn_table *t, uint64_t now_ms)
{
	struct conn *c = take(t, &t->free_spare);

	if (c) {
		t->used_spare++;
		c->spare = true;
		conn_set_limit(t, c, LIMIT_IDLE, now_ms);
	}
	return c;
}

void conn_end(struct conn_table *t, struct conn *c)
{
	uint64_t next_id = (c->id + CONN_GENERATION) % (UINT64_C(1) << CONN_ID_BITS);
	bool spare = c->spare, refused = c->refused;
	uint32_t *free_list = spare ? &t->free_spare : &t->free;

	assert(c->state != CONN_FREE && c->fd < 0 && c->slot < 0);
	conn_set_limit(t, c, LIMIT_NONE, 0);
	free(c->carry);
	memset(c, 0, sizeof(*c));
	c->id = next_id;
	c->limit = c->overdue = LIMIT_NONE;
	c->fd = c->slot = -1;
	c->next = *free_list;
	*free_list = conn_place(c);
	if (!refused)
		count(t->counters->closed);
	if (spare) {
		t->used_spare--;
		return;
	}
	t->used--;
	count_set(t->counters->conns_now, t->used);
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
	uint32_t index = conn_place(c);

	c->overdue = LIMIT_NONE;
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

void conn_expire(struct conn_table *t, struct conn *c)
{
	uint8_t limit = c->limit;

	unlink_limit(t, c);
	c->overdue = limit;
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
		conn_expire(t, c);
		return c;
	}
	return NULL;
}
