/* SPDX-License-Identifier: MIT */
/*
 * What an instrument saw over a load, as the record has it: per connection, and of what it
 * consists.
 */
#ifndef BENCH_LOCK_JSON_H
#define BENCH_LOCK_JSON_H

#include "lock/lock.h"

#include <jansson.h>

/* `totals` are the server's counters over the load, NULL when it has none. */
json_t *lock_json(struct lock_watch *watch, const struct lock_counts *difference, json_t *totals,
		  double connections, unsigned int neighbours);

#endif
