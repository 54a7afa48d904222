/*
 * dup_readers.c - a DUP replaces an fd while other threads and requests use it.
 *
 * A read() that sleeps, or a request in flight, keeps the old file: it must receive that file's data,
 * and the file must be released only when they have completed. Later calls get the new file. (poll()
 * is not tested: it looks up the number again each time it wakes up.)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"

enum { FD_TARGET = 80, READERS = 4, ROUNDS = 25 };

static struct io_uring ring;

struct reader {
	pthread_t thread;
	ssize_t result;
	char byte;
	int started;
};

static void *read_target(void *argument)
{
	struct reader *reader = argument;

	__atomic_store_n(&reader->started, gettid(), __ATOMIC_RELEASE);
	reader->result = read(FD_TARGET, &reader->byte, 1);
	return NULL;
}

/* Until the thread sleeps in the system call, as /proc tells: "running", or the call's number. */
static void wait_asleep(struct reader *reader)
{
	char path[64];

	for (uint64_t end = now_ms() + wait_ms(); now_ms() < end; usleep(500)) {
		int tid = __atomic_load_n(&reader->started, __ATOMIC_ACQUIRE), call = -1;
		FILE *file;

		if (!tid)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%d", &call) != 1)
			call = -1;
		fclose(file);
		if (call == SYS_read)
			return;
	}
	MUST(-ETIMEDOUT);
}

static void try_threads(unsigned sqe_flags, bool sockets)
{
	struct reader readers[READERS] = { 0 };
	int old[2], new[2], done = 0;

	if (sockets) {
		MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, old));
		MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, new));
	} else {
		MUST(pipe2(old, O_CLOEXEC));
		MUST(pipe2(new, O_CLOEXEC));
	}
	MUST(dup3(old[0], FD_TARGET, O_CLOEXEC));
	close(old[0]);
	for (int i = 0; i < READERS; i++) {
		MUST(-pthread_create(&readers[i].thread, NULL, read_target, &readers[i]));
	}
	for (int i = 0; i < READERS; i++)
		wait_asleep(&readers[i]);

	CHECK_RES(DUP(&ring, .fd = new[0], .new_fd = FD_TARGET, .sqe_flags = sqe_flags), FD_TARGET,
		  "over a fd in use");
	/* the number is the new file's at once, the readers are the old one's */
	MUST(write(new[1], "n", 1));
	CHECK(read(FD_TARGET, &(char){ 0 }, 1) == 1, "the new file has no data");
	CHECK(write(old[1], "oooo", READERS) == READERS, "nobody reads the old file any more");
	for (int i = 0; i < READERS; i++) {
		MUST(-pthread_join(readers[i].thread, NULL));
		if (CHECK(readers[i].result == 1 && readers[i].byte == 'o', "read %zd, '%c'",
			  readers[i].result, readers[i].byte))
			done++;
	}
	CHECK(done == READERS, "%d readers", done);
	/* the last of them took the old file along */
	errno = 0;
	for (uint64_t end = now_ms() + wait_ms(); now_ms() < end; usleep(500))
		if (write(old[1], "x", 1) < 0)
			break;
	CHECK(errno == EPIPE, "the old file was not released");
	close(FD_TARGET);
	close(old[1]);
	close(new[0]);
	close(new[1]);
}

/* the same with a request of the ring that waits on the number, and with an epoll set */
static void try_requests(unsigned sqe_flags)
{
	int old[2], new[2], epoll_fd = (int)MUST(epoll_create1(EPOLL_CLOEXEC));
	struct epoll_event event = { .events = EPOLLIN, .data.fd = 1 };
	char byte = 0;
	struct io_uring_sqe *sqe;
	uint64_t which;

	MUST(pipe2(old, O_CLOEXEC));
	MUST(pipe2(new, O_CLOEXEC));
	MUST(dup3(old[0], FD_TARGET, O_CLOEXEC));
	MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, FD_TARGET, &event));
	sqe = ring_sqe(&ring);
	io_uring_prep_read(sqe, FD_TARGET, &byte, 1, 0);
	sqe->user_data = 1;
	sqe = ring_sqe(&ring);
	fill_dup(sqe, &(struct dup){ .fd = new[0], .new_fd = FD_TARGET, .sqe_flags = sqe_flags });
	sqe->user_data = 2;
	MUST(io_uring_submit(&ring));
	CHECK_RES(ring_reap(&ring, &which), FD_TARGET, "DUP beside a read");
	CHECK(which == 2, "the read completed without data");
	MUST(write(new[1], "n", 1));
	CHECK(epoll_wait(epoll_fd, &event, 1, 0) == 0, "epoll watches a file that was never added");
	MUST(write(old[1], "o", 1));
	CHECK_RES(ring_reap(&ring, &which), 1, "the read that was in flight");
	CHECK(byte == 'o', "it read '%c' from the new file", byte);
	close(epoll_fd);
	close(FD_TARGET);
	for (int i = 0; i < 2; i++) {
		close(old[i]);
		close(new[i]);
	}
}

int main(void)
{
	static const unsigned modes[] = { 0, IOSQE_ASYNC };

	test_start("dup_readers");
	ring_open(&ring, 8, 0);
	for (int round = 0; round < ROUNDS; round++) {
		try_threads(modes[round & 1], round & 2);
		try_requests(modes[round & 1]);
	}
	return test_end();
}
