/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include <errno.h>

enum kind { INTERRUPTED, NOT_DONE, NO_BUFFER, SHORT, PEER, NO_FILE, INVALID, OTHER, KINDS };

static enum kind kind_of(int error)
{
	switch (error) {
	case EINTR:
		return INTERRUPTED;
	case EAGAIN:
	case ECANCELED:
	case EFAULT:
		return NOT_DONE;
	case ENOBUFS:
		return NO_BUFFER;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return SHORT;
	case ECONNABORTED:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ENETUNREACH:
	case ENONET:
	case ENOPROTOOPT:
	case ENOTCONN:
	case EOPNOTSUPP:
	case EPIPE:
	case EPROTO:
	case ETIMEDOUT:
		return PEER;
	case EBADF:
		return NO_FILE;
	case EINVAL:
		return INVALID;
	default:
		return OTHER;
	}
}

/* No row has a default: what has been left out of one does not compile. */
#define X(request, name, intr, not_done, no_buffer, scarce, peer, no_file, invalid, other)         \
	[OP_##request] = { intr, not_done, no_buffer, scarce, peer, no_file, invalid, other },
static const enum verdict verdicts[OPS][KINDS] = { REQUESTS(X) };
#undef X

#define X(request, name, ...) [OP_##request] = name,
static const char *const names[OPS] = { REQUESTS(X) };
#undef X

enum verdict request_verdict(enum op op, int error)
{
	return verdicts[op][kind_of(error)];
}

const char *request_name(enum op op)
{
	return names[op];
}
