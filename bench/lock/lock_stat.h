/* SPDX-License-Identifier: MIT */
/* Parses the text of /proc/lock_stat; apart from the instrument so that it can be tested. */
#ifndef BENCH_LOCK_STAT_H
#define BENCH_LOCK_STAT_H

#include "lock/lock.h"

enum lock_stat_verdict {
	LOCK_STAT_FOUND,
	LOCK_STAT_NO_CLASS, /* a whole file, but the class is not in it */
	LOCK_STAT_DISABLED, /* lockdep switched itself off: the counts stand still */
	LOCK_STAT_BAD,	    /* not a lock_stat file, or a version or row not understood */
};

enum lock_stat_verdict lock_stat_parse(const char *text, const char *class_name,
				       struct lock_counts *counts);

#endif
