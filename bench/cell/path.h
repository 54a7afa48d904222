/* SPDX-License-Identifier: MIT */
/*
 * What is measured: everything that --paths names, one row each. The server's accept paths are the rows
 * of server/accept/paths.h, which says what their columns are; its peers and variants are the rows here.
 * Everything else that has an entry for each of them is made from these rows, or refers to one by its
 * PATH_id.
 */
#ifndef BENCH_PATH_H
#define BENCH_PATH_H

#include "server/accept/paths.h"

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
/* Servers of others, in peer.c: id, name, acquisitions of file_lock per connection (-1: not known). */
#define PATH_PEERS(X)					\
	X(bare,		  "bare",	    2)		\
	X(bare_tuned,	  "bare-tuned",	    -1)		\
	X(nginx,	  "nginx",	    -1)		\
	X(haproxy,	  "haproxy",	    -1)		\
	X(haproxy_tables, "haproxy-tables", -1)

/*
 * An accept path with an option of the server's, measured beside the path itself in the same run: dup
 * with nothing parked, a control; and what the options that are there for speed bring. What the client
 * sees differently (deferred accepts) is compared with the same option on epoll.
 *
 * id, name, accept path, options, role: PATH, CONTROL, or TUNED (left out of the page and of comparisons
 * of paths)
 */
#define PATH_UNPARKED "--park 0" /* has a place of its own in the record */
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

/* What every other one is compared with. */
#define PATH_BASELINE PATH_epoll

enum path_role { PATH_ROLE_PATH, PATH_ROLE_CONTROL, PATH_ROLE_TUNED, PATH_ROLE_PEER };

struct path {
	const char *name;    /* in --paths */
	enum path_id accept; /* of a variant: its accept path; else itself */
	const char *options; /* of the server; "" for none */
	enum path_role role;
	bool parks;		 /* its finished connections wait for the next one */
	int lock, lock_exchange; /* acquisitions per connection with either series; -1: not known */
	const char *colour;
};

extern const struct path paths[PATHS];
extern const char *const path_names[PATHS + 1]; /* ended by NULL */

/* By the name in --paths; NULL: there is none. */
const struct path *path_find(const char *name);

/* The place in tables of what a record names as its "accept"; PATHS: not known here. */
enum path_id path_rank(const char *accept);

#endif
