/* SPDX-License-Identifier: MIT */
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "message.h"

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
	    !bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 16))
		return fd;
	say("--metrics-port %u: %s", port, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the client went away or took longer than its second */
		data += n;
		len -= (size_t)n;
	}
}

void metrics_serve(int listener, struct counters *const *blocks, unsigned n)
{
	struct timeval second = { .tv_sec = 1 };
	char request[1024], header[160];
	char *body = NULL;
	size_t len = 0;
	FILE *out;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		/* out of descriptors, say: the client is still there, no spin */
		poll(NULL, 0, 100);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	out = open_memstream(&body, &len);
	if (out && recv(fd, request, sizeof(request), 0) > 0) {
		counters_prometheus(out, blocks, n);
		fclose(out);
		snprintf(header, sizeof(header),
			 "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			 len);
		send_all(fd, header, strlen(header));
		send_all(fd, body, len);
	} else if (out) {
		fclose(out);
	}
	free(body);
	close(fd);
}
