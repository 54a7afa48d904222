/*
 * arm64-init.c - the first process of the emulated arm64 machine, see boot-arm64.sh.
 *
 * It is the only program of the initramfs. It mounts the host's root, read-only, and what a program expects to
 * find in it, and runs the command there. That has to be an arm64 program, linked statically: the host's own are for
 * another architecture, so there is no shell either. What happened is told in the kernel's log, where kernel/boot
 * reads it; then the machine is switched off.
 *
 * The file /command has words that end with a zero byte: the current folder, the time limit in seconds, the number of
 * folders that may be written to and their paths, the command and its arguments.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MAX_WORDS = 1024,
	MAX_COMMAND = 256 * 1024,
	MAX_FOLDERS = 64,
	/* between SIGTERM and SIGKILL, as in kernel/boot's other flavours */
	GRACE_S = 10,
	/* a minute */
	PORT_TRIES = 6000,
	PORT_PAUSE_NS = 10000000,
	EXIT_TIMEOUT = 124,
	EXIT_CANNOT_RUN = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_KILLED = 137,
	NR_OPEN = 2097152,
	SOFT_OPEN = 1048576,
};

#define ROOT  "/host"
#define PORTS "/sys/class/virtio-ports"

static int kernel_log = -1;

static void __attribute__((format(printf, 1, 2))) tell(const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* one write is one line of the log */
	if (kernel_log >= 0 &&
	    write(kernel_log, line, n < (int)sizeof(line) ? n : (int)sizeof(line) - 1) < 0)
		kernel_log = -1;
}

static _Noreturn void switch_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1); /* the kernel panics, and says so */
}

/* kernel/boot sees that the command has not ended, and shows the log */
static _Noreturn void fail(const char *what)
{
	tell("accept-dup: init: %s: %s", what, strerror(errno));
	switch_off();
}

static void mount_at(const char *source, const char *path, const char *type, unsigned long flags,
		     const char *options)
{
	if (mount(source, path, type, flags, options) < 0)
		fail(path);
}

static void make_folders(const char *path)
{
	char part[4096];

	for (size_t i = 1; path[i - 1]; i++) {
		if (path[i] != '/' && path[i])
			continue;
		if (i >= sizeof(part))
			break;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			fail(part);
	}
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail(path);
	close(fd);
}

static void limit(int resource, rlim_t soft, rlim_t hard)
{
	if (setrlimit(resource, &(struct rlimit){ soft, hard }) < 0)
		fail("setrlimit");
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail("lo");
	close(fd);
}

/* What lies below /tmp on the host has to outlive the tmpfs that is laid over it. */
static bool below_tmp(const char *path)
{
	return !strncmp(path, "/tmp/", 5);
}

static int hold(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

static void bind_at(int fd, const char *path)
{
	char source[64];

	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	make_folders(path);
	mount_at(source, path, NULL, MS_BIND, NULL);
	close(fd);
}

static void enter_root(void)
{
	mkdir(ROOT, 0755);
	mount_at("root", ROOT, "9p", MS_RDONLY,
		 "trans=virtio,version=9p2000.L,access=any,cache=loose,msize=262144");
	if (chdir(ROOT) < 0 || mount(ROOT, "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		fail("the root");
	mount_at("proc", "/proc", "proc", 0, NULL);
	mount_at("sysfs", "/sys", "sysfs", 0, NULL);
	mount_at("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount_at("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/pts", 0755);
	mkdir("/dev/shm", 0755);
	mkdir("/dev/mqueue", 0755);
	mount_at("devpts", "/dev/pts", "devpts", 0, NULL);
	mount_at("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
	mount_at("mqueue", "/dev/mqueue", "mqueue", 0, NULL);
	mount_at("tmpfs", "/run", "tmpfs", 0, "mode=755");
}

/* The folders that may be written to are a file system each, with the tag that boot-arm64.sh gave it. */
static void mount_folders(char *const paths[], int count, const char *cwd)
{
	int cwd_fd = below_tmp(cwd) ? hold(cwd) : -1;

	mount_at("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	if (cwd_fd >= 0)
		bind_at(cwd_fd, cwd);
	for (int i = 0; i < count; i++) {
		char tag[32];

		snprintf(tag, sizeof(tag), "folder%d", i);
		if (below_tmp(paths[i]))
			make_folders(paths[i]);
		mount_at(tag, paths[i], "9p", 0,
			 "trans=virtio,version=9p2000.L,access=any,msize=262144");
	}
}

static void use(const char *path, int flags, int fd)
{
	int opened = open(path, flags);

	if (opened < 0 || dup2(opened, fd) < 0)
		fail(path);
	if (opened != fd)
		close(opened);
}

/* The path of the port that QEMU calls NAME, if it is there already. */
static bool find_port(const char *name, char path[PATH_MAX])
{
	struct dirent *entry;
	bool found = false;
	DIR *ports = opendir(PORTS);

	while (ports && !found && (entry = readdir(ports))) {
		char line[64] = "";
		FILE *file;

		snprintf(path, PATH_MAX, PORTS "/%s/name", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(line, sizeof(line), file))
			line[strcspn(line, "\n")] = '\0';
		found = !strcmp(line, name);
		fclose(file);
		snprintf(path, PATH_MAX, "/dev/%s", entry->d_name);
	}
	if (ports)
		closedir(ports);
	return found && access(path, F_OK) == 0;
}

/* The host tells of the ports when the driver has said that it is there, some time after the boot. */
static void use_port(const char *name, int fd)
{
	char path[PATH_MAX];

	for (int tries = 0; !find_port(name, path); tries++) {
		errno = ENODEV;
		if (tries == PORT_TRIES)
			fail(name);
		nanosleep(&(struct timespec){ .tv_nsec = PORT_PAUSE_NS }, NULL);
	}
	use(path, O_WRONLY, fd);
}

static _Noreturn void run(char *const words[], const sigset_t *signals)
{
	static char *const environment[] = { "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
					     "LC_ALL=C.UTF-8", NULL };
	const char *why = "";

	setsid();
	sigprocmask(SIG_SETMASK, signals, NULL);
	use("/dev/null", O_RDONLY, STDIN_FILENO);
	limit(RLIMIT_NOFILE, SOFT_OPEN, NR_OPEN);
	limit(RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
	execve(words[0], words, environment);
	if (errno == ENOEXEC || errno == ENOENT)
		why = " (only arm64 programs run here that are linked statically, see kernel/lib/cross-tests)";
	fprintf(stderr, "boot: %s: %s%s\n", words[0], strerror(errno), why);
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* Waits for the command, and for what it leaves behind, which is init's to reap; -1 if the time is up. */
static int wait_for(pid_t command, time_t deadline, const sigset_t *signals)
{
	for (;;) {
		int status;
		pid_t pid;

		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == command)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
		if (now() >= deadline)
			return -1;
		sigtimedwait(signals, NULL, &(struct timespec){ .tv_sec = 1 });
	}
}

/* as timeout(1) with -k */
static int run_limited(char *const words[], int seconds)
{
	sigset_t signals, before;
	pid_t command;
	int status;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	command = fork();
	if (command < 0)
		fail("fork");
	if (command == 0)
		run(words, &before);
	status = wait_for(command, now() + seconds, &signals);
	if (status >= 0)
		return status;
	kill(-command, SIGTERM);
	if (wait_for(command, now() + GRACE_S, &signals) >= 0)
		return EXIT_TIMEOUT;
	kill(-command, SIGKILL);
	return EXIT_KILLED;
}

static int read_command(char *words[MAX_WORDS])
{
	static char text[MAX_COMMAND];
	int fd = open("/command", O_RDONLY | O_CLOEXEC), count = 0;
	ssize_t n, length = 0;

	if (fd < 0)
		fail("/command");
	while ((n = read(fd, text + length, MAX_COMMAND - length)) > 0)
		length += n;
	close(fd);
	errno = E2BIG;
	if (n < 0 || length == MAX_COMMAND)
		fail("/command");
	for (char *word = text; word < text + length; word += strlen(word) + 1) {
		if (count == MAX_WORDS - 1)
			fail("/command");
		words[count++] = word;
	}
	words[count] = NULL;
	return count;
}

int main(void)
{
	static char *words[MAX_WORDS];
	int count, folders, status;

	if (getpid() != 1) {
		fprintf(stderr,
			"init: only for the machine that kernel/boot boots: it ends by switching it off\n");
		return 2;
	}
	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	kernel_log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	count = read_command(words);
	errno = EINVAL;
	folders = count < 4 ? -1 : atoi(words[2]);
	if (folders < 0 || folders > MAX_FOLDERS || count < 4 + folders)
		fail("/command");
	enter_root();
	mount_folders(words + 3, folders, words[0]);
	loopback_up();
	set("/proc/sys/fs/nr_open", "2097152");
	if (chdir(words[0]) < 0)
		fail(words[0]);
	/* a port can be open once, so these are opened here and inherited */
	use_port("out", STDOUT_FILENO);
	use_port("err", STDERR_FILENO);
	tell("accept-dup: command starts");
	status = run_limited(words + 3 + folders, atoi(words[1]));
	tell("accept-dup: command ended: %d", status);
	switch_off();
}
