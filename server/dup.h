/* SPDX-License-Identifier: MIT */
/*
 * IORING_OP_DUP for a liburing that does not have it yet.
 *
 * The interface is the one posted to the io-uring list in March 2026 (v3's cover letter: Message-ID
 * 20260321232142.911280-1-daniele.di.proietto@gmail.com) and carried by the series in
 * kernel/patches. No released kernel has it; probe_kernel() tries it out before anything relies on
 * it.
 *
 *   sqe->fd            source: a file descriptor, or a slot with IORING_DUP_OLD_FIXED
 *   sqe->file_index    destination: a file descriptor, or a slot with IORING_DUP_NEW_FIXED
 *   sqe->rw_flags      the flags below
 *   cqe->res           the destination's number, or a negative errno
 *
 * Whatever the destination referred to before is replaced and closed, as by dup3(2), under one
 * acquisition of file_lock.
 */
#ifndef SERVER_DUP_H
#define SERVER_DUP_H

#include <liburing.h>

/*
 * The opcode's number, here and nowhere else: the server, the examples, the harness and the tests
 * of the kernel patch take it from this line. It is the one after IORING_OP_URING_CMD128, the last
 * of Linux 7.3. Another opcode may be merged first; for a kernel where DUP has another number,
 * configure with cmake -DDUP_OPCODE=N.
 */
#ifndef DUP_OPCODE
#define DUP_OPCODE 65
#endif
enum { OP_DUP_NUMBER = DUP_OPCODE };

#ifndef IORING_DUP_NO_CLOEXEC
#define IORING_DUP_NO_CLOEXEC (1U << 0) /* leave close-on-exec unset on a new file descriptor */
#define IORING_DUP_OLD_FIXED  (1U << 1) /* the source is a slot */
#define IORING_DUP_NEW_FIXED  (1U << 2) /* the destination is a slot */
#endif

/* Slot OLD_SLOT gets the file descriptor NEW_FD as well; what NEW_FD was before is closed. */
static inline void prep_dup_slot_to_fd(struct io_uring_sqe *sqe, int old_slot, int new_fd)
{
	io_uring_prep_rw(OP_DUP_NUMBER, sqe, old_slot, NULL, 0, 0);
	sqe->file_index = (__u32)new_fd;
	sqe->rw_flags = IORING_DUP_OLD_FIXED;
}

/* The same from an ordinary file descriptor. */
static inline void prep_dup_fd_to_fd(struct io_uring_sqe *sqe, int old_fd, int new_fd)
{
	io_uring_prep_rw(OP_DUP_NUMBER, sqe, old_fd, NULL, 0, 0);
	sqe->file_index = (__u32)new_fd;
}

#endif
