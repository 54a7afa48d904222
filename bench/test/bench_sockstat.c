/* SPDX-License-Identifier: MIT */
/* Tests parsing /proc/net/sockstat, and the comparison of socket counts before and after. */
#include "check.h"
#include "cell/sockstat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char whole[] = "sockets: used 310\n"
			    "TCP: inuse 7 orphan 1 tw 2400 alloc 12 mem 3\n"
			    "UDP: inuse 4 mem 2\n"
			    "UDPLITE: inuse 0\n";

static void test_parse(void)
{
	struct sockstat stat;

	CHECK(sockstat_parse(whole, &stat));
	CHECK(stat.used == 310 && stat.tcp_inuse == 7 && stat.tcp_orphan == 1 &&
	      stat.tcp_tw == 2400 && stat.tcp_alloc == 12);
	CHECK(!sockstat_parse("", &stat));
	CHECK(!sockstat_parse("sockets: used 1\n", &stat));
	CHECK(!sockstat_parse("sockets: used x\nTCP: inuse 1 orphan 0 tw 0 alloc 1\n", &stat));
	CHECK(!sockstat_parse("sockets: used 1\nTCP: inuse 1 orphan 0 tw 0\n", &stat));
}

static void test_back(void)
{
	const struct sockstat before = { 10, 2, 0, 5, 2, 1 };
	struct sockstat now = before;

	CHECK(sockstat_is_back(&before, &now));
	now.tcp_tw = 5000; /* they end by themselves, a minute later */
	CHECK(sockstat_is_back(&before, &now));
	now.used = 9; /* somebody else's went away */
	CHECK(sockstat_is_back(&before, &now));
	now.tcp_alloc = 3; /* closed, but a slot still holds it */
	CHECK(!sockstat_is_back(&before, &now) && sockstat_is_closed(&before, &now));
	CHECK(sockstat_is_back_here(&before, &now)); /* perhaps in another namespace */
	now = before;
	now.tcp_inuse++;
	CHECK(!sockstat_is_back(&before, &now) && !sockstat_is_closed(&before, &now));
	now = before;
	now.used++;
	CHECK(!sockstat_is_back(&before, &now));
}

/* Reading a file takes no descriptor: the lowest free number stays the lowest. */
static void test_reads_without_fd(void)
{
	struct procfile files;
	struct sockstat stat;
	int ret = procfile_open(&files);
	int before, after;
	char *text;

	CHECK(ret == 0, ": %s", strerror(-ret));
	if (ret)
		return;
	before = dup(STDERR_FILENO);
	close(before);
	CHECK(sockstat_read(&files, &stat) == 0);
	after = dup(STDERR_FILENO);
	close(after);
	CHECK(before == after);
	text = procfile_read(&files, "/proc/self/status");
	CHECK(text && strstr(text, "Name:\tbench_sockstat"));
	free(text);
	errno = 0;
	CHECK(!procfile_read(&files, "/proc/none") && errno == ENOENT);
	CHECK(!procfile_read(&files, "/proc") && errno == EISDIR);
	text = procfile_read(&files, "/proc/kallsyms"); /* larger than the first buffer */
	CHECK(!text || strlen(text) > 65536);
	free(text);
	procfile_close(&files);
}

int main(void)
{
	test_parse();
	test_back();
	test_reads_without_fd();
	return check_end();
}
