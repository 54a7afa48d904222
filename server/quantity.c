/* SPDX-License-Identifier: MIT */
/* See quantity.h. */
#include "quantity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct suffix {
	const char *text;
	uint64_t factor;
};

/* The digits of TEXT times the factor of what stands behind them. SUFFIXES ends with a NULL. */
static bool parse(const char *text, const struct suffix *suffixes, uint64_t *value)
{
	char *rest;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &rest, 10);
	if (errno)
		return false;
	for (; suffixes->text; suffixes++)
		if (!strcmp(rest, suffixes->text))
			return !__builtin_mul_overflow(*value, suffixes->factor, value);
	return false;
}

bool quantity_count(const char *text, uint64_t *count)
{
	static const struct suffix suffixes[] = {
		{ "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, { NULL, 0 },
	};

	return parse(text, suffixes, count);
}

bool quantity_size(const char *text, uint64_t *bytes)
{
	static const struct suffix suffixes[] = {
		{ "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 },
	};

	return parse(text, suffixes, bytes);
}

bool quantity_time(const char *text, uint64_t *ns)
{
	static const struct suffix suffixes[] = {
		{ "ns", 1 },	     { "us", 1000 },	   { "ms", 1000000 },
		{ "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 },
		{ NULL, 0 },
	};
	static const struct suffix none[] = { { "", 1 }, { NULL, 0 } };

	return parse(text, suffixes, ns) || (parse(text, none, ns) && *ns == 0);
}
