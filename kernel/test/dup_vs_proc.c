/*
 * dup_vs_proc.c [--seconds N] [--ops N] [--seed N] - DUP against readers of /proc/PID/fd and fdinfo.
 *
 * The numbers stay open, so each must be in the listing, be a link to one of the files, and have an
 * fdinfo with the inode of one of the files and the close-on-exec flag that belongs to that file.
 * pidfd_getfd() must get one of the files too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "race.h"

enum { DUPPERS = 2, NUMBERS = 8 };

static pid_t owner; /* one of those that share the table */
static atomic_ulong *reads;

static void dupper(unsigned index)
{
	struct racer racer;

	racer_open(&racer, index);
	for (unsigned turn = 0; !race_over(RACE_BATCH); turn++)
		racer_dups_random(&racer, RACE_FIRST, NUMBERS, turn & 1);
	racer_close(&racer);
}

/* the file that a link in /proc leads to: its path is the name it was opened by */
static int linked_file(const char *target)
{
	for (int i = 0; i < RACE_FILES; i++)
		if (!strcmp(target, race_path(i)))
			return i;
	return -ENODATA;
}

static void read_link(int number)
{
	char path[64], target[200] = "";
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", owner, number);
	n = readlink(path, target, sizeof(target) - 1);
	CHECK(n > 0 && linked_file(target) >= 0, "%s leads to \"%s\": %s", path, target,
	      n < 0 ? strerror(errno) : "none of the files");
}

static void lister(unsigned unused)
{
	char path[64];

	(void)unused;
	snprintf(path, sizeof(path), "/proc/%d/fd", owner);
	while (!race_over(0)) {
		DIR *dir = opendir(path);
		struct dirent *entry;
		unsigned listed = 0;

		MUST(dir ? 0 : -1);
		while ((entry = readdir(dir))) {
			int number = atoi(entry->d_name);

			if (number >= RACE_FIRST && number < RACE_FIRST + NUMBERS) {
				listed++;
				read_link(number);
			}
		}
		closedir(dir);
		CHECK(listed == NUMBERS, "%u of %u numbers are listed", listed, NUMBERS);
		atomic_fetch_add(reads, 1);
	}
}

static void read_info(int number, const ino_t *inodes)
{
	char path[64], text[1000] = "", *line;
	unsigned long long inode = 0;
	unsigned flags = 0;
	ssize_t n = -1;
	int fd, file = -ENODATA;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", owner, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (!CHECK(n > 0, "%s: %s", path, strerror(errno)))
		return;
	line = strstr(text, "flags:");
	CHECK(line && sscanf(line, "flags: %o", &flags) == 1, "%s has no flags", path);
	line = strstr(text, "ino:");
	CHECK(line && sscanf(line, "ino: %llu", &inode) == 1, "%s has no inode", path);
	for (int i = 0; i < RACE_FILES; i++)
		if (inodes[i] == inode)
			file = i;
	if (CHECK(file >= 0, "%s: inode %llu is none of the files", path, inode))
		CHECK(!!(flags & O_CLOEXEC) == !!race_bit(file), "%s: file %d with flags %#o", path,
		      file, flags);
}

static void info_reader(unsigned unused)
{
	ino_t inodes[RACE_FILES];

	(void)unused;
	for (int i = 0; i < RACE_FILES; i++) {
		struct stat status;

		MUST(fstat(race_fd(i), &status));
		inodes[i] = status.st_ino;
	}
	while (!race_over(0)) {
		for (int i = 0; i < NUMBERS; i++)
			read_info(RACE_FIRST + i, inodes);
		atomic_fetch_add(reads, 1);
	}
}

static void getter(unsigned unused)
{
	int pidfd = (int)MUST(syscall(SYS_pidfd_open, owner, 0));

	(void)unused;
	while (!race_over(0)) {
		for (int i = 0; i < NUMBERS; i++) {
			int fd = (int)syscall(SYS_pidfd_getfd, pidfd, RACE_FIRST + i, 0);

			if (!CHECK(fd >= 0, "pidfd_getfd(): %s", strerror(errno)))
				continue;
			CHECK(race_which(fd) >= 0, "pidfd_getfd(): %s", res_name(race_which(fd)));
			close(fd);
		}
		atomic_fetch_add(reads, 1);
	}
	close(pidfd);
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_proc", 4, RACE_FILES_AT);
	reads = race_shared(sizeof(*reads));
	owner = getpid();
	for (int i = 0; i < NUMBERS; i++)
		race_put(i % RACE_FILES, RACE_FIRST + i);
	for (unsigned i = 0; i < DUPPERS; i++)
		race_spawn(dupper, i);
	race_spawn(lister, 0);
	race_spawn(info_reader, 0);
	race_spawn(getter, 0);
	race_wait();
	printf("dup_vs_proc: all numbers were read %lu times\n", atomic_load(reads));
	CHECK(atomic_load(reads) > 4, "only %lu reads", atomic_load(reads));
	race_close_all(RACE_FIRST, NUMBERS);
	return race_end();
}
