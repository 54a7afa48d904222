/* SPDX-License-Identifier: MIT */
/* Tests parsing complete, unusual and invalid texts of /proc/lock_stat. */
#include "check.h"
#include "lock/lock_stat.h"

#include <string.h>

#define HEAD                                                                                       \
	"lock_stat version 0.4\n"                                                                  \
	"-----------------------------------------------------------------------------------\n"    \
	"                              class name    con-bounces    contentions   waittime-min   " \
	"waittime-max waittime-total   waittime-avg    acq-bounces   acquisitions   holdtime-min " \
	"  holdtime-max holdtime-total   holdtime-avg\n"                                           \
	"-----------------------------------------------------------------------------------\n\n"

#define ROW(name)                                                                                  \
	"                      " name ":            17             21           0.52          "    \
	"45.10         210.25          10.01            900          40012           0.10     "    \
	"     90.12       12345.67           0.31\n"

#define OTHER                                                                                      \
	"                      &newf->file_lock/1:             1              1           1.00   " \
	"        1.00           1.00           1.00              1              1           1.00 " \
	"          1.00           1.00           1.00\n"

#define SITES                                                                                      \
	"                      ----------------\n"                                                 \
	"                      &newf->file_lock             21          [<00000000c0ffee00>] "     \
	"alloc_fd+0x31/0x1b0\n"                                                                    \
	"                      ----------------\n"                                                 \
	"                      &newf->file_lock              9          [<00000000c0ffee11>] "     \
	"file_close_fd+0x1c/0x60\n\n"                                                              \
	"................................................................................\n\n"

static const struct {
	const char *name, *text;
	enum lock_stat_verdict verdict;
} cases[] = {
	{ "whole", HEAD ROW("&newf->file_lock") SITES, LOCK_STAT_FOUND },
	{ "among others", HEAD OTHER ROW("&newf->file_lock") SITES, LOCK_STAT_FOUND },
	{ "others only", HEAD OTHER SITES, LOCK_STAT_NO_CLASS },
	{ "a longer name", HEAD ROW("&newf->file_lock_x"), LOCK_STAT_NO_CLASS },
	{ "a name that ends so", HEAD ROW("x&newf->file_lock"), LOCK_STAT_NO_CLASS },
	{ "a second of the name", HEAD ROW("&newf->file_lock#2"), LOCK_STAT_NO_CLASS },
	{ "twice", HEAD ROW("&newf->file_lock") ROW("&newf->file_lock"), LOCK_STAT_BAD },
	{ "empty but for the head", HEAD, LOCK_STAT_NO_CLASS },
	{ "nothing", "", LOCK_STAT_BAD },
	{ "another version", "lock_stat version 0.5\n" ROW("&newf->file_lock"), LOCK_STAT_BAD },
	{ "cut off in the row", HEAD "   &newf->file_lock:      17     21   0.52", LOCK_STAT_BAD },
	{ "a number too few", HEAD "   &newf->file_lock: 1 2 3 4 5 6 7 8 9 10 11\n",
	  LOCK_STAT_BAD },
	{ "a number too many", HEAD "   &newf->file_lock: 1 2 3 4 5 6 7 8 9 10 11 12 13\n",
	  LOCK_STAT_BAD },
	{ "no number", HEAD "   &newf->file_lock: 1 2 3 x 5 6 7 8 9 10 11 12\n", LOCK_STAT_BAD },
	{ "less than nothing", HEAD "   &newf->file_lock: 1 2 3 4 5 6 7 -8 9 10 11 12\n",
	  LOCK_STAT_BAD },
	{ "lockdep gave up",
	  "lock_stat version 0.4\n*WARNING* lock debugging disabled!! - possibly due to a lockdep "
	  "warning\n" ROW("&newf->file_lock"),
	  LOCK_STAT_DISABLED },
};

int main(void)
{
	struct lock_counts counts, zero = { 0 }, difference;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK(lock_stat_parse(cases[i].text, "&newf->file_lock", &counts) ==
			      cases[i].verdict,
		      ": %s", cases[i].name);

	lock_stat_parse(cases[0].text, "&newf->file_lock", &counts);
	CHECK(counts.seen == (LOCK_ACQUISITIONS | LOCK_CONTENTIONS | LOCK_WAIT | LOCK_HOLD));
	CHECK(counts.contentions == 21);
	CHECK(counts.acquisitions == 40012);
	CHECK(counts.wait_ns == 210250);
	CHECK(counts.hold_ns == 12345670);

	zero.seen = LOCK_CONTENTIONS;
	difference = lock_difference(&zero, &counts);
	CHECK(difference.seen == LOCK_CONTENTIONS); /* seen in both or not at all */
	CHECK(difference.contentions == 21);
	return check_end();
}
