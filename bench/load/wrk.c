/* SPDX-License-Identifier: MIT */
/* Runs wrk and reads its report. See wrk.h. */
#include "load/wrk.h"
#include "cell/child.h"
#include "option.h"
#include "now.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define EXTRA_NS 30000000000 /* beyond its duration */

void wrk_parse_line(const char *line, struct wrk_result *r)
{
	uint64_t connect, read, write, timeout;

	sscanf(line, "Requests/sec: %lf", &r->requests_per_s);
	sscanf(line, " Non-2xx or 3xx responses: %" SCNu64, &r->bad_status);
	if (strstr(line, " requests in "))
		sscanf(line, " %" SCNu64 " requests in", &r->requests);
	if (sscanf(line,
		   " Socket errors: connect %" SCNu64 ", read %" SCNu64 ", write %" SCNu64
		   ", timeout %" SCNu64,
		   &connect, &read, &write, &timeout) == 4)
		r->socket_errors = connect + read + write + timeout;
}

bool wrk_run(const struct storm_options *o, uint64_t duration_ns, const char *cpus,
	     struct wrk_result *result, char *why, size_t why_len)
{
	char threads[16], connections[16], duration[16], url[512], line[CHILD_LINE_MAX];
	char close_header[] = "Connection: close";
	char host[INET_ADDRSTRLEN], end[64];
	char *argv[] = { "wrk",	   "-t", threads,      "-c", connections, "-d",
			 duration, "-H", close_header, url,  NULL };
	struct child child;
	uint64_t start;
	int ret;

	memset(result, 0, sizeof(*result));
	inet_ntop(AF_INET, &o->server.sin_addr, host, sizeof(host));
	snprintf(threads, sizeof(threads), "%u", o->threads);
	snprintf(connections, sizeof(connections), "%u", o->concurrency);
	snprintf(duration, sizeof(duration), "%" PRIu64 "s",
		 duration_ns >= 1000000000 ? duration_ns / 1000000000 : 1);
	snprintf(url, sizeof(url), "http://%s:%u%s", host, ntohs(o->server.sin_port), o->path);
	start = now_ns();
	ret = child_start(&child, argv, cpus, CHILD_MERGED);
	if (ret < 0) {
		snprintf(why, why_len, "cannot start wrk: %s", strerror(-ret));
		return false;
	}
	while ((ret = child_read_line(&child, line, sizeof(line), duration_ns + EXTRA_NS)) == 1)
		wrk_parse_line(line, result);
	ret = ret ? ret : child_wait(&child, EXTRA_NS);
	if (ret < 0 || !child_exited(&child, EXIT_GOOD) || result->requests_per_s <= 0) {
		child_kill(&child);
		child_describe_end(&child, end, sizeof(end));
		snprintf(why, why_len, "wrk gave no result: %s", ret < 0 ? strerror(-ret) : end);
		return false;
	}
	result->cpu_ns = child.spent_ns;
	result->elapsed_ns = now_ns() - start;
	child_kill(&child);
	return true;
}

json_t *wrk_json(const struct wrk_result *r)
{
	return json_pack("{s:I,s:f,s:I,s:I,s:f,s:f}", "requests", (json_int_t)r->requests,
			 "requests_per_s", r->requests_per_s, "socket_errors",
			 (json_int_t)r->socket_errors, "bad_status", (json_int_t)r->bad_status,
			 "client_cpu_s", (double)r->cpu_ns / 1e9, "elapsed_s",
			 (double)r->elapsed_ns / 1e9);
}
