/* SPDX-License-Identifier: MIT */
/* Chooses an instrument. See lock.h. */
#include "lock.h"

#include <stdio.h>
#include <string.h>

static const struct lock_instrument *const instruments[] = {
	&lock_stat_instrument, /* sees most, so it comes first */
	&lock_contention_instrument,
};

#define N_INSTRUMENTS (sizeof(instruments) / sizeof(instruments[0]))

bool lock_choose(const char *name, struct procfile *files, struct lock_instrument *chosen,
		 char *why, size_t why_len)
{
	int used;

	used = snprintf(why, why_len, "not visible on this kernel because");
	for (size_t i = 0; i < N_INSTRUMENTS; i++) {
		char reason[512];

		if (name && strcmp(name, instruments[i]->name))
			continue;
		*chosen = *instruments[i];
		chosen->files = files;
		if (!chosen->start(chosen, reason, sizeof(reason)))
			return true;
		used += snprintf(why + used, why_len - (size_t)used, "%s %s",
				 i && !name ? "; and" : "", reason);
		if ((size_t)used >= why_len)
			break;
	}
	return false;
}

struct lock_counts lock_difference(const struct lock_counts *before,
				   const struct lock_counts *after)
{
	return (struct lock_counts){
		.seen = before->seen & after->seen,
		.acquisitions = after->acquisitions - before->acquisitions,
		.contentions = after->contentions - before->contentions,
		.wait_ns = after->wait_ns - before->wait_ns,
		.hold_ns = after->hold_ns - before->hold_ns,
	};
}
