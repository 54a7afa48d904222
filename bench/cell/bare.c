/* SPDX-License-Identifier: MIT */
/*
 * The lower bound for a server with fds: accept4, read, write, close in a blocking loop, one thread
 * per listener. It sends the same bytes as the server under test and does nothing else: no event
 * loop, no keep-alive, no parsing. Its CPU time is almost only that of the kernel for a connection.
 *
 *	accept-bench bare --workers 2
 *
 * --tuned adds two settings that need no further code: TCP_DEFER_ACCEPT, so that the request has
 * arrived when accept4 returns, and MSG_MORE, so that the answer is sent in one segment with the FIN
 * of the following close. A server that uses these is to be compared with this variant.
 *
 * Not suitable as a server: it has no defence against slow clients, for example.
 */
#include "cell/bare.h"
#include "option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS_MAX 64
#define BACKLOG	    4096
#define REQUEST_MAX 4096

static const char answer[] = "HTTP/1.1 200 OK\r\n"
			     "Content-Type: text/plain\r\n"
			     "Content-Length: 13\r\n"
			     "Connection: close\r\n"
			     "\r\n"
			     "hello, world\n";

struct bare_worker {
	_Alignas(64) int listener;
	int send_flags;
	atomic_uint_fast64_t accepts, errors;
	pthread_t id;
};

static void serve(struct bare_worker *worker, int fd)
{
	char request[REQUEST_MAX];
	ssize_t n = read(fd, request, sizeof(request));

	if (n <= 0 ||
	    send(fd, answer, sizeof(answer) - 1, worker->send_flags) != sizeof(answer) - 1)
		atomic_fetch_add_explicit(&worker->errors, 1, memory_order_relaxed);
	close(fd);
}

static void *accept_loop(void *arg)
{
	struct bare_worker *worker = arg;

	for (;;) {
		int fd = accept4(worker->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EINVAL) /* the listener was shut down */
				return NULL;
			atomic_fetch_add_explicit(&worker->errors, 1, memory_order_relaxed);
			continue;
		}
		atomic_fetch_add_explicit(&worker->accepts, 1, memory_order_relaxed);
		serve(worker, fd);
	}
}

static int open_listener(struct sockaddr_in *address, bool tuned)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	int defer_s = tuned;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s)) ||
	    bind(fd, (struct sockaddr *)address, sizeof(*address)) || listen(fd, BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)address, &len)) {
		fprintf(stderr, "accept-bench bare: cannot listen on port %u: %s%s\n",
			ntohs(address->sin_port), strerror(errno),
			errno == EADDRINUSE ? "; another program has it, try --port 0" : "");
		return -1;
	}
	return fd;
}

static void print_totals(struct bare_worker *workers, uint64_t n)
{
	uint64_t accepts = 0, errors = 0;

	for (uint64_t i = 0; i < n; i++) {
		accepts += atomic_load(&workers[i].accepts);
		errors += atomic_load(&workers[i].errors);
	}
	printf("totals accepts=%" PRIu64 " accept_empty=0 conns_now=0 errors=%" PRIu64 "\n",
	       accepts, errors);
	fflush(stdout);
}

static int run(uint64_t n, uint16_t port, bool tuned)
{
	static struct bare_worker workers[WORKERS_MAX];
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	sigset_t signals;
	int got;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	for (uint64_t i = 0; i < n; i++) {
		workers[i].send_flags = tuned ? MSG_MORE : 0;
		workers[i].listener = open_listener(&address, tuned);
		if (workers[i].listener < 0)
			return EXIT_FAILED;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (pthread_create(&workers[i].id, NULL, accept_loop, &workers[i])) {
			fprintf(stderr, "accept-bench bare: cannot start thread %" PRIu64 "\n", i);
			return EXIT_FAILED;
		}
	}
	printf("bare " PROJECT_VERSION " accept=%s workers=%" PRIu64
	       " listen=127.0.0.1:%u fd-table=shared pid=%d\n",
	       tuned ? "bare-tuned" : "bare", n, ntohs(address.sin_port), getpid());
	fflush(stdout);

	while (!sigwait(&signals, &got) && got == SIGUSR1)
		print_totals(workers, n);
	for (uint64_t i = 0; i < n; i++)
		shutdown(workers[i].listener, SHUT_RDWR);
	for (uint64_t i = 0; i < n; i++)
		pthread_join(workers[i].id, NULL);
	print_totals(workers, n);
	return EXIT_GOOD;
}

int bare_command(int argc, char **argv)
{
	uint64_t workers = 1, port = 0;
	bool tuned = false;
	const struct option_row rows[] = {
		{ "workers", OPTION_COUNT, &workers, "N", "threads, each with its own listener", 1,
		  WORKERS_MAX, NULL },
		{ "port", OPTION_COUNT, &port, "PORT", "on 127.0.0.1; 0: any free one", 0, 65535,
		  NULL },
		{ "tuned", OPTION_FLAG, &tuned, NULL,
		  "accept when the request is there, answer and FIN in one segment", 0, 0, NULL },
		{ 0 },
	};
	int code = option_parse("bare",
				"A blocking accept4-read-write-close loop: the floor of what a "
				"connection costs.\nPrints its port, then totals on SIGUSR1 and at "
				"its end (SIGTERM).",
				rows, argc, argv);

	return code == OPTION_GO_ON ? run(workers, (uint16_t)port, tuned) : code;
}
