/* SPDX-License-Identifier: MIT */
/* The load generator: its threads, which are set up once and can run several loads. See storm.h. */
#include "load/storm_thread.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_ENTRIES_MAX 4096
#define HOPELESS	 1000 /* so many failures and nothing good in a second */

const char *const storm_protocols[] = { "http", "echo", NULL };
const char *const storm_closes[] = { "server-fin", "client-fin", "client-rst", NULL };

static int open_ring(struct thread *thread)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
	};
	unsigned int entries = thread->n_conns * SQES_PER_CHAIN;
	int ret;

	if (entries > RING_ENTRIES_MAX)
		entries = RING_ENTRIES_MAX;
	if (entries < 2 * SQES_PER_CHAIN)
		entries = 2 * SQES_PER_CHAIN;
	params.cq_entries = entries < 2 * thread->n_conns ? 2 * thread->n_conns : 2 * entries;
	ret = io_uring_queue_init_params(entries, &thread->ring, &params);
	if (ret == -EINVAL) { /* older than 6.1 */
		params = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE,
						   .cq_entries = params.cq_entries };
		ret = io_uring_queue_init_params(entries, &thread->ring, &params);
	}
	if (ret < 0)
		return ret;
	thread->ring_ready = true;
	io_uring_register_ring_fd(&thread->ring); /* one look-up less; not needed to work */
	return io_uring_register_files_sparse(&thread->ring, thread->n_conns);
}

static void prepare_job(struct thread *thread)
{
	thread->stop = false;
	thread->due = 0;
	thread->n_errors = 0;
	memset(&thread->result, 0, sizeof(thread->result));
	hist_clear(&thread->result.connect_ns);
	hist_clear(&thread->result.first_byte_ns);
	hist_clear(&thread->result.whole_ns);
	atomic_store(&thread->good_now, 0);
	atomic_store(&thread->failed_now, 0);
}

static void *thread_main(void *arg)
{
	struct thread *thread = arg;
	struct storm *storm = thread->storm;
	unsigned int job = 0;

	thread->fatal = open_ring(thread); /* here: the ring serves the thread that made it */
	pthread_mutex_lock(&storm->lock);
	storm->ready++;
	for (;;) {
		pthread_cond_broadcast(&storm->changed);
		while (storm->job == job && !storm->quit)
			pthread_cond_wait(&storm->changed, &storm->lock);
		if (storm->quit)
			break;
		job = storm->job;
		pthread_mutex_unlock(&storm->lock);
		loop_run(thread);
		pthread_mutex_lock(&storm->lock);
		storm->busy--;
	}
	pthread_mutex_unlock(&storm->lock);
	if (thread->ring_ready)
		io_uring_queue_exit(&thread->ring);
	return NULL;
}

static bool give_memory(struct thread *thread)
{
	size_t per_conn = STORM_BUFFER + STORM_PAYLOAD_MAX + 8;

	thread->conns = calloc(thread->n_conns, sizeof(*thread->conns));
	thread->free_slots = calloc(thread->n_conns, sizeof(*thread->free_slots));
	thread->memory = calloc(thread->n_conns, per_conn);
	if (!thread->conns || !thread->free_slots || !thread->memory)
		return false;
	for (unsigned int i = 0; i < thread->n_conns; i++) {
		thread->conns[i].in = thread->memory + i * per_conn;
		thread->conns[i].out = thread->conns[i].in + STORM_BUFFER;
		thread->free_slots[thread->n_free++] = thread->n_conns - 1 - i;
	}
	return true;
}

static bool start_thread(struct storm *storm, unsigned int index)
{
	struct storm_options *o = &storm->options;
	struct thread *thread = &storm->threads[index];

	thread->storm = storm;
	thread->index = index;
	thread->n_conns = o->concurrency / o->threads + (index < o->concurrency % o->threads);
	thread->rng = o->seed + 0x1000 * (uint64_t)index;
	thread->next_source = index * (uint64_t)o->sources / o->threads;
	http_check_init(&thread->keep_alive, o->body, strlen(o->body), false);
	http_check_init(&thread->closing, o->body, strlen(o->body), true);
	return give_memory(thread) && !pthread_create(&thread->id, NULL, thread_main, thread);
}

static void write_requests(struct storm *storm)
{
	char address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &storm->options.server.sin_addr, address, sizeof(address));
	for (int last = 0; last < 2; last++) {
		char *text = last ? storm->last_request : storm->request;
		int n = snprintf(text, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: %s:%u\r\n%s\r\n",
				 storm->options.path, address,
				 ntohs(storm->options.server.sin_port),
				 last ? "Connection: close\r\n" : "");

		*(last ? &storm->last_request_len : &storm->request_len) = (size_t)n;
	}
}

/* What the options need of the kernel, asked of the kernel. */
static bool check_kernel(struct storm *storm, char *why, size_t why_len)
{
	struct io_uring_probe *probe = NULL;
	struct io_uring ring;
	bool base, bind;
	int ret = io_uring_queue_init(4, &ring, 0);

	if (!ret) {
		probe = io_uring_get_probe_ring(&ring);
		io_uring_queue_exit(&ring);
	}
	if (!probe) {
		snprintf(why, why_len, "no io_uring: %s; see %s", strerror(ret ? -ret : ENOSYS),
			 ret == -ENOMEM ? "ulimit -l"
					: "/proc/sys/kernel/io_uring_disabled and the container's "
					  "seccomp profile");
		return false;
	}
	base = io_uring_opcode_supported(probe, IORING_OP_SOCKET);
	bind = io_uring_opcode_supported(probe, IORING_OP_BIND);
	io_uring_free_probe(probe);
	if (!base) {
		snprintf(why, why_len, "this kernel's io_uring has no SOCKET; Linux 5.19 has");
		return false;
	}
	storm->bind_sources = storm->options.sources > 0 && bind;
	if (storm->options.sources && !bind)
		fprintf(stderr,
			"accept-bench: this kernel's io_uring has no BIND (Linux 6.11 has): "
			"every client address is the kernel's choice\n");
	return true;
}

static bool wait_ready(struct storm *storm, unsigned int n, char *why, size_t why_len)
{
	pthread_mutex_lock(&storm->lock);
	while (storm->ready < n)
		pthread_cond_wait(&storm->changed, &storm->lock);
	pthread_mutex_unlock(&storm->lock);
	for (unsigned int i = 0; i < n; i++) {
		struct thread *thread = &storm->threads[i];

		if (!thread->fatal)
			continue;
		snprintf(why, why_len, "cannot set up a ring with %u direct descriptors: %s%s",
			 thread->n_conns, strerror(-thread->fatal),
			 thread->fatal == -EMFILE   ? "; raise ulimit -n"
			 : thread->fatal == -ENOMEM ? "; raise ulimit -l"
						    : "");
		return false;
	}
	return true;
}

struct storm *storm_create(const struct storm_options *options, char *why, size_t why_len)
{
	struct storm *storm = calloc(1, sizeof(*storm));
	unsigned int n = options->threads;

	if (!storm) {
		snprintf(why, why_len, "out of memory");
		return NULL;
	}
	storm->options = *options;
	storm->linger = (struct linger){ .l_onoff = 1, .l_linger = 0 };
	storm->one = 1;
	pthread_mutex_init(&storm->lock, NULL);
	pthread_cond_init(&storm->changed, NULL);
	write_requests(storm);
	storm->threads = calloc(n, sizeof(*storm->threads));
	if (!storm->threads)
		snprintf(why, why_len, "out of memory");
	if (!storm->threads || !check_kernel(storm, why, why_len)) {
		storm->options.threads = 0;
		storm_destroy(storm);
		return NULL;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (!start_thread(storm, i)) {
			snprintf(why, why_len, "out of memory for thread %u", i);
			storm->options.threads = i;
			storm_destroy(storm);
			return NULL;
		}
	}
	if (!wait_ready(storm, n, why, why_len)) {
		storm_destroy(storm);
		return NULL;
	}
	return storm;
}

static void merge_errors(struct storm_result *into, const struct thread *thread)
{
	for (size_t i = 0; i < thread->n_errors; i++) {
		const struct error_count *error = &thread->errors[i];
		const char *phase = conn_phase_name(error->op),
			   *reason = conn_reason_name(error->code);
		size_t k = 0;

		while (k < into->n_errors && (strcmp(into->error[k].phase, phase) ||
					      strcmp(into->error[k].reason, reason)))
			k++;
		if (k == STORM_ERRORS_MAX)
			continue;
		if (k == into->n_errors)
			into->error[into->n_errors++] = (struct storm_error){ phase, reason, 0 };
		into->error[k].n += error->n;
	}
}

static void merge(struct storm_result *into, const struct thread *thread)
{
	const struct storm_result *from = &thread->result;

	into->started += from->started;
	into->good += from->good;
	into->failed += from->failed;
	into->requests += from->requests;
	into->bytes_sent += from->bytes_sent;
	into->bytes_received += from->bytes_received;
	into->late += from->late;
	into->cpu_ns += from->cpu_ns;
	if (from->elapsed_ns > into->elapsed_ns)
		into->elapsed_ns = from->elapsed_ns;
	hist_merge(&into->connect_ns, &from->connect_ns);
	hist_merge(&into->first_byte_ns, &from->first_byte_ns);
	hist_merge(&into->whole_ns, &from->whole_ns);
	merge_errors(into, thread);
}

static struct storm_progress look(const struct storm *storm)
{
	struct storm_progress now = { .elapsed_ns = now_ns() - storm->start_ns };

	for (unsigned int i = 0; i < storm->options.threads; i++) {
		now.good += atomic_load_explicit(&storm->threads[i].good_now, memory_order_relaxed);
		now.failed +=
			atomic_load_explicit(&storm->threads[i].failed_now, memory_order_relaxed);
	}
	return now;
}

/* Once a second: says how it goes, and ends what leads nowhere. */
static void wait_for_threads(struct storm *storm,
			     bool (*progress)(const struct storm_progress *, void *), void *arg)
{
	struct storm_progress before = { 0 }, now;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	while (storm->busy) {
		until.tv_sec++;
		while (storm->busy &&
		       pthread_cond_timedwait(&storm->changed, &storm->lock, &until) != ETIMEDOUT)
			;
		if (!storm->busy)
			return;
		now = look(storm);
		if ((progress && !progress(&now, arg)) ||
		    (now.good == before.good && now.failed > before.failed + HOPELESS))
			atomic_store(&storm->stop, true);
		before = now;
	}
}

bool storm_run(struct storm *storm, const struct storm_load *load, struct storm_result *result,
	       bool (*progress)(const struct storm_progress *now, void *arg), void *arg)
{
	unsigned int n = storm->options.threads;

	assert(load->connections || load->duration_ns);
	memset(result, 0, sizeof(*result));
	hist_clear(&result->connect_ns);
	hist_clear(&result->first_byte_ns);
	hist_clear(&result->whole_ns);

	pthread_mutex_lock(&storm->lock);
	for (unsigned int i = 0; i < n; i++)
		prepare_job(&storm->threads[i]);
	storm->load = *load;
	atomic_store(&storm->stop, false);
	atomic_store(&storm->tickets, load->connections);
	storm->busy = n;
	storm->job++;
	storm->start_ns = now_ns();
	pthread_cond_broadcast(&storm->changed);
	wait_for_threads(storm, progress, arg);
	pthread_mutex_unlock(&storm->lock);

	result->stopped = atomic_load(&storm->stop);
	for (unsigned int i = 0; i < n; i++) {
		merge(result, &storm->threads[i]);
		if (storm->threads[i].fatal) {
			snprintf(storm->why, sizeof(storm->why), "storm thread %u: %s", i,
				 strerror(-storm->threads[i].fatal));
			return false;
		}
	}
	return true;
}

const char *storm_why(const struct storm *storm)
{
	return storm->why;
}

void storm_destroy(struct storm *storm)
{
	if (!storm)
		return;
	pthread_mutex_lock(&storm->lock);
	storm->quit = true;
	pthread_cond_broadcast(&storm->changed);
	pthread_mutex_unlock(&storm->lock);
	for (unsigned int i = 0; i < storm->options.threads; i++)
		pthread_join(storm->threads[i].id, NULL);
	for (unsigned int i = 0; storm->threads && i < storm->options.threads; i++) {
		free(storm->threads[i].conns);
		free(storm->threads[i].free_slots);
		free(storm->threads[i].memory);
	}
	free(storm->threads);
	pthread_mutex_destroy(&storm->lock);
	pthread_cond_destroy(&storm->changed);
	free(storm);
}
