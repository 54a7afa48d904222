/*
 * dup_sqpoll.c - when the source may be closed on a ring with IORING_SETUP_SQPOLL.
 *
 * Not right after the submission: the kernel thread looks up the source when it takes the request from
 * the queue, as for every request. After that the source may be closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 4, FD_TARGET = 60, ID = 20, ROUNDS = 500, IDLE_MS = 1 };

static struct io_uring ring;

static void wait_until(bool (*what)(void), const char *name)
{
	uint64_t end = now_ms() + wait_ms();

	while (!what() && now_ms() < end)
		usleep(100);
	CHECK(what(), "%s: not within %llu ms", name, (unsigned long long)wait_ms());
}

static bool asleep(void)
{
	return __atomic_load_n(ring.sq.kflags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP;
}

static bool taken(void)
{
	return io_uring_sq_ready(&ring) == 0;
}

/* makes what is queued visible to the kernel's thread, which sleeps, and does not wake it up */
static void publish(void)
{
	__atomic_store_n(ring.sq.ktail, ring.sq.sqe_tail, __ATOMIC_RELEASE);
}

static void queue(int source, bool fixed)
{
	fill_dup(ring_sqe(&ring), &(struct dup){ .fd = fixed ? 1 : source,
						 .new_fd = FD_TARGET,
						 .flags = fixed ? DUP_OLD_FIXED : 0 });
}

/*
 * Closed while the request lies in the queue: what is there when it is taken is what counts. Whether it
 * was taken later than that: the thread says that it sleeps and looks at the queue once more before it
 * does, so a request may be taken at once all the same.
 */
static bool closed_before(bool fixed)
{
	int source = file_make(ID), other = file_make(ID + 1), result;

	MUST(dup3(other, FD_TARGET, O_CLOEXEC));
	if (fixed)
		slot_set(&ring, 1, source);
	wait_until(asleep, "the kernel's thread sleeps");
	usleep(2000);
	queue(source, fixed);
	publish();
	if (fixed)
		slot_set(&ring, 1, -1);
	close(source);
	MUST(io_uring_enter((unsigned)ring.ring_fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL));
	result = ring_reap(&ring, NULL);
	CHECK(result == -EBADF || result == FD_TARGET, "%s closed: %s", fixed ? "slot" : "fd",
	      res_name(result));
	CHECK_RES(file_id(FD_TARGET), result == -EBADF ? ID + 1 : ID, "the destination");
	close(other);
	return result == -EBADF;
}

static void closed_after(int round)
{
	bool fixed = round & 1;
	int source = file_make((uint32_t)(ID + round));

	/* half of them are left to a worker, which comes to them later still */
	if (round & 2) {
		int flushed = flush_file_make();

		MUST(dup3(flushed, FD_TARGET, O_CLOEXEC));
		close(flushed);
	}
	if (fixed)
		slot_set(&ring, 1, source);
	queue(source, fixed);
	MUST(io_uring_submit(&ring));
	wait_until(taken, "the kernel takes the request");
	if (fixed)
		slot_set(&ring, 1, -1);
	close(source);
	CHECK_RES(ring_reap(&ring, NULL), FD_TARGET, "round %d, source closed after it was taken",
		  round);
	CHECK_RES(file_id(FD_TARGET), ID + round, "round %d", round);
}

int main(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = IDLE_MS };

	int too_early = 0;

	test_start("dup_sqpoll");
	MUST(io_uring_queue_init_params(8, &ring, &params));
	slots_register(&ring, SLOTS);
	for (int round = 0; round < 20; round++)
		too_early += closed_before(round & 1);
	CHECK(too_early > 0, "the source was looked up at the submission, each time");
	for (int round = 0; round < ROUNDS; round++)
		closed_after(round);
	return test_end();
}
