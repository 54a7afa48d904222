/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target for the request parser. With clang, the preset "fuzz" links libFuzzer:
 *
 *   cmake --preset fuzz && cmake --build --preset fuzz
 *   build/fuzz/test/fuzz_http -max_total_time=60 /tmp/corpus server/test/corpus
 *
 * Everywhere else main() below replays the corpus and mutations of it, with a seed that is printed:
 *
 *   test_fuzz_http CORPUS-FOLDER MUTATIONS [SEED]
 *
 * What must hold for any bytes: the parser takes no more than it is given, its status is one of
 * those it promises, it always has an answer, and cutting the bytes anywhere changes nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

static const struct http_limits limits = { .target = 100, .header = 400, .body = 1000 };

static void must(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "fuzz_http: %s\n", what);
		abort();
	}
}

static bool known(int status)
{
	static const int statuses[] = { 100, 200, 400, 405, 413, 414, 431, 501, 505 };
	unsigned i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i] == status)
			return true;
	}
	return false;
}

/* A digest of all answers to the bytes, given in pieces of at most STEP bytes. */
static uint64_t answers(const char *data, size_t len, size_t step)
{
	struct http_request request = { 0 };
	uint64_t digest = 14695981039346656037ULL;
	size_t at = 0;

	while (at < len) {
		size_t given = len - at < step ? len - at : step;
		size_t used = http_parse(&request, &limits, data + at, given);
		struct http_answer answer;

		must(used <= given, "takes more than it is given");
		must(used == given || request.status, "leaves bytes without a status");
		must(used > 0 || request.status, "makes no progress");
		at += used;
		if (!request.status)
			continue;
		must(known(request.status), "an unknown status");
		answer = http_answer(&request, false);
		must(answer.len && answer.data, "no answer");
		must(request.status < 400 || answer.close, "an error that does not close");
		digest = (digest ^ request.status ^ at << 16) * 1099511628211ULL;
		if (answer.close)
			return digest;
		http_next(&request);
	}
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	uint64_t whole = answers(bytes, size, SIZE_MAX);

	must(answers(bytes, size, 1) == whole, "byte by byte gives another result");
	must(answers(bytes, size, 7) == whole, "in pieces of 7 gives another result");
	return 0;
}

#ifndef LIBFUZZER

enum { MOST_SEEDS = 64, MOST_BYTES = 4096 };

static struct {
	uint8_t bytes[MOST_BYTES];
	size_t len;
} seeds[MOST_SEEDS];
static unsigned n_seeds;

static void load(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	char path[4096];

	while (dir && (entry = readdir(dir)) != NULL && n_seeds < MOST_SEEDS) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "rbe");
		if (!file)
			continue;
		seeds[n_seeds].len = fread(seeds[n_seeds].bytes, 1, MOST_BYTES, file);
		n_seeds++;
		fclose(file);
	}
	if (dir)
		closedir(dir);
}

static uint64_t state;

/* xorshift64*; quality enough to choose bytes with. */
static unsigned below(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return n ? (unsigned)((state * 2685821657736338717ULL >> 33) % n) : 0;
}

/* Changes, drops, doubles or splices in a few bytes. */
static size_t mutate(uint8_t *bytes, size_t len)
{
	static const char interesting[] = "\r\n :,0189\t\0\177\377/GHP";
	unsigned rounds = 1 + below(6);

	while (rounds--) {
		size_t at = below(len), n = below(16);

		switch (below(4)) {
		case 0:
			bytes[at] = (uint8_t)interesting[below(sizeof(interesting) - 1)];
			break;
		case 1:
			bytes[at] = (uint8_t)below(256);
			break;
		case 2:
			n = n < len - at ? n : len - at;
			memmove(bytes + at, bytes + at + n, len - at - n);
			len -= n;
			break;
		default: {
			unsigned other = below(n_seeds);
			size_t from = below(seeds[other].len);

			n = n < seeds[other].len - from ? n : seeds[other].len - from;
			n = n < MOST_BYTES - len ? n : MOST_BYTES - len;
			memmove(bytes + at + n, bytes + at, len - at);
			memcpy(bytes + at, seeds[other].bytes + from, n);
			len += n;
		}
		}
		if (!len)
			break;
	}
	return len;
}

int main(int argc, char **argv)
{
	unsigned long i, mutations = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	uint8_t bytes[MOST_BYTES];

	state = argc > 3 ? strtoull(argv[3], NULL, 10) : 20261122;
	printf("seed %llu\n", (unsigned long long)state);
	load(argc > 1 ? argv[1] : ".");
	must(n_seeds > 0, "no corpus");
	for (i = 0; i < n_seeds; i++)
		LLVMFuzzerTestOneInput(seeds[i].bytes, seeds[i].len);
	for (i = 0; i < mutations; i++) {
		unsigned seed = below(n_seeds);

		memcpy(bytes, seeds[seed].bytes, seeds[seed].len);
		LLVMFuzzerTestOneInput(bytes, mutate(bytes, seeds[seed].len));
	}
	printf("%u seeds, %lu mutations\n", n_seeds, mutations);
	return 0;
}

#endif
