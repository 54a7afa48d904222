/* SPDX-License-Identifier: MIT */
/*
 * A network namespace for the run. It has no sockets, ports or TIME_WAIT entries of other programs,
 * so any socket left over at the end belongs to the run.
 */
#ifndef BENCH_NETNS_H
#define BENCH_NETNS_H

#include <stdbool.h>

/*
 * Moves this process, and every process it starts from now on, into a new network namespace with a
 * working loopback. Must be called before any thread or ring is created. Returns false, with nothing
 * changed, without root or on a kernel without network namespaces.
 */
bool netns_enter(void);

#endif
