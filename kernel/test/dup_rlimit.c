/*
 * dup_rlimit.c - RLIMIT_NOFILE limits the destination fd, inline and in a worker, but not the source
 * and not slots. If the sysctl fs.nr_open is lower it is the limit, with another error.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"

enum { LIMIT = 128, HIGH_FD = 1000, ID = 3 };

static void limit_to(rlim_t soft)
{
	struct rlimit files;

	MUST(getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = soft;
	MUST(setrlimit(RLIMIT_NOFILE, &files));
}

static long nr_open(long set)
{
	FILE *file = fopen("/proc/sys/fs/nr_open", set ? "r+e" : "re");
	long was = -1;

	if (!file)
		test_skip("cannot set fs.nr_open, which takes root");
	MUST(fscanf(file, "%ld", &was) == 1 ? 0 : -EIO);
	if (set) {
		rewind(file);
		fprintf(file, "%ld\n", set);
	}
	MUST(fclose(file));
	return was;
}

/*
 * The limit is everybody's, and all that comes later fails if it stays low. A process of its own raises
 * it again when this one is gone, however that ends.
 */
static void restore_in_the_end(long was)
{
	int alive[2];

	MUST(pipe2(alive, O_CLOEXEC));
	if (MUST(fork()) == 0) {
		setsid(); /* what ends this process by its group does not end that one */
		close(alive[1]);
		while (read(alive[0], &(char){ 0 }, 1) < 0 && errno == EINTR)
			;
		nr_open(was);
		_exit(EXIT_GOOD);
	}
	close(alive[0]); /* the other end stays open as long as this process lives */
}

/* The table is no larger than that yet: what is in it already is not refused. */
static void below_nr_open(void)
{
	static const unsigned modes[] = { 0, IOSQE_ASYNC };
	struct io_uring ring;
	int source = file_make(ID);
	long was = nr_open(0);

	nr_open(was); /* skips here if that is not allowed */
	restore_in_the_end(was);
	nr_open(LIMIT * 4);
	CHECK(fd_table_size() <= LIMIT * 4, "a table of %ld", fd_table_size());
	ring_open(&ring, 8, 0);
	slots_register(&ring, 8);
	slot_set(&ring, 1, source);
	for (size_t m = 0; m < 2; m++) {
		for (unsigned fixed = 0; fixed < 2; fixed++) {
			struct dup dup = { .fd = fixed ? 1 : source,
					   .flags = fixed ? DUP_OLD_FIXED : 0,
					   .sqe_flags = modes[m],
					   .new_fd = LIMIT * 4 };

			CHECK_RES(do_dup(&ring, &dup), -EMFILE, "fs.nr_open itself");
			CHECK(!fd_open(LIMIT * 4), "fs.nr_open itself was installed");
			dup.new_fd = HIGH_FD;
			CHECK_RES(do_dup(&ring, &dup), -EMFILE, "beyond fs.nr_open");
			dup.new_fd = LIMIT * 4 - 1;
			CHECK_RES(do_dup(&ring, &dup), LIMIT * 4 - 1, "the last below fs.nr_open");
			close(LIMIT * 4 - 1);
		}
	}
	/* where dup3() says something else */
	CHECK(dup3(source, HIGH_FD, O_CLOEXEC) < 0 && errno == EBADF, "dup3(): %s",
	      strerror(errno));
	nr_open(was);
}

int main(void)
{
	static const int beyond[] = { LIMIT,   LIMIT + 1, HIGH_FD, 4095, 4096,
				      1 << 20, INT_MAX,	  -1,	   -2,	 INT_MIN };
	static const unsigned modes[] = { 0, IOSQE_ASYNC };
	struct io_uring ring;
	int source, high;

	test_start("dup_rlimit");
	/* first, as a child's table is as large as what its parent has open */
	ALONE(NULL, below_nr_open);
	ring_open(&ring, 8, 0);
	slots_register(&ring, 512);
	source = file_make(ID);
	slot_set(&ring, 1, source);
	high = (int)MUST(fcntl(source, F_DUPFD_CLOEXEC, HIGH_FD + 1));
	limit_to(LIMIT);

	for (size_t m = 0; m < 2; m++) {
		for (unsigned fixed = 0; fixed < 2; fixed++) {
			struct dup dup = { .fd = fixed ? 1 : source,
					   .flags = fixed ? DUP_OLD_FIXED : 0,
					   .sqe_flags = modes[m] };

			for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
				dup.new_fd = beyond[i];
				CHECK_RES(do_dup(&ring, &dup), -EBADF, "destination %d, limit %d",
					  beyond[i], LIMIT);
				CHECK(!fd_open(beyond[i]), "destination %d was installed",
				      beyond[i]);
			}
			dup.new_fd = LIMIT - 1;
			CHECK_RES(do_dup(&ring, &dup), LIMIT - 1,
				  "the last number below the limit");
			CHECK_RES(file_id(LIMIT - 1), ID, "the last number below the limit");
			close(LIMIT - 1);

			/*
			 * the limit of now counts, not that of when the ring or its workers were
			 * made
			 */
			limit_to(LIMIT - 1);
			CHECK_RES(do_dup(&ring, &dup), -EBADF, "after the limit was lowered");
			limit_to(LIMIT);
			CHECK_RES(do_dup(&ring, &dup), LIMIT - 1, "after the limit was raised");
			close(LIMIT - 1);
		}
		/* replacing what is open beyond the limit is refused as well: dup2() does so */
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = high, .sqe_flags = modes[m]), -EBADF,
			  "an open fd beyond the limit");
		CHECK_RES(file_id(high), ID, "it is still open");
		CHECK_RES(DUP(&ring, .fd = high, .new_fd = 100, .sqe_flags = modes[m]), 100,
			  "a source beyond the limit");
		close(100);
		CHECK_RES(DUP(&ring, .fd = source, .new_fd = 500, .flags = DUP_NEW_FIXED,
			      .sqe_flags = modes[m]),
			  500, "a slot beyond the limit");
		slot_set(&ring, 500, -1);
	}
	return test_end();
}
