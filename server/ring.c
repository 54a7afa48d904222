/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "message.h"
#include "pages.h"

enum {
	/* A submission that the kernel had no memory for is repeated after this. */
	MEMORY_WAIT_NS = 1000000,
	MOST_SLOTS = 1 << 20, /* IORING_MAX_FIXED_FILES in io_uring/rsrc.c */
};

__attribute__((weak)) void ring_adjust_sizes(unsigned *sq_entries, unsigned *cq_entries)
{
	(void)sq_entries, (void)cq_entries;
}

__attribute__((weak)) void ring_before_submit(struct ring *r)
{
	(void)r;
}

__attribute__((weak)) int ring_after_submit(struct ring *r, int ret)
{
	(void)r;
	return ret;
}

/* The kernel has no memory for what it is asked to do: there will be, if something else ends. */
static void wait_for_memory(struct ring *r)
{
	count(r->counters->memory_waits);
	if (r->shortage)
		r->shortage(r->owner);
	nanosleep(&(struct timespec){ .tv_nsec = MEMORY_WAIT_NS }, NULL);
}

static void give_back(struct ring *r, unsigned id)
{
	io_uring_buf_ring_add(r->buffers, r->buffer_memory + (size_t)id * RECV_BUFFER_SIZE,
			      RECV_BUFFER_SIZE, (unsigned short)id,
			      io_uring_buf_ring_mask(RECV_BUFFERS), 0);
	io_uring_buf_ring_advance(r->buffers, 1);
}

static void return_all(struct ring *r)
{
	unsigned i;

	for (i = 0; i < RECV_BUFFERS; i++)
		give_back(r, i);
}

static int buffers_init(struct ring *r)
{
	int ret;

	/*
	 * Receives take their buffer from this ring when bytes have come, not when they are
	 * submitted: ten thousand idle connections need no buffer at all.
	 */
	r->buffers = io_uring_setup_buf_ring(&r->uring, RECV_BUFFERS, RECV_BUFFER_GROUP, 0, &ret);
	if (!r->buffers)
		return ret;
	r->buffer_memory = aligned_alloc(RECV_BUFFER_SIZE, (size_t)RECV_BUFFERS * RECV_BUFFER_SIZE);
	if (!r->buffer_memory)
		return -ENOMEM;
	pages_touch(r->buffer_memory, (size_t)RECV_BUFFERS * RECV_BUFFER_SIZE);
	return_all(r);
	return 0;
}

/* Before Linux 6.8, which does not tell what is in the ring: it is emptied, and filled anew. */
static void register_again(struct ring *r)
{
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)r->buffers,
		.ring_entries = RECV_BUFFERS,
		.bgid = RECV_BUFFER_GROUP,
	};
	int ret = io_uring_unregister_buf_ring(&r->uring, RECV_BUFFER_GROUP);

	io_uring_buf_ring_init(r->buffers);
	return_all(r);
	if (ret)
		die("the receive buffers cannot be taken back: %s", strerror(-ret));
	while ((ret = io_uring_register_buf_ring(&r->uring, &reg, 0)) == -ENOMEM)
		wait_for_memory(r);
	if (ret)
		die("the receive buffers cannot be registered again: %s", strerror(-ret));
}

void ring_buffers_renew(struct ring *r)
{
	bool is_there[RECV_BUFFERS] = { false };
	uint16_t at, head;
	unsigned i;

	if (io_uring_buf_ring_head(&r->uring, RECV_BUFFER_GROUP, &head)) {
		register_again(r);
		return;
	}
	for (at = head; at != r->buffers->tail; at++)
		is_there[r->buffers->bufs[at % RECV_BUFFERS].bid] = true;
	for (i = 0; i < RECV_BUFFERS; i++) {
		if (!is_there[i])
			give_back(r, i);
	}
}

int ring_init(struct ring *r, unsigned cq_entries, const struct options *options,
	      struct counters *counters)
{
	unsigned sq_entries = SQ_ENTRIES;
	struct io_uring_params params = {
		/*
		 * SINGLE_ISSUER: only this thread submits, so the kernel skips its locking between
		 * submitters. DEFER_TASKRUN: completions are worked off inside our own
		 * io_uring_enter() instead of by interrupting us at any moment: no IPIs, and a
		 * batch at a time. SUBMIT_ALL: a bad request does not hold up those behind it.
		 * CQSIZE: room for what all connections may complete in one pass, where the default
		 * is twice the submission queue; CLAMP: as much of it as the kernel allows.
		 */
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
	};
	int ret;

	memset(r, 0, sizeof(*r));
	r->counters = counters;
	r->options = options;
	ring_adjust_sizes(&sq_entries, &cq_entries);
	params.cq_entries = cq_entries;
	ret = io_uring_queue_init_params(sq_entries, &r->uring, &params);
	if (ret < 0)
		return ret;
	/*
	 * A registered ring fd spares each io_uring_enter() the look-up of the ring in the table of
	 * file descriptors, and its reference count, which threads would share.
	 */
	ret = io_uring_register_ring_fd(&r->uring);
	if (ret == 1)
		ret = buffers_init(r);
	if (ret < 0)
		ring_free(r);
	return ret;
}

void ring_free(struct ring *r)
{
	if (r->buffers)
		io_uring_free_buf_ring(&r->uring, r->buffers, RECV_BUFFERS, RECV_BUFFER_GROUP);
	io_uring_queue_exit(&r->uring);
	free(r->buffer_memory);
	memset(r, 0, sizeof(*r));
}

int ring_make_slots(struct ring *r, uint32_t wanted)
{
	struct rlimit limit;

	if (wanted > MOST_SLOTS)
		wanted = MOST_SLOTS;
	/* RLIMIT_NOFILE bounds a ring's table too. */
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < wanted)
		wanted = (uint32_t)limit.rlim_cur;
	r->slots = wanted;
	return io_uring_register_files_sparse(&r->uring, wanted);
}

void ring_on_shortage(struct ring *r, void (*shortage)(void *owner), void *owner)
{
	r->shortage = shortage;
	r->owner = owner;
}

const char *ring_error_hint(int error)
{
	switch (-error) {
	case ENOSYS:
		return "this kernel is built without io_uring, or a sandbox hides it";
	case EPERM:
		return "io_uring is switched off: see sysctl kernel.io_uring_disabled, or the sandbox";
	case EINVAL:
		return "this kernel is older than Linux 6.1, which brought DEFER_TASKRUN";
	case ENOMEM:
		return "too little memory may be locked: see ulimit -l";
	case EMFILE:
	case ENFILE:
		return "too many files are open: see ulimit -n";
	default:
		return "see io_uring_setup(2)";
	}
}

enum enter {
	SUBMIT,
	SUBMIT_AND_LOOK, /* the kernel also tells what has completed */
	SUBMIT_AND_WAIT, /* for a completion */
};

/*
 * With --min-wait, waits first up to that time for a whole batch, unless the ring is in a hurry: the
 * kernel then wakes this thread once for all of it.
 */
static int enter(struct ring *r, enum enter what)
{
	const struct options *o = r->options;
	/* The minimum comes with a maximum, which ends in nothing but a further pass. */
	struct __kernel_timespec longest = { .tv_sec = 3600 };
	struct io_uring_cqe *cqe;

	if (what == SUBMIT_AND_LOOK)
		return io_uring_submit_and_get_events(&r->uring);
	if (what == SUBMIT || !o->min_wait_us || r->hurry)
		return io_uring_submit_and_wait(&r->uring, what == SUBMIT_AND_WAIT);
	return io_uring_submit_and_wait_min_timeout(&r->uring, &cqe, o->min_batch, &longest,
						    (unsigned)o->min_wait_us, NULL);
}

static void submit(struct ring *r, enum enter what)
{
	int ret;

	ring_before_submit(r);
	ret = ring_after_submit(r, enter(r, what));
	/*
	 * EINTR: a signal; what was submitted stays submitted. ETIME: nothing came in the longest
	 * wait. EBADR: the kernel has dropped completions, which ring_dropped() tells as well.
	 * EAGAIN, ENOMEM, EBUSY and EFAULT (see requests.h): it is short of memory, and what was to be
	 * submitted still is.
	 */
	if (ret == -EAGAIN || ret == -ENOMEM || ret == -EBUSY || ret == -EFAULT)
		wait_for_memory(r);
	else if (ret < 0 && ret != -EINTR && ret != -ETIME && ret != -EBADR)
		die("io_uring_enter: %s", strerror(-ret));
}

void ring_submit_and_wait(struct ring *r)
{
	submit(r, SUBMIT_AND_WAIT);
}

void ring_submit_and_look(struct ring *r)
{
	submit(r, SUBMIT_AND_LOOK);
}

void ring_submit(struct ring *r)
{
	ring_reserve(r, r->uring.sq.ring_entries);
}

void ring_reserve(struct ring *r, unsigned n)
{
	while (io_uring_sq_space_left(&r->uring) < n) {
		count(r->counters->sq_flushes);
		submit(r, SUBMIT);
	}
}

void ring_bring_back(const struct ring *r)
{
	pages_bring_back(r->buffer_memory, (size_t)RECV_BUFFERS * RECV_BUFFER_SIZE);
}

bool ring_is_to_close(const struct ring *r, int fd)
{
	const struct io_uring_sq *sq = &r->uring.sq;
	unsigned i;

	for (i = sq->sqe_tail - io_uring_sq_ready(&r->uring); i != sq->sqe_tail; i++) {
		const struct io_uring_sqe *sqe = &sq->sqes[i & sq->ring_mask];

		if (sqe->opcode == IORING_OP_CLOSE && !sqe->file_index && sqe->fd == fd)
			return true;
	}
	return false;
}

bool ring_is_reaped(const struct ring *r)
{
	return !io_uring_cq_ready(&r->uring) && !io_uring_cq_has_overflow(&r->uring);
}

struct io_uring_sqe *ring_request(struct ring *r, enum op op, uint64_t id)
{
	struct io_uring_sqe *sqe;

	ring_reserve(r, 1);
	sqe = io_uring_get_sqe(&r->uring);
	io_uring_sqe_set_data64(sqe, user_data(op, id));
	return sqe;
}

void ring_chain(struct ring *r, struct io_uring_sqe **sqes, const enum op *ops, unsigned n,
		uint64_t id)
{
	unsigned i;

	ring_reserve(r, n);
	for (i = 0; i < n; i++) {
		sqes[i] = io_uring_get_sqe(&r->uring);
		io_uring_sqe_set_data64(sqes[i], user_data(ops[i], id));
	}
}

int ring_cancel_now(struct ring *r, enum op op, uint64_t id)
{
	struct io_uring_sync_cancel_reg cancel = { .addr = user_data(op, id) };

	return io_uring_register_sync_cancel(&r->uring, &cancel);
}

bool ring_has_dropped(struct ring *r)
{
	unsigned dropped = ring_dropped(r);

	if (dropped == r->dropped)
		return false;
	count_add(r->counters->cq_overflows, dropped - r->dropped);
	r->dropped = dropped;
	return true;
}

void ring_new_epoch(struct ring *r)
{
	r->epoch++;
}

void ring_buffer_return(struct ring *r, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_BUFFER)
		give_back(r, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
}
