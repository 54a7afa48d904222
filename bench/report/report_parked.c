/* SPDX-License-Identifier: MIT */
/* For the experiment "park": the number of parked sockets, and the memory and sockets in use. */
#include "cell/cell.h"
#include "report/report_experiment.h"
#include "report/report_text.h"

#include <string.h>

/* A figure of the readings taken at one moment, over the repetitions. */
static void print_reading(FILE *out, const struct report_cell *cell, const char *when,
			  const char *key, const char *before)
{
	double value[256];
	size_t n = 0, i, k;
	json_t *record, *reading;

	json_array_foreach (cell->good, i, record) {
		json_t *readings = report_part(record, "server.readings"), *from = NULL, *to = NULL;

		json_array_foreach (readings, k, reading) {
			const char *moment = json_string_value(json_object_get(reading, "when"));

			if (moment && !strcmp(moment, when))
				to = json_object_get(reading, key);
			if (moment && before && !strcmp(moment, before))
				from = json_object_get(reading, key);
		}
		if (n < 256 && json_is_number(to) && (!before || json_is_number(from)))
			value[n++] = json_number_value(to) - json_number_value(from);
	}
	if (n)
		fprintf(out, "| %.0f ", stats_median(value, n));
	else
		fprintf(out, "| - ");
}

void report_parked(FILE *out, const struct report_machine *machine, const struct report_pivot *p)
{
	(void)machine;
	fprintf(out,
		"| path | level | parked under load | parked at the end | at most | swept | "
		"server memory more than at the start, KiB | sockets of the system under load, "
		"more than at the start | TCP memory under load, KiB |\n"
		"|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
	for (size_t r = 0; r < p->n_rows; r++) {
		for (size_t c = 0; c < p->n_columns; c++) {
			const struct report_cell *cell = p->cell[r][c][0];
			struct summary peak, swept;

			if (!cell)
				continue;
			peak = report_summary(cell, "server.totals", "parked_peak");
			swept = report_summary(cell, "server.totals", "swept");
			fprintf(out, "| `%s` | %s ", p->row[r], cell_levels[(int)p->column[c]]);
			print_reading(out, cell, "loaded", "parked_now", NULL);
			print_reading(out, cell, "after", "parked_now", NULL);
			fprintf(out, "| %.0f | %.0f ", peak.n ? peak.median : 0,
				swept.n ? swept.median : 0);
			print_reading(out, cell, "after", "rss_kib", "ready");
			print_reading(out, cell, "loaded", "sockets_used", "ready");
			print_reading(out, cell, "loaded", "tcp_memory_kib", NULL);
			fprintf(out, "|\n");
		}
	}
	fprintf(out, "\n");
}
