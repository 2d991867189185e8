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

/* weir_pool_submit in all its forms, for a task in the lane of this number (queue.h). */
int weir__submit_plain(weir_pool *pool, uint32_t lane, weir_task_fn *fn, void *arg,
                       enum submit_mode mode, weir_context *ctx, int64_t deadline);

/* How a job enters the pool, if not by a ticket of its own. */
struct way_in {
    /* One try, under the lock that its sink has: 0; -EAGAIN: the pool is full; or what ends the
     * submit. Calls no callbacks. */
    int (*put)(weir_pool *pool, const struct job *job);
    /* Runs it on this thread: weir__run_inline. */
    int (*run_inline)(weir_pool *pool, const struct job *job);
};

/* weir__submit in this way; NULL: by a ticket, like any job. */
int weir__submit_by(const struct way_in *way, weir_pool *pool, const struct job *job,
                    enum submit_mode mode, weir_context *ctx, int64_t deadline);

/* Is the pool closed to the calling thread? 0 or -EPIPE. */
int weir__refusal(weir_pool *pool);
/* The same for a thread that finds, after a push, that the pool is not open. */
bool weir__closed_to_us(const weir_pool *pool);

/* Runs a job on this thread that is not in the queue: 0; -EDEADLK or -EPIPE, then it was not
 * accepted. */
int weir__run_inline(weir_pool *pool, const struct job *job);

/* A submit was refused: counts it, for the lane by its number in jobs. Returns err. */
int weir__count_rejected(weir_pool *pool, uint32_t lane, int err);

static inline int count_rejected(weir_pool *pool, uint32_t lane, int err)
{
    return unlikely(err != 0) ? weir__count_rejected(pool, lane, err) : 0;
}

#endif
