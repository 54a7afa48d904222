/* SPDX-License-Identifier: MIT */
#include "lab/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

/* Is the K-th of TOTAL one of GAPS, evenly spread? */
static bool is_gap(uint64_t k, uint64_t gaps, uint64_t total)
{
	return (k + 1) * gaps / total > k * gaps / total;
}

bool ballast_open(unsigned n, unsigned gaps)
{
	unsigned total = n + gaps, opened, k;
	int *fds;
	int file;

	if (!n)
		return true;
	file = open("/", O_PATH | O_CLOEXEC);
	fds = calloc(total, sizeof(*fds));
	if (file < 0 || !fds) {
		say("--open-fds %u: %s", n, strerror(errno));
		return false;
	}
	for (opened = 0; opened < total; opened++) {
		fds[opened] = fcntl(file, F_DUPFD_CLOEXEC, 0);
		if (fds[opened] < 0) {
			say("--open-fds %u: after %u: %s; see ulimit -n", n, opened,
			    strerror(errno));
			break;
		}
	}
	for (k = 0; k < opened; k++)
		if (opened < total || is_gap(k, gaps, total))
			close(fds[k]);
	close(file);
	free(fds);
	return opened == total;
}
