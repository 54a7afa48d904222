/* SPDX-License-Identifier: MIT */
/*
 * What this kernel can do, found out by doing it on a scratch ring. For DUP the opcode's number is
 * no proof: on another kernel it can belong to something else.
 */
#ifndef SERVER_PROBE_H
#define SERVER_PROBE_H

#include "accept/accept.h"

struct kernel {
	unsigned features; /* enum kernel_feature, or-ed */
	/* Why a feature is missing, for a person. */
	char ring[160];
	char install[160];
	char dup[160];
};

/* Tries everything out, and fills KERNEL. */
void probe_kernel(struct kernel *kernel);

/* Says on stderr why PATH cannot be had on this kernel, and what to do. */
void probe_explain(const struct kernel *kernel, const struct accept_path *path);

#endif
