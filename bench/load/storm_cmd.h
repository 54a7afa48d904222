/* SPDX-License-Identifier: MIT */
/* `accept-bench storm`, and the options it shares with `accept-bench run`. */
#ifndef BENCH_STORM_CMD_H
#define BENCH_STORM_CMD_H

#include "option.h"
#include "load/storm.h"

/* Values of the options in the types that option tables use; see struct storm_options. */
struct storm_settings {
	uint64_t threads, concurrency, requests, payload, sources, timeout_ns, seed;
	uint64_t connections, duration_ns, rate;
	int protocol, close;
	const char *path, *body;
};

extern const struct storm_settings storm_defaults;

/* Rows of an option table that fill `settings`; the caller adds further rows and the terminator. */
#define STORM_ROWS(settings)                                                                       \
	{ "protocol",                                                                              \
	  OPTION_CHOICE,                                                                           \
	  &(settings).protocol,                                                                    \
	  "P",                                                                                     \
	  "what is asked and expected back",                                                       \
	  0,                                                                                       \
	  0,                                                                                       \
	  storm_protocols },                                                                       \
		{ "close",                                                                         \
		  OPTION_CHOICE,                                                                   \
		  &(settings).close,                                                               \
		  "WHO",                                                                           \
		  "who ends a connection, and how",                                                \
		  0,                                                                               \
		  0,                                                                               \
		  storm_closes },                                                                  \
		{ "threads",                                                                       \
		  OPTION_COUNT,                                                                    \
		  &(settings).threads,                                                             \
		  "N",                                                                             \
		  "threads, each with its own ring",                                               \
		  1,                                                                               \
		  STORM_THREADS_MAX,                                                               \
		  NULL },                                                                          \
		{ "concurrency",                                                                   \
		  OPTION_COUNT,                                                                    \
		  &(settings).concurrency,                                                         \
		  "N",                                                                             \
		  "connections open at once, over all threads",                                    \
		  1,                                                                               \
		  STORM_CONCURRENCY_MAX,                                                           \
		  NULL },                                                                          \
		{ "connections",                                                                   \
		  OPTION_COUNT,                                                                    \
		  &(settings).connections,                                                         \
		  "N",                                                                             \
		  "connections in all; 0: as many as --duration allows",                           \
		  0,                                                                               \
		  1000000000,                                                                      \
		  NULL },                                                                          \
		{ "duration",                                                                      \
		  OPTION_TIME,                                                                     \
		  &(settings).duration_ns,                                                         \
		  "TIME",                                                                          \
		  "open no connection after this time; 0: until --connections",                    \
		  0,                                                                               \
		  86400000000000,                                                                  \
		  NULL },                                                                          \
		{ "rate",                                                                          \
		  OPTION_COUNT,                                                                    \
		  &(settings).rate,                                                                \
		  "N",                                                                             \
		  "open loop: start N connections a second whatever comes back; 0: closed loop",   \
		  0,                                                                               \
		  10000000,                                                                        \
		  NULL },                                                                          \
		{ "requests",                                                                      \
		  OPTION_COUNT,                                                                    \
		  &(settings).requests,                                                            \
		  "N",                                                                             \
		  "requests in a connection",                                                      \
		  1,                                                                               \
		  1000000,                                                                         \
		  NULL },                                                                          \
		{ "payload",                                                                       \
		  OPTION_COUNT,                                                                    \
		  &(settings).payload,                                                             \
		  "BYTES",                                                                         \
		  "echo: length of the longest request",                                           \
		  1,                                                                               \
		  STORM_PAYLOAD_MAX,                                                               \
		  NULL },                                                                          \
		{ "sources",                                                                       \
		  OPTION_COUNT,                                                                    \
		  &(settings).sources,                                                             \
		  "N",                                                                             \
		  "number of client addresses, from 127.1.0.1 on; 0: the kernel chooses",          \
		  0,                                                                               \
		  STORM_SOURCES_MAX,                                                               \
		  NULL },                                                                          \
		{ "timeout",                                                                       \
		  OPTION_TIME,                                                                     \
		  &(settings).timeout_ns,                                                          \
		  "TIME",                                                                          \
		  "a connection fails after this time",                                            \
		  1000000,                                                                         \
		  3600000000000,                                                                   \
		  NULL },                                                                          \
		{ "seed",    OPTION_COUNT, &(settings).seed, "N", "seed of all random choices", 0, \
		  INT64_MAX, NULL },                                                               \
		{ "path", OPTION_TEXT, &(settings).path, "PATH", "http: the target to ask for", 0, \
		  0,	  NULL },                                                                  \
	{                                                                                          \
		"body", OPTION_TEXT, &(settings).body, "TEXT",                                     \
			"http: the body that must come back", 0, 0, NULL                           \
	}

/*
 * Converts settings to options and a load. Returns false, with one line on stderr, if two settings
 * contradict each other.
 */
bool storm_settings_apply(const char *command, const struct storm_settings *settings,
			  struct storm_options *options, struct storm_load *load);

/* Parses an IPv4 address with a port, as in "127.0.0.1:8080"; false if the text is not one. */
bool storm_parse_address(const char *text, struct sockaddr_in *address);

int storm_command(int argc, char **argv);

#endif
