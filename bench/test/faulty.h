/* SPDX-License-Identifier: MIT */
/* A server in a thread that makes one chosen error in its answers, to test that storm detects it. */
#ifndef BENCH_TEST_FAULTY_H
#define BENCH_TEST_FAULTY_H

#include <netinet/in.h>
#include <stdbool.h>

enum faulty_kind {
	FAULTY_NOT,
	FAULTY_IN_PIECES, /* a correct answer, sent one byte at a time */
	FAULTY_FLIP,	  /* one bit of the body is changed */
	FAULTY_SHORT,	  /* the body ends early */
	FAULTY_EMPTY,	  /* closes without a byte */
	FAULTY_RESET,	  /* RST instead of an answer */
	FAULTY_EXTRA,	  /* a byte after the answer */
	FAULTY_STATUS,	  /* the status is 500 */
	FAULTY_HEAD,	  /* no Content-Length */
	FAULTY_SILENT,	  /* never answers */
	FAULTY_OPEN,	  /* answers, but never closes */
	FAULTY_ECHO,	  /* correct: echoes until the client's FIN */
	FAULTY_ECHO_FLIP, /* echoes with one bit changed */
};

struct faulty;

/*
 * Listens at *address. Of every `every` connections one gets the error, the others are answered
 * correctly. faulty_stop() frees it.
 */
struct faulty *faulty_start(enum faulty_kind kind, unsigned int every, struct sockaddr_in *address);
void faulty_stop(struct faulty *faulty);

#endif
