/* SPDX-License-Identifier: MIT */
/*
 * storm: the load generator. Its sockets live only as direct descriptors of its rings: SOCKET,
 * CONNECT, SEND, RECV, SHUTDOWN and CLOSE all work on slots, so the generator never allocates or
 * closes a file descriptor while it runs and takes no files_struct.file_lock. Every byte that comes
 * back is checked.
 *
 * Closed by a reset of the client's (client-rst), a socket is disconnected, which sends that reset, and
 * connected again: neither it nor its source address is made anew.
 *
 * Needs Linux 5.19; 6.7 for --close client-rst, 6.11 for source addresses. IPv4 only.
 * Leaves out: TLS, pipelining, requests larger than one buffer.
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
#define STORM_BUFFER	      16384 /* the longest answer that is taken */
#define STORM_ERRORS_MAX      64    /* different (phase, reason) pairs kept apart */

enum storm_protocol { STORM_HTTP, STORM_ECHO };
enum storm_close { STORM_SERVER_FIN, STORM_CLIENT_FIN, STORM_CLIENT_RST };

extern const char *const storm_protocols[];
extern const char *const storm_closes[];

struct storm_options {
	struct sockaddr_in server;
	unsigned int threads;
	unsigned int concurrency; /* connections open at once, all threads together */
	unsigned int requests;	  /* per connection */
	unsigned int payload;	  /* echo: the most bytes a request has */
	unsigned int sources;	  /* client addresses 127.x.y.z; 0: the kernel chooses */
	enum storm_protocol protocol;
	enum storm_close close;
	uint64_t timeout_ns; /* of one connection */
	uint64_t seed;
	const char *path; /* http */
	const char *body; /* http: what must come back */
};

/* How much: until `connections` were started or `duration_ns` has passed, whichever is set. */
struct storm_load {
	uint64_t connections;
	uint64_t duration_ns;
	double rate_per_s; /* 0: closed loop; else new connections start at this fixed rate */
};

struct storm_error {
	const char *phase;
	const char *reason; /* errno's name, or what was wrong with the answer */
	uint64_t n;
};

struct storm_result {
	uint64_t started;
	uint64_t good; /* connections with every request answered right and closed as asked */
	uint64_t failed;
	uint64_t requests;
	uint64_t bytes_sent, bytes_received;
	bool stopped;  /* before the load was over: see storm_run() */
	uint64_t late; /* open loop: started later than intended, no slot being free */
	uint64_t elapsed_ns;
	uint64_t cpu_ns; /* of storm's own threads, kernel side included */
	size_t n_errors;
	struct storm_error error[STORM_ERRORS_MAX];
	struct hist connect_ns;	   /* start of the connection to connected */
	struct hist first_byte_ns; /* request handed over to first byte of the answer */
	struct hist whole_ns;	   /* intended start to the end of the last answer */
};

/* What a progress callback is told; read while the threads run, so only nearly now. */
struct storm_progress {
	uint64_t elapsed_ns;
	uint64_t good, failed;
};

struct storm;

/*
 * Sets everything up - rings, slots, threads - so that storm_run() needs no new descriptor.
 * NULL with a line in `why` when it cannot.
 */
struct storm *storm_create(const struct storm_options *options, char *why, size_t why_len);

/*
 * Runs one load to its end, every socket closed. May be called several times. Ends earlier, saying
 * so in the result, when progress(), called every second, returns false, or when a whole second
 * brought nothing but failures.
 */
bool storm_run(struct storm *storm, const struct storm_load *load, struct storm_result *result,
	       bool (*progress)(const struct storm_progress *now, void *arg), void *arg);

/* What went on when storm_run() returned false. */
const char *storm_why(const struct storm *storm);

void storm_destroy(struct storm *storm);

#endif
