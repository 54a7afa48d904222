/* SPDX-License-Identifier: MIT */
/*
 * The inside of storm: one thread with its ring and its connections. storm_conn.c is the life of
 * one connection, storm_loop.c what starts connections and reaps completions, storm.c the threads.
 */
#ifndef BENCH_STORM_THREAD_H
#define BENCH_STORM_THREAD_H

#include "load/http_check.h"
#include "load/storm.h"
#include "now.h"

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define REQUEST_MAX    512
#define SQES_PER_CHAIN 7 /* socket, linger, no-port, bind, connect, send, receive */

enum op {
	OP_SOCKET,
	OP_LINGER,
	OP_NO_PORT,
	OP_BIND,
	OP_CONNECT,
	OP_SEND,
	OP_RECV,
	OP_SHUTDOWN,
	OP_DISCONNECT,
	OP_CLOSE,
	OP_CANCEL,
	OP_COUNT
};

/*
 *            start                 last answer right
 *   FREE ------------> ANSWER ------------------------> ENDING   (SHUTDOWN if ours; wait for FIN)
 *    ^                   |  ^ more requests                |
 *    |                   |  '--.                           | FIN, or client-rst: at once
 *    |      CLOSE done,  v     v                           v
 *    |      or DISCONNECT
 *    '---------------- CLOSING <------------------- last CQE is in
 *                        ^                                 ^
 *                        '-- FAILED (an error; waits for the chain's other CQEs)
 */
enum state { FREE, ANSWER, ENDING, FAILED, CLOSING };

/*
 * `pending` counts the CQEs still to come. Of a chain only CONNECT and RECV post one when all goes
 * well. When an SQE fails whose success would have been silent, the kernel drops the rest of the
 * chain silently; when CONNECT fails, every later SQE of the chain posts -ECANCELED.
 */
struct conn {
	enum state state;
	bool has_socket;
	bool kept; /* client-rst: FREE, and its socket waits for the next connection */
	bool timed_out;
	unsigned char pending;
	uint32_t generation;
	unsigned int requests_left;
	uint32_t out_len;
	uint32_t got;
	uint64_t intended_ns, started_ns, sent_ns;
	struct sockaddr_in source;
	char *in;
	char *out; /* echo: what must come back */
};

struct error_count {
	enum op op;
	int code; /* > 0: errno; < 0: -(enum http_verdict); see reason_name() */
	uint64_t n;
};

enum { REASON_TIMEOUT = -100, REASON_EARLY_CLOSE = -101 };

struct thread {
	struct storm *storm;
	pthread_t id;
	unsigned int index;
	struct io_uring ring;
	bool ring_ready;
	unsigned int n_conns;
	struct conn *conns;
	char *memory;
	unsigned int *free_slots;
	unsigned int n_free;
	unsigned int open;
	uint64_t rng;
	uint64_t next_source;
	/* Open loop: intended start of connection k is start + k * interval. */
	uint64_t due, next_scan_ns;
	bool stop; /* no new connections */
	struct http_check keep_alive, closing;
	atomic_uint_fast64_t good_now, failed_now; /* for the progress line */
	struct error_count errors[STORM_ERRORS_MAX];
	size_t n_errors;
	int fatal; /* -errno of the ring itself */
	struct storm_result result;
};

struct storm {
	struct storm_options options;
	struct storm_load load;
	char request[REQUEST_MAX], last_request[REQUEST_MAX];
	size_t request_len, last_request_len;
	struct linger linger;
	int one;
	bool bind_sources;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int job; /* counts storm_run() calls; threads wait for the next */
	unsigned int ready, busy;
	bool quit;
	uint64_t start_ns;
	atomic_bool stop;	      /* no new connections, by any thread */
	atomic_uint_fast64_t tickets; /* connections still to start */
	char why[256];
	struct thread *threads;
};

/* Begins a connection in a free slot; the SQ must have room for SQES_PER_CHAIN. */
void conn_start(struct thread *thread, unsigned int slot, uint64_t intended_ns);

/* One completion of any connection of the thread. */
void conn_handle(struct thread *thread, uint64_t user_data, int res, uint64_t now);

/* Closes what was kept, when nothing is open any more; false: nothing was. */
bool conn_close_kept(struct thread *thread);

/* Cancels what takes too long. */
void conn_scan_timeouts(struct thread *thread, uint64_t now);

/* Submits when fewer than n SQEs are free, so that a flush never cuts a chain in two. */
void conn_reserve(struct thread *thread, unsigned int n);

const char *conn_phase_name(enum op op);
const char *conn_reason_name(int code);

/* Runs the storm's current load to its end. */
void loop_run(struct thread *thread);

#endif
