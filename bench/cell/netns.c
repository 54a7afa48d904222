/* SPDX-License-Identifier: MIT */
/* See netns.h. */
#include "cell/netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool loopback_up(void)
{
	struct ifreq request = { .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	strcpy(request.ifr_name, "lo");
	good = fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request);
	if (fd >= 0)
		close(fd);
	return good;
}

bool netns_enter(void)
{
	int old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	bool good = old >= 0 && !unshare(CLONE_NEWNET);

	if (good && !loopback_up()) {
		setns(old, CLONE_NEWNET);
		good = false;
	}
	if (old >= 0)
		close(old);
	return good;
}
