/* SPDX-License-Identifier: MIT */
/* See faulty.h. One blocking thread; connections that are to hang stay open until the end. */
#include "faulty.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELD_MAX 256

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n";
static const char body[] = "hello, world\n";

struct faulty {
	enum faulty_kind kind;
	unsigned int every, n;
	int listener;
	int held[HELD_MAX];
	unsigned int n_held;
	pthread_t id;
};

static void say(int fd, const char *text, size_t len)
{
	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len && errno != EPIPE &&
	    errno != ECONNRESET)
		perror("faulty server: send");
}

static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void echo(int fd, bool flip)
{
	char buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		buffer[n / 2] ^= flip;
		say(fd, buffer, (size_t)n);
	}
}

/* true: keep the connection open. */
static bool answer(struct faulty *faulty, enum faulty_kind kind, int fd)
{
	char changed[sizeof(body)];
	char request[4096];

	if (kind == FAULTY_ECHO || kind == FAULTY_ECHO_FLIP) {
		echo(fd, kind == FAULTY_ECHO_FLIP);
		return false;
	}
	if (read(fd, request, sizeof(request)) <= 0 || kind == FAULTY_EMPTY)
		return false;
	if (kind == FAULTY_SILENT)
		return true;
	if (kind == FAULTY_STATUS) {
		say(fd, "HTTP/1.1 500 No\r\n", 17);
		say(fd, head + 17, sizeof(head) - 1 - 17);
	} else if (kind == FAULTY_HEAD) {
		say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 38);
	} else if (kind == FAULTY_IN_PIECES) {
		for (size_t i = 0; i < sizeof(head) - 1; i++)
			say(fd, head + i, 1);
	} else {
		say(fd, head, sizeof(head) - 1);
	}
	strcpy(changed, body);
	changed[7] ^= kind == FAULTY_FLIP;
	say(fd, changed, sizeof(body) - 1 - (kind == FAULTY_SHORT));
	if (kind == FAULTY_EXTRA)
		say(fd, "!", 1);
	(void)faulty;
	return kind == FAULTY_OPEN;
}

static enum faulty_kind right_kind(enum faulty_kind kind)
{
	return kind == FAULTY_ECHO || kind == FAULTY_ECHO_FLIP ? FAULTY_ECHO : FAULTY_NOT;
}

static void *serve(void *arg)
{
	struct faulty *faulty = arg;
	int fd;

	while ((fd = accept4(faulty->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		bool wrong = faulty->n++ % faulty->every == 0;
		enum faulty_kind kind = wrong ? faulty->kind : right_kind(faulty->kind);

		if (kind == FAULTY_RESET)
			reset(fd);
		else if (!answer(faulty, kind, fd))
			close(fd);
		else if (faulty->n_held < HELD_MAX)
			faulty->held[faulty->n_held++] = fd;
	}
	return NULL;
}

struct faulty *faulty_start(enum faulty_kind kind, unsigned int every, struct sockaddr_in *address)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	socklen_t len = sizeof(*address);

	faulty->kind = kind;
	faulty->every = every;
	faulty->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (bind(faulty->listener, (struct sockaddr *)address, len) ||
	    listen(faulty->listener, 1024) ||
	    getsockname(faulty->listener, (struct sockaddr *)address, &len) ||
	    pthread_create(&faulty->id, NULL, serve, faulty)) {
		perror("faulty server");
		exit(1);
	}
	return faulty;
}

void faulty_stop(struct faulty *faulty)
{
	shutdown(faulty->listener, SHUT_RDWR);
	pthread_join(faulty->id, NULL);
	close(faulty->listener);
	for (unsigned int i = 0; i < faulty->n_held; i++)
		close(faulty->held[i]);
	free(faulty);
}
