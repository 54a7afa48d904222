/*
 * slow_fs.c - a minimal FUSE file system with a file whose ->flush() can be delayed. See harness.h.
 *
 * A separate process serves the file system: the root folder, one file in it, and FLUSH, which it
 * answers when the test allows it. It is not a thread of the test, and the test does not keep
 * /dev/fuse open: a process that sleeps in ->flush() cannot be killed, so the server must outlive it,
 * and when the server ends the kernel aborts all requests that wait for it. A FLUSH is delayed for a
 * limited time only: if something waits for it that should not, the test then continues and fails at
 * slow_fs_gave_up() instead of hanging.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { ROOT_NODE = 1, FILE_NODE = 2, HELD_MAX = 64, BUFFER = 1 << 17, TICK_MS = 5 };

/* shared by the tests and the server */
struct slow_fs {
	pid_t server;
	char dir[64], path[80];
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool hold, gave_up;
	unsigned held_count, flushes, releases;
	pid_t watched;
	unsigned flushes_watched;

	/* the server's own */
	int fd;			 /* /dev/fuse */
	uint64_t held[HELD_MAX]; /* FLUSH requests that wait for their answer */
	uint64_t held_since_ms;
	char buffer[BUFFER];
};

static void reply(struct slow_fs *fs, uint64_t unique, int error, const void *body, size_t size)
{
	struct {
		struct fuse_out_header header;
		char body[256];
	} out = { .header = { .len = (uint32_t)(sizeof(out.header) + size),
			      .error = error,
			      .unique = unique } };

	if (size)
		memcpy(out.body, body, size);
	/* a request that was interrupted or aborted is gone: nothing to do about it */
	if (write(fs->fd, &out, out.header.len) < 0)
		return;
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.mode = node == ROOT_NODE ? S_IFDIR | 0755 : S_IFREG | 0600,
		.nlink = 1,
	};
}

static void lock(struct slow_fs *fs)
{
	/* a holder that was killed leaves nothing half done */
	if (pthread_mutex_lock(&fs->mutex) == EOWNERDEAD)
		pthread_mutex_consistent(&fs->mutex);
}

static void handle_flush(struct slow_fs *fs, const struct fuse_in_header *in)
{
	bool held;

	lock(fs);
	fs->flushes++;
	if (fs->watched && in->pid == (uint32_t)fs->watched)
		fs->flushes_watched++;
	held = fs->hold && fs->held_count < HELD_MAX;
	if (held) {
		if (!fs->held_count)
			fs->held_since_ms = now_ms();
		fs->held[fs->held_count++] = in->unique;
	}
	pthread_cond_broadcast(&fs->changed);
	pthread_mutex_unlock(&fs->mutex);
	if (!held)
		reply(fs, in->unique, 0, NULL, 0);
}

/* answers what was held, once it may be or has been for too long */
static void release_held(struct slow_fs *fs)
{
	bool too_long;

	lock(fs);
	too_long = fs->held_count && fs->hold && now_ms() - fs->held_since_ms > wait_ms();
	if (too_long) {
		fs->gave_up = true;
		fs->hold = false;
	}
	if (!fs->hold) {
		for (unsigned i = 0; i < fs->held_count; i++)
			reply(fs, fs->held[i], 0, NULL, 0);
		fs->held_count = 0;
	}
	pthread_mutex_unlock(&fs->mutex);
}

static void handle(struct slow_fs *fs, const struct fuse_in_header *in)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = 31,
				      .max_write = 4096 };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr = attributes(FILE_NODE) };
	struct fuse_attr_out attr = { .attr = attributes(in->nodeid) };
	struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fs, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(fs, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(fs, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(fs, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_FLUSH:
		handle_flush(fs, in);
		break;
	case FUSE_RELEASE:
		lock(fs);
		fs->releases++;
		pthread_cond_broadcast(&fs->changed);
		pthread_mutex_unlock(&fs->mutex);
		reply(fs, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; /* these have no answer */
	default:
		reply(fs, in->unique, -ENOSYS, NULL, 0);
	}
}

static void serve(struct slow_fs *fs)
{
	struct pollfd poll_fd = { .fd = fs->fd, .events = POLLIN };

	for (;;) {
		ssize_t n;

		release_held(fs);
		if (poll(&poll_fd, 1, TICK_MS) == 0)
			continue;
		n = read(fs->fd, fs->buffer, sizeof(fs->buffer));
		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			handle(fs, (struct fuse_in_header *)fs->buffer);
		else if (n >= 0 || (errno != EINTR && errno != EAGAIN && errno != ENOENT))
			return; /* unmounted */
	}
}

static void start_server(struct slow_fs *fs)
{
	pid_t parent = getpid(), server = (pid_t)MUST(fork());

	/* what is shared is the parent's to write: the child's would be zero */
	if (server) {
		fs->server = server;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* it must not keep what the test is about to see closed */
	close_range(STDERR_FILENO + 1, (unsigned)fs->fd - 1, 0);
	close_range((unsigned)fs->fd + 1, ~0U, 0);
	if (getppid() == parent)
		serve(fs);
	_exit(EXIT_GOOD);
}

struct slow_fs *slow_fs_mount(void)
{
	struct slow_fs *fs =
		mmap(NULL, sizeof(*fs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t mutex_attr;
	pthread_condattr_t cond_attr;
	char options[128];

	MUST(fs == MAP_FAILED ? -1 : 0);
	pthread_mutexattr_init(&mutex_attr);
	pthread_mutexattr_setpshared(&mutex_attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex_attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&fs->mutex, &mutex_attr);
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setpshared(&cond_attr, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&fs->changed, &cond_attr);
	fs->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fs->fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		test_skip("this kernel has no /dev/fuse");
	MUST(fs->fd);
	strcpy(fs->dir, "/tmp/slow_fs.XXXXXX");
	MUST(mkdtemp(fs->dir) ? 0 : -1);
	snprintf(fs->path, sizeof(fs->path), "%s/file", fs->dir);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fs->fd);
	MUST(mount("slow_fs", fs->dir, "fuse", MS_NOSUID | MS_NODEV, options));
	start_server(fs);
	close(fs->fd);
	return fs;
}

void slow_fs_unmount(struct slow_fs *fs)
{
	slow_fs_hold(fs, false);
	MUST(umount2(fs->dir, MNT_DETACH));
	/* with the server goes the connection, whoever still has the file open */
	kill(fs->server, SIGKILL);
	MUST(waitpid(fs->server, NULL, 0));
	rmdir(fs->dir);
	munmap(fs, sizeof(*fs));
}

int slow_fs_open(struct slow_fs *fs)
{
	return (int)MUST(open(fs->path, O_RDONLY | O_CLOEXEC));
}

void slow_fs_hold(struct slow_fs *fs, bool hold)
{
	lock(fs);
	fs->hold = hold;
	pthread_mutex_unlock(&fs->mutex);
}

bool slow_fs_wait_flush(struct slow_fs *fs)
{
	struct timespec end;
	int error = 0;
	bool held;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += wait_ms() / 1000;
	lock(fs);
	while (!fs->held_count && !error)
		error = pthread_cond_timedwait(&fs->changed, &fs->mutex, &end);
	held = fs->held_count > 0;
	pthread_mutex_unlock(&fs->mutex);
	return held;
}

unsigned slow_fs_flushes(struct slow_fs *fs)
{
	return __atomic_load_n(&fs->flushes, __ATOMIC_ACQUIRE);
}

void slow_fs_watch(struct slow_fs *fs, pid_t thread)
{
	lock(fs);
	fs->watched = thread;
	fs->flushes_watched = 0;
	pthread_mutex_unlock(&fs->mutex);
}

unsigned slow_fs_flushes_watched(struct slow_fs *fs)
{
	return __atomic_load_n(&fs->flushes_watched, __ATOMIC_ACQUIRE);
}

unsigned slow_fs_releases(struct slow_fs *fs)
{
	return __atomic_load_n(&fs->releases, __ATOMIC_ACQUIRE);
}

bool slow_fs_gave_up(struct slow_fs *fs)
{
	return __atomic_load_n(&fs->gave_up, __ATOMIC_ACQUIRE);
}

int io_workers(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int workers = 0;

	MUST(tasks ? 0 : -1);
	while ((entry = readdir(tasks))) {
		char path[300], name[32] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, name, sizeof(name) - 1) > 0 && !strncmp(name, "iou-wrk", 7))
			workers++;
		close(fd);
	}
	closedir(tasks);
	return workers;
}
