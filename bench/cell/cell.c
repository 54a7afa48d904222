/* SPDX-License-Identifier: MIT */
/*
 * How a cell is measured, in this order:
 *
 *	count sockets -> start the server, wait until it listens with its set-up done -> set up the
 *	client -> warm up -> wait until those connections are gone -> read the instrument
 *	-> drive the load -> wait until its sockets are gone -> read the instrument
 *	-> stop the server -> the sockets must be as many as at first
 *
 * Between the two readings this process opens and closes no file descriptor.
 */
#include "cell/cell.h"
#include "cell/limit.h"
#include "cell/place.h"
#include "lock/lock_json.h"
#include "cell/peer.h"
#include "cell/reading.h"
#include "cell/server.h"
#include "load/sink.h"
#include "cell/sockstat.h"
#include "load/storm_json.h"
#include "load/wrk.h"
#include "now.h"

#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_NS      5000000000LL
#define SOCKETS_NS     10000000000LL
#define WHY_MAX	       1024
#define ARGS_MAX       (32 + LIST_MAX)
#define WARM_UP_ROUNDS 6
#define WARM_UP_AGREE  0.1
#define OPTIONS_MAX    8
#define LIGHT_RATE     200 /* connections per second of the level "light" */
#define PARK_TIMEOUT_S 1   /* where there are levels: short enough for all to be swept */
#define IDLE_NS	       2500000000

const char *const cell_loads[] = { "storm", "wrk", NULL };
const char *const cell_levels[] = { "", "idle", "light", "saturated", NULL };
const char *const cell_outcomes[] = { "ok", "failed", "skipped", NULL };

/* CPU time of the server so far, its neighbours' included, and when that was. */
struct moment {
	uint64_t cpu_ns, at_ns;
};

/* Everything a cell holds while it runs. */
struct measurement {
	const struct cell *cell;
	const struct cell_setup *setup;
	json_t *record;
	char why[WHY_MAX]; /* "" while all is well; the first thing that went wrong */
	bool unsupported;
	bool has_server;
	struct server server;
	struct sink *sink;
	struct storm *storm;
	struct sockstat sockets_before, sockets_ready, sockets_after;
	struct lock_counts lock_before, lock_after;
	json_t *totals_before, *totals_after;
	struct moment before, after;
	struct storm_load load;
	struct storm_result result;
	struct wrk_result wrk;
	char server_cpus[64], client_cpus[512]; /* "" : not bound */
	char option[OPTIONS_MAX][24];		/* the server's, that this cell varies */
	size_t n_options;
	json_t *readings, *loaded;
};

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
							 const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

static unsigned int value_of(const struct cell *cell, enum axis_kind kind)
{
	return cell->experiment->axis.kind == kind ? cell->value : 0;
}

unsigned int cell_option(const struct cell *cell)
{
	return value_of(cell, AXIS_OPTION);
}

unsigned int cell_neighbours(const struct cell *cell)
{
	return cell->experiment->axis.neighbours ? cell_option(cell) : 0;
}

unsigned int cell_rate_percent(const struct cell *cell)
{
	return value_of(cell, AXIS_RATE);
}

enum cell_level cell_level(const struct cell *cell)
{
	return (enum cell_level)value_of(cell, AXIS_LEVEL);
}

void cell_name(const struct cell *cell, char *text, size_t size)
{
	const struct experiment_axis *axis = &cell->experiment->axis;

	snprintf(text, size, "%s: %s workers=%u fd-table=%s load=%s", cell->experiment->name,
		 cell->accept, cell->workers, cell->fd_table, cell_loads[cell->load]);
	if (*cell->options)
		append(text, size, " %s", cell->options);
	if (cell->unparked)
		append(text, size, " park=0");
	if (cell_level(cell))
		append(text, size, " %s=%s", axis->name, cell_levels[cell->value]);
	else if (cell->value)
		append(text, size, " %s=%u%s", axis->name, cell->value,
		       axis->kind == AXIS_RATE ? "%" : "");
	if (cell->instrument)
		append(text, size, " instrument=%s", cell->instrument);
	if (cell->has_twin)
		append(text, size, cell->unwatched ? " unwatched" : " watched");
}

__attribute__((format(printf, 2, 3))) static bool fail(struct measurement *m, const char *format,
						       ...)
{
	va_list args;

	if (!m->why[0]) {
		va_start(args, format);
		vsnprintf(m->why, sizeof(m->why), format, args);
		va_end(args);
	}
	return false;
}

/* NULL: this cell is not watched. */
static struct lock_watch *watch_of(const struct measurement *m)
{
	return m->cell->unwatched ? NULL : m->setup->watch;
}

static bool is_self_check(const struct measurement *m)
{
	return !strcmp(m->cell->accept, CELL_SELF_CHECK);
}

/* ---- the server ---- */

static void add_option(struct measurement *m, const char *dashes, const char *name,
		       unsigned int value, const char *unit)
{
	snprintf(m->option[m->n_options++], sizeof(m->option[0]), "%s%s", dashes, name);
	snprintf(m->option[m->n_options++], sizeof(m->option[0]), "%u%s", value, unit);
}

static void make_options(struct measurement *m)
{
	const struct cell *cell = m->cell;
	char copy[128];
	char *cursor = copy, *word;

	snprintf(copy, sizeof(copy), "%s", cell->options);
	while ((word = strsep(&cursor, " ")))
		if (*word)
			snprintf(m->option[m->n_options++], sizeof(m->option[0]), "%s", word);
	if (cell->unparked)
		add_option(m, "", CELL_PARK, 0, "");
	if (cell_option(cell))
		add_option(m, "--", cell->experiment->axis.name, cell->value, "");
	if (cell_level(cell))
		add_option(m, "", CELL_PARK_TIMEOUT, PARK_TIMEOUT_S, "s");
}

/* The server's further options as one text: cells that differ in them are different cells. */
static json_t *extra_options(const struct measurement *m)
{
	const struct text_list *args = m->setup->server_args;
	char text[1024] = "";

	for (size_t i = 0; i < m->n_options; i++)
		append(text, sizeof(text), "%s%s", i ? " " : "", m->option[i]);
	for (size_t i = 0; i < args->n; i++)
		append(text, sizeof(text), "%s%s", *text ? " " : "", args->item[i]);
	return json_string(text);
}

/* Appends the CPUs from the `from`-th allowed one on, at most `n`; how many there were. */
static unsigned int list_cpus(const cpu_set_t *allowed, unsigned int from, unsigned int n,
			      char *text, size_t size)
{
	unsigned int seen = 0, listed = 0;

	for (int cpu = 0; cpu < CPU_SETSIZE && listed < n; cpu++) {
		if (!CPU_ISSET(cpu, allowed) || seen++ < from)
			continue;
		append(text, size, "%s%d", listed++ ? "," : "", cpu);
	}
	return listed;
}

/* Where the experiment wants the two apart, and the command line does not say how. */
static bool choose_cpus(struct measurement *m)
{
	const struct cell_setup *setup = m->setup;
	unsigned int workers = m->cell->workers;
	cpu_set_t allowed;

	if (setup->server_cpus)
		snprintf(m->server_cpus, sizeof(m->server_cpus), "%s", setup->server_cpus);
	if (setup->client_cpus)
		snprintf(m->client_cpus, sizeof(m->client_cpus), "%s", setup->client_cpus);
	if (!m->cell->experiment->own_cpus || setup->server_cpus || setup->client_cpus)
		return true;
	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (list_cpus(&allowed, 0, workers, m->server_cpus, sizeof(m->server_cpus)) == workers &&
	    list_cpus(&allowed, workers, CPU_SETSIZE, m->client_cpus, sizeof(m->client_cpus)))
		return true;
	m->unsupported = true;
	return fail(m, "%u workers on CPUs of their own and a client on others: only %d CPUs here",
		    workers, CPU_COUNT(&allowed));
}

static const char *cpus_or_null(const char *cpus)
{
	return *cpus ? cpus : NULL;
}

static void set_command(struct measurement *m, char *const argv[])
{
	json_t *command = json_array();

	for (size_t i = 0; argv[i]; i++)
		json_array_append_new(command, json_string(argv[i]));
	json_object_set_new(m->record, "server", json_pack("{s:o}", "command", command));
}

/* On CPUs of their own they take the lock and not the workers' time. */
static bool place_neighbours(struct measurement *m)
{
	const char *cpus = m->setup->neighbour_cpus;
	int n;

	if (!cpus || !cell_neighbours(m->cell))
		return true;
	n = place_threads(m->server.child.pid, LOCK_NEIGHBOUR_NAME, cpus);
	if (n < 0)
		return fail(m, "--neighbour-cpus: cannot run on CPUs '%s': %s", cpus, strerror(-n));
	return n == (int)cell_neighbours(m->cell) ||
	       fail(m,
		    "--neighbour-cpus: %u neighbours were asked for, the server has %d threads "
		    "called " LOCK_NEIGHBOUR_NAME,
		    cell_neighbours(m->cell), n);
}

static bool start_server(struct measurement *m)
{
	const struct cell_setup *setup = m->setup;
	char workers[16], protocol[16];
	const char *argv[ARGS_MAX] = {
		setup->server,	   "--accept",	 m->cell->accept, "--workers",	workers,
		"--address",	   "127.0.0.1",	 "--port",	  "0",		"--fd-table",
		m->cell->fd_table, "--listener", setup->listener, "--protocol", protocol,
	};
	enum server_verdict verdict;
	size_t n = 15;

	snprintf(workers, sizeof(workers), "%u", m->cell->workers);
	snprintf(protocol, sizeof(protocol), "%s", storm_protocols[setup->storm.protocol]);
	for (size_t i = 0; i < m->n_options; i++)
		argv[n++] = m->option[i];
	for (size_t i = 0; i < setup->server_args->n; i++)
		argv[n++] = setup->server_args->item[i];
	set_command(m, (char *const *)argv);
	verdict = server_start(&m->server, (char *const *)argv, cpus_or_null(m->server_cpus),
			       m->why, sizeof(m->why));
	m->unsupported = verdict == SERVER_UNSUPPORTED;
	if (verdict != SERVER_READY)
		return false;
	m->has_server = true;
	json_object_set_new(json_object_get(m->record, "server"), "ready",
			    json_string(m->server.ready));
	if (strcmp(m->server.accept, m->cell->accept))
		return fail(m, "the server was asked for %s and took %s", m->cell->accept,
			    m->server.accept);
	return place_neighbours(m);
}

static bool start_peer(struct measurement *m)
{
	char version[CHILD_LINE_MAX];
	json_t *command = json_array();
	enum server_verdict verdict = peer_start(&m->server, m->cell->accept, m->cell->workers,
						 cpus_or_null(m->server_cpus), command, version,
						 sizeof(version), m->why, sizeof(m->why));

	json_object_set_new(m->record, "server", json_pack("{s:o}", "command", command));
	if (*version)
		json_object_set_new(json_object_get(m->record, "server"), "version",
				    json_string(version));
	m->unsupported = verdict == SERVER_UNSUPPORTED;
	m->has_server = verdict == SERVER_READY;
	return m->has_server;
}

static bool start_target(struct measurement *m, struct sockaddr_in *address)
{
	if (!is_self_check(m)) {
		if (!choose_cpus(m) ||
		    !(peer_is(m->cell->accept) ? start_peer(m) : start_server(m)))
			return false;
		*address = m->server.address;
		return true;
	}
	m->sink = sink_start(m->setup->storm.concurrency, address, m->why, sizeof(m->why));
	return m->sink != NULL;
}

/* ---- the client ---- */

static bool start_client(struct measurement *m, const struct sockaddr_in *address)
{
	const char *cpus = cpus_or_null(m->client_cpus);
	struct storm_options options = m->setup->storm;
	cpu_set_t all;

	options.server = *address;
	options.seed += m->cell->repetition;
	if (is_self_check(m)) { /* the only kind of connection the sink knows */
		options.protocol = STORM_HTTP;
		options.close = STORM_SERVER_FIN;
		options.requests = 1;
		options.body = SINK_BODY;
	}
	sched_getaffinity(0, sizeof(all), &all);
	if (cpus && !child_set_cpus(cpus))
		return fail(m, "--client-cpus: cannot run on CPUs '%s'", cpus);
	m->storm =
		storm_create(&options, m->why, sizeof(m->why)); /* its threads inherit the CPUs */
	sched_setaffinity(0, sizeof(all), &all);
	return m->storm != NULL;
}

static bool warm_up_round(struct measurement *m, double *rate)
{
	struct storm_load load = { .connections = m->setup->warm_up };

	if (!storm_run(m->storm, &load, &m->result, NULL, NULL))
		return fail(m, "warm-up: %s", storm_why(m->storm));
	if (m->result.failed)
		return fail(m, "warm-up: %" PRIu64 " of %" PRIu64 " connections failed, %s: %s",
			    m->result.failed, m->result.started, m->result.error[0].phase,
			    m->result.error[0].reason);
	*rate = (double)m->result.good / (double)m->result.elapsed_ns;
	return true;
}

/* Rounds of the same size until two in a row are about as fast as each other, or it is enough. */
static bool warm_up(struct measurement *m)
{
	double before = 0, rate = 0;
	bool steady = false;
	int rounds = 0;

	while (m->setup->warm_up && !steady && rounds < WARM_UP_ROUNDS) {
		if (!warm_up_round(m, &rate))
			return false;
		steady = rate > before * (1 - WARM_UP_AGREE) && rate < before * (1 + WARM_UP_AGREE);
		before = rate;
		rounds++;
	}
	memset(&m->result, 0, sizeof(m->result));
	json_object_set_new(m->record, "warm_up",
			    json_pack("{s:I,s:i,s:b}", "connections_a_round",
				      (json_int_t)m->setup->warm_up, "rounds", rounds, "steady",
				      steady));
	return true;
}

/* Every second of the load, between two readings of the lock: takes no descriptor. */
static bool watch_load(const struct storm_progress *now, void *arg)
{
	struct measurement *m = arg;

	if (cell_level(m->cell) && m->has_server) {
		json_decref(m->loaded);
		m->loaded = reading_take("loaded", &m->server, m->setup->files);
	}
	return progress_line(now, m->setup->progress);
}

/* Long enough for everything that is parked to be swept. */
static bool stay_idle(const struct measurement *m)
{
	const volatile sig_atomic_t *stop = m->setup->progress->stop;

	for (uint64_t ns = 0; ns < IDLE_NS && !(stop && *stop); ns += 100000000)
		usleep(100000);
	return true;
}

/* What this cell asks of the client. */
static bool choose_load(struct measurement *m)
{
	const struct cell *cell = m->cell;
	const struct cell_setup *setup = m->setup;

	m->load = setup->load;
	if (!cell_rate_percent(cell) && !cell_level(cell))
		return true;
	m->load = (struct storm_load){ .duration_ns = setup->rate_duration_ns };
	if (cell_level(cell) == CELL_LIGHT)
		m->load.rate_per_s = LIGHT_RATE;
	if (cell_level(cell))
		return true;
	m->load.rate_per_s = setup->peak.connections_per_s * cell_rate_percent(cell) / 100;
	return m->load.rate_per_s > 0 ||
	       fail(m, "%u %% of what? No baseline's peak was measured in this run",
		    cell_rate_percent(cell));
}

static bool drive(struct measurement *m)
{
	if (m->cell->load == CELL_WRK) {
		struct storm_options options = m->setup->storm;

		options.server = m->server.address;
		return wrk_run(&options, m->setup->wrk_duration_ns, cpus_or_null(m->client_cpus),
			       &m->wrk, m->why, sizeof(m->why));
	}
	if (cell_level(m->cell) == CELL_IDLE)
		return stay_idle(m);
	progress_load(m->setup->progress, &m->load);
	if (!storm_run(m->storm, &m->load, &m->result, watch_load, m))
		return fail(m, "%s", storm_why(m->storm));
	return true;
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
	return fail(m, "connections are still open in the server %lld s after the load",
		    SETTLE_NS / 1000000000);
}

static bool read_lock(struct measurement *m, struct lock_counts *counts)
{
	struct lock_watch *watch = watch_of(m);

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
	if (watch_of(m))
		lock_aim(watch_of(m), m->has_server ? m->server.child.pid : getpid());
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

/* ---- the record ---- */

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

/* What the figures are divided by: connections as the server counted them, or else the client. */
static double connections(const struct measurement *m)
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

static void record_server(struct measurement *m)
{
	json_t *server = json_object_get(m->record, "server");

	if (json_array_size(m->readings))
		json_object_set(server, "readings", m->readings);
	if (!m->after.cpu_ns)
		return;
	if (m->totals_after)
		json_object_set_new(server, "totals", totals_difference(m));
	if (connections(m) > 0)
		json_object_set_new(server, "cpu_us_per_connection",
				    json_real(cpu_us(m) / connections(m)));
}

static json_t *share_json(double share)
{
	return isnan(share) ? json_null() : json_real(share);
}

/*
 * Of the time from before the load to its end; the server may be looked at some milliseconds later,
 * when its last connections are closed. A thread can use one CPU at most.
 */
static void record_limit(struct measurement *m)
{
	bool is_wrk = m->cell->load == CELL_WRK;
	unsigned int threads = m->setup->storm.threads;
	unsigned int client_cpus = child_count_cpus(cpus_or_null(m->client_cpus));
	unsigned int server_cpus = child_count_cpus(cpus_or_null(m->server_cpus));
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

static void record_lock(struct measurement *m)
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
	else if (connections(m) > 0)
		lock = lock_json(watch_of(m), &difference, totals, connections(m),
				 cell_neighbours(m->cell));
	else
		return;
	json_object_set_new(m->record, "lock", lock);
}

static json_t *sockets_json(const struct sockstat *stat)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "used", (json_int_t)stat->used, "tcp_inuse",
			 (json_int_t)stat->tcp_inuse, "tcp_orphan", (json_int_t)stat->tcp_orphan,
			 "tcp_alloc", (json_int_t)stat->tcp_alloc, "tcp_time_wait",
			 (json_int_t)stat->tcp_tw);
}

/* ---- what must be true of a good cell ---- */

static void check_client(struct measurement *m)
{
	if (m->cell->load == CELL_WRK) {
		if (m->wrk.socket_errors || m->wrk.bad_status)
			fail(m, "wrk saw %" PRIu64 " socket errors and %" PRIu64 " bad statuses",
			     m->wrk.socket_errors, m->wrk.bad_status);
		return;
	}
	if (m->result.stopped && !m->result.failed)
		fail(m, "interrupted");
	else if (m->result.failed)
		fail(m, "%" PRIu64 " of %" PRIu64 " connections failed, %s: %s", m->result.failed,
		     m->result.started, m->result.error[0].phase, m->result.error[0].reason);
	else if (!m->result.good && cell_level(m->cell) != CELL_IDLE)
		fail(m, "no connection was made");
	else if (m->totals_after && connections(m) != (double)m->result.started)
		fail(m, "storm made %" PRIu64 " connections, the server counted %.0f",
		     m->result.started, connections(m));
}

static void check_sockets(struct measurement *m)
{
	const struct sockstat *before = &m->sockets_before, *after = &m->sockets_after;
	bool back = sockstat_wait(m->setup->files, before,
				  m->setup->own_network ? sockstat_is_back_here : sockstat_is_back,
				  SOCKETS_NS, &m->sockets_after);

	json_object_set_new(m->record, "sockets",
			    json_pack("{s:o,s:o,s:b}", "before", sockets_json(before), "after",
				      sockets_json(after), "back", back));
	if (!back)
		fail(m,
		     "sockets are left over %lld s after the server's end: used %" PRIu64
		     " -> %" PRIu64 ", TCP in use %" PRIu64 " -> %" PRIu64 ", allocated %" PRIu64
		     " -> %" PRIu64,
		     SOCKETS_NS / 1000000000, before->used, after->used, before->tcp_inuse,
		     after->tcp_inuse, before->tcp_alloc, after->tcp_alloc);
}

/* ---- the cell ---- */

static bool measure(struct measurement *m)
{
	struct sockaddr_in address;

	if (!choose_load(m) || !start_target(m, &address) || !start_client(m, &address))
		return false;
	read_server(m, "ready");
	return sockstat_read(m->setup->files, &m->sockets_ready) == 0 && warm_up(m) &&
	       read_before(m) && drive(m) && read_after(m);
}

static void take_down(struct measurement *m)
{
	storm_destroy(m->storm);
	if (m->sink)
		sink_stop(m->sink);
	if (m->has_server) {
		char why[WHY_MAX] = "";

		if (!server_stop(&m->server, why, sizeof(why)))
			fail(m, "%s", why);
	}
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

static json_t *cell_json(const struct measurement *m)
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
			 extra_options(m));
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
	make_options(m);
	if (sockstat_read(setup->files, &m->sockets_before) < 0) {
		fail(m, "cannot read /proc/net/sockstat");
	} else {
		measured = measure(m);
		if (!measured)
			fail(m, "cannot read /proc/net/sockstat");
		record_server(m);
		if (measured) {
			check_client(m);
			record_lock(m);
			record_limit(m);
		}
		if (cell->load == CELL_WRK)
			json_object_set_new(record, "wrk", wrk_json(&m->wrk));
		else
			json_object_set_new(record, "storm",
					    json_pack("{s:o,s:o}", "load",
						      storm_options_json(&setup->storm, &m->load),
						      "result", storm_result_json(&m->result)));
		take_down(m);
		if (!m->unsupported)
			check_sockets(m);
	}
	json_object_set_new(record, "cell", cell_json(m));
	outcome = conclude(m);
	json_decref(m->readings);
	json_decref(m->loaded);
	json_decref(m->totals_before);
	json_decref(m->totals_after);
	free(m);
	return outcome;
}
