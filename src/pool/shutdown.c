/* SPDX-License-Identifier: MIT */
/* shutdown.c - waiting for quiet, closing, shutting down.
 *
 * A pool is quiet when every accepted task has finished. That is read off counters that only grow
 * (pool.h), the finished ones first: if what was finished then equals what is accepted later, then
 * in between everything accepted had finished.
 *
 * Who may have to wake a waiter for quiet: a worker before it parks (worker.c), whoever finishes a
 * task or drops a ticket on another thread, and who moves the state on. A waiter enters itself,
 * touches work.sleepers, and then reads.
 *
 * Shutdown may be called by several threads: each pushes the state on, under the lock, as far as it
 * can; the threads are joined by the first that finds all workers gone.
 */
#include "pool/pool.h"

#include <errno.h>

#include "os/alloc.h"

static bool quiet(void *arg)
{
    weir_pool *pool = arg;
    if (load_seqcst(&pool->state) >= POOL_STOPPING)
        return true; /* it was quiet; only tasks that are being refused can have come since */
    add_acqrel(&pool->work.sleepers, 0); /* against a worker that is about to park */
    struct totals totals;
    weir__read_totals(pool, &totals);
    return totals.finished == totals.entered + totals.dead_tickets;
}

/* Waiters for quiet are entered under the address of the outside counters. */
static int wait_quiet(weir_pool *pool, weir_context *ctx, int64_t deadline)
{
    return weir__wait_until(&pool->outside, quiet, pool, ctx, NULL, deadline);
}

void weir__task_finished_outside(weir_pool *pool)
{
    const void *key = &pool->outside;
    add_seqcst(&pool->outside.finished, 1); /* the pool may be gone from here on */
    weir__wake_all(key);
}

int weir_pool_drain_until(weir_pool *pool, weir_context *ctx, int64_t deadline)
{
    if (pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    if (weir__inside(pool))
        return -EDEADLK;
    int err = weir_context_err(ctx);
    if (err != 0)
        return err;
    return load_acq(&pool->state) == POOL_STOPPED ? 0 : wait_quiet(pool, ctx, deadline);
}

int weir_pool_drain(weir_pool *pool)
{
    return weir_pool_drain_until(pool, NULL, WEIR_FOREVER);
}

/* Moves the state on to `to`, unless it is there. */
static void advance(weir_pool *pool, int to)
{
    lock_acquire(&pool->lock);
    int state = load_rlx(&pool->state); /* changed under the lock */
    if (state == POOL_OPEN) {
        struct totals totals;
        weir__read_totals(pool, &totals);
        pool->ran_before_close = totals.ends[WEIR_TASK_DONE - WEIR_TASK_DONE] +
                                 totals.ends[WEIR_TASK_FAILED - WEIR_TASK_DONE];
        pool->unstarted_before_close = totals.ends[WEIR_TASK_CANCELLED - WEIR_TASK_DONE] +
                                       totals.ends[WEIR_TASK_EXPIRED - WEIR_TASK_DONE] +
                                       totals.ends[WEIR_TASK_DROPPED - WEIR_TASK_DONE];
    }
    if (state < to)
        (void)xchg_seqcst(&pool->state, to);
    lock_release(&pool->lock);
    weir__wake_all(&pool->outside); /* STOPPING ends waits for quiet */
}

void weir_pool_close(weir_pool *pool)
{
    if (pool == NULL || pool_stale(pool))
        return;
    advance(pool, POOL_CLOSED);
    weir__eventcount_wake_all(&pool->room);
    weir__context_wake_everybody(); /* also who waits for a place in a group */
    weir__timers_close(pool, false);
}

/* Ends what is queued, and makes what runs see that it should end. */
static void cancel_tasks(weir_pool *pool)
{
    advance(pool, POOL_CANCELLED);
    weir_context_cancel(pool->context, 0);
    weir__eventcount_wake_all(&pool->room);
    weir__timers_close(pool, true);
    uint64_t position;
    uint32_t index;
    while (ring_pop(&pool->ring, &position, &index)) {
        struct job job;
        if (weir__redeem(pool, index, &job))
            weir__end_unstarted(pool, &job, WEIR_TASK_CANCELLED);
    }
}

static bool all_left(void *arg)
{
    return load_seqcst(&((weir_pool *)arg)->alive) == 0;
}

/* Every task has ended: what is left takes no longer than on_worker_stop. */
static void stop_workers(weir_pool *pool)
{
    advance(pool, POOL_STOPPING);
    weir__eventcount_wake_all(&pool->work);
    (void)weir__wait_until(&pool->alive, all_left, pool, NULL, NULL, WEIR_FOREVER);
    lock_acquire(&pool->lock);
    if (load_rlx(&pool->state) != POOL_STOPPED) { /* changed under the lock */
        for (unsigned i = 0; i < pool->worker_count; i++)
            (void)pthread_join(pool->workers[i].thread, NULL);
        weir__timers_join(pool);
        store_rel(&pool->state, POOL_STOPPED); /* to who finds it without the lock */
    }
    lock_release(&pool->lock);
}

static void report(weir_pool *pool, weir_shutdown_report *ret)
{
    struct totals totals;
    weir__read_totals(pool, &totals);
    uint64_t ran = totals.ends[WEIR_TASK_DONE - WEIR_TASK_DONE] +
                   totals.ends[WEIR_TASK_FAILED - WEIR_TASK_DONE];
    uint64_t unstarted = totals.ends[WEIR_TASK_CANCELLED - WEIR_TASK_DONE] +
                         totals.ends[WEIR_TASK_EXPIRED - WEIR_TASK_DONE] +
                         totals.ends[WEIR_TASK_DROPPED - WEIR_TASK_DONE];
    ret->drained = ran - pool->ran_before_close;
    ret->cancelled = unstarted - pool->unstarted_before_close;
    /* At the end nothing is left but, at times, the ticket of a submit that is being refused. */
    ret->running = load_rlx(&pool->state) == POOL_STOPPED ? 0 : totals.submitted - ran - unstarted;
}

int weir_pool_shutdown(weir_pool *pool, int64_t soft_deadline, int64_t hard_deadline,
                       weir_shutdown_report *ret_report)
{
    if (pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    if (weir__inside(pool))
        return -EDEADLK;
    weir_pool_close(pool);
    if (soft_deadline > hard_deadline)
        soft_deadline = hard_deadline;
    int err = 0;
    if (load_acq(&pool->state) != POOL_STOPPED) {
        err = wait_quiet(pool, NULL, soft_deadline);
        if (err != 0) {
            cancel_tasks(pool);
            err = wait_quiet(pool, NULL, hard_deadline);
        }
        if (err == 0)
            stop_workers(pool);
    }
    if (ret_report != NULL)
        report(pool, ret_report);
    return err;
}

/* In a forked child, which is alone with the pool: the contexts that queued tasks hold. */
static void drop_queued_contexts(weir_pool *pool)
{
    uint64_t position;
    uint32_t index;
    while (ring_pop(&pool->ring, &position, &index)) {
        struct slot *slot = &pool->slab.slots[index];
        bool borrowed = (load_rlx(&slot->owner) & OWNER_KIND) == OWNER_GROUP;
        if (!borrowed && !claim_taken(load_rlx(&slot->claim))) /* the child has one thread */
            weir_context_unref(load_rlx(&slot->context));
    }
}

void weir__pool_release(weir_pool *pool)
{
    bool inherited = pool_stale(pool);
    if (inherited)
        drop_queued_contexts(pool);
    weir_context_unref(pool->context);
    if (!inherited) { /* the parent's threads may be asleep on the copies: leave these alone */
        weir__eventcount_destroy(&pool->work);
        weir__eventcount_destroy(&pool->room);
    }
    weir__timers_release(pool);
    weir__slab_destroy(&pool->slab);
    weir__free(pool->ring.words);
    weir__free(pool->workers);
    weir__free(pool);
}

void weir_pool_free(weir_pool *pool)
{
    if (pool == NULL)
        return;
    if (!pool_stale(pool)) {
        if (weir__inside(pool))
            weir__misuse("weir_pool_free", "a task cannot free the pool that it runs on.");
        int err = weir_pool_shutdown(pool, 0, WEIR_FOREVER, NULL);
        weir_assert(err == 0);
        (void)err;
    }
    weir__pool_release(pool);
}
