/* SPDX-License-Identifier: MIT */
/* The server under test. See server.h. */
#include "cell/server.h"
#include "option.h"
#include "load/storm_cmd.h"
#include "server/quantity.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READY_LIMIT_NS	60000000000LL /* a guest without hardware help is slow */
#define TOTALS_LIMIT_NS 10000000000
#define STOP_LIMIT_NS	30000000000

static bool copy_value(const char *line, const char *key, char *value, size_t size)
{
	const char *at = strstr(line, key);
	size_t len;

	if (!at)
		return false;
	at += strlen(key);
	len = strcspn(at, " \n");
	if (len == 0 || len >= size)
		return false;
	memcpy(value, at, len);
	value[len] = '\0';
	return true;
}

bool server_parse_ready(struct server *server, const char *line)
{
	char address[64];

	snprintf(server->ready, sizeof(server->ready), "%s", line);
	return copy_value(line, " listen=", address, sizeof(address)) &&
	       copy_value(line, " accept=", server->accept, sizeof(server->accept)) &&
	       storm_parse_address(address, &server->address);
}

json_t *server_parse_totals(const char *line)
{
	static const char first[] = "totals ";
	json_t *totals = json_object();
	char copy[CHILD_LINE_MAX];
	char *cursor = copy, *pair;

	if (strncmp(line, first, strlen(first))) {
		json_decref(totals);
		return NULL;
	}
	snprintf(copy, sizeof(copy), "%s", line + strlen(first));
	while ((pair = strsep(&cursor, " "))) {
		char *value = strchr(pair, '=');
		uint64_t number;

		if (!value)
			continue;
		*value++ = '\0';
		if (quantity_count(value, &number))
			json_object_set_new(totals, pair, json_integer((json_int_t)number));
	}
	return totals;
}

enum server_verdict server_start(struct server *server, char *const argv[], const char *cpus,
				 char *why, size_t why_len)
{
	char line[CHILD_LINE_MAX], said[512], end[64];
	int ret = child_start(&server->child, argv, cpus, CHILD_APART);

	server->accept[0] = '\0';
	if (ret < 0) {
		snprintf(why, why_len, "cannot start %s: %s", argv[0], strerror(-ret));
		return SERVER_FAILED;
	}
	ret = child_read_line(&server->child, line, sizeof(line), READY_LIMIT_NS);
	if (ret == 1 && server_parse_ready(server, line))
		return SERVER_READY;
	if (ret == 1)
		snprintf(why, why_len, "the first line of %s has no listen= and accept=: %.200s",
			 argv[0], line);
	else if (ret == -ETIMEDOUT)
		snprintf(why, why_len, "%s printed no first line within %lld s", argv[0],
			 READY_LIMIT_NS / 1000000000);
	if (ret != 0) {
		child_kill(&server->child);
		return SERVER_FAILED;
	}
	child_wait(&server->child, STOP_LIMIT_NS);
	child_last_error(&server->child, said, sizeof(said));
	child_describe_end(&server->child, end, sizeof(end));
	snprintf(why, why_len, "%s%s%s", said, *said ? "; " : "the server ended at once with ",
		 end);
	ret = child_exited(&server->child, EXIT_SKIPPED);
	child_kill(&server->child);
	return ret ? SERVER_UNSUPPORTED : SERVER_FAILED;
}

json_t *server_totals(struct server *server, char *why, size_t why_len)
{
	char line[CHILD_LINE_MAX];
	int ret;

	kill(server->child.pid, SIGUSR1);
	while ((ret = child_read_line(&server->child, line, sizeof(line), TOTALS_LIMIT_NS)) == 1) {
		json_t *totals = server_parse_totals(line);

		if (totals)
			return totals;
	}
	if (ret == 0) {
		char said[512], end[64];

		child_wait(&server->child, STOP_LIMIT_NS);
		child_last_error(&server->child, said, sizeof(said));
		child_describe_end(&server->child, end, sizeof(end));
		snprintf(why, why_len, "the server died during the run: %s%s%s", said,
			 *said ? "; " : "", end);
	} else {
		snprintf(why, why_len, "the server printed no totals on SIGUSR1: %s",
			 strerror(-ret));
	}
	return NULL;
}

/* Through /proc/PID/task/PID/children, which not every kernel has: the first process alone then. */
uint64_t server_cpu_ns(struct server *server, struct procfile *files)
{
	uint64_t sum = child_cpu_ns(&server->child);
	char path[64], *text, *at, *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", server->child.pid,
		 server->child.pid);
	text = procfile_read(files, path);
	for (at = text; at && *at; at = end) {
		struct child worker = { .pid = (pid_t)strtol(at, &end, 10) };

		if (end == at)
			break;
		sum += child_cpu_ns(&worker);
	}
	free(text);
	return sum;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void server_remove_folder(struct server *server)
{
	if (server->folder[0])
		nftw(server->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	server->folder[0] = '\0';
}

bool server_stop(struct server *server, char *why, size_t why_len)
{
	char said[512], end[64], line[CHILD_LINE_MAX];
	bool good;
	int ret;

	if (!server->child.pid) {
		child_kill(&server->child);
		return true; /* it was found dead before, with its reason */
	}
	kill(server->child.pid, SIGTERM);
	while (child_read_line(&server->child, line, sizeof(line), STOP_LIMIT_NS) == 1)
		;
	ret = child_wait(&server->child, STOP_LIMIT_NS);
	good = ret == 0 && (server->is_silent || child_exited(&server->child, EXIT_GOOD));
	server_remove_folder(server);
	if (!good) {
		child_last_error(&server->child, said, sizeof(said));
		child_describe_end(&server->child, end, sizeof(end));
		snprintf(why, why_len, "%s%s%s%s",
			 ret ? "the server did not end on SIGTERM and was killed: "
			     : "the server ended badly: ",
			 said, *said ? "; " : "", end);
	}
	child_kill(&server->child);
	return good;
}
