/* SPDX-License-Identifier: MIT */
/*
 * Internals of storm: one thread with its ring and its connections. storm_conn.c has the state
 * machine of a connection, storm_loop.c starts connections and reaps completions, storm.c creates
 * the threads.
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
 * `pending` counts the CQEs still expected. If a chain succeeds, only CONNECT and RECV post a CQE.
 * If an SQE with IOSQE_CQE_SKIP_SUCCESS fails, the kernel cancels the rest of the chain without
 * CQEs; if CONNECT fails, every later SQE of the chain posts -ECANCELED.
 */
struct conn {
	enum state state;
	bool has_socket;
	bool kept; /* client-rst: the state is FREE, but the socket is kept for the next connection */
	bool timed_out;
	unsigned char pending;
	uint32_t generation;
	unsigned int requests_left;
	uint32_t out_len;
	uint32_t got;
	uint64_t intended_ns, started_ns, sent_ns;
	struct sockaddr_in source;
	char *in;
	char *out; /* echo: the request, which is also the expected answer */
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
	/*
	 * Open loop: connection k is intended to start at start + k * interval. next_scan_ns: when
	 * conn_scan_timeouts() is due.
	 */
	uint64_t due, next_scan_ns;
	bool stop; /* no new connections */
	struct http_check keep_alive, closing;
	atomic_uint_fast64_t good_now, failed_now; /* for the progress line */
	struct error_count errors[STORM_ERRORS_MAX];
	size_t n_errors;
	int fatal; /* -errno of a failure of the ring itself; 0: none */
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

/* Starts a connection in a free slot. The SQ must have room for SQES_PER_CHAIN entries. */
void conn_start(struct thread *thread, unsigned int slot, uint64_t intended_ns);

/* Handles one completion of a connection of the thread. */
void conn_handle(struct thread *thread, uint64_t user_data, int res, uint64_t now);

/*
 * Starts closing the sockets kept for further connections. To be called when no connection is open.
 * Returns false if there were none.
 */
bool conn_close_kept(struct thread *thread);

/* Cancels the connections that exceed their time limit. */
void conn_scan_timeouts(struct thread *thread, uint64_t now);

/*
 * Submits the queue if fewer than n SQEs are free. Reserving a whole chain prevents a submission in
 * its middle, which would end the chain there.
 */
void conn_reserve(struct thread *thread, unsigned int n);

const char *conn_phase_name(enum op op);
const char *conn_reason_name(int code);

/* Runs the storm's current load to its end. */
void loop_run(struct thread *thread);

#endif
