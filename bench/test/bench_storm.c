/* SPDX-License-Identifier: MIT */
/* Tests storm with correct and faulty servers: every fault is detected and reported as what it is. */
#include "check.h"
#include "faulty.h"
#include "load/storm.h"

#include <stdlib.h>
#include <string.h>

#define BODY "hello, world\n"

static struct storm_options http(void)
{
	return (struct storm_options){
		.threads = 2,
		.concurrency = 8,
		.requests = 1,
		.sources = 16,
		.timeout_ns = 10000000000,
		.seed = 1,
		.path = "/",
		.body = BODY,
	};
}

static struct storm_result *run(struct storm_options *options, const struct storm_load *load)
{
	struct storm_result *result = malloc(sizeof(*result));
	char why[256];
	struct storm *storm = storm_create(options, why, sizeof(why));

	if (!storm) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	CHECK(storm_run(storm, load, result, NULL, NULL), ": %s", storm_why(storm));
	storm_destroy(storm);
	return result;
}

static uint64_t count(const struct storm_result *result, const char *phase, const char *reason)
{
	for (size_t i = 0; i < result->n_errors; i++)
		if (!strcmp(result->error[i].phase, phase) &&
		    !strcmp(result->error[i].reason, reason))
			return result->error[i].n;
	return 0;
}

static void print_errors(const struct storm_result *result)
{
	for (size_t i = 0; i < result->n_errors; i++)
		fprintf(stderr, "  %s %s: %llu\n", result->error[i].phase, result->error[i].reason,
			(unsigned long long)result->error[i].n);
}

static const struct {
	enum faulty_kind kind;
	const char *reason; /* NULL: a right server */
} kinds[] = {
	{ FAULTY_NOT, NULL },
	{ FAULTY_IN_PIECES, NULL },
	{ FAULTY_FLIP, "wrong-bytes" },
	{ FAULTY_SHORT, "short-answer" },
	{ FAULTY_EMPTY, "early-close" },
	{ FAULTY_RESET, "ECONNRESET" },
	{ FAULTY_EXTRA, "extra-bytes" },
	{ FAULTY_STATUS, "bad-status" },
	{ FAULTY_HEAD, "bad-head" },
	{ FAULTY_SILENT, "timeout" },
	{ FAULTY_OPEN, "timeout" },
};

/* One connection in ten is wrong: exactly those fail, the others are good. */
static void test_faults(void)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct storm_load load = { .connections = 200 };
		struct storm_options options = http();
		struct storm_result *result;
		uint64_t wrong = kinds[i].reason ? 20 : 0, found;
		struct faulty *faulty = faulty_start(kinds[i].kind, 10, &options.server);

		if (kinds[i].reason && !strcmp(kinds[i].reason, "timeout"))
			options.timeout_ns = 200000000;
		result = run(&options, &load);
		faulty_stop(faulty);
		found = kinds[i].reason ? count(result, "receive", kinds[i].reason) : 0;
		if (kinds[i].kind == FAULTY_RESET) /* the RST may overtake what is going on */
			found += count(result, "send", "ECONNRESET") +
				 count(result, "send", "EPIPE") +
				 count(result, "connect", "ECONNRESET");
		CHECK(found == wrong, ": %s", kinds[i].reason ? kinds[i].reason : "none");
		CHECK(result->failed == wrong && result->good == 200 - wrong);
		CHECK(result->started == 200 && result->requests >= result->good);
		CHECK(result->whole_ns.n == result->good);
		if (result->failed != wrong)
			print_errors(result);
		free(result);
	}
}

static void test_echo(enum faulty_kind kind, enum storm_close close, uint64_t wrong)
{
	struct storm_load load = { .connections = 200 };
	struct storm_options options = http();
	struct faulty *faulty = faulty_start(kind, 4, &options.server);
	struct storm_result *result;

	options.protocol = STORM_ECHO;
	options.close = close;
	options.requests = 3;
	options.payload = STORM_PAYLOAD_MAX;
	options.concurrency = 1; /* the server takes one connection after the other */
	options.threads = 1;
	result = run(&options, &load);
	faulty_stop(faulty);
	CHECK(count(result, "receive", "wrong-bytes") == wrong);
	CHECK(result->failed == wrong && result->good == 200 - wrong);
	CHECK(result->requests == 3 * result->good);
	CHECK(result->bytes_received >= result->bytes_sent);
	print_errors(result);
	free(result);
}

static void test_refused(void)
{
	struct storm_load load = { .connections = 50 };
	struct storm_options options = http();
	struct faulty *faulty = faulty_start(FAULTY_NOT, 1, &options.server);
	struct storm_result *result;

	faulty_stop(faulty); /* nobody listens there any more */
	result = run(&options, &load);
	CHECK(count(result, "connect", "ECONNREFUSED") == 50);
	CHECK(result->good == 0 && result->failed == 50);
	free(result);
}

static void test_open_loop(void)
{
	struct storm_load load = { .connections = 100, .rate_per_s = 500 };
	struct storm_options options = http();
	struct faulty *faulty = faulty_start(FAULTY_NOT, 1, &options.server);
	struct storm_result *result = run(&options, &load);

	faulty_stop(faulty);
	CHECK(result->good == 100);
	CHECK(result->elapsed_ns > 190000000, ": %llu", (unsigned long long)result->elapsed_ns);
	free(result);
}

/* A server that hangs delays what was to start meanwhile, and the delay counts. */
static void test_intended_start(void)
{
	struct storm_load load = { .connections = 20, .rate_per_s = 1000 };
	struct storm_options options = http();
	struct faulty *faulty = faulty_start(FAULTY_SILENT, 20, &options.server);
	struct storm_result *result;

	options.threads = 1;
	options.concurrency = 1;
	options.timeout_ns = 300000000;
	result = run(&options, &load);
	faulty_stop(faulty);
	CHECK(result->good == 19 && result->failed == 1);
	CHECK(result->late >= 18, ": %llu", (unsigned long long)result->late);
	CHECK(hist_quantile(&result->whole_ns, 0.5) > 200000000);
	free(result);
}

static void test_duration(void)
{
	struct storm_load load = { .duration_ns = 200000000 };
	struct storm_options options = http();
	struct faulty *faulty = faulty_start(FAULTY_NOT, 1, &options.server);
	struct storm_result *result = run(&options, &load);

	faulty_stop(faulty);
	CHECK(result->good > 0 && result->failed == 0 && result->good == result->started);
	CHECK(result->elapsed_ns >= 200000000);
	free(result);
}

int main(void)
{
	test_faults();
	test_echo(FAULTY_ECHO, STORM_CLIENT_FIN, 0);
	test_echo(FAULTY_ECHO, STORM_CLIENT_RST, 0);
	test_echo(FAULTY_ECHO_FLIP, STORM_CLIENT_FIN, 50);
	test_refused();
	test_open_loop();
	test_intended_start();
	test_duration();
	return check_end();
}
