/* SPDX-License-Identifier: MIT */
/*
 * Tests that a record is written completely or not at all, and that a line that is not a record is
 * refused with its number.
 */
#include "check.h"
#include "cell/record.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD                                                                                       \
	"{\"schema\":\"accept-bench/1\",\"outcome\":\"ok\",\"cell\":{},\"run\":{},"                \
	"\"environment\":{}}\n"

static char path[600];

static void write_text(const char *text)
{
	FILE *file = fopen(path, "we");

	fputs(text, file);
	fclose(file);
}

static off_t size_of(void)
{
	struct stat stat_of;

	return stat(path, &stat_of) ? -1 : stat_of.st_size;
}

static const struct {
	const char *text, *says; /* NULL: good */
} files[] = {
	{ GOOD, NULL },
	{ GOOD GOOD, NULL },
	{ "", NULL },
	{ GOOD "{\"schema\":\"accept-b", "line 2: cut off" },
	{ GOOD GOOD "{\"schema\":\n", "line 3: not JSON" },
	{ "\n", "line 1: not JSON" },
	{ "[]\n", "line 1: not a record" },
	{ "{}\n", "line 1: not a record: schema" },
	{ "{\"schema\":\"accept-bench/2\",\"outcome\":\"ok\"}\n", "'accept-bench/2'" },
	{ "{\"schema\":\"accept-bench/1\"}\n", "outcome" },
	{ "{\"schema\":\"accept-bench/1\",\"outcome\":\"perhaps\"}\n", "'perhaps'" },
	{ "{\"schema\":\"accept-bench/1\",\"outcome\":\"ok\"}\n", "is missing" },
	{ "{\"a\":1,\"a\":2}\n", "line 1: not JSON" },
};

static void test_read(void)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		json_t *records = json_array();
		char why[512] = "";
		bool good;

		write_text(files[i].text);
		good = record_read(path, records, why, sizeof(why));
		CHECK(good == !files[i].says, ": case %zu", i);
		CHECK(good || strstr(why, files[i].says), ": case %zu: %s", i, why);
		json_decref(records);
	}
}

static void test_append(void)
{
	json_t *record = json_loads(GOOD, 0, NULL), *records = json_array();
	char why[512];
	int fd;

	unlink(path);
	fd = record_open(path);
	CHECK(fd >= 0);
	CHECK(record_open(path) == -EBUSY); /* a second run keeps out */
	CHECK(record_append(fd, record) == 0 && record_append(fd, record) == 0);
	close(fd);
	CHECK(record_read(path, records, why, sizeof(why)) && json_array_size(records) == 2);
	CHECK(json_equal(json_array_get(records, 1), record));
	json_decref(records);
	json_decref(record);
}

/* Records that gzip has compressed are read as they are; half of such a file is no file. */
static void test_compressed(void)
{
	json_t *record = json_loads(GOOD, 0, NULL), *records = json_array();
	char command[2400], gz[1100], why[2048];
	struct stat stat_gz;
	int fd;

	unlink(path);
	fd = record_open(path);
	CHECK(record_append(fd, record) == 0 && record_append(fd, record) == 0);
	close(fd);
	snprintf(gz, sizeof(gz), "%s.gz", path);
	snprintf(command, sizeof(command), "gzip -nc '%s' >'%s'", path, gz);
	CHECK(system(command) == 0);
	CHECK(record_read(gz, records, why, sizeof(why)));
	CHECK(json_array_size(records) == 2 && json_equal(json_array_get(records, 1), record));
	CHECK(!stat(gz, &stat_gz) && !truncate(gz, stat_gz.st_size / 2));
	CHECK(!record_read(gz, records, why, sizeof(why)));
	CHECK(strstr(why, gz) != NULL, ": %s", why);
	json_decref(records);
	json_decref(record);
}

/* A limit on the file's size cuts a write short as a full disk does. */
static void test_full_disk(void)
{
	json_t *record = json_loads(GOOD, 0, NULL);
	struct rlimit limit;
	off_t whole;
	int fd;

	unlink(path);
	fd = record_open(path);
	CHECK(record_append(fd, record) == 0);
	whole = size_of();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = (rlim_t)whole + 10;
	setrlimit(RLIMIT_FSIZE, &limit);
	CHECK(record_append(fd, record) == -ENOSPC);
	CHECK(size_of() == whole, ": %ld", (long)size_of());
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	CHECK(record_append(fd, record) == 0 && size_of() == 2 * whole);
	close(fd);

	CHECK(record_open("/dev/full") == -ENOTSUP);
	json_decref(record);
}

int main(void)
{
	snprintf(path, sizeof(path), "%s/records.ndjson", check_folder());
	test_read();
	test_append();
	test_compressed();
	test_full_disk();
	return check_end();
}
