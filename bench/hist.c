/* SPDX-License-Identifier: MIT */
/* Log-linear histogram. See hist.h. */
#include "hist.h"

#include <math.h>
#include <string.h>

#define SUB (1u << HIST_SUB_BITS)

static unsigned int bucket_of(uint64_t value)
{
	unsigned int top, shift;

	if (value < SUB)
		return (unsigned int)value;
	if (value >> HIST_TOP_BIT)
		return HIST_BUCKETS - 1;
	top = 63 - (unsigned int)__builtin_clzll(value);
	shift = top - HIST_SUB_BITS;
	return ((shift + 1) << HIST_SUB_BITS) + (unsigned int)((value >> shift) - SUB);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> HIST_SUB_BITS) - 1;
	return (((uint64_t)(bucket & (SUB - 1)) + SUB + 1) << shift) - 1;
}

void hist_clear(struct hist *hist)
{
	memset(hist, 0, sizeof(*hist));
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
	hist->bucket[bucket_of(value)]++;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->n += from->n;
	into->sum += from->sum;
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

uint64_t hist_quantile(const struct hist *hist, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)hist->n);
	uint64_t seen = 0;

	if (!hist->n)
		return 0;
	if (wanted < 1)
		wanted = 1;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->bucket[i];
		if (seen >= wanted) {
			uint64_t top = bucket_top(i);

			return top < hist->max ? top : hist->max;
		}
	}
	return hist->max;
}
