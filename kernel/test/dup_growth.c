/*
 * dup_growth.c - the fd table of a busy process grows during DUPs of several threads.
 *
 * Growing a shared table waits for an RCU grace period, until no reader uses the old one. Meanwhile
 * threads open, read and close, and other DUPs need more room, or find enough. Each round is a new
 * process, because a table never shrinks.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

enum { GROWERS = 3, READERS = 2, OPENERS = 2, REPLACERS = 1, ROUNDS = 8, SLOTS = 4 };
enum { THREADS = GROWERS + READERS + OPENERS + REPLACERS, FD_FIXED = 40, FIXED = 8, LAST = 4095 };

static bool stop;
static int files[2];
static unsigned long grown, others;

/* each destination is a step further out, and another one for each thread */
static void *grow(void *argument)
{
	int index = (int)(uintptr_t)argument;
	struct io_uring ring;

	ring_open(&ring, 8, 0);
	slots_register(&ring, SLOTS);
	slot_set(&ring, 1, files[0]);
	for (int fd = 64 + index; fd < LAST; fd += 61 + fd / 4) {
		bool fixed = fd & 1;

		CHECK_RES(DUP(&ring, .fd = fixed ? 1 : files[0], .new_fd = fd,
			      .flags = fixed ? DUP_OLD_FIXED : 0,
			      .sqe_flags = fd & 2 ? IOSQE_ASYNC : 0),
			  fd, "grower %d", index);
		CHECK_RES(file_id(fd), 0, "grower %d, at %d", index, fd);
		__atomic_add_fetch(&grown, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *replace(void *unused)
{
	struct io_uring ring;

	ring_open(&ring, 8, 0);
	for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		int fd = FD_FIXED + (int)(i % FIXED);

		CHECK_RES(DUP(&ring, .fd = files[i / FIXED % 2], .new_fd = fd), fd, "replacer");
		__atomic_add_fetch(&others, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static void *read_files(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < FIXED; i++) {
			int id = file_id(FD_FIXED + i);

			CHECK(id == 0 || id == 1, "at %d: %s", FD_FIXED + i, res_name(id));
		}
		__atomic_add_fetch(&others, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static void *open_and_close(void *unused)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int fd = (int)MUST(fcntl(files[0], F_DUPFD_CLOEXEC, 0));

		CHECK_RES(file_id(fd), 0, "just made: %d", fd);
		CHECK(close(fd) == 0, "just made: %d", fd);
		__atomic_add_fetch(&others, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static void one_process(void)
{
	pthread_t threads[THREADS];
	long before = fd_table_size(), after;

	for (int i = 0; i < 2; i++)
		files[i] = file_make((uint32_t)i);
	for (int i = 0; i < FIXED; i++)
		MUST(dup3(files[0], FD_FIXED + i, O_CLOEXEC));
	for (int i = 0; i < THREADS; i++)
		MUST(-pthread_create(&threads[i], NULL,
				     i < GROWERS		       ? grow
				     : i < GROWERS + READERS	       ? read_files
				     : i < GROWERS + READERS + OPENERS ? open_and_close
								       : replace,
				     (void *)(uintptr_t)i));
	for (int i = 0; i < GROWERS; i++)
		MUST(-pthread_join(threads[i], NULL));
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = GROWERS; i < THREADS; i++)
		MUST(-pthread_join(threads[i], NULL));
	after = fd_table_size();
	CHECK(before < 1024 && after > 2048, "the table had %ld entries and has %ld", before,
	      after);
	CHECK(grown >= GROWERS * 10 && others > 100, "%lu destinations, %lu times something else",
	      grown, others);
	for (int fd = 64; fd < LAST; fd += 61 + fd / 4)
		CHECK_RES(file_id(fd), 0, "at the end, at %d", fd);
}

int main(void)
{
	test_start("dup_growth");
	for (int round = 0; round < ROUNDS; round++)
		ALONE(NULL, one_process);
	return test_end();
}
