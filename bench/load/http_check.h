/* SPDX-License-Identifier: MIT */
/*
 * Checks an HTTP/1.1 answer byte for byte: status line, every header line's form, the length, the
 * body. The head must be the same in every answer of a connection kind, the value of Date apart.
 *
 * Leaves out: chunked answers, answers without Content-Length, folded headers. Refused as bad.
 */
#ifndef BENCH_HTTP_CHECK_H
#define BENCH_HTTP_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX 4096

enum http_verdict {
	HTTP_MORE,	  /* right so far, not all there */
	HTTP_GOOD,	  /* one whole answer, right in every byte */
	HTTP_BAD_STATUS,  /* the status is not 200 */
	HTTP_BAD_HEAD,	  /* not an HTTP head, or not the head seen before */
	HTTP_WRONG_BYTES, /* the body is not the one expected */
	HTTP_EXTRA_BYTES, /* something follows the answer */
};

struct http_check {
	const char *body;
	size_t body_len;
	bool closing; /* the answer must announce Connection: close */
	/* The last good answer: most are the same bytes, and one memcmp settles it. */
	size_t head_len;
	size_t seen_len;
	char seen[HTTP_HEAD_MAX * 2];
};

void http_check_init(struct http_check *check, const char *body, size_t body_len, bool closing);
enum http_verdict http_check(struct http_check *check, const char *data, size_t len);
const char *http_verdict_name(enum http_verdict verdict);

#endif
