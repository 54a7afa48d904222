/*
 * dup_link.c - DUP in a chain of requests: what a server does per connection, in one submission.
 *
 * The fd that a later request of the chain reads from, and the slot that is the DUP's source, are
 * created while the chain runs. A DUP that fails must end a chain of soft links but not one of hard
 * links. IOSQE_CQE_SKIP_SUCCESS and IOSQE_IO_DRAIN must work.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

enum { SLOTS = 8, SLOT = 2, FD_TARGET = 60, ID = 8 };
enum { STEP_ACCEPT, STEP_DUP, STEP_RECV, STEP_CLOSE, STEPS };

static struct io_uring ring;

static void reap_all(int results[], int count)
{
	for (int i = 0; i < count; i++)
		results[i] = -ENODATA;
	for (int i = 0; i < count; i++) {
		uint64_t step;
		int res = ring_reap(&ring, &step);

		if (CHECK(step < (uint64_t)count, "a completion nobody waits for: %s",
			  res_name(res)))
			results[step] = res;
	}
}

static int listen_somewhere(struct sockaddr_in *address)
{
	socklen_t size = sizeof(*address);
	int fd = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	MUST(bind(fd, (struct sockaddr *)address, sizeof(*address)));
	MUST(listen(fd, 16));
	MUST(getsockname(fd, (struct sockaddr *)address, &size));
	return fd;
}

/* accept into a slot -> DUP over an fd -> receive on the fd, close the slot */
static void check_server_chain(unsigned dup_sqe_flags)
{
	struct sockaddr_in address;
	int listener = listen_somewhere(&address), results[STEPS];

	for (int connection = 0; connection < 20; connection++) {
		char text[16] = "", answer[] = "answer";
		int client = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		struct io_uring_sqe *sqe;

		MUST(connect(client, (struct sockaddr *)&address, sizeof(address)));
		MUST(send(client, "question", 8, 0));

		sqe = ring_sqe(&ring);
		io_uring_prep_accept_direct(sqe, listener, NULL, NULL, 0, SLOT);
		sqe->flags |= IOSQE_IO_LINK;
		sqe->user_data = STEP_ACCEPT;
		sqe = ring_sqe(&ring);
		fill_dup(sqe, &(struct dup){ .fd = SLOT,
					     .new_fd = FD_TARGET,
					     .flags = DUP_OLD_FIXED,
					     .sqe_flags = IOSQE_IO_LINK | dup_sqe_flags });
		sqe->user_data = STEP_DUP;
		sqe = ring_sqe(&ring);
		io_uring_prep_recv(sqe, FD_TARGET, text, sizeof(text), 0);
		sqe->flags |= IOSQE_IO_LINK;
		sqe->user_data = STEP_RECV;
		sqe = ring_sqe(&ring);
		io_uring_prep_close_direct(sqe, SLOT);
		sqe->user_data = STEP_CLOSE;
		MUST(io_uring_submit(&ring));
		reap_all(results, STEPS);

		CHECK_RES(results[STEP_ACCEPT], 0, "accept");
		CHECK_RES(results[STEP_DUP], FD_TARGET, "DUP");
		CHECK_RES(results[STEP_RECV], 8, "recv");
		CHECK_RES(results[STEP_CLOSE], 0, "close of the slot");
		CHECK(!strcmp(text, "question"), "received '%s'", text);
		/* the fd is the connection's, the slot is free, and closing the fd ends it */
		MUST(send(FD_TARGET, answer, 6, 0));
		CHECK(recv(client, text, sizeof(text), 0) == 6, "the client got no answer");
		if (connection & 1) {
			/* the next connection replaces it */
			MUST(shutdown(FD_TARGET, SHUT_RDWR));
		} else {
			close(FD_TARGET);
		}
		CHECK(recv(client, text, sizeof(text), 0) == 0, "the connection did not end");
		close(client);
	}
	close(FD_TARGET);
	close(listener);
}

/* for files: open into a slot -> DUP to an fd -> read */
static void check_file_chain(void)
{
	char text[8] = "";
	int results[3];
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	io_uring_prep_openat_direct(sqe, AT_FDCWD, "/proc/self/comm", O_RDONLY, 0, SLOT);
	sqe->flags |= IOSQE_IO_LINK;
	sqe->user_data = 0;
	sqe = ring_sqe(&ring);
	fill_dup(sqe, &(struct dup){ .fd = SLOT,
				     .new_fd = FD_TARGET,
				     .sqe_flags = IOSQE_IO_LINK | IOSQE_FIXED_FILE });
	sqe->user_data = 1;
	sqe = ring_sqe(&ring);
	io_uring_prep_read(sqe, FD_TARGET, text, 7, 0);
	sqe->user_data = 2;
	MUST(io_uring_submit(&ring));
	reap_all(results, 3);
	CHECK_RES(results[0], 0, "open");
	CHECK_RES(results[1], FD_TARGET, "DUP");
	CHECK_RES(results[2], 7, "read");
	CHECK(!strncmp(text, "dup_lin", 7), "read '%s'", text);
	close(FD_TARGET);
	slot_set(&ring, SLOT, -1);
}

/* a DUP of a DUP of a DUP: each source is made by the request before */
static void check_dup_chain(unsigned sqe_flags)
{
	enum { LENGTH = 6 };
	int source = file_make(ID), results[LENGTH];

	for (int i = 0; i < LENGTH; i++) {
		struct dup dup = {
			.fd = i == 0  ? source
			      : i & 1 ? FD_TARGET + i - 1
				      : i - 1,
			.new_fd = i & 1 ? i : FD_TARGET + i,
			.flags = i == 0	 ? 0
				 : i & 1 ? DUP_NEW_FIXED
					 : DUP_OLD_FIXED,
			.sqe_flags = sqe_flags | (i < LENGTH - 1 ? IOSQE_IO_LINK : 0),
		};
		struct io_uring_sqe *sqe = ring_sqe(&ring);

		fill_dup(sqe, &dup);
		sqe->user_data = (unsigned)i;
	}
	MUST(io_uring_submit(&ring));
	reap_all(results, LENGTH);
	for (int i = 0; i < LENGTH; i++) {
		if (i & 1) {
			CHECK_RES(results[i], i, "link %d", i);
			CHECK_RES(slot_id(&ring, i), ID, "link %d", i);
			slot_set(&ring, i, -1);
		} else {
			CHECK_RES(results[i], FD_TARGET + i, "link %d", i);
			CHECK_RES(file_id(FD_TARGET + i), ID, "link %d", i);
			close(FD_TARGET + i);
		}
	}
	close(source);
}

/* what follows a DUP that fails is cancelled after a link, runs after a hard link */
static void check_failure(unsigned link, unsigned sqe_flags, const struct dup *bad, int result)
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);
	int results[2];

	fill_dup(sqe, bad);
	sqe->flags |= (__u8)(link | sqe_flags);
	sqe->user_data = 0;
	sqe = ring_sqe(&ring);
	io_uring_prep_nop(sqe);
	sqe->user_data = 1;
	io_uring_submit(&ring);
	reap_all(results, 2);
	CHECK_RES(results[0], result, "the DUP that fails");
	CHECK_RES(results[1], link == IOSQE_IO_LINK ? -ECANCELED : 0, "what comes after it");
}

static void check_skip_success(void)
{
	int source = file_make(ID);
	struct io_uring_sqe *sqe = ring_sqe(&ring);
	uint64_t which;

	fill_dup(sqe, &(struct dup){ .fd = source,
				     .new_fd = FD_TARGET,
				     .sqe_flags = IOSQE_CQE_SKIP_SUCCESS });
	sqe->user_data = 1;
	sqe = ring_sqe(&ring);
	fill_dup(sqe, &(struct dup){ .fd = 2000,
				     .new_fd = FD_TARGET,
				     .sqe_flags = IOSQE_CQE_SKIP_SUCCESS });
	sqe->user_data = 2;
	MUST(io_uring_submit(&ring));
	CHECK_RES(ring_reap(&ring, &which), -EBADF, "only the failure completes");
	CHECK(which == 2, "the one that succeeded completed");
	CHECK_RES(file_id(FD_TARGET), ID, "it was done all the same");
	close(FD_TARGET);
	close(source);
}

static void check_drain(void)
{
	struct io_uring draining;
	struct io_uring_sqe *sqe;
	int source = file_make(ID);
	uint64_t which;

	ring_open(&draining, 8, 0);
	for (unsigned i = 0; i < 4; i++) {
		sqe = ring_sqe(&draining);
		fill_dup(sqe, &(struct dup){ .fd = i ? FD_TARGET + (int)i - 1 : source,
					     .new_fd = FD_TARGET + (int)i,
					     .sqe_flags = IOSQE_IO_DRAIN });
		sqe->user_data = i;
	}
	MUST(io_uring_submit(&draining));
	for (unsigned i = 0; i < 4; i++) {
		CHECK_RES(ring_reap(&draining, &which), FD_TARGET + (int)i, "drained DUP %u", i);
		CHECK(which == i, "completed out of turn");
		CHECK_RES(file_id(FD_TARGET + (int)i), ID, "drained DUP %u", i);
		close(FD_TARGET + (int)i);
	}
	close(source);
	io_uring_queue_exit(&draining);
}

int main(void)
{
	static const unsigned links[] = { IOSQE_IO_LINK, IOSQE_IO_HARDLINK };
	/* these fail when they run: for want of a source, and by what they do */
	static const struct dup late = { .fd = 2000, .new_fd = FD_TARGET };
	static const struct dup refused = { .fd = 1, .new_fd = 1 << 30 };
	static const struct dup no_slot = { .fd = 1, .new_fd = SLOTS, .flags = DUP_NEW_FIXED };
	static const struct dup early = { .fd = 1,
					  .new_fd = FD_TARGET,
					  .flags = 8 }; /* fails when it is taken in */

	test_start("dup_link");
	ring_open(&ring, 16, 0);
	slots_register(&ring, SLOTS);
	check_server_chain(0);
	check_server_chain(IOSQE_ASYNC);
	check_file_chain();
	check_dup_chain(0);
	check_dup_chain(IOSQE_ASYNC);
	for (size_t i = 0; i < 2; i++) {
		check_failure(links[i], 0, &late, -EBADF);
		check_failure(links[i], IOSQE_ASYNC, &late, -EBADF);
		check_failure(links[i], 0, &refused, -EBADF);
		check_failure(links[i], IOSQE_ASYNC, &refused, -EBADF);
		check_failure(links[i], 0, &no_slot, -EINVAL);
	}
	check_failure(IOSQE_IO_LINK, 0, &early, -EINVAL);
	check_drain();
	check_skip_success();
	return test_end();
}
