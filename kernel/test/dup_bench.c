/*
 * dup_bench.c - what it costs to have another file at an fd, without any network around it.
 *
 *   dup_bench [--threads N,N..] [--open N,N..] [--ms N] [--repeats N] [--methods NAME,..]
 *             [--neighbour] [--note KEY=VALUE]..
 *
 * One operation puts a file at a number of an fd table that all threads share:
 *
 *   dup            DUP of a slot over an open fd
 *   dup-fd         DUP of an fd over an open fd
 *   install-close  close of an fd, FIXED_FD_INSTALL of the slot (it takes the number set free)
 *   close-dup      close(), dup(): the same by system calls
 *   dup3           dup3() over an open fd
 *   open-dup       OPENAT2 into a slot, DUP of the slot over an open fd
 *   open-install   close of an fd, OPENAT2 into a slot, FIXED_FD_INSTALL of the slot
 *   close-open     close(), open()
 *
 * The numbers are drawn at random from as many open ones as --open says. The ring's requests go
 * down in batches. One record a line on stdout (NDJSON), for each method, number of threads, of
 * open fds, and repeat, in random order. With /proc/lock_stat a record has the acquisitions of
 * file_lock in its window, less those of an idle window as long. On a kernel with lock_stat speeds
 * mean nothing; without it there are no acquisitions. With --neighbour one more thread does dup()
 * and close() meanwhile, and the record has how long that took; its acquisitions are in the counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

enum {
	BATCH = 16,
	MAX_THREADS = 64,
	MAX_LIST = 16,
	MAX_NOTES = 16,
	SLOT_SOURCE = 0,
	SLOT_OPENED = 1
};

#define SCHEMA	    1
#define OPENED_PATH "/dev/null"

struct method;

struct bench {
	pthread_t thread;
	const struct method *method;
	struct io_uring ring;
	uint64_t random;
	int *fds; /* what this thread may replace */
	unsigned count;
	unsigned long ops;
	uint64_t started_ns, ended_ns;
};

struct method {
	const char *name;
	void (*run)(struct bench *bench);
	unsigned ops; /* what one run counts as */
};

struct cell {
	const struct method *method;
	unsigned threads, open, repeat;
};

static int source_fd;
static atomic_bool go, stop;
static struct bench benches[MAX_THREADS];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static unsigned draw(uint64_t *state, unsigned below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (unsigned)((*state * 2685821657736338717ULL >> 33) % below);
}

static int any_fd(struct bench *bench)
{
	return bench->fds[draw(&bench->random, bench->count)];
}

/* submits what is prepared and takes all completions; a failure ends the program: it is no figure
 */
static void run_ring(struct bench *bench, unsigned count)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0;

	MUST(io_uring_submit_and_wait(&bench->ring, count));
	io_uring_for_each_cqe (&bench->ring, head, cqe) {
		MUST(cqe->res);
		seen++;
	}
	io_uring_cq_advance(&bench->ring, seen);
	MUST(seen == count ? 0 : -EIO);
}

static void prep_dup(struct bench *bench, int fd, unsigned flags, unsigned sqe_flags)
{
	fill_dup(ring_sqe(&bench->ring), &(struct dup){ .fd = fd,
							.new_fd = any_fd(bench),
							.flags = flags,
							.sqe_flags = sqe_flags });
}

static void run_dup(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++)
		prep_dup(bench, SLOT_SOURCE, DUP_OLD_FIXED, 0);
	run_ring(bench, BATCH);
}

static void run_dup_fd(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++)
		prep_dup(bench, source_fd, 0, 0);
	run_ring(bench, BATCH);
}

static void prep_install(struct bench *bench, int slot)
{
	io_uring_prep_fixed_fd_install(ring_sqe(&bench->ring), slot, 0);
}

/*
 * Which number an installation gets is not ours to say, and with several threads one may get what
 * another has closed: whoever it belongs to, it is open again, which is all that is needed.
 */
static void run_install_close(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&bench->ring);

		io_uring_prep_close(sqe, any_fd(bench));
		sqe->flags |= IOSQE_IO_HARDLINK;
		prep_install(bench, SLOT_SOURCE);
	}
	MUST(io_uring_submit_and_wait(&bench->ring, 2 * BATCH));
	io_uring_cq_advance(&bench->ring, 2 * BATCH);
}

static void run_close_dup(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++) {
		close(any_fd(bench));
		MUST(dup(source_fd));
	}
}

static void run_dup3(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++)
		MUST(dup3(source_fd, any_fd(bench), O_CLOEXEC));
}

static struct open_how how = { .flags = O_RDONLY };

static void prep_open(struct bench *bench, unsigned sqe_flags)
{
	struct io_uring_sqe *sqe = ring_sqe(&bench->ring);

	io_uring_prep_openat2_direct(sqe, AT_FDCWD, OPENED_PATH, &how, SLOT_OPENED);
	sqe->flags |= (__u8)sqe_flags;
}

static void run_open_dup(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++) {
		prep_open(bench, IOSQE_IO_LINK);
		prep_dup(bench, SLOT_OPENED, DUP_OLD_FIXED, 0);
	}
	run_ring(bench, 2 * BATCH);
}

static void run_open_install(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&bench->ring);

		io_uring_prep_close(sqe, any_fd(bench));
		sqe->flags |= IOSQE_IO_HARDLINK;
		prep_open(bench, IOSQE_IO_LINK);
		prep_install(bench, SLOT_OPENED);
	}
	MUST(io_uring_submit_and_wait(&bench->ring, 3 * BATCH));
	io_uring_cq_advance(&bench->ring, 3 * BATCH);
}

static void run_close_open(struct bench *bench)
{
	for (int i = 0; i < BATCH; i++) {
		close(any_fd(bench));
		MUST(open(OPENED_PATH, O_RDONLY | O_CLOEXEC));
	}
}

static const struct method methods[] = {
	{ "dup", run_dup, BATCH },
	{ "dup-fd", run_dup_fd, BATCH },
	{ "install-close", run_install_close, BATCH },
	{ "close-dup", run_close_dup, BATCH },
	{ "dup3", run_dup3, BATCH },
	{ "open-dup", run_open_dup, BATCH },
	{ "open-install", run_open_install, BATCH },
	{ "close-open", run_close_open, BATCH },
};

#define METHODS ((unsigned)(sizeof(methods) / sizeof(methods[0])))

static struct lock_counts counts_since(const struct lock_counts *before)
{
	struct lock_counts counts = read_lock_stat();

	counts.acquisitions -= before->acquisitions;
	counts.contentions -= before->contentions;
	counts.hold_us -= before->hold_us;
	counts.wait_us -= before->wait_us;
	return counts;
}

static void *run_thread(void *argument)
{
	struct bench *bench = argument;

	while (!atomic_load_explicit(&go, memory_order_acquire))
		sched_yield();
	bench->started_ns = now_ns();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		bench->method->run(bench);
		bench->ops += bench->method->ops;
	}
	bench->ended_ns = now_ns();
	return NULL;
}

/*
 * A thread that has nothing to do with the ring and works with descriptors all the same: it takes a
 * number and gives it back, twice file_lock, and notes how long that took.
 */
static struct {
	bool wanted;
	pthread_t thread;
	unsigned rounds;
	uint64_t ns[1 << 20];
} neighbour;

static void *run_neighbour(void *unused)
{
	const unsigned most = sizeof(neighbour.ns) / sizeof(neighbour.ns[0]);

	while (!atomic_load_explicit(&go, memory_order_acquire))
		sched_yield();
	while (!atomic_load_explicit(&stop, memory_order_relaxed) && neighbour.rounds < most) {
		uint64_t began = now_ns();

		close((int)MUST(dup(source_fd)));
		neighbour.ns[neighbour.rounds++] = now_ns() - began;
	}
	return unused;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void start_neighbour(void)
{
	neighbour.rounds = 0;
	if (neighbour.wanted)
		MUST(-pthread_create(&neighbour.thread, NULL, run_neighbour, NULL));
}

static void end_neighbour(void)
{
	if (!neighbour.wanted)
		return;
	MUST(-pthread_join(neighbour.thread, NULL));
	qsort(neighbour.ns, neighbour.rounds, sizeof(neighbour.ns[0]), compare);
}

static unsigned long long neighbour_percentile(unsigned permille)
{
	return neighbour.rounds ? neighbour.ns[(uint64_t)neighbour.rounds * permille / 1000] : 0;
}

static void sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* Acquisitions that the window itself and whatever else runs here bring along. */
static struct lock_counts idle_window(unsigned ms)
{
	struct lock_counts before = read_lock_stat();

	sleep_ms(ms);
	return counts_since(&before);
}

static void print_record(const struct cell *cell, unsigned ms, const struct lock_counts *locks,
			 const struct lock_counts *idle, const char *const notes[],
			 unsigned note_count)
{
	unsigned long ops = 0;
	double ops_per_s = 0;
	struct utsname host;

	uname(&host);
	for (unsigned i = 0; i < cell->threads; i++) {
		ops += benches[i].ops;
		ops_per_s += (double)benches[i].ops * 1e9 /
			     (double)(benches[i].ended_ns - benches[i].started_ns);
	}
	printf("{\"schema\":%d,\"record\":\"dup_bench\",\"method\":\"%s\",\"threads\":%u,\"open_fds\":%u,\"repeat\":%u,"
	       "\"window_ms\":%u,\"ops\":%lu,\"ops_per_s\":%.1f",
	       SCHEMA, cell->method->name, cell->threads, cell->open, cell->repeat, ms, ops,
	       ops_per_s);
	if (locks->known)
		printf(",\"file_lock_acquisitions\":%llu,\"file_lock_acquisitions_idle\":%llu,\"file_lock_contentions\":%llu,"
		       "\"file_lock_acquisitions_per_op\":%.4f,\"file_lock_hold_us\":%.2f,\"file_lock_wait_us\":%.2f",
		       locks->acquisitions, idle->acquisitions, locks->contentions,
		       ((double)locks->acquisitions - (double)idle->acquisitions) / (double)ops,
		       locks->hold_us, locks->wait_us);
	if (neighbour.wanted)
		printf(",\"neighbour_rounds\":%u,\"neighbour_p50_ns\":%llu,\"neighbour_p99_ns\":%llu,\"neighbour_p999_ns\":%llu",
		       neighbour.rounds, neighbour_percentile(500), neighbour_percentile(990),
		       neighbour_percentile(999));
	printf(",\"batch\":%u,\"cpus\":%ld,\"kernel\":\"%s\"", cell->method->ops,
	       sysconf(_SC_NPROCESSORS_ONLN), host.release);
	for (unsigned i = 0; i < note_count; i++) {
		const char *value = strchr(notes[i], '=');

		printf(",\"%.*s\":\"%s\"", (int)(value - notes[i]), notes[i], value + 1);
	}
	printf("}\n");
}

static struct lock_counts run_cell(const struct cell *cell, int *fds, unsigned count, unsigned ms)
{
	struct lock_counts before, counts;

	atomic_store(&go, false);
	atomic_store(&stop, false);
	for (unsigned i = 0; i < cell->threads; i++) {
		struct bench *bench = &benches[i];

		bench->method = cell->method;
		bench->fds = fds + count / cell->threads * i;
		bench->count = count / cell->threads;
		bench->ops = 0;
		bench->random = 0x9e3779b97f4a7c15ULL * (i + 1) + cell->repeat;
		MUST(-pthread_create(&bench->thread, NULL, run_thread, bench));
	}
	start_neighbour();
	before = read_lock_stat();
	atomic_store_explicit(&go, true, memory_order_release);
	sleep_ms(ms);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < cell->threads; i++)
		MUST(-pthread_join(benches[i].thread, NULL));
	counts = counts_since(&before);
	end_neighbour();
	return counts;
}

/* A window in which the machine had other things to do is no figure. */
static bool interrupted(const struct cell *cell)
{
	for (unsigned i = 0; i < cell->threads; i++)
		if (!benches[i].ops)
			return true;
	return false;
}

static void shuffle(struct cell *cells, unsigned count)
{
	uint64_t state = now_ns() | 1;

	for (unsigned i = count; i > 1; i--) {
		unsigned j = draw(&state, i);
		struct cell other = cells[i - 1];

		cells[i - 1] = cells[j];
		cells[j] = other;
	}
}

static bool wanted(const char *name, const char *list)
{
	size_t length = strlen(name);

	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (!strncmp(at, name, length) && (at[length] == ',' || !at[length]))
			return true;
	return !list;
}

static unsigned parse_list(const char *option, const char *text, unsigned list[MAX_LIST])
{
	unsigned count = 0;
	char *end;

	for (;;) {
		unsigned long value = strtoul(text, &end, 10);

		if (end == text || (*end && *end != ',') || !value || value > 1u << 24 ||
		    count == MAX_LIST) {
			fprintf(stderr, "dup_bench: %s: '%s' is no list of numbers\n", option,
				text);
			exit(EXIT_USAGE);
		}
		list[count++] = (unsigned)value;
		if (!*end)
			return count;
		text = end + 1;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' },
		{ "open", required_argument, NULL, 'o' },
		{ "ms", required_argument, NULL, 'm' },
		{ "repeats", required_argument, NULL, 'r' },
		{ "methods", required_argument, NULL, 'M' },
		{ "note", required_argument, NULL, 'n' },
		{ "neighbour", no_argument, NULL, 'N' },
		{ 0 },
	};
	unsigned threads[MAX_LIST] = { 1, 2, 4 }, opens[MAX_LIST] = { 1000 }, one[MAX_LIST];
	unsigned thread_count = 3, open_count = 1, ms = 200, repeats = 3, note_count = 0, count = 0;
	const char *notes[MAX_NOTES], *chosen = NULL;
	struct rlimit limit;
	int option, *fds;
	unsigned most_open = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			thread_count = parse_list("--threads", optarg, threads);
			break;
		case 'o':
			open_count = parse_list("--open", optarg, opens);
			break;
		case 'm':
			parse_list("--ms", optarg, one);
			ms = one[0];
			break;
		case 'r':
			parse_list("--repeats", optarg, one);
			repeats = one[0];
			break;
		case 'M':
			chosen = optarg;
			break;
		case 'N':
			neighbour.wanted = true;
			break;
		case 'n':
			if (note_count == MAX_NOTES || !strchr(optarg, '=') ||
			    strpbrk(optarg, "\"\\")) {
				fprintf(stderr, "dup_bench: --note %s: expected KEY=VALUE\n",
					optarg);
				return EXIT_USAGE;
			}
			notes[note_count++] = optarg;
			break;
		default:
			fprintf(stderr,
				"usage: dup_bench [--threads N,..] [--open N,..] [--ms N] [--repeats N] [--methods NAME,..] "
				"[--neighbour] [--note KEY=VALUE]..\n");
			return EXIT_USAGE;
		}
	}
	for (unsigned i = 0; i < thread_count; i++)
		if (threads[i] > MAX_THREADS) {
			fprintf(stderr, "dup_bench: --threads %u: at most %d\n", threads[i],
				MAX_THREADS);
			return EXIT_USAGE;
		}
	getrlimit(RLIMIT_NOFILE, &limit);
	test_start("dup_bench");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned i = 0; i < open_count; i++)
		most_open = opens[i] > most_open ? opens[i] : most_open;
	if (most_open + 256 > limit.rlim_cur) {
		fprintf(stderr, "dup_bench: %u open files wanted, the limit is %llu\n", most_open,
			(unsigned long long)limit.rlim_cur);
		return EXIT_BAD;
	}
	fds = calloc(most_open, sizeof(*fds));
	MUST(fds ? 0 : -ENOMEM);

	source_fd = (int)MUST(open(OPENED_PATH, O_RDONLY | O_CLOEXEC));
	for (unsigned i = 0; i < MAX_THREADS; i++) {
		ring_open(&benches[i].ring, 4 * BATCH, 0);
		slots_register(&benches[i].ring, 2);
		slot_set(&benches[i].ring, SLOT_SOURCE, source_fd);
	}
	read_lock_stat();

	for (unsigned o = 0; o < open_count; o++) {
		unsigned cells_count = 0, size = METHODS * thread_count * repeats;
		struct cell *cells = calloc(size, sizeof(*cells));
		struct lock_counts idle;

		MUST(cells ? 0 : -ENOMEM);
		while (count < opens[o])
			fds[count++] = (int)MUST(dup(source_fd));
		for (unsigned m = 0; m < METHODS; m++)
			for (unsigned t = 0; t < thread_count; t++)
				for (unsigned r = 0; r < repeats; r++)
					if (wanted(methods[m].name, chosen))
						cells[cells_count++] =
							(struct cell){ &methods[m], threads[t],
								       opens[o], r };
		shuffle(cells, cells_count);
		idle = idle_window(ms);
		for (unsigned i = 0; i < cells_count; i++) {
			struct lock_counts locks = run_cell(&cells[i], fds, count, ms);

			for (unsigned tries = 0; interrupted(&cells[i]); tries++) {
				MUST(tries < 20 ? 0 : -ETIMEDOUT);
				fprintf(stderr,
					"dup_bench: a thread did not run within %u ms, once more\n",
					ms);
				locks = run_cell(&cells[i], fds, count, ms);
			}
			print_record(&cells[i], ms, &locks, &idle, notes, note_count);
			fflush(stdout);
		}
		free(cells);
	}
	return EXIT_GOOD;
}
