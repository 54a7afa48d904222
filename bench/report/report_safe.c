/* SPDX-License-Identifier: MIT */
/* See report_safe.h. */
#include "report/report_safe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096 /* no name, reason or argument is longer */

/*
 * What is put in the place of a character, so that a reader still sees what was meant. Escapes would
 * not do: inside of a code span Markdown shows them as they are.
 */
static const char *instead_of(unsigned char c)
{
	switch (c) {
	case '<':
		return "\u2039";
	case '>':
		return "\u203a";
	case '`':
		return "'";
	case '|':
		return "\u00a6";
	case '\\':
		return "/";
	case '[':
		return "(";
	case ']':
		return ")";
	default:
		return c < 0x20 || c == 0x7f ? " " : NULL;
	}
}

static char *safe_text(const char *text)
{
	char *safe = NULL;
	size_t len;
	FILE *out = open_memstream(&safe, &len);

	if (!out)
		return NULL;
	for (size_t i = 0; text[i] && i < TEXT_MAX; i++) {
		const char *other = instead_of((unsigned char)text[i]);

		if (other)
			fputs(other, out);
		else
			fputc(text[i], out);
	}
	fclose(out);
	return safe;
}

static bool safe_array(json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (!report_make_safe(json_array_get(array, i)))
			return false;
	return true;
}

/* Keys are printed, too: the environment is shown as a table of them. */
static bool safe_object(json_t *object)
{
	json_t *renamed = json_object(), *value;
	const char *key;
	void *next;
	bool good = renamed != NULL;

	json_object_foreach_safe(object, next, key, value)
	{
		char *safe = safe_text(key);

		good = good && safe && report_make_safe(value);
		if (good && strcmp(safe, key)) {
			good = !json_object_set(renamed, safe, value);
			json_object_del(object, key);
		}
		free(safe);
	}
	good = good && !json_object_update_missing(object, renamed);
	json_decref(renamed);
	return good;
}

bool report_make_safe(json_t *value)
{
	char *safe;
	bool good;

	if (json_is_array(value))
		return safe_array(value);
	if (json_is_object(value))
		return safe_object(value);
	if (!json_is_string(value))
		return true;
	safe = safe_text(json_string_value(value));
	/* A text cut in the middle of a character is none: it is left out. */
	good = safe && (!json_string_set(value, safe) || !json_string_set(value, "(unreadable)"));
	free(safe);
	return good;
}
