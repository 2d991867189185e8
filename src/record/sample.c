/* SPDX-License-Identifier: MIT */
#include "record/sample.h"

#include "os/random.h"

/* Settles the size of the next block, and the place of its chosen task. */
static void begin_block(struct sampler *sampler, int64_t time, uint32_t tasks)
{
    unsigned shift = 0;
    while (shift < SAMPLE_MOST && (time << shift) / tasks < SAMPLE_NS)
        shift++;
    uint32_t size = UINT32_C(1) << shift;
    uint32_t place = random_below(size);
    sampler->shift = shift;
    sampler->left = sampler->gap = sampler->rest + place + 1;
    sampler->rest = size - 1 - place;
}

static uint64_t next_of_block(struct sampler *sampler)
{
    int64_t now = weir_now(), time = now - sampler->last;
    if (sampler->gap == 0) { /* the first of this thread */
        sampler->gap = 1;
        time = SAMPLE_NS;
    }
    if (time > SAMPLE_STALE_NS * (int64_t)sampler->gap) /* no overflow below */
        time = SAMPLE_STALE_NS * (int64_t)sampler->gap;
    uint64_t stamp = stamp_of(now, sampler->shift);
    begin_block(sampler, time, sampler->gap);
    sampler->last = now;
    return stamp;
}

static uint64_t rare(struct sampler *sampler)
{
    int64_t now = weir_now();
    sampler->left &= ~SAMPLE_RARE;
    /* The tasks of the block were few, or came slowly: a thread that was busy is so no more. It
     * gives up the rest of its block, so that what comes now is measured in full. */
    if (sampler->shift != 0 && now - sampler->last >= SAMPLE_STALE_NS) {
        sampler->rest = 0;
        begin_block(sampler, SAMPLE_NS, 1);
        sampler->last = now;
    }
    return stamp_of(now, 0);
}

COLD uint64_t weir__sample_chosen(struct sampler *sampler)
{
    return (sampler->left & SAMPLE_RARE) != 0 ? rare(sampler) : next_of_block(sampler);
}
