/* SPDX-License-Identifier: MIT */
/* stop.c - submits of every kind that meet a shutdown, which may have found the pool quiet; and a
 * claim that is late by a submit to another pool.
 */
#include "scenario.h"

enum { SOON = 2000, PERIOD = 500 };

struct work {
    weir_pool *pool;
    weir_task *task;
    weir_waitgroup *gate;
    unsigned runs, ends;
};

static struct work *new_work(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .timers = 1));
    work->task = make(sizeof *work->task);
    work->gate = make(sizeof *work->gate);
    return work;
}

static void end_work(struct work *work)
{
    end_pool(work->pool);
    drop(work->task);
    drop(work->gate);
    drop(work);
}

static void told(void *arg, weir_state end, int status)
{
    struct work *work = arg;
    (void)end;
    (void)status;
    work->ends++;
}

static int run(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    work->runs++;
    return 0;
}

static void shut_down(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
}

/* What was accepted has ended when the shutdown returns. */
static void end_against_shutdown(struct work *work, struct vthread *stopper, int err)
{
    check(err == 0 || err == -EPIPE);
    finish(stopper);
    check(work->ends == (err == 0 ? 1 : 0));
    explore_end();
    end_work(work);
}

static void delayed_against_shutdown(void)
{
    struct work *work = new_work();
    explore_begin();
    instant(SOON);
    struct vthread *stopper = start(shut_down, work);
    int err = weir_pool_submit_task_at(work->pool, work->task, run, work,
                                       WEIR_TASK_OPTIONS(.on_done = told), SOON);
    end_against_shutdown(work, stopper, err);
}

static void periodic_against_shutdown(void)
{
    struct work *work = new_work();
    explore_begin();
    instant(SOON);
    struct vthread *stopper = start(shut_down, work);
    int err = weir_pool_submit_every(work->pool, work->task, run, work,
                                     WEIR_TASK_OPTIONS(.on_done = told), SOON, PERIOD);
    end_against_shutdown(work, stopper, err);
}

static int fail_once(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    return work->runs++ == 0 ? -EIO : 0;
}

static void retried_against_shutdown(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *stopper = start(shut_down, work);
    int err = weir_pool_submit_retry(work->pool, work->task, fail_once, work,
                                     WEIR_TASK_OPTIONS(.on_done = told),
                                     WEIR_RETRY_OPTIONS(.initial_interval = 1000, .jitter = -1));
    end_against_shutdown(work, stopper, err);
}

/* A task that a shutdown meets when all was quiet may find the pool stopping. */
static int submit_another(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    int err = weir_pool_submit(work->pool, run, work);
    check(err == 0 || err == -EPIPE);
    work->ends = 1;
    return 0;
}

static void one_that_submits_against_shutdown(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *stopper = start(shut_down, work);
    int err = weir_pool_submit(work->pool, submit_another, work);
    check(err == 0 || err == -EPIPE);
    finish(stopper);
    check(work->ends <= (err == 0 ? 1U : 0U));
    explore_end();
    end_work(work);
}

static int wait_at_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(((struct work *)arg)->gate);
}

static void shut_down_hard(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_shutdown(work->pool, SOON, SOON, NULL);
    check(err == 0 || err == -ETIMEDOUT);
    weir_waitgroup_done(work->gate);
}

/* The hard deadline holds also for a task that comes when all was quiet. */
static void a_task_that_waits_against_a_hard_deadline(void)
{
    struct work *work = new_work();
    weir_waitgroup_add(work->gate, 1);
    explore_begin();
    instant(SOON);
    struct vthread *stopper = start(shut_down_hard, work);
    int err = weir_pool_submit(work->pool, wait_at_gate, work);
    check(err == 0 || err == -EPIPE);
    finish(stopper);
    explore_end();
    end_work(work);
}

static void cancel(void *arg)
{
    (void)weir_task_cancel(((struct work *)arg)->task);
}

/* A cancel of the run before is late: the delayed submit is not refused for it. */
static void late_cancel_against_a_delayed_submit(void)
{
    struct work *work = new_work();
    explore_begin();
    instant(SOON);
    int err = weir_pool_submit_task(work->pool, work->task, run, work, NULL);
    check(err == 0);
    struct vthread *canceller = start(cancel, work);
    err = weir_task_wait(work->task);
    check(err == 0);
    err = weir_pool_submit_task_at(work->pool, work->task, run, work, NULL, SOON);
    check(err == 0);
    err = weir_task_wait(work->task);
    check(err == 0);
    finish(canceller);
    explore_end();
    end_work(work);
}

/* A canceller has read which pool the task is in, and then the task's claim in another one, which
 * names a slot that holds somebody else's job in the first. */
struct pools {
    weir_pool *a, *b;
    weir_task *task;
    unsigned ends, others[2];
    weir_waitgroup queued_b, queued_a, gate;
};

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void told_of_one(void *arg, weir_state end, int status)
{
    struct pools *pools = arg;
    (void)end;
    (void)status;
    pools->ends++;
}

static int submit_in_b(weir_context *ctx, void *arg)
{
    struct pools *pools = arg;
    (void)ctx;
    int err = weir_pool_submit_task(pools->b, pools->task, do_nothing, pools,
                                    WEIR_TASK_OPTIONS(.on_done = told_of_one));
    check(err == 0);
    weir_waitgroup_done(&pools->queued_b);
    return weir_waitgroup_wait(&pools->gate);
}

static int submit_others_in_a(weir_context *ctx, void *arg)
{
    struct pools *pools = arg;
    (void)ctx;
    for (int i = 0; i < 2; i++) {
        int err = weir_pool_submit(pools->a, count_run, &pools->others[i]);
        check(err == 0);
    }
    weir_waitgroup_done(&pools->queued_a);
    return weir_waitgroup_wait(&pools->gate);
}

static void cancel_one(void *arg)
{
    (void)weir_task_cancel(((struct pools *)arg)->task);
}

static void wait_for(weir_waitgroup *wg)
{
    int err = weir_waitgroup_wait(wg);
    check(err == 0);
}

static void a_claim_is_of_one_pool(void)
{
    struct pools *pools = make(sizeof *pools);
    pools->a = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4));
    pools->b = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4));
    pools->task = make(sizeof *pools->task);
    weir_waitgroup_add(&pools->queued_a, 1);
    weir_waitgroup_add(&pools->queued_b, 1);
    weir_waitgroup_add(&pools->gate, 1);
    explore_begin();
    int err = weir_pool_submit_task(pools->a, pools->task, do_nothing, pools,
                                    WEIR_TASK_OPTIONS(.on_done = told_of_one));
    check(err == 0);
    struct vthread *canceller = start(cancel_one, pools);
    err = weir_task_wait(pools->task);
    check(err == 0);
    err = weir_pool_submit(pools->b, submit_in_b, pools);
    check(err == 0);
    wait_for(&pools->queued_b);
    err = weir_pool_submit(pools->a, submit_others_in_a, pools);
    check(err == 0);
    wait_for(&pools->queued_a);
    finish(canceller);
    weir_waitgroup_done(&pools->gate);
    err = weir_pool_drain(pools->a);
    check(err == 0);
    err = weir_pool_drain(pools->b);
    check(err == 0);
    explore_end();
    check(pools->ends == 2 && pools->others[0] == 1 && pools->others[1] == 1);
    end_pool(pools->a);
    end_pool(pools->b);
    drop(pools->task);
    drop(pools);
}

const struct scenario stop_scenarios[] = {
    {"a delayed submit against shutdown", delayed_against_shutdown, false},
    {"a periodic submit against shutdown", periodic_against_shutdown, false},
    {"a retried submit against shutdown", retried_against_shutdown, false},
    {"a task that submits against shutdown", one_that_submits_against_shutdown, false},
    {"a task that waits against a hard deadline", a_task_that_waits_against_a_hard_deadline, false},
    {"a late cancel against a delayed submit", late_cancel_against_a_delayed_submit, false},
    {"a claim is of one pool", a_claim_is_of_one_pool, false},
    {0},
};
