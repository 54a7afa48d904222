/* SPDX-License-Identifier: MIT */
/*
 * Runs wrk, to check storm's requests per second with an independent load generator. wrk's sockets
 * are ordinary fds: if the instrument counts all processes together, the lock figures of such a cell
 * include those of wrk.
 */
#ifndef BENCH_WRK_H
#define BENCH_WRK_H

#include "load/storm.h"

#include <jansson.h>

struct wrk_result {
	uint64_t requests;
	double requests_per_s;
	/* connect, read, write and timeout errors together; they are not kept separately */
	uint64_t socket_errors;
	uint64_t bad_status;
	uint64_t cpu_ns, elapsed_ns; /* of the wrk process, from its start to its end */
};

bool wrk_run(const struct storm_options *options, uint64_t duration_ns, const char *cpus,
	     struct wrk_result *result, char *why, size_t why_len);
json_t *wrk_json(const struct wrk_result *result);

/* Parses one line of wrk's output. Public so that it can be tested. */
void wrk_parse_line(const char *line, struct wrk_result *result);

#endif
