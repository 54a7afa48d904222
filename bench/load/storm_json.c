/* SPDX-License-Identifier: MIT */
/* See storm_json.h. Units are in the key names. */
#include "load/storm_json.h"

#include <arpa/inet.h>
#include <stdio.h>

static double us(uint64_t ns)
{
	return (double)ns / 1000;
}

static json_t *hist_json(const struct hist *hist)
{
	if (!hist->n)
		return json_pack("{s:I}", "n", (json_int_t)0);
	return json_pack("{s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "n", (json_int_t)hist->n, "min_us",
			 us(hist->min), "mean_us", us(hist->sum) / (double)hist->n, "p50_us",
			 us(hist_quantile(hist, 0.5)), "p90_us", us(hist_quantile(hist, 0.9)),
			 "p99_us", us(hist_quantile(hist, 0.99)), "p999_us",
			 us(hist_quantile(hist, 0.999)), "max_us", us(hist->max));
}

json_t *storm_options_json(const struct storm_options *o, const struct storm_load *load)
{
	char address[INET_ADDRSTRLEN];
	json_t *json;

	inet_ntop(AF_INET, &o->server.sin_addr, address, sizeof(address));
	json = json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:I,s:I,s:f,s:f}", "load",
			 load->rate_per_s > 0 ? "open-loop" : "closed-loop", "protocol",
			 storm_protocols[o->protocol], "close", storm_closes[o->close], "threads",
			 (int)o->threads, "concurrency", (int)o->concurrency, "requests",
			 (int)o->requests, "sources", (int)o->sources, "seed", (json_int_t)o->seed,
			 "connections", (json_int_t)load->connections, "duration_s",
			 (double)load->duration_ns / 1e9, "rate_per_s", load->rate_per_s);
	if (o->protocol == STORM_ECHO)
		json_object_set_new(json, "payload_max_bytes", json_integer(o->payload));
	return json;
}

json_t *storm_result_json(const struct storm_result *r)
{
	json_t *errors = json_array();
	double seconds = (double)r->elapsed_ns / 1e9;

	for (size_t i = 0; i < r->n_errors; i++)
		json_array_append_new(errors, json_pack("{s:s,s:s,s:I}", "phase", r->error[i].phase,
							"reason", r->error[i].reason, "n",
							(json_int_t)r->error[i].n));
	return json_pack(
		"{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:o,s:o,s:o,s:o}", "stopped_early",
		r->stopped, "started", (json_int_t)r->started, "good", (json_int_t)r->good,
		"failed", (json_int_t)r->failed, "requests", (json_int_t)r->requests, "bytes_sent",
		(json_int_t)r->bytes_sent, "bytes_received", (json_int_t)r->bytes_received, "late",
		(json_int_t)r->late, "elapsed_s", seconds, "connections_per_s",
		seconds > 0 ? (double)r->good / seconds : 0, "client_cpu_us_per_connection",
		r->good ? us(r->cpu_ns) / (double)r->good : 0, "errors", errors, "connect",
		hist_json(&r->connect_ns), "first_byte", hist_json(&r->first_byte_ns), "whole",
		hist_json(&r->whole_ns));
}
