/* SPDX-License-Identifier: MIT */
/*
 * Checks an HTTP/1.1 answer byte by byte: status line, syntax of every header line, length, body.
 * Apart from the value of Date, the head must be the same in all answers that are checked with one
 * struct http_check.
 *
 * Not supported, and reported as bad: chunked answers, answers without Content-Length, folded
 * headers.
 */
#ifndef BENCH_HTTP_CHECK_H
#define BENCH_HTTP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX 4096

enum http_verdict {
	HTTP_MORE,	  /* correct so far, but incomplete */
	HTTP_GOOD,	  /* one complete answer, correct in every byte */
	HTTP_BAD_STATUS,  /* the status is not 200 */
	HTTP_BAD_HEAD,	  /* not an HTTP head, or not the same head as before */
	HTTP_WRONG_BYTES, /* the body is not the one expected */
	HTTP_EXTRA_BYTES, /* something follows the answer */
};

struct http_check {
	const char *body;
	size_t body_len;
	bool closing; /* the answer must announce Connection: close */
	/* The last good answer. Most answers are identical to it, which one memcmp() shows. */
	size_t head_len;
	size_t seen_len;
	char seen[HTTP_HEAD_MAX * 2];
};

void http_check_init(struct http_check *check, const char *body, size_t body_len, bool closing);
enum http_verdict http_check(struct http_check *check, const char *data, size_t len);
const char *http_verdict_name(enum http_verdict verdict);

#endif
