/* SPDX-License-Identifier: MIT */
/* See peaks.h. */
#include "plan/peaks.h"
#include "report/stats.h"

#include <string.h>

static double rate_of(json_t *record)
{
	json_t *result = json_object_get(json_object_get(record, "storm"), "result");

	return json_number_value(json_object_get(result, "connections_per_s"));
}

/* Of that path, or the first that is free: there are as many as baselines. */
static size_t find(const struct peaks *peaks, const char *accept)
{
	size_t i = 0;

	while (i < MATRIX_BASELINES - 1 && peaks->baseline[i].accept &&
	       strcmp(peaks->baseline[i].accept, accept))
		i++;
	return i;
}

static struct cell_peak best_of(const struct peaks *peaks)
{
	struct cell_peak best = { 0 };

	for (size_t i = 0; i < MATRIX_BASELINES; i++) {
		double median = stats_median(peaks->baseline[i].rate, peaks->baseline[i].n);

		if (median > best.connections_per_s)
			best = (struct cell_peak){ median, peaks->baseline[i].accept };
	}
	return best;
}

struct cell_peak peaks_note(struct peaks *peaks, const struct cell *cell, json_t *record)
{
	size_t i = find(peaks, cell->accept);

	if (cell->is_peak && rate_of(record) > 0 && peaks->baseline[i].n < RUN_REPETITIONS_MAX) {
		peaks->baseline[i].accept = cell->accept;
		peaks->baseline[i].rate[peaks->baseline[i].n++] = rate_of(record);
	}
	return best_of(peaks);
}
