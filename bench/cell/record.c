/* SPDX-License-Identifier: MIT */
/* Reads and writes records as NDJSON (one JSON object per line). See record.h. */
#include "cell/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define LINE_MAX_BYTES (16u << 20)  /* of a record; those of a full run have some 10 KiB */
#define READ_MAX_BYTES (1ull << 30) /* of a file, when it is expanded */

/* Of a measured time or rate. HDR histograms keep three, a run's times differ in the third. */
enum { REAL_DIGITS = 7 };

/* What was appended has to be there to be read again: no pipe, no device, no terminal. */
static bool is_regular(int fd)
{
	struct stat there;

	return !fstat(fd, &there) && S_ISREG(there.st_mode);
}

int record_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
	int error;

	if (fd < 0)
		return -errno;
	if (!is_regular(fd)) {
		close(fd);
		return -ENOTSUP;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) && errno != EOPNOTSUPP && errno != ENOSYS) {
		error = errno == EWOULDBLOCK ? EBUSY : errno;
		close(fd);
		return -error;
	}
	return fd;
}

static int append(int fd, const char *line, size_t len)
{
	struct stat stat;
	ssize_t n;
	int error;

	if (fstat(fd, &stat))
		return -errno;
	n = write(fd, line, len);
	if (n == (ssize_t)len && !fsync(fd))
		return 0;
	/* A short write is a full disk. What is half there must not stay. */
	error = n < 0 || n == (ssize_t)len ? errno : ENOSPC;
	if (ftruncate(fd, stat.st_size))
		error = errno;
	return -error;
}

int record_append(int fd, json_t *record)
{
	char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
	char *line;
	int ret;

	if (!text)
		return -ENOMEM;
	if (asprintf(&line, "%s\n", text) < 0) {
		free(text);
		return -ENOMEM;
	}
	ret = append(fd, line, strlen(line));
	free(line);
	free(text);
	return ret;
}

static bool check_record(json_t *record, char *why, size_t why_len)
{
	static const char *const outcomes[] = { "ok", "failed", "skipped" };
	const char *schema = json_string_value(json_object_get(record, "schema"));
	const char *outcome = json_string_value(json_object_get(record, "outcome"));

	if (!schema || strcmp(schema, RECORD_SCHEMA)) {
		snprintf(why, why_len, "schema is '%s', this program reads '%s'",
			 schema ? schema : "", RECORD_SCHEMA);
		return false;
	}
	for (size_t i = 0; outcome && i < 3; i++)
		if (!strcmp(outcome, outcomes[i]))
			goto outcome_known;
	snprintf(why, why_len, "outcome is '%s'", outcome ? outcome : "");
	return false;
outcome_known:
	if (!json_is_object(json_object_get(record, "cell")) ||
	    !json_is_object(json_object_get(record, "environment")) ||
	    !json_is_object(json_object_get(record, "run"))) {
		snprintf(why, why_len, "cell, run or environment is missing");
		return false;
	}
	return true;
}

static bool read_line(const char *path, size_t number, const char *line, size_t len,
		      json_t *records, json_t *others, char *why, size_t why_len)
{
	char what[256];
	json_error_t error;
	json_t *record;

	if (len == 0 || line[len - 1] != '\n') {
		snprintf(why, why_len, "%s line %zu: cut off, there is no end of line", path,
			 number);
		return false;
	}
	record = json_loadb(line, len - 1, JSON_REJECT_DUPLICATES, &error);
	if (!record) {
		snprintf(why, why_len, "%s line %zu: not JSON: %s", path, number, error.text);
		return false;
	}
	if (others && json_is_string(json_object_get(record, RECORD_KIND_KEY))) {
		json_array_append_new(others, record);
		return true;
	}
	if (!check_record(record, what, sizeof(what))) {
		snprintf(why, why_len, "%s line %zu: not a record: %s", path, number, what);
		json_decref(record);
		return false;
	}
	json_array_append_new(records, record);
	return true;
}

/* A file as it is, or what gzip has made of one: zlib tells by its first bytes. */
struct reader {
	gzFile gz;
	char *line; /* the current one */
	size_t len, size;
	uint64_t all;
};

static bool grow(struct reader *r)
{
	size_t size = r->size ? 2 * r->size : 65536;
	char *line = realloc(r->line, size);

	if (!line)
		return false;
	r->line = line;
	r->size = size;
	return true;
}

/* One line with its end, as far as there is one: 1; 0 at the end; -1 with the reason. */
static int next_line(struct reader *r, char *why, size_t why_len)
{
	int c = 0;

	for (r->len = 0; c != '\n'; r->line[r->len++] = (char)c) {
		c = gzgetc(r->gz);
		if (c < 0)
			break;
		if (r->len >= LINE_MAX_BYTES || ++r->all > READ_MAX_BYTES) {
			snprintf(why, why_len, "a line has more than %u MiB, or the file %llu MiB",
				 LINE_MAX_BYTES >> 20, READ_MAX_BYTES >> 20);
			return -1;
		}
		if (r->len == r->size && !grow(r)) {
			snprintf(why, why_len, "out of memory");
			return -1;
		}
	}
	if (c < 0) {
		int error;
		const char *text = gzerror(r->gz, &error);

		if (error != Z_OK && error != Z_STREAM_END) {
			snprintf(why, why_len, "%s", error == Z_ERRNO ? strerror(errno) : text);
			return -1;
		}
	}
	return r->len > 0;
}

static bool read_lines(const char *path, struct reader *r, json_t *records, json_t *others,
		       char *why, size_t why_len)
{
	char what[256];
	size_t number = 0;
	int ret;

	while ((ret = next_line(r, what, sizeof(what))) > 0)
		if (!read_line(path, ++number, r->line, r->len, records, others, why, why_len))
			return false;
	if (ret < 0)
		snprintf(why, why_len, "cannot read %s: %s", path, what);
	return ret == 0;
}

bool record_read_all(const char *path, json_t *records, json_t *others, char *why, size_t why_len)
{
	/* not blocking: a pipe would wait for somebody to write */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct reader reader = { 0 };
	bool good;

	if (fd < 0) {
		snprintf(why, why_len, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	if (!is_regular(fd)) {
		snprintf(why, why_len, "cannot read %s: it is not a regular file", path);
		close(fd);
		return false;
	}
	reader.gz = gzdopen(fd, "r");
	if (!reader.gz) {
		snprintf(why, why_len, "cannot read %s: out of memory", path);
		close(fd);
		return false;
	}
	good = read_lines(path, &reader, records, others, why, why_len);
	free(reader.line);
	gzclose(reader.gz);
	return good;
}

bool record_read(const char *path, json_t *records, char *why, size_t why_len)
{
	return record_read_all(path, records, NULL, why, why_len);
}

bool record_number(json_t *record, const char *part, const char *key, double *value)
{
	json_t *number = json_object_get(json_object_get(record, part), key);

	if (!json_is_number(number))
		return false;
	*value = json_number_value(number);
	return true;
}

const char *record_text(json_t *record, const char *part, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(record, part), key));

	return text ? text : "";
}
