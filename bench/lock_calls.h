/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The functions that take file_lock exactly once a call; for both sides of the BPF program. */
#ifndef BENCH_LOCK_CALLS_H
#define BENCH_LOCK_CALLS_H

/* alloc_fd: every new number. io_close: IORING_OP_CLOSE of an fd. replace_fd: IORING_OP_DUP. */
#define LOCK_CALLS_EACH(X)                                                                         \
	X(CALL_ALLOC_FD, alloc_fd)                                                                 \
	X(CALL_PUT_UNUSED_FD, put_unused_fd)                                                       \
	X(CALL_FILE_CLOSE_FD, file_close_fd)                                                       \
	X(CALL_IO_CLOSE, io_close)                                                                 \
	X(CALL_REPLACE_FD, replace_fd)                                                             \
	X(CALL_DUP2, __x64_sys_dup2)                                                               \
	X(CALL_DUP3, __x64_sys_dup3)

#define LOCK_CALLS_NAME(call, function) call,
enum lock_call { LOCK_CALLS_EACH(LOCK_CALLS_NAME) LOCK_CALLS };
#undef LOCK_CALLS_NAME

#endif
