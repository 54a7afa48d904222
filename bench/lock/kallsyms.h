/* SPDX-License-Identifier: MIT */
/* Names of kernel functions by address, from /proc/kallsyms. */
#ifndef BENCH_KALLSYMS_H
#define BENCH_KALLSYMS_H

#include <stdint.h>

/*
 * The function an address lies in, without what the compiler appends ("io_close.isra.0"), or "?"
 * where the kernel does not say (kptr_restrict, not root). Reads the file on the first call.
 */
const char *kallsyms_name(uint64_t address);

#endif
