/* harness.c - see harness.h */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILURES_SHOWN 20
#define LOCK_CLASS     "&newf->file_lock:"
#define FILE_MAGIC     0x64757000u

static const char *test_name = "?";
static unsigned long checks, failures, parts_skipped;

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static bool impatient(void)
{
	return getenv("DUP_TEST_FIRST_FAILURE") != NULL;
}

uint64_t wait_ms(void)
{
	return (impatient() ? IMPATIENT_S : WAIT_S) * 1000;
}

bool opcode_known(int opcode)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool known = probe && probe->last_op >= opcode &&
		     (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED);

	io_uring_free_probe(probe);
	return known;
}

/* Ends the program unless the opcode is there. */
static void needs_dup(void)
{
	struct utsname host;

	if (opcode_known(OP_DUP))
		return;
	uname(&host);
	printf("%s: no IORING_OP_DUP in Linux %s (opcode %d is asked for; cmake -DDUP_OPCODE=N)\n",
	       test_name, host.release, OP_DUP);
	/* a kernel built here that lacks it is a failure, not a reason to skip */
	exit(strstr(host.release, "-dup-") ? EXIT_FAILED : EXIT_SKIPPED);
}

void test_start(const char *name)
{
	struct rlimit files = { 4096, 4096 };

	test_name = name;
	/* it may be a child, whose verdict is about itself */
	test_child();
	setvbuf(stdout, NULL, _IOLBF, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	needs_dup();
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		must_(-errno, __FILE__, __LINE__, "setrlimit");
}

bool kernel_has_exchange(void)
{
	struct utsname host;

	uname(&host);
	return strstr(host.release, "-exchange-dup-");
}

void test_skip(const char *why)
{
	printf("%s: skipped: %s\n", test_name, why);
	exit(EXIT_SKIPPED);
}

int test_end(void)
{
	printf("%s: %lu checks, %lu failed\n", test_name, checks, failures);
	if (failures)
		return EXIT_FAILED;
	if (parts_skipped)
		return EXIT_SKIPPED;
	return checks ? EXIT_GOOD : EXIT_FAILED;
}

void test_child(void)
{
	checks = failures = parts_skipped = 0;
}

int test_result(void)
{
	return failures ? EXIT_FAILED : EXIT_GOOD;
}

void test_alone(void (*setup)(void), void (*function)(void), const char *name)
{
	pid_t child = (pid_t)MUST(fork());
	char whole[100];
	int status;

	if (child == 0) {
		snprintf(whole, sizeof(whole), "%s, %s", test_name, name);
		test_start(whole);
		if (setup)
			setup();
		function();
		exit(test_end());
	}
	MUST(waitpid(child, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		parts_skipped++;
	else
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %#x", name,
		      status);
}

static void say_failure(const char *file, int line, const char *what, const char *format,
			va_list args)
{
	const char *base = strrchr(file, '/');

	if (__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED) > FAILURES_SHOWN)
		return;
	flockfile(stdout);
	printf("%s: FAILED %s:%d: %s: ", test_name, base ? base + 1 : file, line, what);
	vprintf(format, args);
	printf("\n");
	funlockfile(stdout);
	if (impatient()) {
		fflush(stdout);
		_exit(EXIT_FAILED);
	}
}

bool check_(bool good, const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;

	__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);
	if (good)
		return true;
	va_start(args, format);
	say_failure(file, line, what, format, args);
	va_end(args);
	return false;
}

bool check_res_(int got, int want, const char *file, int line, const char *format, ...)
{
	char what[64];
	va_list args;

	__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);
	if (got == want)
		return true;
	snprintf(what, sizeof(what), "result %s", res_name(got));
	snprintf(what + strlen(what), sizeof(what) - strlen(what), ", not %s", res_name(want));
	va_start(args, format);
	say_failure(file, line, what, format, args);
	va_end(args);
	return false;
}

long must_(long result, const char *file, int line, const char *what)
{
	int error = result < -1 ? (int)-result : errno;

	if (result >= 0)
		return result;
	printf("%s: cannot go on: %s:%d: %s: %s\n", test_name, file, line, what, strerror(error));
	exit(EXIT_FAILED);
}

const char *res_name(int res)
{
	static _Thread_local char text[4][16];
	static _Thread_local unsigned turn;
	const char *name = res < 0 ? strerrorname_np(-res) : NULL;

	if (name)
		return name;
	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof(text[turn]), "%d", res);
	return text[turn];
}

void ring_open(struct io_uring *ring, unsigned entries, unsigned flags)
{
	MUST(io_uring_queue_init(entries, ring, flags));
}

struct io_uring_sqe *ring_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe) {
		MUST(io_uring_submit(ring));
		sqe = io_uring_get_sqe(ring);
	}
	MUST(sqe ? 0 : -EBUSY);
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

void fill_dup(struct io_uring_sqe *sqe, const struct dup *dup)
{
	sqe->opcode = OP_DUP;
	sqe->flags = (__u8)dup->sqe_flags;
	sqe->fd = dup->fd;
	sqe->splice_fd_in = dup->new_fd; /* dup_new_fd */
	sqe->rw_flags = (int)dup->flags; /* dup_flags */
	sqe->personality = (__u16)dup->personality;
}

int ring_reap(struct io_uring *ring, uint64_t *user_data)
{
	struct __kernel_timespec limit = { .tv_sec = (long long)wait_ms() / 1000 };
	struct io_uring_cqe *cqe;
	int res;

	do
		res = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	while (res == -EINTR);
	if (res == -ETIME) {
		printf("%s: cannot go on: no completion within %llu s\n", test_name,
		       (unsigned long long)wait_ms() / 1000);
		exit(EXIT_FAILED);
	}
	MUST(res);
	res = cqe->res;
	if (user_data)
		*user_data = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

int ring_submit_wait(struct io_uring *ring)
{
	int submitted;

	do
		submitted = io_uring_submit(ring);
	while (submitted == -EINTR);
	MUST(submitted);
	return ring_reap(ring, NULL);
}

int do_dup(struct io_uring *ring, const struct dup *dup)
{
	fill_dup(ring_sqe(ring), dup);
	return ring_submit_wait(ring);
}

int file_make(uint32_t id)
{
	uint32_t contents[2] = { FILE_MAGIC, id };
	int fd = (int)MUST(memfd_create("file", MFD_CLOEXEC));

	MUST(pwrite(fd, contents, sizeof(contents), 0) == sizeof(contents) ? 0 : -EIO);
	return fd;
}

int file_id(int fd)
{
	uint32_t contents[2] = { 0 };
	ssize_t n = pread(fd, contents, sizeof(contents), 0);

	if (n < 0)
		return -errno;
	return n == sizeof(contents) && contents[0] == FILE_MAGIC ? (int)contents[1] : -ENODATA;
}

int slot_id(struct io_uring *ring, int slot)
{
	uint32_t contents[2] = { 0 };
	struct io_uring_sqe *sqe = ring_sqe(ring);
	int n;

	sqe->opcode = IORING_OP_READ;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->fd = slot;
	sqe->addr = (uintptr_t)contents;
	sqe->len = sizeof(contents);
	n = ring_submit_wait(ring);
	if (n < 0)
		return n;
	return n == sizeof(contents) && contents[0] == FILE_MAGIC ? (int)contents[1] : -ENODATA;
}

bool fd_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

bool fd_cloexec(int fd)
{
	return (int)MUST(fcntl(fd, F_GETFD)) & FD_CLOEXEC;
}

int fd_free_above(int from)
{
	while (fd_open(from))
		from++;
	return from;
}

/* A file is released when the task that dropped it next returns to user space: give it time. */
long fd_table_size(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[200];
	long size = -1;

	MUST(status ? 0 : -1);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "FDSize: %ld", &size) == 1)
			break;
	fclose(status);
	return size;
}

bool pipe_hung_up(int read_end)
{
	struct pollfd poll_fd = { .fd = read_end };

	return poll(&poll_fd, 1, (int)wait_ms()) == 1 && (poll_fd.revents & POLLHUP);
}

bool pipe_alive(int read_end)
{
	struct pollfd poll_fd = { .fd = read_end };

	return poll(&poll_fd, 1, 0) == 0;
}

void slots_register(struct io_uring *ring, unsigned count)
{
	MUST(io_uring_register_files_sparse(ring, count));
}

void slot_set(struct io_uring *ring, int slot, int fd)
{
	if (fd < 0)
		fd = -1;
	MUST(io_uring_register_files_update(ring, (unsigned)slot, &fd, 1));
}

/* tries again while fd_reserve() has the number, to see whether it is free */
static void *open_fifo(void *path)
{
	int fd;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EMFILE);
	return (void *)(intptr_t)fd;
}

struct reserved_fd *fd_reserve(void)
{
	struct reserved_fd *reserved = calloc(1, sizeof(*reserved));
	struct rlimit files, one_free;
	uint64_t end = now_ms() + wait_ms();
	int probe;

	MUST(reserved ? 0 : -ENOMEM);
	snprintf(reserved->path, sizeof(reserved->path), "/tmp/dup_test.%d.fifo", getpid());
	MUST(mkfifo(reserved->path, 0600));
	reserved->fd = (int)MUST(dup(STDERR_FILENO)); /* the lowest that is free */
	MUST(getrlimit(RLIMIT_NOFILE, &files));
	one_free = files;
	one_free.rlim_cur = (rlim_t)reserved->fd + 1;
	MUST(setrlimit(RLIMIT_NOFILE, &one_free)); /* so that the open() can take no other */
	close(reserved->fd);
	MUST(-pthread_create(&reserved->thread, NULL, open_fifo, reserved->path));
	while ((probe = dup(STDERR_FILENO)) >= 0) {
		close(probe);
		MUST(now_ms() < end ? 0 : -ETIMEDOUT);
		usleep(1000);
	}
	MUST(errno == EMFILE ? 0 : -errno);
	MUST(setrlimit(RLIMIT_NOFILE, &files));
	return reserved;
}

void fd_install_reserved(struct reserved_fd *reserved)
{
	int writer = (int)MUST(open(reserved->path, O_WRONLY | O_CLOEXEC));
	void *fd;

	MUST(-pthread_join(reserved->thread, &fd));
	CHECK_RES((int)(intptr_t)fd, reserved->fd, "the open() that was waiting");
	close(writer);
	close(reserved->fd);
	unlink(reserved->path);
	free(reserved);
}

int flush_file_make(void)
{
	static unsigned count;
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/dup-%d-%u", getpid(),
		 __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED));
	fd = (int)MUST(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr));
	MUST(mq_unlink(name));
	return fd;
}

struct lock_counts read_lock_stat(void)
{
	static char text[1 << 20];
	struct lock_counts counts = { 0 };
	size_t size = 0;
	ssize_t n;
	char *line;
	int fd = open("/proc/lock_stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return counts;
	while (size < sizeof(text) - 1 && (n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)n;
	close(fd);
	text[size] = '\0';
	line = strstr(text, LOCK_CLASS);
	if (!line)
		return counts;
	/* con-bounces contentions; waits: min max total avg; acq-bounces acquisitions; holds: ...
	 */
	counts.known = sscanf(line + strlen(LOCK_CLASS),
			      "%*u %llu %*f %*f %lf %*f %*u %llu %*f %*f %lf", &counts.contentions,
			      &counts.wait_us, &counts.acquisitions, &counts.hold_us) == 4;
	return counts;
}
