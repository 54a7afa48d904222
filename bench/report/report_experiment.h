/* SPDX-License-Identifier: MIT */
/* What sections of some experiments have beside their tables; see struct experiment's `more`. */
#ifndef BENCH_REPORT_EXPERIMENT_H
#define BENCH_REPORT_EXPERIMENT_H

#include "report/report_pivot.h"

#include <stdio.h>

/* What this project set itself: the path that takes the least CPU beside the peers. */
void report_targets(FILE *out, const struct report_machine *machine, const struct report_pivot *p);

/* What is parked, by level. */
void report_parked(FILE *out, const struct report_machine *machine, const struct report_pivot *p);

#endif
