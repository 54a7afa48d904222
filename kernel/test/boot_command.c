/*
 * boot_command.c - run by boot_arm64_test in a machine without a shell: carries out its arguments in
 * their order.
 *
 *   boot_command [out TEXT] [err TEXT] [count N] [write FILE TEXT] [refused FILE] [sleep SECONDS] [leave SECONDS] [off 0] [exit N]
 *
 * out, err     print a line
 * count        prints N bytes
 * write        writes TEXT to FILE, which is created if it does not exist
 * refused      ends the program with exit code 3 if FILE can be opened for writing
 * sleep        sleeps
 * leave        starts a process that sleeps, and does not wait for it
 * off          switches the machine off
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	size_t length = strlen(text);

	if (fd < 0 || write(fd, text, length) != (ssize_t)length) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void leave(int seconds)
{
	if (fork() == 0) {
		sleep((unsigned)seconds);
		_exit(0);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (int i = 1; i + 1 < argc; i += 2) {
		const char *what = argv[i], *value = argv[i + 1];
		int number = atoi(value);

		if (!strcmp(what, "out"))
			printf("%s\n", value);
		else if (!strcmp(what, "err"))
			fprintf(stderr, "%s\n", value);
		else if (!strcmp(what, "count"))
			for (int n = 0; n < number; n++)
				putchar('a' + n % 23);
		else if (!strcmp(what, "write") && i + 2 < argc)
			write_file(value, argv[++i + 1]);
		else if (!strcmp(what, "refused") && open(value, O_WRONLY | O_CREAT, 0600) >= 0)
			return 3;
		else if (!strcmp(what, "sleep"))
			sleep((unsigned)number);
		else if (!strcmp(what, "leave"))
			leave(number);
		else if (!strcmp(what, "off"))
			reboot(RB_POWER_OFF);
		else if (!strcmp(what, "exit"))
			return number;
		fflush(stdout);
	}
	return 0;
}
