/* SPDX-License-Identifier: MIT */
/*
 * Just enough HTTP/1.1 (RFC 9112) for wrk, curl and browsers, strict about everything else.
 *
 * The parser is a state machine that is fed bytes as they come, in pieces of any size, and keeps
 * no copy of them: an idle connection holds no buffer, and a request split at any place gives the
 * same result as the whole. What it reads of a request is the method, the version, and the header
 * fields that decide where the request ends: Host, Connection, Content-Length, Transfer-Encoding
 * and Expect. A body with a Content-Length is read and dropped.
 *
 * Left out: chunked bodies (501), trailers, upgrades, and the Date field: every answer is a
 * constant, so that a client can compare each byte of it.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_limits {
	uint32_t target; /* bytes of the request target; longer: 414 */
	uint32_t header; /* bytes from the start of the request to the empty line; more: 431 */
	uint64_t body;	 /* Content-Length; larger: 413 */
};

/* One request as far as it has been read. At the start of a connection it is all zero bytes. */
struct http_request {
	uint16_t status; /* 0: more bytes wanted; else what to answer, see http_parse() */
	uint8_t state;
	uint8_t method;	  /* which of those that http.c knows; GET also while nothing is known */
	uint8_t matches;  /* a bit for each known name that the word read so far may become */
	uint8_t matched;  /* bytes of that word */
	uint8_t field;	  /* the header field whose value is being read */
	uint8_t part;	  /* where in the target, or in the value of Host */
	uint8_t major;	  /* the digit before the point of HTTP/1.1 */
	bool started : 1; /* a byte of it has been read, empty lines before it aside */
	bool http10 : 1;
	bool close : 1;	     /* Connection: close */
	bool keep_alive : 1; /* Connection: keep-alive */
	bool has_host : 1;
	bool has_length : 1;
	bool has_encoding : 1;
	bool expects : 1; /* Expect: 100-continue */
	uint32_t header_bytes;
	uint32_t target_bytes;
	uint64_t body_left; /* of Content-Length, still to be dropped */
};

/*
 * Feeds the LEN bytes at DATA to REQUEST. Returns how many it took: all of them while the status
 * stays 0; otherwise those up to the byte that decided the status. What is left belongs to the next
 * request (or, after 100, to the body of this one).
 *
 * The status is then 200 (a whole request, answer it), 100 (the client waits for permission to
 * send the body: answer 100 and go on with the same request), or the error to answer before the
 * connection is closed: 400, 405, 413, 414, 431, 501, 505. (408 and 503 are the caller's to set.)
 */
size_t http_parse(struct http_request *request, const struct http_limits *limits, const char *data,
		  size_t len);

/* An answer: constant bytes, valid for the life of the program. */
struct http_answer {
	const char *data;
	uint32_t len;
	bool close; /* the connection ends when it has been sent */
};

/*
 * The answer to REQUEST by its status. DRAINING makes every answer the connection's last.
 * Afterwards call http_next(), which makes REQUEST ready for what follows the answer.
 */
struct http_answer http_answer(const struct http_request *request, bool draining);
void http_next(struct http_request *request);

/* Whether the answer to REQUEST has no body: HEAD. */
bool http_is_head(const struct http_request *request);

/*
 * Whether no more bytes are to be expected behind REQUEST: the client has asked for "close" itself,
 * and then sends nothing more (RFC 9112, 9.6). Not behind a body, as old clients send an empty line
 * there nevertheless (RFC 9112, 2.2).
 */
bool http_is_last(const struct http_request *request);

/* The answer for a connection that is refused because the server is full: 503, and close. */
struct http_answer http_refusal(void);

#endif
