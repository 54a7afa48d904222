/* SPDX-License-Identifier: MIT */
/* See limits.h. */
#include "limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#define SPARE 64 /* rings, pipes, listeners, record file */

void limits_raise(uint64_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_max < wanted + SPARE) { /* root may go beyond the hard limit */
		struct rlimit more = { wanted + SPARE, wanted + SPARE };

		if (!setrlimit(RLIMIT_NOFILE, &more))
			return;
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < wanted)
		fprintf(stderr,
			"accept-bench: %" PRIu64 " open files were asked for, the hard limit "
			"is %" PRIu64 "; see ulimit -Hn\n",
			wanted, (uint64_t)limit.rlim_cur);
}
