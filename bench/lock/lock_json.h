/* SPDX-License-Identifier: MIT */
/*
 * The figures of an instrument over a load, in the format of the record: per connection, and by
 * cause.
 */
#ifndef BENCH_LOCK_JSON_H
#define BENCH_LOCK_JSON_H

#include "lock/lock.h"

#include <jansson.h>

/*
 * A new object, the key "lock" of a record. `totals` has the server's counters over the load; NULL:
 * the server has none.
 */
json_t *lock_json(struct lock_watch *watch, const struct lock_counts *difference, json_t *totals,
		  double connections, unsigned int neighbours);

#endif
