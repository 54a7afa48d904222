/* SPDX-License-Identifier: MIT */
/* Numbers as a person types them: what is taken, for how much, and what is not. */
#include "check.h"
#include "quantity.h"

struct example {
	bool (*parse)(const char *text, uint64_t *value);
	const char *text;
	uint64_t value;
};

static const struct example taken[] = {
	{ quantity_count, "0", 0 },
	{ quantity_count, "007", 7 },
	{ quantity_count, "5k", 5000 },
	{ quantity_count, "3M", 3000000 },
	{ quantity_count, "2G", 2000000000 },
	{ quantity_count, "18446744073709551615", UINT64_MAX },
	{ quantity_size, "8192", 8192 },
	{ quantity_size, "8K", 8192 },
	{ quantity_size, "1M", 1048576 },
	{ quantity_size, "3G", 3221225472 },
	{ quantity_time, "0", 0 },
	{ quantity_time, "7ns", 7 },
	{ quantity_time, "5us", 5000 },
	{ quantity_time, "200ms", 200000000 },
	{ quantity_time, "10s", 10000000000 },
	{ quantity_time, "1m", 60000000000 },
	{ quantity_time, "2h", 7200000000000 },
};

static const struct example refused[] = {
	{ quantity_count, "", 0 },
	{ quantity_count, "-1", 0 },
	{ quantity_count, "+1", 0 },
	{ quantity_count, " 1", 0 },
	{ quantity_count, "1 ", 0 },
	{ quantity_count, "1.5", 0 },
	{ quantity_count, "0x10", 0 },
	{ quantity_count, "k", 0 },
	{ quantity_count, "1K", 0 },
	{ quantity_count, "1kk", 0 },
	{ quantity_count, "18446744073709551616", 0 },
	{ quantity_count, "18446744073709552k", 0 },
	{ quantity_size, "1k", 0 },
	{ quantity_size, "1KiB", 0 },
	{ quantity_size, "18014398509481984K", 0 },
	{ quantity_time, "5", 0 },
	{ quantity_time, "s", 0 },
	{ quantity_time, "1s1s", 0 },
	{ quantity_time, "-1s", 0 },
	{ quantity_time, "1d", 0 },
	{ quantity_time, "18446744073709551615s", 0 },
};

int main(void)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		CHECK(taken[i].parse(taken[i].text, &value) && value == taken[i].value,
		      "'%s' is %llu, not %llu", taken[i].text, (unsigned long long)value,
		      (unsigned long long)taken[i].value);
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		CHECK(!refused[i].parse(refused[i].text, &value), "'%s'", refused[i].text);
	CHECK_EXIT();
}
