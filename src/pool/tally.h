/* SPDX-License-Identifier: MIT */
/* tally.h - what a pool counts; each worker has a tally of its own, all other threads share one.
 *
 * A worker's is written by its thread alone, without an atomic read-modify-write. All counts are
 * modulo 2^64, and some go down as well: they make sense when the tallies are summed.
 */
#ifndef WEIR_POOL_TALLY_H
#define WEIR_POOL_TALLY_H

#include "weir/pool.h"

#include "base/atomic.h"

enum { ENDS = WEIR_TASK_DROPPED - WEIR_TASK_DONE + 1 };

struct tally {
    _Alignas(CACHE_LINE) atomic(uint64_t) out; /* work that is through: quiet.h */
    atomic(uint64_t) in;         /* work that came in, but for pushes into the ring and claims */
    atomic(uint64_t) claimed;    /* claims that were tried: queue.h */
    atomic(uint64_t) unclaimed;  /* dead tickets that came out, and claims in vain */
    atomic(uint64_t) ends[ENDS]; /* by weir_state, from WEIR_TASK_DONE on */
    atomic(uint64_t) besides;    /* tasks accepted, less `in` and what was pushed */
};

struct tallies {
    struct tally *of_workers;
    unsigned workers;
    struct tally outside;
};

/* Adds `n`, which may be negative, to a count of the calling thread. `own`: its tally if it is a
 * worker of the pool, else NULL. What was counted before shows to a thread that reads this. */
#define TALLY(tallies, own, count, n)                                                              \
    do {                                                                                           \
        if ((own) != NULL)                                                                         \
            /* pairs with TALLY_SUM */                                                             \
            store_rel(&(own)->count, load_rlx(&(own)->count) + (uint64_t)(n));                     \
        else                                                                                       \
            /* pairs with TALLY_SUM */                                                             \
            add_seqcst(&(tallies)->outside.count, (uint64_t)(n));                                  \
    } while (0)

/* Adds one count of all tallies to *ret. seq_cst for quiet.c, which says why. */
#define TALLY_SUM(tallies, count, ret)                                                             \
    do {                                                                                           \
        for (unsigned i_ = 0; i_ < (tallies)->workers; i_++)                                       \
            *(ret) += load_seqcst(&(tallies)->of_workers[i_].count); /* pairs with TALLY */        \
        /* pairs with TALLY */                                                                     \
        *(ret) += load_seqcst(&(tallies)->outside.count);                                          \
    } while (0)

#endif
