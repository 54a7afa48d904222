/* SPDX-License-Identifier: MIT */
/*
 * The table of experiments; experiments.h describes the members of a row. To add an experiment, add a
 * row; CONTRIBUTING.md lists the other steps.
 */
#include "plan/experiments.h"
#include "cell/cell.h"
#include "cell/path.h"
#include "report/report_experiment.h"
#include "report/report_text.h"

#include <string.h>

#define LIST(...)                                                                                  \
	{                                                                                          \
		sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t),                            \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

/* clang-format off */
/* ---- tables ---- */

#define TABLE static const struct experiment_table

TABLE acquisitions = { &figure_acquisitions, false, "Acquisitions of file_lock per connection" };
TABLE contentions  = { &figure_contentions, false, "Contentions of file_lock per 1000 connections" };
TABLE waits	   = { &figure_wait, false, "Wait for file_lock, ns per connection" };
TABLE holds	   = { &figure_hold, false, "Hold of file_lock, ns per acquisition" };
TABLE rates	   = { NULL, false, "Connections/s" };
TABLE rate_ratios  = { NULL, true, "Connections/s, ratio to `epoll` with the same options" };
TABLE cpus	   = { &figure_cpu, false, "Server CPU, us per connection" };
TABLE cpu_ratios   = { &figure_cpu, true, "Server CPU per connection, ratio to `epoll` with the same options" };
TABLE medians	   = { &figure_p50, false, "Median time of a connection from its intended start, us" };
TABLE p99s	   = { &figure_p99, false, "99 % of connections take at most, us" };
TABLE p99_ratios   = { &figure_p99, true, "The same, ratio to `epoll`" };

/* ---- paths ---- */

/*
 * Lists of paths by their role, for LIST(): each row gives its path and a comma if it has the role, else
 * nothing.
 */
#define IF_PATH_PATH(id)       id,
#define IF_PATH_CONTROL(id)
#define IF_PATH_TUNED(id)
#define IF_CONTROL_PATH(id)
#define IF_CONTROL_CONTROL(id) id,
#define IF_CONTROL_TUNED(id)
#define IF_TUNED_PATH(id)
#define IF_TUNED_CONTROL(id)
#define IF_TUNED_TUNED(id)     id,

#define IS_PATH(id, needs, accepts, serves, dup, exchange, role, colour)    IF_PATH_##role(PATH_##id)
#define IS_CONTROL(id, needs, accepts, serves, dup, exchange, role, colour) IF_CONTROL_##role(PATH_##id)
#define IS_PATH_VARIANT(id, name, accept, options, role)		    IF_PATH_##role(PATH_##id)
#define IS_CONTROL_VARIANT(id, name, accept, options, role)		    IF_CONTROL_##role(PATH_##id)
#define IS_TUNED_VARIANT(id, name, accept, options, role)		    IF_TUNED_##role(PATH_##id)

#define OURS	 ACCEPT_PATHS(IS_PATH) PATH_VARIANTS(IS_PATH_VARIANT)
#define CONTROLS ACCEPT_PATHS(IS_CONTROL) PATH_VARIANTS(IS_CONTROL_VARIANT)
#define TUNED	 PATH_VARIANTS(IS_TUNED_VARIANT)
#define PEERS	 PATH_bare, PATH_nginx, PATH_haproxy, PATH_haproxy_tables,
#define FEW	 PATH_epoll, PATH_multishot, PATH_dup, PATH_direct
#define LEVELS	 CELL_IDLE, CELL_LIGHT, CELL_SATURATED

/* ---- the experiments ---- */

#define WORKERS { .kind = AXIS_WORKERS, .key = "workers", .one = "worker", .many = "workers", .label = "workers" }

const struct experiment experiments[] = {
	{ .name = "paths",
	  .varies = "the path, the controls, the peers",
	  .answers = "acquisitions, contentions, wait and hold per connection",
	  .axis = WORKERS,
	  .presets = IN_SMOKE | IN_QUICK | IN_FULL,
	  .cells = {
		{ IN_SMOKE, { .accepts = LIST(PATH_epoll, PATH_multishot, PATH_install, PATH_dup, PATH_direct),
			      .workers = LIST(2) } },
		{ IN_QUICK, { .accepts = LIST(OURS CONTROLS PEERS), .workers = LIST(2) } },
		{ IN_QUICK, { .accepts = LIST(PATH_epoll, PATH_multishot, PATH_dup), .workers = LIST(2),
			      .fd_tables = LIST(CELL_PRIVATE) } },
		{ IN_FULL, { .accepts = LIST(OURS CONTROLS PEERS), .workers = LIST(1, 2) } },
		{ IN_FULL, { .accepts = LIST(OURS CONTROLS), .workers = LIST(2), .fd_tables = LIST(CELL_PRIVATE) } } },
	  .has_loads = true,
	  .has_twins = true,
	  .title = "Paths and controls",
	  .question =
		"Every path at the same load, and the controls: private tables, dup3, DUP without "
		"parking. Nothing is subtracted from the counts; an accept4 that finds the queue "
		"empty takes the lock twice, a parked socket that grew too old is swept with one "
		"acquisition more.",
	  .on_counting = { &acquisitions, &contentions, &waits, &holds },
	  .elsewhere = { &cpu_ratios, &cpus, &rates, &rate_ratios, &acquisitions, &contentions, &waits },
	  .plots = {
		{ "acquisitions", "Acquisitions of file_lock per connection", &figure_acquisitions,
		  .bars = true, .on_counting = true },
		{ "paths", "Server CPU, us per connection", &figure_cpu, .bars = true, .elsewhere = true } } },

	{ .name = "scaling",
	  .varies = "workers",
	  .answers = "what becomes of them with more threads",
	  .axis = WORKERS,
	  .presets = IN_FULL,
	  .cells = {
		{ IN_SMOKE | IN_QUICK | IN_FULL, { .accepts = LIST(FEW), .workers = LIST(1, 2, 4) } },
		{ IN_FULL, { .accepts = LIST(PATH_epoll), .workers = LIST(1, 2, 4),
			     .fd_tables = LIST(CELL_PRIVATE) } } },
	  .more_workers = true,
	  .title = "Scaling with workers",
	  .question =
		"The same load with more workers. Where there are fewer CPUs than workers and "
		"clients together, the client's share of the CPUs shrinks with every worker.",
	  .on_counting = { &acquisitions, &contentions, &waits },
	  .n_open_counting = 1,
	  .elsewhere = { &cpu_ratios, &cpus, &rates, &rate_ratios, &contentions, &waits },
	  .changes = { &cpus, &rates },
	  .plots = { { "scaling", "Server CPU, us per connection", &figure_cpu, .elsewhere = true } } },

	{ .name = "one-core",
	  .varies = "the path and the peers; server and client on CPUs of their own",
	  .answers = "CPU per connection",
	  .axis = WORKERS,
	  .presets = IN_QUICK | IN_FULL,
	  .cells = {
		{ IN_SMOKE, { .accepts = LIST(PATH_epoll, PATH_direct, PATH_bare), .workers = LIST(1) } },
		{ IN_QUICK, { .accepts = LIST(PATH_epoll, PATH_epoll_once, PATH_multishot, PATH_dup, PATH_direct,
					      PATH_direct_deferred, PEERS PATH_bare_tuned),
			      .workers = LIST(1) } },
		{ IN_FULL, { .accepts = LIST(OURS PEERS TUNED PATH_bare_tuned), .workers = LIST(1) } },
		{ IN_FULL, { .accepts = LIST(PATH_multishot, PATH_dup, PATH_direct, PEERS), .workers = LIST(1),
			     .loads = LIST(CELL_WRK) } } },
	  .own_cpus = true,
	  .title = "One worker on a core of its own: the bare loop and the peers",
	  .question =
		"The server has a CPU of its own, the client the others. `bare` is a blocking "
		"accept, read, write, close loop in C: the floor of what this kernel allows; "
		"`bare-tuned` is that with deferred accepts and the answer in one segment with "
		"the FIN, as the server's options have it. What the peers' answers have beside the "
		"same body is said in bench/cell/peer.h.",
	  .on_counting = { &acquisitions },
	  .n_open_counting = 1,
	  .elsewhere = { &cpu_ratios, &cpus, &rates, &rate_ratios },
	  .n_open = 1,
	  .more = report_targets,
	  .plots = { { "cpu", "Server CPU, us per connection", &figure_cpu, .bars = true, .elsewhere = true } } },

	{ .name = "wrk",
	  .varies = "the path, driven by wrk",
	  .answers = "a second opinion on connections/s",
	  .axis = WORKERS,
	  .presets = IN_FULL,
	  .cells = {
		{ IN_SMOKE | IN_QUICK | IN_FULL, { .accepts = LIST(FEW), .workers = LIST(2),
						   .loads = LIST(CELL_WRK) } } },
	  .title = "A second opinion: wrk",
	  .question =
		"The same cells driven by wrk, a client nobody here wrote. It counts requests "
		"that were answered, and costs CPU of its own.",
	  .on_counting = { &acquisitions },
	  .elsewhere = { &cpu_ratios, &rates, &rate_ratios, &cpus },
	  .n_open = 1 },

	{ .name = "open-fds",
	  .varies = "other descriptors open in the server",
	  .answers = "does a full table hold its lock longer?",
	  .axis = { .kind = AXIS_OPTION, .key = "open_fds", .name = "open-fds",
		    .one = "others open", .many = "others open", .label = "other descriptors open",
		    .shared_table_only = true,
		    .option = "open-fds", .what = "other descriptors open in the server", .max = 1000000 },
	  .presets = IN_FULL,
	  .cells = {
		{ IN_SMOKE | IN_QUICK | IN_FULL, { .accepts = LIST(FEW), .workers = LIST(2),
						   .values = LIST(0, 10000) } } },
	  .title = "Other descriptors open in the server",
	  .question = "Does the lock cost more when the table is full of other descriptors?",
	  .on_counting = { &acquisitions, &holds },
	  .n_open_counting = 2,
	  .elsewhere = { &acquisitions, &rates, &cpus },
	  .changes = { &cpus, &rates },
	  .plots = { { "open-fds", "Server CPU, us per connection", &figure_cpu, .elsewhere = true } } },

	{ .name = "neighbours",
	  .varies = "threads in the server that open and close files; `--neighbour-cpus` gives them CPUs of "
		    "their own",
	  .answers = "the wait for a lock that others use too",
	  .axis = { .kind = AXIS_OPTION, .key = "neighbours", .name = "neighbours",
		    .one = "neighbour", .many = "neighbours", .label = "threads that open and close files",
		    .neighbours = true,
		    .option = "neighbours", .what = "threads of the server that open and close files",
		    .max = 1024 },
	  .presets = IN_QUICK | IN_FULL,
	  .cells = {
		{ IN_SMOKE, { .accepts = LIST(PATH_epoll, PATH_dup), .workers = LIST(2), .values = LIST(0, 2) } },
		{ IN_QUICK, { .accepts = LIST(PATH_epoll, PATH_dup, PATH_direct), .workers = LIST(2),
			      .values = LIST(0, 2) } },
		{ IN_FULL, { .accepts = LIST(FEW), .workers = LIST(2), .values = LIST(0, 2, 4) } },
		{ IN_FULL, { .accepts = LIST(PATH_epoll, PATH_multishot), .workers = LIST(2),
			     .values = LIST(0, 2), .fd_tables = LIST(CELL_PRIVATE) } } },
	  .title = "Busy neighbours",
	  .question =
		"Further threads of the server that open and close files all the time, as those of "
		"real servers do. Where they have no CPUs of their own they take CPU time, too: a "
		"loss of rate is not the lock's alone then; the wait is. Waits are those of all "
		"threads where the instrument cannot tell them apart.",
	  .on_counting = { &waits, &contentions, &acquisitions },
	  .n_open_counting = 1,
	  .elsewhere = { &cpus, &waits, &contentions, &rates, &cpu_ratios, &rate_ratios },
	  .n_open = 2,
	  .changes = { &cpus, &rates },
	  .plots = {
		{ "wait", "Wait for file_lock, ns per connection", &figure_wait, .on_counting = true,
		  .elsewhere = true },
		{ "neighbours", "Server CPU, us per connection", &figure_cpu, .elsewhere = true } } },

	{ .name = "park",
	  .varies = "idle, light, saturated",
	  .answers = "what parked sockets cost",
	  .axis = { .kind = AXIS_LEVEL, .key = "level", .name = "level" },
	  .presets = IN_FULL,
	  .cells = {
		{ IN_SMOKE | IN_QUICK | IN_FULL, { .accepts = LIST(PATH_dup, PATH_dup3), .workers = LIST(2),
						   .values = LIST(LEVELS) } } },
	  .title = "Parked sockets and memory",
	  .question =
		"What the parked connections of `dup` keep: their number, and a socket that is shut "
		"down. Idle: nobody comes after the warm-up; light: 200 connections/s; saturated: "
		"closed loop. Parked connections older than a second are swept here.",
	  .more = report_parked,
	  .more_on_counting = true },

	{ .name = "latency",
	  .varies = "50, 70, 90 % of the best baseline's peak",
	  .answers = "latency from the intended start, not at saturation",
	  .axis = { .kind = AXIS_RATE, .key = "rate_of_peak_percent", .name = "rate", .suffix = "%",
		    .one = "% of the peak", .many = "% of the peak", .label = "load, % of the peak",
		    .option = "rates-of-peak", .what = "percents of the best baseline's peak",
		    .min = 1, .max = 200 },
	  .presets = IN_FULL,
	  .cells = {
		{ IN_SMOKE | IN_QUICK, { .accepts = LIST(PATH_epoll, PATH_dup, PATH_direct), .workers = LIST(2),
					 .values = LIST(50, 90) } },
		{ IN_FULL, { .accepts = LIST(FEW), .workers = LIST(2), .values = LIST(50, 70, 90) } },
		{ IN_FULL, { .accepts = LIST(PATH_epoll), .workers = LIST(2), .values = LIST(50, 70, 90),
			     .fd_tables = LIST(CELL_PRIVATE) } } },
	  .title = "Latency at parts of the peak",
	  .question =
		"Open loop: connections start at a fixed rate, and the time counts from when one "
		"was meant to start, so that a server that stalls is charged for those that had to "
		"wait.",
	  .elsewhere = { &p99s, &p99_ratios, &medians },
	  .n_open = 1,
	  .plots = { { "latency", "99 % of connections take at most, us", &figure_p99, .elsewhere = true } } },
};
/* clang-format on */

const size_t n_experiments = sizeof(experiments) / sizeof(experiments[0]);

/* They are chosen by a list of the command line. */
_Static_assert(sizeof(experiments) / sizeof(experiments[0]) <= LIST_MAX, "raise LIST_MAX");

const struct experiment *experiment_find(const char *name)
{
	for (size_t i = 0; i < n_experiments; i++)
		if (!strcmp(experiments[i].name, name))
			return &experiments[i];
	return NULL;
}

const char *const *experiment_names(void)
{
	static const char *names[sizeof(experiments) / sizeof(experiments[0]) + 1];

	for (size_t i = 0; i < n_experiments; i++)
		names[i] = experiments[i].name;
	return names;
}
