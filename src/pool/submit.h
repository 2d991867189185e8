/* SPDX-License-Identifier: MIT */
/* submit.h - the way into a pool, for every kind of job. */
#ifndef WEIR_POOL_SUBMIT_H
#define WEIR_POOL_SUBMIT_H

#include "pool/pool.h"

enum submit_mode { SUBMIT_TRY, SUBMIT_POLICY };

/* Submits the job; on success (0) its context is the pool's to give back. `ctx` and `deadline`
 * bound the wait for room; the caller has found ctx live. Returns as weir_pool_submit; that it
 * was refused is for the caller to count. */
int weir__submit(weir_pool *pool, const struct job *job, enum submit_mode mode, weir_context *ctx,
                 int64_t deadline);

/* Is the pool closed to the calling thread? 0 or -EPIPE. */
int weir__refusal(weir_pool *pool);

/* Runs a job on this thread that is not in the queue: 0; -EDEADLK or -EPIPE, then it was not
 * accepted. */
int weir__run_inline(weir_pool *pool, const struct job *job);

/* A submit was refused: counts it. Returns err. */
int weir__count_rejected(weir_pool *pool, int err);

static inline int count_rejected(weir_pool *pool, int err)
{
    return unlikely(err != 0) ? weir__count_rejected(pool, err) : 0;
}

#endif
