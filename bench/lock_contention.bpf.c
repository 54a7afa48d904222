/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Runs in the kernel: counts how often, and for how long, a thread of the server waits for its own
 * file_lock. The tracepoints fire for every lock of the kernel; the address settles which one it
 * is, so this is right with one fd table for all threads and with one for each.
 *
 * The offset of file_lock comes from the running kernel's BTF (CO-RE), never from a header.
 */
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
__u64 contentions;
__u64 wait_ns;

/* A thread that spins on a lock stays on its CPU, so the start can be kept there. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} started SEC(".maps");

static __always_inline int is_file_lock(__u64 lock)
{
	struct task_struct *task;
	struct files_struct *files;

	if (bpf_get_current_pid_tgid() >> 32 != server)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	files = BPF_CORE_READ(task, files);
	return lock == (__u64)files + bpf_core_field_offset(struct files_struct, file_lock);
}

SEC("raw_tp/contention_begin")
int on_contention_begin(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	__u64 *start;

	if (!is_file_lock(ctx->args[0]))
		return 0;
	start = bpf_map_lookup_elem(&started, &zero);
	if (start)
		*start = bpf_ktime_get_ns();
	return 0;
}

SEC("raw_tp/contention_end")
int on_contention_end(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 zero = 0;
	__u64 *start;

	if (!is_file_lock(ctx->args[0]))
		return 0;
	start = bpf_map_lookup_elem(&started, &zero);
	if (!start || !*start)
		return 0;
	__sync_fetch_and_add(&contentions, 1);
	__sync_fetch_and_add(&wait_ns, bpf_ktime_get_ns() - *start);
	*start = 0;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
