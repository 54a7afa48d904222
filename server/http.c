/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <string.h>

/* clang-format off */
enum state {
	START,         /* before the request line; an empty line is skipped here (RFC 9112, 2.2) */
	START_LF,
	METHOD,
	TARGET,
	VERSION,
	REQUEST_LF,
	FIELD_START,
	FIELD_NAME,
	VALUE_START,   /* spaces before the value */
	VALUE,
	VALUE_END,     /* spaces behind a word of the value */
	VALUE_LF,
	HEADER_LF,
	BODY,
};

/* Where in a target: RFC 9112, 3.2 has four forms, told apart by how they begin. */
enum target_form {
	TARGET_START,
	TARGET_ORIGIN,    /* /path */
	TARGET_SCHEME,    /* http://host/path: in the scheme */
	TARGET_SLASH,     /* the first of its two slashes */
	TARGET_SLASHES,   /* the second */
	TARGET_AUTHORITY, /* the first byte of the host */
	TARGET_ABSOLUTE,  /* the rest */
	TARGET_ASTERISK,
	TARGET_CONNECT,   /* host:port; the answer is 405 whatever it is */
};

/* Where in the value of Host: RFC 9112, 3.2, which is RFC 3986, 3.2.2 and 3.2.3. */
enum host_part { HOST_NAME, HOST_PERCENT, HOST_HEX, HOST_LITERAL, HOST_LITERAL_END, HOST_PORT };

/* Room for the longest name below and a zero, which equals no byte of a word. */
enum { LONGEST = 20 };

enum { GET, HEAD, POST, PUT, DELETE, OPTIONS, CONNECT, TRACE };
static const char methods[][LONGEST] = {
	[GET] = "GET", [HEAD] = "HEAD", [POST] = "POST", [PUT] = "PUT", [DELETE] = "DELETE",
	[OPTIONS] = "OPTIONS", [CONNECT] = "CONNECT", [TRACE] = "TRACE",
};

enum { HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, OTHER_FIELD };
static const char fields[][LONGEST] = {
	[HOST] = "host", [CONNECTION] = "connection", [CONTENT_LENGTH] = "content-length",
	[TRANSFER_ENCODING] = "transfer-encoding", [EXPECT] = "expect",
};

enum { CLOSE, KEEP_ALIVE, CONTINUE };
static const char words[][LONGEST] = {
	[CLOSE] = "close", [KEEP_ALIVE] = "keep-alive", [CONTINUE] = "100-continue",
};

static const char version_prefix[] = "HTTP/";
/* clang-format on */

#define N(array) ((unsigned)(sizeof(array) / sizeof((array)[0])))

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(unsigned char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* A character of a token: RFC 9110, 5.6.2. */
static bool is_token(unsigned char c)
{
	return is_alpha(c) || is_digit(c) || c == '-' || (c && strchr("!#$%&'*+.^_`|~", c));
}

static bool is_space(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/* A character of a field's value that is not a space: RFC 9110, 5.5. */
static bool is_value(unsigned char c)
{
	return c > 0x20 && c != 0x7f;
}

/* Words are matched as they are read: MATCHES has a bit for each name that still fits. */
static void match_begin(struct http_request *r, unsigned names)
{
	r->matches = (uint8_t)((1U << names) - 1);
	r->matched = 0;
}

static void match_byte(struct http_request *r, const char (*names)[LONGEST], unsigned n,
		       unsigned char c)
{
	unsigned i;

	if (!r->matches)
		return;
	for (i = 0; i < n; i++) {
		if ((unsigned char)names[i][r->matched] != c)
			r->matches = (uint8_t)(r->matches & ~(1U << i));
	}
	r->matched++; /* no name fits LONGEST bytes, so this stays below it */
}

/* The name the whole word is equal to, or N if there is none. */
static unsigned match_end(const struct http_request *r, const char (*names)[LONGEST], unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if ((r->matches & (1U << i)) && !names[i][r->matched])
			return i;
	}
	return n;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static int in_method(struct http_request *r, unsigned char c)
{
	if (c == ' ') {
		r->method = (uint8_t)match_end(r, methods, N(methods));
		if (r->method == N(methods))
			return 501;
		r->state = TARGET;
		r->part = TARGET_START;
		return 0;
	}
	if (!is_token(c))
		return 400;
	match_byte(r, methods, N(methods), c);
	return 0;
}

/* The form of a target that begins with C; TARGET_START if none does. */
static enum target_form target_form(const struct http_request *r, unsigned char c)
{
	if (r->method == CONNECT)
		return TARGET_CONNECT;
	if (c == '*' && r->method == OPTIONS)
		return TARGET_ASTERISK;
	return c == '/' ? TARGET_ORIGIN : is_alpha(c) ? TARGET_SCHEME : TARGET_START;
}

/* The part that C, the next byte of a target, leads to; TARGET_START if it is out of place. */
static enum target_form target_next(const struct http_request *r, unsigned char c)
{
	switch ((enum target_form)r->part) {
	case TARGET_START:
		return target_form(r, c);
	case TARGET_SCHEME:
		if (c == ':')
			return TARGET_SLASH;
		return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.'
			       ? TARGET_SCHEME
			       : TARGET_START;
	case TARGET_SLASH:
		return c == '/' ? TARGET_SLASHES : TARGET_START;
	case TARGET_SLASHES:
		return c == '/' ? TARGET_AUTHORITY : TARGET_START;
	case TARGET_AUTHORITY:
		return c == '/' || c == '?' || c == ':' ? TARGET_START : TARGET_ABSOLUTE;
	case TARGET_ASTERISK:
		return TARGET_START;
	case TARGET_ORIGIN:
	case TARGET_ABSOLUTE:
	case TARGET_CONNECT:
		return (enum target_form)r->part;
	}
	return TARGET_START;
}

static int in_target(struct http_request *r, const struct http_limits *limits, unsigned char c)
{
	if (c == ' ') {
		if (r->part != TARGET_ORIGIN && r->part < TARGET_ABSOLUTE)
			return 400;
		r->state = VERSION;
		r->matched = 0;
		return 0;
	}
	if (c <= 0x20 || c >= 0x7f)
		return 400;
	r->part = (uint8_t)target_next(r, c);
	if (r->part == TARGET_START)
		return 400;
	if (++r->target_bytes > limits->target)
		return 414;
	return 0;
}

/* HTTP/1.1 or HTTP/1.0; another digit.digit is a version we do not speak, the rest is no HTTP. */
static int in_version(struct http_request *r, unsigned char c)
{
	const unsigned prefix = sizeof(version_prefix) - 1;
	unsigned at = r->matched++;

	if (at < prefix)
		return c == (unsigned char)version_prefix[at] ? 0 : 400;
	switch (at - prefix) {
	case 0:
		if (!is_digit(c))
			return 400;
		r->major = c;
		return 0;
	case 1:
		return c == '.' ? 0 : 400;
	case 2:
		if (!is_digit(c))
			return 400;
		if (r->major != '1')
			return 505;
		r->http10 = c == '0'; /* a later 1.x is answered as 1.1: RFC 9110, 2.5 */
		return 0;
	default:
		if (c != '\r')
			return 400;
		r->state = REQUEST_LF;
		return 0;
	}
}

static int in_field_name(struct http_request *r, unsigned char c)
{
	if (c == ':') {
		r->field = (uint8_t)match_end(r, fields, N(fields));
		switch (r->field) {
		case HOST:
			if (r->has_host)
				return 400;
			r->has_host = true;
			r->part = HOST_NAME;
			break;
		case CONTENT_LENGTH:
			/* Twice is how requests are smuggled, even with the same number. */
			if (r->has_length)
				return 400;
			r->has_length = true;
			break;
		case TRANSFER_ENCODING:
			r->has_encoding = true;
			break;
		default:
			break;
		}
		r->state = VALUE_START;
		return 0;
	}
	if (!is_token(c)) /* a space before the colon included */
		return 400;
	match_byte(r, fields, N(fields), lower(c));
	return 0;
}

static void word_begin(struct http_request *r)
{
	match_begin(r, N(words));
}

static void word_end(struct http_request *r)
{
	unsigned word = match_end(r, words, N(words));

	if (r->field == CONNECTION && word == CLOSE)
		r->close = true;
	else if (r->field == CONNECTION && word == KEEP_ALIVE)
		r->keep_alive = true;
	else if (r->field == EXPECT && word == CONTINUE)
		r->expects = true;
}

static int add_digit(struct http_request *r, const struct http_limits *limits, unsigned char c)
{
	if (!is_digit(c))
		return 400;
	/* At most one digit past the limit is ever added, so this cannot wrap. */
	if (r->body_left <= limits->body)
		r->body_left = r->body_left * 10 + (c - '0');
	return 0;
}

static bool is_hex(unsigned char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/*
 * A character of a host's name. The comma, which RFC 3986 allows, is left out: no name has one, and
 * a proxy that joins two Hosts makes one.
 */
static bool is_host(unsigned char c)
{
	return is_alpha(c) || is_digit(c) || (c && strchr("-._~!$&'()*+;=", c));
}

static int in_host(struct http_request *r, unsigned char c)
{
	bool first = r->state == VALUE_START;

	switch ((enum host_part)r->part) {
	case HOST_NAME:
		if (c == ':' && !first)
			r->part = HOST_PORT;
		else if (c == '[' && first)
			r->part = HOST_LITERAL;
		else if (c == '%')
			r->part = HOST_PERCENT;
		else
			return is_host(c) ? 0 : 400;
		return 0;
	case HOST_PERCENT:
		r->part = HOST_HEX;
		return is_hex(c) ? 0 : 400;
	case HOST_HEX:
		r->part = HOST_NAME;
		return is_hex(c) ? 0 : 400;
	case HOST_LITERAL:
		if (c == ']')
			r->part = HOST_LITERAL_END;
		return c == ']' || c == ':' || is_host(c) ? 0 : 400;
	case HOST_LITERAL_END:
		r->part = HOST_PORT;
		return c == ':' ? 0 : 400;
	case HOST_PORT:
		return is_digit(c) ? 0 : 400;
	}
	return 400;
}

/* Whether the value of Host may end here. */
static bool host_ends(const struct http_request *r)
{
	return r->part == HOST_NAME || r->part == HOST_LITERAL_END || r->part == HOST_PORT;
}

static int in_value(struct http_request *r, const struct http_limits *limits, unsigned char c)
{
	bool length = r->field == CONTENT_LENGTH;

	if (c == '\r' || is_space(c)) {
		if (r->state == VALUE)
			word_end(r);
		else if (r->state == VALUE_START && c == '\r' && length)
			return 400;
		if (r->field == HOST && !host_ends(r))
			return 400;
		if (c == '\r')
			r->state = VALUE_LF;
		else if (r->state == VALUE)
			r->state = VALUE_END;
		return 0;
	}
	if (!is_value(c))
		return 400;
	if (r->state == VALUE_END && (length || r->field == HOST)) /* "1 2", "a b" */
		return 400;
	if (length) {
		r->state = VALUE;
		return add_digit(r, limits, c);
	}
	if (r->field == HOST) {
		int status = in_host(r, c);

		r->state = VALUE;
		return status;
	}
	if (c == ',') {
		if (r->state == VALUE)
			word_end(r);
		r->state = VALUE_START;
		return 0;
	}
	if (r->state == VALUE_START)
		word_begin(r);
	else if (r->state == VALUE_END)
		r->matches = 0; /* two words with a space between are none of ours */
	r->state = VALUE;
	match_byte(r, words, N(words), lower(c));
	return 0;
}

/* The empty line was read: what does the header as a whole ask for? */
static int header_done(struct http_request *r, const struct http_limits *limits)
{
	if (!r->http10 && !r->has_host)
		return 400;
	if (r->has_encoding)
		return r->has_length || r->http10 ? 400 : 501;
	if (r->body_left > limits->body)
		return 413;
	if (r->method > POST)
		return 405;
	if (!r->body_left)
		return 200;
	r->state = BODY;
	return r->expects && !r->http10 ? 100 : 0;
}

static int parse_byte(struct http_request *r, const struct http_limits *limits, unsigned char c)
{
	switch ((enum state)r->state) {
	case START:
		if (c == '\r') {
			r->state = START_LF;
			return 0;
		}
		match_begin(r, N(methods));
		r->state = METHOD;
		return is_token(c) ? in_method(r, c) : 400;
	case START_LF:
		r->state = START;
		return c == '\n' ? 0 : 400;
	case METHOD:
		return in_method(r, c);
	case TARGET:
		return in_target(r, limits, c);
	case VERSION:
		return in_version(r, c);
	case REQUEST_LF:
	case VALUE_LF:
		r->state = FIELD_START;
		return c == '\n' ? 0 : 400;
	case FIELD_START:
		if (c == '\r') {
			r->state = HEADER_LF;
			return 0;
		}
		match_begin(r, N(fields));
		r->state = FIELD_NAME;
		return is_token(c) ? in_field_name(r, c) : 400; /* a folded line included */
	case FIELD_NAME:
		return in_field_name(r, c);
	case VALUE_START:
	case VALUE:
	case VALUE_END:
		return in_value(r, limits, c);
	case HEADER_LF:
		return c == '\n' ? header_done(r, limits) : 400;
	case BODY:
		break;
	}
	return 400;
}

size_t http_parse(struct http_request *r, const struct http_limits *limits, const char *data,
		  size_t len)
{
	size_t i = 0;

	while (i < len && !r->status) {
		if (r->state == BODY) {
			size_t n = len - i < r->body_left ? len - i : (size_t)r->body_left;

			i += n;
			r->body_left -= n;
			if (!r->body_left)
				r->status = 200;
			continue;
		}
		if (r->header_bytes++ == limits->header)
			r->status = 431;
		else
			r->status = (uint16_t)parse_byte(r, limits, (unsigned char)data[i++]);
		r->started = r->state != START && r->state != START_LF;
	}
	return i;
}

/* clang-format off */
#define BODY_TEXT   "hello, world\n"
#define PLAIN       "Content-Type: text/plain\r\n"
#define CLOSING     "Connection: close\r\n"
#define OK(more)    "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 13\r\n" more "\r\n"
#define ERROR(status, more) \
	"HTTP/1.1 " status "\r\nContent-Length: 0\r\n" more CLOSING "\r\n"
/* clang-format on */

#define ANSWER(text, is_last) ((struct http_answer){ text, sizeof(text) - 1, is_last })

static struct http_answer answer_ok(const struct http_request *r, bool draining)
{
	bool head = r->method == HEAD;

	if (draining || r->close || (r->http10 && !r->keep_alive))
		return head ? ANSWER(OK(CLOSING), true) : ANSWER(OK(CLOSING) BODY_TEXT, true);
	if (r->http10)
		return head ? ANSWER(OK("Connection: keep-alive\r\n"), false)
			    : ANSWER(OK("Connection: keep-alive\r\n") BODY_TEXT, false);
	return head ? ANSWER(OK(""), false) : ANSWER(OK("") BODY_TEXT, false);
}

struct http_answer http_answer(const struct http_request *r, bool draining)
{
	switch (r->status) {
	case 100:
		return ANSWER("HTTP/1.1 100 Continue\r\n\r\n", false);
	case 200:
		return answer_ok(r, draining);
	case 405:
		return ANSWER(ERROR("405 Method Not Allowed", "Allow: GET, HEAD, POST\r\n"), true);
	case 408:
		return ANSWER(ERROR("408 Request Timeout", ""), true);
	case 413:
		return ANSWER(ERROR("413 Content Too Large", ""), true);
	case 414:
		return ANSWER(ERROR("414 URI Too Long", ""), true);
	case 431:
		return ANSWER(ERROR("431 Request Header Fields Too Large", ""), true);
	case 501:
		return ANSWER(ERROR("501 Not Implemented", ""), true);
	case 503:
		return http_refusal();
	case 505:
		return ANSWER(ERROR("505 HTTP Version Not Supported", ""), true);
	default:
		return ANSWER(ERROR("400 Bad Request", ""), true);
	}
}

void http_next(struct http_request *r)
{
	if (r->status == 100)
		r->status = 0;
	else
		memset(r, 0, sizeof(*r));
}

bool http_is_head(const struct http_request *r)
{
	return r->method == HEAD;
}

bool http_is_last(const struct http_request *r)
{
	return r->status == 200 && r->close && !r->has_length;
}

struct http_answer http_refusal(void)
{
	return ANSWER(ERROR("503 Service Unavailable", "Retry-After: 1\r\n"), true);
}
