/* SPDX-License-Identifier: MIT */
/* mutex.c - the hand-written pool of the folder baseline, on the locks it was compiled with. */
#include "../baseline/mutex_pool.h"
#include "../common.h"
#include "peer.h"

static void *open_pool(unsigned workers, unsigned producers)
{
    (void)producers;
    struct mutex_pool *pool;
    return mutex_pool_new(&pool, workers, BOUND) == 0 ? pool : NULL;
}

static void finish(void *pool)
{
    mutex_pool_drain(pool);
}

static void close_pool(void *pool)
{
    mutex_pool_free(pool);
}

static void submit(void *pool, weir_task_fn *fn, void *arg)
{
    mutex_pool_submit(pool, fn, arg);
}

static void spawn(void *pool, weir_task_fn *fn, void *arg)
{
    if (!mutex_pool_try_submit(pool, fn, arg))
        (void)fn(NULL, arg);
}

static void call(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    mutex_pool_call(pool, fn, args, n);
}

static void fork_task(void *pool, weir_task_fn *fn, void *forked, void *own)
{
    mutex_pool_fork(pool, fn, forked, own);
}

static const struct peer in_place = {
    .name = "in-place",
    .open = open_pool,
    .finish = finish,
    .close = close_pool,
    .submit = submit,
    .spawn = spawn,
    .call = call,
    .call_inside = call,
    .fork = fork_task,
};

/* A task waits for room as everybody does. */
static const struct peer blocking = {
    .name = "blocking",
    .open = open_pool,
    .finish = finish,
    .close = close_pool,
    .submit = submit,
    .spawn = submit,
};

const struct peer *const peer_forms[] = {&in_place, &blocking, NULL};
