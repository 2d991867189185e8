/* SPDX-License-Identifier: MIT */
/* pools.c - the pools that are compared, behind one interface. */
#include "pools.h"

#include <stddef.h>
#include <stdint.h>

#include <weir.h>

#include "baseline/mutex_pool.h"

static void *open_weir(unsigned workers, unsigned capacity)
{
    weir_pool *pool;
    int error = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    return error == 0 ? pool : NULL;
}

static void *open_weir_helped(unsigned workers, unsigned capacity)
{
    weir_pool *pool;
    int error = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                                       .outside_waiters_help = 1));
    return error == 0 ? pool : NULL;
}

static void *open_weir_unmeasured(unsigned workers, unsigned capacity)
{
    weir_pool *pool;
    int error = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                                       .measure = WEIR_MEASURE_NONE));
    return error == 0 ? pool : NULL;
}

static void *open_weir_all_measured(unsigned workers, unsigned capacity)
{
    weir_pool *pool;
    int error = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                                       .measure = WEIR_MEASURE_ALL));
    return error == 0 ? pool : NULL;
}

static void *open_weir_lanes(unsigned workers, unsigned capacity)
{
    weir_pool *pool;
    int error = weir_pool_new(
        &pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .lanes = 3));
    return error == 0 ? pool : NULL;
}

/* To each lane in turn. */
static int submit_weir_lane(void *pool, weir_task_fn *fn, void *arg)
{
    return weir_pool_submit_lane(pool, (unsigned)((uintptr_t)arg % 3), fn, arg);
}

static int submit_weir(void *pool, weir_task_fn *fn, void *arg)
{
    return weir_pool_submit(pool, fn, arg);
}

static int drain_weir(void *pool)
{
    return weir_pool_drain(pool);
}

static int call_weir(void *pool, weir_task_fn *fn, void *arg)
{
    weir_task task = WEIR_TASK_INIT;
    int error = weir_pool_submit_task(pool, &task, fn, arg, NULL);
    return error == 0 ? weir_task_wait(&task) : error;
}

static void close_weir(void *pool)
{
    weir_pool_free(pool);
}

static void *open_mutex(unsigned workers, unsigned capacity)
{
    struct mutex_pool *pool;
    return mutex_pool_new(&pool, workers, capacity) == 0 ? pool : NULL;
}

static int submit_mutex(void *pool, weir_task_fn *fn, void *arg)
{
    mutex_pool_submit(pool, fn, arg);
    return 0;
}

static int drain_mutex(void *pool)
{
    mutex_pool_drain(pool);
    return 0;
}

static int call_mutex(void *pool, weir_task_fn *fn, void *arg)
{
    mutex_pool_call(pool, fn, &arg, 1);
    return 0;
}

static void close_mutex(void *pool)
{
    mutex_pool_free(pool);
}

const struct pool_kind weir_kind = {
    .name = "weir",
    .open = open_weir,
    .submit = submit_weir,
    .drain = drain_weir,
    .call = call_weir,
    .close = close_weir,
};

const struct pool_kind weir_helped_kind = {
    .name = "weir, outside_waiters_help",
    .open = open_weir_helped,
    .submit = submit_weir,
    .drain = drain_weir,
    .call = call_weir,
    .close = close_weir,
};

const struct pool_kind weir_unmeasured_kind = {
    .name = "weir, WEIR_MEASURE_NONE",
    .open = open_weir_unmeasured,
    .submit = submit_weir,
    .drain = drain_weir,
    .call = call_weir,
    .close = close_weir,
};

const struct pool_kind weir_all_measured_kind = {
    .name = "weir, WEIR_MEASURE_ALL",
    .open = open_weir_all_measured,
    .submit = submit_weir,
    .drain = drain_weir,
    .call = call_weir,
    .close = close_weir,
};

const struct pool_kind weir_lanes_kind = {
    .name = "weir, three lanes",
    .open = open_weir_lanes,
    .submit = submit_weir_lane,
    .drain = drain_weir,
    .call = call_weir,
    .close = close_weir,
};

const struct pool_kind mutex_kind = {
    .name = "mutex + condvars",
    .open = open_mutex,
    .submit = submit_mutex,
    .drain = drain_mutex,
    .call = call_mutex,
    .close = close_mutex,
};
