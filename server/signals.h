/* SPDX-License-Identifier: MIT */
/*
 * What the server does about signals, independent of its parent: a signal that the parent has
 * blocked or ignored would stay so across exec. Exceptions are SIGHUP, SIGINT and SIGQUIT, which stay
 * ignored: under nohup(1), and where a script has started the server with &.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <stdbool.h>

enum signal_meaning {
	SIGNAL_END,	  /* drain; at once, if it drains already: SIGTERM, SIGINT, SIGQUIT */
	SIGNAL_DRAIN,	  /* drain: SIGHUP, SIGPWR, SIGXCPU when RLIMIT_CPU is reached */
	SIGNAL_OF_WORKER, /* a worker has something to say to the main thread: SIGUSR2 */
	SIGNAL_TOTALS,	  /* print the totals: SIGUSR1 */
	SIGNAL_IGNORED,
};

/*
 * The first thing in main(). From here on the signals that mean something are blocked, and so in
 * every thread, until they are taken by signals_next(). All others that would end the process are
 * ignored: a peer that is gone (SIGPIPE) and a log that has reached its limit (SIGXFSZ) make a
 * write fail, and end nothing. So is SIGCHLD: the kernel reaps children, which are none of the
 * server's. Only those that a fault of the program raises, and SIGABRT, which asks for a core dump,
 * do what they do by default.
 */
void signals_begin(void);

/* A signalfd for signals_pending(). Returns it, or -1 with errno. */
int signals_open(void);

/* Whether one waits to be taken, after WAIT_MS milliseconds at most. */
bool signals_pending(int fd, int wait_ms);

/*
 * Waits for the next signal that means something. Of several the meaning that stands first above is
 * first. Returns it, or -1 with errno; SIGNAL_IGNORED for a SIGXCPU without RLIMIT_CPU's being reached.
 */
int signals_next(void);

#endif
