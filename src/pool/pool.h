/* SPDX-License-Identifier: MIT */
/* pool.h - what a pool is made of. Everything above it (submit.c, task.c, shutdown.c, group/) knows
 * the pool, everything below only its own part. */
#ifndef WEIR_POOL_POOL_H
#define WEIR_POOL_POOL_H

#include "pool/delay.h"
#include "pool/repeats.h"
#include "pool/worker.h"

/* Why submits were refused. */
enum reject {
    REJECT_FULL,      /* -EAGAIN */
    REJECT_CLOSED,    /* -EPIPE */
    REJECT_TIMED_OUT, /* -ETIMEDOUT */
    REJECT_CANCELLED, /* -ECANCELED */
    REJECT_NESTED,    /* -EDEADLK */
    REJECT_BUSY,      /* -EBUSY */
    REJECT_UNREAPED,  /* -ENOBUFS */
    REJECT_OTHER,     /* no memory, no thread */
    REJECT_REASONS
};

struct weir_pool {
    struct queue queue;
    struct host host;
    weir_overflow overflow;
    bool has_parent_context;
    struct crew crew;
    struct delay delay;
    struct repeats repeats;
    _Alignas(CACHE_LINE) atomic(uint64_t) rejected[REJECT_REASONS];
    atomic(uint64_t) busy_ns, blocked_ns; /* the most that was told (see/stats.c) */
    atomic(unsigned) in_metrics;          /* so many metrics would read a freed pool */
    struct lock lock;                     /* for changes of phase */
};

static inline bool pool_stale(const weir_pool *pool)
{
    return host_stale(&pool->host);
}

/* The pool whose worker the calling thread is, or NULL; also an inherited one. */
static inline weir_pool *own_pool(void)
{
    const struct seat *seat = this_thread()->seat;
    return seat != NULL ? container_of(seat->queue, weir_pool, queue) : NULL;
}

#endif
