/* SPDX-License-Identifier: MIT */
/*
 * Memory that is there before it is needed.
 *
 * A page gets its memory when it is touched first. A thread that touches one while a limit is
 * reached (of a memory cgroup, where nobody can be killed) waits for it. But where the kernel is the
 * first, as it copies bytes to the buffer of a receive, that fails with EFAULT. So all that the
 * kernel copies to is touched before the first connection.
 */
#ifndef SERVER_PAGES_H
#define SERVER_PAGES_H

#include <stddef.h>

/* Writes to each page of the LEN bytes at MEMORY, which then are undefined. */
void pages_touch(void *memory, size_t len);

/*
 * The same for as much of this thread's stack as it will need, unless RLIMIT_STACK is so low that
 * there may not be as much. To be called near the start of a thread.
 */
void pages_touch_stack(void);

#endif
