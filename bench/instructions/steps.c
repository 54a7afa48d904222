/* SPDX-License-Identifier: MIT */
/* See steps.h. */
#include "instructions/steps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_AGAIN_US 10000

/* What the counting process says: once when it begins, and at its end. */
struct message {
	bool good;
	uint64_t n;
	char why[256];
};

static volatile sig_atomic_t ended;

static void handle_end(int signal)
{
	(void)signal;
	ended = 1;
}

static void tell(int to, struct message *message)
{
	if (write(to, message, sizeof(*message)) != sizeof(*message))
		_exit(1);
}

static void __attribute__((noreturn)) give_up(int to, const char *what)
{
	struct message message = { .good = false };

	snprintf(message.why, sizeof(message.why), "%s: %s", what, strerror(errno));
	tell(to, &message);
	_exit(1);
}

/* Threads that the kernel makes for io_uring execute nothing in user mode, and cannot be traced. */
static bool is_kernels(pid_t server, pid_t thread)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", server, thread);
	file = fopen(path, "re");
	if (file && !fgets(name, sizeof(name), file))
		name[0] = '\0';
	if (file)
		fclose(file);
	return !strncmp(name, "iou-", 4);
}

/* The only thread beside the main one, or 0. */
static pid_t find_worker(pid_t server)
{
	struct dirent *entry;
	pid_t worker = 0;
	unsigned int n = 0;
	char path[64];
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", server);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		pid_t thread = (pid_t)atoi(entry->d_name);

		if (thread <= 0 || thread == server || is_kernels(server, thread))
			continue;
		worker = thread;
		n++;
	}
	if (tasks)
		closedir(tasks);
	return n == 1 ? worker : 0;
}

static void interrupt(pid_t thread, int to)
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL))
		give_up(to, "PTRACE_INTERRUPT");
	while (waitpid(thread, &status, __WALL) < 0)
		if (errno != EINTR)
			give_up(to, "waitpid");
	if (!WIFSTOPPED(status)) {
		errno = ESRCH;
		give_up(to, "the worker");
	}
}

/*
 * A step that ended in the kernel leaves its signal behind, which would kill a worker that nobody
 * traces any more: it is waited for, and dropped.
 */
static void let_go(pid_t thread, int to)
{
	struct __ptrace_peeksiginfo_args first = { .nr = 1 };
	siginfo_t pending;
	int status;

	interrupt(thread, to);
	if (ptrace(PTRACE_PEEKSIGINFO, thread, &first, &pending) == 1 &&
	    pending.si_signo == SIGTRAP) {
		if (ptrace(PTRACE_CONT, thread, NULL, NULL))
			give_up(to, "PTRACE_CONT");
		while (waitpid(thread, &status, __WALL) < 0)
			if (errno != EINTR)
				give_up(to, "waitpid");
	}
	if (ptrace(PTRACE_DETACH, thread, NULL, NULL))
		give_up(to, "PTRACE_DETACH");
}

/* One step a turn, until handle_end(): then the worker is running, or waits in the kernel. */
static uint64_t count_steps(pid_t thread, int to)
{
	uint64_t n = 0;
	int status, pass_on = 0;

	for (;;) {
		if (ptrace(PTRACE_SINGLESTEP, thread, NULL, (void *)(intptr_t)pass_on))
			give_up(to, "PTRACE_SINGLESTEP");
		while (waitpid(thread, &status, __WALL) < 0) {
			if (errno != EINTR)
				give_up(to, "waitpid");
			if (ended)
				return n;
		}
		if (!WIFSTOPPED(status)) {
			errno = ESRCH;
			give_up(to, "the worker");
		}
		/* a stop that is no signal has its event in the upper half */
		pass_on = status >> 16 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		n += !(status >> 16) && WSTOPSIG(status) == SIGTRAP;
	}
}

static void __attribute__((noreturn)) count(pid_t server, int to)
{
	struct sigaction on_end = { .sa_handler = handle_end };
	struct message message = { .good = true };
	pid_t worker;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &on_end, NULL);
	worker = find_worker(server);
	if (!worker) {
		errno = EINVAL;
		give_up(to, "the server has not just one worker thread");
	}
	if (ptrace(PTRACE_SEIZE, worker, NULL, NULL))
		give_up(to, "PTRACE_SEIZE (see sysctl kernel.yama.ptrace_scope)");
	interrupt(worker, to);
	tell(to, &message);
	message.n = count_steps(worker, to);
	let_go(worker, to);
	tell(to, &message);
	_exit(0);
}

static bool hear(struct steps *steps, struct message *message, char *why, size_t why_len)
{
	ssize_t n;

	do
		n = read(steps->result, message, sizeof(*message));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(*message) && message->good)
		return true;
	snprintf(why, why_len, "counting steps: %s",
		 n == sizeof(*message) ? message->why : "the counting process died");
	return false;
}

static void end(struct steps *steps)
{
	while (waitpid(steps->counter, NULL, 0) < 0 && errno == EINTR)
		;
	close(steps->result);
}

bool steps_start(struct steps *steps, pid_t server, char *why, size_t why_len)
{
	struct message message;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC)) {
		snprintf(why, why_len, "counting steps: pipe: %s", strerror(errno));
		return false;
	}
	steps->result = ends[0];
	steps->counter = fork();
	if (!steps->counter)
		count(server, ends[1]);
	close(ends[1]);
	if (steps->counter < 0) {
		snprintf(why, why_len, "counting steps: fork: %s", strerror(errno));
		close(ends[0]);
		return false;
	}
	if (hear(steps, &message, why, why_len))
		return true;
	end(steps);
	return false;
}

static bool has_ended(pid_t child)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

bool steps_stop(struct steps *steps, uint64_t *n, char *why, size_t why_len)
{
	struct message message = { 0 };
	bool good;

	/* A signal that comes just before it waits is lost on it: so it is told until it has ended. */
	while (!has_ended(steps->counter)) {
		kill(steps->counter, SIGTERM);
		usleep(ASK_AGAIN_US);
	}
	good = hear(steps, &message, why, why_len);
	*n = message.n;
	end(steps);
	return good;
}
