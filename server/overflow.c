/* SPDX-License-Identifier: MIT */
#include "overflow.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 64 };

static bool make_room(struct overflow *o)
{
	uint32_t size = o->size ? o->size * 2 : FIRST_SIZE;
	int *more;

	if (o->first && o->first >= o->size / 2) {
		memmove(o->descriptors, o->descriptors + o->first, o->n * sizeof(*o->descriptors));
		o->first = 0;
		return true;
	}
	more = realloc(o->descriptors, size * sizeof(*more));
	if (!more)
		return false;
	o->descriptors = more;
	o->size = size;
	return true;
}

bool overflow_add(struct overflow *o, int descriptor)
{
	if (o->first + o->n == o->size && !make_room(o))
		return false;
	o->descriptors[o->first + o->n++] = descriptor;
	return true;
}

int overflow_take(struct overflow *o)
{
	if (!o->n)
		return -1;
	o->n--;
	return o->descriptors[o->first++];
}

void overflow_free(struct overflow *o)
{
	free(o->descriptors);
	*o = (struct overflow){ 0 };
}
