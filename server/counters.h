/* SPDX-License-Identifier: MIT */
/*
 * What a worker counts. Each worker has a block of counters on cache lines of its own, and is the
 * only one to write to it, so counting is a plain add. Other threads read the blocks at any time,
 * with relaxed loads, and add them up for the totals line and for /metrics.
 *
 * What it costs, measured by test/counting on two cores of a virtual machine (path direct, one
 * request a connection, 15 rounds, two standard errors): leaving all counting out changes the CPU
 * time of a connection, 17 us, by less than can be measured (it took 157 +- 1116 ns more). Counting
 * everything a thousand times instead of once gives an upper bound: 3.7 +- 0.8 ns a connection.
 */
#ifndef SERVER_COUNTERS_H
#define SERVER_COUNTERS_H

#include <stdint.h>
#include <stdio.h>

/*
 * X(name, help). The name is the key in the totals line and, with the prefix accept_server_, the
 * name of the metric. Names in _now and _peak are gauges; the rest only grow.
 */
#define COUNTERS(X)                                                                                \
	X(accepts, "connections accepted")                                                         \
	X(accept_empty, "accept4 calls that found the queue empty")                                \
	X(accept_errors, "accepts that failed")                                                    \
	X(accept_rearms, "times the accept request was submitted anew")                            \
	X(accept_pauses, "times accepting stopped until a connection ended")                       \
	X(refused, "connections answered 503 or closed because --max-conns was reached")           \
	X(closed, "connections ended")                                                             \
	X(conns_now, "connections open")                                                           \
	X(conns_peak, "most connections open at once")                                             \
	X(requests, "requests answered 200")                                                       \
	X(requests_bad, "requests answered with an error status")                                  \
	X(bytes_in, "bytes received")                                                              \
	X(bytes_out, "bytes sent")                                                                 \
	X(dups, "connections put over a file descriptor by DUP or dup3")                           \
	X(dup_errors, "DUPs that failed")                                                          \
	X(dup_ebusy, "DUPs that failed with EBUSY")                                                \
	X(dup_ebadf, "DUPs that failed with EBADF")                                                \
	X(dup_ecanceled, "DUPs that failed with ECANCELED")                                        \
	X(installs, "connections installed by FIXED_FD_INSTALL")                                   \
	X(install_errors, "FIXED_FD_INSTALLs that failed")                                         \
	X(parked_now, "finished connections whose fd waits for the next DUP")                      \
	X(parked_peak, "most connections parked at once")                                          \
	X(swept, "parked connections closed by age or by the bound")                               \
	X(recv_errors, "receives that failed")                                                     \
	X(send_errors, "sends that failed")                                                        \
	X(no_buffers, "receives repeated because no provided buffer was free")                     \
	X(no_memory, "connections closed because memory ran out")                                  \
	X(memory_waits, "submissions repeated because the kernel had no memory for them")          \
	X(shed, "idle connections ended early for want of that memory")                            \
	X(timeouts, "connections that ran into a time limit")                                      \
	X(sq_flushes, "submissions made early because the submission queue was full")              \
	X(cq_overflows, "completions the kernel dropped: the completion queue was full")           \
	X(recoveries, "times the worker's books were put right after that")                        \
	X(stale, "completions of a connection that had already ended")                             \
	X(passes, "passes of the event loop")                                                      \
	X(completions, "completions reaped")

struct counters {
#define X(name, help) uint64_t name;
	COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

/* For the worker that owns the block. (test/counting replaces them to measure what they cost.) */
#ifndef count_add
#define count_add(field, n) __atomic_store_n(&(field), (field) + (uint64_t)(n), __ATOMIC_RELAXED)
#define count_set(field, n) __atomic_store_n(&(field), (uint64_t)(n), __ATOMIC_RELAXED)
#endif
#define count(field) count_add(field, 1)

/* Adds BLOCK, which its worker may be writing, to SUM. Peaks add up too: an upper bound. */
void counters_add(struct counters *sum, const struct counters *block);

/* Writes "totals accepts=1 requests=1 ... io_wq_threads=0" for SUM, without the end of the line. */
void counters_print(FILE *out, const struct counters *sum, unsigned io_wq_threads);

/*
 * Writes SUM in the Prometheus text format (version 0.0.4), one labelled sample a worker.
 * BLOCKS are the N workers' blocks.
 */
void counters_prometheus(FILE *out, struct counters *const *blocks, unsigned n);

#endif
