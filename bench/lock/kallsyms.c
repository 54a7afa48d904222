/* SPDX-License-Identifier: MIT */
/* See kallsyms.h. */
#include "lock/kallsyms.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
	uint64_t address;
	char *name;
};

static struct symbol *symbols; /* by address; kept to the end of the program */
static size_t n_symbols;

static int by_address(const void *p, const void *q)
{
	uint64_t a = ((const struct symbol *)p)->address, b = ((const struct symbol *)q)->address;

	return (a > b) - (a < b);
}

static void add(uint64_t address, const char *name)
{
	if (!(n_symbols & (n_symbols - 1))) { /* doubles at every power of two */
		symbols = realloc(symbols, (n_symbols ? 2 * n_symbols : 1) * sizeof(*symbols));
		if (!symbols)
			abort();
	}
	symbols[n_symbols].address = address;
	symbols[n_symbols].name = strndup(name, strcspn(name, "."));
	if (!symbols[n_symbols++].name)
		abort();
}

static void read_all(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], kind, name[256];
	uint64_t address;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNx64 " %c %255s", &address, &kind, name) == 3 &&
		    (kind == 't' || kind == 'T' || kind == 'w' || kind == 'W') && address)
			add(address, name);
	if (file)
		fclose(file);
	if (n_symbols)
		qsort(symbols, n_symbols, sizeof(*symbols), by_address);
}

const char *kallsyms_name(uint64_t address)
{
	static int is_read;
	size_t low = 0, high;

	if (!is_read)
		read_all();
	is_read = 1;
	high = n_symbols;
	while (low < high) { /* the first one beyond the address */
		size_t middle = low + (high - low) / 2;

		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? symbols[low - 1].name : "?";
}
