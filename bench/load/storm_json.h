/* SPDX-License-Identifier: MIT */
/* Options and result of storm as JSON; `accept-bench storm` and records have the same format. */
#ifndef BENCH_STORM_JSON_H
#define BENCH_STORM_JSON_H

#include "load/storm.h"

#include <jansson.h>

json_t *storm_options_json(const struct storm_options *options, const struct storm_load *load);
json_t *storm_result_json(const struct storm_result *result);

#endif
