/* SPDX-License-Identifier: MIT */
/*
 * Memory that is there before it is needed.
 *
 * A page gets its memory when it is touched first. A thread that touches one at the limit of a memory
 * cgroup, where nobody can be killed, gets no further until there is some. But where the kernel is
 * the first, as it copies bytes to the buffer of a receive, that fails with EFAULT. So what the
 * kernel copies to is touched before the first connection. A page that has been swapped out since
 * is in the same case: it is brought back, and the request is repeated.
 */
#ifndef SERVER_PAGES_H
#define SERVER_PAGES_H

#include <stddef.h>

/* Writes to each page of the LEN bytes at MEMORY, which then are undefined. */
void pages_touch(void *memory, size_t len);

/* Reads from each of the pages again. */
void pages_bring_back(const void *memory, size_t len);

/*
 * pages_touch() for as much of this thread's stack as it will need, unless RLIMIT_STACK is so low that
 * there may not be as much. To be called near the start of a thread.
 */
void pages_touch_stack(void);

#endif
