/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The functions that take file_lock exactly once a call; for both sides of the BPF program.
 * io_close is none of them: it takes the lock for an fd and not for a slot. It calls
 * file_close_fd_locked, as file_close_fd does, unless the compiler has put it inline there.
 */
#ifndef BENCH_LOCK_CALLS_H
#define BENCH_LOCK_CALLS_H

/* alloc_fd: every new number. replace_fd: IORING_OP_DUP. */
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

/* Who called: the function, and the call stack by its number in the map of stacks. */
struct lock_calls_key {
	unsigned int call;
	int stack;
};

#endif
