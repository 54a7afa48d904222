/* SPDX-License-Identifier: MIT */
/* Of several signals that wait, which is taken first; and that each is taken once. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "signals.h"

/* Each alone, and before SIGUSR1, which somebody may send without end. */
static void test_order(int fd)
{
	static const struct {
		int number;
		enum signal_meaning meaning;
	} rows[] = {
		{ SIGTERM, SIGNAL_END },       { SIGINT, SIGNAL_END },	  { SIGQUIT, SIGNAL_END },
		{ SIGHUP, SIGNAL_DRAIN },      { SIGXCPU, SIGNAL_DRAIN }, { SIGPWR, SIGNAL_DRAIN },
		{ SIGUSR2, SIGNAL_OF_WORKER },
	};
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(!signals_pending(fd, 0), "before signal %d", rows[i].number);
		raise(SIGUSR1);
		raise(rows[i].number);
		CHECK(signals_pending(fd, 0), "signal %d", rows[i].number);
		CHECK(signals_next() == (int)rows[i].meaning, "signal %d", rows[i].number);
		CHECK(signals_pending(fd, 0), "SIGUSR1 beside signal %d", rows[i].number);
		CHECK(signals_next() == SIGNAL_TOTALS, "SIGUSR1 beside signal %d", rows[i].number);
	}
	CHECK(!signals_pending(fd, 0), "each has been taken");
}

/* The one that ends the server at once is before the one that begins a drain. */
static void test_end_first(void)
{
	raise(SIGHUP);
	raise(SIGTERM);
	CHECK(signals_next() == SIGNAL_END, "SIGTERM");
	CHECK(signals_next() == SIGNAL_DRAIN, "SIGHUP");
}

/* It stays ignored, although the kernel keeps an ignored signal that is blocked, or of a traced process. */
static void test_under_nohup(void)
{
	sigset_t hangup;

	signal(SIGHUP, SIG_IGN);
	signals_begin();
	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL);
	raise(SIGHUP);
	raise(SIGUSR1);
	CHECK(signals_next() == SIGNAL_TOTALS, "SIGUSR1 beside an ignored SIGHUP");
}

int main(void)
{
	/* No more than this has been used by now, which is what SIGXCPU asks. */
	const struct rlimit a_second = { .rlim_cur = 1, .rlim_max = RLIM_INFINITY };
	int fd;

	CHECK(!setrlimit(RLIMIT_CPU, &a_second), "%s", strerror(errno));

	signal(SIGHUP, SIG_DFL); /* not as under nohup(1), or as in the background of a script */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	signals_begin();
	fd = signals_open();
	CHECK(fd >= 0, "%s", strerror(errno));
	test_order(fd);
	test_end_first();
	test_under_nohup();
	close(fd);
	CHECK_EXIT();
}
