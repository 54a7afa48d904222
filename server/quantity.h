/* SPDX-License-Identifier: MIT */
/*
 * Numbers as a person types them: one rule for the options of every program here. Digits, then at most
 * one suffix, and nothing else: no sign, no space, no fraction. false: TEXT is no such number, or one
 * that is too large.
 */
#ifndef SERVER_QUANTITY_H
#define SERVER_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/* "20k": k, M and G are thousands. */
bool quantity_count(const char *text, uint64_t *count);

/* "8K": K, M and G are powers of 1024. */
bool quantity_size(const char *text, uint64_t *bytes);

/* "200ms", in nanoseconds: ns, us, ms, s, m or h. Only 0 needs no unit: nobody has to guess what 5 is. */
bool quantity_time(const char *text, uint64_t *ns);

/* What is wanted in place of a number that one of these refused. */
#define QUANTITY_COUNT_WANTED "a whole number, with k, M or G at most"
#define QUANTITY_SIZE_WANTED  "a size, such as 8192, 8K or 1M"
#define QUANTITY_TIME_WANTED  "a time with a unit, such as 500ms, 10s or 1m"

#endif
