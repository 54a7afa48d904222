/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of a server's resources: memory, descriptors, parked connections. Taking it acquires
 * no file_lock, neither the server's nor the harness's: see procfile.h.
 */
#ifndef BENCH_READING_H
#define BENCH_READING_H

#include "cell/server.h"

/* A new object with the keys of `readings` in record.h; those that this system lacks are absent. */
json_t *reading_take(const char *when, struct server *server, struct procfile *files);

/*
 * The number in a line such as "VmRSS:   12 kB" of /proc/PID/status: 12 for the key "VmRSS"; -1 if
 * there is no such line. Public so that it can be tested.
 */
long long reading_field(const char *text, const char *key);

#endif
