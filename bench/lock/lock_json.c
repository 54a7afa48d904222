/* SPDX-License-Identifier: MIT */
/* See lock_json.h. */
#include "lock/lock_json.h"

#define EMPTY_COSTS	2 /* an accept4 that finds nothing: reserve a number, put it back */
#define SWEEP_COSTS	1 /* a parked connection that grew too old: the placeholder replaces it */
#define NEIGHBOUR_COSTS 2 /* open, close */

static void set_figure(json_t *lock, const char *key, bool seen, double value)
{
	json_object_set_new(lock, key, seen ? json_real(value) : json_null());
}

static double total(json_t *totals, const char *key)
{
	return (double)json_integer_value(json_object_get(totals, key));
}

/*
 * The neighbours never stop, so between a look at their counter and one at the lock there are many
 * acquisitions: unless the instrument tells them apart, what is left of the difference is noise.
 */
static void set_acquisitions(json_t *lock, const struct lock_counts *d, json_t *totals, double n,
			     unsigned int neighbours)
{
	double empty = EMPTY_COSTS * total(totals, "accept_empty") / n;
	double sweeps = SWEEP_COSTS * total(totals, "swept") / n;
	bool seen = d->seen & LOCK_ACQUISITIONS, apart = d->seen & LOCK_NEIGHBOURS;
	/* other people's servers do not say how often they found nothing */
	bool told = seen && json_object_get(totals, "accept_empty");
	double theirs = apart ? d->neighbour_acquisitions
			      : NEIGHBOUR_COSTS * total(totals, "neighbour_opens");

	set_figure(lock, "acquisitions", seen, d->acquisitions);
	set_figure(lock, "acquisitions_per_connection", seen, d->acquisitions / n);
	set_figure(lock, "empty_accept_acquisitions_per_connection", told, empty);
	set_figure(lock, "sweep_acquisitions_per_connection", told, sweeps);
	set_figure(lock, "other_acquisitions_per_connection", told && (apart || !neighbours),
		   d->acquisitions / n - empty - sweeps);
	if (neighbours)
		set_figure(lock, "neighbour_acquisitions_per_connection", seen, theirs / n);
}

static void set_waits(json_t *lock, const struct lock_counts *d, double n, unsigned int neighbours)
{
	bool apart = d->seen & LOCK_NEIGHBOURS;

	set_figure(lock, "contentions", d->seen & LOCK_CONTENTIONS, d->contentions);
	set_figure(lock, "wait_ns", d->seen & LOCK_WAIT, d->wait_ns);
	set_figure(lock, "hold_ns", d->seen & LOCK_HOLD, d->hold_ns);
	set_figure(lock, "contentions_per_1000_connections", d->seen & LOCK_CONTENTIONS,
		   d->contentions / n * 1000);
	set_figure(lock, "wait_ns_per_connection", d->seen & LOCK_WAIT, d->wait_ns / n);
	set_figure(lock, "hold_ns_per_acquisition", (d->seen & LOCK_HOLD) && d->acquisitions > 0,
		   d->hold_ns / d->acquisitions);
	if (!neighbours || !(d->seen & LOCK_WAIT))
		return;
	json_object_set_new(lock, "waiters", json_string(apart ? "workers" : "all"));
	set_figure(lock, "neighbour_contentions", apart, d->neighbour_contentions);
	set_figure(lock, "neighbour_wait_ns", apart, d->neighbour_wait_ns);
}

static json_t *callers_json(struct lock_watch *watch, double n)
{
	struct lock_caller callers[LOCK_CALLERS_MAX];
	size_t found = lock_callers(watch, callers, LOCK_CALLERS_MAX);
	json_t *array = json_array();

	for (size_t i = 0; i < found; i++)
		json_array_append_new(
			array,
			json_pack("{s:s,s:s,s:s,s:f,s:f}", "function", callers[i].function,
				  "caller", callers[i].caller, "chain", callers[i].chain, "calls",
				  callers[i].calls, "calls_per_connection", callers[i].calls / n));
	return array;
}

json_t *lock_json(struct lock_watch *watch, const struct lock_counts *difference, json_t *totals,
		  double connections, unsigned int neighbours)
{
	json_t *lock = json_pack("{s:s,s:s,s:s}", "instrument", watch->name, "scope", watch->scope,
				 "blind", watch->blind);
	json_t *callers = callers_json(watch, connections);

	set_acquisitions(lock, difference, totals, connections, neighbours);
	set_waits(lock, difference, connections, neighbours);
	if (json_array_size(callers))
		json_object_set(lock, "callers", callers);
	json_decref(callers);
	return lock;
}
