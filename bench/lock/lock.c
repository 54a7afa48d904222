/* SPDX-License-Identifier: MIT */
/* Chooses the instruments and combines their figures. See lock.h. */
#include "lock/lock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * In the order of what they see. The first sees everything; the next two are taken together; the
 * last needs the kernel that the first one does, sees less, costs more and tells whose it was: it
 * is for those who name it.
 */
static const struct lock_instrument *const instruments[] = {
	&lock_stat_instrument,
	&lock_calls_instrument,
	&lock_contention_instrument,
	&lock_events_instrument,
};

#define N_INSTRUMENTS (sizeof(instruments) / sizeof(instruments[0]))

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
							 const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

static void add_part(struct lock_watch *watch, const struct lock_instrument *part)
{
	const char *comma = watch->n ? "; " : "";

	append(watch->name, sizeof(watch->name), "%s%s", watch->n ? "+" : "", part->name);
	append(watch->scope, sizeof(watch->scope), "%s%s", comma, part->scope);
	append(watch->blind, sizeof(watch->blind), "%s%s: %s", comma, part->name, part->blind);
	watch->one_process |= part->one_process;
	watch->part[watch->n++] = *part;
}

bool lock_start(struct lock_watch *watch, const char *name, struct procfile *files, char *why,
		size_t why_len)
{
	snprintf(why, why_len, "not visible on this kernel because");
	memset(watch, 0, sizeof(*watch));
	for (size_t i = 0; i < N_INSTRUMENTS && watch->n < LOCK_PARTS_MAX; i++) {
		struct lock_instrument part = *instruments[i];
		char reason[512];

		if (name ? strcmp(name, part.name) : instruments[i] == &lock_events_instrument)
			continue;
		part.files = files;
		if (part.start(&part, reason, sizeof(reason)))
			append(why, why_len, "%s %s", i && !name ? "; and" : "", reason);
		else
			add_part(watch, &part);
		if (i == 0 && watch->n)
			break;
	}
	return watch->n > 0;
}

void lock_aim(struct lock_watch *watch, pid_t server)
{
	for (size_t i = 0; i < watch->n; i++)
		watch->part[i].aim(&watch->part[i], server);
}

/* No two parts see the same figure, so the sum is the one that is seen. */
bool lock_read(struct lock_watch *watch, struct lock_counts *counts, char *why, size_t why_len)
{
	memset(counts, 0, sizeof(*counts));
	for (size_t i = 0; i < watch->n; i++) {
		struct lock_counts part;

		if (watch->part[i].read(&watch->part[i], &part, why, why_len))
			return false;
		counts->seen |= part.seen;
		counts->acquisitions += part.acquisitions;
		counts->contentions += part.contentions;
		counts->wait_ns += part.wait_ns;
		counts->hold_ns += part.hold_ns;
		counts->neighbour_acquisitions += part.neighbour_acquisitions;
		counts->neighbour_contentions += part.neighbour_contentions;
		counts->neighbour_wait_ns += part.neighbour_wait_ns;
	}
	return true;
}

size_t lock_callers(struct lock_watch *watch, struct lock_caller *callers, size_t max)
{
	for (size_t i = 0; i < watch->n; i++)
		if (watch->part[i].callers)
			return watch->part[i].callers(&watch->part[i], callers, max);
	return 0;
}

void lock_stop(struct lock_watch *watch)
{
	for (size_t i = 0; i < watch->n; i++)
		watch->part[i].stop(&watch->part[i]);
	watch->n = 0;
}

struct lock_counts lock_difference(const struct lock_counts *before,
				   const struct lock_counts *after)
{
	return (struct lock_counts){
		.seen = before->seen & after->seen,
		.acquisitions = after->acquisitions - before->acquisitions,
		.contentions = after->contentions - before->contentions,
		.wait_ns = after->wait_ns - before->wait_ns,
		.hold_ns = after->hold_ns - before->hold_ns,
		.neighbour_acquisitions =
			after->neighbour_acquisitions - before->neighbour_acquisitions,
		.neighbour_contentions =
			after->neighbour_contentions - before->neighbour_contentions,
		.neighbour_wait_ns = after->neighbour_wait_ns - before->neighbour_wait_ns,
	};
}
