/* SPDX-License-Identifier: MIT */
/* /proc/net/sockstat. See sockstat.h. */
#include "cell/sockstat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS 10000000

bool sockstat_parse(const char *text, struct sockstat *stat)
{
	const char *tcp = strstr(text, "TCP: ");

	return sscanf(text, "sockets: used %" SCNu64, &stat->used) == 1 && tcp &&
	       sscanf(tcp,
		      "TCP: inuse %" SCNu64 " orphan %" SCNu64 " tw %" SCNu64 " alloc %" SCNu64
		      " mem %" SCNu64,
		      &stat->tcp_inuse, &stat->tcp_orphan, &stat->tcp_tw, &stat->tcp_alloc,
		      &stat->tcp_pages) == 5;
}

int sockstat_read(struct procfile *reader, struct sockstat *stat)
{
	char *text = procfile_read(reader, "/proc/net/sockstat");
	bool good;

	if (!text)
		return -errno;
	good = sockstat_parse(text, stat);
	free(text);
	return good ? 0 : -EBADMSG;
}

bool sockstat_is_back(const struct sockstat *before, const struct sockstat *now)
{
	return now->used <= before->used && now->tcp_inuse <= before->tcp_inuse &&
	       now->tcp_alloc <= before->tcp_alloc && now->tcp_orphan <= before->tcp_orphan;
}

bool sockstat_is_back_here(const struct sockstat *before, const struct sockstat *now)
{
	return now->used <= before->used && now->tcp_inuse <= before->tcp_inuse;
}

bool sockstat_is_closed(const struct sockstat *before, const struct sockstat *now)
{
	return now->tcp_inuse <= before->tcp_inuse;
}

bool sockstat_wait(struct procfile *reader, const struct sockstat *before,
		   bool (*is_so)(const struct sockstat *before, const struct sockstat *now),
		   uint64_t limit_ns, struct sockstat *now)
{
	struct timespec pause = { .tv_nsec = POLL_NS };

	for (uint64_t waited = 0;; waited += POLL_NS) {
		if (sockstat_read(reader, now) < 0)
			return false;
		if (is_so(before, now))
			return true;
		if (waited >= limit_ns)
			return false;
		nanosleep(&pause, NULL);
	}
}
