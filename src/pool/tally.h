/* SPDX-License-Identifier: MIT */
/* tally.h - what a pool counts; each worker has a tally of its own, all other threads share one.
 *
 * A worker's is written by its thread alone, without an atomic read-modify-write. All counts are
 * modulo 2^64, and some go down as well: they make sense when the tallies are summed.
 */
#ifndef WEIR_POOL_TALLY_H
#define WEIR_POOL_TALLY_H

#include "weir/pool.h"

#include "base/assert.h"
#include "base/atomic.h"

enum { ENDS = WEIR_TASK_DROPPED - WEIR_TASK_DONE + 1 };

struct tally {
    _Alignas(CACHE_LINE) atomic(uint64_t) out; /* work that is through: quiet.h */
    atomic(uint64_t) in;         /* work that came in, but for pushes into the ring and claims */
    atomic(uint64_t) claimed;    /* claims that were tried: queue.h */
    atomic(uint64_t) unclaimed;  /* dead tickets that came out, and claims in vain */
    atomic(uint64_t) ends[ENDS]; /* by weir_state, from WEIR_TASK_DONE on */
    atomic(uint64_t) besides;    /* tasks accepted, less `in` and what was pushed */
    atomic(uint64_t) serials;    /* tasks queued in serials, less the tickets of their turns */
};

struct tallies {
    struct tally *of_workers;
    unsigned workers;
    struct tally outside;
};

/* Adds n, modulo 2^64, to `own`, a worker's own count, or to `shared` if that is NULL. What was
 * done before shows to a thread that reads it. */
static ALWAYS_INLINE void tally_add(atomic(uint64_t) *own, atomic(uint64_t) *shared, uint64_t n)
{
    if (own != NULL)
        store_rel(own, load_rlx(own) + n); /* pairs with tally_read */
    else
        add_seqcst(shared, n); /* pairs with tally_read */
}

/* seq_cst for quiet.c, which says why. */
static inline uint64_t tally_read(const atomic(uint64_t) *count)
{
    return load_seqcst(count); /* pairs with tally_add */
}

/* For a count of the calling thread. `own`: its tally if it is a worker of the pool, else NULL. */
#define TALLY(tallies, own, count, n)                                                              \
    tally_add((own) != NULL ? &(own)->count : NULL, &(tallies)->outside.count, (uint64_t)(n))

/* Adds one count of all tallies to *ret. */
#define TALLY_SUM(tallies, count, ret)                                                             \
    do {                                                                                           \
        for (unsigned i_ = 0; i_ < (tallies)->workers; i_++)                                       \
            *(ret) += tally_read(&(tallies)->of_workers[i_].count);                                \
        *(ret) += tally_read(&(tallies)->outside.count);                                           \
    } while (0)

#endif
