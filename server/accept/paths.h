/* SPDX-License-Identifier: MIT */
/*
 * The accept paths, one row each. Whatever has an entry for each path is made from these rows: the
 * server's table and its --help, the file to compile (NAME.c in this folder), the tests of the server
 * and what they expect of the path, the paths that the harness measures, counts and draws.
 *
 * This header needs no other one: CMakeLists.txt, server/test/harness.py, scripts/bench and scripts/flamegraph
 * read it too, as text. So a row is one line, and starts with a tab and X.
 *
 *	name		of the path and of its file: a C identifier
 *	needs		enum kernel_feature, or-ed: what the kernel must have. A path that needs FEATURE_DUP
 *			is tested on the patched kernel.
 *	accepts		CALL: it calls accept4(2) itself, when a listener that does not block is readable
 *			FD: requests to the ring, which yield an fd
 *			SLOT: requests to the ring, which yield a slot
 *	serves		FD: a new fd
 *			POOL: an fd of the worker's fdpool, which holds parked ones
 *			SLOT: what was accepted, a slot
 *	lock		acquisitions of file_lock per connection, accepts that find nobody apart; on a
 *			kernel with the series dup, and on one with the series exchange
 *	role		PATH: measured wherever the paths are compared
 *			CONTROL: it is there to show that it gains nothing
 *	colour		in every picture
 */
#ifndef SERVER_ACCEPT_PATHS_H
#define SERVER_ACCEPT_PATHS_H

/* clang-format off */
/*        name       needs                           accepts serves lock  role     colour */
#define ACCEPT_PATHS(X)                                                                            \
	X(epoll,     0,                              CALL,   FD,   2, 2,  PATH,    "#c44e52")      \
	X(accept4,   FEATURE_RING,                   CALL,   FD,   2, 2,  PATH,    "#dd8452")      \
	X(multishot, FEATURE_RING,                   FD,     FD,   2, 2,  PATH,    "#8a6d3b")      \
	X(install,   FEATURE_RING | FEATURE_INSTALL, SLOT,   FD,   2, 2,  PATH,    "#b279a2")      \
	X(dup3,      FEATURE_RING,                   CALL,   POOL, 3, 3,  CONTROL, "#937860")      \
	X(dup,       FEATURE_RING | FEATURE_DUP,     SLOT,   POOL, 1, 0,  PATH,    "#2a7f62")      \
	X(direct,    FEATURE_RING,                   SLOT,   SLOT, 0, 0,  PATH,    "#4c78a8")
/* clang-format on */

#endif
