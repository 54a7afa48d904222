/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "option.h"
#include "report/report_data.h"

#include <stdio.h>

struct report_files {
	const char *const *in; /* files of records, as named in the report's text */
	size_t n_in;
	const char *csv;		   /* NULL: no CSV file */
	const char *charts;		   /* folder of the plots; NULL: no plots */
	const char *out;		   /* the report */
	const char *page;		   /* the summary page; NULL: none */
	const char *csv_seen, *plots;	   /* csv and charts, relative to the report */
	const char *out_seen, *plots_seen; /* out and charts, relative to the page */
	const struct text_list
		*flames; /* folders of flame graphs; flame_summaries: their summaries */
	json_t *flame_summaries;
	json_t *opcode;	      /* records of the opcode without a server: report_opcode.h */
	json_t *instructions; /* report_instructions.h */
};

/* Prints the report as Markdown. It depends on the records alone: the same records give the same bytes. */
void report_markdown(FILE *out, const struct report_data *data, const struct report_files *files);

/* Prints a summary for most readers, of at most 120 lines of Markdown. */
void report_page(FILE *out, const struct report_data *data, const struct report_files *files);

/* The part of the report about the experiments: a section for each. */
void report_sections(FILE *out, const struct report_data *data, const char *plots);

/* The part of the report about the functions that take the lock, on one machine. */
void report_callers(FILE *out, const struct report_machine *machine);

/* The part of the report about options of the server, each compared with its default. */
void report_options_tried(FILE *out, const struct report_data *data);

/* Prints the records as CSV, one line per record. */
void report_csv(FILE *out, json_t *records);

int report_command(int argc, char **argv);
int compare_command(int argc, char **argv);
int dearer_command(int argc, char **argv);

/* Arrays of records by kind; NULL: records of that kind are an error. */
struct report_records {
	json_t *cells;
	json_t *opcode;	      /* of operations on an fd table without a server: report_opcode.h */
	json_t *instructions; /* report_instructions.h */
};

/*
 * Appends the records of a file to the arrays, and stores the name of the file in records of cells.
 * Returns false after printing the reason to stderr as "accept-bench COMMAND: ...".
 */
bool report_read(const char *command, const char *path, const struct report_records *records);

#endif
