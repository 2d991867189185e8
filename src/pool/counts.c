/* SPDX-License-Identifier: MIT */
/* counts.c - what a pool has counted, added up from the tallies.
 *
 * Exact at rest. Ends are read first, what was accepted later: so while tasks move, hardly ever
 * more ends are told than tasks were accepted (a submit that meets a cancel counts a moment late).
 */
#include "pool/counts.h"

#include <string.h>

#include "pool/lanes.h"

void weir__read_ends(const weir_pool *pool, uint64_t ret_ends[ENDS])
{
    memset(ret_ends, 0, ENDS * sizeof ret_ends[0]);
    for (unsigned i = 0; i < ENDS; i++)
        TALLY_SUM(&pool->queue.quiet.tallies, ends[i], &ret_ends[i]);
}

uint64_t weir__read_accepted(const weir_pool *pool)
{
    const struct queue *queue = &pool->queue;
    uint64_t accepted = 0;
    TALLY_SUM(&queue->quiet.tallies, besides, &accepted); /* first: it is lowered before a push */
    TALLY_SUM(&queue->quiet.tallies, in, &accepted);
    return accepted + quiet_pushed(&queue->quiet);
}

void weir_pool_read_counts(const weir_pool *pool, weir_pool_counts *ret)
{
    if (ret == NULL)
        return;
    memset(ret, 0, sizeof *ret);
    if (pool == NULL)
        return;
    uint64_t ends[ENDS];
    weir__read_ends(pool, ends);
    for (unsigned i = 0; i < REJECT_REASONS; i++)
        ret->rejected += load_rlx(&pool->rejected[i]); /* counts by themselves */
    ret->done = ends[WEIR_TASK_DONE - WEIR_TASK_DONE];
    ret->failed = ends[WEIR_TASK_FAILED - WEIR_TASK_DONE];
    ret->cancelled = ends[WEIR_TASK_CANCELLED - WEIR_TASK_DONE];
    ret->expired = ends[WEIR_TASK_EXPIRED - WEIR_TASK_DONE];
    ret->dropped = ends[WEIR_TASK_DROPPED - WEIR_TASK_DONE];
    ret->queued = weir__queue_count(&pool->queue);
    ret->delayed = load_rlx(&pool->delay.delayed); /* likewise */
    ret->peak_queued = weir__lanes_peak(&pool->queue);
    ret->submitted = weir__read_accepted(pool);
    uint64_t past = ret->queued + ret->delayed;
    for (unsigned i = 0; i < ENDS; i++)
        past += ends[i];
    ret->running = ret->submitted > past ? ret->submitted - past : 0;
}

size_t weir_pool_queued(const weir_pool *pool)
{
    return pool != NULL ? (size_t)weir__queue_count(&pool->queue) : 0;
}
