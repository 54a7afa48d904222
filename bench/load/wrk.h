/* SPDX-License-Identifier: MIT */
/*
 * wrk as a second opinion on requests per second. Its sockets are fds like anybody's: where the
 * instrument counts all processes together, the lock's figures of such a cell are not the server's.
 */
#ifndef BENCH_WRK_H
#define BENCH_WRK_H

#include "load/storm.h"

#include <jansson.h>

struct wrk_result {
	uint64_t requests;
	double requests_per_s;
	uint64_t socket_errors; /* connect, read, write and timeout together: it keeps no more */
	uint64_t bad_status;
	uint64_t cpu_ns, elapsed_ns; /* from its start to its end */
};

bool wrk_run(const struct storm_options *options, uint64_t duration_ns, const char *cpus,
	     struct wrk_result *result, char *why, size_t why_len);
json_t *wrk_json(const struct wrk_result *result);

/* One line of its output; apart for the test. */
void wrk_parse_line(const char *line, struct wrk_result *result);

#endif
