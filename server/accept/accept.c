/* SPDX-License-Identifier: MIT */
#include "accept/accept.h"

#include <stddef.h>
#include <string.h>

const struct accept_path *const accept_paths[] = {
#define X(name, ...) &accept_##name,
	ACCEPT_PATHS(X)
#undef X
		NULL,
};

const struct accept_path *accept_path_by_name(const char *name)
{
	unsigned i;

	for (i = 0; accept_paths[i]; i++) {
		if (!strcmp(accept_paths[i]->name, name))
			return accept_paths[i];
	}
	return NULL;
}

const struct accept_path *accept_path_best(unsigned features)
{
	static const struct accept_path *const best_first[] = {
		&accept_dup,
		&accept_install,
		&accept_multishot,
		&accept_epoll,
	};
	unsigned i;

	for (i = 0; (best_first[i]->needs & features) != best_first[i]->needs; i++)
		;
	return best_first[i];
}
