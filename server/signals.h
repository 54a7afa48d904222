/* SPDX-License-Identifier: MIT */
/*
 * What the server does about signals, independent of its parent: a signal that the parent has
 * blocked or ignored would stay so across exec.
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

/*
 * The first thing in main(). From here on SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 (by which the last
 * worker says that it has ended) are blocked, and so in every thread, until they are read from
 * signals_open(). A peer that is gone (SIGPIPE) and a log that has reached its limit (SIGXFSZ) make
 * a write fail, and end nothing.
 */
void signals_begin(void);

/* A signalfd that the four are read from. Returns it, or -1 with errno. */
int signals_open(void);

#endif
