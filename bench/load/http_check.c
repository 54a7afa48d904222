/* SPDX-License-Identifier: MIT */
/* Checks HTTP answers on the client's side. See http_check.h. */
#include "load/http_check.h"

#include <string.h>
#include <strings.h>

const char *http_verdict_name(enum http_verdict verdict)
{
	static const char *const names[] = {
		[HTTP_MORE] = "short-answer",	    [HTTP_GOOD] = "good",
		[HTTP_BAD_STATUS] = "bad-status",   [HTTP_BAD_HEAD] = "bad-head",
		[HTTP_WRONG_BYTES] = "wrong-bytes", [HTTP_EXTRA_BYTES] = "extra-bytes",
	};

	return names[verdict];
}

void http_check_init(struct http_check *check, const char *body, size_t body_len, bool closing)
{
	check->body = body;
	check->body_len = body_len;
	check->closing = closing;
	check->head_len = 0;
	check->seen_len = 0;
}

static bool is_token_byte(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool header_is(const char *line, size_t name_len, const char *name)
{
	return strlen(name) == name_len && !strncasecmp(line, name, name_len);
}

struct head {
	bool has_length;
	bool has_close;
	size_t length;
};

static bool parse_length(const char *value, const char *end, size_t *length)
{
	*length = 0;
	if (value == end || end - value > 9)
		return false;
	for (; value < end; value++) {
		if (*value < '0' || *value > '9')
			return false;
		*length = *length * 10 + (size_t)(*value - '0');
	}
	return true;
}

static bool parse_header(struct head *head, const char *line, const char *end)
{
	const char *colon = line;
	const char *value;

	while (colon < end && is_token_byte((unsigned char)*colon))
		colon++;
	if (colon == line || colon == end || *colon != ':')
		return false;
	for (const char *p = colon + 1; p < end; p++)
		if ((unsigned char)*p < ' ' && *p != '\t')
			return false;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (header_is(line, (size_t)(colon - line), "Content-Length")) {
		if (head->has_length || !parse_length(value, end, &head->length))
			return false;
		head->has_length = true;
	} else if (header_is(line, (size_t)(colon - line), "Connection")) {
		head->has_close = end - value == 5 && !strncasecmp(value, "close", 5);
	}
	return true;
}

/* Same head as before but for the value of Date? */
static bool same_head(const char *a, size_t a_len, const char *b, size_t b_len)
{
	const char *a_date = memmem(a, a_len, "\r\nDate: ", 8);
	const char *b_date = memmem(b, b_len, "\r\nDate: ", 8);
	const char *a_rest, *b_rest;

	if (!a_date || !b_date)
		return a_len == b_len && !memcmp(a, b, a_len);
	if (a_date - a != b_date - b || memcmp(a, b, (size_t)(a_date - a)))
		return false;
	a_rest = memmem(a_date + 2, a_len - (size_t)(a_date + 2 - a), "\r\n", 2);
	b_rest = memmem(b_date + 2, b_len - (size_t)(b_date + 2 - b), "\r\n", 2);
	a_len -= (size_t)(a_rest - a);
	b_len -= (size_t)(b_rest - b);
	return a_len == b_len && !memcmp(a_rest, b_rest, a_len);
}

static enum http_verdict parse_head(struct http_check *check, struct head *head, const char *data,
				    size_t head_len)
{
	static const char status[] = "HTTP/1.1 ";
	const char *end = data + head_len - 2; /* the last line's CRLF stays */
	const char *line;

	if (head_len < 14 || memcmp(data, status, sizeof(status) - 1))
		return HTTP_BAD_HEAD;
	if (memcmp(data + 9, "200 ", 4))
		return HTTP_BAD_STATUS;
	line = memmem(data, head_len, "\r\n", 2);
	line += 2;
	while (line < end) {
		const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);

		if (!eol || !parse_header(head, line, eol))
			return HTTP_BAD_HEAD;
		line = eol + 2;
	}
	if (!head->has_length || head->has_close != check->closing)
		return HTTP_BAD_HEAD;
	if (check->head_len && !same_head(check->seen, check->head_len, data, head_len))
		return HTTP_BAD_HEAD;
	return HTTP_GOOD;
}

static enum http_verdict check_slowly(struct http_check *check, const char *data, size_t len)
{
	const char *blank = memmem(data, len, "\r\n\r\n", 4);
	struct head head = { 0 };
	enum http_verdict verdict;
	size_t head_len, got;

	if (!blank) {
		/* A head that cannot become right is told at once, not after a timeout. */
		if (len >= HTTP_HEAD_MAX || memcmp(data, "HTTP/1.1 ", len < 9 ? len : 9))
			return HTTP_BAD_HEAD;
		return HTTP_MORE;
	}
	head_len = (size_t)(blank - data) + 4;
	if (head_len > HTTP_HEAD_MAX)
		return HTTP_BAD_HEAD;
	verdict = parse_head(check, &head, data, head_len);
	if (verdict != HTTP_GOOD)
		return verdict;
	if (head.length != check->body_len)
		return HTTP_WRONG_BYTES;
	got = len - head_len;
	if (memcmp(data + head_len, check->body, got < check->body_len ? got : check->body_len))
		return HTTP_WRONG_BYTES;
	if (got < check->body_len)
		return HTTP_MORE;
	if (got > check->body_len)
		return HTTP_EXTRA_BYTES;
	if (len <= sizeof(check->seen)) {
		memcpy(check->seen, data, len);
		check->seen_len = len;
		check->head_len = head_len;
	}
	return HTTP_GOOD;
}

enum http_verdict http_check(struct http_check *check, const char *data, size_t len)
{
	if (check->seen_len && len == check->seen_len && !memcmp(check->seen, data, len))
		return HTTP_GOOD;
	return check_slowly(check, data, len);
}
