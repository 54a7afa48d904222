/* SPDX-License-Identifier: MIT */
/* Child processes. See child.h. */
#include "cell/child.h"
#include "now.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_NS 5000000

/* "0,2-3"; checked by the caller's option table no further than this. */
static bool parse_cpus(const char *text, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (*text) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end == text)
			return false;
		if (*end == '-') {
			text = end + 1;
			last = strtoul(text, &end, 10);
			if (end == text)
				return false;
		}
		if (last >= CPU_SETSIZE || last < first)
			return false;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, set);
		if (*end != ',' && *end != '\0')
			return false;
		text = end + (*end == ',');
	}
	return CPU_COUNT(set) > 0;
}

static void run_child(char *const argv[], pid_t parent, const cpu_set_t *set, int out, int err,
		      int report)
{
	int error;

	/* An orphan holding our pipe would look like a run that never ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	/* What main() ignores is inherited, and is not what others expect. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	if (!set || !sched_setaffinity(0, sizeof(*set), set))
		execvp(argv[0], argv);
	error = errno;
	if (write(report, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

static int start(struct child *child, char *const argv[], const cpu_set_t *set,
		 enum child_output output)
{
	int out[2], err[2], report[2], error = 0;
	pid_t parent = getpid();

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(report, O_CLOEXEC))
		return -errno;
	child->pid = fork();
	if (child->pid < 0)
		return -errno;
	if (child->pid == 0)
		run_child(argv, parent, set, out[1], output == CHILD_MERGED ? out[1] : err[1],
			  report[1]);
	close(out[1]);
	close(err[1]);
	close(report[1]);
	/* The end of this pipe closes at a successful exec: nothing to read then. */
	if (read(report[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(report[0]);
	child->out = out[0];
	child->err = err[0];
	fcntl(child->out, F_SETFL, O_NONBLOCK);
	fcntl(child->err, F_SETFL, O_NONBLOCK);
	if (error) {
		child_kill(child);
		return -error;
	}
	return 0;
}

bool child_set_cpus(const char *cpus)
{
	cpu_set_t set;

	return parse_cpus(cpus, &set) && !sched_setaffinity(0, sizeof(set), &set);
}

bool child_bind_thread(pid_t thread, const char *cpus)
{
	cpu_set_t set;

	return parse_cpus(cpus, &set) && !sched_setaffinity(thread, sizeof(set), &set);
}

unsigned int child_count_cpus(const char *cpus)
{
	cpu_set_t set;

	if (cpus ? !parse_cpus(cpus, &set) : sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	return (unsigned int)CPU_COUNT(&set);
}

int child_start(struct child *child, char *const argv[], const char *cpus, enum child_output output)
{
	cpu_set_t set;

	memset(child, 0, sizeof(*child));
	child->out = -1;
	child->err = -1;
	if (cpus && !parse_cpus(cpus, &set))
		return -EINVAL;
	return start(child, argv, cpus ? &set : NULL, output);
}

static bool take_line(struct child *child, char *line, size_t size)
{
	char *eol = memchr(child->buffer, '\n', child->have);
	size_t len, taken;

	if (!eol && child->have < sizeof(child->buffer))
		return false;
	len = eol ? (size_t)(eol - child->buffer) : child->have;
	taken = eol ? len + 1 : len;
	snprintf(line, size, "%.*s", (int)len, child->buffer);
	child->have -= taken;
	memmove(child->buffer, child->buffer + taken, child->have);
	return true;
}

int child_read_line(struct child *child, char *line, size_t size, uint64_t limit_ns)
{
	uint64_t end = now_ns() + limit_ns;

	for (;;) {
		struct pollfd poll_out = { .fd = child->out, .events = POLLIN };
		uint64_t now = now_ns();
		ssize_t n;

		if (take_line(child, line, size))
			return 1;
		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&poll_out, 1, (int)((end - now) / 1000000) + 1) < 0 && errno != EINTR)
			return -errno;
		n = read(child->out, child->buffer + child->have,
			 sizeof(child->buffer) - child->have);
		if (n == 0)
			return 0;
		if (n > 0)
			child->have += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

void child_last_error(struct child *child, char *line, size_t size)
{
	char text[CHILD_LINE_MAX];
	size_t have = 0;
	char *last;
	ssize_t n;

	line[0] = '\0';
	while ((n = read(child->err, text + have, sizeof(text) - 1 - have)) > 0) {
		have += (size_t)n;
		if (have == sizeof(text) - 1) { /* keep the end */
			have /= 2;
			memmove(text, text + sizeof(text) - 1 - have, have);
		}
	}
	while (have && text[have - 1] == '\n')
		have--;
	text[have] = '\0';
	last = strrchr(text, '\n');
	snprintf(line, size, "%s", last ? last + 1 : text);
}

static void close_pipes(struct child *child)
{
	if (child->out >= 0)
		close(child->out);
	if (child->err >= 0)
		close(child->err);
	child->out = -1;
	child->err = -1;
}

static uint64_t timeval_ns(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_usec * 1000;
}

bool child_has_ended(struct child *child)
{
	struct rusage usage;

	if (child->pid && wait4(child->pid, &child->status, WNOHANG, &usage) == child->pid) {
		child->pid = 0;
		child->spent_ns = timeval_ns(&usage.ru_utime) + timeval_ns(&usage.ru_stime);
	}
	return !child->pid;
}

int child_wait(struct child *child, uint64_t limit_ns)
{
	struct timespec step = { .tv_nsec = WAIT_STEP_NS };
	uint64_t end = now_ns() + limit_ns;

	while (!child_has_ended(child)) {
		if (now_ns() >= end) {
			child_kill(child);
			return -ETIMEDOUT;
		}
		nanosleep(&step, NULL);
	}
	return 0;
}

void child_kill(struct child *child)
{
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
			;
		child->pid = 0;
	}
	close_pipes(child);
}

uint64_t child_cpu_ns(const struct child *child)
{
	struct timespec used = { 0 };
	clockid_t clock;

	if (!child->pid || clock_getcpuclockid(child->pid, &clock) || clock_gettime(clock, &used))
		return 0;
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

bool child_exited(const struct child *child, int code)
{
	return !child->pid && WIFEXITED(child->status) && WEXITSTATUS(child->status) == code;
}

void child_describe_end(const struct child *child, char *text, size_t size)
{
	if (WIFSIGNALED(child->status))
		snprintf(text, size, "signal %d (%s)", WTERMSIG(child->status),
			 strsignal(WTERMSIG(child->status)));
	else
		snprintf(text, size, "exit code %d", WEXITSTATUS(child->status));
}
