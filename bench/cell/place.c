/* SPDX-License-Identifier: MIT */
/* See place.h. */
#include "cell/place.h"
#include "cell/child.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_name(pid_t pid, pid_t thread, const char *name)
{
	char path[64], line[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, thread);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return !strcmp(line, name);
}

int place_threads(pid_t pid, const char *name, const char *cpus)
{
	struct dirent *entry;
	char path[64];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while (n >= 0 && (entry = readdir(dir))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread <= 0 || !has_name(pid, thread, name))
			continue;
		errno = EINVAL; /* a list that is none */
		n = child_bind_thread(thread, cpus) ? n + 1 : -errno;
	}
	closedir(dir);
	return n;
}
