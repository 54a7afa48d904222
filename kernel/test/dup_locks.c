/*
 * dup_locks.c - counts the acquisitions of file_lock per connection, for each accept path.
 *
 * CONNECTIONS connections wait in the listener's queue. Only accepting and ending them is counted:
 * the client's sockets are created before and closed after. The expected number is two acquisitions
 * for each fd that is allocated and closed, one for each fd that is replaced (none on a kernel with
 * the series exchange), and none for a slot.
 *
 * Linux 7.3 with the series and LOCK_STAT (the lockstat flavour); skipped without. The counts are
 * those of all processes: nothing else that opens files should run.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

enum { CONNECTIONS = 64, FD_POOL = 300, WINDOWS = 5 };

/*
 * what one window may have besides, of a few numbers that the path allocates only once and of other
 * processes
 */
#define TOLERANCE 0.25

struct path {
	const char *name;
	void (*run)(void);     /* takes and retires CONNECTIONS connections */
	unsigned acquisitions; /* for each of them */
};

static struct io_uring ring;
static int listener, clients[CONNECTIONS];
static struct sockaddr_in address;

static void accept_and_close(void)
{
	for (int i = 0; i < CONNECTIONS; i++)
		MUST(close((int)MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC))));
}

/* the queue stays full: what is asked for is another listener's, which has nobody waiting */
static void accept_from_empty(void)
{
	static int empty = -1;

	if (empty < 0) {
		empty = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
		MUST(listen(empty, 1));
	}
	for (int i = 0; i < CONNECTIONS; i++)
		CHECK(accept4(empty, NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EAGAIN,
		      "accept4 from an empty queue");
}

/* one request, a completion for each connection; to slots or to fds */
static void accept_multishot(bool direct, int results[CONNECTIONS])
{
	struct io_uring_sqe *sqe = ring_sqe(&ring);

	if (direct)
		io_uring_prep_multishot_accept_direct(sqe, listener, NULL, NULL, 0);
	else
		io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = 1;
	MUST(io_uring_submit(&ring));
	for (int i = 0; i < CONNECTIONS; i++)
		results[i] = (int)MUST(ring_reap(&ring, NULL));
	io_uring_prep_cancel64(ring_sqe(&ring), 1, 0);
	MUST(io_uring_submit(&ring));
	for (int i = 0; i < 2; i++)
		ring_reap(&ring, NULL);
}

/* submits what is prepared, @count requests that have to succeed */
static void run_requests(unsigned count)
{
	MUST(io_uring_submit(&ring));
	for (unsigned i = 0; i < count; i++)
		MUST(ring_reap(&ring, NULL));
}

static void close_slots(const int slots[CONNECTIONS])
{
	for (int i = 0; i < CONNECTIONS; i++)
		io_uring_prep_close_direct(ring_sqe(&ring), (unsigned)slots[i]);
	run_requests(CONNECTIONS);
}

static void multishot_and_close(void)
{
	int fds[CONNECTIONS];

	accept_multishot(false, fds);
	for (int i = 0; i < CONNECTIONS; i++)
		io_uring_prep_close(ring_sqe(&ring), fds[i]);
	run_requests(CONNECTIONS);
}

static void install_and_close(void)
{
	int slots[CONNECTIONS], fds[CONNECTIONS];

	accept_multishot(true, slots);
	for (int i = 0; i < CONNECTIONS; i++) {
		io_uring_prep_fixed_fd_install(ring_sqe(&ring), slots[i], 0);
		MUST(io_uring_submit(&ring));
		fds[i] = (int)MUST(ring_reap(&ring, NULL));
	}
	close_slots(slots);
	for (int i = 0; i < CONNECTIONS; i++)
		io_uring_prep_close(ring_sqe(&ring), fds[i]);
	run_requests(CONNECTIONS);
}

/* a control: replacing alone does not help, the source has a number too */
static void accept_and_dup3(void)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = (int)MUST(accept4(listener, NULL, NULL, SOCK_CLOEXEC));

		MUST(dup3(fd, FD_POOL + i, O_CLOEXEC));
		MUST(close(fd));
	}
}

static void accept_and_dup(void)
{
	int slots[CONNECTIONS];

	accept_multishot(true, slots);
	for (int i = 0; i < CONNECTIONS; i++)
		fill_dup(ring_sqe(&ring), &(struct dup){ .fd = slots[i],
							 .new_fd = FD_POOL + i,
							 .flags = DUP_OLD_FIXED });
	run_requests(CONNECTIONS);
	close_slots(slots);
}

static void accept_direct(void)
{
	int slots[CONNECTIONS];

	accept_multishot(true, slots);
	close_slots(slots);
}

static const struct path paths[] = {
	{ "accept4, close", accept_and_close, 2 },
	{ "accept4 from an empty queue", accept_from_empty, 2 },
	{ "multishot accept, close", multishot_and_close, 2 },
	{ "accept direct, FIXED_FD_INSTALL, close", install_and_close, 2 },
	{ "accept4, dup3, close", accept_and_dup3, 3 },
	{ "accept direct, DUP", accept_and_dup, 1 }, /* 0 with the series exchange */
	{ "accept direct", accept_direct, 0 },
};

static void listen_somewhere(void)
{
	socklen_t size = sizeof(address);

	address = (struct sockaddr_in){ .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	listener = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	MUST(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	MUST(listen(listener, 2 * CONNECTIONS));
	MUST(getsockname(listener, (struct sockaddr *)&address, &size));
}

static void connect_all(void)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		clients[i] = (int)MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		MUST(connect(clients[i], (struct sockaddr *)&address, sizeof(address)));
	}
}

/* Whoever was not taken by this path is by nobody: the listener goes, too. */
static void disconnect_all(void)
{
	for (int i = 0; i < CONNECTIONS; i++)
		MUST(close(clients[i]));
	MUST(close(listener));
}

/* acquisitions in a window in which @run, or nothing, is called */
static long long acquisitions_of(void (*run)(void))
{
	struct lock_counts before, after;

	before = read_lock_stat();
	if (run)
		run();
	after = read_lock_stat();
	return (long long)(after.acquisitions - before.acquisitions);
}

/* Others can only add to a window: the least of a few is the path's own. */
static double least_for_each(const struct path *path)
{
	double least = 1e9;

	for (int i = 0; i < WINDOWS; i++) {
		long long idle = acquisitions_of(NULL), busy;
		double each;

		listen_somewhere();
		connect_all();
		busy = acquisitions_of(path->run);
		disconnect_all();
		each = (double)(busy - idle) / CONNECTIONS;
		least = each < least ? each : least;
	}
	return least;
}

int main(void)
{
	int source;

	test_start("dup_locks");
	if (!read_lock_stat().known) {
		printf("dup_locks: no /proc/lock_stat here\n");
		return EXIT_SKIPPED;
	}
	ring_open(&ring, 2 * CONNECTIONS, 0);
	slots_register(&ring, 2 * CONNECTIONS);
	/* the numbers that are replaced: there, and the table big enough */
	source = file_make(1);
	for (int i = 0; i < CONNECTIONS; i++)
		MUST(dup3(source, FD_POOL + i, O_CLOEXEC));

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		double each = least_for_each(&paths[i]);
		unsigned expected = paths[i].acquisitions;

		printf("dup_locks: %-40s %.3f acquisitions a connection\n", paths[i].name, each);
		if (paths[i].run == accept_and_dup && kernel_has_exchange())
			expected = 0;
		CHECK(each > expected - TOLERANCE && each < expected + TOLERANCE,
		      "%s: %.3f, not %u", paths[i].name, each, expected);
	}
	return test_end();
}
