/*
 * dup_netfs.c - a file whose POSIX locks are kept by a server is replaced in a worker.
 *
 * 9p is such a file system: its files have no ->flush(), but a ->lock() that may sleep because it
 * asks the server. The root file system of the QEMU guest is 9p.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { FD_TARGET = 40, SLOTS = 4, ID = 4 };

static struct io_uring ring;
static int source;

static void start(void)
{
	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	source = file_make(ID);
	slot_set(&ring, 1, source);
}

/* statfs() does not tell: a 9p server passes on the type of the file system that it serves. */
static bool on_9p(int fd)
{
	char line[1024], device[32];
	struct stat st;
	bool found = false;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");

	MUST(mounts ? 0 : -errno);
	MUST(fstat(fd, &st));
	snprintf(device, sizeof(device), " %u:%u ", major(st.st_dev), minor(st.st_dev));
	while (!found && fgets(line, sizeof(line), mounts))
		found = strstr(line, device) && strstr(line, " - 9p ");
	fclose(mounts);
	return found;
}

/* can another process have the whole file? */
static bool locked(const char *path)
{
	int status;
	pid_t child = (pid_t)MUST(fork());

	if (child == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));

		MUST(fcntl(fd, F_GETLK, &lock));
		_exit(lock.l_type != F_UNLCK);
	}
	MUST(waitpid(child, &status, 0));
	MUST(WIFEXITED(status) ? 0 : -EIO);
	return WEXITSTATUS(status);
}

static void over_9p(bool fixed)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	char path[4096] = "";
	int fd;

	/* this program itself, which nothing is laid over */
	MUST(readlink("/proc/self/exe", path, sizeof(path) - 1));
	fd = (int)MUST(open(path, O_RDONLY | O_CLOEXEC));
	if (!on_9p(fd))
		test_skip("this program is on no 9p file system");
	MUST(dup3(fd, FD_TARGET, O_CLOEXEC));
	close(fd); /* before there is a lock that this would release */
	MUST(fcntl(FD_TARGET, F_SETLK, &lock));
	CHECK(locked(path), "the lock is not there");
	CHECK_RES(io_workers(), 0, "workers before");
	CHECK_RES(DUP(&ring, .fd = fixed ? 1 : source, .new_fd = FD_TARGET,
		      .flags = fixed ? DUP_OLD_FIXED : 0),
		  FD_TARGET, "over a file of 9p with a lock");
	CHECK(io_workers() > 0, "the lock was released in the submission");
	CHECK_RES(file_id(FD_TARGET), ID, "over a file of 9p with a lock");
	CHECK(!locked(path), "the lock was left over");
}

static void over_9p_from_fd(void)
{
	over_9p(false);
}

static void over_9p_from_slot(void)
{
	over_9p(true);
}

int main(void)
{
	test_start("dup_netfs");
	ALONE(start, over_9p_from_fd);
	ALONE(start, over_9p_from_slot);
	return test_end();
}
