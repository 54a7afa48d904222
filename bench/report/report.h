/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "option.h"
#include "report/report_data.h"

#include <stdio.h>

struct report_files {
	const char *const *in; /* the records' files, for the text */
	size_t n_in;
	const char *csv;		   /* NULL: there is none */
	const char *charts;		   /* the plots' folder; NULL: there are none */
	const char *out;		   /* the report itself */
	const char *page;		   /* the page before it; NULL: there is none */
	const char *csv_seen, *plots;	   /* the same as seen from the report */
	const char *out_seen, *plots_seen; /* the same as seen from the page */
	const struct text_list
		*flames; /* folders of flame graphs, and what is in their summaries */
	json_t *flame_summaries;
	json_t *opcode;	      /* records of the opcode alone: report_opcode.h */
	json_t *instructions; /* report_instructions.h */
};

/* Markdown, from the records and nothing else: the same records give the same bytes. */
void report_markdown(FILE *out, const struct report_data *data, const struct report_files *files);

/* One page, of at most 120 lines, that says what most readers want to know. */
void report_page(FILE *out, const struct report_data *data, const struct report_files *files);

/* The experiments, a part of the report. */
void report_sections(FILE *out, const struct report_data *data, const char *plots);

/* Who takes the lock, on one machine: a part of the report. */
void report_callers(FILE *out, const struct report_machine *machine);

/* What options of the server bring, each over its default: a part of the report. */
void report_options_tried(FILE *out, const struct report_data *data);

/* One line a record. */
void report_csv(FILE *out, json_t *records);

int report_command(int argc, char **argv);
int compare_command(int argc, char **argv);
int dearer_command(int argc, char **argv);

/* Records by their kind, each an array; NULL: such records are refused. */
struct report_records {
	json_t *cells;
	json_t *opcode;	      /* of operations on an fd table alone: report_opcode.h */
	json_t *instructions; /* report_instructions.h */
};

/*
 * Appends the records of a file, and notes the file in those of cells. false: said why on stderr, as
 * "accept-bench COMMAND: ..."
 */
bool report_read(const char *command, const char *path, const struct report_records *records);

#endif
