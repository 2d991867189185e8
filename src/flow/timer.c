/* SPDX-License-Identifier: MIT */
/* timer.c - delayed and periodic tasks: the calls. How a task waits for its time is part of the
 * pool (pool/delay.c). */
#include "weir/timer.h"

#include <errno.h>

#include "pool/task_submit.h"

int weir_pool_submit_task_at(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                             const weir_task_options *options, int64_t start_at)
{
    return weir__submit_task_at(pool, task, fn, arg, options, start_at, 0);
}

int weir_pool_submit_every(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                           const weir_task_options *options, int64_t first, int64_t period)
{
    if (period <= 0)
        return -EINVAL;
    return weir__submit_task_at(pool, task, fn, arg, options, first, period);
}
