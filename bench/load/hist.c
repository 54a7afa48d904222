/* SPDX-License-Identifier: MIT */
/* See hist.h. */
#include "load/hist.h"

#include <stdlib.h>
#include <string.h>

void hist_clear(struct hist *hist)
{
	struct hdr_histogram_bucket_config config;

	if (hdr_calculate_bucket_config(1, HIST_HIGHEST, HIST_DIGITS, &config) ||
	    config.counts_len != HIST_COUNTS)
		abort(); /* another layout than the one HIST_COUNTS is for */
	memset(hist, 0, sizeof(*hist));
	hdr_init_preallocated(&hist->hdr, &config);
	hist->hdr.counts = hist->counts;
	hist->min = UINT64_MAX;
}

void hist_add(struct hist *hist, uint64_t value)
{
	hist->n++;
	hist->sum += value;
	if (value < hist->min)
		hist->min = value;
	if (value > hist->max)
		hist->max = value;
	hdr_record_value(&hist->hdr, value < HIST_HIGHEST ? (int64_t)value : HIST_HIGHEST);
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->n += from->n;
	into->sum += from->sum;
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	hdr_add(&into->hdr, &from->hdr);
}

uint64_t hist_quantile(const struct hist *hist, double share)
{
	uint64_t value;

	if (!hist->n)
		return 0;
	value = (uint64_t)hdr_value_at_percentile(&hist->hdr, share * 100);
	return value < hist->max ? value : hist->max;
}
