/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "accept/accept.h"
#include "message.h"
#include "quantity.h"

/* How a value is written and where it goes; one row an option, from which --help is printed too. */
enum kind { NUMBER, BYTES, MICROSECONDS, MILLISECONDS, SECONDS, WORD, PATH, ADDRESS, SWITCH };

struct row {
	const char *name;
	enum kind kind;
	size_t at;	     /* where in struct options */
	uint64_t min, max;   /* of a number, in its unit */
	const char *preset;  /* the default, as one would type it */
	const char *choices; /* of a WORD, separated by | in the order of its enum */
	const char *help;
};

#define AT(member) offsetof(struct options, member)
#define DAY_MS	   (24ULL * 3600 * 1000)

/* clang-format off */
static const struct row rows[] = {
	{ "accept", PATH, AT(accept), 0, 0, "auto", NULL,
	  "how a connection gets its descriptor; auto: the best path this kernel can do" },
	{ "address", ADDRESS, 0, 0, 0, "127.0.0.1", NULL, "IPv4 or IPv6 address to listen on" },
	{ "port", NUMBER, 0, 0, 65535, "8080", NULL, "TCP port; 0: any free one" },
	{ "workers", NUMBER, AT(workers), 1, MOST_WORKERS, NULL, NULL,
	  "threads, each with its own ring; default: one for each CPU this process may use" },
	{ "pin", SWITCH, AT(pin), 0, 0, NULL, NULL, "bind each worker to its own CPU" },
	{ "listener", WORD, AT(listener), 0, 0, "reuseport", "reuseport|shared",
	  "one listening socket for each worker, or one for all of them" },
	{ "fd-table", WORD, AT(fd_table), 0, 0, "shared", "shared|private",
	  "one table for all workers, or a private one for each, by unshare(CLONE_FILES)" },
	{ "protocol", WORD, AT(protocol), 0, 0, "http", "http|echo", "what the server speaks" },
	{ "max-conns", NUMBER, AT(max_conns), 1, 1 << 24, "10000", NULL,
	  "most connections at once, divided among the workers; further ones wait in the backlog or get 503" },
	{ "backlog", NUMBER, AT(backlog), 1, 65535, "4096", NULL,
	  "length of a listening socket's queue, at most net.core.somaxconn" },
	{ "accept-batch", NUMBER, AT(accept_batch), 1, 4096, "64", NULL,
	  "epoll, accept4, dup3: most accept4 calls per wake-up" },
	{ "park", NUMBER, AT(park), 0, 1 << 24, "1024", NULL,
	  "dup, dup3: most finished connections whose fd is kept for the next one; 0: none" },
	{ "park-timeout", MILLISECONDS, AT(park_timeout_ms), 1, DAY_MS, "5s", NULL,
	  "dup, dup3: a connection parked for longer than this is closed" },
	{ "idle-timeout", MILLISECONDS, AT(idle_timeout_ms), 1, DAY_MS, "60s", NULL,
	  "a connection that sends no request is closed after this time" },
	{ "request-timeout", MILLISECONDS, AT(request_timeout_ms), 1, DAY_MS, "10s", NULL,
	  "most time from a request's first byte to its last (then 408), and again to send its answer" },
	{ "drain-timeout", MILLISECONDS, AT(drain_timeout_ms), 1, DAY_MS, "10s", NULL,
	  "connections still open so long after SIGTERM are cut off" },
	{ "defer-accept", SECONDS, AT(defer_accept_s), 0, 3600, "0s", NULL,
	  "TCP_DEFER_ACCEPT: a connection is accepted once its first bytes are there; 0: off" },
	{ "fin", WORD, AT(fin), 0, 0, "joined", "joined|apart",
	  "send the last answer and the FIN in one segment, or in two" },
	{ "min-wait", MICROSECONDS, AT(min_wait_us), 0, 100000, "0us", NULL,
	  "not epoll: sleep for this long, or until there are --min-batch completions; 0: off" },
	{ "min-batch", NUMBER, AT(min_batch), 1, 4096, "16", NULL,
	  "not epoll: number of completions that end --min-wait early" },
	{ "max-target", BYTES, AT(limits.target), 1, 1 << 20, "8K", NULL, "longest request target" },
	{ "max-header", BYTES, AT(limits.header), 64, 1 << 20, "16K", NULL, "longest request header" },
	{ "max-body", BYTES, AT(limits.body), 0, 1ULL << 40, "1M", NULL,
	  "largest Content-Length; bodies are read and dropped" },
	{ "metrics-port", NUMBER, AT(metrics_port), 0, 65535, "0", NULL,
	  "serve metrics for Prometheus on this port of 127.0.0.1; 0: do not" },
	{ "open-fds", NUMBER, AT(open_fds), 0, 1 << 20, "0", NULL,
	  "for experiments: number of other descriptors to keep open, spread over the table" },
	{ "neighbours", NUMBER, AT(neighbours), 0, 1024, "0", NULL,
	  "for experiments: number of further threads that open and close a file all the time" },
};
/* clang-format on */

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static __attribute__((noreturn)) void usage_error(const struct row *row, const char *value,
						  const char *why)
{
	say("--%s %s: %s; see accept-server --help", row->name, value, why);
	exit(EXIT_USAGE);
}

/* Of what an option counts in: how it is called in a refusal, and a time's length. */
static const struct unit {
	const char *name, *one;
	uint64_t ns;
} units[] = {
	[NUMBER] = { "", "", 0 },
	[BYTES] = { " bytes", "", 0 },
	[MICROSECONDS] = { " us", "1us", 1000 },
	[MILLISECONDS] = { " ms", "1ms", 1000000 },
	[SECONDS] = { " s", "1s", 1000000000 },
};

static uint64_t parse_time(const struct row *row, const char *text)
{
	const struct unit *unit = &units[row->kind];
	char why[64];
	uint64_t ns;

	if (!quantity_time(text, &ns))
		usage_error(row, text, QUANTITY_TIME_WANTED ", is wanted");
	if (ns % unit->ns) {
		snprintf(why, sizeof(why), "a multiple of %s is wanted", unit->one);
		usage_error(row, text, why);
	}
	return ns / unit->ns;
}

static uint64_t parse_number(const struct row *row, const char *text)
{
	uint64_t value;
	char why[128];

	if (row->kind == NUMBER) {
		if (!quantity_count(text, &value))
			usage_error(row, text, QUANTITY_COUNT_WANTED ", is wanted");
	} else if (row->kind == BYTES) {
		if (!quantity_size(text, &value))
			usage_error(row, text, QUANTITY_SIZE_WANTED ", is wanted");
	} else {
		value = parse_time(row, text);
	}
	if (value < row->min || value > row->max) {
		snprintf(why, sizeof(why), "out of range %llu to %llu%s",
			 (unsigned long long)row->min, (unsigned long long)row->max,
			 units[row->kind].name);
		usage_error(row, text, why);
	}
	return value;
}

static unsigned parse_word(const struct row *row, const char *text)
{
	size_t len = strlen(text);
	const char *at = row->choices;
	char why[128];
	unsigned i;

	for (i = 0; at; i++, at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
		if (len && !strncmp(at, text, len) && (at[len] == '|' || !at[len]))
			return i;
	}
	snprintf(why, sizeof(why), "one of %s is wanted", row->choices);
	usage_error(row, text, why);
}

static const char *parse_path(const struct row *row, const char *text)
{
	char why[256] = "one of auto";
	unsigned i;

	if (!strcmp(text, "auto") || accept_path_by_name(text))
		return text;
	for (i = 0; accept_paths[i]; i++) {
		strcat(why, ", ");
		strcat(why, accept_paths[i]->name);
	}
	strcat(why, " is wanted");
	usage_error(row, text, why);
}

static void parse_address(struct options *o, const struct row *row, const char *text)
{
	in_port_t port = o->address.v4.sin_port; /* at the same place in both families */

	memset(&o->address, 0, sizeof(o->address));
	if (inet_pton(AF_INET, text, &o->address.v4.sin_addr) == 1) {
		o->address.v4.sin_family = AF_INET;
		o->address_len = sizeof(o->address.v4);
	} else if (inet_pton(AF_INET6, text, &o->address.v6.sin6_addr) == 1) {
		o->address.v6.sin6_family = AF_INET6;
		o->address_len = sizeof(o->address.v6);
	} else {
		usage_error(row, text, "an IPv4 or IPv6 address is wanted, such as 0.0.0.0 or ::1");
	}
	o->address.v4.sin_port = port;
}

static void set_option(struct options *o, const struct row *row, const char *text)
{
	char *member = (char *)o + row->at;

	switch (row->kind) {
	case NUMBER:
		if (!strcmp(row->name, "port"))
			o->address.v4.sin_port = htons((uint16_t)parse_number(row, text));
		else
			*(unsigned *)(void *)member = (unsigned)parse_number(row, text);
		break;
	case BYTES:
		if (row->at == AT(limits.body))
			o->limits.body = parse_number(row, text);
		else
			*(uint32_t *)(void *)member = (uint32_t)parse_number(row, text);
		break;
	case MICROSECONDS:
	case MILLISECONDS:
	case SECONDS:
		*(uint64_t *)(void *)member = parse_number(row, text);
		break;
	case WORD:
		*(unsigned *)(void *)member = parse_word(row, text);
		break;
	case PATH:
		o->accept = parse_path(row, text);
		break;
	case ADDRESS:
		parse_address(o, row, text);
		break;
	case SWITCH:
		*(bool *)(void *)member = true;
		break;
	}
}

static void print_help(void)
{
	unsigned i;

	printf("Usage: accept-server [OPTION]...\n"
	       "A TCP server that takes its connections in every way Linux offers.\n\n"
	       "Accept paths (acquisitions of file_lock per connection):\n");
	for (i = 0; accept_paths[i]; i++)
		printf("  %-18s %s\n", accept_paths[i]->name, accept_paths[i]->about);
	printf("\nOptions (default in brackets):\n");
	for (i = 0; i < ROWS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s", rows[i].name,
			 rows[i].kind == SWITCH ? "" : " X");
		printf("  %-18s %s", left, rows[i].help);
		if (rows[i].choices)
			printf(": %s", rows[i].choices);
		if (rows[i].preset)
			printf(" [%s]", rows[i].preset);
		putchar('\n');
	}
	printf("  %-18s this text\n  %-18s the version\n", "--help", "--version");
	printf("\nCounts take k, M and G, sizes K, M and G; times need a unit: us, ms, s, m or h.\n"
	       "The first line of output states the configuration, once every worker listens.\n"
	       "SIGUSR1 prints the totals. SIGTERM, SIGINT and SIGQUIT drain, print the totals and end;\n"
	       "a second one, half a second later, ends at once. SIGHUP, SIGPWR, and SIGXCPU at the limit\n"
	       "of CPU time, drain, too.\n"
	       "Exit codes: " EXIT_CODES_HELP ".\n");
}

static unsigned usable_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

void options_parse(struct options *o, int argc, char **argv)
{
	struct option long_options[ROWS + 3] = { 0 };
	unsigned i;
	int c;

	memset(o, 0, sizeof(*o));
	for (i = 0; i < ROWS; i++) {
		long_options[i].name = rows[i].name;
		long_options[i].has_arg = rows[i].kind == SWITCH ? no_argument : required_argument;
		long_options[i].val = (int)i;
		if (rows[i].preset)
			set_option(o, &rows[i], rows[i].preset);
	}
	long_options[ROWS].name = "help";
	long_options[ROWS].val = ROWS;
	long_options[ROWS + 1].name = "version";
	long_options[ROWS + 1].val = ROWS + 1;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == ROWS) {
			print_help();
			exit(EXIT_GOOD);
		} else if (c == ROWS + 1) {
			printf("accept-server %s\n", PROJECT_VERSION);
			exit(EXIT_GOOD);
		} else if (c == ':') {
			say("%s: a value is missing; see accept-server --help", argv[optind - 1]);
			exit(EXIT_USAGE);
		} else if (c == '?') {
			char letter[] = { '-', (char)optopt, 0 };

			say("%s: unknown option, or one with a value too many; see accept-server --help",
			    optopt > ROWS + 1 ? letter : argv[optind - 1]);
			exit(EXIT_USAGE);
		}
		set_option(o, &rows[c], optarg);
	}
	if (optind < argc) {
		say("%s: unexpected argument; see accept-server --help", argv[optind]);
		exit(EXIT_USAGE);
	}
	if (!o->workers)
		o->workers = usable_cpus();
	if (o->max_conns < o->workers) {
		say("--max-conns %u: fewer than --workers %u; each worker needs at least one",
		    o->max_conns, o->workers);
		exit(EXIT_USAGE);
	}
	if (o->metrics_port && o->metrics_port == ntohs(o->address.v4.sin_port)) {
		say("--metrics-port %u: --port has that number, too; take another",
		    o->metrics_port);
		exit(EXIT_USAGE);
	}
	if (o->open_fds && o->fd_table == FD_TABLE_PRIVATE) {
		say("--open-fds %u: they would be in no worker's table with --fd-table private",
		    o->open_fds);
		exit(EXIT_USAGE);
	}
}

void options_print(FILE *out, const struct options *o, const char *path)
{
	char host[INET6_ADDRSTRLEN];
	bool v6 = o->address.any.sa_family == AF_INET6;

	inet_ntop(o->address.any.sa_family,
		  v6 ? (const void *)&o->address.v6.sin6_addr : &o->address.v4.sin_addr, host,
		  sizeof(host));
	fprintf(out, "accept-server %s accept=%s requested=%s workers=%u listen=%s%s%s:%u",
		PROJECT_VERSION, path, o->accept, o->workers, v6 ? "[" : "", host, v6 ? "]" : "",
		ntohs(o->address.v4.sin_port));
	fprintf(out, " listener=%s fd-table=%s protocol=%s pin=%s",
		o->listener == LISTENER_SHARED ? "shared" : "reuseport",
		o->fd_table == FD_TABLE_PRIVATE ? "private" : "shared",
		o->protocol == PROTOCOL_ECHO ? "echo" : "http", o->pin ? "yes" : "no");
	fprintf(out, " max-conns=%u backlog=%u accept-batch=%u park=%u park-timeout=%llums",
		o->max_conns, o->backlog, o->accept_batch, o->park,
		(unsigned long long)o->park_timeout_ms);
	fprintf(out, " idle-timeout=%llums request-timeout=%llums drain-timeout=%llums",
		(unsigned long long)o->idle_timeout_ms, (unsigned long long)o->request_timeout_ms,
		(unsigned long long)o->drain_timeout_ms);
	fprintf(out, " defer-accept=%llus fin=%s", (unsigned long long)o->defer_accept_s,
		o->fin == FIN_APART ? "apart" : "joined");
	fprintf(out, " min-wait=%lluus min-batch=%u", (unsigned long long)o->min_wait_us,
		o->min_batch);
	fprintf(out, " max-target=%u max-header=%u max-body=%llu", o->limits.target,
		o->limits.header, (unsigned long long)o->limits.body);
	fprintf(out, " metrics-port=%u open-fds=%u neighbours=%u pid=%d\n", o->metrics_port,
		o->open_fds, o->neighbours, (int)getpid());
}
