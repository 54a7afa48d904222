/* SPDX-License-Identifier: MIT */
/* See report_svg.h. */
#include "report_svg.h"
#include "cell.h"
#include "record.h"

#include <string.h>

#define WIDTH	  820
#define LEFT	  300 /* of the bars; names stand before it */
#define BAR_SPACE 380
#define ROW	  22
#define TOP	  62

const struct report_chart report_charts[] = {
	{ "acquisitions", "Acquisitions of file_lock per connection", "", "lock",
	  "acquisitions_per_connection", 3 },
	{ "contentions", "Contentions of file_lock per 1000 connections", "", "lock",
	  "contentions_per_1000_connections", 2 },
	{ "rate", "Connections per second", "", "storm.result", "connections_per_s", 0 },
	{ "cpu", "Server CPU per connection", " us", "server", "cpu_us_per_connection", 1 },
};

const size_t report_n_charts = sizeof(report_charts) / sizeof(report_charts[0]);

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fprintf(out, "&lt;");
		else if (*text == '&')
			fprintf(out, "&amp;");
		else
			fputc(*text, out);
	}
}

/* One hue a path, the same in every picture. */
static const char *colour(const char *accept)
{
	static const struct {
		const char *accept, *colour;
	} colours[] = {
		{ "dup", "#2a7f62" },	    { "direct", "#4c78a8" }, { "install", "#b279a2" },
		{ "multishot", "#8a6d3b" }, { "epoll", "#c44e52" },  { "accept4", "#dd8452" },
		{ "dup3", "#937860" },
	};

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++)
		if (!strcmp(colours[i].accept, accept))
			return colours[i].colour;
	return "#777777";
}

static bool has_figure(const struct report_cell *cell, const struct report_chart *chart)
{
	return strcmp(record_text(cell->first, "cell", "accept"), CELL_SELF_CHECK) &&
	       report_summary(cell, chart->part, chart->key).n > 0;
}

static size_t extent(const struct report_machine *machine, const struct report_chart *chart,
		     double *most)
{
	size_t n = 0;

	*most = 0;
	for (size_t i = 0; i < machine->n_cells; i++) {
		struct summary s = report_summary(&machine->cells[i], chart->part, chart->key);

		if (!has_figure(&machine->cells[i], chart))
			continue;
		n++;
		if (s.max > *most)
			*most = s.max;
	}
	return n;
}

static void print_bar(FILE *out, const struct report_cell *cell, const struct report_chart *chart,
		      double y, double most)
{
	struct summary s = report_summary(cell, chart->part, chart->key);
	const char *accept = record_text(cell->first, "cell", "accept");
	const char *options = record_text(cell->first, "cell", "server_options");
	double scale = most > 0 ? BAR_SPACE / most : 0, workers = 0;

	record_number(cell->first, "cell", "workers", &workers);
	fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s, %.0f workers", LEFT - 8,
		y + 15, accept, workers);
	if (strcmp(record_text(cell->first, "cell", "fd_table"), "shared"))
		fprintf(out, ", %s table", record_text(cell->first, "cell", "fd_table"));
	if (*options) {
		fprintf(out, " ");
		print_escaped(out, options);
	}
	fprintf(out, "</text>\n");
	fprintf(out, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT,
		y + 3, s.median * scale, ROW - 6, colour(accept));
	if (s.n > 1)
		fprintf(out,
			"<path d=\"M%.1f %.1fv8M%.1f %.1fh%.1fM%.1f %.1fv8\" stroke=\"#000\"/>\n",
			LEFT + s.min * scale, y + 7, LEFT + s.min * scale, y + 11,
			(s.max - s.min) * scale, LEFT + s.max * scale, y + 7);
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%.*f%s</text>\n", LEFT + s.max * scale + 6,
		y + 15, chart->digits, s.median, chart->unit);
}

bool report_svg(FILE *out, const struct report_machine *machine, size_t index,
		const struct report_chart *chart)
{
	double most, y = TOP;
	size_t n = extent(machine, chart, &most);

	if (!n)
		return false;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"12\" y=\"22\" font-size=\"15\">%s</text>\n<text x=\"12\" y=\"42\">",
		WIDTH, TOP + n * ROW + 12, chart->title);
	fprintf(out, "machine %c: Linux ", (char)('A' + index % 26));
	print_escaped(out,
		      json_string_value(json_object_get(machine->environment, "kernel_release")));
	fprintf(out, ", virtualisation: ");
	print_escaped(out,
		      json_string_value(json_object_get(machine->environment, "virtualisation")));
	fprintf(out, "; median, smallest and largest run</text>\n");
	for (size_t i = 0; i < machine->n_cells; i++) {
		if (!has_figure(&machine->cells[i], chart))
			continue;
		print_bar(out, &machine->cells[i], chart, y, most);
		y += ROW;
	}
	fprintf(out, "</svg>\n");
	return true;
}
