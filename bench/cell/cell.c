/* SPDX-License-Identifier: MIT */
/*
 * How a cell is measured, in this order:
 *
 *	count sockets -> start the server, wait until it listens with its set-up done -> set up the
 *	client -> warm up -> wait until those connections are gone -> read the instrument
 *	-> run the load -> wait until its sockets are gone -> read the instrument
 *	-> stop the server -> check that there are as many sockets as at first
 *
 * Between the two readings this process opens and closes no file descriptor.
 */
#include "cell/measurement.h"
#include "cell/reading.h"
#include "now.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_NS  5000000000LL
#define SOCKETS_NS 10000000000LL

bool cell_fail(struct measurement *m, const char *format, ...)
{
	va_list args;

	if (!m->why[0]) {
		va_start(args, format);
		vsnprintf(m->why, sizeof(m->why), format, args);
		va_end(args);
	}
	return false;
}

struct lock_watch *cell_watch(const struct measurement *m)
{
	return m->cell->unwatched ? NULL : m->setup->watch;
}

const char *cell_cpus(const char *cpus)
{
	return *cpus ? cpus : NULL;
}

/* ---- readings ---- */

/*
 * The last connections are closed when the server has nothing open and the kernel no socket more
 * than when it was ready. Somebody else's socket can keep the second from coming true: the server's
 * own word is enough then.
 */
static bool settle(struct measurement *m, json_t **totals)
{
	struct sockstat now;

	sockstat_wait(m->setup->files, &m->sockets_ready, sockstat_is_closed, SETTLE_NS / 10, &now);
	if (!m->has_server || m->server.is_silent)
		return true;
	for (unsigned int i = 0; i < SETTLE_NS / 50000000; i++) {
		json_t *open;

		json_decref(*totals);
		*totals = server_totals(&m->server, m->why, sizeof(m->why));
		if (!*totals)
			return false;
		open = json_object_get(*totals, "conns_now");
		if (!open || json_integer_value(open) == 0)
			return true;
		usleep(50000);
	}
	return cell_fail(m, "connections are still open in the server %lld s after the load",
			 SETTLE_NS / 1000000000);
}

static bool read_lock(struct measurement *m, struct lock_counts *counts)
{
	struct lock_watch *watch = cell_watch(m);

	return !watch || lock_read(watch, counts, m->why, sizeof(m->why));
}

/* With the totals where the server says it there, so that they are of one moment; else from outside. */
static struct moment server_moment(struct measurement *m, json_t *totals)
{
	json_t *told = json_object_get(totals, "cpu_us");
	struct moment moment = { .at_ns = now_ns() };

	if (told)
		moment.cpu_ns = (uint64_t)json_integer_value(told) * 1000;
	else if (m->has_server)
		moment.cpu_ns = server_cpu_ns(&m->server, m->setup->files);
	return moment;
}

static void read_server(struct measurement *m, const char *when)
{
	if (m->has_server)
		json_array_append_new(m->readings, reading_take(when, &m->server, m->setup->files));
}

static bool read_before(struct measurement *m)
{
	if (!settle(m, &m->totals_before))
		return false;
	read_server(m, "before");
	m->before = server_moment(m, m->totals_before);
	if (cell_watch(m))
		lock_aim(cell_watch(m), m->has_server ? m->server.child.pid : getpid());
	return read_lock(m, &m->lock_before);
}

static bool read_after(struct measurement *m)
{
	m->after = server_moment(m, NULL);
	if (!settle(m, &m->totals_after) || !read_lock(m, &m->lock_after))
		return false;
	if (m->totals_after)
		m->after = server_moment(m, m->totals_after);
	if (m->loaded)
		json_array_append(m->readings, m->loaded);
	read_server(m, "after");
	return true;
}

/* ---- what must be true of a good cell ---- */

static void check_client(struct measurement *m)
{
	if (m->cell->load == CELL_WRK) {
		if (m->wrk.socket_errors || m->wrk.bad_status)
			cell_fail(m,
				  "wrk saw %" PRIu64 " socket errors and %" PRIu64 " bad statuses",
				  m->wrk.socket_errors, m->wrk.bad_status);
		return;
	}
	if (m->result.stopped && !m->result.failed)
		cell_fail(m, "interrupted");
	else if (m->result.failed)
		cell_fail(m, "%" PRIu64 " of %" PRIu64 " connections failed, %s: %s",
			  m->result.failed, m->result.started, m->result.error[0].phase,
			  m->result.error[0].reason);
	else if (!m->result.good && cell_level(m->cell) != CELL_IDLE)
		cell_fail(m, "no connection was made");
	else if (m->totals_after && cell_connections(m) != (double)m->result.started)
		cell_fail(m, "storm made %" PRIu64 " connections, the server counted %.0f",
			  m->result.started, cell_connections(m));
}

static void check_sockets(struct measurement *m)
{
	const struct sockstat *before = &m->sockets_before, *after = &m->sockets_after;
	bool back = sockstat_wait(m->setup->files, before,
				  m->setup->own_network ? sockstat_is_back_here : sockstat_is_back,
				  SOCKETS_NS, &m->sockets_after);

	json_object_set_new(m->record, "sockets",
			    json_pack("{s:o,s:o,s:b}", "before", record_sockets(before), "after",
				      record_sockets(after), "back", back));
	if (!back)
		cell_fail(m,
			  "sockets are left over %lld s after the server's end: used %" PRIu64
			  " -> %" PRIu64 ", TCP in use %" PRIu64 " -> %" PRIu64
			  ", allocated %" PRIu64 " -> %" PRIu64,
			  SOCKETS_NS / 1000000000, before->used, after->used, before->tcp_inuse,
			  after->tcp_inuse, before->tcp_alloc, after->tcp_alloc);
}

/* ---- the cell ---- */

static bool measure(struct measurement *m)
{
	struct sockaddr_in address;

	if (!client_choose_load(m) || !target_start(m, &address) || !client_start(m, &address))
		return false;
	read_server(m, "ready");
	return sockstat_read(m->setup->files, &m->sockets_ready) == 0 && client_warm_up(m) &&
	       read_before(m) && client_drive(m) && read_after(m);
}

static void take_down(struct measurement *m)
{
	storm_destroy(m->storm);
	if (m->sink)
		sink_stop(m->sink);
	if (m->has_server) {
		char why[WHY_MAX] = "";

		if (!server_stop(&m->server, why, sizeof(why)))
			cell_fail(m, "%s", why);
	}
}

static enum cell_outcome conclude(struct measurement *m)
{
	enum cell_outcome outcome = CELL_OK;

	if (m->why[0])
		outcome = m->unsupported && !m->cell->asked_for ? CELL_SKIPPED : CELL_FAILED;
	json_object_set_new(m->record, "outcome", json_string(cell_outcomes[outcome]));
	json_object_set_new(m->record, "reason", m->why[0] ? json_string(m->why) : json_null());
	return outcome;
}

enum cell_outcome cell_run(const struct cell *cell, const struct cell_setup *setup, json_t *record)
{
	struct measurement *m = calloc(1, sizeof(*m));
	enum cell_outcome outcome;
	bool measured;

	if (!m)
		abort();
	m->cell = cell;
	m->setup = setup;
	m->record = record;
	m->readings = json_array();
	target_make_options(m);
	if (sockstat_read(setup->files, &m->sockets_before) < 0) {
		cell_fail(m, "cannot read /proc/net/sockstat");
	} else {
		measured = measure(m);
		if (!measured)
			cell_fail(m, "cannot read /proc/net/sockstat");
		record_server(m);
		if (measured) {
			check_client(m);
			record_lock(m);
			record_limit(m);
		}
		record_load(m);
		take_down(m);
		if (!m->unsupported)
			check_sockets(m);
	}
	json_object_set_new(record, "cell", record_cell(m));
	outcome = conclude(m);
	json_decref(m->readings);
	json_decref(m->loaded);
	json_decref(m->totals_before);
	json_decref(m->totals_after);
	free(m);
	return outcome;
}
