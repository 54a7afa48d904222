/* SPDX-License-Identifier: MIT */
/*
 * Measures one accept path in a small run, from the command line to the record:
 *
 *	bench_end_to_end ACCEPT-BENCH ACCEPT-SERVER PATH WORKERS
 *
 * Every connection must succeed and every socket must be released. If the kernel counts locks, the
 * number of acquisitions must be that of the path. Skipped if the kernel lacks what the path needs.
 */
#include "check.h"
#include "cell/path.h"
#include "cell/record.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* Beside what the path takes by its row: set-up, and what else the kernel does meanwhile. */
#define REST 0.05
/* Of quotients of counts: far less than one acquisition in all connections. */
#define ROUNDING 1e-9

/* By cell/path.h, empty accepts apart; -1: whatever they take. */
static int acquisitions_of(const char *accept)
{
	const struct path *path = path_find(accept);
	struct utsname kernel;

	uname(&kernel);
	if (!path) /* the load alone */
		return 0;
	return strstr(kernel.release, "-exchange-dup-") ? path->lock_exchange : path->lock;
}

static bool is_within_bounds(const char *accept, double figure)
{
	int n = acquisitions_of(accept);

	return n < 0 || (figure >= n - ROUNDING && figure <= n + REST + ROUNDING);
}

static void check_lock(json_t *record)
{
	const char *path = record_text(record, "cell", "accept");
	double figure, empty;

	if (!record_number(record, "lock", "acquisitions_per_connection", &figure) ||
	    !record_number(record, "lock", "empty_accept_acquisitions_per_connection", &empty)) {
		CHECK(record_number(record, "lock", "contentions_per_1000_connections", &figure) ||
		      strstr(record_text(record, "lock", "reason"), "not visible"));
		return;
	}
	figure -= empty;
	printf("%s: %.4f acquisitions a connection, empty accepts apart\n", path, figure);
	CHECK(is_within_bounds(path, figure), ": %s: %.4f is none of what it may be", path, figure);
}

static int check_record(json_t *record)
{
	const char *outcome = json_string_value(json_object_get(record, "outcome"));
	const char *reason = json_string_value(json_object_get(record, "reason"));
	json_t *storm = json_object_get(json_object_get(record, "storm"), "result");
	json_t *sockets = json_object_get(record, "sockets");

	if (reason && (strstr(reason, "exit code 77") || strstr(reason, "cannot start ") ||
		       strstr(reason, "of its own take haproxy 3.5"))) {
		printf("skipped: %s\n", reason);
		return EXIT_SKIPPED;
	}
	CHECK(!strcmp(outcome, "ok"), ": %s", reason ? reason : "");
	CHECK(json_integer_value(json_object_get(storm, "good")) == 2000);
	CHECK(json_integer_value(json_object_get(storm, "failed")) == 0);
	CHECK(json_is_true(json_object_get(sockets, "back")));
	check_lock(record);
	return 0;
}

int main(int argc, char **argv)
{
	char out[600], command[2048], why[512];
	json_t *records = json_array(), *record;
	int code = 0;
	size_t i;

	if (argc != 5) {
		fprintf(stderr, "usage: %s ACCEPT-BENCH ACCEPT-SERVER PATH WORKERS\n", argv[0]);
		return 2;
	}
	snprintf(out, sizeof(out), "%s/records.ndjson", check_folder());
	snprintf(
		command, sizeof(command),
		/* as a careless parent would start it */
		"env --ignore-signal=CHLD --block-signal=CHLD,TERM,INT '%s' run --server '%s' --out '%s' --preset smoke --paths %s --workers %s "
		"--connections 2000 --warm-up 200 "
		/* However slow the machine is: what is parked is used again, not swept. */
		"--server-arg=--park-timeout=60s",
		argv[1], argv[2], out, argv[3], argv[4]);
	CHECK(system(command) != -1);
	if (!record_read(out, records, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	CHECK(json_array_size(records) >= 1);
	json_array_foreach (records, i, record) {
		int this = check_record(record);

		code = this ? this : code;
	}
	json_decref(records);
	return check_failures ? check_end() : code;
}
