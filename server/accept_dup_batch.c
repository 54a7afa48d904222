/* SPDX-License-Identifier: MIT */
/*
 * dup-batch: accepted into slots; all connections of a pass put over parked fds by one DUP_BATCH.
 *
 * file_lock: 1 acquisition for up to 32 connections, so 1/N for one when a pass finds N of them.
 * The request installs N sockets and takes out N finished ones under one hold. For a pass with a
 * single connection there is nothing to gather: it goes down as on the path dup, as does what a
 * batch could not do, since a single DUP says what is wrong with it and can be tried with another
 * number.
 *
 * What the batch costs is one io_uring_enter() more for a pass. The receives cannot go down with
 * it: a link is a chain, and N receives that do not wait for each other cannot hang behind one
 * request, while without a link one of them could meet the connection that was on its number
 * before, should the kernel finish the batch elsewhere. So the batch is submitted on its own at the
 * end of the pass. It has completed when that returns, and the receives go down with everything
 * else.
 *
 * Needs IORING_OP_DUP_BATCH: the last patch of the series in kernel/patches.
 */
#include "worker.h"

#include <assert.h>
#include <errno.h>

#include "accept_shared.h"
#include "dup.h"
#include "park.h"
#include "recover.h"

/* One that is empty, to be filled; NULL if io-wq is busy with all of them. */
static struct dup_batch *batch_begin(struct worker *w)
{
	unsigned i;

	for (i = 0; i < DUP_BATCHES && w->batches[i].n; i++)
		;
	w->filling = i < DUP_BATCHES ? &w->batches[i] : NULL;
	return w->filling;
}

static struct conn *batch_conn(struct worker *w, const struct dup_batch *b, unsigned i)
{
	return &w->conns.conns[b->conns[i]];
}

/* The first DONE of them are on their numbers; the others have been left as they were. */
static void batch_end(struct worker *w, struct dup_batch *b, unsigned done)
{
	unsigned i;

	for (i = 0; i < b->n; i++) {
		struct conn *c = batch_conn(w, b, i);

		c->batched = c->suspect = false;
		if (i >= done) {
			dup_chain(w, c);
			continue;
		}
		count(w->counters.dups);
		worker_close_slot(w, c->slot);
		c->slot = -1;
		worker_receive(w, c);
	}
	b->n = 0;
}

static void batch_prep(struct worker *w, struct dup_batch *b)
{
	struct io_uring_sqe *sqe = ring_sqe(&w->ring);

	io_uring_sqe_set_data64(sqe, user_data(OP_OPEN_BATCH, 0, (uint32_t)(b - w->batches)));
	prep_dup_batch(sqe, b->pairs, b->n, IORING_DUP_OLD_FIXED);
	count(w->counters.dup_batches);
	w->filling = NULL;
	w->batch_prepared = true;
}

static void accepted(struct worker *w, struct conn *c, int slot)
{
	struct dup_batch *b = w->filling ? w->filling : batch_begin(w);

	c->slot = slot;
	c->fd = park_take(w);
	if (!b) {
		dup_chain(w, c);
		return;
	}
	c->batched = true;
	b->conns[b->n] = conn_index(&w->conns, c);
	b->pairs[b->n++] = (struct dup_pair){ .old_fd = slot, .new_fd = c->fd };
	if (b->n == DUP_BATCH_MOST)
		batch_prep(w, b);
}

static bool end_pass(struct worker *w)
{
	struct dup_batch *b = w->filling;
	bool prepared;

	if (b && b->n == 1) {
		w->filling = NULL;
		batch_end(w, b, 0);
	} else if (b) {
		batch_prep(w, b);
	}
	prepared = w->batch_prepared;
	w->batch_prepared = false;
	return prepared;
}

static void opened_batch(struct worker *w, unsigned index, int res)
{
	struct dup_batch *b = &w->batches[index];
	unsigned done = res < 0 ? 0 : (unsigned)res;

	assert(index < DUP_BATCHES && done <= b->n);
	if (done < b->n)
		count(w->counters.dup_batch_short);
	batch_end(w, b, done);
}

/* Of those in a batch whose completion is gone nobody knows on which number they are. */
static void recover_batches(struct worker *w)
{
	unsigned i, k;

	for (i = 0; i < DUP_BATCHES; i++) {
		struct dup_batch *b = &w->batches[i];

		if (!b->n || worker_in_flight(w, user_data(OP_OPEN_BATCH, 0, i)))
			continue;
		for (k = 0; k < b->n; k++)
			batch_conn(w, b, k)->batched = false;
		b->n = 0;
	}
}

const struct accept_path accept_dup_batch = {
	.name = "dup-batch",
	.about = "1/N, N connections at a time: ACCEPT into slots, DUP_BATCH over parked fds",
	.needs = FEATURE_RING | FEATURE_DUP | FEATURE_DUP_BATCH,
	.accepts_slots = true,
	.uses_pool = true,
	.arm = arm_direct,
	.accepted = accepted,
	.end_pass = end_pass,
	.opened = dup_opened,
	.opened_batch = opened_batch,
	.recover = recover_batches,
	.slot_closed = dup_slot_closed,
	.retire = park_retire,
	.tick = park_tick,
};
