/* SPDX-License-Identifier: MIT */
/*
 * accept-bench waits: how long a process's threads wait for its file_lock, by call path.
 *
 * Watches from the line "watching PID" on stderr until SIGINT, SIGTERM or the end of the process,
 * then prints one JSON object: the totals, and each call path as a folded stack (the thread's name,
 * then the frames, outermost first, with "_[k]" for the kernel, as in scripts/flames/stacks.py) with
 * its waits. If neither of the instruments "contention" and "events" works here, prints the reason
 * and exits with 77.
 */
#include "lock/waits_cmd.h"
#include "lock/kallsyms.h"
#include "lock/lock_contention.h"
#include "option.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_EVERY_NS 100000000 /* whether the process is still there */

struct paths {
	json_t *list;
	uint64_t n, wait_ns;
};

/* What the kernel calls between the wait and this instrument. */
static bool is_ours(const char *name)
{
	return !strncmp(name, "__traceiter_", 12) || !strncmp(name, "bpf_trace_run", 13) ||
	       !strncmp(name, "bpf_prog_", 9);
}

/* The thread, then the kernel's frames. The innermost are left out. */
static void add_path(const struct lock_wait_path *path, void *arg)
{
	struct paths *paths = arg;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	for (const char *at = path->thread; *at; at++)
		fputc(strchr("; ", *at) ? '_' : *at, out);
	for (size_t i = path->depth; i-- > 0;) {
		const char *name = kallsyms_name(path->address[i]);

		if (is_ours(name))
			break;
		fprintf(out, ";%s_[k]", strcmp(name, "?") ? name : "[unknown]");
	}
	if (!path->depth)
		fprintf(out, ";[unknown]");
	fclose(out);
	json_array_append_new(paths->list, json_pack("{s:s,s:I,s:I}", "stack", text, "n",
						     (json_int_t)path->waits.n, "wait_ns",
						     (json_int_t)path->waits.wait_ns));
	paths->n += path->waits.n;
	paths->wait_ns += path->waits.wait_ns;
	free(text);
}

static int print_waits(struct lock_instrument *instrument)
{
	struct paths paths = { .list = json_array() };
	json_t *json;

	lock_contention_each_path(instrument, add_path, &paths);
	json = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:o}", "schema", "accept-bench-waits/1",
			 "instrument", instrument->name, "scope", instrument->scope, "blind",
			 instrument->blind, "contentions", (json_int_t)paths.n, "wait_ns",
			 (json_int_t)paths.wait_ns, "stacks", paths.list);
	json_dumpf(json, stdout, JSON_INDENT(1));
	printf("\n");
	json_decref(json);
	if (fflush(stdout)) {
		perror("accept-bench waits: cannot write the result");
		return EXIT_FAILED;
	}
	return EXIT_GOOD;
}

static int watch(struct lock_instrument *instrument, pid_t pid)
{
	struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	lock_contention_keep_paths(instrument);
	instrument->aim(instrument, pid);
	fprintf(stderr, "watching %d\n", pid);
	while (sigtimedwait(&ends, NULL, &pause) < 0 && !kill(pid, 0))
		;
	instrument->aim(instrument, 0);
	return print_waits(instrument);
}

/* Of the two instruments that know which thread waits, the one that this kernel has. */
static bool choose(struct lock_instrument *instrument, char *why, size_t why_len)
{
	char first[512];

	*instrument = lock_contention_instrument;
	if (!instrument->start(instrument, first, sizeof(first)))
		return true;
	*instrument = lock_events_instrument;
	if (!instrument->start(instrument, why, why_len))
		return true;
	fprintf(stderr, "accept-bench waits: not visible on this kernel because %s; and %s\n",
		first, why);
	return false;
}

int waits_command(int argc, char **argv)
{
	struct lock_instrument instrument;
	uint64_t pid = 0;
	char why[512];
	const struct option_row rows[] = {
		{ "pid", OPTION_COUNT, &pid, "PID", "the process to watch", 1, 4194304, NULL },
		{ 0 },
	};
	int code =
		option_parse("waits",
			     "Watches how long a process waits for its file_lock, by call path, "
			     "until SIGINT or its end.\nThe result is one JSON object on stdout; "
			     "the exit code is 77 where this kernel does not show it.",
			     rows, argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	if (!pid || kill((pid_t)pid, 0)) {
		fprintf(stderr, "accept-bench waits: --pid %" PRIu64 ": %s\n", pid,
			pid ? strerror(errno) : "a process to watch is needed");
		return pid ? EXIT_FAILED : EXIT_USAGE;
	}
	if (!choose(&instrument, why, sizeof(why)))
		return EXIT_SKIPPED;
	code = watch(&instrument, (pid_t)pid);
	instrument.stop(&instrument);
	return code;
}
