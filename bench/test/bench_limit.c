/* SPDX-License-Identifier: MIT */
/* Tests limit_of() at its thresholds, CPU lists, and binding threads found by name. */
#include "cell/child.h"
#include "cell/limit.h"
#include "cell/place.h"
#include "check.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

static void test_limits(void)
{
	static const struct {
		double client, server, late;
		enum limit limit;
	} rows[] = {
		{ 0.90, 0.91, 0, LIMIT_SERVER },    { 0.91, 0.91, 0, LIMIT_CLIENT },
		{ 0.90, 0.90, 0, LIMIT_NEITHER },   { 0.50, 0.99, 0.01, LIMIT_SERVER },
		{ 0.50, 0.99, 0.02, LIMIT_CLIENT }, { NAN, 0.99, 0, LIMIT_UNKNOWN },
		{ 0.50, NAN, 0, LIMIT_UNKNOWN },    { 0.95, NAN, 0, LIMIT_CLIENT },
		{ NAN, NAN, 0.02, LIMIT_CLIENT },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct limit_shares shares = { rows[i].client, rows[i].server, rows[i].late };

		CHECK(limit_of(&shares) == rows[i].limit, ": row %zu: %d", i, limit_of(&shares));
	}
}

static void test_lists(void)
{
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	CHECK(child_count_cpus(NULL) == (unsigned int)CPU_COUNT(&all));
	CHECK(child_count_cpus("0") == 1 && child_count_cpus("0,2-3,7") == 4);
	CHECK(child_count_cpus("") == 0 && child_count_cpus("3-2") == 0 &&
	      child_count_cpus("a") == 0 && child_count_cpus("99999999") == 0);
}

static sem_t started, end;

static void *stay(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "placed");
	sem_post(&started);
	while (sem_wait(&end) && errno == EINTR)
		;
	return NULL;
}

/* The CPU that this test may use last: where it has several, another one than most things run on. */
static int last_cpu(void)
{
	cpu_set_t all;
	int last = 0;

	sched_getaffinity(0, sizeof(all), &all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		last = CPU_ISSET(cpu, &all) ? cpu : last;
	return last;
}

static void test_place(void)
{
	pthread_t thread[2];
	cpu_set_t before, own, placed;
	char cpus[16];

	sem_init(&started, 0, 0);
	sem_init(&end, 0, 0);
	sched_getaffinity(0, sizeof(before), &before);
	for (int i = 0; i < 2; i++) {
		CHECK(!pthread_create(&thread[i], NULL, stay, NULL));
		while (sem_wait(&started) && errno == EINTR)
			;
	}
	snprintf(cpus, sizeof(cpus), "%d", last_cpu());
	CHECK(place_threads(getpid(), "nobody", cpus) == 0);
	CHECK(place_threads(getpid(), "placed", "x") == -EINVAL);
	CHECK(place_threads(getpid(), "placed", cpus) == 2);
	for (int i = 0; i < 2; i++) {
		CHECK(!pthread_getaffinity_np(thread[i], sizeof(placed), &placed));
		CHECK(CPU_COUNT(&placed) == 1 && CPU_ISSET(last_cpu(), &placed));
		sem_post(&end);
	}
	sched_getaffinity(0, sizeof(own), &own);
	CHECK(CPU_EQUAL(&own, &before)); /* this thread has another name */
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	test_limits();
	test_lists();
	test_place();
	return check_end();
}
