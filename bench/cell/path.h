/* SPDX-License-Identifier: MIT */
/*
 * Everything that --paths can name, one row each. The server's accept paths are the rows of
 * server/accept/paths.h, which describes their columns; the peers and the variants are the rows
 * below. All other tables with an entry for each path are generated from these rows, or refer to one
 * by its PATH_id.
 */
#ifndef BENCH_PATH_H
#define BENCH_PATH_H

#include "server/accept/paths.h"

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
/* Other servers (peer.c): id, name, acquisitions of file_lock per connection (-1: not known). */
#define PATH_PEERS(X)					\
	X(bare,		  "bare",	    2)		\
	X(bare_tuned,	  "bare-tuned",	    -1)		\
	X(nginx,	  "nginx",	    -1)		\
	X(haproxy,	  "haproxy",	    -1)		\
	X(haproxy_tables, "haproxy-tables", -1)

/*
 * An accept path with options of the server, measured in the same run as the plain path: dup with
 * parking switched off, as a control, and paths with options meant to make them faster, to measure
 * their effect. An option that changes what the client sees (deferred accepts) is also measured on
 * epoll, for comparison.
 *
 * id, name, accept path, options, role: PATH, CONTROL, or TUNED (left out of the page and of comparisons
 * of paths)
 */
#define PATH_UNPARKED "--park 0" /* recorded under its own key, "park" */
#define PATH_DEFER    "--defer-accept 1s"
#define PATH_VARIANTS(X)									\
	X(dup_unparked,	      "dup-unparked",	    dup,       PATH_UNPARKED,	     CONTROL)	\
	X(epoll_once,	      "epoll-once",	    epoll,     "--accept-batch 1",   PATH)	\
	X(epoll_deferred,     "epoll-deferred",	    epoll,     PATH_DEFER,	     TUNED)	\
	X(multishot_deferred, "multishot-deferred", multishot, PATH_DEFER,	     TUNED)	\
	X(direct_deferred,    "direct-deferred",    direct,    PATH_DEFER,	     TUNED)	\
	X(direct_gathered,    "direct-gathered",    direct,			     		\
	  "--min-wait 200us --min-batch 32",					     TUNED)	\
	X(direct_apart,	      "direct-apart",	    direct,    "--fin apart",	     TUNED)
/* clang-format on */

enum path_id {
#define X(id, ...) PATH_##id,
	ACCEPT_PATHS(X) PATH_PEERS(X) PATH_VARIANTS(X)
#undef X
		PATHS
};

/* The path that all others are compared with. */
#define PATH_BASELINE PATH_epoll

enum path_role { PATH_ROLE_PATH, PATH_ROLE_CONTROL, PATH_ROLE_TUNED, PATH_ROLE_PEER };

struct path {
	const char *name;    /* as --paths takes it */
	enum path_id accept; /* the accept path of a variant; otherwise the row's own id */
	const char *options; /* options of the server; "" for none */
	enum path_role role;
	bool parks; /* keeps the socket of a finished connection until the next connection replaces it */
	/*
	 * Acquisitions of file_lock per connection: with the series dup, and with the series
	 * exchange; -1: not known.
	 */
	int lock, lock_exchange;
	const char *colour;
};

extern const struct path paths[PATHS];
extern const char *const path_names[PATHS + 1]; /* ended by NULL */

/* Finds a row by its name in --paths; NULL: there is none. */
const struct path *path_find(const char *name);

/* The row, and so the position in tables, of a record's "accept"; PATHS: this program does not know it. */
enum path_id path_rank(const char *accept);

#endif
