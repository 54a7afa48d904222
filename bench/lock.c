/* SPDX-License-Identifier: MIT */
/* Chooses an instrument. See lock.h. */
#include "lock.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

bool lock_choose(const char *name, struct procfile *files, struct lock_instrument *chosen,
		 char *why, size_t why_len)
{
	struct utsname kernel;

	uname(&kernel);
	if (name && strcmp(name, lock_stat_instrument.name)) {
		snprintf(why, why_len, "no instrument is called %s", name);
		return false;
	}
	if (access("/proc/lock_stat", F_OK)) {
		snprintf(why, why_len,
			 "not visible on this kernel because %s has no /proc/lock_stat "
			 "(CONFIG_LOCK_STAT is off)",
			 kernel.release);
		return false;
	}
	*chosen = lock_stat_instrument;
	chosen->files = files;
	return chosen->start(chosen, 0, why, why_len) == 0;
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
