/* SPDX-License-Identifier: MIT */
/* quiet.h - is everything that came into a pool through, and waiting until it is.
 *
 * Two sums that only grow: work in, raised before a piece of work begins, and work out, raised
 * after the last access to the pool on its behalf. A pool is quiet when they are equal.
 *
 *   in:   what was pushed into the rings, which count it without another word being written;
 *         `in`, other jobs: run inline, or waiting for their time (but for periodic ones);
 *         `claimed`, claims that were tried
 *   out:  `out`, jobs whose end has been told, and runs that are to be repeated;
 *         `unclaimed`, claims in vain, and dead tickets that came out of the ring
 *
 * Reading. What is out is read first, then what is in. Both only grow, and out is never above in.
 * So if what was out then equals what is in later, they were equal in between.
 *
 * Waiting. A worker that raises `out` wakes nobody; it does so when it is about to park
 * (weir__quiet_idle). A waiter enters itself, then changes the word `meet`, then reads; a worker
 * raises `out`, then changes `meet`, then looks for waiters. Of two read-modify-writes of one word
 * the later one sees what came before the earlier one: so either the waiter sees `out`, or the
 * worker sees the waiter. Other threads raise `out` and look for waiters each time, both
 * sequentially consistent.
 */
#ifndef WEIR_POOL_QUIET_H
#define WEIR_POOL_QUIET_H

#include "base/tsan.h"
#include "pool/tally.h"
#include "ring/index_ring.h"
#include "wait/wait.h"

struct quiet {
    struct tallies tallies;
    const struct ring *rings[WEIR_MAX_LANES];
    unsigned ring_count;
    uint64_t first; /* positions of the rings, added up */
    atomic(uint32_t) stopped;
    _Alignas(CACHE_LINE) atomic(uint32_t) meet;
};

/* How many jobs were ever pushed. */
static inline uint64_t quiet_pushed(const struct quiet *quiet)
{
    uint64_t pushed = 0;
    for (unsigned i = 0; i < quiet->ring_count; i++)
        pushed += ring_end(quiet->rings[i], 0);
    return pushed - quiet->first;
}

/* `own`: the tally of the calling worker, or NULL. */
static inline void quiet_in(struct quiet *quiet, struct tally *own)
{
    TALLY(&quiet->tallies, own, in, 1);
}

/* The last access to the pool, unless the calling thread is a worker or has other work there. */
static inline void quiet_out(struct quiet *quiet, struct tally *own)
{
    const void *key = quiet;
    tsan_release(quiet);
    TALLY(&quiet->tallies, own, out, 1);
    if (own == NULL)
        weir__wake_all(key);
}

/* A claim was tried in vain, or its dead ticket has come out of the ring; likewise. */
static inline void quiet_unclaimed(struct quiet *quiet, struct tally *own)
{
    const void *key = quiet;
    TALLY(&quiet->tallies, own, unclaimed, 1);
    if (own == NULL)
        weir__wake_all(key);
}

/* For a worker that is about to park. */
void weir__quiet_idle(struct quiet *quiet);

/* Blocks until the pool is quiet or has stopped. Returns 0; ctx's err; -ETIMEDOUT. */
int weir__quiet_wait(struct told told, struct quiet *quiet, weir_context *ctx, int64_t deadline);
/* No worker is left: ends all waits. What is still in is being refused. */
void weir__quiet_stop(struct quiet *quiet);

bool weir__quiet_is_reached(struct quiet *quiet);

#endif
