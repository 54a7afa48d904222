/*
 * init.c - the first and only process of the machine that scripts/bundled/measure boots.
 *
 * The kernel is one in user mode (ARCH=um), its root is the folder um/ of the unpacked bundle, seen
 * through hostfs. This mounts what a program needs, runs the command whose words are the lines of
 * /command, with /records as its output and /progress as its errors, leaves its exit code in
 * /status, and switches the machine off. It is static and needs nothing else in that folder.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORDS = 64, MAX_COMMAND = 4096, MAX_FILES = 1 << 20, EXIT_NO_COMMAND = 127 };

static void switch_off(int status)
{
	FILE *file = fopen("/status", "we");

	if (file) {
		fprintf(file, "%d\n", status);
		fclose(file);
	}
	sync();
	reboot(RB_POWER_OFF);
	_exit(1); /* the kernel panics, and says so */
}

static void fail(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
	switch_off(EXIT_NO_COMMAND);
}

static void use(const char *path, int flags, int fd)
{
	int opened = open(path, flags | O_CREAT | O_TRUNC, 0644);

	if (opened < 0 || dup2(opened, fd) < 0)
		fail(path);
	close(opened);
}

static void mount_at(const char *type, const char *path)
{
	mkdir(path, 0755);
	/* what the kernel has mounted already is there */
	if (mount(type, path, type, 0, NULL) < 0 && errno != EBUSY)
		fail(path);
}

static void raise_limit(void)
{
	struct rlimit limit = { MAX_FILES, MAX_FILES };

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("setrlimit");
}

static void read_command(char text[MAX_COMMAND], char *words[MAX_WORDS])
{
	int fd = open("/command", O_RDONLY | O_CLOEXEC), count = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, text, MAX_COMMAND - 1);
	char *word;

	if (n <= 0)
		fail("/command");
	close(fd);
	text[n] = '\0';
	while (count < MAX_WORDS - 1 && (word = strsep(&text, "\n")))
		if (*word)
			words[count++] = word;
	words[count] = NULL;
}

int main(int argc, char **argv)
{
	static char text[MAX_COMMAND];
	char *words[MAX_WORDS];
	int status = 0;
	pid_t child;

	/* measure asks whether programs run from a folder */
	if (argc == 2 && !strcmp(argv[1], "--can-run"))
		return 0;
	if (getpid() != 1) {
		fprintf(stderr,
			"init: run only by measure, in the machine it boots: switches that off\n");
		return 2;
	}
	/* each line of it at once on the host, where somebody waits for it */
	use("/progress", O_WRONLY | O_APPEND | O_SYNC, STDERR_FILENO);
	use("/records", O_WRONLY | O_APPEND, STDOUT_FILENO);
	mount_at("proc", "/proc");
	mount_at("devtmpfs", "/dev");
	raise_limit();
	read_command(text, words);
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		execv(words[0], words);
		fprintf(stderr, "init: cannot run %s: %s\n", words[0], strerror(errno));
		_exit(EXIT_NO_COMMAND);
	}
	/* what the command leaves behind is init's to reap */
	for (pid_t pid = 0; pid != child;)
		pid = wait(&status);
	switch_off(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
