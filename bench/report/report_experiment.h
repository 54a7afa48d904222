/* SPDX-License-Identifier: MIT */
/* Functions for the member `more` of struct experiment: what a section has besides its tables. */
#ifndef BENCH_REPORT_EXPERIMENT_H
#define BENCH_REPORT_EXPERIMENT_H

#include "report/report_pivot.h"

#include <stdio.h>

/* The project's targets: compares the path with the lowest CPU time to the peers. */
void report_targets(FILE *out, const struct report_machine *machine, const struct report_pivot *p);

/* Number of parked sockets, and their memory, by load level. */
void report_parked(FILE *out, const struct report_machine *machine, const struct report_pivot *p);

#endif
