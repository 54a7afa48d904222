/* SPDX-License-Identifier: MIT */
/*
 * The two pieces of book-keeping a worker relies on: the table of connections and the pool of file
 * descriptor numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "conn.h"
#include "fdpool.h"
#include "overflow.h"

enum { FIRST = 100, SIZE = 8, PARK = 3 };

static const uint64_t limit_ms[CONN_LIMITS] = { [LIMIT_IDLE] = 100, [LIMIT_REQUEST] = 10 };
static struct counters counters;

static void test_conn_table(void)
{
	struct conn_table t;
	struct conn *c[3];
	uint64_t id;

	CHECK(!conn_table_init(&t, 2, 0, limit_ms, &counters), "init");
	c[0] = conn_begin(&t, 1);
	c[1] = conn_begin(&t, 1);
	CHECK(c[0] && c[1] && c[0] != c[1], "two different connections");
	CHECK(!conn_begin(&t, 1), "a third one of two");
	CHECK(t.used == 2 && counters.conns_now == 2, "%u used", t.used);
	id = c[0]->id;
	CHECK(conn_by_id(&t, id) == c[0] && conn_by_id(&t, c[1]->id) == c[1], "known by their ids");
	conn_end(&t, c[0]);
	c[2] = conn_begin(&t, 1);
	CHECK(c[2] == c[0], "the free place is used");
	CHECK(c[2]->id != id && conn_place(c[2]) == (uint32_t)id, "with the same id");
	CHECK(!conn_by_id(&t, id), "the earlier id names nobody");
	CHECK(c[2]->fd == -1 && c[2]->slot == -1 && !c[2]->carry, "and is not empty");
	conn_table_free(&t);
}

static void test_generation_wraps(void)
{
	struct conn_table t;
	struct conn *c;

	conn_table_init(&t, 1, 0, limit_ms, &counters);
	t.conns[0].id = (UINT64_C(1) << CONN_ID_BITS) - CONN_GENERATION;
	c = conn_begin(&t, 1);
	conn_end(&t, c);
	CHECK(t.conns[0].id == 0, "id %llx", (unsigned long long)t.conns[0].id);
	conn_table_free(&t);
}

static void test_limits(void)
{
	struct conn_table t;
	struct conn *a, *b, *c;

	conn_table_init(&t, 3, 0, limit_ms, &counters);
	a = conn_begin(&t, 1);
	b = conn_begin(&t, 1);
	c = conn_begin(&t, 1);
	conn_set_limit(&t, a, LIMIT_IDLE, 1000);
	conn_set_limit(&t, b, LIMIT_IDLE, 1001);
	conn_set_limit(&t, c, LIMIT_REQUEST, 1095);
	CHECK(!conn_expired(&t, 1099), "too early");
	CHECK(conn_expired(&t, 1100) == a, "the oldest first");
	CHECK(!conn_expired(&t, 1100), "and only that");
	conn_set_limit(&t, b, LIMIT_IDLE, 1100); /* active again */
	CHECK(conn_expired(&t, 1105) == c, "each limit has its own time");
	CHECK(!conn_expired(&t, 1199), "activity extends the time");
	conn_set_limit(&t, b, LIMIT_NONE, 0);
	CHECK(!conn_expired(&t, 9999), "no limit at all");
	conn_set_limit(&t, a, LIMIT_REQUEST, 1);
	conn_set_limit(&t, b, LIMIT_REQUEST, 1);
	conn_set_limit(&t, c, LIMIT_REQUEST, 1);
	conn_end(&t, b); /* out of the middle */
	CHECK(conn_expired(&t, 99) == a && conn_expired(&t, 99) == c, "the others stay in order");
	conn_table_free(&t);
}

static bool is_placeholder(int fd)
{
	return fcntl(fd, F_GETFL) & O_PATH;
}

static void test_pool_range(void)
{
	struct fdpool pool;
	int fd;

	CHECK(!fdpool_init(&pool, FIRST, SIZE, PARK, &counters), "init");
	for (fd = FIRST; fd < FIRST + SIZE; fd++)
		CHECK(is_placeholder(fd), "fd %d is not reserved", fd);
	CHECK(!fdpool_owns(&pool, FIRST - 1) && fdpool_owns(&pool, FIRST), "owns its first");
	CHECK(fdpool_owns(&pool, FIRST + SIZE - 1) && !fdpool_owns(&pool, FIRST + SIZE),
	      "and last");
	fdpool_free(&pool);
	for (fd = FIRST; fd < FIRST + SIZE; fd++)
		CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF, "fd %d is left open", fd);
}

static void test_pool_taken_number(void)
{
	struct fdpool pool;
	int in_the_way = fcntl(0, F_DUPFD, FIRST + 4);
	int ret = fdpool_init(&pool, FIRST, SIZE, PARK, &counters);
	int fd;

	CHECK(ret == -EBUSY, "%d although fd %d is taken", ret, in_the_way);
	CHECK(fcntl(in_the_way, F_GETFD) >= 0, "somebody else's fd is closed");
	for (fd = FIRST; fd < FIRST + 4; fd++)
		CHECK(fcntl(fd, F_GETFD) < 0, "fd %d is left open", fd);
	close(in_the_way);
}

static void test_pool_limit(void)
{
	struct fdpool pool;
	int ret = fdpool_init(&pool, (int)sysconf(_SC_OPEN_MAX) - 4, SIZE, PARK, &counters);

	CHECK(ret == -EMFILE, "%d beyond the limit of open files", ret);
}

static void test_pool_order(void)
{
	struct fdpool pool;
	int fd[SIZE], i;

	fdpool_init(&pool, FIRST, SIZE, PARK, &counters);
	for (i = 0; i < SIZE; i++) {
		fd[i] = fdpool_take(&pool);
		CHECK(fd[i] == FIRST + i, "the lowest number first, not %d", fd[i]);
	}
	CHECK(fdpool_take(&pool) == -1, "a ninth of eight");
	fdpool_park(&pool, fd[0], 10);
	fdpool_park(&pool, fd[1], 20);
	CHECK(fdpool_take(&pool) == fd[1], "the newest parked one is used first");
	fdpool_park(&pool, fd[1], 30);
	CHECK(fdpool_sweep(&pool, 10) == -1, "one that is not old enough is swept");
	CHECK(fdpool_sweep(&pool, 11) == fd[0], "the oldest is swept by age");
	CHECK(fdpool_sweep(&pool, 11) == -1, "and only that");
	for (i = 2; i < 6; i++)
		fdpool_park(&pool, fd[i], 40);
	CHECK(fdpool_sweep(&pool, 0) == fd[1], "beyond the bound, the oldest is swept");
	CHECK(fdpool_sweep(&pool, 0) == fd[2], "until it is kept");
	CHECK(fdpool_sweep(&pool, 0) == -1, "and no further");
	fdpool_vacate(&pool, fd[7]);
	for (i = 0; i < 3; i++)
		CHECK(fdpool_take(&pool) == fd[5 - i], "parked ones before vacant ones");
	for (i = 0; i < 3; i++)
		CHECK(fdpool_take(&pool) != fd[7], "a doubtful number is taken last");
	CHECK(fdpool_take(&pool) == fd[7], "but it is taken");
	fdpool_free(&pool);
}

/* All numbers but one fail (the limit was lowered, say): the good one is found. */
static void test_pool_doubtful(void)
{
	struct fdpool pool;
	int tries, fd = -1, good = FIRST + SIZE / 2;

	fdpool_init(&pool, FIRST, SIZE, PARK, &counters);
	for (tries = 0; tries < SIZE; tries++) {
		fd = fdpool_take(&pool);
		if (fd == good)
			break;
		fdpool_vacate(&pool, fd);
	}
	CHECK(fd == good, "after %d tries only %d was found", tries, fd);
	fdpool_free(&pool);
}

/* Numbers beyond the limit are set aside together, and each comes back as soon as it can be had. */
static void test_pool_below_limit(void)
{
	struct fdpool pool;
	int i, fd, limit = FIRST + SIZE / 2;

	fdpool_init(&pool, FIRST, SIZE, SIZE, &counters);
	for (i = 0; i < SIZE / 4; i++)
		fdpool_park(&pool, fdpool_take(&pool), 1);
	for (i = 0; i < SIZE; i++) {
		fd = fdpool_take(&pool);
		if (fd >= limit)
			break;
		fdpool_vacate(&pool, fd);
	}
	fdpool_park(&pool, fd, 2);
	fdpool_doubt_from(&pool, (uint64_t)limit);
	CHECK(pool.doubtfuls == SIZE / 2, "%u are doubtful", pool.doubtfuls);
	CHECK(counters.parked_now == pool.parkeds + pool.doubtfuls, "%u parked",
	      (unsigned)counters.parked_now);
	for (i = 0; i < SIZE / 2; i++) {
		fd = fdpool_take(&pool);
		CHECK(fd >= FIRST && fd < limit, "%d is taken, and the limit is %d", fd, limit);
	}
	/* None is left but these, each in its turn. */
	fd = fdpool_take(&pool);
	CHECK(fd >= limit, "%d is left", fd);
	fdpool_doubt(&pool, fd);
	for (i = 0; i < SIZE / 2 - 1; i++) {
		int next = fdpool_trust(&pool);

		CHECK(next >= limit && next != fd, "%d comes back before others", next);
	}
	CHECK(fdpool_trust(&pool) == fd, "%d does not come back", fd);
	CHECK(fdpool_trust(&pool) == -1 && pool.vacants == SIZE / 2, "%u vacant", pool.vacants);
	fdpool_free(&pool);
}

/* Round and round the ring buffer of parked numbers. */
static void test_pool_wraps(void)
{
	struct fdpool pool;
	int round, a, b;

	fdpool_init(&pool, FIRST, SIZE, PARK, &counters);
	for (round = 0; round < 5 * SIZE; round++) {
		a = fdpool_take(&pool);
		b = fdpool_take(&pool);
		CHECK(a >= FIRST && b >= FIRST && a != b, "round %d: %d and %d", round, a, b);
		fdpool_park(&pool, a, (uint64_t)round);
		fdpool_park(&pool, b, (uint64_t)round);
		CHECK(fdpool_sweep(&pool, (uint64_t)round + 1) >= 0, "round %d: no sweep", round);
		CHECK(pool.parkeds + pool.vacants == SIZE, "round %d: a number is lost", round);
	}
	fdpool_free(&pool);
}

/* In order, whatever goes in and out meanwhile, and however long it becomes. */
static void test_overflow(void)
{
	struct overflow o = { 0 };
	int in = 0, out = 0, round;

	CHECK(overflow_take(&o) == -1, "one is in an empty one");
	for (round = 0; round < 1000; round++) {
		CHECK(overflow_add(&o, in++), "round %d: no memory", round);
		CHECK(overflow_add(&o, in++), "round %d: no memory", round);
		CHECK(overflow_at(&o, o.n - 1) == in - 1, "round %d: another is the last", round);
		if (round % 3)
			CHECK(overflow_take(&o) == out++, "round %d: another is the first", round);
	}
	CHECK(o.n == (uint32_t)(in - out), "%u wait", o.n);
	while (out < in)
		CHECK(overflow_take(&o) == out++, "another than %d is the first", out - 1);
	CHECK(overflow_take(&o) == -1, "one is left over");
	overflow_free(&o);
}

int main(void)
{
	test_conn_table();
	test_overflow();
	test_generation_wraps();
	test_limits();
	test_pool_range();
	test_pool_taken_number();
	test_pool_limit();
	test_pool_order();
	test_pool_doubtful();
	test_pool_below_limit();
	test_pool_wraps();
	CHECK_EXIT();
}
