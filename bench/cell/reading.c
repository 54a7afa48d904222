/* SPDX-License-Identifier: MIT */
/* See reading.h. */
#include "cell/reading.h"
#include "cell/sockstat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long long reading_field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ':')
			return atoll(line + len + 1);
	}
	return -1;
}

static void set(json_t *reading, const char *key, long long value)
{
	if (value >= 0)
		json_object_set_new(reading, key, json_integer(value));
}

static void read_process(json_t *reading, pid_t pid, struct procfile *files)
{
	char path[64], *text;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	text = procfile_read(files, path);
	if (!text)
		return;
	set(reading, "rss_kib", reading_field(text, "VmRSS"));
	set(reading, "rss_peak_kib", reading_field(text, "VmHWM"));
	set(reading, "fd_table_size", reading_field(text, "FDSize"));
	free(text);
}

static void read_totals(json_t *reading, struct server *server)
{
	static const char *const keys[] = { "parked_now", "conns_now" };
	char why[256];
	json_t *totals = server->is_silent ? NULL : server_totals(server, why, sizeof(why));

	for (size_t i = 0; i < 2; i++)
		if (json_object_get(totals, keys[i]))
			json_object_set(reading, keys[i], json_object_get(totals, keys[i]));
	json_decref(totals);
}

static void read_kernel(json_t *reading, struct procfile *files)
{
	struct sockstat sockets;
	char *text;

	if (!sockstat_read(files, &sockets)) {
		set(reading, "sockets_used", (long long)sockets.used);
		set(reading, "tcp_allocated", (long long)sockets.tcp_alloc);
		set(reading, "tcp_memory_kib",
		    (long long)sockets.tcp_pages * (sysconf(_SC_PAGESIZE) / 1024));
	}
	text = procfile_read(files, "/proc/meminfo");
	if (text)
		set(reading, "slab_unreclaimable_kib", reading_field(text, "SUnreclaim"));
	free(text);
}

json_t *reading_take(const char *when, struct server *server, struct procfile *files)
{
	json_t *reading = json_pack("{s:s}", "when", when);

	read_totals(reading, server);
	read_process(reading, server->child.pid, files);
	read_kernel(reading, files);
	return reading;
}
