/* SPDX-License-Identifier: MIT */
/*
 * epoll: what people run today, and the baseline: a readiness loop around plain accept4, recv, send
 * and close, one epoll instance a worker. It does not use the ring at all; the connections, the
 * protocol and the limits are the same code as on the other paths.
 *
 * file_lock: 2 acquisitions per connection (accept4 reserves the number, close takes it back), and
 * 2 more for each accept4 that finds the queue empty.
 *
 * Done as well as is usual: level-triggered, a batch of accepts per wake-up, and a connection is
 * read from at once and watched only if its request is not there yet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "accept/shared.h"
#include "message.h"
#include "pages.h"
#include "serve.h"

enum {
	EVENTS = 512,
	READ_SIZE = 16384,
	URGENT_BYTES = 512, /* each ends a receive; there may be more, but not for long */
};

/* epoll_event.data of what is not a connection; a connection's is its id. */
static const uint64_t listener_event = UINT64_MAX, wake_event = UINT64_MAX - 1;

struct loop {
	struct worker *w;
	int epoll;
	bool watched;	/* the listener is in the interest list */
	bool listening; /* and events of it are wanted */
	bool unwatched; /* some connection had no room in it */
	bool trying;	/* those are being tried again */
	char *buffer;
};

static void watch(struct loop *l, struct conn *c)
{
	struct worker *w = l->w;
	struct epoll_event event = { .data.u64 = c->id };

	event.events = c->state == CONN_SENDING ? EPOLLOUT : EPOLLIN | EPOLLRDHUP;

	if (!epoll_ctl(l->epoll, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event)) {
		c->watched = true;
		return;
	}
	/*
	 * Out of memory, or of fs.epoll.max_user_watches, which a user's processes share: it is
	 * looked at every TICK_MS, and meanwhile the next is accepted no sooner.
	 */
	if (!l->trying)
		acceptor_failed(w, -errno);
	l->unwatched = true;
}

/* Also takes it out of the interest list: nobody else has a descriptor of this socket. */
static void end(struct loop *l, struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	conn_end(&l->w->conns, c);
}

/* Waits for the next bytes. */
static void wait_readable(struct loop *l, struct conn *c)
{
	bool was_sending = c->state == CONN_SENDING;

	serve_limit_receive(l->w, c);
	c->state = CONN_RECEIVING;
	if (!c->watched || was_sending)
		watch(l, c);
}

static void wait_writable(struct loop *l, struct conn *c)
{
	/* An answer that got through since it waited last has ended its time: it begins anew. */
	if (c->state != CONN_SENDING || !conn_is_under(c, LIMIT_REQUEST))
		conn_set_limit(&l->w->conns, c, LIMIT_REQUEST, l->w->clock.now_ms);
	if (c->state == CONN_SENDING)
		return;
	c->state = CONN_SENDING;
	watch(l, c);
}

static void linger(struct loop *l, struct conn *c)
{
	shutdown(c->fd, SHUT_WR);
	conn_set_limit(&l->w->conns, c, LIMIT_LINGER, l->w->clock.now_ms);
	c->state = CONN_LINGERING;
	watch(l, c);
}

/* What a failed system call means: as for the request that would do the same. */
static enum verdict verdict_of(const struct loop *l, enum op op, const struct conn *c)
{
	enum verdict verdict = request_verdict(op, errno);

	if (errno == EFAULT) {
		pages_bring_back(l->buffer, READ_SIZE);
		pages_bring_back(c->out, c->out_len);
	}
	if (verdict == FATAL)
		die("worker %u: %s: %s (fd %d)", l->w->config.index, request_name(op),
		    strerror(errno), c->fd);
	return verdict;
}

/* Sends what there is to send, as far as it goes, and then waits for whatever comes next. */
static void send_answers(struct loop *l, struct conn *c)
{
	struct worker *w = l->w;

	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, serve_send_flags(w, c) | MSG_DONTWAIT);

		if (n < 0 && verdict_of(l, OP_SEND, c) == AGAIN) {
			wait_writable(l, c);
			return;
		}
		if (n < 0) {
			count(w->counters.send_errors);
			end(l, c);
			return;
		}
		count_add(w->counters.bytes_out, n);
		c->out += n;
		c->out_len -= (uint32_t)n;
		if (c->out_len)
			continue;
		if (c->last && c->linger) {
			linger(l, c);
			return;
		}
		if (c->last) {
			end(l, c);
			return;
		}
		conn_set_limit(&w->conns, c, LIMIT_NONE, 0); /* its time begins anew */
		protocol_sent(&w->protocol, c);
	}
	wait_readable(l, c);
}

/* False if there is nothing to receive yet: C is as it was. */
static bool receive(struct loop *l, struct conn *c)
{
	struct worker *w = l->w;
	ssize_t n = recv(c->fd, l->buffer, READ_SIZE, MSG_DONTWAIT);

	if (n < 0 && verdict_of(l, OP_RECV, c) == AGAIN)
		return false;
	if (n < 0 && c->state != CONN_LINGERING)
		count(w->counters.recv_errors);
	if (n <= 0) {
		end(l, c);
		return true;
	}
	if (c->state == CONN_LINGERING)
		return true;
	c->more = n == READ_SIZE;
	if (protocol_received(&w->protocol, c, l->buffer, (uint32_t)n)) {
		end(l, c);
		return true;
	}
	send_answers(l, c);
	return true;
}

/* There is a place: it was looked before each accept4. In a drain it may be a spare one. */
static void take(struct worker *w, int fd)
{
	struct loop *l = w->path_state;
	struct conn *c = conn_begin(&w->conns, w->clock.now_ms);

	if (!c)
		c = conn_begin_spare(&w->conns, w->clock.now_ms);
	assert(c);
	count(w->counters.accepts);
	c->fd = fd;
	if (!receive(l, c))
		wait_readable(l, c);
}

static void accept_some(struct worker *w)
{
	accept4_batch(w, SOCK_NONBLOCK, take);
}

static void watch_listener(struct loop *l, bool on)
{
	struct epoll_event event = { .events = on ? EPOLLIN : 0, .data.u64 = listener_event };
	struct worker *w = l->w;
	/* With one listener for all workers, wake just one of them for a connection. */
	bool exclusive = w->acceptor.listener == w->config.shared_listener;
	int op = !l->watched ? EPOLL_CTL_ADD : exclusive ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

	if (on == l->listening || w->acceptor.listener < 0)
		return;
	if (exclusive)
		event.events |= EPOLLEXCLUSIVE;
	if (epoll_ctl(l->epoll, op, w->acceptor.listener, &event)) {
		int error = errno;

		accept_some(w); /* as in watch(): every time that this is tried */
		acceptor_failed(w, -error);
		return;
	}
	/* What is exclusive cannot be modified. The other stays, for its place may be wanted. */
	l->watched = op != EPOLL_CTL_DEL;
	l->listening = on;
	/* It may have been woken for a connection that it does not take, alone among them. */
	if (exclusive && !on && !w->drain.active)
		w->config.wake_all();
}

/* After this, watch_listener() adds it anew. */
static void unwatch_listener(struct loop *l)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->w->acceptor.listener, NULL);
	l->watched = l->listening = false;
}

static void update_listener(struct loop *l)
{
	struct worker *w = l->w;

	if (!w->drain.active) {
		acceptor_check_full(w);
		watch_listener(l, acceptor_may_accept(w));
	} else if (w->acceptor.listener >= 0) {
		if (l->watched) /* also where somebody has a copy, which outlives the close */
			unwatch_listener(l);
		accept_some(w); /* takes what is queued, then closes the listener */
	}
}

/* As many as it takes to read what C's socket can hold: bytes beyond that have come too late. */
static unsigned last_receives(const struct conn *c)
{
	socklen_t len = sizeof(int);
	int size = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
	return (unsigned)size / READ_SIZE + URGENT_BYTES;
}

/*
 * C is overdue: what it waits for is tried once more, because it may have been there all the time
 * that this thread did not run. Whether that was in vain.
 */
static bool last_try(struct loop *l, struct conn *c)
{
	unsigned left = last_receives(c);
	uint64_t id = c->id;

	if (c->state == CONN_SENDING)
		send_answers(l, c);
	while (left && c->id == id && c->state == CONN_RECEIVING && c->overdue != LIMIT_NONE &&
	       receive(l, c))
		left--;
	return c->id == id && c->overdue != LIMIT_NONE;
}

static void expire(struct loop *l)
{
	struct worker *w = l->w;
	struct conn *c;

	while ((c = conn_expired(&w->conns, w->clock.now_ms)) != NULL) {
		if (!last_try(l, c))
			continue;
		if (c->state != CONN_LINGERING)
			count(w->counters.timeouts);
		if (c->state == CONN_RECEIVING)
			protocol_timed_out(&w->protocol, c);
		if (c->state == CONN_RECEIVING && c->out_len)
			send_answers(l, c);
		else if (c->state == CONN_RECEIVING && c->served)
			linger(l, c); /* its last answer may still be on the way */
		else
			end(l, c);
	}
}

/* C may have become ready. */
static void go_on(struct loop *l, struct conn *c)
{
	if (c->state == CONN_SENDING)
		send_answers(l, c);
	else if (!receive(l, c) && c->state != CONN_LINGERING)
		wait_readable(l, c);
}

/* Those that watch() had no room for are served without, and it is tried again. */
static void serve_unwatched(struct loop *l)
{
	struct conn_table *conns = &l->w->conns;
	uint32_t i;

	l->unwatched = false;
	l->trying = true;
	for (i = 0; i < conns->capacity; i++) {
		struct conn *c = &conns->conns[i];

		if (c->state != CONN_FREE && !c->watched)
			go_on(l, c);
		if (c->state != CONN_FREE && !c->watched)
			watch(l, c);
	}
	l->trying = false;
}

static void handle_conn(struct loop *l, const struct epoll_event *event)
{
	struct worker *w = l->w;
	struct conn *c = conn_by_id(&w->conns, event->data.u64);

	if (c)
		go_on(l, c);
	else
		count(w->counters.stale); /* ended earlier in this very pass */
}

static void handle(struct loop *l, const struct epoll_event *event)
{
	struct worker *w = l->w;
	uint64_t ignored;

	if (event->data.u64 == listener_event) {
		/*
		 * Asked for no events, a listener still tells that somebody has ended it (EPOLLHUP),
		 * and that in every pass. A drain may have begun in this one: update_listener() sees
		 * to that.
		 */
		if (!l->listening)
			unwatch_listener(l);
		else if (!w->drain.active)
			accept_some(w);
	} else if (event->data.u64 == wake_event) {
		/* What was read does not matter, nor whether it could be: the flag is looked at. */
		if (read(w->drain.wake, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN &&
		    errno != EFAULT)
			die("read of an eventfd: %s", strerror(errno));
		drain_check(w);
		if (!w->drain.active)
			accept_some(w); /* another worker may have left something */
	} else {
		handle_conn(l, event);
	}
}

static bool init(struct worker *w)
{
	struct loop *l = malloc(sizeof(*l));
	char *buffer = malloc(READ_SIZE);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event wake = { .events = EPOLLIN, .data.u64 = wake_event };

	if (!l || !buffer || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, w->drain.wake, &wake)) {
		say("worker %u: epoll: %s: see ulimit -n", w->config.index, strerror(errno));
		free(l);
		free(buffer);
		if (epoll >= 0)
			close(epoll);
		return false;
	}
	pages_touch(buffer, READ_SIZE);
	*l = (struct loop){ .w = w, .epoll = epoll, .buffer = buffer };
	w->path_state = l;
	return true;
}

static void free_loop(struct worker *w)
{
	struct loop *l = w->path_state;

	close(l->epoll);
	free(l->buffer);
	free(l);
	w->path_state = NULL;
}

/* A drain that has taken a batch of what is queued looks for more at once. */
static int longest_wait_ms(const struct loop *l)
{
	const struct worker *w = l->w;

	if (w->drain.active && acceptor_may_accept(w))
		return 0;
	return conn_table_empty(&w->conns) && !w->drain.active && l->listening ? -1 : TICK_MS;
}

static void run(struct worker *w)
{
	struct loop *l = w->path_state;
	struct epoll_event events[EVENTS];
	uint64_t ticked_ms = 0;

	clock_init(w);
	for (;;) {
		int i, n;

		update_listener(l);
		if (drain_is_over(w))
			break;
		n = epoll_wait(l->epoll, events, EVENTS, longest_wait_ms(l));
		if (n < 0 && errno == EFAULT)
			pages_bring_back(events, sizeof(events));
		else if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		clock_update(w);
		for (i = 0; i < n; i++)
			handle(l, &events[i]);
		if (w->clock.now_ms - ticked_ms >= TICK_MS) {
			ticked_ms = w->clock.now_ms;
			acceptor_tick(w);
			expire(l);
			if (l->unwatched)
				serve_unwatched(l);
		}
		count(w->counters.passes);
		count_add(w->counters.completions, n > 0 ? n : 0);
	}
}

const struct accept_path accept_epoll = {
	ACCEPT_PATH_ROW(epoll), /* paths.h */
	.about = "2, and 2 per empty accept4: a readiness loop, accept4, close",
	.init = init,
	.free = free_loop,
	.run = run,
};
