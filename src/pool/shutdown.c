/* SPDX-License-Identifier: MIT */
/* shutdown.c - waiting for quiet, closing, shutting down.
 *
 * What each step does to the jobs of a pool:
 *
 *   close       none is taken from outside any more; periodic ones that wait end as CANCELLED;
 *               those that wait for their time, or for a retry, come due as ever
 *   cancel      all that is queued or waits ends as CANCELLED; the pool's context is cancelled,
 *               unless what runs shall go on
 *   stop        all have ended: the workers leave and are joined
 *
 * A shutdown closes, waits for quiet until the soft deadline, cancels if that has passed, waits
 * until the hard one, and stops. Several threads may call it: each moves the phase on, under the
 * lock, as far as it can; the workers are joined by the first that finds them gone.
 */
#include <errno.h>

#include "pool/counts.h"
#include "pool/lanes.h"
#include "pool/local.h"
#include "weir/shutdown.h"

int weir_pool_drain_until(weir_pool *pool, weir_context *ctx, int64_t deadline)
{
    if (pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    if (weir__inside(&pool->host))
        return -EDEADLK;
    return weir__quiet_wait(TELL("weir_pool_drain", pool), &pool->queue.quiet, ctx, deadline);
}

int weir_pool_drain(weir_pool *pool)
{
    return weir_pool_drain_until(pool, NULL, WEIR_FOREVER);
}

/* Moves the phase on to `to`, unless it is there. */
static void advance(weir_pool *pool, enum phase to)
{
    struct queue *queue = &pool->queue;
    lock_acquire(&pool->lock);
    if (queue_phase(queue) < (int)to)
        weir__queue_set_phase(queue, to);
    lock_release(&pool->lock);
}

void weir_pool_close(weir_pool *pool)
{
    if (pool == NULL || pool_stale(pool))
        return;
    advance(pool, POOL_CLOSED);
    weir__lanes_wake_all(&pool->queue);
    weir__follow_wake(pool->host.context); /* also those that wait for a place in a group */
    weir__delay_close(&pool->delay, false);
}

static void cancel_lane(weir_pool *pool, struct lane *lane)
{
    struct job job;
    enum taken taken;
    while ((taken = weir__queue_take(&pool->queue, lane, &job)) != TAKEN_NONE)
        if (taken == TAKEN_JOB && job_is_turn(&job))
            weir__run(&pool->host, &job); /* ends the tasks of its serial */
        else if (taken == TAKEN_JOB)
            weir__end_unstarted(&pool->host, &job, WEIR_TASK_CANCELLED);
}

/* Ends what is queued or waits. `running`: makes what runs see that it should end. */
static void cancel_tasks(weir_pool *pool, bool running)
{
    advance(pool, POOL_CANCELLED);
    if (running)
        weir_context_cancel(pool->host.context, 0);
    else
        weir__follow_wake(pool->host.context); /* tasks that wait for a place in a group */
    weir__lanes_wake_all(&pool->queue);
    weir__delay_close(&pool->delay, true);
    for (unsigned k = 0; k < pool->queue.lane_count; k++)
        cancel_lane(pool, queue_lane(&pool->queue, k));
    struct job job;
    while (weir__local_steal(&pool->queue, &job))
        weir__end_unstarted(&pool->host, &job, WEIR_TASK_CANCELLED);
}

void weir_pool_cancel_queued(weir_pool *pool)
{
    if (pool == NULL || pool_stale(pool))
        return;
    weir_pool_close(pool);
    cancel_tasks(pool, false);
}

/* All was quiet. But a submit from outside that found the pool open may push after that, and a
 * worker may take the job before it is taken back: then it was accepted, and runs. So the hard
 * deadline bounds this wait too. What such a job submits or wants to repeat is refused. */
static int stop(weir_pool *pool, int64_t hard_deadline)
{
    advance(pool, POOL_STOPPING);
    weir__delay_close(&pool->delay, true);
    int err = weir__crew_wait(TELL("weir_pool_shutdown", pool), &pool->crew, hard_deadline);
    if (err != 0)
        return err;
    weir__quiet_stop(&pool->queue.quiet);
    if (pool->host.watchdog != NULL)
        weir__watchdog_stop(pool->host.watchdog); /* without the lock, which on_stuck may want */
    lock_acquire(&pool->lock);
    if (queue_phase(&pool->queue) != POOL_STOPPED) {
        weir__crew_join(&pool->crew);
        weir__delay_join(&pool->delay);
        if (pool->host.watchdog != NULL)
            weir__watchdog_join(pool->host.watchdog);
        weir__queue_set_phase(&pool->queue, POOL_STOPPED);
    }
    lock_release(&pool->lock);
    return 0;
}

static void report(weir_pool *pool, weir_shutdown_report *ret)
{
    uint64_t ends[ENDS];
    weir__read_ends(pool, ends);
    uint64_t ran = ends_run(ends), unstarted = ends_unstarted(ends);
    ret->drained = ran;
    ret->cancelled = unstarted;
    /* At the end nothing is left but, at times, the ticket of a submit that is being refused. */
    uint64_t accepted = weir__read_accepted(pool), ended = ran + unstarted;
    bool stopped = queue_phase(&pool->queue) == POOL_STOPPED;
    ret->running = stopped || accepted < ended ? 0 : accepted - ended;
}

int weir_pool_shutdown(weir_pool *pool, int64_t soft_deadline, int64_t hard_deadline,
                       weir_shutdown_report *ret_report)
{
    if (pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    if (weir__inside(&pool->host) || weir__crew_manages(&pool->crew) ||
        (pool->host.watchdog != NULL && weir__watchdog_telling(pool->host.watchdog)))
        return -EDEADLK;
    weir_pool_close(pool);
    if (soft_deadline > hard_deadline)
        soft_deadline = hard_deadline;
    int err = 0;
    if (queue_phase(&pool->queue) != POOL_STOPPED) {
        err = weir__quiet_wait(TELL("weir_pool_shutdown", pool), &pool->queue.quiet, NULL,
                               soft_deadline);
        if (err != 0) {
            cancel_tasks(pool, true);
            err = weir__quiet_wait(TELL("weir_pool_shutdown", pool), &pool->queue.quiet, NULL,
                                   hard_deadline);
        }
        if (err == 0)
            err = stop(pool, hard_deadline);
    }
    if (ret_report != NULL)
        report(pool, ret_report);
    return err;
}
