/* SPDX-License-Identifier: MIT */
/*
 * The server side of the self-check: a thread of this process that accepts, answers and closes
 * connections with direct descriptors only. A cell with it has no server, so whatever the instrument
 * counts comes from the harness or from the rest of the machine.
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <netinet/in.h>
#include <stddef.h>

#define SINK_BODY "hello, world\n"

struct sink;

/*
 * Listens at *address, on a port chosen by the kernel, for up to `concurrency` connections at once.
 * NULL with the reason in `why`. sink_stop() frees it.
 */
struct sink *sink_start(unsigned int concurrency, struct sockaddr_in *address, char *why,
			size_t why_len);
void sink_stop(struct sink *sink);

#endif
