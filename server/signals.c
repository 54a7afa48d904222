/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const struct {
	int number;
	enum signal_meaning meaning;
} signals
	[] = {
		/* clang-format off */
	{ SIGTERM, SIGNAL_END },
	{ SIGINT, SIGNAL_END },
	{ SIGQUIT, SIGNAL_END },
	{ SIGHUP, SIGNAL_DRAIN },  /* the terminal is gone */
	{ SIGXCPU, SIGNAL_DRAIN }, /* RLIMIT_CPU; it comes every second */
	{ SIGPWR, SIGNAL_DRAIN },
	{ SIGUSR1, SIGNAL_TOTALS },
	{ SIGUSR2, SIGNAL_OF_WORKER },
	{ SIGPIPE, SIGNAL_IGNORED },
	{ SIGXFSZ, SIGNAL_IGNORED },
	{ SIGALRM, SIGNAL_IGNORED },
	{ SIGVTALRM, SIGNAL_IGNORED },
	{ SIGPROF, SIGNAL_IGNORED },
	{ SIGIO, SIGNAL_IGNORED },
	{ SIGSTKFLT, SIGNAL_IGNORED },
	{ SIGTTOU, SIGNAL_IGNORED }, /* it writes to a terminal from the background */
	{ SIGCHLD, SIGNAL_IGNORED }, /* it has children if it is a container's first process */
		/* clang-format on */
	};

enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

/*
 * Of SIGHUP, SIGINT and SIGQUIT those that the parent has made this process ignore, and means it:
 * nohup(1), and a shell for what a script starts with &.
 */
static sigset_t left_ignored;

static void find_left_ignored(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT };
	struct sigaction action;
	unsigned i;

	sigemptyset(&left_ignored);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!sigaction(numbers[i], NULL, &action) && action.sa_handler == SIG_IGN)
			sigaddset(&left_ignored, numbers[i]);
	}
}

/* What is waited for is blocked; a blocked signal is not dropped even if it is ignored. */
static sigset_t waited_for(void)
{
	sigset_t set;
	unsigned i;

	sigemptyset(&set);
	for (i = 0; i < SIGNALS; i++) {
		if (signals[i].meaning < SIGNAL_IGNORED &&
		    !sigismember(&left_ignored, signals[i].number))
			sigaddset(&set, signals[i].number);
	}
	return set;
}

/*
 * Signal 32 is the C library's, for pthread_cancel(), which is not used here; it refuses to have it
 * ignored. The kernel's struct sigaction begins with the handler (asm-generic/signal.h).
 */
static void ignore_cancel(void)
{
	const unsigned long action[8] = { (unsigned long)SIG_IGN };

	syscall(SYS_rt_sigaction, 32, action, NULL, 8);
}

void signals_begin(void)
{
	sigset_t set;
	unsigned i;
	int number;

	find_left_ignored();
	set = waited_for();
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	for (i = 0; i < SIGNALS; i++) {
		bool ignored = signals[i].meaning == SIGNAL_IGNORED ||
			       sigismember(&left_ignored, signals[i].number);

		signal(signals[i].number, ignored ? SIG_IGN : SIG_DFL);
	}
	for (number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
	ignore_cancel();
}

int signals_open(void)
{
	sigset_t set = waited_for();

	return signalfd(-1, &set, SFD_CLOEXEC);
}

bool signals_pending(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ready = poll(&p, 1, wait_ms);
	sigset_t set, pending;

	if (ready >= 0)
		return ready;
	/* An RLIMIT_NOFILE of 0. */
	poll(NULL, 0, wait_ms);
	set = waited_for();
	sigpending(&pending);
	sigandset(&set, &set, &pending);
	return !sigisemptyset(&set);
}

/*
 * Whether RLIMIT_CPU is what SIGXCPU is about. A thread of a real-time policy gets it, too, when it
 * has much to do (RLIMIT_RTTIME, SCHED_FLAG_DL_OVERRUN). The kernel has raised the soft limit by a
 * second then, and goes by a clock of its own, of user and system time (CPUCLOCK_PROF; see
 * check_process_timers() in kernel/time/posix-cpu-timers.c).
 */
static bool cpu_limit_is_reached(void)
{
	const clockid_t user_and_system = (clockid_t)(~0U << 3);
	struct timespec used = { 0 };
	struct rlimit cpu;

	return !getrlimit(RLIMIT_CPU, &cpu) && cpu.rlim_cur != RLIM_INFINITY &&
	       !clock_gettime(user_and_system, &used) && (rlim_t)used.tv_sec + 1 >= cpu.rlim_cur;
}

static int meaning_of(int number)
{
	unsigned i;

	if (number == SIGXCPU && !cpu_limit_is_reached())
		return SIGNAL_IGNORED;
	for (i = 0; signals[i].number != number; i++)
		;
	return (int)signals[i].meaning;
}

/* Takes a signal that means MEANING, if one is pending. Returns its number, or -1. */
static int take(enum signal_meaning meaning)
{
	sigset_t set = waited_for();
	unsigned i;

	for (i = 0; i < SIGNALS; i++) {
		if (signals[i].meaning != meaning)
			sigdelset(&set, signals[i].number);
	}
	return sigtimedwait(&set, NULL, &(struct timespec){ 0 });
}

/*
 * The kernel gives the lowest number first, and SIGUSR1 has a low one: if that comes again and again,
 * nothing else would be heard. It is not asked for more than the number: a read of the signalfd has
 * taken the signal before it copies what it knows of it, and if that fails the signal is lost.
 */
int signals_next(void)
{
	const sigset_t set = waited_for();
	int meaning, number;

	for (meaning = SIGNAL_END; meaning < SIGNAL_TOTALS; meaning++) {
		number = take(meaning);
		if (number > 0)
			return meaning_of(number);
	}
	while ((number = sigwaitinfo(&set, NULL)) < 0) {
		if (errno != EINTR && errno != EFAULT)
			return -1;
	}
	return meaning_of(number);
}
