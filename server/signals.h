/* SPDX-License-Identifier: MIT */
/*
 * What the server does about signals, whatever its parent has left behind: a signal that is blocked
 * or ignored stays so across exec.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

/*
 * The first thing in main(). SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 (by which the last worker says
 * that it has ended) wait from here on for signals_open(); threads inherit that. A peer that is gone (SIGPIPE) and a log that has reached its limit
 * (SIGXFSZ) are errors of a write, and end nothing.
 */
void signals_begin(void);

/* A signalfd that the four are read from. Returns it, or -1 with errno. */
int signals_open(void);

#endif
