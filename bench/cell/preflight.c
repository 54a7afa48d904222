/* SPDX-License-Identifier: MIT */
/*
 * See preflight.h. Every check is one function. If a system does not provide a value, the check says
 * so instead of assuming one.
 */
#include "cell/preflight.h"
#include "cell/environment.h"
#include "option.h"

#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CPU	   "/sys/devices/system/cpu/"
#define SAMPLE_US  200000
#define BUSY_HINT  0.05 /* of the CPUs' time */
#define PORTS_HINT 20000
#define QUEUE_HINT 4096
#define FILES_MIN  512 /* rings, sockets and slots of a small cell */
#define FILES_HINT 20000

enum level { FATAL, HINT, INFO };
static const char *const levels[] = { "fatal", "hint", "info" };

__attribute__((format(printf, 4, 5))) static void add(json_t *checks, const char *check,
						      enum level level, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(checks, json_pack("{s:s,s:s,s:s}", "check", check, "level",
						levels[level], "text", text));
}

/* The first line of a file; false where there is none. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool good = file && fgets(line, (int)size, file);

	if (good)
		line[strcspn(line, "\n")] = '\0';
	if (file)
		fclose(file);
	return good;
}

static long long read_number(const char *path)
{
	char line[64];

	return read_line(path, line, sizeof(line)) ? atoll(line) : -1;
}

/* ---- the CPU ---- */

static void check_governor(json_t *checks)
{
	char path[128], governor[64], first[64] = "";
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	long slow = 0, seen = 0;

	for (long i = 0; i < cpus; i++) {
		snprintf(path, sizeof(path), CPU "cpu%ld/cpufreq/scaling_governor", i);
		if (!read_line(path, governor, sizeof(governor)))
			continue;
		seen++;
		if (strcmp(governor, "performance") && !slow++)
			snprintf(first, sizeof(first), "%s", governor);
	}
	if (!seen)
		add(checks, "governor", INFO,
		    "no cpufreq here: firmware or a hypervisor chooses the frequency");
	else if (slow)
		add(checks, "governor", HINT,
		    "%ld of %ld CPUs have governor %s: the frequency follows the load; as root: "
		    "cpupower frequency-set -g performance",
		    slow, seen, first);
	else
		add(checks, "governor", INFO, "performance");
}

static void check_turbo(json_t *checks)
{
	long long off = read_number(CPU "intel_pstate/no_turbo");
	long long boost = read_number(CPU "cpufreq/boost");

	if (off == 0 || boost == 1)
		add(checks, "turbo", HINT,
		    "on: the frequency depends on heat and on how many CPUs are busy; as root: "
		    "echo %d > %s",
		    off == 0, off == 0 ? CPU "intel_pstate/no_turbo" : CPU "cpufreq/boost");
	else
		add(checks, "turbo", INFO, "%s",
		    off == 1 || boost == 0 ? "off" : "not visible here");
}

static void check_smt(json_t *checks)
{
	long long active = read_number(CPU "smt/active");

	if (active == 1)
		add(checks, "smt", HINT,
		    "on: two workers on one core slow each other; choose CPUs by --server-cpus and "
		    "--client-cpus (lscpu -e shows cores), or as root: echo off > " CPU
		    "smt/control");
	else
		add(checks, "smt", INFO, "%s", active == 0 ? "off" : "not visible here");
}

static void check_cpus(json_t *checks)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus < 4)
		add(checks, "cpus", HINT,
		    "%ld: the client takes time from the server, and contention between workers "
		    "hardly shows; counts per connection are right anyway",
		    cpus);
	else
		add(checks, "cpus", INFO, "%ld", cpus);
}

static void check_virtualisation(json_t *checks)
{
	char text[128];

	environment_virtualisation(text, sizeof(text));
	if (!strcmp(text, "none"))
		add(checks, "virtualisation", INFO, "none");
	else if (strstr(text, "TCG") || !strcmp(text, ENVIRONMENT_USER_MODE_LINUX))
		add(checks, "virtualisation", HINT,
		    "%s: counts are exact, times are no CPU's times", text);
	else
		add(checks, "virtualisation", HINT,
		    "%s: neighbours on the host and its scheduler are in the figures", text);
}

static void check_clock(json_t *checks)
{
	char source[64];

	if (!read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
		       sizeof(source)))
		add(checks, "clock source", INFO, "not visible here");
	else if (!strcmp(source, "tsc") || !strcmp(source, "kvm-clock") ||
		 !strcmp(source, "arch_sys_counter"))
		add(checks, "clock source", INFO, "%s", source);
	else
		add(checks, "clock source", HINT,
		    "%s: each look at the time costs far more than with tsc; latency and CPU time "
		    "suffer",
		    source);
}

/* Busy and stolen share of the CPUs' time since boot, as /proc/stat adds it up. */
static bool read_cpu(double *busy, double *stolen, double *all)
{
	unsigned long long v[8];
	char line[512];

	if (!read_line("/proc/stat", line, sizeof(line)) ||
	    sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
		   &v[4], &v[5], &v[6], &v[7]) != 8)
		return false;
	*stolen = (double)v[7];
	*busy = (double)(v[0] + v[1] + v[2] + v[5] + v[6]);
	*all = *busy + *stolen + (double)(v[3] + v[4]);
	return true;
}

static void check_load(json_t *checks)
{
	double busy[2], stolen[2], all[2], share;

	if (!read_cpu(&busy[0], &stolen[0], &all[0]) || usleep(SAMPLE_US) ||
	    !read_cpu(&busy[1], &stolen[1], &all[1]) || all[1] <= all[0]) {
		add(checks, "other load", INFO, "not visible here");
		return;
	}
	share = (busy[1] - busy[0]) / (all[1] - all[0]);
	add(checks, "other load", share > BUSY_HINT ? HINT : INFO,
	    "%.0f %% of the CPUs' time went to other programs%s", share * 100,
	    share > BUSY_HINT ? ": end them, speeds suffer" : "");
	share = (stolen[1] - stolen[0]) / (all[1] - all[0]);
	if (share > 0)
		add(checks, "steal", share > BUSY_HINT ? HINT : INFO,
		    "%.0f %% of the CPUs' time went to other guests of the host", share * 100);
}

/* ---- the network ---- */

static void check_ports(json_t *checks)
{
	char line[64];
	int low, high;

	if (!read_line("/proc/sys/net/ipv4/ip_local_port_range", line, sizeof(line)) ||
	    sscanf(line, "%d %d", &low, &high) != 2)
		return;
	if (high - low + 1 < PORTS_HINT)
		add(checks, "port range", HINT,
		    "%d to %d: few ports for connections that end in TIME_WAIT; as root: sysctl -w "
		    "net.ipv4.ip_local_port_range='1024 65535', or more --sources",
		    low, high);
	else
		add(checks, "port range", INFO, "%d to %d", low, high);
}

static void check_queues(json_t *checks)
{
	long long somaxconn = read_number("/proc/sys/net/core/somaxconn");

	if (somaxconn < QUEUE_HINT)
		add(checks, "somaxconn", HINT,
		    "%lld: bursts overflow the accept queue, and a client waits a second for its "
		    "next SYN; as root: sysctl -w net.core.somaxconn=%d",
		    somaxconn, QUEUE_HINT);
	else
		add(checks, "somaxconn", INFO, "%lld", somaxconn);
}

static void check_conntrack(json_t *checks)
{
	long long count = read_number("/proc/sys/net/netfilter/nf_conntrack_count");

	if (count >= 0)
		add(checks, "conntrack", HINT,
		    "loaded, %lld connections: where a rule uses it, every connection pays for it, "
		    "and a full table drops them; root gets a network namespace without rules",
		    count);
	else
		add(checks, "conntrack", INFO, "not loaded");
}

/* ---- limits and rights ---- */

static void check_files(json_t *checks)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_max < FILES_MIN)
		add(checks, "nofile", FATAL,
		    "at most %llu files may be open (ulimit -Hn): too few even for a small cell",
		    (unsigned long long)limit.rlim_max);
	else if (limit.rlim_max < FILES_HINT)
		add(checks, "nofile", HINT,
		    "at most %llu files may be open (ulimit -Hn): the server takes fewer "
		    "connections, and fewer other descriptors can be held open",
		    (unsigned long long)limit.rlim_max);
	else
		add(checks, "nofile", INFO, "%llu", (unsigned long long)limit.rlim_max);
}

static void check_memlock(json_t *checks)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	if (limit.rlim_max == RLIM_INFINITY || !geteuid())
		add(checks, "memlock", INFO, "no limit for this user");
	else
		add(checks, "memlock", limit.rlim_max < 8 << 20 ? HINT : INFO,
		    "%llu KiB (ulimit -Hl)%s", (unsigned long long)limit.rlim_max / 1024,
		    limit.rlim_max < 8 << 20 ? ": many rings may not fit on an old kernel" : "");
}

static void check_io_uring(json_t *checks)
{
	struct io_uring ring;
	int ret = io_uring_queue_init(8, &ring, 0);

	if (ret < 0) {
		add(checks, "io_uring", FATAL,
		    "%s: see /proc/sys/kernel/io_uring_disabled and the container's seccomp "
		    "profile",
		    strerror(-ret));
		return;
	}
	io_uring_queue_exit(&ring);
	add(checks, "io_uring", INFO, "works");
}

static void check_rights(json_t *checks)
{
	if (geteuid())
		add(checks, "rights", HINT,
		    "not root: no network namespace of its own, and no BPF instrument");
	else
		add(checks, "rights", INFO, "root");
}

static void check_lock_stat(json_t *checks)
{
	if (!access("/proc/lock_stat", F_OK))
		add(checks, "lock_stat", HINT,
		    "this kernel counts its locks: the counts are exact, the speeds mean nothing");
}

json_t *preflight_json(void)
{
	json_t *checks = json_array();

	check_io_uring(checks);
	check_rights(checks);
	check_files(checks);
	check_memlock(checks);
	check_cpus(checks);
	check_virtualisation(checks);
	check_governor(checks);
	check_turbo(checks);
	check_smt(checks);
	check_clock(checks);
	check_lock_stat(checks);
	check_ports(checks);
	check_queues(checks);
	check_conntrack(checks);
	check_load(checks);
	return checks;
}

static int print(json_t *checks, bool quiet)
{
	size_t n[3] = { 0 }, i;
	json_t *check;

	json_array_foreach (checks, i, check) {
		const char *level = json_string_value(json_object_get(check, "level"));
		enum level l = FATAL;

		while (strcmp(levels[l], level))
			l++;
		n[l]++;
		if (l != INFO || !quiet)
			printf("%-5s  %-14s  %s\n", level,
			       json_string_value(json_object_get(check, "check")),
			       json_string_value(json_object_get(check, "text")));
	}
	printf("%zu fatal, %zu hints, %zu info\n", n[FATAL], n[HINT], n[INFO]);
	return n[FATAL] ? EXIT_FAILED : EXIT_GOOD;
}

static int fatal(json_t *checks)
{
	json_t *check;
	size_t i;

	json_array_foreach (checks, i, check)
		if (!strcmp(json_string_value(json_object_get(check, "level")), levels[FATAL]))
			return EXIT_FAILED;
	return EXIT_GOOD;
}

int preflight_command(int argc, char **argv)
{
	bool json = false, quiet = false;
	const struct option_row rows[] = {
		{ "json", OPTION_FLAG, &json, NULL, "as a JSON array, as it is in the records", 0,
		  0, NULL },
		{ "quiet", OPTION_FLAG, &quiet, NULL, "leave out what is only for information", 0,
		  0, NULL },
		{ 0 },
	};
	int code = option_parse("preflight",
				"Looks for what would spoil a measurement on this machine: fatal "
				"(nothing can be measured), hint (the figures suffer, and what to "
				"do), info.\nThe exit code is 1 when something is fatal.",
				rows, argc, argv);
	json_t *checks;

	if (code != OPTION_GO_ON)
		return code;
	checks = preflight_json();
	if (json) {
		json_dumpf(checks, stdout, JSON_INDENT(1));
		putchar('\n');
		code = fatal(checks);
	} else {
		code = print(checks, quiet);
	}
	json_decref(checks);
	return ferror(stdout) || fflush(stdout) ? EXIT_FAILED : code;
}
