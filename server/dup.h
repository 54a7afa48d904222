/* SPDX-License-Identifier: MIT */
/*
 * IORING_OP_DUP and IORING_OP_DUP_BATCH for a liburing that does not have them yet.
 *
 * The interface is the one posted to the io-uring list in March 2026 (v3's cover letter:
 * Message-ID 20260321232142.911280-1-daniele.di.proietto@gmail.com) and carried by the series in
 * kernel/patches. It is in no released kernel; probe_kernel() proves it before anything relies on
 * it.
 *
 *   sqe->fd            source: a file descriptor, or a slot with IORING_DUP_OLD_FIXED
 *   sqe->file_index    destination: a file descriptor, or a slot with IORING_DUP_NEW_FIXED
 *   sqe->rw_flags      the flags below
 *   cqe->res           the destination's number, or a negative errno
 *
 * Whatever the destination referred to before is replaced and closed, as by dup3(2), under one
 * acquisition of file_lock.
 *
 * DUP_BATCH does many of these under one acquisition (for up to 32 of them). It is this project's
 * own, posted nowhere:
 *
 *   sqe->fd            -1
 *   sqe->addr, len     an array of struct dup_pair; it is read when the request is submitted
 *   sqe->rw_flags      of the flags below the first two, for all pairs: destinations are fds
 *   cqe->res           how many were done, in order, up to the first that failed; if that was
 *                      the very first one, its negative errno
 */
#ifndef SERVER_DUP_H
#define SERVER_DUP_H

#include <liburing.h>
#include <stdint.h>

/* Appended after IORING_OP_URING_CMD128, which Linux 6.19 brought and older headers lack. */
enum { OP_DUP_NUMBER = 65, OP_DUP_BATCH_NUMBER = 66 };

enum { DUP_BATCH_MOST = 256 }; /* pairs of one request */

/* struct io_uring_dup_pair */
struct dup_pair {
	int32_t old_fd, new_fd;
};

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

/* N times the same in one request; PAIRS need not outlive its submission. */
static inline void prep_dup_batch(struct io_uring_sqe *sqe, const struct dup_pair *pairs,
				  unsigned n, unsigned flags)
{
	io_uring_prep_rw(OP_DUP_BATCH_NUMBER, sqe, -1, pairs, n, 0);
	sqe->rw_flags = (__kernel_rwf_t)flags;
}

/* The same from an ordinary file descriptor. */
static inline void prep_dup_fd_to_fd(struct io_uring_sqe *sqe, int old_fd, int new_fd)
{
	io_uring_prep_rw(OP_DUP_NUMBER, sqe, old_fd, NULL, 0, 0);
	sqe->file_index = (__u32)new_fd;
}

#endif
