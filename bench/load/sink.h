/* SPDX-License-Identifier: MIT */
/*
 * The other end of storm's self-check: a thread of this very process that accepts, answers and
 * closes with direct descriptors only. With it the whole cell runs without a server, so whatever
 * the instrument counts is the harness and the rest of the machine.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <netinet/in.h>
#include <stddef.h>

#define SINK_BODY "hello, world\n"

struct sink;

struct sink *sink_start(unsigned int concurrency, struct sockaddr_in *address, char *why,
			size_t why_len);
void sink_stop(struct sink *sink);

#endif
