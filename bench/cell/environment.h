/* SPDX-License-Identifier: MIT */
/* What a figure was measured on: kernel, CPU, virtualisation, limits, revision of this program. */
#ifndef BENCH_ENVIRONMENT_H
#define BENCH_ENVIRONMENT_H

#include "procfile.h"

#include <jansson.h>

/* With what preflight.h finds under "preflight". */
json_t *environment_json(struct procfile *files);

#define ENVIRONMENT_USER_MODE_LINUX "user-mode Linux"

/* "none", or the hypervisor's name; the one above where the kernel is a program of its host. */
void environment_virtualisation(char *text, size_t size);

#endif
