/* SPDX-License-Identifier: MIT */
/* Names of cells, and their values by kind of axis. See cell.h. */
#include "cell/measurement.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const cell_loads[] = {
	[CELL_STORM] = "storm", [CELL_WRK] = "wrk", [CELL_LOADS] = NULL
};
const char *const cell_fd_tables[] = {
	[CELL_SHARED] = "shared", [CELL_PRIVATE] = "private", [CELL_FD_TABLES] = NULL
};
const char *const cell_levels[] = { [CELL_NO_LEVEL] = "",
				    [CELL_IDLE] = "idle",
				    [CELL_LIGHT] = "light",
				    [CELL_SATURATED] = "saturated",
				    [CELL_LEVELS] = NULL };
const char *const cell_outcomes[] = { [CELL_OK] = "ok",
				      [CELL_FAILED] = "failed",
				      [CELL_SKIPPED] = "skipped",
				      [CELL_OUTCOMES] = NULL };

void cell_append(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

static unsigned int value_of(const struct cell *cell, enum axis_kind kind)
{
	return cell->experiment->axis.kind == kind ? cell->value : 0;
}

unsigned int cell_option(const struct cell *cell)
{
	return value_of(cell, AXIS_OPTION);
}

unsigned int cell_neighbours(const struct cell *cell)
{
	return cell->experiment->axis.neighbours ? cell_option(cell) : 0;
}

unsigned int cell_rate_percent(const struct cell *cell)
{
	return value_of(cell, AXIS_RATE);
}

enum cell_level cell_level(const struct cell *cell)
{
	return (enum cell_level)value_of(cell, AXIS_LEVEL);
}

void cell_name(const struct cell *cell, char *text, size_t size)
{
	const struct experiment_axis *axis = &cell->experiment->axis;

	snprintf(text, size, "%s: %s workers=%u fd-table=%s load=%s", cell->experiment->name,
		 cell->accept, cell->workers, cell->fd_table, cell_loads[cell->load]);
	if (*cell->options)
		cell_append(text, size, " %s", cell->options);
	if (cell->unparked)
		cell_append(text, size, " park=0");
	if (cell_level(cell))
		cell_append(text, size, " %s=%s", axis->name, cell_levels[cell->value]);
	else if (cell->value)
		cell_append(text, size, " %s=%u%s", axis->name, cell->value,
			    axis->suffix ? axis->suffix : "");
	if (cell->instrument)
		cell_append(text, size, " instrument=%s", cell->instrument);
	if (cell->has_twin)
		cell_append(text, size, cell->unwatched ? " unwatched" : " watched");
}

bool cell_is_self_check(const struct cell *cell)
{
	return !strcmp(cell->accept, CELL_SELF_CHECK);
}
