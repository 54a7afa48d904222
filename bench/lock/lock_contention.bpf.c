/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Runs in the kernel: counts how often, and for how long, a thread of the server waits for its own
 * file_lock. The tracepoints fire for every lock of the kernel; the lock is identified by its
 * address, so this works with one fd table for all threads and with one per thread.
 *
 * The tracepoints contention_begin and contention_end exist in any kernel and have the address of the
 * lock. lock_contended and lock_acquired exist in kernels with LOCK_STAT and have the address of the
 * lock's lockdep_map, a member of the lock. Only one of these pairs is loaded.
 *
 * The offset of file_lock comes from the running kernel's BTF (CO-RE), never from a header.
 */
#include "lock/lock_contention.h"

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* Only what is read; names and nesting must be the kernel's. */
struct spinlock {
	int unused;
} __attribute__((preserve_access_index));

struct files_struct {
	struct spinlock file_lock;
} __attribute__((preserve_access_index));

struct task_struct {
	struct files_struct *files;
} __attribute__((preserve_access_index));

__u32 server; /* the process that is watched */

/* [0]: of its workers; [1]: of its threads by the name of LOCK_NEIGHBOUR_NAME */
__u64 acquisitions[2];
__u64 contentions[2];
__u64 wait_ns[2];

__u32 with_paths; /* also keep where the waits come from */

/* A thread that spins on a lock stays on its CPU, so the start can be kept there. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} started SEC(".maps");

/* Call paths of the kernel: number -> addresses, the innermost first. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, LOCK_WAIT_PATHS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, LOCK_WAIT_DEPTH * sizeof(__u64));
} paths SEC(".maps");

/* What was waited on each, by threads of one name. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LOCK_WAIT_PATHS);
	__type(key, struct lock_wait_key);
	__type(value, struct lock_waits);
} waits SEC(".maps");

static __always_inline int is_file_lock(__u64 address)
{
	struct task_struct *task;
	struct files_struct *files;
	__u64 lock;

	if (bpf_get_current_pid_tgid() >> 32 != server)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	files = BPF_CORE_READ(task, files);
	lock = (__u64)files + bpf_core_field_offset(struct files_struct, file_lock);
	return address >= lock &&
	       address < lock + bpf_core_field_size(struct files_struct, file_lock);
}

static __always_inline int is_neighbour(void)
{
	char comm[16];

	return !bpf_get_current_comm(comm, sizeof(comm)) && comm[0] == 'n' && comm[1] == 'e' &&
	       comm[2] == 'i' && comm[3] == 'g' && comm[4] == 'h' && comm[5] == 'b';
}

static __always_inline int begin(__u64 address)
{
	__u32 zero = 0;
	__u64 *start;

	if (!is_file_lock(address))
		return 0;
	start = bpf_map_lookup_elem(&started, &zero);
	if (start)
		*start = bpf_ktime_get_ns();
	return 0;
}

/*
 * Once the wait is over, so that walking the stack adds nothing to what was waited; the lock is
 * held for as long as it takes, but waits are rare. A path that finds no room goes under the number
 * of its error, and the sum stays whole.
 */
static __always_inline void add_to_path(struct bpf_raw_tracepoint_args *ctx, __u64 ns)
{
	struct lock_waits none = {}, *sum;
	struct lock_wait_key key = {};

	key.path = (__u32)bpf_get_stackid(ctx, &paths, 0);
	bpf_get_current_comm(key.thread, sizeof(key.thread));
	bpf_map_update_elem(&waits, &key, &none, BPF_NOEXIST);
	sum = bpf_map_lookup_elem(&waits, &key);
	if (!sum)
		return;
	__sync_fetch_and_add(&sum->n, 1);
	__sync_fetch_and_add(&sum->wait_ns, ns);
}

static __always_inline void end(struct bpf_raw_tracepoint_args *ctx, int who)
{
	__u32 zero = 0;
	__u64 *start = bpf_map_lookup_elem(&started, &zero), ns;

	if (!start || !*start)
		return;
	ns = bpf_ktime_get_ns() - *start;
	*start = 0;
	__sync_fetch_and_add(&contentions[who], 1);
	__sync_fetch_and_add(&wait_ns[who], ns);
	if (with_paths)
		add_to_path(ctx, ns);
}

SEC("raw_tp/contention_begin")
int on_contention_begin(struct bpf_raw_tracepoint_args *ctx)
{
	return begin(ctx->args[0]);
}

SEC("raw_tp/contention_end")
int on_contention_end(struct bpf_raw_tracepoint_args *ctx)
{
	if (is_file_lock(ctx->args[0]))
		end(ctx, is_neighbour());
	return 0;
}

SEC("raw_tp/lock_contended")
int on_lock_contended(struct bpf_raw_tracepoint_args *ctx)
{
	return begin(ctx->args[0]);
}

/* Of every acquisition, whether there was a wait or not. */
SEC("raw_tp/lock_acquired")
int on_lock_acquired(struct bpf_raw_tracepoint_args *ctx)
{
	int who;

	if (!is_file_lock(ctx->args[0]))
		return 0;
	who = is_neighbour();
	__sync_fetch_and_add(&acquisitions[who], 1);
	end(ctx, who);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
