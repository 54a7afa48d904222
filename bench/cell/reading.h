/* SPDX-License-Identifier: MIT */
/*
 * What a server holds at one moment: memory, descriptors, parked connections. Taken without a
 * file_lock of anybody: see procfile.h.
 */
#ifndef BENCH_READING_H
#define BENCH_READING_H

#include "cell/server.h"

/* The keys are described in record.h; what this system does not show is absent. */
json_t *reading_take(const char *when, struct server *server, struct procfile *files);

/* "VmRSS:   12 kB" of such a text: 12; -1 when it has no such line. Apart for the tests. */
long long reading_field(const char *text, const char *key);

#endif
