/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include <stdbool.h>
#include <string.h>

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

void counters_add(struct counters *sum, const struct counters *block)
{
#define X(name, help) sum->name += __atomic_load_n(&block->name, __ATOMIC_RELAXED);
	COUNTERS(X)
#undef X
}

void counters_print(FILE *out, const struct counters *sum, unsigned io_wq_threads)
{
	fputs("totals", out);
#define X(name, help) fprintf(out, " " #name "=%llu", (unsigned long long)sum->name);
	COUNTERS(X)
#undef X
	fprintf(out, " io_wq_threads=%u", io_wq_threads);
}

static void metric_header(FILE *out, const char *name, const char *help)
{
	bool gauge = ends_with(name, "_now") || ends_with(name, "_peak");

	fprintf(out, "# HELP accept_server_%s%s %s\n", name, gauge ? "" : "_total", help);
	fprintf(out, "# TYPE accept_server_%s%s %s\n", name, gauge ? "" : "_total",
		gauge ? "gauge" : "counter");
}

static void metric_sample(FILE *out, const char *name, unsigned worker, uint64_t value)
{
	bool gauge = ends_with(name, "_now") || ends_with(name, "_peak");

	fprintf(out, "accept_server_%s%s{worker=\"%u\"} %llu\n", name, gauge ? "" : "_total",
		worker, (unsigned long long)value);
}

void counters_prometheus(FILE *out, struct counters *const *blocks, unsigned n)
{
	unsigned i;

#define X(name, help)                                                                              \
	metric_header(out, #name, help);                                                           \
	for (i = 0; i < n; i++)                                                                    \
		metric_sample(out, #name, i, __atomic_load_n(&blocks[i]->name, __ATOMIC_RELAXED));
	COUNTERS(X)
#undef X
}
