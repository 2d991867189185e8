/* SPDX-License-Identifier: MIT */
/* submit_plain.c - tasks without a handle, one at a time and several. */
#include "pool/submit.h"

#include <errno.h>

static inline int submit_to(weir_pool *pool, uint32_t lane, weir_task_fn *fn, void *arg,
                            enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    if (unlikely(pool == NULL || fn == NULL))
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    struct job job = {.fn = fn, .arg = arg, .start_by = WEIR_FOREVER, .lane = lane};
    if (likely(ctx == NULL))
        return count_rejected(pool, lane, weir__submit(pool, &job, mode, NULL, deadline));
    int err = weir_context_err(ctx);
    if (err != 0)
        return count_rejected(pool, lane, err);
    job.context = weir_context_ref(ctx);
    if (job.context == NULL)
        return -ENOMEM;
    job.start_by = weir_context_deadline(ctx);
    err = count_rejected(pool, lane, weir__submit(pool, &job, mode, ctx, deadline));
    if (err != 0)
        weir_context_unref(job.context);
    return err;
}

int weir__submit_plain(weir_pool *pool, uint32_t lane, weir_task_fn *fn, void *arg,
                       enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    return submit_to(pool, lane, fn, arg, mode, ctx, deadline);
}

static int submit(weir_pool *pool, weir_task_fn *fn, void *arg, enum submit_mode mode,
                  weir_context *ctx, int64_t deadline)
{
    return submit_to(pool, 0, fn, arg, mode, ctx, deadline);
}

int weir_pool_submit(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return submit(pool, fn, arg, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_pool_try_submit(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return submit(pool, fn, arg, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_pool_submit_until(weir_pool *pool, weir_task_fn *fn, void *arg, weir_context *ctx,
                           int64_t deadline)
{
    return submit(pool, fn, arg, SUBMIT_POLICY, ctx, deadline);
}

static int64_t submit_many(weir_pool *pool, const weir_job jobs[], size_t n, enum submit_mode mode,
                           weir_context *ctx, int64_t deadline)
{
    if (pool == NULL || jobs == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    int err = 0;
    size_t done = 0;
    while (done < n &&
           (err = submit(pool, jobs[done].fn, jobs[done].arg, mode, ctx, deadline)) == 0)
        done++;
    return done > 0 ? (int64_t)done : err;
}

int64_t weir_pool_submit_many(weir_pool *pool, const weir_job jobs[], size_t n)
{
    return submit_many(pool, jobs, n, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int64_t weir_pool_try_submit_many(weir_pool *pool, const weir_job jobs[], size_t n)
{
    return submit_many(pool, jobs, n, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int64_t weir_pool_submit_many_until(weir_pool *pool, const weir_job jobs[], size_t n,
                                    weir_context *ctx, int64_t deadline)
{
    return submit_many(pool, jobs, n, SUBMIT_POLICY, ctx, deadline);
}
