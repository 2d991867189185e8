/* SPDX-License-Identifier: MIT */
/* sample.h - which tasks are measured: decided as they are submitted, before anything is known of
 * how long they will wait and run.
 *
 * A read of the clock takes as long as the hand-over of an empty task, and a task that is measured
 * takes three. So of tasks that come thick only some are measured, and each of those counts for as
 * many as it was chosen from.
 *
 * A thread takes the tasks that it submits in blocks of 2^shift, and chooses one of each block, at
 * a random place in it; that one has the weight 2^shift. The shift is settled before the block
 * begins, by how fast its tasks came lately. So every task is chosen with a chance that is the
 * inverse of its weight, whatever the tasks are like and whatever comes next: sums of weighted
 * values are right on average, also over phases of different speed. (To measure a task when some
 * time has passed, instead, would favour those that come after a pause.)
 *
 * Apart from the blocks, and with the weight 1, are tasks after one for which a worker had to be
 * woken: a wake costs more than the clock. So a pool that is idle most of the time is measured in
 * full.
 *
 * A stamp says when a task was submitted, and its weight, in one word: 0 if it is not measured.
 */
#ifndef WEIR_RECORD_SAMPLE_H
#define WEIR_RECORD_SAMPLE_H

#include "weir/pool.h"

#include "base/assert.h"
#include "os/thread.h"

/* {time:60, log2 of the weight, plus 1:4}. */
enum { STAMP_SHIFT = 4, STAMP_MASK = (1 << STAMP_SHIFT) - 1 };
#define STAMP_LATEST (INT64_MAX >> STAMP_SHIFT)

/* A block has as many tasks as come in SAMPLE_NS, and 2^SAMPLE_MOST at most. */
enum { SAMPLE_MOST = 10, SAMPLE_NS = 32768, SAMPLE_STALE_NS = 1000000 };

static inline uint64_t stamp_of(int64_t time, unsigned shift)
{
    if (time > STAMP_LATEST)
        time = STAMP_LATEST;
    return (uint64_t)time << STAMP_SHIFT | (shift + 1);
}

static inline int64_t stamp_time(uint64_t stamp)
{
    return (int64_t)(stamp >> STAMP_SHIFT);
}

static inline uint64_t stamp_weight(uint64_t stamp)
{
    return UINT64_C(1) << ((stamp & STAMP_MASK) - 1);
}

/* In `left`: the next task is measured apart from the blocks. */
#define SAMPLE_RARE (UINT32_C(1) << 31)

uint64_t weir__sample_chosen(struct sampler *sampler);

/* The stamp of the task that the calling thread is about to submit. */
static inline uint64_t sample(struct sampler *sampler)
{
    uint32_t left = sampler->left;
    if (unlikely(left - 2 >= SAMPLE_RARE - 2)) /* 0, 1, or rare */
        return weir__sample_chosen(sampler);
    sampler->left = left - 1;
    return 0;
}

/* A worker was woken for the last one. */
static inline void sample_woke(struct sampler *sampler)
{
    sampler->left |= SAMPLE_RARE;
}

#endif
