/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The kernel functions that take file_lock exactly once per call. Shared by the BPF program and the
 * harness. io_close is not in the list because it takes the lock for an fd but not for a slot; it is
 * counted by its call of file_close_fd_locked. file_close_fd calls that too, unless the compiler has
 * inlined it.
 */
#ifndef BENCH_LOCK_CALLS_H
#define BENCH_LOCK_CALLS_H

/* alloc_fd allocates every new fd number. replace_fd is called by IORING_OP_DUP. */
#define LOCK_CALLS_EACH(X)                                                                         \
	X(CALL_ALLOC_FD, alloc_fd)                                                                 \
	X(CALL_PUT_UNUSED_FD, put_unused_fd)                                                       \
	X(CALL_FILE_CLOSE_FD, file_close_fd)                                                       \
	X(CALL_FILE_CLOSE_FD_LOCKED, file_close_fd_locked)                                         \
	X(CALL_REPLACE_FD, replace_fd)                                                             \
	X(CALL_DUP2, __x64_sys_dup2)                                                               \
	X(CALL_DUP3, __x64_sys_dup3)

#define LOCK_CALLS_NAME(call, function) call,
enum lock_call { LOCK_CALLS_EACH(LOCK_CALLS_NAME) LOCK_CALLS };
#undef LOCK_CALLS_NAME

#define LOCK_CALLS_DEPTH 16

/* Key of a count: the function called, and the id of the call stack in the BPF stack map. */
struct lock_calls_key {
	unsigned int call;
	int stack;
};

#endif
