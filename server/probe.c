/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "dup.h"
#include "message.h"
#include "ring.h"

/* Runs the one request that has been prepared and gives its result. */
static int run(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait(ring, 1);

	if (ret >= 0)
		ret = io_uring_peek_cqe(ring, &cqe);
	if (ret)
		return ret;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static int run_dup(struct io_uring *ring, int slot, int fd, unsigned flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	prep_dup_slot_to_fd(sqe, slot, fd);
	sqe->rw_flags |= flags;
	return run(ring);
}

/* Whether FD refers to the eventfd SOURCE: what is added to one is read from the other. */
static bool same_eventfd(int source, int fd)
{
	eventfd_t value = 0;

	return !eventfd_write(source, 4711) && !eventfd_read(fd, &value) && value == 4711;
}

/*
 * Slot 0 holds an eventfd. A DUP of it over a descriptor of the root folder must make that descriptor
 * the eventfd, closed on exec; a DUP with an unknown flag must be refused, and one from an empty slot,
 * without touching anything. Gives NULL, or what was not so.
 */
static const char *try_dup(struct io_uring *ring, int source, int target)
{
	struct stat before, after;

	if (fstat(target, &before))
		return "fstat failed";
	if (run_dup(ring, 0, target, 1U << 31) != -EINVAL)
		return "an unknown flag is not refused with EINVAL";
	if (run_dup(ring, 1, target, 0) != -EBADF)
		return "an empty slot is not refused with EBADF";
	if (fstat(target, &after) || before.st_ino != after.st_ino)
		return "a refused request changed its destination";
	if (run_dup(ring, 0, target, 0) != target)
		return "a DUP does not return its destination";
	if (!same_eventfd(source, target))
		return "a DUP does not replace its destination";
	if (!(fcntl(target, F_GETFD) & FD_CLOEXEC))
		return "a DUP does not set close-on-exec";
	return NULL;
}

static void probe_dup(struct io_uring *ring, struct kernel *k)
{
	struct io_uring_probe *ops = io_uring_get_probe_ring(ring);
	int files[2] = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), -1 };
	int target = open("/", O_PATH | O_CLOEXEC); /* there may be no /dev */
	const char *wrong = NULL;
	int ret = -EBADF;

	if (!ops || !io_uring_opcode_supported(ops, OP_DUP_NUMBER))
		snprintf(k->dup, sizeof(k->dup), "it does not know opcode %d", OP_DUP_NUMBER);
	else if (files[0] < 0 || target < 0 || (ret = io_uring_register_files(ring, files, 2)) < 0)
		snprintf(k->dup, sizeof(k->dup), "the trial of DUP could not be set up: %s",
			 strerror(-ret));
	else if ((wrong = try_dup(ring, files[0], target)) != NULL)
		snprintf(k->dup, sizeof(k->dup), "its opcode %d is something else: %s",
			 OP_DUP_NUMBER, wrong);
	else
		k->features |= FEATURE_DUP;
	close(files[0]);
	close(target);
	io_uring_free_probe(ops);
}

void probe_kernel(struct kernel *k)
{
	static const struct options no_options;
	struct counters counters;
	struct ring r;
	struct io_uring_probe *ops;
	int ret;

	memset(k, 0, sizeof(*k));
	ret = ring_init(&r, SQ_ENTRIES, &no_options, &counters);
	if (ret < 0) {
		snprintf(k->ring, sizeof(k->ring), "io_uring: %s: %s", strerror(-ret),
			 ring_error_hint(ret));
		return;
	}
	/* A sandbox may allow io_uring_setup() and not io_uring_enter(). */
	io_uring_prep_nop(io_uring_get_sqe(&r.uring));
	ret = run(&r.uring);
	if (ret < 0) {
		snprintf(k->ring, sizeof(k->ring), "io_uring_enter: %s: a sandbox refuses it",
			 strerror(-ret));
		ring_free(&r);
		return;
	}
	k->features |= FEATURE_RING;
	if (r.uring.features & IORING_FEAT_MIN_TIMEOUT)
		k->features |= FEATURE_MIN_WAIT;
	ops = io_uring_get_probe_ring(&r.uring);
	if (ops && io_uring_opcode_supported(ops, IORING_OP_FIXED_FD_INSTALL))
		k->features |= FEATURE_INSTALL;
	else
		snprintf(k->install, sizeof(k->install),
			 "it does not know IORING_OP_FIXED_FD_INSTALL, which Linux 6.8 brought");
	io_uring_free_probe(ops);
	probe_dup(&r.uring, k);
	ring_free(&r);
}

void probe_explain(const struct kernel *k, const struct accept_path *path)
{
	unsigned missing = path->needs & ~k->features;
	struct utsname name;

	uname(&name);
	if (missing & FEATURE_RING)
		say("--accept %s needs io_uring on Linux %s: %s; --accept epoll does without",
		    path->name, name.release, k->ring);
	else if (missing & FEATURE_DUP)
		say("--accept %s needs IORING_OP_DUP and Linux %s has none (%s); run it under "
		    "kernel/boot, which boots a kernel with it, or take --accept auto",
		    path->name, name.release, k->dup);
	else
		say("--accept %s needs FIXED_FD_INSTALL and Linux %s has none (%s); take --accept auto",
		    path->name, name.release, k->install);
}
