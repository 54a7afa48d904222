/* SPDX-License-Identifier: MIT */
/* The client of a cell, from its start to the end of the load. See measurement.h. */
#include "cell/measurement.h"
#include "cell/reading.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_ROUNDS 6
#define WARM_UP_AGREE  0.1
#define LIGHT_RATE     200 /* connections per second of the level "light" */
#define IDLE_NS	       2500000000

bool client_start(struct measurement *m, const struct sockaddr_in *address)
{
	const char *cpus = cell_cpus(m->client_cpus);
	struct storm_options options = m->setup->storm;
	cpu_set_t all;

	options.server = *address;
	options.seed += m->cell->repetition;
	if (cell_is_self_check(m->cell)) { /* the only kind of connection the sink knows */
		options.protocol = STORM_HTTP;
		options.close = STORM_SERVER_FIN;
		options.requests = 1;
		options.body = SINK_BODY;
	}
	sched_getaffinity(0, sizeof(all), &all);
	if (cpus && !child_set_cpus(cpus))
		return cell_fail(m, "--client-cpus: cannot run on CPUs '%s'", cpus);
	m->storm =
		storm_create(&options, m->why, sizeof(m->why)); /* its threads inherit the CPUs */
	sched_setaffinity(0, sizeof(all), &all);
	return m->storm != NULL;
}

static bool warm_up_round(struct measurement *m, double *rate)
{
	struct storm_load load = { .connections = m->setup->warm_up };

	if (!storm_run(m->storm, &load, &m->result, NULL, NULL))
		return cell_fail(m, "warm-up: %s", storm_why(m->storm));
	if (m->result.failed)
		return cell_fail(m,
				 "warm-up: %" PRIu64 " of %" PRIu64 " connections failed, %s: %s",
				 m->result.failed, m->result.started, m->result.error[0].phase,
				 m->result.error[0].reason);
	*rate = (double)m->result.good / (double)m->result.elapsed_ns;
	return true;
}

/* Rounds of the same size until two in a row are about as fast as each other, or it is enough. */
bool client_warm_up(struct measurement *m)
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

bool client_choose_load(struct measurement *m)
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
	       cell_fail(m, "%u %% of what? No baseline's peak was measured in this run",
			 cell_rate_percent(cell));
}

bool client_drive(struct measurement *m)
{
	if (m->cell->load == CELL_WRK) {
		struct storm_options options = m->setup->storm;

		options.server = m->server.address;
		return wrk_run(&options, m->setup->wrk_duration_ns, cell_cpus(m->client_cpus),
			       &m->wrk, m->why, sizeof(m->why));
	}
	if (cell_level(m->cell) == CELL_IDLE)
		return stay_idle(m);
	progress_load(m->setup->progress, &m->load);
	if (!storm_run(m->storm, &m->load, &m->result, watch_load, m))
		return cell_fail(m, "%s", storm_why(m->storm));
	return true;
}
