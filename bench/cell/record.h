/* SPDX-License-Identifier: MIT */
/*
 * Records: one JSON object a line, one line a cell. A line is appended whole and synced, or taken
 * back: what looks like a record is one.
 *
 * What a record holds. Units are in the key names; a figure that could not be seen is null or
 * absent, never 0. Records made before an experiment existed lack its keys: absent means what is
 * in [].
 *
 *	schema, time, outcome "ok" "failed" "skipped", reason (null when ok)
 *	run		seed, preset, command, own_network_namespace
 *	  settings	load, warm_up, wrk_duration_s ...: what cells of the same name can differ in from
 *			one run to another [absent]
 *	environment	kernel_release, kernel_version, cpu, cpus, virtualisation, lock_stat,
 *			revision ...
 *	  preflight	[{check, level: "fatal" "hint" "info", text}] [absent]
 *	cell
 *	  name		all of the below as one text; with the repetition it names the cell in its run
 *	  experiment	["paths"] which question it belongs to: a row of plan/experiments.c, which says
 *			what each varies. Every cell has the key of each one's axis (open_fds,
 *			neighbours, level, rate_of_peak_percent), 0 or null where it is another's.
 *	  accept	the path; "dup" with park 0 is the control that parks nothing
 *	  workers, fd_table "shared" "private", listener, load "storm" "wrk", repetition
 *	  watched	false: measured with the instrument taken out, to see what it costs
 *	  server_options  what the server was given beyond its own arguments
 *	  server_cpus, client_cpus, neighbour_cpus  what they were bound to, or null [null]
 *	  pair		the name of the cell that this one and its neighbour in the run are about, one
 *			of them the cell itself and the other what it is compared with, of the same
 *			repetition and measured right before or after it; null: of no pair [null]
 *	  park		what --park was set to, or null: the server's default [null]
 *	  open_fds	descriptors open in the server besides its own [0]
 *	  neighbours	threads of the server that open and close files all the time [0]
 *	  level		"park": "idle", "light", "saturated"; null elsewhere [null]
 *	  rate_of_peak_percent  "latency": 50, 70, 90; 0: closed loop. 0 in the experiment "latency"
 *			is one of the cells that measured the peak, before all others [0]
 *	  peak_connections_per_s, peak_accept  of the best baseline (epoll or multishot, median
 *			of this run), where there is a rate_of_peak_percent; else null [null]
 *	warm_up		connections_a_round, rounds, steady
 *	server
 *	  command, ready, cpu_us_per_connection (neighbours' own time taken off)
 *	  version	what a peer prints of itself [absent: not a peer]
 *	  totals	the server's counters over the load; gauges (_now, _peak) as they are at
 *			its end
 *	  neighbour_opens, neighbour_cpu_us  where there are neighbours
 *	readings	[{when, rss_kib, rss_peak_kib, fd_table_size, parked_now, conns_now,
 *			sockets_used, tcp_allocated, tcp_memory_kib, slab_unreclaimable_kib}] [absent]
 *			when: "ready" (listening, nobody came yet), "before" (warm-up is over),
 *			"loaded" (under load, the last whole second; "park" only), "after" (the last
 *			connection has ended; what is parked is parked). The TCP and slab figures are
 *			the whole system's.
 *	storm		load (what was asked for), result (what came of it: connections_per_s,
 *			connect, first_byte and whole as histograms, errors by phase and reason)
 *	wrk		requests, requests_per_s ... in place of storm
 *	lock		instrument (null: reason says why), scope, blind [absent: no connection was
 *			made]
 *	  acquisitions, acquisitions_per_connection  all that was counted
 *	  empty_accept_, sweep_, neighbour_, other_acquisitions_per_connection  what they consist of;
 *			neighbour_ absent without neighbours, other_ null where they cannot be told
 *			apart
 *	  contentions, contentions_per_1000_connections, wait_ns, wait_ns_per_connection, hold_ns,
 *	  hold_ns_per_acquisition
 *	  waiters	"workers": contentions and waits of the server's own threads alone; "all":
 *			neighbours' are in them, too [absent: there are no neighbours]
 *	  neighbour_contentions, neighbour_wait_ns  apart, where waiters is "workers" [absent]
 *	  callers	[{function, caller, chain, calls, calls_per_connection}]: who took the lock, by
 *			the instrument "calls" [absent]
 *	limit		by "client", "server", "neither", null (unknown): see limit.h [absent: computed from
 *			client_cpu_us_per_connection and the rate where there is one]
 *	  client_cpus, server_cpus  how many they could use: as many as threads, or as they were bound to
 *	  client_cpu_share, server_cpu_share  of those, over the load; late_share of an open loop's starts
 *	sockets		before, after, back
 */
#ifndef BENCH_RECORD_H
#define BENCH_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define RECORD_SCHEMA "accept-bench/1"

/*
 * The file for appending, locked against a second run; -errno, of which -ENOTSUP says that it is no
 * regular file: what is there has to be read before anything is added.
 */
int record_open(const char *path);

/* 0 or -errno; on an error the file is as long as before. */
int record_append(int fd, json_t *record);

/*
 * An array of all records of the file, which may be compressed by gzip, appended to `records`; false
 * with file and line in `why`. Regular files only, with lines of at most 16 MiB.
 */
bool record_read(const char *path, json_t *records, char *why, size_t why_len);

/*
 * The same of a file that may also hold records of other programs, which name their kind: those go
 * to `others`, unchecked.
 */
#define RECORD_KIND_KEY "record"
bool record_read_all(const char *path, json_t *records, json_t *others, char *why, size_t why_len);

/* Figures by path: record_number(r, "lock", "acquisitions_per_connection"). false when absent. */
bool record_number(json_t *record, const char *part, const char *key, double *value);
const char *record_text(json_t *record, const char *part, const char *key);

#endif
