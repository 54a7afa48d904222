/* SPDX-License-Identifier: MIT */
/* See path.h. */
#include "cell/path.h"

#include <string.h>

#define PEER_COLOUR "#777777"

enum { SERVES_FD, SERVES_POOL, SERVES_SLOT };

/* The parts of an accept path's row that a variant of it shares. */
enum {
#define X(id, needs, accepts, serves, dup, exchange, role, colour)                                 \
	LOCK_OF_##id = (dup), LOCK_EXCHANGE_OF_##id = (exchange),                                  \
	PARKS_OF_##id = SERVES_##serves == SERVES_POOL,
	ACCEPT_PATHS(X)
#undef X
};

const struct path paths[PATHS] = {
#define X(id, needs, accepts, serves, dup, exchange, its_role, its_colour)                         \
	[PATH_##id] = { .name = #id,                                                               \
			.accept = PATH_##id,                                                       \
			.options = "",                                                             \
			.role = PATH_ROLE_##its_role,                                              \
			.parks = PARKS_OF_##id,                                                    \
			.lock = LOCK_OF_##id,                                                      \
			.lock_exchange = LOCK_EXCHANGE_OF_##id,                                    \
			.colour = (its_colour) },
	ACCEPT_PATHS(X)
#undef X
#define X(id, its_name, its_lock)                                                                  \
	[PATH_##id] = { .name = (its_name),                                                        \
			.accept = PATH_##id,                                                       \
			.options = "",                                                             \
			.role = PATH_ROLE_PEER,                                                    \
			.lock = (its_lock),                                                        \
			.lock_exchange = (its_lock),                                               \
			.colour = PEER_COLOUR },
		PATH_PEERS(X)
#undef X
#define X(id, its_name, its_accept, its_options, its_role)                                         \
	[PATH_##id] = { .name = (its_name),                                                        \
			.accept = PATH_##its_accept,                                               \
			.options = (its_options),                                                  \
			.role = PATH_ROLE_##its_role,                                              \
			.parks = PARKS_OF_##its_accept,                                            \
			.lock = -1,                                                                \
			.lock_exchange = -1 },
			PATH_VARIANTS(X)
#undef X
};

const char *const path_names[PATHS + 1] = {
#define X(id, ...) [PATH_##id] = #id,
	ACCEPT_PATHS(X)
#undef X
#define X(id, name, ...) [PATH_##id] = name,
		PATH_PEERS(X) PATH_VARIANTS(X)
#undef X
};

enum path_id path_rank(const char *accept)
{
	enum path_id id = 0;

	while (id < PATHS && strcmp(paths[id].name, accept))
		id++;
	return id;
}

const struct path *path_find(const char *name)
{
	enum path_id id = path_rank(name);

	return id < PATHS ? &paths[id] : NULL;
}
