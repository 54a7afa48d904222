/* SPDX-License-Identifier: MIT */
/*
 * accept-bench: measures what each way of accepting a connection costs on the fd table's lock.
 *
 *	accept-bench run --server build/release/accept-server --out records.ndjson
 *	accept-bench report --in records.ndjson --out RESULTS.md
 *	accept-bench preflight
 *	accept-bench storm --connect 127.0.0.1:8080
 *	accept-bench bare --workers 2
 *
 * Read cell/cell.c first: it has the steps that measure one cell, in order.
 */
#include "cell/bare.h"
#include "instructions/instructions_cmd.h"
#include "option.h"
#include "cell/preflight.h"
#include "report/report.h"
#include "plan/experiments.h"
#include "plan/run_cmd.h"
#include "load/storm_cmd.h"
#include "lock/waits_cmd.h"
#include "server/standard_fds.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{ "run", run_command, "measure a matrix of cells, append a record for each" },
	{ "experiments", experiments_command, "list what can be measured, and what it answers" },
	{ "report", report_command, "make RESULTS.md from records" },
	{ "preflight", preflight_command, "what of this machine would spoil a measurement" },
	{ "compare", compare_command, "say whether two runs agree" },
	{ "storm", storm_command, "drive any server by address and port" },
	{ "waits", waits_command, "watch a process wait for its file_lock, by call path" },
	{ "instructions", instructions_command,
	  "count the instructions of a connection, in the guest" },
	{ "dearer", dearer_command,
	  "say whether a connection takes more instructions than before" },
	{ "bare", bare_command, "the floor: a bare accept-answer-close loop" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	fprintf(out,
		"usage: accept-bench COMMAND [option]...\n"
		"Measures what each way to accept a connection costs on the lock of the fd table.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].what);
	fprintf(out, "\naccept-bench COMMAND --help lists a command's options\n");
}

/*
 * Signals as the commands need them, whatever the parent has blocked or ignored: the end of a child is
 * waited for, SIGTERM is heard, and a reader that is gone or a file that may grow no further is an error of the write,
 * with a line of its own. A parent that ignores SIGINT, as a shell does for what it runs in the background, means it.
 */
static void set_signals(void)
{
	sigset_t none;

	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char **argv)
{
	set_signals();
	standard_fds_begin();
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_usage(stdout);
		return EXIT_GOOD;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("accept-bench " PROJECT_VERSION "\n");
		return EXIT_GOOD;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "accept-bench: unknown command '%s'; see accept-bench --help\n", argv[1]);
	return EXIT_USAGE;
}
