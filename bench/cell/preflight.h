/* SPDX-License-Identifier: MIT */
/*
 * What of this machine would spoil a measurement, or should be known beside it: governor, turbo,
 * SMT, ports, queues, limits, virtualisation, clock, other load.
 *
 * fatal: nothing can be measured. hint: the figures suffer, the text says what to do. info: as it
 * is.
 */
#ifndef BENCH_PREFLIGHT_H
#define BENCH_PREFLIGHT_H

#include <jansson.h>

/* [{check, level, text}]; takes a fifth of a second, in which it looks what else is running. */
json_t *preflight_json(void);

/* `accept-bench preflight`: prints it; exit code 1 when something is fatal. */
int preflight_command(int argc, char **argv);

#endif
