/* SPDX-License-Identifier: MIT */
/* Parses the text of /proc/lock_stat. Separate from the instrument so that it can be tested. */
#ifndef BENCH_LOCK_STAT_H
#define BENCH_LOCK_STAT_H

#include "lock/lock.h"

enum lock_stat_verdict {
	LOCK_STAT_FOUND,
	LOCK_STAT_NO_CLASS, /* a complete file, but without this class */
	LOCK_STAT_DISABLED, /* lockdep has disabled itself: the counts no longer change */
	LOCK_STAT_BAD,	    /* not a lock_stat file, or an unknown version or format of a row */
};

enum lock_stat_verdict lock_stat_parse(const char *text, const char *class_name,
				       struct lock_counts *counts);

#endif
