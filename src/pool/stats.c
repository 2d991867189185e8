/* SPDX-License-Identifier: MIT */
/* stats.c - counts, added up from where each thread keeps its own.
 *
 * Each is read once, what is subtracted before what it is subtracted from, so that no difference
 * goes below zero; at rest they are exact.
 *
 * So the latter may be read relaxed: who raises a count that is subtracted has seen the entry that
 * it belongs to, and acquiring that count shows the entry. The former are acquired. Those that end
 * a wait for quiet (retracted, due_out, dropped, finished) are sequentially consistent: it looks at
 * them again after it has entered itself.
 */
#include "pool/pool.h"

#include <string.h>

#define EACH_COUNTERS(pool, c)                                                                     \
    for (unsigned i_ = 0; i_ <= (pool)->worker_count; i_++)                                        \
        for (const struct counters *c = i_ < (pool)->worker_count ? &(pool)->workers[i_].counters  \
                                                                  : &(pool)->outside;              \
             c != NULL; c = NULL)

void weir__read_totals(const weir_pool *pool, struct totals *ret)
{
    struct totals sum;
    memset(&sum, 0, sizeof sum);
    uint64_t retracted = load_seqcst(&pool->retracted), dropped = 0, off_ring = 0, taken = 0;
    uint64_t due_out = load_seqcst(&pool->timers.due_out), left = load_acq(&pool->timers.left);
    EACH_COUNTERS(pool, c) dropped += load_seqcst(&c->dropped);
    EACH_COUNTERS(pool, c)
    {
        sum.finished += load_seqcst(&c->finished);
        for (unsigned i = 0; i < ENDS; i++)
            sum.ends[i] += load_acq(&c->ends[i]);
    }
    uint64_t head = ring_end(&pool->ring, 1), tail = ring_end(&pool->ring, 0);
    EACH_COUNTERS(pool, c)
    {
        off_ring += load_rlx(&c->off_ring);
        taken += load_rlx(&c->taken);
    }
    uint64_t entered = tail - pool->first_position + off_ring - retracted;
    sum.entered = entered + load_rlx(&pool->timers.due_in) - due_out;
    sum.submitted = entered + load_rlx(&pool->timers.accepted) - left;
    sum.delayed = load_rlx(&pool->timers.delayed); /* by itself */
    sum.dead_tickets = taken - dropped;
    uint64_t queued = tail - head;
    if (queued > pool->ring.capacity)
        queued = pool->ring.capacity;
    sum.queued = queued > sum.dead_tickets ? queued - sum.dead_tickets : 0;
    *ret = sum;
}

void weir_pool_read_counts(const weir_pool *pool, weir_pool_counts *ret)
{
    if (ret == NULL)
        return;
    memset(ret, 0, sizeof *ret);
    if (pool == NULL)
        return;
    struct totals totals;
    weir__read_totals(pool, &totals);
    ret->submitted = totals.submitted;
    ret->rejected = load_rlx(&pool->rejected); /* a count by itself */
    ret->done = totals.ends[WEIR_TASK_DONE - WEIR_TASK_DONE];
    ret->failed = totals.ends[WEIR_TASK_FAILED - WEIR_TASK_DONE];
    ret->cancelled = totals.ends[WEIR_TASK_CANCELLED - WEIR_TASK_DONE];
    ret->expired = totals.ends[WEIR_TASK_EXPIRED - WEIR_TASK_DONE];
    ret->dropped = totals.ends[WEIR_TASK_DROPPED - WEIR_TASK_DONE];
    ret->queued = totals.queued;
    ret->delayed = totals.delayed;
    uint64_t past = totals.queued + totals.delayed;
    for (unsigned i = 0; i < ENDS; i++)
        past += totals.ends[i];
    ret->running = totals.submitted > past ? totals.submitted - past : 0;
    ret->peak_queued = load_rlx(&pool->peak); /* likewise */
}

size_t weir_pool_queued(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return (size_t)counts.queued;
}
