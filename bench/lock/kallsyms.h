/* SPDX-License-Identifier: MIT */
/* Names of kernel functions by address, from /proc/kallsyms. */
#ifndef BENCH_KALLSYMS_H
#define BENCH_KALLSYMS_H

#include <stdint.h>

/*
 * Returns the name of the function that contains an address, without suffixes of the compiler (as
 * in "io_close.isra.0"), or "?" if the kernel hides addresses (kptr_restrict, not root). Reads the
 * file on the first call. The caller must not free the name.
 */
const char *kallsyms_name(uint64_t address);

#endif
