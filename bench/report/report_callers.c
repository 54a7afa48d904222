/* SPDX-License-Identifier: MIT */
/* The part of the report about the functions that take the lock, from the instrument "calls". */
#include "cell/record.h"
#include "plan/experiments.h"
#include "report/report.h"
#include "report/report_pivot.h"

#include <string.h>

static json_t *callers_of(const struct report_cell *cell)
{
	return json_object_get(report_part(cell->first, "lock"), "callers");
}

static void print_callers_of(FILE *out, const struct report_cell *cell)
{
	char label[PIVOT_LABEL];
	json_t *caller;
	size_t i;

	report_label(cell->first, label, sizeof(label));
	json_array_foreach (callers_of(cell), i, caller)
		fprintf(out, "| `%s` | `%s` | `%s` | %.3f |\n", label,
			json_string_value(json_object_get(caller, "function")),
			json_string_value(json_object_get(caller, "chain")),
			json_number_value(json_object_get(caller, "calls_per_connection")));
}

void report_callers(FILE *out, const struct report_machine *machine)
{
	bool any = false;

	for (size_t i = 0; i < machine->n_cells; i++) {
		const struct report_cell *cell = &machine->cells[i];

		if (strcmp(report_experiment(cell->first), EXPERIMENT_PATHS) ||
		    !json_array_size(callers_of(cell)))
			continue;
		if (!any)
			fprintf(out,
				"### Who takes the lock: %s\n\nFunctions that take "
				"file_lock, and from where they were called, in one run of each path.\n\n"
				"<details><summary>Table</summary>\n\n"
				"| path | function | called from | calls per connection |\n"
				"|---|---|---|--:|\n",
				machine->name);
		any = true;
		print_callers_of(out, cell);
	}
	if (any)
		fprintf(out, "\n</details>\n\n");
}
