/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <ftw.h>
#include <stdlib.h>

int check_failures;

static char folder[512];

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *check_folder(void)
{
	const char *base = getenv("TMPDIR");

	if (!folder[0]) {
		snprintf(folder, sizeof(folder), "%s/accept-bench.XXXXXX", base ? base : "/tmp");
		if (!mkdtemp(folder)) {
			perror(folder);
			exit(1);
		}
		atexit(remove_folder);
	}
	return folder;
}

int check_end(void)
{
	if (check_failures)
		fprintf(stderr, "%d checks failed\n", check_failures);
	return check_failures ? 1 : 0;
}
