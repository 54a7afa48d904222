/* race.c - see race.h */
#include "race.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ENVIRONMENT "DUP_TEST_RACE_FILES"

enum { PROCESSES_MAX = 64, FRESH_MAX = RACE_BATCH, SPINS = 2000 };

struct file {
	dev_t dev;
	ino_t ino;
	int fd, read_end;
	char path[80];
};

struct race *race;
static const char *test;
static char folder[64];
static struct file files[RACE_FILES];
static pid_t processes[PROCESSES_MAX];
static unsigned process_count;

void *race_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(memory == MAP_FAILED ? -1 : 0);
	return memory;
}

static int move_up(int fd, int least)
{
	int higher = (int)MUST(fcntl(fd, F_DUPFD_CLOEXEC, least));

	close(fd);
	return higher;
}

static void make_files(int at)
{
	strcpy(folder, "/tmp/dup_race.XXXXXX");
	MUST(mkdtemp(folder) ? 0 : -1);
	for (int i = 0; i < RACE_FILES; i++) {
		struct file *file = &files[i];
		struct stat status;

		snprintf(file->path, sizeof(file->path), "%s/%d", folder, i);
		MUST(mkfifo(file->path, 0600));
		file->read_end =
			move_up((int)MUST(open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)), at);
		file->fd =
			move_up((int)MUST(open(file->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)), at);
		MUST(fstat(file->fd, &status));
		file->dev = status.st_dev;
		file->ino = status.st_ino;
	}
}

static unsigned long number(const char *option, const char *text, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*end || !*text || *text == '-' || value > most) {
		fprintf(stderr, "%s: %s %s: not a number from 0 to %lu\n", test, option, text,
			most);
		exit(EXIT_USAGE);
	}
	return value;
}

void race_start(int argc, char **argv, const char *name, unsigned seconds, int files_at)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' },
		{ "ops", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ 0 },
	};
	int option;

	test = name;
	race = race_shared(sizeof(*race));
	race->seed = (uint64_t)time(NULL);
	race->seconds = seconds;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			race->seconds = number("--seconds", optarg, 86400);
			break;
		case 'o':
			race->ops_wanted = number("--ops", optarg, ~0UL >> 1);
			race->seconds = 3600;
			break;
		case 's':
			race->seed = number("--seed", optarg, ~0UL);
			break;
		default:
			fprintf(stderr, "usage: %s [--seconds N] [--ops N] [--seed N]\n", name);
			exit(EXIT_USAGE);
		}
	}
	test_start(name);
	printf("%s: seed %llu\n", name, (unsigned long long)race->seed);
	make_files(files_at);
	race->start_ms = now_ms();
	race_part(0, 1);
}

void race_part(unsigned part, unsigned parts)
{
	race->end_ms = race->start_ms + race->seconds * 1000 * (part + 1) / parts;
	race->part_ops = race->ops_wanted / parts;
	race->ops_before = atomic_load(&race->ops);
	atomic_store(&race->over, false);
	atomic_store(&race->arrived, 0);
}

int race_end(void)
{
	unsigned long ops = atomic_load(&race->ops);

	/* the last reference is gone with the last process, and that may take a moment */
	for (int i = 0; i < RACE_FILES; i++) {
		CHECK(pipe_alive(files[i].read_end), "file %d was released too soon", i);
		close(files[i].fd);
		CHECK(pipe_hung_up(files[i].read_end), "a reference to file %d is left over", i);
		close(files[i].read_end);
		unlink(files[i].path);
	}
	rmdir(folder);
	printf("%s: seed %llu: %lu DUPs\n", test, (unsigned long long)race->seed, ops);
	CHECK(ops && ops >= race->ops_wanted, "%lu DUPs in %lu s, not %lu", ops, race->seconds,
	      race->ops_wanted);
	return test_end();
}

void race_spawn(void (*function)(unsigned index), unsigned index)
{
	pid_t pid;

	fflush(stdout);
	MUST(process_count < PROCESSES_MAX ? 0 : -EAGAIN);
	pid = (pid_t)MUST(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
	if (pid) {
		processes[process_count++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	test_child();
	function(index);
	fflush(stdout);
	_exit(test_result());
}

/* Returns whether the process has ended. */
static bool ended(pid_t *pid)
{
	int status;

	if (!*pid || MUST(waitpid(*pid, &status, WNOHANG)) == 0)
		return !*pid;
	*pid = 0;
	if (!CHECK(status == 0, "a process of the race ended with status %#x", status))
		atomic_store(&race->broken, true);
	return true;
}

void race_wait(void)
{
	uint64_t patience = 0;
	unsigned left = process_count;

	while (left) {
		left = 0;
		for (unsigned i = 0; i < process_count; i++)
			left += !ended(&processes[i]);
		if (left)
			usleep(2000);
		if (!patience && (atomic_load(&race->broken) || now_ms() > race->end_ms))
			patience = now_ms() + wait_ms();
		if (patience && now_ms() > patience) {
			CHECK(left == 0, "%u processes of the race do not end", left);
			for (unsigned i = 0; i < process_count; i++)
				if (processes[i])
					kill(processes[i], SIGKILL);
			break;
		}
	}
	process_count = 0;
}

static bool time_is_up(void)
{
	return (race->part_ops && atomic_load(&race->ops) >= race->ops_before + race->part_ops) ||
	       now_ms() >= race->end_ms;
}

void race_count(unsigned ops)
{
	atomic_fetch_add(&race->ops, ops);
}

bool race_over(unsigned ops)
{
	race_count(ops);
	if (time_is_up())
		atomic_store(&race->over, true);
	return atomic_load(&race->over) || atomic_load(&race->broken);
}

bool race_meet(unsigned count)
{
	unsigned meeting = atomic_load(&race->meeting);

	if (atomic_fetch_add(&race->arrived, 1) + 1 == count) {
		/* the last to come decides for all */
		if (time_is_up())
			atomic_store(&race->over, true);
		atomic_store(&race->arrived, 0);
		atomic_store(&race->meeting, meeting + 1);
	}
	for (unsigned spins = 1; atomic_load(&race->meeting) == meeting; spins++) {
		if (atomic_load(&race->broken))
			return false;
		if (spins % SPINS == 0)
			sched_yield();
	}
	return !atomic_load(&race->over) && !atomic_load(&race->broken);
}

int race_which(int fd)
{
	struct stat status;

	if (fstat(fd, &status))
		return -errno;
	for (int i = 0; i < RACE_FILES; i++)
		if (files[i].ino == status.st_ino && files[i].dev == status.st_dev)
			return i;
	return -ENODATA;
}

int race_bit(int file)
{
	return file % 2 ? 0 : FD_CLOEXEC;
}

unsigned race_flags(int file)
{
	return file % 2 ? DUP_NO_CLOEXEC : 0;
}

int race_fd(int file)
{
	return files[file].fd;
}

const char *race_path(int file)
{
	return files[file].path;
}

void race_put(int file, int number)
{
	MUST(dup3(files[file].fd, number, race_bit(file) ? O_CLOEXEC : 0));
}

void race_export(void)
{
	char text[RACE_FILES * 48] = "";
	size_t length = 0;

	for (int i = 0; i < RACE_FILES; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%llu:%llu ",
					   (unsigned long long)files[i].dev,
					   (unsigned long long)files[i].ino);
	MUST(setenv(ENVIRONMENT, text, 1));
}

void race_import(void)
{
	char *text = getenv(ENVIRONMENT);

	MUST(text ? 0 : -ENOENT);
	for (int i = 0; i < RACE_FILES; i++) {
		files[i].dev = strtoull(text, &text, 10);
		files[i].ino = strtoull(text + 1, &text, 10);
	}
}

void race_check_open(int number, const char *when)
{
	int file = race_which(number), bit = fcntl(number, F_GETFD);

	if (CHECK(file >= 0, "%s: %d has no file of ours: %s", when, number, res_name(file)))
		CHECK(bit == race_bit(file), "%s: %d has file %d and bit %d", when, number, file,
		      bit);
}

void race_check_rest(int first, unsigned count)
{
	for (int number = first; number < first + (int)count; number++) {
		bool open = fd_open(number);
		int next = (int)MUST(fcntl(files[0].fd, F_DUPFD_CLOEXEC, number));

		close(next);
		CHECK(open == (next != number), "%d is %s, but was%s picked as a free number",
		      number, open ? "open" : "closed", next == number ? "" : " not");
		if (open && next != number)
			race_check_open(number, "at rest");
	}
}

void race_close_all(int first, unsigned count)
{
	race_check_rest(first, count);
	for (int number = first; number < first + (int)count; number++) {
		close(number);
		CHECK(!fd_open(number), "%d is open after close()", number);
		CHECK_RES(dup2(files[0].fd, number) < 0 ? -errno : number, number,
			  "dup2() over a closed number");
		close(number);
	}
}

void racer_open(struct racer *racer, unsigned index)
{
	racer->index = index;
	racer->random = (race->seed + index) * 0x9e3779b97f4a7c15ULL | 1;
	ring_open(&racer->ring, 4 * RACE_BATCH, 0);
	slots_register(&racer->ring, FRESH_MAX);
}

void racer_close(struct racer *racer)
{
	io_uring_queue_exit(&racer->ring);
}

/* xorshift64*: small, and the same everywhere */
unsigned racer_draw(struct racer *racer, unsigned below)
{
	racer->random ^= racer->random >> 12;
	racer->random ^= racer->random << 25;
	racer->random ^= racer->random >> 27;
	return (unsigned)((racer->random * 2685821657736338717ULL >> 33) % below);
}

void racer_dawdle(struct racer *racer, unsigned most)
{
	for (volatile unsigned left = racer_draw(racer, most + 1); left; left--)
		;
}

static void submit_all(struct racer *racer)
{
	int submitted;

	do
		submitted = io_uring_submit(&racer->ring);
	while (submitted == -EINTR);
	MUST(submitted);
}

/* Slot I gets an opening of its own of the file that DUP I wants to be fresh. */
static void open_fresh(struct racer *racer, const struct race_dup *dups, unsigned count)
{
	unsigned fresh = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!dups[i].fresh)
			continue;
		io_uring_prep_openat_direct(ring_sqe(&racer->ring), AT_FDCWD,
					    files[dups[i].file].path, O_WRONLY | O_NONBLOCK, 0, i);
		fresh++;
	}
	if (!fresh)
		return;
	submit_all(racer);
	while (fresh--)
		MUST(ring_reap(&racer->ring, NULL));
}

void racer_dups(struct racer *racer, struct race_dup *dups, unsigned count)
{
	unsigned expected = count;

	open_fresh(racer, dups, count);
	for (unsigned i = 0; i < count; i++) {
		struct race_dup *dup = &dups[i];
		struct io_uring_sqe *sqe = ring_sqe(&racer->ring);
		struct dup request = { .fd = dup->fresh ? (int)i : files[dup->file].fd,
				       .new_fd = dup->number,
				       .flags = race_flags(dup->file) };

		if (dup->fresh)
			request.flags |= DUP_OLD_FIXED;
		fill_dup(sqe, &request);
		sqe->user_data = i;
		if (!dup->fresh)
			continue;
		sqe = ring_sqe(&racer->ring);
		io_uring_prep_close_direct(sqe, i);
		sqe->user_data = count;
		expected++;
	}
	submit_all(racer);
	while (expected--) {
		uint64_t i;
		int res = ring_reap(&racer->ring, &i);

		if (i < count)
			dups[i].res = res;
		else
			MUST(res);
	}
}

void racer_dups_random(struct racer *racer, int first, unsigned count, bool fresh)
{
	struct race_dup dups[RACE_BATCH];

	for (unsigned i = 0; i < RACE_BATCH; i++)
		dups[i] = (struct race_dup){ .file = (int)racer_draw(racer, RACE_FILES),
					     .number = first + (int)racer_draw(racer, count),
					     .fresh = fresh };
	racer_dups(racer, dups, RACE_BATCH);
	for (unsigned i = 0; i < RACE_BATCH; i++)
		CHECK_RES(dups[i].res, dups[i].number, "DUP of file %d in a race", dups[i].file);
}

void racer_closes(struct racer *racer, const int *numbers, int *results, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = ring_sqe(&racer->ring);

		io_uring_prep_close(sqe, numbers[i]);
		sqe->user_data = i;
	}
	submit_all(racer);
	for (unsigned i = 0; i < count; i++) {
		uint64_t which;
		int res = ring_reap(&racer->ring, &which);

		results[which] = res;
	}
}
