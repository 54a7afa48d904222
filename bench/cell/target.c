/* SPDX-License-Identifier: MIT */
/* Starts the server, peer or sink of a cell on its CPUs with its options. See measurement.h. */
#include "cell/measurement.h"
#include "cell/peer.h"
#include "cell/place.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#define ARGS_MAX       (32 + LIST_MAX)
#define PARK_TIMEOUT_S 1 /* where there are levels: short enough for all to be swept */

static void add_option(struct measurement *m, const char *dashes, const char *name,
		       unsigned int value, const char *unit)
{
	snprintf(m->option[m->n_options++], sizeof(m->option[0]), "%s%s", dashes, name);
	snprintf(m->option[m->n_options++], sizeof(m->option[0]), "%u%s", value, unit);
}

void target_make_options(struct measurement *m)
{
	const struct cell *cell = m->cell;
	const struct experiment_axis *axis = &cell->experiment->axis;
	char copy[128];
	char *cursor = copy, *word;

	snprintf(copy, sizeof(copy), "%s", cell->options);
	while ((word = strsep(&cursor, " ")))
		if (*word)
			snprintf(m->option[m->n_options++], sizeof(m->option[0]), "%s", word);
	if (cell->unparked)
		add_option(m, "", CELL_PARK, 0, "");
	if (cell_option(cell))
		add_option(m, "--", axis->name, cell->value, axis->suffix ? axis->suffix : "");
	if (cell_level(cell))
		add_option(m, "", CELL_PARK_TIMEOUT, PARK_TIMEOUT_S, "s");
}

json_t *target_options(const struct measurement *m)
{
	const struct text_list *args = m->setup->server_args;
	char text[1024] = "";

	for (size_t i = 0; i < m->n_options; i++)
		cell_append(text, sizeof(text), "%s%s", i ? " " : "", m->option[i]);
	for (size_t i = 0; i < args->n; i++)
		cell_append(text, sizeof(text), "%s%s", *text ? " " : "", args->item[i]);
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
		cell_append(text, size, "%s%d", listed++ ? "," : "", cpu);
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
	return cell_fail(
		m, "%u workers on CPUs of their own and a client on others: only %d CPUs here",
		workers, CPU_COUNT(&allowed));
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
		return cell_fail(m, "--neighbour-cpus: cannot run on CPUs '%s': %s", cpus,
				 strerror(-n));
	return n == (int)cell_neighbours(m->cell) ||
	       cell_fail(
		       m,
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
	verdict = server_start(&m->server, (char *const *)argv, cell_cpus(m->server_cpus), m->why,
			       sizeof(m->why));
	m->unsupported = verdict == SERVER_UNSUPPORTED;
	if (verdict != SERVER_READY)
		return false;
	m->has_server = true;
	json_object_set_new(json_object_get(m->record, "server"), "ready",
			    json_string(m->server.ready));
	if (strcmp(m->server.accept, m->cell->accept))
		return cell_fail(m, "the server was asked for %s and took %s", m->cell->accept,
				 m->server.accept);
	return place_neighbours(m);
}

static bool start_peer(struct measurement *m)
{
	char version[CHILD_LINE_MAX];
	json_t *command = json_array();
	enum server_verdict verdict =
		peer_start(&m->server, m->cell->accept, m->cell->workers, cell_cpus(m->server_cpus),
			   command, version, sizeof(version), m->why, sizeof(m->why));

	json_object_set_new(m->record, "server", json_pack("{s:o}", "command", command));
	if (*version)
		json_object_set_new(json_object_get(m->record, "server"), "version",
				    json_string(version));
	m->unsupported = verdict == SERVER_UNSUPPORTED;
	m->has_server = verdict == SERVER_READY;
	return m->has_server;
}

bool target_start(struct measurement *m, struct sockaddr_in *address)
{
	if (!cell_is_self_check(m->cell)) {
		if (!choose_cpus(m) ||
		    !(peer_is(m->cell->accept) ? start_peer(m) : start_server(m)))
			return false;
		*address = m->server.address;
		return true;
	}
	m->sink = sink_start(m->setup->storm.concurrency, address, m->why, sizeof(m->why));
	return m->sink != NULL;
}
