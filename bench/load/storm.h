/* SPDX-License-Identifier: MIT */
/*
 * storm: the load generator. Its sockets live only as direct descriptors of its rings: SOCKET,
 * CONNECT, SEND, RECV, SHUTDOWN and CLOSE all work on slots, so the generator never allocates or
 * closes a file descriptor while it runs and does not take files_struct.file_lock. Every byte
 * received is checked.
 *
 * With --close client-rst the client resets the connection by disconnecting the socket, and connects
 * the same socket again: neither the socket nor its source address is created again.
 *
 * Needs Linux 5.19; 6.7 for --close client-rst, 6.11 for source addresses. IPv4 only.
 * Not supported: TLS, pipelining, requests larger than one buffer.
 */
#ifndef BENCH_STORM_H
#define BENCH_STORM_H

#include "load/hist.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORM_THREADS_MAX     64
#define STORM_CONCURRENCY_MAX 65536
#define STORM_SOURCES_MAX     65536
#define STORM_PAYLOAD_MAX     8192
#define STORM_BUFFER	      16384 /* the longest answer supported, in bytes */
#define STORM_ERRORS_MAX      64 /* different (phase, reason) pairs that are counted separately */

enum storm_protocol { STORM_HTTP, STORM_ECHO };
enum storm_close { STORM_SERVER_FIN, STORM_CLIENT_FIN, STORM_CLIENT_RST };

extern const char *const storm_protocols[];
extern const char *const storm_closes[];

struct storm_options {
	struct sockaddr_in server;
	unsigned int threads;
	unsigned int concurrency; /* connections open at once, all threads together */
	unsigned int requests;	  /* per connection */
	unsigned int payload;	  /* echo: length of the longest request, in bytes */
	unsigned int sources;	  /* client addresses 127.x.y.z; 0: the kernel chooses */
	enum storm_protocol protocol;
	enum storm_close close;
	uint64_t timeout_ns; /* of one connection */
	uint64_t seed;
	const char *path; /* http: the request's target */
	const char *body; /* http: the body expected in the answer */
};

/*
 * When a load ends: after `connections` were started or `duration_ns` has passed, whichever comes
 * first; 0: no such limit.
 */
struct storm_load {
	uint64_t connections;
	uint64_t duration_ns;
	double rate_per_s; /* open loop: connections started per second; 0: closed loop */
};

struct storm_error {
	const char *phase;
	const char *reason; /* name of an errno, or the fault of the answer */
	uint64_t n;
};

struct storm_result {
	uint64_t started;
	uint64_t good; /* connections with every answer correct, closed as requested */
	uint64_t failed;
	uint64_t requests;
	uint64_t bytes_sent, bytes_received;
	bool stopped;  /* the load was ended early: see storm_run() */
	uint64_t late; /* open loop: connections started late because no slot was free */
	uint64_t elapsed_ns;
	uint64_t cpu_ns; /* user and system time of storm's threads */
	size_t n_errors;
	struct storm_error error[STORM_ERRORS_MAX];
	struct hist connect_ns;	   /* from the start of a connection until it is connected */
	struct hist first_byte_ns; /* from sending a request to the first byte of its answer */
	struct hist whole_ns;	   /* from the intended start to the end of the last answer */
};

/* Argument of a progress callback. Read while the threads run, so the numbers may lag slightly. */
struct storm_progress {
	uint64_t elapsed_ns;
	uint64_t good, failed;
};

struct storm;

/*
 * Sets up rings, slots and threads, so that storm_run() needs no new descriptor. NULL with one line
 * in `why` on failure. storm_destroy() frees it.
 */
struct storm *storm_create(const struct storm_options *options, char *why, size_t why_len);

/*
 * Runs one load until its end, when every socket is closed. May be called several times. Ends early,
 * with result->stopped set, when progress(), which is called every second, returns false, or when
 * all connections of a whole second failed. Returns false on an error: see storm_why().
 */
bool storm_run(struct storm *storm, const struct storm_load *load, struct storm_result *result,
	       bool (*progress)(const struct storm_progress *now, void *arg), void *arg);

/* The reason why storm_run() returned false, in one line. */
const char *storm_why(const struct storm *storm);

void storm_destroy(struct storm *storm);

#endif
