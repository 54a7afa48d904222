/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that are open and do nothing, as most connections of a busy server: to measure
 * whether a full table makes its lock slower.
 */
#ifndef SERVER_BALLAST_H
#define SERVER_BALLAST_H

#include <stdbool.h>

/*
 * Opens N descriptors at the lowest free numbers, and leaves GAPS numbers free, spread evenly among
 * them, so that a search for the lowest free number has to go through the whole table. They stay
 * open until the process ends. False: the reason has been said.
 */
bool ballast_open(unsigned n, unsigned gaps);

#endif
