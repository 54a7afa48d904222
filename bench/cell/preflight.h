/* SPDX-License-Identifier: MIT */
/*
 * Checks the machine for what would distort a measurement or is needed to interpret it: governor,
 * turbo, SMT, ports, queues, limits, virtualisation, clock, other load.
 *
 * Levels: "fatal": nothing can be measured. "hint": the figures are less reliable, and the text says
 * how to fix it. "info": a fact, nothing to fix.
 */
#ifndef BENCH_PREFLIGHT_H
#define BENCH_PREFLIGHT_H

#include <jansson.h>

/* A new array [{check, level, text}]. Takes 0.2 s, during which the load of other programs is measured. */
json_t *preflight_json(void);

/* `accept-bench preflight`: prints the checks; exit code 1 if one is fatal. */
int preflight_command(int argc, char **argv);

#endif
