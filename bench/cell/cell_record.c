/* SPDX-License-Identifier: MIT */
/* Writes the record of a cell; record.h describes its contents. See measurement.h. */
#include "cell/limit.h"
#include "cell/measurement.h"
#include "cell/peer.h"
#include "load/storm_json.h"
#include "lock/lock_json.h"

#include <math.h>
#include <string.h>

static json_t *totals_difference(const struct measurement *m)
{
	json_t *difference = json_object(), *value;
	const char *key;

	json_object_foreach (m->totals_after, key, value) {
		json_int_t before = json_integer_value(json_object_get(m->totals_before, key));
		size_t len = strlen(key);
		/* Gauges are what they are at the end. */
		bool gauge = (len > 4 && !strcmp(key + len - 4, "_now")) ||
			     (len > 5 && !strcmp(key + len - 5, "_peak"));

		json_object_set_new(difference, key,
				    json_integer(json_integer_value(value) - (gauge ? 0 : before)));
	}
	return difference;
}

double cell_connections(const struct measurement *m)
{
	json_t *totals = json_object_get(json_object_get(m->record, "server"), "totals");

	if (!m->totals_after)
		return m->cell->load == CELL_WRK ? (double)m->wrk.requests : (double)m->result.good;
	return (double)json_integer_value(json_object_get(totals, "accepts"));
}

/* Of the server, without its neighbours. */
static double cpu_us(const struct measurement *m)
{
	json_t *totals = json_object_get(json_object_get(m->record, "server"), "totals");
	double us = (double)(m->after.cpu_ns - m->before.cpu_ns) / 1e3;

	return us - (double)json_integer_value(json_object_get(totals, "neighbour_cpu_us"));
}

void record_server(struct measurement *m)
{
	json_t *server = json_object_get(m->record, "server");

	if (json_array_size(m->readings))
		json_object_set(server, "readings", m->readings);
	if (!m->after.cpu_ns)
		return;
	if (m->totals_after)
		json_object_set_new(server, "totals", totals_difference(m));
	if (cell_connections(m) > 0)
		json_object_set_new(server, "cpu_us_per_connection",
				    json_real(cpu_us(m) / cell_connections(m)));
}

static json_t *share_json(double share)
{
	return isnan(share) ? json_null() : json_real(share);
}

/*
 * Of the time from before the load to its end; the server may be looked at some milliseconds later,
 * when its last connections are closed. A thread can use one CPU at most.
 */
void record_limit(struct measurement *m)
{
	bool is_wrk = m->cell->load == CELL_WRK;
	unsigned int threads = m->setup->storm.threads;
	unsigned int client_cpus = child_count_cpus(cell_cpus(m->client_cpus));
	unsigned int server_cpus = child_count_cpus(cell_cpus(m->server_cpus));
	double load_ns = (double)(is_wrk ? m->wrk.elapsed_ns : m->result.elapsed_ns);
	double client_ns = (double)(is_wrk ? m->wrk.cpu_ns : m->result.cpu_ns);
	struct limit_shares shares = { .client = NAN, .server = NAN, .late = 0 };
	enum limit limit;

	client_cpus = client_cpus < threads ? client_cpus : threads;
	server_cpus = server_cpus < m->cell->workers ? server_cpus : m->cell->workers;
	if (load_ns > 0 && client_cpus)
		shares.client = client_ns / load_ns / client_cpus;
	if (m->after.cpu_ns && load_ns > 0 && server_cpus)
		shares.server = cpu_us(m) * 1e3 / load_ns / server_cpus;
	if (m->load.rate_per_s > 0 && m->result.started)
		shares.late = (double)m->result.late / (double)m->result.started;
	limit = limit_of(&shares);
	json_object_set_new(m->record, "limit",
			    json_pack("{s:i,s:o,s:i,s:o,s:f,s:s?}", "client_cpus", (int)client_cpus,
				      "client_cpu_share", share_json(shares.client), "server_cpus",
				      (int)server_cpus, "server_cpu_share",
				      share_json(shares.server), "late_share", shares.late, "by",
				      limit_names[limit]));
}

void record_lock(struct measurement *m)
{
	struct lock_counts difference = lock_difference(&m->lock_before, &m->lock_after);
	json_t *totals = json_object_get(json_object_get(m->record, "server"), "totals");
	json_t *lock;

	if (m->cell->unwatched)
		lock = json_pack("{s:n,s:s}", "instrument", "reason",
				 "switched off for this cell, to measure what it costs");
	else if (!m->setup->watch)
		lock = json_pack("{s:n,s:s}", "instrument", "reason", m->setup->blind_because);
	else if (m->cell->load == CELL_WRK && !m->setup->watch->one_process)
		lock = json_pack("{s:n,s:s}", "instrument", "reason",
				 "the instrument counts wrk's own sockets as well");
	else if (m->setup->watch->one_process &&
		 peer_has_processes(m->cell->accept, m->cell->workers))
		lock = json_pack(
			"{s:n,s:s}", "instrument", "reason",
			"its workers are processes with an fd table each, and the instrument "
			"watches one process");
	else if (cell_connections(m) > 0)
		lock = lock_json(cell_watch(m), &difference, totals, cell_connections(m),
				 cell_neighbours(m->cell));
	else
		return;
	json_object_set_new(m->record, "lock", lock);
}

json_t *record_sockets(const struct sockstat *stat)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "used", (json_int_t)stat->used, "tcp_inuse",
			 (json_int_t)stat->tcp_inuse, "tcp_orphan", (json_int_t)stat->tcp_orphan,
			 "tcp_alloc", (json_int_t)stat->tcp_alloc, "tcp_time_wait",
			 (json_int_t)stat->tcp_tw);
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

/* A key for what each experiment varies; of this cell's experiment the value, and 0 of the others. */
static void set_values(json_t *json, const struct cell *cell)
{
	for (size_t i = 0; i < n_experiments; i++) {
		const struct experiment_axis *axis = &experiments[i].axis;
		unsigned int value = cell->experiment == &experiments[i] ? cell->value : 0;

		if (axis->kind == AXIS_LEVEL)
			json_object_set_new(json, axis->key, text_or_null(cell_levels[value]));
		else if (axis->kind != AXIS_WORKERS)
			json_object_set_new(json, axis->key, json_integer(value));
	}
}

json_t *record_cell(const struct measurement *m)
{
	const struct cell *cell = m->cell;
	const struct cell_peak *peak = &m->setup->peak;
	char name[CELL_NAME];
	json_t *json;

	cell_name(cell, name, sizeof(name));
	json = json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:s,s:i,s:b,s:o}", "name", name, "experiment",
			 cell->experiment->name, "accept", cell->accept, "workers",
			 (int)cell->workers, "fd_table", cell->fd_table, "listener",
			 m->setup->listener, "load", cell_loads[cell->load], "repetition",
			 (int)cell->repetition, "watched", !cell->unwatched, "server_options",
			 target_options(m));
	json_object_set_new(json, "server_cpus", text_or_null(m->server_cpus));
	json_object_set_new(json, "client_cpus", text_or_null(m->client_cpus));
	json_object_set_new(json, "neighbour_cpus",
			    text_or_null(cell_neighbours(cell) ? m->setup->neighbour_cpus : NULL));
	json_object_set_new(json, "pair", text_or_null(cell->pair));
	json_object_set_new(json, "park", cell->unparked ? json_integer(0) : json_null());
	set_values(json, cell);
	json_object_set_new(json, "peak_connections_per_s",
			    cell_rate_percent(cell) ? json_real(peak->connections_per_s)
						    : json_null());
	json_object_set_new(json, "peak_accept",
			    text_or_null(cell_rate_percent(cell) ? peak->accept : NULL));
	return json;
}

void record_load(struct measurement *m)
{
	if (m->cell->load == CELL_WRK)
		json_object_set_new(m->record, "wrk", wrk_json(&m->wrk));
	else
		json_object_set_new(m->record, "storm",
				    json_pack("{s:o,s:o}", "load",
					      storm_options_json(&m->setup->storm, &m->load),
					      "result", storm_result_json(&m->result)));
}
