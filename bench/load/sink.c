/* SPDX-License-Identifier: MIT */
/*
 * Accepts connections as direct descriptors only. See sink.h. Needs Linux 5.19 (multishot accept of
 * direct descriptors).
 */
#include "load/sink.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX 2048
#define BACKLOG	    4096

static const char answer[] = "HTTP/1.1 200 OK\r\n"
			     "Content-Length: 13\r\n"
			     "Connection: close\r\n"
			     "\r\n" SINK_BODY;

struct sink {
	int listener;
	unsigned int slots;
	char *requests;
	struct io_uring ring;
	int error;
	pthread_t id;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int ready;
};

enum { ACCEPTED = 1, FAILED = 2 };

static void prep_accept(struct sink *sink)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&sink->ring);

	io_uring_prep_multishot_accept_direct(sqe, sink->listener, NULL, NULL, 0);
	io_uring_sqe_set_data64(sqe, ACCEPTED);
}

/* Receive the request, answer, close: one chain, silent when all is well. */
static void prep_answer(struct sink *sink, unsigned int slot)
{
	struct io_uring_sqe *recv, *send, *close;

	if (io_uring_sq_space_left(&sink->ring) < 4)
		io_uring_submit(&sink->ring);
	recv = io_uring_get_sqe(&sink->ring);
	send = io_uring_get_sqe(&sink->ring);
	close = io_uring_get_sqe(&sink->ring);
	io_uring_prep_recv(recv, (int)slot, sink->requests + (size_t)slot * REQUEST_MAX,
			   REQUEST_MAX, 0);
	recv->flags = IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_prep_send(send, (int)slot, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	send->flags = IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_prep_close_direct(close, slot);
	close->flags = IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(recv, FAILED);
	io_uring_sqe_set_data64(send, FAILED);
	io_uring_sqe_set_data64(close, FAILED);
}

/* false: the listener was shut down. What failed towards the client, the client counts. */
static bool handle(struct sink *sink, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data != ACCEPTED)
		return true;
	if (cqe->res >= 0)
		prep_answer(sink, (unsigned int)cqe->res);
	else if (cqe->res != -ENFILE && cqe->res != -ECONNABORTED)
		return false;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		prep_accept(sink);
	return true;
}

static int open_ring(struct sink *sink)
{
	int ret = io_uring_queue_init(1024, &sink->ring, IORING_SETUP_SINGLE_ISSUER);

	if (ret < 0)
		return ret;
	io_uring_register_ring_fd(&sink->ring);
	ret = io_uring_register_files_sparse(&sink->ring, sink->slots);
	if (ret < 0)
		io_uring_queue_exit(&sink->ring);
	return ret;
}

static void *sink_main(void *arg)
{
	struct sink *sink = arg;
	bool go_on;

	pthread_mutex_lock(&sink->lock);
	sink->error = open_ring(sink);
	go_on = sink->error == 0;
	sink->ready = 1;
	pthread_cond_signal(&sink->changed);
	pthread_mutex_unlock(&sink->lock);
	if (!go_on)
		return NULL;
	prep_accept(sink);
	while (go_on) {
		struct io_uring_cqe *cqe;
		unsigned int head, n = 0;
		int ret = io_uring_submit_and_wait(&sink->ring, 1);

		if (ret < 0 && ret != -EINTR)
			break;
		io_uring_for_each_cqe (&sink->ring, head, cqe) {
			go_on = handle(sink, cqe) && go_on;
			n++;
		}
		io_uring_cq_advance(&sink->ring, n);
	}
	io_uring_queue_exit(&sink->ring);
	return NULL;
}

static int open_listener(struct sink *sink, struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);

	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	sink->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sink->listener < 0 || bind(sink->listener, (struct sockaddr *)address, len) ||
	    listen(sink->listener, BACKLOG) ||
	    getsockname(sink->listener, (struct sockaddr *)address, &len))
		return -errno;
	return 0;
}

static void free_sink(struct sink *sink)
{
	if (sink->listener >= 0)
		close(sink->listener);
	free(sink->requests);
	free(sink);
}

struct sink *sink_start(unsigned int concurrency, struct sockaddr_in *address, char *why,
			size_t why_len)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	int ret = -ENOMEM;

	if (sink) {
		pthread_mutex_init(&sink->lock, NULL);
		pthread_cond_init(&sink->changed, NULL);
		sink->slots = concurrency * 2;
		sink->requests = calloc(sink->slots, REQUEST_MAX);
		ret = open_listener(sink, address);
		if (!sink->requests)
			ret = -ENOMEM;
		else if (!ret)
			ret = -pthread_create(&sink->id, NULL, sink_main, sink);
	}
	if (!ret) {
		pthread_mutex_lock(&sink->lock);
		while (!sink->ready)
			pthread_cond_wait(&sink->changed, &sink->lock);
		ret = sink->error;
		pthread_mutex_unlock(&sink->lock);
		if (ret)
			pthread_join(sink->id, NULL);
	}
	if (ret) {
		snprintf(why, why_len, "cannot set up the self-check's listener: %s",
			 strerror(-ret));
		if (sink)
			free_sink(sink);
		return NULL;
	}
	return sink;
}

void sink_stop(struct sink *sink)
{
	shutdown(sink->listener, SHUT_RDWR); /* ends the accept, which ends the thread */
	pthread_join(sink->id, NULL);
	free_sink(sink);
}
