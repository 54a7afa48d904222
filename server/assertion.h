/* SPDX-License-Identifier: MIT */
/*
 * assert(), always on: each is a comparison, and what it guards (who owns a descriptor, which place
 * a completion is for) must not go wrong unseen in what is measured and in what is copied.
 */
#ifndef SERVER_ASSERTION_H
#define SERVER_ASSERTION_H

#ifdef NDEBUG
#error "this program relies on its assertions: build it without NDEBUG"
#endif

#include <assert.h>

#endif
