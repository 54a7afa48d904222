/* SPDX-License-Identifier: MIT */
/* See report_plot.h. */
#include "report/report_plot.h"
#include "cell/path.h"
#include "plan/experiments.h"
#include "report/report_text.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDTH  800
#define HEIGHT 320
#define ROW    26 /* of a bar, in pixels */

/* One colour a path, the same in every picture; what differs in more than the path is dashed. */
static const char *colour(const char *label)
{
	char accept[PIVOT_LABEL];
	enum path_id path;

	snprintf(accept, sizeof(accept), "%.*s", (int)strcspn(label, ","), label);
	path = path_rank(accept);
	return path < PATHS && paths[path].colour ? paths[path].colour : "#777777";
}

static struct summary figure_at(const struct report_pivot *p, size_t row, size_t column,
				const struct experiment_plot *plot)
{
	return report_figure_of(report_pivot_cell(p, row, column, plot->figure), plot->figure);
}

static size_t count_figures(const struct report_pivot *p, const struct experiment_plot *plot)
{
	size_t n = 0, main = report_main_column(p);

	for (size_t r = 0; r < p->n_rows; r++)
		for (size_t c = 0; c < p->n_columns; c++)
			n += (!plot->bars || c == main) && figure_at(p, r, c, plot).n > 0;
	return n;
}

/* Is there something to draw? One figure is no picture, nor are lines of one point. */
static bool has_plot(const struct report_machine *machine, const struct experiment *experiment,
		     const struct experiment_plot *plot, struct report_pivot *p)
{
	bool counts = report_counts_locks(machine);

	if (report_is_emulated(machine) && strcmp(plot->figure->part, "lock"))
		return false; /* no times that are a CPU's */
	return (counts ? plot->on_counting : plot->elsewhere) &&
	       report_pivot_main(machine, experiment->name, p) && count_figures(p, plot) > 1 &&
	       (plot->bars || p->n_columns > 1);
}

static void plot_name(const struct experiment_plot *plot, size_t machine, char *name, size_t size)
{
	snprintf(name, size, "%s-%zu.svg", plot->name, machine + 1);
}

/* In gnuplot's single quotes nothing is special but the quote; "_" is, to the text of a title. */
static void print_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text; text++)
		fprintf(out, *text == '\'' ? "''" : "%c", *text);
	fputc('\'', out);
}

static void print_head(FILE *out, const struct experiment_plot *plot,
		       const struct report_machine *machine, const struct report_pivot *p,
		       int height)
{
	fprintf(out,
		"set encoding utf8\n"
		"set terminal svg size %d,%d enhanced font 'sans-serif,12' background '#ffffff'\n"
		"set title \"",
		WIDTH, height);
	for (const char *c = plot->title; *c; c++)
		fprintf(out, *c == '_' ? "\\\\_" : "%c", *c);
	fprintf(out, "\\n{/*0.8 ");
	for (const char *c = machine->name; *c; c++)
		fprintf(out, strchr("_^@&~{}\"\\", *c) ? " " : "%c", *c);
	if (plot->bars)
		fprintf(out, ", %.0f worker%s", p->column[report_main_column(p)],
			p->column[report_main_column(p)] == 1 ? "" : "s");
	fprintf(out, "}\\n{/*0.8 median, smallest and largest run}\"\n"
		     "set border 3 lc '#888888'\nset tics nomirror out tc '#222222'\n"
		     "set grid lc '#dddddd'\n");
}

static void print_bars(FILE *out, const struct experiment_plot *plot,
		       const struct report_machine *machine, const struct report_pivot *p)
{
	size_t column = report_main_column(p), n = count_figures(p, plot), y = n;

	print_head(out, plot, machine, p, 110 + (int)n * ROW);
	fprintf(out,
		"unset key\nset xrange [0:*]\nset yrange [0.4:%zu.6]\nset grid noytics xtics\n"
		"set ytics noenhanced (",
		n);
	for (size_t r = 0; r < p->n_rows; r++) {
		if (!figure_at(p, r, column, plot).n)
			continue;
		fprintf(out, "%s", y == n ? "" : ", ");
		print_quoted(out, p->row[r]);
		fprintf(out, " %zu", y--);
	}
	fprintf(out, ")\n$d << EOD\n");
	y = n;
	for (size_t r = 0; r < p->n_rows; r++) {
		struct summary s = figure_at(p, r, column, plot);

		if (!s.n)
			continue;
		fprintf(out, "%.6g %zu %.6g %.6g %s %.*f\n", s.median, y, s.min, s.max,
			colour(p->row[r]), plot->figure->digits > 2 ? 2 : plot->figure->digits,
			s.median);
		y--;
	}
	fprintf(out,
		"EOD\nset style fill solid 0.85 noborder\n"
		"rgb(s) = int('0x'.substr(s,2,7))\n"
		"set rmargin 10\n"
		"plot $d using (0.5*$1):2:(0.5*$1):(0.32):(rgb(strcol(5))) with boxxyerror lc rgb variable, "
		"$d using 1:2:3:4 with xerrorbars lc '#000000' pt -1, "
		"$d using 4:2:6 with labels left offset 0.8,0 tc '#222222'\n");
}

static void print_lines(FILE *out, const struct experiment *experiment,
			const struct experiment_plot *plot, const struct report_machine *machine,
			const struct report_pivot *p)
{
	double step = p->column[p->n_columns - 1] - p->column[0];
	const char *separator = "plot ";

	print_head(out, plot, machine, p, HEIGHT);
	for (size_t r = 0; r < p->n_rows; r++) {
		fprintf(out, "$d%zu << EOD\n", r);
		for (size_t c = 0; c < p->n_columns; c++) {
			struct summary s = figure_at(p, r, c, plot);

			/* Beside each other, so that no error bar hides another. */
			if (s.n)
				fprintf(out, "%.6g %.6g %.6g %.6g\n",
					p->column[c] +
						step * 0.008 * ((double)r - (double)p->n_rows / 2),
					s.median, s.min, s.max);
		}
		fprintf(out, "EOD\n");
	}
	fprintf(out, "set key outside right noenhanced\nset xlabel '%s'\nset yrange [0:*]\n",
		experiment->axis.label);
	fprintf(out, "set xrange [%.6g:%.6g]\nset xtics (", p->column[0] - 0.06 * step,
		p->column[p->n_columns - 1] + 0.06 * step);
	for (size_t c = 0; c < p->n_columns; c++)
		fprintf(out, "%s%.6g", c ? ", " : "", p->column[c]);
	fprintf(out, ")\n");
	for (size_t r = 0; r < p->n_rows; r++) {
		bool any = false;

		for (size_t c = 0; c < p->n_columns; c++)
			any = any || figure_at(p, r, c, plot).n;
		if (!any)
			continue;
		fprintf(out,
			"%s$d%zu using 1:2:3:4 with yerrorlines lw 1.5 pt 7 ps 0.5 dt %d lc '%s' title ",
			separator, r, strchr(p->row[r], ',') ? 2 : 1, colour(p->row[r]));
		print_quoted(out, p->row[r]);
		separator = ", ";
	}
	fprintf(out, "\n");
}

/* ---- gnuplot ---- */

static int start_gnuplot(int script, int to, pid_t *pid)
{
	/* -d: nobody's own settings */
	char *argv[] = { "gnuplot", "-d", NULL };
	posix_spawn_file_actions_t actions;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	error = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static char *read_all(int fd, size_t *len)
{
	char *text = NULL, buffer[4096];
	FILE *memory = open_memstream(&text, len);
	ssize_t n;

	while (memory && ((n = read(fd, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			fwrite(buffer, 1, (size_t)n, memory);
	if (memory)
		fclose(memory);
	return text;
}

bool report_run_gnuplot(const char *script, size_t script_len, char **svg, size_t *len, char *why,
			size_t why_len)
{
	int file = memfd_create("plot", MFD_CLOEXEC), out = memfd_create("svg", MFD_CLOEXEC);
	int status = 0, error = EIO;
	pid_t pid;

	*svg = NULL;
	if (file >= 0 && out >= 0 && write(file, script, script_len) == (ssize_t)script_len &&
	    lseek(file, 0, SEEK_SET) == 0)
		error = start_gnuplot(file, out, &pid);
	if (error) {
		snprintf(
			why, why_len,
			"cannot run gnuplot, which draws the plots: %s; install gnuplot-nox, or leave "
			"--charts out",
			strerror(error));
	} else if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
		snprintf(why, why_len, "gnuplot failed (status %#x); what it said is above",
			 status);
	} else if (lseek(out, 0, SEEK_SET) == 0) {
		*svg = read_all(out, len);
		if (!*svg || *len < 100 || !strstr(*svg, "</svg>")) {
			snprintf(why, why_len, "gnuplot drew nothing; has it the terminal svg?");
			free(*svg);
			*svg = NULL;
		}
	}
	if (file >= 0)
		close(file);
	if (out >= 0)
		close(out);
	return *svg != NULL;
}

static bool draw(const struct experiment *experiment, const struct experiment_plot *plot,
		 const struct report_machine *machine, const struct report_pivot *p, char **svg,
		 size_t *len, char *why, size_t why_len)
{
	char *script = NULL;
	size_t script_len;
	FILE *out = open_memstream(&script, &script_len);
	bool good;

	if (plot->bars)
		print_bars(out, plot, machine, p);
	else
		print_lines(out, experiment, plot, machine, p);
	fclose(out);
	good = report_run_gnuplot(script, script_len, svg, len, why, why_len);
	free(script);
	return good;
}

int report_plot(const struct report_data *data, size_t index, char *name, size_t name_size,
		char **svg, size_t *len, char *why, size_t why_len)
{
	struct report_pivot p;

	for (size_t m = 0; m < data->n_machines; m++) {
		for (size_t i = 0; i < n_experiments * EXPERIMENT_PLOTS; i++) {
			const struct experiment *experiment = &experiments[i / EXPERIMENT_PLOTS];
			const struct experiment_plot *plot =
				&experiment->plots[i % EXPERIMENT_PLOTS];

			if (!plot->name || !has_plot(&data->machines[m], experiment, plot, &p) ||
			    index--)
				continue;
			plot_name(plot, m, name, name_size);
			return draw(experiment, plot, &data->machines[m], &p, svg, len, why,
				    why_len)
				       ? 1
				       : -1;
		}
	}
	return 0;
}

void report_plot_links(FILE *out, const struct report_machine *machine, size_t index,
		       const struct experiment *experiment, const char *folder)
{
	struct report_pivot p;
	char name[64];

	for (size_t i = 0; i < EXPERIMENT_PLOTS && experiment->plots[i].name; i++) {
		const struct experiment_plot *plot = &experiment->plots[i];

		if (!has_plot(machine, experiment, plot, &p))
			continue;
		plot_name(plot, index, name, sizeof(name));
		fprintf(out, "![%s, %s](%s%s%s)\n\n", plot->title, machine->name, folder,
			*folder ? "/" : "", name);
	}
}
