/* SPDX-License-Identifier: MIT */
/*
 * The instrument "lock_stat": CONFIG_LOCK_STAT counts every acquisition, contention, wait and hold,
 * per lock class. The file_locks of all processes are one class, so other processes that open or
 * close files while the cell runs are counted too. The harness takes no file_lock during a cell (see
 * storm.h and procfile.h).
 */
#include "lock/lock_stat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CLASS	 "&newf->file_lock"
#define PATH	 "/proc/lock_stat"
#define SWITCH	 "/proc/sys/kernel/lock_stat"
#define VERSION	 "lock_stat version 0.4\n"
#define DISABLED "*WARNING* lock debugging disabled"

/*
 * A row is "name: con-bounces contentions wait-min wait-max wait-total wait-avg acq-bounces
 * acquisitions hold-min hold-max hold-total hold-avg", times in microseconds. Lines without the
 * colon are contending call sites. Classes may be named "x#2", "x/1", "x-R": those are others.
 */
static bool parse_row(const char *numbers, struct lock_counts *counts)
{
	double v[12];
	const char *at = numbers;

	for (int i = 0; i < 12; i++) {
		char *end;

		while (*at == ' ' || *at == '\t')
			at++;
		if (*at == '\n' || *at == '\0')
			return false;
		v[i] = strtod(at, &end);
		if (end == at || v[i] < 0)
			return false;
		at = end;
	}
	while (*at == ' ' || *at == '\t')
		at++;
	if (*at != '\n')
		return false;
	*counts = (struct lock_counts){
		.seen = LOCK_ACQUISITIONS | LOCK_CONTENTIONS | LOCK_WAIT | LOCK_HOLD,
		.contentions = v[1],
		.wait_ns = v[4] * 1000,
		.acquisitions = v[7],
		.hold_ns = v[10] * 1000,
	};
	return true;
}

enum lock_stat_verdict lock_stat_parse(const char *text, const char *class_name,
				       struct lock_counts *counts)
{
	size_t name_len = strlen(class_name);
	bool found = false;

	if (strncmp(text, VERSION, strlen(VERSION)))
		return LOCK_STAT_BAD;
	if (strstr(text, DISABLED))
		return LOCK_STAT_DISABLED;
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *name;

		line += *line == '\n';
		name = line + strspn(line, " \t");
		if (strncmp(name, class_name, name_len) || name[name_len] != ':')
			continue;
		if (found || !parse_row(name + name_len + 1, counts))
			return LOCK_STAT_BAD; /* twice the same name: which one would it be? */
		found = true;
	}
	return found ? LOCK_STAT_FOUND : LOCK_STAT_NO_CLASS;
}

static int lock_stat_read(struct lock_instrument *self, struct lock_counts *counts, char *why,
			  size_t why_len)
{
	char *text = procfile_read(self->files, PATH);
	enum lock_stat_verdict verdict;

	if (!text) {
		snprintf(why, why_len, "cannot read " PATH ": %s%s", strerror(errno),
			 errno == EACCES || errno == EPERM ? "; run as root" : "");
		return -1;
	}
	verdict = lock_stat_parse(text, CLASS, counts);
	free(text);
	switch (verdict) {
	case LOCK_STAT_FOUND:
		return 0;
	case LOCK_STAT_NO_CLASS:
		snprintf(why, why_len, PATH " has no class " CLASS);
		break;
	case LOCK_STAT_DISABLED:
		snprintf(why, why_len,
			 "lockdep has switched itself off, the counts of " PATH
			 " stand still; see the kernel's log");
		break;
	default:
		snprintf(why, why_len, PATH " is not in the form of version 0.4");
	}
	return -1;
}

/* One class for all processes: there is nothing to aim at. */
static void lock_stat_aim(struct lock_instrument *self, pid_t server)
{
	(void)self;
	(void)server;
}

/* ---- the switch ---- */

static bool found_off; /* as it was before the first start, and will be again at the end */

static bool turn(bool on)
{
	FILE *file = fopen(SWITCH, "we");
	bool good = file && fputs(on ? "1\n" : "0\n", file) >= 0;

	if (file && fclose(file))
		good = false;
	return good;
}

static void turn_back(void)
{
	turn(!found_off);
}

static bool is_off(struct lock_instrument *self)
{
	char *text = procfile_read(self->files, SWITCH);
	bool off = text && text[0] == '0';

	free(text);
	return off;
}

static int lock_stat_start(struct lock_instrument *self, char *why, size_t why_len)
{
	static bool started;
	struct lock_counts counts;
	struct utsname kernel;

	if (access(PATH, F_OK)) {
		uname(&kernel);
		snprintf(why, why_len, "%s has no " PATH " (CONFIG_LOCK_STAT is off)",
			 kernel.release);
		return -1;
	}
	if (!started) {
		found_off = is_off(self);
		atexit(turn_back);
	}
	started = true;
	if (is_off(self) && !turn(true)) {
		snprintf(why, why_len,
			 "lock statistics are off and " SWITCH
			 " cannot be written: %s; run as root",
			 strerror(errno));
		return -1;
	}
	return lock_stat_read(self, &counts, why, why_len);
}

/* Lockdep stays in the kernel, and its cost with it; the statistics go. */
static void lock_stat_stop(struct lock_instrument *self)
{
	(void)self;
	turn(false);
}

const struct lock_instrument lock_stat_instrument = {
	.name = "lock_stat",
	.scope = "class " CLASS " of all processes",
	.blind = "counts every process's file_lock together and slows every lock of the kernel: "
		 "its connections/s compare with nothing outside this kernel",
	.start = lock_stat_start,
	.aim = lock_stat_aim,
	.read = lock_stat_read,
	.stop = lock_stat_stop,
};
