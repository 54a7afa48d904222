/* SPDX-License-Identifier: MIT */
/* accept-bench storm: puts load on any server, given by host:port, and prints the result as JSON. */
#include "load/storm_cmd.h"
#include "cell/environment.h"
#include "limits.h"
#include "procfile.h"
#include "load/progress.h"
#include "load/storm_json.h"
#include "server/quantity.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct storm_settings storm_defaults = {
	.threads = 1,
	.concurrency = 64,
	.requests = 1,
	.payload = 512,
	.sources = 64,
	.timeout_ns = 10000000000,
	.seed = 1,
	.connections = 20000,
	.path = "/",
	.body = "hello, world\n",
};

static bool refuse(const char *command, const char *what)
{
	fprintf(stderr, "accept-bench %s: %s\n", command, what);
	return false;
}

bool storm_settings_apply(const char *command, const struct storm_settings *s,
			  struct storm_options *o, struct storm_load *load)
{
	if (!s->connections && !s->duration_ns)
		return refuse(command, "--connections 0 needs a --duration");
	if (s->threads > s->concurrency)
		return refuse(command, "--concurrency must be at least --threads");
	if (s->protocol == STORM_ECHO && s->close == STORM_SERVER_FIN)
		return refuse(command, "--protocol echo: the server never closes first; "
				       "use --close client-fin or client-rst");
	if (s->path[0] != '/' || strlen(s->path) > 256 || strpbrk(s->path, " \r\n"))
		return refuse(command, "--path must begin with /, without spaces, "
				       "and have at most 256 bytes");
	*o = (struct storm_options){
		.server = o->server,
		.threads = (unsigned int)s->threads,
		.concurrency = (unsigned int)s->concurrency,
		.requests = (unsigned int)s->requests,
		.payload = (unsigned int)s->payload,
		.sources = (unsigned int)s->sources,
		.protocol = (enum storm_protocol)s->protocol,
		.close = (enum storm_close)s->close,
		.timeout_ns = s->timeout_ns,
		.seed = s->seed,
		.path = s->path,
		.body = s->body,
	};
	*load = (struct storm_load){
		.connections = s->duration_ns ? 0 : s->connections,
		.duration_ns = s->duration_ns,
		.rate_per_s = (double)s->rate,
	};
	return true;
}

bool storm_parse_address(const char *text, struct sockaddr_in *address)
{
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];
	uint64_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(host) || !quantity_count(colon + 1, &port) ||
	    port < 1 || port > 65535)
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

/* Null where the machine could not be looked at; the load itself went well. */
static json_t *environment(void)
{
	struct procfile files;
	json_t *json;

	if (procfile_open(&files) < 0)
		return json_null();
	json = environment_json(&files);
	procfile_close(&files);
	return json;
}

static int drive(const struct storm_options *options, const struct storm_load *load, bool show)
{
	static struct storm_result result;
	struct progress progress;
	char why[256];
	struct storm *storm;
	json_t *json;
	bool good;

	storm = storm_create(options, why, sizeof(why));
	if (!storm) {
		fprintf(stderr, "accept-bench storm: %s\n", why);
		return EXIT_FAILED;
	}
	progress_init(&progress, show);
	progress_load(&progress, load);
	good = storm_run(storm, load, &result, progress_line, &progress);
	if (!good)
		fprintf(stderr, "accept-bench storm: %s\n", storm_why(storm));
	storm_destroy(storm);

	json = json_pack("{s:s,s:o,s:o,s:o}", "schema", "accept-bench-storm/1", "environment",
			 environment(), "load", storm_options_json(options, load), "result",
			 storm_result_json(&result));
	json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	printf("\n");
	json_decref(json);
	if (fflush(stdout)) {
		perror("accept-bench storm: cannot write the result");
		return EXIT_FAILED;
	}
	if (result.failed)
		fprintf(stderr,
			"accept-bench storm: %" PRIu64 " of %" PRIu64 " connections failed, "
			"most of them in %s: %s\n",
			result.failed, result.started,
			result.n_errors ? result.error[0].phase : "?",
			result.n_errors ? result.error[0].reason : "?");
	return good && result.good && !result.failed ? EXIT_GOOD : EXIT_FAILED;
}

int storm_command(int argc, char **argv)
{
	struct storm_settings settings = storm_defaults;
	struct storm_options options = { 0 };
	struct storm_load load;
	const char *connect = NULL;
	bool show = false;
	const struct option_row rows[] = {
		{ "connect", OPTION_TEXT, &connect, "ADDRESS:PORT", "the server to drive (IPv4)", 0,
		  0, NULL },
		STORM_ROWS(settings),
		{ "progress", OPTION_FLAG, &show, NULL,
		  "print a line a second on stderr even if that is no terminal", 0, 0, NULL },
		{ 0 },
	};
	int code = option_parse("storm",
				"Opens connections from direct descriptors only and checks every "
				"byte that comes back.\nThe result is one JSON object on stdout.",
				rows, argc, argv);

	if (code != OPTION_GO_ON)
		return code;
	if (!connect || !storm_parse_address(connect, &options.server)) {
		fprintf(stderr,
			"accept-bench storm: --connect: '%s' is not valid; it takes an IPv4 "
			"address and a port from 1 to 65535, as in 127.0.0.1:8080\n",
			connect ? connect : "");
		return EXIT_USAGE;
	}
	if (!storm_settings_apply("storm", &settings, &options, &load))
		return EXIT_USAGE;
	limits_raise(options.concurrency);
	return drive(&options, &load, show);
}
