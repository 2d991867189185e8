/* SPDX-License-Identifier: MIT */
/* submit_lane.c - plain tasks that name their lane. */
#include "weir/lane.h"

#include <errno.h>

#include "pool/lane_options.h"
#include "pool/submit.h"

static int submit(weir_pool *pool, unsigned lane, weir_task_fn *fn, void *arg,
                  enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    uint32_t number;
    if (pool == NULL || weir__lane_numbered(&pool->queue, lane, &number) != 0)
        return -EINVAL;
    return weir__submit_plain(pool, number, fn, arg, mode, ctx, deadline);
}

int weir_pool_submit_lane(weir_pool *pool, unsigned lane, weir_task_fn *fn, void *arg)
{
    return submit(pool, lane, fn, arg, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_pool_try_submit_lane(weir_pool *pool, unsigned lane, weir_task_fn *fn, void *arg)
{
    return submit(pool, lane, fn, arg, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_pool_submit_lane_until(weir_pool *pool, unsigned lane, weir_task_fn *fn, void *arg,
                                weir_context *ctx, int64_t deadline)
{
    return submit(pool, lane, fn, arg, SUBMIT_POLICY, ctx, deadline);
}

unsigned weir_pool_lanes(const weir_pool *pool)
{
    return pool != NULL ? pool->queue.lane_count : 0;
}
