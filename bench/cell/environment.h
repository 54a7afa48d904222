/* SPDX-License-Identifier: MIT */
/*
 * Describes where figures were measured: kernel, CPU, virtualisation, limits, revision of this
 * program.
 */
#ifndef BENCH_ENVIRONMENT_H
#define BENCH_ENVIRONMENT_H

#include "procfile.h"

#include <jansson.h>

/* A new object; its key "preflight" has the result of preflight_json(). */
json_t *environment_json(struct procfile *files);

#define ENVIRONMENT_USER_MODE_LINUX "user-mode Linux"

/*
 * Writes "none", the name of the hypervisor, or ENVIRONMENT_USER_MODE_LINUX if the kernel is
 * user-mode Linux.
 */
void environment_virtualisation(char *text, size_t size);

#endif
