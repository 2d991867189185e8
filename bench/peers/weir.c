/* SPDX-License-Identifier: MIT */
/* weir.c - weir_pool: with task handles and waitgroups, with errgroups, and each of them with
 * waiters outside the pool that help; and with local order. */
#include <weir.h>

#include "../common.h"
#include "peer.h"

static void must(int error)
{
    bench_require(error == 0, "a call of weir failed");
}

static weir_pool *open_pool(unsigned workers, unsigned char help, weir_order order)
{
    weir_pool *pool;
    must(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = BOUND,
                                                .outside_waiters_help = help, .order = order)));
    return pool;
}

static void *open_asleep(unsigned workers, unsigned producers)
{
    (void)producers;
    return open_pool(workers, 0, WEIR_ORDER_FIFO);
}

static void *open_local(unsigned workers, unsigned producers)
{
    (void)producers;
    return open_pool(workers, 0, WEIR_ORDER_LOCAL);
}

static void *open_local_helping(unsigned workers, unsigned producers)
{
    (void)producers;
    return open_pool(workers, 1, WEIR_ORDER_LOCAL);
}

static void *open_helping(unsigned workers, unsigned producers)
{
    (void)producers;
    return open_pool(workers, 1, WEIR_ORDER_FIFO);
}

static void finish(void *pool)
{
    must(weir_pool_drain(pool));
}

static void close_pool(void *pool)
{
    weir_pool_free(pool);
}

static void submit(void *pool, weir_task_fn *fn, void *arg)
{
    must(weir_pool_submit(pool, fn, arg));
}

static void call_task(void *pool, weir_task_fn *fn, void *arg)
{
    weir_task task;
    weir_task_init(&task);
    must(weir_pool_submit_task(pool, &task, fn, arg, NULL));
    must(weir_task_wait(&task));
}

static void call(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    if (n == 1) {
        call_task(pool, fn, args[0]);
        return;
    }
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (size_t i = 0; i < n; i++)
        must(weir_waitgroup_go(&wg, pool, fn, args[i]));
    must(weir_waitgroup_wait(&wg));
}

static void fork_task(void *pool, weir_task_fn *fn, void *forked, void *own)
{
    weir_task task;
    weir_task_init(&task);
    must(weir_pool_submit_task(pool, &task, fn, forked, NULL));
    (void)fn(NULL, own);
    must(weir_task_wait(&task));
}

static void fork_waitgroup(void *pool, weir_task_fn *fn, void *forked, void *own)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    must(weir_waitgroup_go(&wg, pool, fn, forked));
    (void)fn(NULL, own);
    must(weir_waitgroup_wait(&wg));
}

static void call_errgroup(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    weir_errgroup *group;
    must(weir_errgroup_new(&group, pool, NULL, NULL));
    for (size_t i = 0; i < n; i++)
        must(weir_errgroup_go(group, fn, args[i]));
    must(weir_errgroup_wait(group));
    weir_errgroup_free(group);
}

static void fork_errgroup(void *pool, weir_task_fn *fn, void *forked, void *own)
{
    weir_errgroup *group;
    must(weir_errgroup_new(&group, pool, NULL, NULL));
    must(weir_errgroup_go(group, fn, forked));
    (void)fn(NULL, own);
    must(weir_errgroup_wait(group));
    weir_errgroup_free(group);
}

static const struct peer weir = {
    .name = "weir",
    .open = open_asleep,
    .finish = finish,
    .close = close_pool,
    .submit = submit,
    .spawn = submit,
    .call = call,
    .call_inside = call,
    .fork = fork_task,
};

static const struct peer weir_waitgroup_form = {
    .name = "weir-waitgroup",
    .open = open_asleep,
    .close = close_pool,
    .call = call,
    .call_inside = call,
    .fork = fork_waitgroup,
};

static const struct peer weir_errgroup_form = {
    .name = "weir-errgroup",
    .open = open_asleep,
    .close = close_pool,
    .call = call_errgroup,
    .call_inside = call_errgroup,
    .fork = fork_errgroup,
};

static const struct peer weir_helping = {
    .name = "weir-helping",
    .open = open_helping,
    .close = close_pool,
    .call = call,
    .call_inside = call,
    .fork = fork_task,
};

static const struct peer weir_errgroup_helping = {
    .name = "weir-errgroup-helping",
    .open = open_helping,
    .close = close_pool,
    .call = call_errgroup,
    .call_inside = call_errgroup,
    .fork = fork_errgroup,
};

static const struct peer weir_local = {
    .name = "weir-local",
    .open = open_local,
    .finish = finish,
    .close = close_pool,
    .submit = submit,
    .spawn = submit,
    .call = call,
    .call_inside = call,
    .fork = fork_task,
};

static const struct peer weir_local_waitgroup = {
    .name = "weir-local-waitgroup",
    .open = open_local,
    .close = close_pool,
    .call = call,
    .call_inside = call,
    .fork = fork_waitgroup,
};

static const struct peer weir_local_helping = {
    .name = "weir-local-helping",
    .open = open_local_helping,
    .close = close_pool,
    .call = call,
    .call_inside = call,
    .fork = fork_task,
};

const struct peer *const peer_forms[] = {
    &weir,       &weir_waitgroup_form,  &weir_errgroup_form, &weir_helping, &weir_errgroup_helping,
    &weir_local, &weir_local_waitgroup, &weir_local_helping, NULL,
};
