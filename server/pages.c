/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <sys/resource.h>

enum {
	PAGE = 4096, /* the smallest of any machine */
	STACK = 32 * 1024,
	SMALLEST_STACK =
		8 * STACK, /* arguments, environment and thread-local data are there, too */
};

void pages_touch(void *memory, size_t len)
{
	volatile char *bytes = memory; /* or the compiler would see that nobody reads them */
	size_t at;

	for (at = 0; at < len; at += PAGE)
		bytes[at] = 0;
	if (len)
		bytes[len - 1] = 0;
}

void pages_bring_back(const void *memory, size_t len)
{
	const volatile char *bytes = memory;
	size_t at;

	for (at = 0; at < len; at += PAGE)
		(void)bytes[at];
	if (len)
		(void)bytes[len - 1];
}

static __attribute__((noinline)) void touch_stack(void)
{
	char stack[STACK];

	pages_touch(stack, sizeof(stack));
}

void pages_touch_stack(void)
{
	struct rlimit limit;

	/* The C library gives a thread as much as the first one may have. */
	if (!getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur >= SMALLEST_STACK)
		touch_stack();
}
