/* SPDX-License-Identifier: MIT */
/*
 * Records: a file of JSON objects, one line per cell. A line is written completely and synced; if
 * that fails the file is truncated to its previous length, so that it never has a partial record.
 *
 * The keys of a record are listed below. Units are in the key names. A figure that could not be
 * measured is null or absent, never 0. Older records lack the keys that were added later: the value
 * in [] is what an absent key means.
 *
 *	schema, time, outcome "ok" "failed" "skipped", reason (null when ok)
 *	run		seed, preset, command, own_network_namespace
 *	  settings	load, warm_up, wrk_duration_s ...: what cells of the same name can differ in from
 *			one run to another [absent]
 *	environment	kernel_release, kernel_version, cpu, cpus, virtualisation, lock_stat,
 *			revision ...
 *	  preflight	[{check, level: "fatal" "hint" "info", text}] [absent]
 *	cell
 *	  name		the members below as one text; name and repetition identify the cell in its run
 *	  experiment	["paths"] the experiment it belongs to: a row of plan/experiments.c, which says
 *			what each varies. Every cell has the axis keys of all experiments (open_fds,
 *			neighbours, level, rate_of_peak_percent); those of other experiments are 0 or
 *			null.
 *	  accept	the path; "dup" with park 0 is the control that parks nothing
 *	  workers, fd_table "shared" "private", listener, load "storm" "wrk", repetition
 *	  watched	false: measured without the instrument, to see the instrument's overhead
 *	  server_options  further options given to the server
 *	  server_cpus, client_cpus, neighbour_cpus  what they were bound to, or null [null]
 *	  pair		the name of the pair this cell belongs to; null: none. A pair is a cell and what
 *			it is compared with (its baseline, or itself without the instrument), measured
 *			one right after the other in the same repetition; its name is the cell's [null]
 *	  park		what --park was set to, or null: the server's default [null]
 *	  open_fds	descriptors open in the server besides its own [0]
 *	  neighbours	threads of the server that open and close files all the time [0]
 *	  level		"park": "idle", "light", "saturated"; null elsewhere [null]
 *	  rate_of_peak_percent  "latency": 50, 70, 90; 0: closed loop. A cell of "latency" with 0 is
 *			one that measured the peak, before all other cells [0]
 *	  peak_connections_per_s, peak_accept  of the best baseline (epoll or multishot, median
 *			of this run), where there is a rate_of_peak_percent; else null [null]
 *	warm_up		connections_a_round, rounds, steady
 *	server
 *	  command, ready, cpu_us_per_connection (without the CPU time of neighbours)
 *	  version	what a peer prints about its version [absent: not a peer]
 *	  totals	the server's counters over the load; gauges (_now, _peak) as they are at
 *			its end
 *	  neighbour_opens, neighbour_cpu_us  where there are neighbours
 *	readings	[{when, rss_kib, rss_peak_kib, fd_table_size, parked_now, conns_now,
 *			sockets_used, tcp_allocated, tcp_memory_kib, slab_unreclaimable_kib}] [absent]
 *			when: "ready" (listening, no connection yet), "before" (after the warm-up),
 *			"loaded" (under load, the last whole second; "park" only), "after" (the last
 *			connection has ended, parked sockets are still held). The TCP and slab figures
 *			are those of the whole system.
 *	storm		load (as requested), result (as measured: connections_per_s,
 *			connect, first_byte and whole as histograms, errors by phase and reason)
 *	wrk		requests, requests_per_s ... in place of storm
 *	lock		instrument (null: reason says why), scope, blind [absent: no connection was
 *			made]
 *	  acquisitions, acquisitions_per_connection  all acquisitions counted
 *	  empty_accept_, sweep_, neighbour_, other_acquisitions_per_connection  the same by cause:
 *			neighbour_ is absent without neighbours, other_ is null where the causes cannot
 *			be told apart
 *	  contentions, contentions_per_1000_connections, wait_ns, wait_ns_per_connection, hold_ns,
 *	  hold_ns_per_acquisition
 *	  waiters	"workers": contentions and waits are those of the server's workers only; "all":
 *			they include the neighbours' [absent: there are no neighbours]
 *	  neighbour_contentions, neighbour_wait_ns  the neighbours', where waiters is "workers"
 *			[absent]
 *	  callers	[{function, caller, chain, calls, calls_per_connection}]: which functions took
 *			the lock; from the instrument "calls" [absent]
 *	limit		by "client", "server", "neither", null (unknown): see limit.h [absent: computed from
 *			client_cpu_us_per_connection and the rate where there is one]
 *	  client_cpus, server_cpus  how many CPUs each could use: its number of threads, or the number
 *			of CPUs it was allowed to run on if that is lower
 *	  client_cpu_share, server_cpu_share  share of those CPUs used during the load
 *	  late_share	share of an open loop's connections that started late
 *	sockets		counts before and after; back: did the count return to that before?
 */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RECORD_SCHEMA "accept-bench/1"

/*
 * Opens a file for appending and locks it against a second run. Returns the fd, or -errno; -ENOTSUP
 * for what is not a regular file, because existing records must be read before any is added.
 */
int record_open(const char *path);

/* Appends a record. Returns 0 or -errno; after an error the file has its previous length. */
int record_append(int fd, json_t *record);

/*
 * Appends all records of a file, which may be compressed by gzip, to the array `records`. Returns
 * false with file and line in `why`. The file must be a regular one, with lines of at most 16 MiB.
 */
bool record_read(const char *path, json_t *records, char *why, size_t why_len);

/*
 * The same for a file that may also have records of other programs, which state their kind under
 * RECORD_KIND_KEY: those are appended to `others`, unchecked.
 */
#define RECORD_KIND_KEY "record"
bool record_read_all(const char *path, json_t *records, json_t *others, char *why, size_t why_len);

/*
 * Reads a figure, as in record_number(r, "lock", "acquisitions_per_connection", &value); false when
 * it is absent. record_text() does the same for texts.
 */
bool record_number(json_t *record, const char *part, const char *key, double *value);
const char *record_text(json_t *record, const char *part, const char *key);

#endif
