/* SPDX-License-Identifier: MIT */
/* The table of errors: only this program's own mistakes are fatal, and what must be tried again is. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "requests.h"

enum { MOST_ERRNO = 133 };

static void test_fatal(void)
{
	unsigned op;
	int error;

	for (op = 0; op < OPS; op++) {
		for (error = 1; error <= MOST_ERRNO + 1; error++) {
			/* Of a listener that does not listen, and of a blackhole route. */
			bool not_ours = error == EINVAL &&
					(op == OP_ACCEPT || op == OP_RECV || op == OP_SEND);
			bool ours = (error == EBADF || error == EINVAL) && !not_ours;

			CHECK(request_verdict(op, error) != FATAL || ours, "%s: %s",
			      request_name(op), strerror(error));
		}
	}
}

/* What ICMP, packet filters and routes can make of a connection ends it, and only it. */
static void test_peers(void)
{
	static const int errors[] = { ENOPROTOOPT, EOPNOTSUPP,	 ENONET,    EMSGSIZE, EACCES, EPERM,
				      EHOSTDOWN,   EHOSTUNREACH, ETIMEDOUT, EPROTO,   EINVAL };
	unsigned i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		CHECK(request_verdict(OP_RECV, errors[i]) == END, "%s", strerror(errors[i]));
		CHECK(request_verdict(OP_SEND, errors[i]) == END, "%s", strerror(errors[i]));
	}
}

static void test_rows(void)
{
	static const struct {
		enum op op;
		int error;
		enum verdict verdict;
	} rows[] = {
		{ OP_ACCEPT, EMFILE, WAIT },
		{ OP_ACCEPT, ENFILE, WAIT },
		{ OP_ACCEPT, ENOBUFS, WAIT },
		{ OP_ACCEPT, ENOMEM, WAIT },
		{ OP_ACCEPT, EPERM, WAIT },
		{ OP_ACCEPT, ECONNABORTED, AGAIN },
		{ OP_ACCEPT, EINTR, AGAIN },
		{ OP_ACCEPT, EINVAL, WAIT },
		{ OP_RECV, ENOBUFS, AGAIN },
		{ OP_RECV, EINTR, AGAIN },
		{ OP_RECV, ECANCELED, AGAIN },
		{ OP_RECV, ENOMEM, END },
		{ OP_RECV, EBADF, FATAL },
		{ OP_SEND, ENOBUFS, END },
		{ OP_SEND, EPIPE, END },
		{ OP_RECV, EFAULT, AGAIN },
		{ OP_SEND, EFAULT, AGAIN },
		{ OP_SEND, EBADF, FATAL },
		{ OP_RETIRE, EINTR, NOTHING },
		{ OP_RETIRE, EIO, NOTHING },
		{ OP_RETIRE, ECANCELED, AGAIN },
		{ OP_RETIRE, EBADF, FATAL },
		{ OP_OPEN, EBADF, END },
		{ OP_RELEASE, EBADF, NOTHING },
		{ OP_SHUTDOWN, ENOTCONN, NOTHING },
	};
	unsigned i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(request_verdict(rows[i].op, rows[i].error) == rows[i].verdict, "%s: %s: %d",
		      request_name(rows[i].op), strerror(rows[i].error),
		      request_verdict(rows[i].op, rows[i].error));
}

int main(void)
{
	test_fatal();
	test_peers();
	test_rows();
	CHECK_EXIT();
}
