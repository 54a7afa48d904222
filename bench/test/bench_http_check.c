/* SPDX-License-Identifier: MIT */
/* Tests that each kind of wrong HTTP answer gets the right verdict. */
#include "check.h"
#include "load/http_check.h"

#include <string.h>

#define OK    "HTTP/1.1 200 OK\r\n"
#define LEN   "Content-Length: 5\r\n"
#define CLOSE "Connection: close\r\n"
#define END   "\r\n"

static const struct {
	const char *answer;
	enum http_verdict verdict;
} cases[] = {
	{ OK LEN CLOSE END "hello", HTTP_GOOD },
	{ OK "content-length:5\r\nCONNECTION: close \r\nX: y\r\n" END "hello", HTTP_GOOD },
	{ "HTTP/1.1 200 Fine\r\n" LEN CLOSE END "hello", HTTP_GOOD },
	{ "H", HTTP_MORE },
	{ OK, HTTP_MORE },
	{ OK LEN CLOSE END, HTTP_MORE },
	{ OK LEN CLOSE END "hel", HTTP_MORE },
	{ OK LEN CLOSE END "help!", HTTP_WRONG_BYTES },
	{ OK LEN CLOSE END "hel\0o", HTTP_MORE }, /* (the C string ends there) */
	{ OK LEN CLOSE END "x", HTTP_WRONG_BYTES },
	{ OK LEN CLOSE END "hello!", HTTP_EXTRA_BYTES },
	{ OK LEN CLOSE END "hello" OK, HTTP_EXTRA_BYTES },
	{ OK "Content-Length: 6\r\n" CLOSE END "hello!", HTTP_WRONG_BYTES },
	{ OK "Content-Length: 4\r\n" CLOSE END "hell", HTTP_WRONG_BYTES },
	{ "HTTP/1.1 503 No\r\n" LEN CLOSE END "hello", HTTP_BAD_STATUS },
	{ "HTTP/1.1 2000 OK\r\n" LEN CLOSE END "hello", HTTP_BAD_STATUS },
	{ "HTTP/1.0 200 OK\r\n" LEN CLOSE END "hello", HTTP_BAD_HEAD },
	{ "\r\n\r\n", HTTP_BAD_HEAD },
	{ "X", HTTP_BAD_HEAD },
	{ OK CLOSE END "hello", HTTP_BAD_HEAD },
	{ OK LEN END "hello", HTTP_BAD_HEAD },
	{ OK LEN LEN CLOSE END "hello", HTTP_BAD_HEAD },
	{ OK "Content-Length: 5x\r\n" CLOSE END "hello", HTTP_BAD_HEAD },
	{ OK "Content-Length: -5\r\n" CLOSE END "hello", HTTP_BAD_HEAD },
	{ OK "Content-Length: \r\n" CLOSE END "hello", HTTP_BAD_HEAD },
	{ OK "Content-Length: 99999999999999999999\r\n" CLOSE END "hello", HTTP_BAD_HEAD },
	{ OK LEN CLOSE "no colon\r\n" END "hello", HTTP_BAD_HEAD },
	{ OK LEN CLOSE ": no name\r\n" END "hello", HTTP_BAD_HEAD },
	{ OK LEN CLOSE "a b: c\r\n" END "hello", HTTP_BAD_HEAD },
	{ OK LEN CLOSE "a: \x01\r\n" END "hello", HTTP_BAD_HEAD },
	{ OK LEN CLOSE " folded: x\r\n" END "hello", HTTP_BAD_HEAD },
};

static enum http_verdict once(const char *answer, bool closing)
{
	struct http_check check;

	http_check_init(&check, "hello", 5, closing);
	return http_check(&check, answer, strlen(answer));
}

/* Byte by byte, "more" up to the last and then good: nothing is judged too early. */
static void test_bytewise(const char *answer)
{
	struct http_check check;
	size_t len = strlen(answer);

	http_check_init(&check, "hello", 5, true);
	for (size_t n = 1; n < len; n++)
		CHECK(http_check(&check, answer, n) == HTTP_MORE, ": after %zu bytes", n);
	CHECK(http_check(&check, answer, len) == HTTP_GOOD);
}

static void test_same_head(void)
{
	static const char first[] = OK LEN CLOSE "Date: Mon, 01\r\nX: 1\r\n" END "hello";
	static const char later[] = OK LEN CLOSE "Date: Tue, 02\r\nX: 1\r\n" END "hello";
	static const char other[] = OK LEN CLOSE "Date: Tue, 02\r\nX: 2\r\n" END "hello";
	static const char shorter[] = OK LEN CLOSE END "hello";
	struct http_check check;

	http_check_init(&check, "hello", 5, true);
	CHECK(http_check(&check, first, strlen(first)) == HTTP_GOOD);
	CHECK(http_check(&check, first, strlen(first)) == HTTP_GOOD);
	CHECK(http_check(&check, later, strlen(later)) == HTTP_GOOD);
	CHECK(http_check(&check, other, strlen(other)) == HTTP_BAD_HEAD);
	CHECK(http_check(&check, shorter, strlen(shorter)) == HTTP_BAD_HEAD);
	CHECK(http_check(&check, first, strlen(first)) == HTTP_GOOD);
	CHECK(http_check(&check, first, strlen(first) - 1) == HTTP_MORE);
}

int main(void)
{
	char large[HTTP_HEAD_MAX + 100] = OK;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(once(cases[i].answer, true) == cases[i].verdict, ": case %zu: %s", i,
		      http_verdict_name(once(cases[i].answer, true)));
	CHECK(once(OK LEN END "hello", false) == HTTP_GOOD);
	CHECK(once(OK LEN CLOSE END "hello", false) == HTTP_BAD_HEAD);
	memset(large + strlen(OK), 'x', HTTP_HEAD_MAX);
	CHECK(once(large, true) == HTTP_BAD_HEAD);
	test_bytewise(OK LEN CLOSE END "hello");
	test_same_head();
	return check_end();
}
