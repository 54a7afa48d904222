/* SPDX-License-Identifier: MIT */
/*
 * The request parser: what is answered to what, whole and cut at every place.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "http.h"

static const struct http_limits limits = { .target = 64, .header = 512, .body = 1000 };

/* clang-format off */
#define H "Host: x\r\n"

/* STATUSES: the answers to the bytes, in order; 0 at the end: more is wanted. */
static const struct {
	const char *name, *bytes;
	int statuses[6];
	bool last; /* the last answer closes */
} cases[] = {
	/* the negative space first */
	{ "no version", "GET /\r\n\r\n", { 400 }, true },
	{ "control byte in the method", "G\001T / HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "leading space", " GET / HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "two spaces before the target", "GET  / HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "two spaces behind the target", "GET /  HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target that is no target", "GET ?x HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "byte beyond ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "lower-case http", "GET / http/1.1\r\n" H "\r\n", { 400 }, true },
	{ "version without minor", "GET / HTTP/1\r\n" H "\r\n", { 400 }, true },
	{ "version with three digits", "GET / HTTP/1.10\r\n" H "\r\n", { 400 }, true },
	{ "bare LF behind the request line", "GET / HTTP/1.1\n" H "\r\n", { 400 }, true },
	{ "bare LF behind a field", "GET / HTTP/1.1\r\nHost: x\n\r\n", { 400 }, true },
	{ "bare CR in a field", "GET / HTTP/1.1\r\nHost: x\ry\r\n\r\n", { 400 }, true },
	{ "bare CR before the end", "GET / HTTP/1.1\r\n" H "\rX", { 400 }, true },
	{ "space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", { 400 }, true },
	{ "empty field name", "GET / HTTP/1.1\r\n: x\r\n\r\n", { 400 }, true },
	{ "field without a colon", "GET / HTTP/1.1\r\n" H "nothing\r\n\r\n", { 400 }, true },
	{ "folded line", "GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n", { 400 }, true },
	{ "control byte in a value", "GET / HTTP/1.1\r\n" H "A: \001\r\n\r\n", { 400 }, true },
	{ "DEL in a value", "GET / HTTP/1.1\r\n" H "A: \177\r\n\r\n", { 400 }, true },
	{ "no Host", "GET / HTTP/1.1\r\n\r\n", { 400 }, true },
	{ "two Hosts", "GET / HTTP/1.1\r\n" H H "\r\n", { 400 }, true },
	{ "unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", { 501 }, true },
	{ "method that begins like one", "GETS / HTTP/1.1\r\n" H "\r\n", { 501 }, true },
	{ "method that is too short", "GE / HTTP/1.1\r\n" H "\r\n", { 501 }, true },
	{ "long method", "ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n" H "\r\n", { 501 }, true },
	{ "method in lower case", "get / HTTP/1.1\r\n" H "\r\n", { 501 }, true },
	{ "PUT", "PUT / HTTP/1.1\r\n" H "\r\n", { 405 }, true },
	{ "DELETE", "DELETE / HTTP/1.1\r\n" H "\r\n", { 405 }, true },
	{ "OPTIONS", "OPTIONS * HTTP/1.1\r\n" H "\r\n", { 405 }, true },
	{ "HTTP/2.0", "GET / HTTP/2.0\r\n" H "\r\n", { 505 }, true },
	{ "HTTP/0.9 spelt out", "GET / HTTP/0.9\r\n" H "\r\n", { 505 }, true },
	{ "long target",
	  "GET /4567890123456789012345678901234567890123456789012345678901234567890 HTTP/1.1\r\n",
	  { 414 }, true },
	/* what smuggling is made of */
	{ "two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
	  { 400 }, true },
	{ "the same length twice",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", { 400 }, true },
	{ "a list of lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", { 400 }, true },
	{ "length with a sign", "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", { 400 }, true },
	{ "negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", { 400 }, true },
	{ "length in hex", "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", { 400 }, true },
	{ "length of two words", "POST / HTTP/1.1\r\n" H "Content-Length: 1 1\r\n\r\n", { 400 }, true },
	{ "empty length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", { 400 }, true },
	{ "length of spaces", "POST / HTTP/1.1\r\n" H "Content-Length:  \r\n\r\n", { 400 }, true },
	{ "length and encoding",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", { 400 },
	  true },
	{ "encoding in HTTP/1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
	  { 400 }, true },
	{ "chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", { 501 },
	  true },
	{ "an encoding nobody knows", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: x\r\n\r\n", { 501 },
	  true },
	{ "length that wraps 64 bits",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\nx", { 413 }, true },
	{ "length over the limit", "POST / HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n", { 413 },
	  true },
	{ "the same length twice, in other letters",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\ncONTENT-lENGTH: 1\r\n\r\n", { 400 }, true },
	{ "length behind a comma", "POST / HTTP/1.1\r\n" H "Content-Length: ,1\r\n\r\n", { 400 }, true },
	{ "length before a comma", "POST / HTTP/1.1\r\n" H "Content-Length: 1,\r\n\r\n", { 400 }, true },
	{ "length with an exponent", "POST / HTTP/1.1\r\n" H "Content-Length: 1e1\r\n\r\n", { 400 },
	  true },
	{ "length and a fold", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n 1\r\n\r\n", { 400 }, true },
	{ "length with a space before the colon",
	  "POST / HTTP/1.1\r\n" H "Content-Length : 1\r\n\r\n", { 400 }, true },
	{ "length with a tab before the colon",
	  "POST / HTTP/1.1\r\n" H "Content-Length\t: 1\r\n\r\n", { 400 }, true },
	{ "length of 2^64", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n",
	  { 413 }, true },
	{ "length of forty digits",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 1000000000000000000000000000000000000000\r\n\r\n",
	  { 413 }, true },
	{ "encoding, then length",
	  "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", { 400 },
	  true },
	{ "encoding in other letters",
	  "POST / HTTP/1.1\r\n" H "tRANSFER-eNCODING: CHUNKED\r\n\r\n", { 501 }, true },
	{ "two encodings",
	  "POST / HTTP/1.1\r\n" H "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n", { 501 },
	  true },
	{ "empty encoding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", { 501 }, true },
	{ "encoding behind a vertical tab",
	  "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\vchunked\r\n\r\n", { 400 }, true },
	{ "encoding of a GET", "GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", { 501 },
	  true },
	{ "CR CR LF behind the request line", "GET / HTTP/1.1\r\r\n" H "\r\n", { 400 }, true },
	{ "CR CR LF behind a field", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", { 400 }, true },
	{ "CR in the target", "GET /\r HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "CR in a name", "GET / HTTP/1.1\r\nHo\rst: x\r\n\r\n", { 400 }, true },
	{ "bare LF at the start", "\nGET / HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "bare LF at the end", "GET / HTTP/1.1\r\n" H "\n", { 400 }, true },
	{ "bare LF in the value of a field", "GET / HTTP/1.1\r\n" H "A: b\nHost: y\r\n\r\n", { 400 },
	  true },
	{ "folded first field", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", { 400 }, true },
	{ "line folded with a tab", "GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n", { 400 }, true },
	{ "line of a space", "GET / HTTP/1.1\r\n" H " \r\n\r\n", { 400 }, true },
	{ "nothing but a colon", "GET / HTTP/1.1\r\n" H ":\r\n\r\n", { 400 }, true },
	{ "quotes in a name", "GET / HTTP/1.1\r\n" H "\"A\": b\r\n\r\n", { 400 }, true },
	{ "Host of two words", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", { 400 }, true },
	{ "a list of Hosts", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", { 400 }, true },
	{ "two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" H H "\r\n", { 400 }, true },
	{ "space behind the version", "GET / HTTP/1.1 \r\n" H "\r\n", { 400 }, true },
	{ "tab instead of a space", "GET\t/ HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "GET of an asterisk", "GET * HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "Host: a/b", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", { 400 }, true },
	{ "Host: u@b", "GET / HTTP/1.1\r\nHost: u@b\r\n\r\n", { 400 }, true },
	{ "Host: a,b", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", { 400 }, true },
	{ "Host: a:b", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", { 400 }, true },
	{ "Host: a:8x", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", { 400 }, true },
	{ "Host: a:80:80", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", { 400 }, true },
	{ "Host: :80", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", { 400 }, true },
	{ "Host: [::1", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", { 400 }, true },
	{ "Host: [::1]x", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", { 400 }, true },
	{ "Host: [::1]:x", "GET / HTTP/1.1\r\nHost: [::1]:x\r\n\r\n", { 400 }, true },
	{ "Host: a[::1]", "GET / HTTP/1.1\r\nHost: a[::1]\r\n\r\n", { 400 }, true },
	{ "Host: a%2", "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", { 400 }, true },
	{ "Host: a%zz", "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", { 400 }, true },
	{ "Host: a%", "GET / HTTP/1.1\r\nHost: a%\r\n\r\n", { 400 }, true },
	{ "Host: a\\b", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", { 400 }, true },
	{ "Host: <a>", "GET / HTTP/1.1\r\nHost: <a>\r\n\r\n", { 400 }, true },
	{ "Host: \"a\"", "GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", { 400 }, true },
	{ "Host: a|b", "GET / HTTP/1.1\r\nHost: a|b\r\n\r\n", { 400 }, true },
	{ "Host: a?b", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", { 400 }, true },
	{ "Host: a#b", "GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", { 400 }, true },
	{ "Host: beyond ASCII", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", { 400 }, true },
	{ "Host: a%2, then a space", "GET / HTTP/1.1\r\nHost: a%2 \r\n\r\n", { 400 }, true },
	{ "Host of HTTP/1.0", "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", { 400 }, true },
	{ "target abc", "GET abc HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target abc:80", "GET abc:80 HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http:", "GET http: HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http:/", "GET http:/ HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http:/x", "GET http:/x HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http://", "GET http:// HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http:///x", "GET http:///x HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http://:80/", "GET http://:80/ HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target http://?x", "GET http://?x HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target 1http://x/", "GET 1http://x/ HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "target ht_tp://x/", "GET ht_tp://x/ HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "asterisk and more", "OPTIONS *a HTTP/1.1\r\n" H "\r\n", { 400 }, true },
	{ "HTTP/0.9", "GET /\r\n", { 400 }, true },
	{ "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", { 501 }, true },
	{ "a request behind a refused one", "GET / HTTP/1.1\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n",
	  { 400 }, true },
	/* what is served */
	{ "length with zeros before it",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 0000000000000000000000003\r\n\r\nabcGET / HTTP/1.1\r\n"
	  H "\r\n", { 200, 200 }, false },
	{ "a GET with a body", "GET / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n" H
	  "\r\n", { 200, 200 }, false },
	{ "close wins over keep-alive",
	  "GET / HTTP/1.1\r\n" H "Connection: keep-alive, close\r\n\r\n", { 200 }, true },
	{ "and in a field of its own",
	  "GET / HTTP/1.0\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n", { 200 }, true },
	{ "Host with a port", "GET / HTTP/1.1\r\nHost: x:80\t\r\n\r\n", { 200 }, false },
	{ "an encoding that is not one", "GET / HTTP/1.1\r\n" H "Transfer-Encodings: chunked\r\n\r\n",
	  { 200 }, false },
	{ "Host: x", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", { 200 }, false },
	{ "Host: a.b", "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n", { 200 }, false },
	{ "Host: A-b_c~1", "GET / HTTP/1.1\r\nHost: A-b_c~1\r\n\r\n", { 200 }, false },
	{ "Host: 127.0.0.1:8080", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", { 200 }, false },
	{ "Host: [::1]", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", { 200 }, false },
	{ "Host: [::1]:80", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", { 200 }, false },
	{ "Host: [v1.a:b]", "GET / HTTP/1.1\r\nHost: [v1.a:b]\r\n\r\n", { 200 }, false },
	{ "Host: a%2fb", "GET / HTTP/1.1\r\nHost: a%2fb\r\n\r\n", { 200 }, false },
	{ "Host: x:", "GET / HTTP/1.1\r\nHost: x:\r\n\r\n", { 200 }, false },
	{ "Host: a!$&'()*+;=b", "GET / HTTP/1.1\r\nHost: a!$&'()*+;=b\r\n\r\n", { 200 }, false },
	{ "target http://x", "GET http://x HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "target HTTPS://x:1/y?z", "GET HTTPS://x:1/y?z HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "target a+b-c.d://[::1]/", "GET a+b-c.d://[::1]/ HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "target /a?b", "GET /a?b HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "target //", "GET // HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "CONNECT", "CONNECT x:80 HTTP/1.1\r\n" H "\r\n", { 405 }, true },
	{ "OPTIONS of a path", "OPTIONS / HTTP/1.1\r\n" H "\r\n", { 405 }, true },
	{ "GET", "GET / HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "absolute form", "GET http://x/ HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "HTTP/1.2 is answered as 1.1", "GET / HTTP/1.2\r\n" H "\r\n", { 200 }, false },
	{ "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", { 200 }, false },
	{ "HEAD", "HEAD / HTTP/1.1\r\n" H "\r\n", { 200 }, false },
	{ "obs-text in a value", "GET / HTTP/1.1\r\n" H "A: \xe4\r\n\r\n", { 200 }, false },
	{ "close", "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", { 200 }, true },
	{ "close in capitals", "GET / HTTP/1.1\r\n" H "CONNECTION: CLOSE\r\n\r\n", { 200 }, true },
	{ "close in a list", "GET / HTTP/1.1\r\n" H "Connection: a, close ,b\r\n\r\n", { 200 }, true },
	{ "close with a tab", "GET / HTTP/1.1\r\n" H "Connection:\tclose\t\r\n\r\n", { 200 }, true },
	{ "closed is not close", "GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", { 200 }, false },
	{ "clos e is not close", "GET / HTTP/1.1\r\n" H "Connection: clos e\r\n\r\n", { 200 }, false },
	{ "close in another field", "GET / HTTP/1.1\r\n" H "X: close\r\n\r\n", { 200 }, false },
	{ "1.0 closes", "GET / HTTP/1.0\r\n\r\n", { 200 }, true },
	{ "1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", { 200 }, false },
	{ "body", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", { 200 }, false },
	{ "empty body", "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", { 200 }, false },
	{ "body that looks like a request",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n", { 200 }, false },
	{ "body with permission asked",
	  "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", { 100, 200 },
	  false },
	{ "pipelined", "GET / HTTP/1.1\r\n" H "\r\nHEAD / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n",
	  { 200, 200, 200 }, false },
	{ "pipelined behind a body",
	  "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n" H "\r\n", { 200, 200 },
	  false },
	{ "good, then bad", "GET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\n", { 200, 400 }, true },
	/* not all there yet */
	{ "nothing", "", { 0 }, false },
	{ "half a request line", "GET / HT", { 0 }, false },
	{ "no empty line", "GET / HTTP/1.1\r\n" H, { 0 }, false },
	{ "half a body", "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nab", { 0 }, false },
};
/* clang-format on */

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* Feeds BYTES in two pieces, cut at CUT, and checks the answers of case I. */
static void feed(unsigned i, const char *bytes, size_t len, size_t cut)
{
	struct http_request request = { 0 };
	const int *want = cases[i].statuses;
	bool last = false;
	size_t at = 0;

	while (at < len && !last) {
		size_t end = at < cut ? cut : len;

		at += http_parse(&request, &limits, bytes + at, end - at);
		if (!request.status) {
			CHECK(at == end, "%s: bytes left over without a status", cases[i].name);
			continue;
		}
		CHECK(request.status == *want, "%s, cut at %zu: %d, not %d", cases[i].name, cut,
		      request.status, *want);
		if (request.status != *want)
			return;
		want++;
		last = http_answer(&request, false).close;
		http_next(&request);
	}
	CHECK(!*want, "%s, cut at %zu: status %d is missing", cases[i].name, cut, *want);
	CHECK(last == cases[i].last, "%s, cut at %zu: %s", cases[i].name, cut,
	      last ? "closes" : "stays open");
}

static void test_cases(void)
{
	unsigned i;
	size_t cut;

	for (i = 0; i < CASES; i++) {
		size_t len = strlen(cases[i].bytes);

		for (cut = 0; cut <= len; cut++)
			feed(i, cases[i].bytes, len, cut);
	}
}

static bool is_tchar(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c > 0 && strchr("!#$%&'*+-.^_`|~", c));
}

/* HEAD, the byte C, and TAIL: the status. */
static int status_with_byte(const char *head, int c, const char *tail)
{
	struct http_request request = { 0 };
	char bytes[256];
	size_t len = strlen(head);

	memcpy(bytes, head, len);
	bytes[len++] = (char)c;
	memcpy(bytes + len, tail, strlen(tail));
	http_parse(&request, &limits, bytes, len + strlen(tail));
	return request.status;
}

/* Each of the 256 bytes, NUL included, in each place that has an alphabet of its own. */
static void test_every_byte(void)
{
	int c;

	for (c = 0; c < 256; c++) {
		bool target = c > 0x20 && c < 0x7f;
		bool value = c == '\t' || (c >= 0x20 && c != 0x7f);
		int got = status_with_byte("G", c, "T / HTTP/1.1\r\n" H "\r\n");

		/* A space ends the method: no such method. */
		CHECK(got == (c == 'E'			? 200
			      : is_tchar(c) || c == ' ' ? 501
							: 400),
		      "byte %d in the method: %d", c, got);
		got = status_with_byte("GET /", c, "x HTTP/1.1\r\n" H "\r\n");
		CHECK(got == (target ? 200 : 400), "byte %d in the target: %d", c, got);
		got = status_with_byte("GET / HTTP/1.", c, "\r\n" H "\r\n");
		CHECK(got == (c >= '0' && c <= '9' ? 200 : 400), "byte %d in the version: %d", c,
		      got);
		got = status_with_byte("GET / HTTP/1.1\r\n" H "A", c, ": b\r\n\r\n");
		CHECK(got == (is_tchar(c) || c == ':' ? 200 : 400), "byte %d in a name: %d", c,
		      got);
		got = status_with_byte("GET / HTTP/1.1\r\n" H "A: b", c, "c\r\n\r\n");
		CHECK(got == (value ? 200 : 400), "byte %d in a value: %d", c, got);
		got = status_with_byte("GET / HTTP/1.1\r\n" H "A: b\r", c, "\r\n");
		CHECK(got == (c == '\n' ? 200 : 400), "byte %d behind a CR: %d", c, got);
	}
}

/* Each of the limits: one byte below, and one above. */
static void test_header_limit(void)
{
	char bytes[2048];
	unsigned total;

	for (total = 510; total <= 514; total++) {
		struct http_request request = { 0 };
		int head = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: x\r\nA: ");
		int want = total <= limits.header ? 200 : 431;

		memset(bytes + head, 'x', sizeof(bytes) - (size_t)head);
		memcpy(bytes + total - 4, "\r\n\r\n", 4);
		http_parse(&request, &limits, bytes, total);
		CHECK(request.status == want, "header of %u bytes: %d, not %d", total,
		      request.status, want);
	}
}

static void test_body_limit(void)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
	struct http_request request = { 0 };
	char body[1001];
	size_t used;

	memset(body, 'x', sizeof(body));
	http_parse(&request, &limits, head, sizeof(head) - 1);
	CHECK(!request.status, "%d before the body has come", request.status);
	used = http_parse(&request, &limits, body, sizeof(body));
	CHECK(request.status == 200 && used == 1000, "status %d, %zu bytes", request.status, used);
}

/* Every status has an answer that says so, is framed, and closes if it is an error. */
static void test_answers(void)
{
	static const int statuses[] = { 200, 400, 405, 408, 413, 414, 431, 501, 505 };
	unsigned i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct http_request request = { .status = (uint16_t)statuses[i] };
		struct http_answer a = http_answer(&request, false);
		char text[64];

		snprintf(text, sizeof(text), "HTTP/1.1 %d ", statuses[i]);
		CHECK(!strncmp(a.data, text, strlen(text)), "answer to %d", statuses[i]);
		CHECK(strstr(a.data, "Content-Length: "), "%d has no length", statuses[i]);
		CHECK(a.close == (statuses[i] != 200), "%d: close", statuses[i]);
		CHECK(a.close == !!strstr(a.data, "Connection: close\r\n"), "%d says so",
		      statuses[i]);
		CHECK(a.len == strlen(a.data), "%d: length", statuses[i]);
	}
}

static void test_head_has_no_body(void)
{
	static const char head[] = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request request = { 0 };
	struct http_answer a;

	http_parse(&request, &limits, head, sizeof(head) - 1);
	a = http_answer(&request, false);
	CHECK(!memcmp(a.data + a.len - 4, "\r\n\r\n", 4), "HEAD is answered with a body");
}

static void test_draining_closes(void)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct http_request request = { 0 };
	struct http_answer a;

	http_parse(&request, &limits, get, sizeof(get) - 1);
	a = http_answer(&request, true);
	CHECK(a.close && strstr(a.data, "Connection: close"), "an answer keeps its connection");
}

int main(void)
{
	test_cases();
	test_every_byte();
	test_header_limit();
	test_body_limit();
	test_answers();
	test_head_has_no_body();
	test_draining_closes();
	CHECK_EXIT();
}
