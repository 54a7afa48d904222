/* SPDX-License-Identifier: MIT */
/*
 * A network namespace of the run's own: nobody else's sockets, ports or TIME_WAITs are in it, so a
 * socket too many at the end is one of ours.
 */
#ifndef BENCH_NETNS_H
#define BENCH_NETNS_H

#include <stdbool.h>

/*
 * Moves this process, and all it starts from now on, into one with a working loopback. Must come
 * before any thread or ring. false, and nothing has changed: not root, or a kernel without them.
 */
bool netns_enter(void);

#endif
