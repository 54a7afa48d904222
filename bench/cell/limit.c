/* SPDX-License-Identifier: MIT */
/* See limit.h. */
#include "cell/limit.h"

#include <math.h>
#include <stddef.h>

const char *const limit_names[] = {
	[LIMIT_UNKNOWN] = NULL,
	[LIMIT_CLIENT] = "client",
	[LIMIT_SERVER] = "server",
	[LIMIT_NEITHER] = "neither",
};

enum limit limit_of(const struct limit_shares *shares)
{
	if (shares->late > LIMIT_LATE_SHARE || shares->client > LIMIT_CLIENT_SHARE)
		return LIMIT_CLIENT;
	if (isnan(shares->client) || isnan(shares->server) || isnan(shares->late))
		return LIMIT_UNKNOWN;
	return shares->server > LIMIT_SERVER_SHARE ? LIMIT_SERVER : LIMIT_NEITHER;
}
