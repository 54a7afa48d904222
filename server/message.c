/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 1024, /* a longer message is cut */
	OUTPUT_BYTES = 16384,
};

/*
 * A pipe or a terminal that was opened by somebody else is opened anew, so that O_NONBLOCK holds for
 * this program alone: with the one that was inherited it would for all who have it. That needs
 * /proc, and permission; without, write_all() does what it can.
 */
static void stop_waiting(int fd)
{
	char name[64];
	struct stat status;
	int own;

	if (fstat(fd, &status) || (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)))
		return;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	/* In the same mode: it may be the only reader of a FIFO that nobody else has open yet. */
	own = open(name, (fcntl(fd, F_GETFL) & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return;
	dup2(own, fd);
	close(own);
}

void message_begin(void)
{
	stop_waiting(STDOUT_FILENO);
	stop_waiting(STDERR_FILENO);
}

/* Of a socket or a file too: a file may make one wait, but for its disk and not for a reader. */
static ssize_t write_some(int fd, const char *text, size_t len)
{
	ssize_t n = sendto(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);

	return n < 0 && errno == ENOTSOCK ? write(fd, text, len) : n;
}

/* Whether poll() tells of room in FD: of some devices, such as /dev/kmsg, it does not. */
static bool has_reader(int fd)
{
	struct stat status;

	return fstat(fd, &status) || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) ||
	       isatty(fd);
}

/* Whether a write to FD may wait for a reader. */
static bool may_wait(int fd)
{
	struct stat status;

	return !(fcntl(fd, F_GETFL) & O_NONBLOCK) &&
	       (fstat(fd, &status) || !S_ISREG(status.st_mode));
}

static bool write_all(int fd, const char *text, size_t len, int wait_ms)
{
	while (len) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		/* If it fails, as at an RLIMIT_NOFILE of 0, only what cannot wait is written. */
		int ready = has_reader(fd) ? poll(&room, 1, wait_ms) : 1;
		ssize_t n;

		if (!ready || (ready < 0 && may_wait(fd))) {
			errno = EAGAIN;
			return false;
		}
		n = write_some(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
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
	write_all(STDERR_FILENO, line, used, 0);
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
	return write_all(STDOUT_FILENO, output, (size_t)len, wait_ms);
}
