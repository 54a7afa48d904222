/*
 * dup_race.c [SECONDS] - DUP against close(), open(), dup2(), dup3() and fcntl() of other threads.
 *
 * All of them work on the same few numbers. The order is not known, but a DUP must return its
 * destination or -EBUSY, every file found at a number must be one that was installed there, and no
 * file may be leaked.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

enum { DUPPERS = 4, OTHERS = 4, NUMBERS = 4, FILES = 4, DEFAULT_SECONDS = 5, SLOTS = 8 };

/* the last of the files is the write end of a pipe: that cannot be read, but tells when it is gone
 */
static int files[FILES], pipe_read_end, first_number;
static struct io_uring rings[DUPPERS];
static bool stop;
static unsigned long dups, busy;

/* what may be found at a number: nothing, one of the files, or what an open() put there */
static bool valid(int id)
{
	return id == -EBADF || id == -ENODATA || id == -ESPIPE || (id >= 0 && id < FILES - 1);
}

static void *dupper(void *argument)
{
	uintptr_t index = (uintptr_t)argument;
	struct io_uring *ring = &rings[index];
	unsigned seed = (unsigned)index + 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned r = (unsigned)rand_r(&seed);
		int file = (int)(r % FILES), number = first_number + (int)(r / 16 % NUMBERS);
		bool fixed = r & 256;
		int result = DUP(ring, .fd = fixed ? file : files[file], .new_fd = number,
				 .flags = fixed ? DUP_OLD_FIXED : 0,
				 .sqe_flags = r & 512 ? IOSQE_ASYNC : 0);

		if (result == -EBUSY)
			__atomic_add_fetch(&busy, 1, __ATOMIC_RELAXED);
		else
			CHECK_RES(result, number, "DUP in the fray");
		__atomic_add_fetch(&dups, 1, __ATOMIC_RELAXED);
		CHECK(valid(file_id(number)), "at %d: %s", number, res_name(file_id(number)));
	}
	return NULL;
}

/* these take the lowest number that is free, mostly one of those in the fray */
static void close_if_beyond(int fd)
{
	if (fd >= first_number + NUMBERS)
		close(fd);
}

static void *other(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument + 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned r = (unsigned)rand_r(&seed);
		int number = first_number + (int)(r / 16 % NUMBERS), file = files[r % FILES];

		switch (r / 256 % 6) {
		case 0:
			close(number);
			break;
		case 1:
			close_if_beyond(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
			break;
		case 2:
			dup2(file, number);
			break;
		case 3:
			dup3(file, number, O_CLOEXEC);
			break;
		case 4:
			close_if_beyond(fcntl(file, F_DUPFD, first_number));
			break;
		default:
			fcntl(number, F_SETFD, r & 1 ? FD_CLOEXEC : 0);
			CHECK(valid(file_id(number)), "at %d: %s", number,
			      res_name(file_id(number)));
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : DEFAULT_SECONDS, ends[2];
	pthread_t threads[DUPPERS + OTHERS];

	if (seconds < 1 || seconds > 3600) {
		fprintf(stderr, "usage: %s [SECONDS], 1 to 3600\n", argv[0]);
		return EXIT_USAGE;
	}
	test_start("dup_race");
	MUST(pipe2(ends, O_CLOEXEC));
	pipe_read_end = ends[0];
	for (int i = 0; i < FILES; i++)
		files[i] = i == FILES - 1 ? ends[1] : file_make((uint32_t)i);
	for (int i = 0; i < DUPPERS; i++) {
		ring_open(&rings[i], 16, 0);
		slots_register(&rings[i], SLOTS);
		for (int slot = 0; slot < FILES; slot++)
			slot_set(&rings[i], slot, files[slot]);
	}
	first_number = (int)MUST(fcntl(files[0], F_DUPFD, 0));

	for (uintptr_t i = 0; i < DUPPERS + OTHERS; i++)
		MUST(-pthread_create(&threads[i], NULL, i < DUPPERS ? dupper : other, (void *)i));
	sleep((unsigned)seconds);
	/* on a busy machine it takes longer until all that is to be seen has happened */
	for (uint64_t end = now_ms() + wait_ms(); now_ms() < end; usleep(10000))
		if (__atomic_load_n(&busy, __ATOMIC_RELAXED))
			break;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < DUPPERS + OTHERS; i++)
		MUST(-pthread_join(threads[i], NULL));
	printf("dup_race: %lu DUPs, %lu met a reserved number\n", dups, busy);
	CHECK(dups > 100, "only %lu DUPs", dups);
	CHECK(busy > 0, "none met a number that is reserved: that race was not seen");

	for (int i = 0; i < NUMBERS; i++)
		close(first_number + i);
	for (int i = 0; i < DUPPERS; i++)
		io_uring_queue_exit(&rings[i]);
	CHECK(pipe_alive(pipe_read_end), "a file was closed once too often");
	close(ends[1]);
	CHECK(pipe_hung_up(pipe_read_end), "a file was left over");
	return test_end();
}
