/* SPDX-License-Identifier: MIT */
/* See pairs.h. */
#include "plan/pairs.h"
#include "cell/record.h"
#include "report/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * By the name of the pair: {first: the figure of the cell that came first, about: was it the cell
 * itself?, repetition: of that one, logs: [log of cell over other], lacking}
 */
bool pairs_init(struct pairs *pairs, double precision)
{
	pairs->precision = precision;
	pairs->known = json_object();
	return pairs->known != NULL;
}

void pairs_free(struct pairs *pairs)
{
	json_decref(pairs->known);
}

/* Of the latency, the time that 99 % take; of all others, CPU time, which no client limits. */
static double figure_of(const struct cell *cell, json_t *record)
{
	json_t *whole = json_object_get(json_object_get(json_object_get(record, "storm"), "result"),
					"whole");
	double value = NAN;

	if (cell->experiment->axis.kind == AXIS_RATE)
		return json_is_number(json_object_get(whole, "p99_us"))
			       ? json_number_value(json_object_get(whole, "p99_us"))
			       : NAN;
	record_number(record, "server", "cpu_us_per_connection", &value);
	return value;
}

static json_t *entry_of(struct pairs *pairs, const struct cell *cell)
{
	json_t *entry = json_object_get(pairs->known, cell->pair);

	if (entry)
		return entry;
	entry = json_pack("{s:[]}", "logs");
	if (!entry || json_object_set_new(pairs->known, cell->pair, entry))
		abort();
	return entry;
}

/* The one that came first, if the other of this very pair was measured; NULL: it failed, or is to come. */
static json_t *pending(json_t *entry, const struct cell *cell)
{
	json_int_t repetition = json_integer_value(json_object_get(entry, "repetition"));

	return repetition == cell->repetition ? json_object_get(entry, "first") : NULL;
}

void pairs_note(struct pairs *pairs, const struct cell *cell, json_t *record)
{
	json_t *entry, *first;
	char name[CELL_NAME];
	double value, other;
	bool about;

	if (!*cell->pair)
		return;
	entry = entry_of(pairs, cell);
	first = pending(entry, cell);
	value = figure_of(cell, record);
	cell_name(cell, name, sizeof(name));
	about = !strcmp(name, cell->pair);
	if (!first) {
		json_object_set_new(entry, "first",
				    isfinite(value) ? json_real(value) : json_null());
		json_object_set_new(entry, "about", json_boolean(about));
		json_object_set_new(entry, "repetition", json_integer(cell->repetition));
		return;
	}
	other = json_is_real(first) ? json_real_value(first) : NAN;
	if (value > 0 && other > 0)
		json_array_append_new(json_object_get(entry, "logs"),
				      json_real(about ? log(value / other) : log(other / value)));
	json_object_del(entry, "first");
}

void pairs_give_up(struct pairs *pairs, const struct cell *cell)
{
	if (*cell->pair)
		json_object_set_new(entry_of(pairs, cell), "lacking", json_true());
}

static bool is_precise(const struct pairs *pairs, json_t *entry)
{
	json_t *logs = json_object_get(entry, "logs");
	size_t n = json_array_size(logs);
	double *log_ratio = calloc(n + 1, sizeof(*log_ratio));
	struct ratio ratio;
	bool precise;

	if (!log_ratio)
		abort();
	for (size_t i = 0; i < n; i++)
		log_ratio[i] = json_real_value(json_array_get(logs, i));
	precise = n >= STATS_PAIRS_MIN && stats_of_logs(log_ratio, n, STATS_MISS, &ratio) &&
		  log(ratio.high / ratio.low) / 2 <= log1p(pairs->precision);
	free(log_ratio);
	return precise;
}

bool pairs_settled(const struct pairs *pairs, const struct cell *cell)
{
	json_t *entry = *cell->pair ? json_object_get(pairs->known, cell->pair) : NULL;

	if (!entry)
		return false;
	if (json_object_get(entry, "lacking"))
		return true;
	return !pending(entry, cell) && is_precise(pairs, entry);
}

void pairs_count(const struct pairs *pairs, size_t *all, size_t *precise)
{
	const char *name;
	json_t *entry;

	*all = *precise = 0;
	json_object_foreach (pairs->known, name, entry) {
		if (json_object_get(entry, "lacking"))
			continue;
		++*all;
		*precise += is_precise(pairs, entry);
	}
}
