/*
 * dup_vs_cgroup.c [--seconds N] [--ops N] [--seed N] - DUP against a walk over all files of a table.
 *
 * Writing the class of a net_cls cgroup walks over all fds of its processes, under file_lock, and
 * sets the class of the sockets among them. Meanwhile DUPs replace and so release these sockets: the
 * walk must not write to a socket that has been freed.
 *
 * Needs root, and the net_cls controller of cgroup v1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "race.h"

enum { DUPPERS = 2, NUMBERS = 8 };

static atomic_ulong *walks;
static char mounted[64], group[80];

static void fill_socket(struct io_uring_sqe *sqe, unsigned slot)
{
	io_uring_prep_socket_direct(sqe, AF_UNIX, SOCK_DGRAM, 0, slot, 0);
}

/* A new socket for each DUP: the number has the only reference to it in the end. */
static void dup_sockets(struct racer *racer)
{
	int numbers[RACE_BATCH];

	for (unsigned slot = 0; slot < RACE_BATCH; slot++)
		fill_socket(ring_sqe(&racer->ring), slot);
	MUST(io_uring_submit(&racer->ring));
	for (unsigned slot = 0; slot < RACE_BATCH; slot++)
		MUST(ring_reap(&racer->ring, NULL));

	for (unsigned slot = 0; slot < RACE_BATCH; slot++) {
		struct io_uring_sqe *sqe = ring_sqe(&racer->ring);

		numbers[slot] = RACE_FIRST + (int)racer_draw(racer, NUMBERS);
		fill_dup(sqe, &(struct dup){ .fd = (int)slot,
					     .new_fd = numbers[slot],
					     .flags = DUP_OLD_FIXED });
		sqe->user_data = slot;
		sqe = ring_sqe(&racer->ring);
		io_uring_prep_close_direct(sqe, slot);
		sqe->user_data = RACE_BATCH;
	}
	MUST(io_uring_submit(&racer->ring));
	for (unsigned i = 0; i < 2 * RACE_BATCH; i++) {
		uint64_t slot;
		int res = ring_reap(&racer->ring, &slot);

		if (slot < RACE_BATCH)
			CHECK_RES(res, numbers[slot], "DUP of a socket");
		else
			MUST(res);
	}
}

static void dupper(unsigned index)
{
	struct racer racer;

	racer_open(&racer, index);
	do
		dup_sockets(&racer);
	while (!race_over(RACE_BATCH));
	racer_close(&racer);
}

static void write_text(const char *folder, const char *name, const char *text)
{
	char path[120];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = (int)MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(write(fd, text, strlen(text)));
	close(fd);
}

static void walker(unsigned unused)
{
	(void)unused;
	while (!race_over(0)) {
		char class[24];

		snprintf(class, sizeof(class), "%lu", atomic_fetch_add(walks, 1) + 1);
		write_text(group, "net_cls.classid", class);
	}
}

/* Joins a group of its own, which the processes that are made from here on are in as well. */
static void join_group(void)
{
	strcpy(mounted, "/tmp/dup_cgroup.XXXXXX");
	MUST(mkdtemp(mounted) ? 0 : -1);
	if (mount("dup_vs_cgroup", mounted, "cgroup", 0, "net_cls")) {
		rmdir(mounted);
		test_skip("the net_cls controller of cgroup v1 cannot be mounted");
	}
	snprintf(group, sizeof(group), "%s/dup", mounted);
	MUST(mkdir(group, 0700));
	write_text(group, "cgroup.procs", "0");
}

static void leave_group(void)
{
	write_text(mounted, "cgroup.procs", "0");
	MUST(rmdir(group));
	MUST(umount(mounted));
	MUST(rmdir(mounted));
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_cgroup", 4, RACE_FILES_AT);
	join_group();
	walks = race_shared(sizeof(*walks));
	for (unsigned i = 0; i < DUPPERS; i++)
		race_spawn(dupper, i);
	race_spawn(walker, 0);
	race_wait();
	printf("dup_vs_cgroup: the class was set %lu times\n", atomic_load(walks));
	CHECK(atomic_load(walks) > 4, "only %lu times", atomic_load(walks));
	leave_group();
	for (int number = RACE_FIRST; number < RACE_FIRST + NUMBERS; number++) {
		struct stat status;

		CHECK(fstat(number, &status) == 0 && S_ISSOCK(status.st_mode), "%d has no socket",
		      number);
		close(number);
	}
	race_close_all(RACE_FIRST, NUMBERS);
	return race_end();
}
