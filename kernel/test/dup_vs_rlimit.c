/*
 * dup_vs_rlimit.c [--seconds N] [--ops N] [--seed N] - DUP against a falling RLIMIT_NOFILE.
 *
 * A second process lowers and raises the limit of the one that does the DUPs. DUPs to numbers below
 * the low limit must always succeed. DUPs to numbers above it must succeed if the limit was high
 * during the whole batch, return -EBADF if it was low during the whole batch, and otherwise do either.
 * A DUP that returns -EBADF must change nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "race.h"

enum { NUMBERS = 8, BELOW = RACE_FIRST, ABOVE = RACE_FIRST + 64, LOW = ABOVE, HIGH = 4096 };

struct shared {
	atomic_int dupper;   /* its process id */
	atomic_uint changes; /* 4n: high, 4n+1 and 4n+3: changing, 4n+2: low */
	unsigned long refused, changed;
};
static struct shared *shared;

static int number_of(int place)
{
	return place < NUMBERS ? BELOW + place : ABOVE + place - NUMBERS;
}

static void check_files(const int *file_at)
{
	for (int place = 0; place < 2 * NUMBERS; place++) {
		int number = number_of(place), file = race_which(number);

		CHECK(file == file_at[place] && fcntl(number, F_GETFD) == race_bit(file),
		      "%d has %s, not file %d with its bit", number, res_name(file),
		      file_at[place]);
	}
}

static void dupper(unsigned index)
{
	struct racer racer;
	int file_at[2 * NUMBERS];

	racer_open(&racer, index);
	for (int place = 0; place < 2 * NUMBERS; place++)
		race_put(file_at[place] = 0, number_of(place));
	atomic_store(&shared->dupper, getpid());
	while (!race_over(RACE_BATCH)) {
		struct race_dup dups[RACE_BATCH];
		int place[RACE_BATCH];
		unsigned before, after;

		for (int i = 0; i < RACE_BATCH; i++) {
			place[i] = (int)racer_draw(&racer, 2 * NUMBERS);
			dups[i] = (struct race_dup){ .file = (int)racer_draw(&racer, RACE_FILES),
						     .number = number_of(place[i]) };
		}
		before = atomic_load(&shared->changes);
		racer_dups(&racer, dups, RACE_BATCH);
		after = atomic_load(&shared->changes);
		for (int i = 0; i < RACE_BATCH; i++) {
			const struct race_dup *dup = &dups[i];

			if (dup->res == -EBADF && place[i] >= NUMBERS) {
				CHECK(before != after || before % 4 != 0,
				      "%d refused, with a high limit", dup->number);
				shared->refused++;
				continue;
			}
			CHECK_RES(dup->res, dup->number, "DUP against setrlimit()");
			CHECK(place[i] < NUMBERS || before != after || before % 4 != 2,
			      "%d allowed, with a low limit", dup->number);
			file_at[place[i]] = dup->file;
		}
		check_files(file_at);
	}
	racer_close(&racer);
}

static void limiter(unsigned unused)
{
	struct rlimit low = { LOW, HIGH }, high = { HIGH, HIGH };
	pid_t pid;

	(void)unused;
	while (!(pid = atomic_load(&shared->dupper)) && !race_over(0))
		usleep(1000);
	for (bool lower = true; !race_over(0); lower = !lower) {
		atomic_fetch_add(&shared->changes, 1);
		if (prlimit(pid, RLIMIT_NOFILE, lower ? &low : &high, NULL))
			break; /* it has ended */
		atomic_fetch_add(&shared->changes, 1);
		shared->changed++;
		/* some changes within a batch, some that last */
		if (shared->changed % 8 < 2)
			usleep(1000);
	}
}

int main(int argc, char **argv)
{
	race_start(argc, argv, "dup_vs_rlimit", 4, RACE_FILES_AT);
	shared = race_shared(sizeof(*shared));
	race_spawn(dupper, 0);
	race_spawn(limiter, 0);
	race_wait();
	printf("dup_vs_rlimit: %lu changes, %lu DUPs refused\n", shared->changed, shared->refused);
	CHECK(shared->changed > 4 && shared->refused, "hardly anything happened");
	race_close_all(BELOW, NUMBERS);
	race_close_all(ABOVE, NUMBERS);
	return race_end();
}
