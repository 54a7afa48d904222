/* SPDX-License-Identifier: MIT */
/* NDJSON in and out. See record.h. */
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

int record_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int error;

	if (fd < 0)
		return -errno;
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
	if (S_ISREG(stat.st_mode) && ftruncate(fd, stat.st_size))
		error = errno;
	/* Pipes and terminals cannot be synced; the line is out. */
	return n == (ssize_t)len && (error == EINVAL || error == EROFS) ? 0 : -error;
}

int record_append(int fd, json_t *record)
{
	char *text = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(12));
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
		      json_t *records, char *why, size_t why_len)
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
	if (!check_record(record, what, sizeof(what))) {
		snprintf(why, why_len, "%s line %zu: not a record: %s", path, number, what);
		json_decref(record);
		return false;
	}
	json_array_append_new(records, record);
	return true;
}

static ssize_t read_gz(void *gz, char *buffer, size_t size)
{
	int n = gzread(gz, buffer, (unsigned int)size);

	if (n < 0)
		errno = EBADMSG; /* not what gzip wrote, or cut off */
	return n;
}

static int close_gz(void *gz)
{
	return gzclose(gz) == Z_OK ? 0 : -1;
}

/* A file as it is, or what gzip has made of one: zlib tells by its first bytes. */
static FILE *open_gz(const char *path)
{
	const cookie_io_functions_t functions = { .read = read_gz, .close = close_gz };
	gzFile gz;
	FILE *file;

	errno = 0;
	gz = gzopen(path, "re");
	if (!gz)
		return NULL;
	file = fopencookie(gz, "r", functions);
	if (!file)
		gzclose(gz);
	return file;
}

bool record_read(const char *path, json_t *records, char *why, size_t why_len)
{
	FILE *file = open_gz(path);
	char *line = NULL;
	size_t size = 0, number = 0;
	ssize_t len;
	bool good = true;

	if (!file) {
		snprintf(why, why_len, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	errno = 0;
	while (good && (len = getline(&line, &size, file)) > 0)
		good = read_line(path, ++number, line, (size_t)len, records, why, why_len);
	if (good && ferror(file)) {
		snprintf(why, why_len, "cannot read %s: %s", path, strerror(errno));
		good = false;
	}
	free(line);
	fclose(file);
	return good;
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
