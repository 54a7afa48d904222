/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "message.h"

static const char *hint(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "another program has this port; take another --port, or 0 for a free one";
	case EADDRNOTAVAIL:
		return "this machine does not have this --address";
	case EACCES:
		return "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE";
	case EAFNOSUPPORT:
		return "this kernel does not speak this family of addresses";
	case EMFILE:
	case ENFILE:
		return "too many files are open; see ulimit -n";
	default:
		return "see socket(2), bind(2) and listen(2)";
	}
}

static int fail(const struct options *o, const char *what, int fd)
{
	int error = errno;
	char host[INET6_ADDRSTRLEN] = "";
	bool v6 = o->address.any.sa_family == AF_INET6;

	inet_ntop(o->address.any.sa_family,
		  v6 ? (const void *)&o->address.v6.sin6_addr : &o->address.v4.sin_addr, host,
		  sizeof(host));
	say("%s for address %s port %u: %s: %s", what, host, ntohs(o->address.v4.sin_port),
	    strerror(error), hint(error));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/*
 * TCP_KEEPINTVL is the time between keepalive probes, and nothing while SO_KEEPALIVE is off, which
 * it stays here. Like every option it is inherited by the connections: a number without an effect
 * that each socket carries around. Its largest value is 32767.
 */
static int tag_value(unsigned tag)
{
	return (int)(32767 - tag);
}

bool listener_accepted(int fd, unsigned tag)
{
	socklen_t len = sizeof(int);
	int value;

	if (getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, &len))
		return false;
	return tag == ANY_TAG ? value >= tag_value(MOST_WORKERS) && value <= tag_value(1)
			      : value == tag_value(tag);
}

/*
 * How long a send may block. Only a thread of the kernel (io-wq) blocks: it gets a send that has to
 * wait, and whose client has sent its last byte already, as io_uring's polls are always ready then
 * (IO_POLL_UNMASK, APOLL_MAX_RETRY in io_uring/poll.c). There are two such threads for all of a
 * worker's connections, so clients that do not read may have them for a moment only.
 */
static const struct timeval send_time = { .tv_usec = 10000 };

int listener_open(const struct options *o, bool nonblocking, unsigned tag)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
	int fd = socket(o->address.any.sa_family, type, 0);

	if (fd < 0)
		return fail(o, "socket", fd);
	if (!set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return fail(o, "SO_REUSEADDR", fd);
	if (o->listener == LISTENER_REUSEPORT && !set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
		return fail(o, "SO_REUSEPORT", fd);
	/* Inherited by the connections: an answer is one send, there is nothing to wait for. */
	if (!set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return fail(o, "TCP_NODELAY", fd);
	/* Inherited, too. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_time, sizeof(send_time)))
		return fail(o, "SO_SNDTIMEO", fd);
	if (o->defer_accept_s && !set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, (int)o->defer_accept_s))
		return fail(o, "TCP_DEFER_ACCEPT", fd);
	if (tag && !set(fd, IPPROTO_TCP, TCP_KEEPINTVL, tag_value(tag)))
		return fail(o, "TCP_KEEPINTVL", fd);
	if (bind(fd, &o->address.any, o->address_len) < 0)
		return fail(o, "bind", fd);
	return fd;
}

int listener_open_first(struct options *o, bool nonblocking, unsigned tag)
{
	int fd = listener_open(o, nonblocking, tag), chosen = fd;
	socklen_t len = sizeof(o->address);

	if (fd < 0 || o->address.v4.sin_port) /* at the same place for IPv6 */
		return fd;
	getsockname(chosen, &o->address.any, &len);
	fd = listener_open(o, nonblocking, tag);
	close(chosen);
	return fd;
}

bool listener_listen(const struct options *o, int fd)
{
	return !listen(fd, (int)o->backlog) || fail(o, "listen", fd) >= 0;
}

bool listener_has_queue(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state == TCP_LISTEN && info.tcpi_unacked;
}

bool listener_listens(int fd)
{
	socklen_t len = sizeof(int);
	int value;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) && value;
}

/*
 * Returns 0 or an errno. What has ended the listening may have shut the socket down as well, wholly or
 * in one direction, and a connection would inherit that for ever. Nothing tells all of it, so the
 * socket is always disconnected, although that ends the listening once more if somebody else has begun
 * it a moment ago: who has come in that moment is reset, like those before.
 */
static int listen_again(int fd, unsigned backlog)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	/* By number, as the thread sanitizer takes connect() to make a descriptor. */
	if (syscall(SYS_connect, fd, &nobody, sizeof(nobody)))
		return errno;
	return listen(fd, (int)backlog) ? errno : 0;
}

enum listener_end listener_revive(struct listener_ends *ends, int fd, unsigned backlog,
				  const char *who, uint64_t now_ms)
{
	/* Threads may share a listener: what one has mended, another must not end again. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned mended;
	bool had_ended;
	int error = 0;

	pthread_mutex_lock(&lock);
	if (!listener_listens(fd)) {
		error = listen_again(fd, backlog);
		mended += !error;
	}
	had_ended = mended != ends->seen;
	ends->seen = mended;
	pthread_mutex_unlock(&lock);
	if (error) {
		if (say_again(&ends->failed_ms, now_ms))
			say("%s: somebody has ended the listening, and it cannot begin again: %s: %s",
			    who, strerror(error), hint(error));
		return LISTENER_STAYS_ENDED;
	}
	if (!had_ended)
		return LISTENER_LISTENS;
	if (say_again(&ends->revived_ms, now_ms))
		say("%s: somebody has ended the listening, as ss --kill does: it begins again",
		    who);
	return LISTENER_REVIVED;
}
