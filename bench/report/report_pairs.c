/* SPDX-License-Identifier: MIT */
/* See report_pairs.h. */
#include "report/report_pairs.h"
#include "cell/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- limits ---- */

static double number_of(json_t *record, const char *part, const char *key)
{
	json_t *number = json_object_get(report_part(record, part), key);

	return json_is_number(number) ? json_number_value(number) : NAN;
}

/* "0,2-3": 3 */
static double count_list(const char *text)
{
	double n = 0;

	while (*text) {
		char *end;
		long first = strtol(text, &end, 10), last = first;

		if (end == text)
			return NAN;
		if (*end == '-') {
			text = end + 1;
			last = strtol(text, &end, 10);
		}
		n += (double)(last - first + 1);
		text = end + (*end == ',');
		if (*end && *end != ',')
			return NAN;
	}
	return n;
}

/* CPUs that so many threads could use: those they were bound to, or all of the machine. */
static double usable_cpus(json_t *record, const char *key, double threads)
{
	const char *list = record_text(record, "cell", key);
	double cpus = *list ? count_list(list) : number_of(record, "environment", "cpus");

	return fmin(cpus, threads);
}

static struct limit_shares compute_shares(json_t *record)
{
	double rate = number_of(record, "storm.result", "connections_per_s");
	double client_us = number_of(record, "storm.result", "client_cpu_us_per_connection");
	double server_us = number_of(record, "server", "cpu_us_per_connection");
	double asked = number_of(record, "storm.load", "rate_per_s");
	double threads = number_of(record, "storm.load", "threads");
	double workers = number_of(record, "cell", "workers");
	struct limit_shares shares = { .late = 0 };

	shares.client = client_us * rate / 1e6 / usable_cpus(record, "client_cpus", threads);
	shares.server = server_us * rate / 1e6 / usable_cpus(record, "server_cpus", workers);
	if (asked > 0)
		shares.late = number_of(record, "storm.result", "late") /
			      number_of(record, "storm.result", "started");
	return shares;
}

struct limit_shares report_shares(json_t *record)
{
	if (!json_is_object(json_object_get(record, "limit")))
		return compute_shares(record);
	return (struct limit_shares){
		.client = number_of(record, "limit", "client_cpu_share"),
		.server = number_of(record, "limit", "server_cpu_share"),
		.late = number_of(record, "limit", "late_share"),
	};
}

struct limit_shares report_cell_shares(const struct report_cell *cell)
{
	size_t n = json_array_size(cell->good);
	double *client = calloc(3 * (n + 1), sizeof(*client));
	double *server = client + n, *late = server + n;
	struct limit_shares shares;

	if (!client)
		abort();
	for (size_t i = 0; i < n; i++) {
		shares = report_shares(json_array_get(cell->good, i));
		client[i] = shares.client;
		server[i] = shares.server;
		late[i] = shares.late;
	}
	/* one that is not known makes the median unknown */
	shares = (struct limit_shares){ stats_median(client, n), stats_median(server, n),
					stats_median(late, n) };
	for (size_t i = 0; i < n; i++) {
		shares.client = isnan(client[i]) ? NAN : shares.client;
		shares.server = isnan(server[i]) ? NAN : shares.server;
		shares.late = isnan(late[i]) ? NAN : shares.late;
	}
	free(client);
	return shares;
}

enum limit report_limit(const struct report_cell *cell)
{
	struct limit_shares shares = report_cell_shares(cell);

	return limit_of(&shares);
}

/* ---- pairs ---- */

static bool is_rate(const struct report_figure *f)
{
	return f == &figure_rate || f == &figure_requests;
}

static bool is_count(const struct report_figure *f)
{
	return !strcmp(f->part, "lock");
}

static const char *text_of(json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return text ? text : "";
}

/* Of one run and one pass of it. */
static bool same_pass(json_t *a, json_t *b)
{
	return !strcmp(text_of(a, REPORT_FILE_KEY), text_of(b, REPORT_FILE_KEY)) &&
	       number_of(a, "run", "seed") == number_of(b, "run", "seed") &&
	       number_of(a, "cell", "repetition") == number_of(b, "cell", "repetition");
}

static bool same_pair(json_t *a, json_t *b)
{
	const char *pair = record_text(a, "cell", "pair");

	return *pair && !strcmp(pair, record_text(b, "cell", "pair"));
}

static double distance(json_t *a, json_t *b)
{
	return fabs(json_number_value(json_object_get(a, REPORT_INDEX_KEY)) -
		    json_number_value(json_object_get(b, REPORT_INDEX_KEY)));
}

/* The run of `base` that belongs to this one: its partner, or else the nearest of the same pass. */
static json_t *partner_of(json_t *record, const struct report_cell *base)
{
	json_t *best = NULL, *other;
	size_t i;

	json_array_foreach (base->good, i, other) {
		if (!same_pass(record, other))
			continue;
		if (same_pair(record, other))
			return other;
		if (!best || distance(record, other) < distance(record, best))
			best = other;
	}
	return best;
}

static bool is_steady(json_t *record)
{
	return !json_is_false(json_object_get(json_object_get(record, "warm_up"), "steady"));
}

struct report_pairs report_pairs(const struct report_cell *cell, const struct report_cell *base,
				 const struct report_figure *f, enum report_half half)
{
	size_t most = json_array_size(cell->good), found = 0;
	struct report_pairs pairs = { .a = calloc(most + 1, sizeof(double)),
				      .b = calloc(most + 1, sizeof(double)) };

	if (!pairs.a || !pairs.b)
		abort();
	for (size_t i = 0; i < most; i++) {
		json_t *record = json_array_get(cell->good, i);
		json_t *other = partner_of(record, base);
		double a = number_of(record, f->part, f->key);
		double b = other ? number_of(other, f->part, f->key) : NAN;

		if (isnan(a) || isnan(b) ||
		    (!is_count(f) && !(is_steady(record) && is_steady(other))))
			continue;
		found++;
		if (half != ALL_PAIRS && (found % 2 == 1) != (half == CHOOSING_HALF))
			continue;
		pairs.a[pairs.n] = a;
		pairs.b[pairs.n++] = b;
	}
	return pairs;
}

void report_pairs_free(struct report_pairs *pairs)
{
	free(pairs->a);
	free(pairs->b);
}

/* ---- verdicts ---- */

static bool is_of_emulated_cpu(const struct report_cell *cell)
{
	return !report_has_times(json_object_get(cell->first, "environment"));
}

enum report_verdict report_compare_half(const struct report_cell *cell,
					const struct report_cell *base,
					const struct report_figure *f, enum report_half half,
					double miss, struct ratio *ratio)
{
	struct report_pairs pairs;
	bool good;

	if (!cell || !base || cell == base)
		return NOT_COMPARED;
	pairs = report_pairs(cell, base, f, half);
	good = stats_of_pairs(pairs.a, pairs.b, pairs.n, miss, ratio);
	report_pairs_free(&pairs);
	if (!good)
		return NOT_COMPARED;
	if (!is_count(f) && is_of_emulated_cpu(cell))
		return EMULATED_TIME;
	if (is_rate(f) &&
	    (report_limit(cell) != LIMIT_SERVER || report_limit(base) != LIMIT_SERVER))
		return CLIENT_LIMITED;
	if (!is_rate(f) && !is_count(f) && f != &figure_cpu &&
	    (report_limit(cell) == LIMIT_CLIENT || report_limit(base) == LIMIT_CLIENT))
		return CLIENT_LIMITED; /* latency: it waited for the client */
	if (ratio->n < STATS_PAIRS_MIN)
		return TOO_FEW_PAIRS;
	if (!ratio->claim)
		return NO_CLAIM;
	return ratio->high < 1 ? CLAIM_LESS : CLAIM_MORE;
}

enum report_verdict report_compare(const struct report_cell *cell, const struct report_cell *base,
				   const struct report_figure *f, double miss, struct ratio *ratio)
{
	return report_compare_half(cell, base, f, ALL_PAIRS, miss, ratio);
}

bool report_has_interval(enum report_verdict verdict)
{
	return verdict >= NO_CLAIM;
}

void report_print_ratio(FILE *out, const struct report_cell *cell, const struct report_cell *base,
			const struct report_figure *f, double miss)
{
	struct ratio r;
	int digits;

	switch (report_compare(cell, base, f, miss, &r)) {
	case NOT_COMPARED:
		fprintf(out, "-");
		break;
	case CLIENT_LIMITED:
		fprintf(out, "not the server's");
		break;
	case EMULATED_TIME:
		fprintf(out, "emulated");
		break;
	case TOO_FEW_PAIRS:
		fprintf(out, "%.2f, %zu pairs: no verdict", r.value, r.n);
		break;
	case NO_CLAIM:
		fprintf(out, "%.2f (%.2f to %.2f)", r.value, r.low, r.high);
		break;
	default:
		/* a claim leaves out 1, and has to look so */
		digits = fabs(r.low - 1) < 0.005 || fabs(r.high - 1) < 0.005 ? 4 : 2;
		fprintf(out, "**%.*f** (%.*f to %.*f)", digits, r.value, digits, r.low, digits,
			r.high);
	}
}

void report_print_level(FILE *out, size_t n)
{
	if (n > 1)
		fprintf(out, " (intervals of 95 %% for all %zu together, %.4g %% each)", n,
			100 * (1 - STATS_MISS / (double)n));
	else
		fprintf(out, " (95 %% interval)");
}
