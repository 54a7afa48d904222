/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1024, /* a longer message is cut */
	OUTPUT_BYTES = 16384,
};

/* Between the look at a pipe's room and the write nobody else of this process may fill it. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;

/*
 * A write that would wait is not begun: a pipe or a socket that poll() calls writable has room for
 * a line. Where poll() itself fails, as it does at an RLIMIT_NOFILE of 0, it is written all the
 * same. Not by O_NONBLOCK: that would hold for everybody who has the same open file description.
 */
static bool write_all(int fd, const char *text, size_t len, int wait_ms)
{
	while (len) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&room, 1, wait_ms) == 0) {
			errno = EAGAIN;
			return false;
		}
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

static bool write_once(int fd, const char *text, size_t len, int wait_ms)
{
	bool written;

	pthread_mutex_lock(&writing);
	written = write_all(fd, text, len, wait_ms);
	pthread_mutex_unlock(&writing);
	return written;
}

void say(const char *format, ...)
{
	static const char prefix[] = "accept-server: ";
	char line[LINE_MAX_BYTES];
	size_t used = sizeof(prefix) - 1, room = sizeof(line) - used;
	va_list arguments;
	int n;

	memcpy(line, prefix, used);
	va_start(arguments, format);
	n = vsnprintf(line + used, room, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	used += (size_t)n < room ? (size_t)n : room - 1;
	line[used++] = '\n'; /* in place of the NUL */
	write_once(STDERR_FILENO, line, used, 0);
}

static char output[OUTPUT_BYTES];
static FILE *output_file;

FILE *output_begin(void)
{
	if (!output_file)
		output_file = fmemopen(output, sizeof(output), "w");
	if (!output_file)
		die("standard output: %s", strerror(errno));
	rewind(output_file);
	return output_file;
}

bool output_end(int wait_ms)
{
	long len = ftell(output_file);

	if (fflush(output_file) || len < 0)
		return false;
	return write_once(STDOUT_FILENO, output, (size_t)len, wait_ms);
}
