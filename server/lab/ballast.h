/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that are open and nothing else, as the idle connections of a busy server are: does a
 * full table make its lock slower? For measuring.
 */
#ifndef SERVER_BALLAST_H
#define SERVER_BALLAST_H

#include <stdbool.h>

/*
 * Opens N descriptors at the lowest free numbers, with GAPS free numbers spread evenly among them,
 * so that whoever takes the lowest free number has to look for it all over the table. They stay
 * open to the process's end. False, with a line said, when it cannot.
 */
bool ballast_open(unsigned n, unsigned gaps);

#endif
