/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "listener.h"
#include "message.h"
#include "pages.h"

enum {
	LINGER_MS = 2000, /* for the end of the client's stream */
	END_MS = 1000,	  /* for all who are being answered when the server ends */
	LOOK_MS = 100,	  /* at time limits, and whether there are descriptors again */
	STALL_MS = 300,	  /* a look that is as late: all has stood still */
};

/* What is waited for, by place in the array for poll(). */
enum { LISTENER, WAKE, FIRST_CLIENT, POLLS = FIRST_CLIENT + METRICS_PLACES };

enum client_state { CLIENT_NONE, CLIENT_RECEIVING, CLIENT_SENDING, CLIENT_LINGERING };

/* One request; the connection ends behind the answer. */
struct client {
	enum client_state state;
	int fd;
	uint64_t end_ms; /* when its time is over */
	struct http_request http;
	char *answer; /* owned */
	size_t sent, len;
};

struct loop {
	struct metrics *m;
	bool draining;
	bool accepted;	    /* somebody, in this pass */
	uint64_t end_ms;    /* when those that are left are cut off; 0: not yet told to end */
	uint64_t looked_ms; /* when time was last looked at */
	struct listener_ends ends; /* of the listener, by somebody else */
	struct client clients[METRICS_PLACES];
};

int metrics_open(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) &&
	    !setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) &&
	    !bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, METRICS_QUEUE))
		return fd;
	say("--metrics-port %u: %s", port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- one client ------------------------------------------------------------------------------ */

static void client_end(struct client *c)
{
	close(c->fd);
	free(c->answer);
	memset(c, 0, sizeof(*c));
}

/* Whether there was memory for them. */
static bool write_metrics(FILE *out, const struct metrics *m, bool head)
{
	char *body = NULL;
	size_t len = 0;
	FILE *text = open_memstream(&body, &len);

	if (!text)
		return false;
	fprintf(text,
		"# HELP process_start_time_seconds when this server was started\n"
		"# TYPE process_start_time_seconds gauge\n"
		"process_start_time_seconds %llu\n",
		(unsigned long long)m->started_s);
	counters_prometheus(text, m->blocks, m->n);
	if (fclose(text)) {
		free(body);
		return false;
	}
	fprintf(out,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n",
		len);
	if (!head)
		fwrite(body, 1, len, out);
	free(body);
	return true;
}

/* The request of C is complete, or refused. */
static void make_answer(const struct metrics *m, struct client *c)
{
	FILE *out = open_memstream(&c->answer, &c->len);
	struct http_answer refused;
	bool made = true;

	if (!out) {
		client_end(c);
		return;
	}
	if (c->http.status == 200) {
		made = write_metrics(out, m, http_is_head(&c->http));
	} else {
		refused = http_answer(&c->http, true);
		fwrite(refused.data, 1, refused.len, out);
	}
	if (fclose(out) || !made) {
		client_end(c);
		return;
	}
	c->state = CLIENT_SENDING;
	c->end_ms = now_ms() + m->options->request_timeout_ms;
}

static void client_parse(const struct metrics *m, struct client *c, const char *data, size_t len)
{
	while (len && !c->http.status) {
		size_t used = http_parse(&c->http, &m->options->limits, data, len);

		data += used;
		len -= used;
		if (c->http.status == 100) {
			struct http_answer go_on = http_answer(&c->http, true);

			/* A few bytes on an empty socket: if they do not go, it is gone. */
			send(c->fd, go_on.data, go_on.len, MSG_NOSIGNAL | MSG_DONTWAIT);
			http_next(&c->http);
		}
	}
	if (c->http.status)
		make_answer(m, c);
}

static bool not_yet(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void client_receive(const struct metrics *m, struct client *c)
{
	char data[4096];
	ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && not_yet())
		return;
	if (n <= 0)
		client_end(c);
	else if (c->state == CLIENT_RECEIVING)
		client_parse(m, c, data, (size_t)n);
}

static void client_send(struct client *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent, c->len - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && not_yet())
		return;
	if (n < 0) {
		client_end(c);
		return;
	}
	c->sent += (size_t)n;
	if (c->sent < c->len)
		return;
	/* Not closed yet: with unread bytes that would be a reset, and the answer lost. */
	shutdown(c->fd, SHUT_WR);
	c->state = CLIENT_LINGERING;
	c->end_ms = now_ms() + LINGER_MS;
}

static void client_time_out(const struct metrics *m, struct client *c)
{
	if (c->state == CLIENT_RECEIVING && c->http.started) {
		c->http.status = 408;
		make_answer(m, c);
	} else {
		client_end(c);
	}
}

/* ---- all of them ----------------------------------------------------------------------------- */

static struct client *free_client(struct loop *l)
{
	unsigned i, places = l->draining ? METRICS_PLACES : METRICS_CLIENTS;

	for (i = 0; i < places; i++) {
		if (l->clients[i].state == CLIENT_NONE)
			return &l->clients[i];
	}
	return NULL;
}

/* Nobody waits where the listening has been ended, and a drain has no use for it any more. */
static void revive_listener(struct loop *l)
{
	char who[32];

	snprintf(who, sizeof(who), "--metrics-port %u", l->m->options->metrics_port);
	if (!l->draining)
		listener_revive(&l->ends, l->m->listener, METRICS_QUEUE, who, now_ms());
	errno = EAGAIN;
}

/* False if nobody waits any more (errno is EAGAIN), or none can be taken now. */
static bool accept_client(struct loop *l)
{
	struct client *c = free_client(l);

	if (!c) {
		errno = EMFILE;
		return false;
	}
	c->fd = accept4(l->m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (c->fd < 0 && errno == EINVAL)
		revive_listener(l);
	if (c->fd < 0)
		return false;
	c->state = CLIENT_RECEIVING;
	c->end_ms = now_ms() + l->m->options->request_timeout_ms;
	l->accepted = true;
	return true;
}

/* Takes who waits, and then listens no more; false if there is somebody who cannot be taken now. */
static bool stop_listening(struct loop *l)
{
	l->draining = true;
	while (accept_client(l))
		;
	if (errno != EAGAIN)
		return false;
	shutdown(l->m->listener, SHUT_RD); /* also where somebody has a copy */
	close(l->m->listener);
	l->m->listener = -1;
	return true;
}

/* Time in which this thread did not run is none that anybody has had. */
static void put_off_limits(struct loop *l)
{
	uint64_t passed_ms = now_ms() - l->looked_ms;
	unsigned i;

	l->looked_ms += passed_ms;
	if (passed_ms < STALL_MS)
		return;
	for (i = 0; i < METRICS_PLACES; i++)
		l->clients[i].end_ms += passed_ms;
	if (l->end_ms)
		l->end_ms += passed_ms;
}

static void serve(struct loop *l, const struct pollfd *polls)
{
	unsigned i;

	for (i = 0; i < METRICS_PLACES; i++) {
		struct client *c = &l->clients[i];

		if (c->state == CLIENT_NONE || !polls[FIRST_CLIENT + i].revents)
			continue;
		if (c->state == CLIENT_SENDING)
			client_send(c);
		else
			client_receive(l->m, c);
	}
	for (i = 0; i < METRICS_PLACES; i++) {
		struct client *c = &l->clients[i];

		if (c->state != CLIENT_NONE && now_ms() >= c->end_ms)
			client_time_out(l->m, c);
	}
}

/*
 * The listener's readiness is looked at LOOK_MS later if it could not be used: no spin. Where poll()
 * fails, since there are more than RLIMIT_NOFILE now allows, all are taken to be ready after that.
 */
static void wait_for_any(struct loop *l, struct pollfd *polls, bool pause)
{
	bool listens = l->m->listener >= 0 && !pause && free_client(l);
	unsigned i, n = FIRST_CLIENT; /* behind the last that is in use */
	eventfd_t ignored;

	polls[LISTENER] = (struct pollfd){ .fd = listens ? l->m->listener : -1, .events = POLLIN };
	polls[WAKE] = (struct pollfd){ .fd = l->m->wake, .events = POLLIN };
	for (i = 0; i < METRICS_PLACES; i++) {
		const struct client *c = &l->clients[i];
		struct pollfd *p = &polls[FIRST_CLIENT + i];

		*p = (struct pollfd){ .fd = c->state == CLIENT_NONE ? -1 : c->fd };
		p->events = c->state == CLIENT_SENDING ? POLLOUT : POLLIN;
		if (c->state != CLIENT_NONE)
			n = FIRST_CLIENT + i + 1;
	}
	if (poll(polls, n, pause || n > FIRST_CLIENT ? LOOK_MS : -1) < 0) {
		poll(NULL, 0, LOOK_MS);
		for (i = 0; i < n; i++)
			polls[i].revents = polls[i].events;
	}
	if (polls[WAKE].revents)
		eventfd_read(l->m->wake, &ignored);
}

/* Whether somebody is still to be answered; who has sent nothing yet counts if SILENT_ONES do. */
static bool has_clients(const struct loop *l, bool silent_ones)
{
	unsigned i;

	for (i = 0; i < METRICS_PLACES; i++) {
		const struct client *c = &l->clients[i];

		if (c->state != CLIENT_NONE &&
		    (silent_ones || c->state != CLIENT_RECEIVING || c->http.started))
			return true;
	}
	return false;
}

/*
 * Told to end, it answers for END_MS at most. While the listener could not be closed, somebody waits
 * in its queue, and of those that have been accepted in this very pass it is not known yet whether
 * they have sent something.
 */
static bool is_over(struct loop *l)
{
	bool all_answered = l->m->listener < 0 && !has_clients(l, l->accepted);

	if (!__atomic_load_n(&l->m->end, __ATOMIC_ACQUIRE))
		return false;
	if (!l->end_ms)
		l->end_ms = now_ms() + END_MS;
	return all_answered || now_ms() >= l->end_ms;
}

/* What an answer needs is there from the start, as the C library keeps it. */
static void take_memory(const struct metrics *m)
{
	struct client c = { .fd = -1, .http.status = 200 };

	make_answer(m, &c);
	free(c.answer);
}

static void *metrics_main(void *arg)
{
	struct loop l = { .m = arg };
	struct pollfd polls[POLLS] = { 0 };
	bool pause = false;
	unsigned i;

	pages_touch_stack();
	take_memory(l.m);
	do {
		wait_for_any(&l, polls, pause);
		put_off_limits(&l);
		serve(&l, polls);
		l.accepted = false;
		pause = l.m->listener >= 0 && polls[LISTENER].revents && !accept_client(&l);
		if (l.m->listener >= 0 && __atomic_load_n(&l.m->drain, __ATOMIC_ACQUIRE))
			pause = !stop_listening(&l);
	} while (!is_over(&l));
	for (i = 0; i < METRICS_PLACES; i++) {
		if (l.clients[i].state != CLIENT_NONE)
			client_end(&l.clients[i]);
	}
	return NULL;
}

bool metrics_start(struct metrics *m, int listener, const struct options *options,
		   struct counters *const *blocks, unsigned n)
{
	int ret;

	*m = (struct metrics){
		.options = options,
		.blocks = blocks,
		.n = n,
		.listener = listener,
		.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.started_s = (uint64_t)time(NULL),
	};
	ret = m->wake < 0 ? errno : pthread_create(&m->thread, NULL, metrics_main, m);
	if (ret) {
		say("--metrics-port %u: %s", options->metrics_port, strerror(ret));
		return false;
	}
	m->running = true;
	pthread_setname_np(m->thread, "metrics");
	return true;
}

static void wake(struct metrics *m, bool *flag)
{
	if (!m->running)
		return;
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
	eventfd_write(m->wake, 1);
}

void metrics_drain(struct metrics *m)
{
	wake(m, &m->drain);
}

void metrics_end(struct metrics *m)
{
	if (!m->running)
		return;
	wake(m, &m->end);
	pthread_join(m->thread, NULL);
	if (m->listener >= 0)
		close(m->listener);
	close(m->wake);
	m->running = false;
}
