/* SPDX-License-Identifier: MIT */
/* time.c - deadlines and contexts against what they race with. The clock stands still, except for
 * one jump to SOON that may come at any moment. */
#include "scenario.h"

enum { SOON = 2000 };

struct work {
    weir_pool *pool;
    weir_task *task;
    weir_errgroup *group;
    weir_waitgroup gate;
    weir_context *ctx;
    weir_context *own, *second; /* of a running task */
    weir_context_hook hook;
    unsigned runs[4];
    int errs[2];
};

static int pass_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static struct work *new_work(unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity));
    return work;
}

static void close_gate(struct work *work)
{
    weir_waitgroup_add(&work->gate, 1);
    int err = weir_pool_submit(work->pool, pass_gate, &work->gate);
    check(err == 0);
    settle();
}

static void end_work(struct work *work)
{
    end_pool(work->pool);
    drop(work);
}

/* A wait that times out leaves nothing behind: the task's end finds no waiter, the next wait works.
 */
static void wait_against_its_deadline(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    explore_begin();
    instant(SOON);
    int err = weir_pool_submit_task(work->pool, work->task, count_run, &work->runs[0], NULL);
    check(err == 0);
    err = weir_task_wait_until(work->task, NULL, SOON);
    check(err == 0 || err == -ETIMEDOUT);
    err = weir_task_wait(work->task);
    check(err == 0 && work->runs[0] == 1);
    drop(work->task);
    explore_end();
    end_work(work);
}

static void cancel_context(void *arg)
{
    weir_context_cancel(((struct work *)arg)->ctx, -EIO);
}

/* The waiter has its context, deadline and object end at the same time. */
static void context_cancel_against_wait(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    err = weir_pool_submit_task(work->pool, work->task, count_run, &work->runs[0], NULL);
    check(err == 0);
    struct vthread *canceller = start(cancel_context, work);
    err = weir_task_wait_until(work->task, work->ctx, WEIR_FOREVER);
    check(err == 0 || (err == -ECANCELED && weir_context_cause(work->ctx) == -EIO));
    finish(canceller);
    err = weir_task_wait(work->task);
    check(err == 0);
    drop(work->task);
    explore_end();
    weir_context_unref(work->ctx);
    end_work(work);
}

static void context_cancel_wakes_every_waiter(void)
{
    struct work *work = make(sizeof *work);
    weir_context *child;
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    err = weir_context_new(&child, work->ctx, SOON);
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *canceller = start(cancel_context, work);
    err = weir_context_wait_until(child, WEIR_FOREVER);
    check(err == 0);
    err = weir_sleep_until(work->ctx, WEIR_FOREVER);
    check(err == -ECANCELED);
    check(weir_context_err(child) != 0);
    finish(canceller);
    explore_end();
    weir_context_unref(child);
    weir_context_unref(work->ctx);
    drop(work);
}

/* The context of queued tasks is cancelled while they start. */
static void context_cancel_against_start(void)
{
    struct work *work = new_work(2);
    work->task = make(sizeof *work->task);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    err = weir_pool_submit_task_until(work->pool, work->task, count_run, &work->runs[0], NULL,
                                      work->ctx, WEIR_FOREVER);
    check(err == 0);
    struct vthread *canceller = start(cancel_context, work);
    err = weir_task_wait(work->task);
    check(err == 0);
    check(work->runs[0] == (weir_task_state(work->task) == WEIR_TASK_DONE ? 1 : 0));
    drop(work->task);
    finish(canceller);
    weir_context_unref(work->ctx); /* the library has given its reference back by now, or will */
    explore_end();
    end_work(work);
}

/* Submitters that wait for room. */

static void submit_until_soon(void *arg)
{
    struct work *work = arg;
    work->errs[0] = weir_pool_submit_until(work->pool, count_run, &work->runs[0], NULL, SOON);
}

static void open_gate(void *arg)
{
    weir_waitgroup_done(&((struct work *)arg)->gate);
}

/* The one that times out may have swallowed the wake of the other. */
static void blocked_submit_against_its_deadline(void)
{
    struct work *work = new_work(1);
    close_gate(work);
    int err = weir_pool_submit(work->pool, count_run, &work->runs[2]);
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *timed = start(submit_until_soon, work);
    struct vthread *opener = start(open_gate, work);
    err = weir_pool_submit(work->pool, count_run, &work->runs[1]);
    check(err == 0);
    finish(timed);
    finish(opener);
    explore_end();
    check(work->errs[0] == 0 || work->errs[0] == -ETIMEDOUT);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0] == (work->errs[0] == 0 ? 1 : 0) && work->runs[1] == 1);
    end_work(work);
}

static void submit_plainly(void *arg)
{
    struct work *work = arg;
    work->errs[0] = weir_pool_submit(work->pool, count_run, &work->runs[0]);
}

/* A submit without a deadline never fails because one has passed. */
static void blocked_submit_against_the_deadline_of_the_pool(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->ctx, NULL, SOON);
    check(err == 0);
    work->pool =
        new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .context = work->ctx));
    weir_context_unref(work->ctx);
    close_gate(work);
    err = weir_pool_submit(work->pool, count_run, &work->runs[1]);
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *submitter = start(submit_plainly, work);
    struct vthread *opener = start(open_gate, work);
    finish(submitter);
    finish(opener);
    explore_end();
    check(work->errs[0] == 0 || work->errs[0] == -EPIPE);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0] <= (work->errs[0] == 0 ? 1u : 0u));
    end_work(work);
}

static void submit_with_context(void *arg)
{
    struct work *work = arg;
    work->errs[0] =
        weir_pool_submit_until(work->pool, count_run, &work->runs[0], work->ctx, WEIR_FOREVER);
}

static void blocked_submit_against_its_context(void)
{
    struct work *work = new_work(1);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    close_gate(work);
    err = weir_pool_submit(work->pool, count_run, &work->runs[2]);
    check(err == 0);
    explore_begin();
    struct vthread *submitter = start(submit_with_context, work);
    struct vthread *canceller = start(cancel_context, work);
    finish(canceller);
    finish(submitter); /* while the gate is shut: only the context can end it */
    explore_end();
    check(work->errs[0] == -ECANCELED);
    open_gate(work);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0] == 0 && work->runs[2] == 1);
    weir_context_unref(work->ctx);
    end_work(work);
}

/* The task at the head expires, or its context is cancelled: a submitter takes its place. */
static void expiry_at_the_head_against_a_blocked_submitter(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    close_gate(work);
    int err = weir_pool_submit_task(work->pool, work->task, count_run, &work->runs[0],
                                    WEIR_TASK_OPTIONS(.start_by = SOON));
    check(err == 0);
    explore_begin();
    instant(SOON);
    err = weir_pool_submit(work->pool, count_run, &work->runs[1]); /* the gate is shut */
    check(err == 0);
    check(weir_task_state(work->task) == WEIR_TASK_EXPIRED);
    drop(work->task);
    explore_end();
    open_gate(work);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0] == 0 && work->runs[1] == 1);
    end_work(work);
}

static void cancel_task(void *arg)
{
    (void)weir_task_cancel(((struct work *)arg)->task);
}

static void cancel_at_the_head_against_a_blocked_submitter(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    close_gate(work);
    int err = weir_pool_submit_task(work->pool, work->task, count_run, &work->runs[0], NULL);
    check(err == 0);
    explore_begin();
    struct vthread *canceller = start(cancel_task, work);
    err = weir_pool_submit(work->pool, count_run, &work->runs[1]); /* the gate is shut */
    check(err == 0);
    err = weir_task_wait(work->task);
    check(err == 0);
    finish(canceller);
    drop(work->task);
    explore_end();
    open_gate(work);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0] == 0 && work->runs[1] == 1);
    end_work(work);
}

/* The context of the task at the head is cancelled; a full submitter peeks at it while the worker
 * takes and ends the task, whose reference is the last. */
static void submit_against_a_head_whose_context_ends(void)
{
    struct work *work = new_work(1);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    close_gate(work);
    err = weir_pool_submit_until(work->pool, count_run, &work->runs[0], work->ctx, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *opener = start(open_gate, work);
    weir_context_cancel(work->ctx, 0);
    weir_context_unref(work->ctx);
    err = weir_pool_submit(work->pool, count_run, &work->runs[1]);
    check(err == 0); /* at once: the context of the head is over */
    finish(opener);
    explore_end();
    err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0] <= 1 && work->runs[1] == 1);
    end_work(work);
}

/* The same, by a cancel of that task, which has the last reference: the submitter peeks at the
 * context of a task that is no longer queued. */
static void submit_against_cancel_of_a_head_with_a_context(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    close_gate(work);
    err = weir_pool_submit_task_until(work->pool, work->task, count_run, &work->runs[0], NULL,
                                      work->ctx, WEIR_FOREVER);
    check(err == 0);
    weir_context_unref(work->ctx);
    explore_begin();
    struct vthread *canceller = start(cancel_task, work);
    err = weir_pool_try_submit(work->pool, count_run, &work->runs[1]);
    check(err == 0 || err == -EAGAIN);
    finish(canceller);
    explore_end();
    open_gate(work);
    check(weir_task_state(work->task) == WEIR_TASK_CANCELLED);
    drop(work->task);
    end_work(work);
}

/* The same, by the end of a group, whose members borrow its context: it is freed under the eyes of
 * the submitter. */
static void end_group(void *arg)
{
    struct work *work = arg;
    open_gate(work);
    int err = weir_errgroup_wait(work->group);
    check(err == 0);
    weir_errgroup_free(work->group);
}

static void submit_against_a_head_whose_group_ends(void)
{
    struct work *work = new_work(1);
    int err = weir_errgroup_new(&work->group, work->pool, NULL, NULL);
    check(err == 0);
    close_gate(work);
    err = weir_errgroup_go(work->group, count_run, &work->runs[0]);
    check(err == 0);
    explore_begin();
    struct vthread *other = start(end_group, work);
    err = weir_pool_try_submit(work->pool, count_run, &work->runs[1]);
    check(err == 0 || err == -EAGAIN);
    finish(other);
    explore_end();
    check(work->runs[0] == 1);
    end_work(work);
}

/* A wait for a queued task ends at its start_by, or the worker takes it. */
static void wait_against_start_by(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    close_gate(work);
    int err = weir_pool_submit_task(work->pool, work->task, count_run, &work->runs[0],
                                    WEIR_TASK_OPTIONS(.start_by = SOON));
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *opener = start(open_gate, work);
    err = weir_task_wait(work->task);
    check(err == 0);
    weir_state state = weir_task_state(work->task);
    check(state == (work->runs[0] == 1 ? WEIR_TASK_DONE : WEIR_TASK_EXPIRED));
    drop(work->task);
    finish(opener);
    explore_end();
    end_work(work);
}

/* A running task's own context is kept, and cancelled by a cancel of the task. */
static int keep_context(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    work->ctx = weir_context_ref(ctx);
    return 0;
}

static void task_cancel_against_its_kept_context(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    explore_begin();
    int err = weir_pool_submit_task(work->pool, work->task, keep_context, work, NULL);
    check(err == 0);
    struct vthread *canceller = start(cancel_task, work);
    err = weir_task_wait(work->task);
    check(err == 0);
    finish(canceller);
    drop(work->task);
    explore_end();
    weir_context_unref(work->ctx);
    end_work(work);
}

/* A task cancels its own context, of which it has kept a reference, while it is cancelled from
 * outside. */
static int cancel_kept_context(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    work->ctx = weir_context_ref(ctx);
    weir_context_cancel(ctx, -EIO);
    check(weir_context_err(ctx) == -ECANCELED);
    return 0;
}

static void task_that_cancels_its_kept_context(void)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    explore_begin();
    int err = weir_pool_submit_task(work->pool, work->task, cancel_kept_context, work, NULL);
    check(err == 0);
    struct vthread *canceller = start(cancel_task, work);
    err = weir_task_wait(work->task);
    check(err == 0);
    finish(canceller);
    drop(work->task);
    explore_end();
    weir_context_unref(work->ctx);
    end_work(work);
}

/* A running task's own context, used by another thread at the same time. */

static void cancel_own_context(void *arg)
{
    weir_context_cancel(((struct work *)arg)->own, -EIO);
}

static int keep_against_cancel(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    work->own = ctx;
    struct vthread *canceller = start(cancel_own_context, work);
    work->ctx = weir_context_ref(ctx);
    finish(canceller);
    check(weir_context_cause(work->ctx) == -EIO);
    return 0;
}

static void keep_own_context(void *arg)
{
    struct work *work = arg;
    work->second = weir_context_ref(work->own);
    check(weir_context_err(work->second) == 0);
}

static int keep_twice(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    work->own = ctx;
    struct vthread *other = start(keep_own_context, work);
    work->ctx = weir_context_ref(ctx);
    check(weir_context_err(work->ctx) == 0);
    finish(other);
    check(work->ctx == work->second);
    return 0;
}

static void count_call(void *arg)
{
    ((struct work *)arg)->runs[1]++;
}

static int hook_against_cancel(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    work->own = ctx;
    struct vthread *canceller = start(cancel_own_context, work);
    int err = weir_context_on_done(ctx, &work->hook, count_call, work);
    check(err == 0);
    finish(canceller);
    err = weir_context_hook_stop(&work->hook);
    check(err == -EALREADY && work->runs[1] == 1);
    return 0;
}

static void run_with_own_context(weir_task_fn *fn)
{
    struct work *work = new_work(1);
    work->task = make(sizeof *work->task);
    explore_begin();
    int err = weir_pool_submit_task(work->pool, work->task, fn, work, NULL);
    check(err == 0);
    err = weir_task_wait(work->task);
    check(err == 0);
    drop(work->task);
    weir_context_unref(work->ctx);
    weir_context_unref(work->second);
    explore_end();
    end_work(work);
}

static void own_context_kept_against_cancel(void)
{
    run_with_own_context(keep_against_cancel);
}

static void own_context_kept_twice(void)
{
    run_with_own_context(keep_twice);
}

static void hook_of_own_context_against_cancel(void)
{
    run_with_own_context(hook_against_cancel);
}

/* The thread that gives the last reference back frees it, after all that others did with it. */
static void use_and_unref(void *arg)
{
    struct work *work = arg;
    check(weir_context_err(work->ctx) == 0);
    weir_context_unref(work->ctx);
}

static void the_last_two_references(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    check(weir_context_ref(work->ctx) == work->ctx);
    explore_begin();
    struct vthread *other = start(use_and_unref, work);
    use_and_unref(work);
    finish(other);
    explore_end();
    drop(work);
}

/* What a context says about its end never changes. */
static void cancel_with_parent(void *arg)
{
    cancel_context(arg);
    weir_context_cancel(((struct work *)arg)->second, 0);
}

static void deadline_against_cancel(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->second, NULL, WEIR_FOREVER);
    check(err == 0);
    err = weir_context_new(&work->ctx, work->second, SOON);
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *canceller = start(cancel_with_parent, work);
    int cause = weir_context_cause(work->ctx);
    check(cause == 0 || weir_context_cause(work->ctx) == cause);
    finish(canceller);
    check(cause == 0 || weir_context_cause(work->ctx) == cause);
    explore_end();
    weir_context_unref(work->ctx);
    weir_context_unref(work->second);
    drop(work);
}

const struct scenario time_scenarios[] = {
    {"a context's last two references", the_last_two_references, false},
    {"a context's deadline against its cancel", deadline_against_cancel, false},
    {"a task's own context, kept against cancel", own_context_kept_against_cancel, false},
    {"a task's own context, kept twice", own_context_kept_twice, false},
    {"a hook of a task's own context against cancel", hook_of_own_context_against_cancel, false},
    {"a task cancels its kept context", task_that_cancels_its_kept_context, false},
    {"a wait against its deadline", wait_against_its_deadline, false},
    {"context cancel against wait", context_cancel_against_wait, false},
    {"context cancel wakes every waiter", context_cancel_wakes_every_waiter, false},
    {"context cancel against start", context_cancel_against_start, false},
    {"a blocked submit against its deadline", blocked_submit_against_its_deadline, false},
    {"a blocked submit against the deadline of its pool",
     blocked_submit_against_the_deadline_of_the_pool, false},
    {"a blocked submit against its context", blocked_submit_against_its_context, false},
    {"expiry at the head against a blocked submit", expiry_at_the_head_against_a_blocked_submitter,
     false},
    {"cancel at the head against a blocked submit", cancel_at_the_head_against_a_blocked_submitter,
     false},
    {"submit against a head whose context ends", submit_against_a_head_whose_context_ends, false},
    {"submit against a head whose group ends", submit_against_a_head_whose_group_ends, false},
    {"submit against cancel of a head with a context",
     submit_against_cancel_of_a_head_with_a_context, false},
    {"a wait against start_by", wait_against_start_by, false},
    {"task cancel against its kept context", task_cancel_against_its_kept_context, false},
    {0},
};
