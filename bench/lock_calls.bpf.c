/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Runs in the kernel: counts the server's calls of every function that takes file_lock exactly once
 * a call. One program a function; those the running kernel has not are left out when loading.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lock_calls.h"

__u32 server; /* the process that is watched */
__u64 calls[LOCK_CALLS];

static __always_inline int count(enum lock_call call)
{
	if (bpf_get_current_pid_tgid() >> 32 == server)
		__sync_fetch_and_add(&calls[call], 1);
	return 0;
}

#define COUNT(call, function)                                                                      \
	SEC("fentry/" #function)                                                                   \
	int on_##function(void *ctx)                                                               \
	{                                                                                          \
		return count(call);                                                                \
	}

LOCK_CALLS_EACH(COUNT)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
