/* SPDX-License-Identifier: MIT */
/*
 * A parent may start a program with descriptor 0, 1 or 2 closed. The next file or socket that is
 * opened would get that number, and with it whatever is written to standard output or stderr: lines
 * for a person in the middle of records, or sent to a client.
 */
#ifndef SERVER_STANDARD_FDS_H
#define SERVER_STANDARD_FDS_H

/*
 * Takes those of 0, 1 and 2 that are closed, so that nothing else gets them: a write to one still
 * fails with EBADF, and a program that is executed still finds it closed. In main(), before anything
 * is opened.
 */
void standard_fds_begin(void);

#endif
