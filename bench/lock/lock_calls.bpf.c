/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Runs in the kernel: counts the server's calls of every function that takes file_lock exactly once
 * per call. There is one BPF program per function; programs for functions that the running kernel
 * lacks are not loaded.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "lock/lock_calls.h"

__u32 server;			   /* the process that is watched */
__u64 calls[LOCK_CALLS];	   /* of its workers */
__u64 neighbour_calls[LOCK_CALLS]; /* of its threads by the name of LOCK_NEIGHBOUR_NAME */

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1024);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, LOCK_CALLS_DEPTH * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lock_calls_key);
	__type(value, __u64);
} callers SEC(".maps");

static __always_inline int is_neighbour(void)
{
	char comm[16];

	return !bpf_get_current_comm(comm, sizeof(comm)) && comm[0] == 'n' && comm[1] == 'e' &&
	       comm[2] == 'i' && comm[3] == 'g' && comm[4] == 'h' && comm[5] == 'b';
}

static __always_inline void note_caller(void *ctx, enum lock_call call)
{
	struct lock_calls_key key = { call, (int)bpf_get_stackid(ctx, &stacks, 0) };
	__u64 one = 1, *n = bpf_map_lookup_elem(&callers, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	else if (bpf_map_update_elem(&callers, &key, &one, BPF_NOEXIST)) {
		n = bpf_map_lookup_elem(&callers, &key); /* another CPU was first */
		if (n)
			__sync_fetch_and_add(n, 1);
	}
}

static __always_inline int count(void *ctx, enum lock_call call)
{
	if (bpf_get_current_pid_tgid() >> 32 != server)
		return 0;
	note_caller(ctx, call);
	__sync_fetch_and_add(is_neighbour() ? &neighbour_calls[call] : &calls[call], 1);
	return 0;
}

#define COUNT(call, function)                                                                      \
	SEC("fentry/" #function)                                                                   \
	int on_##function(void *ctx)                                                               \
	{                                                                                          \
		return count(ctx, call);                                                           \
	}

LOCK_CALLS_EACH(COUNT)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
