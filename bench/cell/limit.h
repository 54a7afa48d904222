/* SPDX-License-Identifier: MIT */
/*
 * What limited the rate of a cell. A rate is a property of the server only if the server had no CPU
 * time left. If the client had none left, a faster server would have given the same rate.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

/* A side is the limit when it used more than this share of the CPU time its threads could have had. */
#define LIMIT_CLIENT_SHARE 0.90
#define LIMIT_SERVER_SHARE 0.90
/* Open loop: when more than this share of the connections start late, the client is the limit. */
#define LIMIT_LATE_SHARE 0.01

/* Shares from 0 to 1; NaN: not known. */
struct limit_shares {
	double client; /* CPU time of the client, of what its threads could have had */
	double server; /* the same for the server, without its neighbour threads */
	double late;   /* open loop: connections started late for lack of a slot; else 0 */
};

enum limit {
	LIMIT_UNKNOWN, /* a share is not known */
	LIMIT_CLIENT,
	LIMIT_SERVER,
	LIMIT_NEITHER, /* both had CPU time left: the server could have done more */
};

/* "client", "server", "neither"; NULL: unknown. */
extern const char *const limit_names[];

enum limit limit_of(const struct limit_shares *shares);

#endif
