/* SPDX-License-Identifier: MIT */
/* Tests which command lines an option table accepts and which it refuses. */
#include "check.h"
#include "option.h"

#include <string.h>

static const char *const colours[] = { "red", "green", "blue", NULL };

struct values {
	bool flag;
	uint64_t count, time;
	const char *text;
	struct text_list texts;
	int choice;
	struct count_list choices, counts;
};

static int parse(struct values *v, const char *a, const char *b)
{
	const struct option_row rows[] = {
		{ "flag", OPTION_FLAG, &v->flag, NULL, "a flag", 0, 0, NULL },
		{ "count", OPTION_COUNT, &v->count, "N", "a count", 1, 5000, NULL },
		{ "time", OPTION_TIME, &v->time, "TIME", "a time", 0, 60000000000, NULL },
		{ "text", OPTION_TEXT, &v->text, "TEXT", "a text", 0, 0, NULL },
		{ "texts", OPTION_TEXTS, &v->texts, "TEXT", "texts", 0, 0, NULL },
		{ "choice", OPTION_CHOICE, &v->choice, "X", "a choice", 0, 0, colours },
		{ "choices", OPTION_CHOICES, &v->choices, "LIST", "choices", 0, 0, colours },
		{ "counts", OPTION_COUNTS, &v->counts, "LIST", "counts", 1, 64, NULL },
		{ 0 },
	};
	char *argv[] = { "test", (char *)a, (char *)b, NULL };

	memset(v, 0, sizeof(*v));
	return option_parse("test", "Nothing.", rows, a ? b ? 3 : 2 : 1, argv);
}

static const struct {
	const char *option, *value;
} refused[] = {
	{ "--nothing", NULL },
	{ "-x", NULL },
	{ "operand", NULL },
	{ "--count", NULL },
	{ "--count", "" },
	{ "--count", "0" },
	{ "--count", "5001" },
	{ "--count", "6k" },
	{ "--count", "-1" },
	{ "--count", "+1" },
	{ "--count", " 1" },
	{ "--count", "1 " },
	{ "--count", "1.5" },
	{ "--count", "0x10" },
	{ "--count", "1K" },
	{ "--count", "99999999999999999999" },
	{ "--count", "99999999999G" },
	{ "--count", "ten" },
	{ "--time", "5" },
	{ "--time", "5d" },
	{ "--time", "61s" },
	{ "--time", "-1s" },
	{ "--time", "s" },
	{ "--time", "1s1s" },
	{ "--choice", "yellow" },
	{ "--choice", "" },
	{ "--choice", "red,green" },
	{ "--choices", "red,,green" },
	{ "--choices", "red," },
	{ "--choices", "" },
	{ "--choices", "yellow" },
	{ "--counts", "1,0" },
	{ "--counts", "1,x" },
	{ "--counts", "1;2" },
	{ "--counts", "65" },
	/* one more than LIST_MAX */
	{ "--counts", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1" },
	{ "--text", "" },
	{ "--flag=yes", NULL },
	{ "--flag", "operand" },
};

int main(void)
{
	struct values v;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CHECK(parse(&v, refused[i].option, refused[i].value) == EXIT_USAGE, ": %s %s",
		      refused[i].option, refused[i].value ? refused[i].value : "");

	CHECK(parse(&v, NULL, NULL) == OPTION_GO_ON);
	CHECK(parse(&v, "--help", NULL) == EXIT_GOOD);
	CHECK(parse(&v, "--flag", NULL) == OPTION_GO_ON && v.flag);
	CHECK(parse(&v, "--count", "5k") == OPTION_GO_ON && v.count == 5000);
	CHECK(parse(&v, "--count=1", NULL) == OPTION_GO_ON && v.count == 1);
	CHECK(parse(&v, "--time", "200ms") == OPTION_GO_ON && v.time == 200000000);
	CHECK(parse(&v, "--time", "1m") == OPTION_GO_ON && v.time == 60000000000);
	CHECK(parse(&v, "--time", "0") == OPTION_GO_ON && v.time == 0);
	CHECK(parse(&v, "--choice", "blue") == OPTION_GO_ON && v.choice == 2);
	CHECK(parse(&v, "--choices", "blue,red") == OPTION_GO_ON && v.choices.n == 2 &&
	      v.choices.item[0] == 2 && v.choices.item[1] == 0);
	CHECK(parse(&v, "--counts", "1,2,64") == OPTION_GO_ON && v.counts.n == 3 &&
	      v.counts.item[2] == 64);
	CHECK(parse(&v, "--texts=a", "--texts=b") == OPTION_GO_ON && v.texts.n == 2);
	return check_end();
}
