/* SPDX-License-Identifier: MIT */
#include "standard_fds.h"

#include <fcntl.h>
#include <unistd.h>

void standard_fds_begin(void)
{
	int fd;

	do
		fd = open("/", O_PATH | O_CLOEXEC); /* gets the lowest number that is free */
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}
