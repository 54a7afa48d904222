/* SPDX-License-Identifier: MIT */
/*
 * The main loop of a thread of storm: starts connections as the load requires, reaps completions,
 * checks for timeouts.
 */
#include "load/storm_thread.h"

#include <errno.h>

#define SCAN_NS 100000000 /* how often timeouts are looked for */

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool take_ticket(struct thread *thread)
{
	struct storm *storm = thread->storm;

	if (atomic_load_explicit(&storm->stop, memory_order_relaxed))
		thread->stop = true;
	if (thread->stop || thread->fatal)
		return false;
	if (storm->load.connections) {
		uint64_t left = atomic_load_explicit(&storm->tickets, memory_order_relaxed);

		do {
			if (!left) {
				thread->stop = true;
				return false;
			}
		} while (!atomic_compare_exchange_weak(&storm->tickets, &left, left - 1));
	}
	return true;
}

static uint64_t due_ns(const struct thread *thread)
{
	const struct storm *storm = thread->storm;
	double interval = 1e9 * storm->options.threads / storm->load.rate_per_s;
	/* The threads' schedules interleave. */
	double offset = interval * thread->index / storm->options.threads;

	return storm->start_ns + (uint64_t)(offset + interval * (double)thread->due);
}

/* Starts what is due; a start that finds no free slot keeps its intended time. */
static void start_due(struct thread *thread)
{
	bool open_loop = thread->storm->load.rate_per_s > 0;
	uint64_t now = now_ns();

	if (thread->storm->load.duration_ns &&
	    now - thread->storm->start_ns >= thread->storm->load.duration_ns)
		thread->stop = true;
	while (thread->n_free) {
		uint64_t intended = open_loop ? due_ns(thread) : now;

		if (intended > now || !take_ticket(thread))
			return;
		if (open_loop) {
			thread->due++;
			if (now - intended > 1000000)
				thread->result.late++;
		}
		conn_reserve(thread, SQES_PER_CHAIN);
		conn_start(thread, thread->free_slots[--thread->n_free], intended);
	}
}

static uint64_t wait_ns(const struct thread *thread, uint64_t now)
{
	uint64_t until = thread->next_scan_ns;
	uint64_t due;

	if (thread->storm->load.rate_per_s > 0 && !thread->stop && thread->n_free) {
		due = due_ns(thread);
		if (due < until)
			until = due;
	}
	return until > now ? until - now : 0;
}

static int submit_and_wait(struct thread *thread)
{
	uint64_t ns = wait_ns(thread, now_ns());
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(ns / 1000000000),
		.tv_nsec = (long long)(ns % 1000000000),
	};
	struct io_uring_cqe *cqe;
	int ret = io_uring_submit_and_wait_timeout(&thread->ring, &cqe, 1, &ts, NULL);

	if (ret == -ETIME || ret == -EINTR || ret == -EAGAIN || ret == -EBUSY)
		return 0;
	return ret < 0 ? ret : 0;
}

/* Until all is done and every socket closed, those that were kept for a next connection last. */
static bool goes_on(struct thread *thread)
{
	if (thread->fatal)
		return false;
	return !thread->stop || thread->open || conn_close_kept(thread);
}

void loop_run(struct thread *thread)
{
	uint64_t cpu_start = thread_cpu_ns();

	thread->next_scan_ns = now_ns() + SCAN_NS;
	start_due(thread);
	while (goes_on(thread)) {
		struct io_uring_cqe *cqe;
		unsigned int head, n = 0;
		uint64_t now;
		int ret = submit_and_wait(thread);

		if (ret < 0) {
			thread->fatal = ret;
			break;
		}
		now = now_ns();
		io_uring_for_each_cqe (&thread->ring, head, cqe) {
			conn_handle(thread, cqe->user_data, cqe->res, now);
			n++;
		}
		io_uring_cq_advance(&thread->ring, n);
		if (now >= thread->next_scan_ns) {
			conn_scan_timeouts(thread, now);
			thread->next_scan_ns = now + SCAN_NS;
		}
		start_due(thread);
	}
	thread->result.elapsed_ns = now_ns() - thread->storm->start_ns;
	thread->result.cpu_ns = thread_cpu_ns() - cpu_start;
}
