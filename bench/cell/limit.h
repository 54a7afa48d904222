/* SPDX-License-Identifier: MIT */
/*
 * What limited a cell. A rate says something of the server only where the server was full: where its
 * client was, the same number would have come of a server twice as fast.
 */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

/* Of the CPU time that the threads could have had. More than this is "full". */
#define LIMIT_CLIENT_SHARE 0.90
#define LIMIT_SERVER_SHARE 0.90
/* Of the connections of an open loop: more late starts than this, and the client did not keep up. */
#define LIMIT_LATE_SHARE 0.01

/* NaN: not known. */
struct limit_shares {
	double client; /* CPU time of the client over what its threads could have had */
	double server; /* the same of the server, its neighbours apart */
	double late;   /* open loop: connections that started late, no slot being free; else 0 */
};

enum limit {
	LIMIT_UNKNOWN, /* a share is not known */
	LIMIT_CLIENT,
	LIMIT_SERVER,
	LIMIT_NEITHER, /* both had time left: the server could have done more */
};

/* "client", "server", "neither"; NULL: unknown. */
extern const char *const limit_names[];

enum limit limit_of(const struct limit_shares *shares);

#endif
