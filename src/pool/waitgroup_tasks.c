/* SPDX-License-Identifier: MIT */
/* waitgroup_tasks.c - tasks given to a waitgroup, and waiting for one.
 *
 * A waiter may search a pool for tasks of the waitgroup only if that pool is sure to exist: a
 * worker its own; a thread outside the one that all tasks of this waitgroup were ever given to, and
 * only while one of them has not ended. Queue positions of a later pool are above those of an
 * earlier one (pool.c), so `first` is never too high, even if a new pool has the address of an old
 * one.
 *
 * Edges: R18 `members` raised -> A18 its load: the pools that were noted before. What a go notes
 * for those who wait (pool, members, first) is published by the count (sync/waitgroup.h).
 */
#include "sync/waitgroup.h"

#include <errno.h>

#include "pool/pool.h"

#define MANY_POOLS ((uintptr_t)1)

/* Remembers where the tasks of the waitgroup are, before one is counted. */
static void note_pool(struct waitgroup *wg, weir_pool *pool)
{
    uintptr_t known = load_rlx(&wg->pool); /* published by R18, and by the count */
    if (known == 0 && cas_rlx(&wg->pool, &known, (uintptr_t)pool))
        return;
    if (known != (uintptr_t)pool && known != MANY_POOLS)
        store_rlx(&wg->pool, MANY_POOLS);
}

void weir__waitgroup_ended(void *object, weir_pool *pool)
{
    struct waitgroup *wg = object;
    if (pool->outside_waiters_help)
        sub_rlx(&wg->members, 1); /* before the waitgroup may be gone; orders nothing */
    if (weir__waitgroup_take(wg))
        wake_waiters(wg);
}

/* Does it count tasks that the parent process submitted? */
static bool stale(const struct waitgroup *wg)
{
    /* The count first: who counted a task of this process has written `fork` before. */
    if (waitgroup_count(load_acq(&wg->state)) == 0)
        return false;
    uint32_t fork = load_rlx(&wg->fork);
    return fork != 0 && fork != fork_count();
}

static int go(weir_waitgroup *handle, weir_pool *pool, weir_task_fn *fn, void *arg,
              enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    struct waitgroup *wg = (struct waitgroup *)handle;
    if (wg == NULL || pool == NULL || fn == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    int err = weir_context_err(ctx);
    if (err != 0) {
        add_rlx(&pool->rejected, 1);
        return err;
    }
    if (stale(wg))
        return -ESTALE;
    struct job job = {.fn = fn, .arg = arg, .owner = owner_of(wg, OWNER_WAITGROUP)};
    job.start_by = weir_context_deadline(ctx);
    if (ctx != NULL && (job.context = weir_context_ref(ctx)) == NULL)
        return -ENOMEM;
    note_pool(wg, pool);
    store_rlx(&wg->fork, fork_count()); /* the same for all threads */
    if (pool->outside_waiters_help)
        add_rel(&wg->members, 1); /* R18 */
    /* A position before the first task of the round: read before it is counted, so that whoever
     * counts second pushes behind it. Acquire: if a task of the round is before that position, it
     * was counted, and the next look sees that. So what is stored holds for all tasks that were
     * counted later, whoever sees it whenever. */
    uint64_t tail = load_acq(&pool->ring.tail);
    if (waitgroup_count(load_rlx(&wg->state)) == 0)
        store_rlx(&wg->first, tail);
    bool counted = weir__waitgroup_add(wg, 1);
    err = counted ? weir__submit(pool, &job, mode, ctx, deadline) : -EOVERFLOW;
    if (err == 0) {
        weir__wake_all(helper_key(wg)); /* only the address: it may be over */
        return 0;
    }
    weir__drop_context(pool, &job); /* the task may have been in the queue */
    if (counted)
        weir__waitgroup_ended(wg, pool);
    else if (pool->outside_waiters_help)
        sub_rlx(&wg->members, 1);
    return err;
}

int weir_waitgroup_go(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return go(wg, pool, fn, arg, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_waitgroup_try_go(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return go(wg, pool, fn, arg, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_waitgroup_go_until(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn, void *arg,
                            weir_context *ctx, int64_t deadline)
{
    return go(wg, pool, fn, arg, SUBMIT_POLICY, ctx, deadline);
}

struct round {
    struct waitgroup *wg;
    uint32_t number;
};

static bool round_over(void *arg)
{
    const struct round *round = arg;
    uint64_t state = load_seqcst(&round->wg->state);
    return waitgroup_count(state) == 0 || state >> 32 != round->number;
}

/* The pool whose queue this thread may search for tasks of the waitgroup, or NULL; and from where.
 * A thread of a pool searches that even if no task was given to the waitgroup yet: one may be, and
 * then there may be nobody else to run it. */
static weir_pool *searched_pool(struct waitgroup *wg, uint64_t *ret_first)
{
    /* First: who counts a task has noted its pool. So if one has not ended, and only one pool is
     * known, it is that pool's; else the one that is known may be gone. */
    bool members = load_acq(&wg->members) != 0; /* A18 */
    uintptr_t known = load_rlx(&wg->pool);
    weir_pool *pool = (weir_pool *)known; /* only compared, until it is known to exist */
    const struct self *self = this_thread();
    *ret_first = 0;
    if (known > MANY_POOLS && weir__inside(pool)) {
        *ret_first = load_rlx(&wg->first);
        return pool;
    }
    if (self->worker != NULL)
        return self->worker->pool;
    if (self->frame != NULL)
        return self->frame->pool;
    return known > MANY_POOLS && members ? pool : NULL;
}

int weir_waitgroup_wait_until(weir_waitgroup *handle, weir_context *ctx, int64_t deadline)
{
    struct waitgroup *wg = (struct waitgroup *)handle;
    if (wg == NULL)
        return -EINVAL;
    int err = weir_context_err(ctx);
    uint64_t state = load_acq(&wg->state); /* a first look, and what the count publishes */
    if (err != 0 || waitgroup_count(state) == 0)
        return err;
    if (stale(wg))
        return -ESTALE;
    owner o = owner_of(wg, OWNER_WAITGROUP);
    if (weir__inside_owner(o))
        return -EDEADLK;
    struct round round = {wg, (uint32_t)(state >> 32)};
    uint64_t first;
    weir_pool *helped = searched_pool(wg, &first);
    return weir__wait_helping(helped, o, wg, first, round_over, &round, ctx, NULL, deadline);
}

int weir_waitgroup_wait(weir_waitgroup *wg)
{
    return weir_waitgroup_wait_until(wg, NULL, WEIR_FOREVER);
}

int weir_waitgroup_try_wait(weir_waitgroup *handle)
{
    const struct waitgroup *wg = (const struct waitgroup *)handle;
    if (wg == NULL)
        return -EINVAL;
    if (waitgroup_count(load_acq(&wg->state)) == 0)
        return 0;
    return stale(wg) ? -ESTALE : -EAGAIN;
}
