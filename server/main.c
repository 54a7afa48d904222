/* SPDX-License-Identifier: MIT */
/*
 * accept-server: a TCP server that can take its connections in every way Linux offers.
 *
 * Options -> probe -> workers -> wait for a signal -> drain -> totals. Read worker.c first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lab/ballast.h"
#include "listener.h"
#include "message.h"
#include "metrics.h"
#include "lab/neighbours.h"
#include "options.h"
#include "pages.h"
#include "probe.h"
#include "signals.h"
#include "standard_fds.h"
#include "worker.h"

struct server {
	struct options options;
	const struct accept_path *path;
	struct worker *workers;
	struct counters **counters; /* of each worker */
	int port_holder;	    /* bound, not listening; -1 with a shared listener */
	int shared_listener;	    /* -1 with one listener a worker */
	unsigned listener_users;    /* of the shared one; the last worker shuts it down */
	int signals;
	int status;	 /* /proc/self/status */
	int migrate_req; /* /proc/sys/net/ipv4/tcp_migrate_req */
	int own_threads; /* all but those of io-wq */
	struct metrics metrics;
	struct neighbours neighbours;
};

enum {
	LAST_TOTALS_MS = 1000, /* for who reads standard output to make room */
	GRACE_MS = 3000,       /* for workers to end behind --drain-timeout */
	SAME_NS = 500000000,   /* two signals within that are one */
};

/* ---- starting -------------------------------------------------------------------------------- */

static pthread_mutex_t ready_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready_changed = PTHREAD_COND_INITIALIZER;
static unsigned ready_workers, failed_workers;
static bool may_listen;

/*
 * The last worker to end tells the main thread by a signal: that needs neither a thread that waits
 * for them nor a descriptor, which a worker with a table of its own would not have.
 */
static unsigned running_workers;
static pthread_t main_thread;

static void worker_ended(void)
{
	if (__atomic_sub_fetch(&running_workers, 1, __ATOMIC_ACQ_REL) == 0)
		pthread_kill(main_thread, SIGUSR2);
}

/* The other workers have descriptors of their own, so the main thread does it. */
static void wake_all(void)
{
	pthread_kill(main_thread, SIGUSR2);
}

static void worker_ready(bool ok)
{
	pthread_mutex_lock(&ready_lock);
	if (ok)
		ready_workers++;
	else
		failed_workers++;
	pthread_cond_broadcast(&ready_changed);
	pthread_mutex_unlock(&ready_lock);
}

static bool wait_ready(unsigned n)
{
	pthread_mutex_lock(&ready_lock);
	while (ready_workers < n && !failed_workers)
		pthread_cond_wait(&ready_changed, &ready_lock);
	pthread_mutex_unlock(&ready_lock);
	return !failed_workers;
}

static void wait_for_all(void)
{
	pthread_mutex_lock(&ready_lock);
	while (!may_listen)
		pthread_cond_wait(&ready_changed, &ready_lock);
	pthread_mutex_unlock(&ready_lock);
}

static void let_them_listen(void)
{
	pthread_mutex_lock(&ready_lock);
	ready_workers = 0;
	may_listen = true;
	pthread_cond_broadcast(&ready_changed);
	pthread_mutex_unlock(&ready_lock);
}

static void choose_path(struct server *s)
{
	struct kernel kernel;

	probe_kernel(&kernel);
	if (s->options.min_wait_us && !(kernel.features & FEATURE_MIN_WAIT)) {
		say("--min-wait needs Linux 6.12, which this kernel is not; leave it out");
		exit(EXIT_SKIPPED);
	}
	if (!strcmp(s->options.accept, "auto")) {
		s->path = accept_path_best(kernel.features);
		if (s->path != &accept_dup)
			say("--accept auto takes %s on this kernel: %s", s->path->name,
			    kernel.features & FEATURE_RING ? kernel.dup : kernel.ring);
		return;
	}
	s->path = accept_path_by_name(s->options.accept);
	if (s->path->needs & ~kernel.features) {
		probe_explain(&kernel, s->path);
		exit(EXIT_SKIPPED);
	}
}

/* Numbers that are looked at where there is no /proc. */
enum { PROBED_FDS = 1 << 16 };

/*
 * What is open now, as a parent may have left us descriptors anywhere: how many, or for a path with a
 * range of numbers of its own up to which number.
 */
static unsigned inherited_fds(bool range)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned highest = 2, n = 0, number;
	struct dirent *entry;

	for (number = 0; !dir && number < PROBED_FDS; number++) {
		if (fcntl((int)number, F_GETFD) < 0)
			continue;
		highest = number > highest ? number : highest;
		n++;
	}
	while (dir && (entry = readdir(dir)) != NULL) {
		if (*entry->d_name == '.')
			continue;
		number = (unsigned)strtoul(entry->d_name, NULL, 10);
		highest = number > highest ? number : highest;
		n++;
	}
	if (dir)
		closedir(dir);
	return range ? highest : n;
}

/* Numbers below the pools: what is open already, what the server itself opens, its ballast. */
static unsigned own_fds(const struct server *s)
{
	const struct options *o = &s->options;
	static unsigned inherited;

	if (!inherited)
		inherited = inherited_fds(s->path->uses_pool);
	return inherited + 30 + 8 * o->workers + o->neighbours + o->open_fds +
	       (o->metrics_port ? METRICS_PLACES : 0);
}

/*
 * Behind the highest number that can be open. The kernel hands out the lowest that is free, so that
 * none lies beyond as many as there are: our own, the connections, and those that are refused.
 */
static unsigned fd_end(const struct server *s)
{
	const struct options *o = &s->options;

	return own_fds(s) + o->max_conns + o->workers * (o->backlog + spare_conns(o));
}

/*
 * Raises the limit of open files as far as it goes, and takes fewer connections where it does not
 * reach: a server that says so and runs is better than one that fails under load.
 */
static void fit_open_files(struct server *s)
{
	struct options *o = &s->options;
	struct rlimit limit;
	/* Connections of one table: all of them, or with tables of their own one worker's. */
	unsigned tables = o->fd_table == FD_TABLE_PRIVATE ? o->workers : 1;
	uint64_t want = own_fds(s) + (uint64_t)o->max_conns / tables;
	uint64_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit: %s", strerror(errno));
	if (limit.rlim_cur < limit.rlim_max) {
		const rlim_t soft = limit.rlim_cur;

		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit)) /* beyond the sysctl fs.nr_open: EPERM */
			limit.rlim_cur = soft;
	}
	if (limit.rlim_cur >= want)
		return;
	room = limit.rlim_cur > own_fds(s) ? (limit.rlim_cur - own_fds(s)) * tables : 0;
	if (room < o->workers) {
		say("at most %llu files may be open, %u workers need %u; see ulimit -n",
		    (unsigned long long)limit.rlim_cur, o->workers, own_fds(s) + o->workers);
		exit(EXIT_FAILED);
	}
	say("--max-conns %u is lowered to %llu: at most %llu files may be open (ulimit -n)",
	    o->max_conns, (unsigned long long)room, (unsigned long long)limit.rlim_cur);
	o->max_conns = (unsigned)room;
}

/* The N-th CPU this process may run on, round and round. */
static int nth_cpu(unsigned n)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -1;
	n %= (unsigned)CPU_COUNT(&set);
	for (cpu = 0; !CPU_ISSET(cpu, &set) || n--; cpu++)
		;
	return cpu;
}

static bool open_sockets(struct server *s)
{
	struct options *o = &s->options;
	bool shared = o->listener == LISTENER_SHARED;
	int fd = listener_open_first(o, s->path->nonblocking_listener, shared);

	if (fd < 0)
		return false;
	s->shared_listener = shared ? fd : -1;
	s->listener_users = o->workers;
	s->port_holder = shared ? -1 : fd;
	return true;
}

static bool start_metrics(struct server *s)
{
	const struct options *o = &s->options;
	int fd = o->metrics_port ? metrics_open(o->metrics_port) : -1;

	return !o->metrics_port ||
	       (fd >= 0 && metrics_start(&s->metrics, fd, o, s->counters, o->workers));
}

static void open_own_files(struct server *s)
{
	s->signals = signals_open();
	if (s->signals < 0)
		die("signalfd: %s", strerror(errno));
	s->status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	s->migrate_req = open("/proc/sys/net/ipv4/tcp_migrate_req", O_RDONLY | O_CLOEXEC);
}

static void init_worker(struct server *s, unsigned i)
{
	const struct options *o = &s->options;
	bool own_table = o->fd_table == FD_TABLE_PRIVATE;
	uint32_t max_conns = o->max_conns / o->workers;
	struct worker_config config = {
		.index = i,
		.cpu = o->pin ? nth_cpu(i) : -1,
		.options = o,
		.path = s->path,
		.max_conns = max_conns,
		.park_max = o->park / o->workers + (i < o->park % o->workers),
		.pool_first = (int)(own_fds(s) + (own_table ? 0 : i * max_conns)),
		.fd_end = (int)fd_end(s),
		.shared_listener = s->shared_listener,
		/* The shared one's tag tells a worker's sockets apart only where it has no others'. */
		.listener_tag = s->shared_listener < 0 ? i + 1 : own_table || o->workers == 1,
		.listener_users = &s->listener_users,
		.migrate_req = s->migrate_req,
		.ready = worker_ready,
		.wait_for_all = wait_for_all,
		.wake_all = wake_all,
		.ended = worker_ended,
	};
	int ret = worker_init(&s->workers[i], &config);

	if (ret)
		die("eventfd: %s", strerror(-ret));
	s->counters[i] = &s->workers[i].counters;
}

static bool start_workers(struct server *s)
{
	unsigned i;
	int ret;

	s->workers =
		aligned_alloc(_Alignof(struct worker), s->options.workers * sizeof(*s->workers));
	s->counters = calloc(s->options.workers, sizeof(*s->counters));
	if (!s->workers || !s->counters)
		die("no memory for %u workers", s->options.workers);
	running_workers = s->options.workers;
	main_thread = pthread_self();
	for (i = 0; i < s->options.workers; i++)
		init_worker(s, i);
	/* One after the other: each reserves a range of numbers while nobody else opens anything.
	 */
	for (i = 0; i < s->options.workers; i++) {
		ret = worker_start(&s->workers[i]);
		if (ret)
			die("thread %u of %u: %s", i + 1, s->options.workers, strerror(-ret));
		if (!wait_ready(i + 1))
			return false;
	}
	return true;
}

static bool listen_all(struct server *s)
{
	if (s->shared_listener >= 0 && !listener_listen(&s->options, s->shared_listener))
		return false;
	let_them_listen();
	return wait_ready(s->options.workers);
}

/* ---- running and ending ---------------------------------------------------------------------- */

/* Read through a descriptor that stays open: a look must not take a lock that is being counted. */
static int count_threads(const struct server *s)
{
	char text[4096];
	ssize_t n = pread(s->status, text, sizeof(text) - 1, 0);
	const char *line;

	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "\nThreads:");
	return line ? atoi(line + strlen("\nThreads:")) : 0;
}

/*
 * Threads the kernel has made for requests that it could not finish at once; they stay for some
 * seconds. On the dup path there are none: a DUP that had to grow the table would make one.
 */
static unsigned io_wq_threads(const struct server *s)
{
	int n = count_threads(s) - s->own_threads;

	return n > 0 ? (unsigned)n : 0;
}

/* All threads, neighbours included: read with the counters, so that a quotient is of one moment. */
static uint64_t process_cpu_us(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used))
		return 0;
	return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* False, with the reason said: they could not be written, if need be after WAIT_MS milliseconds. */
static bool print_totals(const struct server *s, unsigned io_wq, int wait_ms)
{
	struct counters sum = { 0 };
	FILE *out = output_begin();
	unsigned i;

	for (i = 0; i < s->options.workers; i++)
		counters_add(&sum, s->counters[i]);
	counters_print(out, &sum, io_wq);
	neighbours_print(out, &s->neighbours);
	fprintf(out, " cpu_us=%llu\n", (unsigned long long)process_cpu_us());
	if (output_end(wait_ms))
		return true;
	say("the totals are lost: standard output: %s",
	    errno == EAGAIN ? "nobody reads it, and it is full" : strerror(errno));
	return false;
}

static void stop_workers(struct server *s)
{
	unsigned i;

	for (i = 0; i < s->options.workers; i++) {
		int ret = worker_stop(&s->workers[i]);

		if (ret)
			die("write to an eventfd: %s", strerror(-ret));
	}
}

/* Waits for the next signal. SIGUSR1 has been served when it returns. */
static enum signal_meaning wait_for_signal(struct server *s)
{
	int meaning = signals_next();

	if (meaning < 0)
		die("sigwaitinfo: %s", strerror(errno));
	if (meaning == SIGNAL_TOTALS)
		print_totals(s, io_wq_threads(s), 0);
	return (enum signal_meaning)meaning;
}

/*
 * Returns when the server is to end, and whether a signal has said so that ends it at once when it
 * comes again.
 */
static bool wait_for_end(struct server *s)
{
	enum signal_meaning meaning;
	unsigned i;

	do {
		meaning = wait_for_signal(s);
		for (i = 0; meaning == SIGNAL_OF_WORKER && i < s->options.workers; i++)
			worker_wake(&s->workers[i]);
	} while (meaning != SIGNAL_END && meaning != SIGNAL_DRAIN);
	return meaning == SIGNAL_END;
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * Since *NOW_NS, which is now. Time in which all stood still is none, as it is none for the workers
 * (clock_update() in clock.c): half of what they take for that, so that this thread counts less.
 */
static uint64_t time_passed(uint64_t *now_ns)
{
	const uint64_t still_ns = 5 * TICK_MS * 1000000;
	uint64_t passed_ns = clock_ns() - *now_ns;

	*now_ns += passed_ns;
	return passed_ns < still_ns ? passed_ns : 0;
}

/* How long the workers have to end. One that could not run for a while has put off its end. */
static uint64_t drain_ns(const struct server *s)
{
	uint64_t longest_ms = 0;
	unsigned i;

	for (i = 0; i < s->options.workers; i++) {
		uint64_t ms = worker_extension_ms(&s->workers[i]);

		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	return (s->options.drain_timeout_ms + longest_ms + GRACE_MS) * 1000000;
}

/*
 * Drains; this thread can still be told to end at once, by a signal that says so again, but not just
 * behind the first: a terminal, timeout(1) and some supervisors signal a process and its group. Returns
 * false if it was, or if a worker does not end: the reason has been said.
 */
static bool drain(struct server *s, bool asked_to_end)
{
	uint64_t used_ns = 0, asked_ns = 0, now_ns = clock_ns();
	unsigned i;

	metrics_drain(&s->metrics);
	stop_workers(s);
	while (__atomic_load_n(&running_workers, __ATOMIC_ACQUIRE)) {
		bool pending = signals_pending(s->signals, TICK_MS);
		enum signal_meaning meaning;

		used_ns += time_passed(&now_ns);
		if (used_ns >= drain_ns(s)) {
			say("a worker does not end: it waits for memory, perhaps (ulimit -l)");
			return false;
		}
		if (!pending)
			continue;
		meaning = wait_for_signal(s);
		if (meaning != SIGNAL_END)
			continue;
		/* A SIGTERM that comes behind a SIGHUP is the first one. */
		if (!asked_to_end) {
			asked_to_end = true;
			asked_ns = used_ns;
		} else if (used_ns - asked_ns >= SAME_NS) {
			say("a second signal: ended without waiting for open connections");
			return false;
		}
	}
	for (i = 0; i < s->options.workers; i++)
		worker_join(&s->workers[i]);
	return true;
}

int main(int argc, char **argv)
{
	struct server s = { .port_holder = -1, .shared_listener = -1 };
	unsigned io_wq;
	bool asked_to_end, drained, printed;

	signals_begin();
	clock_limit_slack();
	pages_touch_stack();
	standard_fds_begin();
	message_begin();
	options_parse(&s.options, argc, argv);
	choose_path(&s);
	fit_open_files(&s);
	open_own_files(&s);
	/* Who puts connections over numbers of a range of its own leaves no gaps among others. */
	if (!ballast_open(s.options.open_fds, s.path->uses_pool ? 0 : s.options.max_conns))
		return EXIT_FAILED;
	if (!open_sockets(&s) || !start_workers(&s) || !start_metrics(&s) ||
	    !neighbours_start(&s.neighbours, s.options.neighbours) || !listen_all(&s))
		return EXIT_FAILED;
	s.own_threads = count_threads(&s);
	options_print(output_begin(), &s.options, s.path->name);
	output_end(0);
	asked_to_end = wait_for_end(&s);
	io_wq = io_wq_threads(&s); /* they end with the workers */
	drained = drain(&s, asked_to_end);
	neighbours_stop(&s.neighbours);
	printed = print_totals(&s, io_wq, LAST_TOTALS_MS);
	if (!drained) {
		_exit(EXIT_FAILED); /* the workers are still running: nothing may be taken from them
				     */
	}
	metrics_end(&s.metrics);
	neighbours_free(&s.neighbours);
	free(s.workers);
	free(s.counters);
	return printed ? EXIT_GOOD : EXIT_FAILED;
}
