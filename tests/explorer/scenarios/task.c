/* SPDX-License-Identifier: MIT */
/* task.c - handles: cancel against start against wait, memory that is freed right after a wait. */
#include "scenario.h"

struct work {
    weir_pool *pool;
    weir_task *task;
    unsigned runs, ends;
    int cancelled; /* what the canceller got */
};

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
    (void)weir_context_err(ctx);
    work->runs++;
    return 0;
}

static struct work *new_work(unsigned workers, unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    work->task = make(sizeof *work->task);
    return work;
}

static void end_work(struct work *work)
{
    end_pool(work->pool);
    drop(work);
}

static void submit(struct work *work)
{
    int err = weir_pool_submit_task(work->pool, work->task, run, work,
                                    WEIR_TASK_OPTIONS(.on_done = told));
    check(err == 0);
}

static void cancel(void *arg)
{
    struct work *work = arg;
    work->cancelled = weir_task_cancel(work->task);
    if (work->cancelled == -EALREADY)
        check(work->ends == 1 || work->ends == 2);
}

static void wait(void *arg)
{
    struct work *work = arg;
    int err = weir_task_wait(work->task);
    check(err == 0);
}

static void task_is_freed_after_wait(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    for (int lap = 0; lap < 4; lap++) {
        submit(work);
        wait(work);
        check(weir_task_state(work->task) == WEIR_TASK_DONE);
        drop(work->task);
        if (lap < 3)
            work->task = make(sizeof *work->task);
    }
    explore_end();
    check(work->runs == 4 && work->ends == 4);
    end_work(work);
}

/* A drain says that nothing of the task is touched any more. */
static void task_is_freed_after_drain(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    submit(work);
    int err = weir_pool_drain(work->pool);
    check(err == 0 && work->runs == 1 && work->ends == 1);
    drop(work->task);
    explore_end();
    end_work(work);
}

static void cancel_against_start_and_wait(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    submit(work);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    weir_state state = weir_task_state(work->task);
    check(work->ends == 1);
    finish(canceller);
    explore_end();
    check(work->runs == (state == WEIR_TASK_DONE ? 1 : 0));
    check(state == (work->cancelled == 0 ? WEIR_TASK_CANCELLED : WEIR_TASK_DONE));
    drop(work->task);
    end_work(work);
}

static void cancel_against_wait_that_may_run_it(void)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .outside_waiters_help = 1));
    work->task = make(sizeof *work->task);
    explore_begin();
    submit(work);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    finish(canceller);
    check(work->ends == 1 && work->runs == (work->cancelled == 0 ? 0 : 1));
    submit(work); /* the ticket of the first one may still be in the ring */
    wait(work);
    explore_end();
    check(work->ends == 2);
    drop(work->task);
    end_work(work);
}

static void two_waiters(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    submit(work);
    struct vthread *other = start(wait, work);
    wait(work);
    finish(other);
    explore_end();
    check(work->runs == 1 && work->ends == 1);
    drop(work->task);
    end_work(work);
}

/* A task that ends only when it is cancelled. */
static int sleep_until_cancelled(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    work->runs++;
    int err = weir_sleep_until(ctx, WEIR_FOREVER);
    check(err == -ECANCELED);
    return 0;
}

static void cancel_wakes_the_task(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    int err = weir_pool_submit_task(work->pool, work->task, sleep_until_cancelled, work,
                                    WEIR_TASK_OPTIONS(.on_done = told));
    check(err == 0);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    finish(canceller);
    explore_end();
    check(work->ends == 1 && work->runs == (work->cancelled == 0 ? 0 : 1));
    drop(work->task);
    end_work(work);
}

/* A thread that has not waited for the task submits it again as soon as it is done. */
static void submit_again(void *arg)
{
    struct work *work = arg;
    int err;
    while ((err = weir_pool_submit_task(work->pool, work->task, run, work,
                                        WEIR_TASK_OPTIONS(.on_done = told))) == -EBUSY)
        give_way("a live task");
    check(err == 0);
}

static void submit_against_the_end_of_the_last_one(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    submit(work);
    submit_again(work);
    wait(work);
    explore_end();
    check(work->runs == 2 && work->ends == 2);
    drop(work->task);
    end_work(work);
}

/* Each task is freed as soon as a wait for any has named it, while the other one ends. */
static void wait_for_any_against_two_ends(void)
{
    unsigned *runs = make(2 * sizeof *runs);
    weir_task *tasks[2];
    weir_pool *pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2));
    for (int i = 0; i < 2; i++)
        tasks[i] = make(sizeof *tasks[i]);
    explore_begin();
    for (int i = 0; i < 2; i++) {
        int err = weir_pool_submit_task(pool, tasks[i], count_run, &runs[i], NULL);
        check(err == 0);
    }
    for (int i = 0; i < 2; i++) {
        int index = weir_task_wait_any(tasks, 2);
        check(index >= 0 && runs[index] == 1);
        drop(tasks[index]);
        tasks[index] = NULL;
    }
    explore_end();
    end_pool(pool);
    drop(runs);
}

/* Lap after lap, so that slots, ring and handle are used again under the canceller's eyes. */
static void cancel_lap_after_lap(void *arg)
{
    struct work *work = arg;
    for (int lap = 0; lap < 3; lap++) {
        int err = weir_task_cancel(work->task);
        check(err == 0 || err == -EALREADY || err == -EINPROGRESS || err == -EINVAL);
        work->cancelled += err == 0;
    }
}

static void cancel_against_start_lap_after_lap(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    struct vthread *canceller = start(cancel_lap_after_lap, work);
    for (int lap = 0; lap < 4; lap++) {
        submit(work);
        wait(work);
    }
    finish(canceller);
    explore_end();
    check(work->ends == 4 && work->runs + (unsigned)work->cancelled == 4);
    drop(work->task);
    end_work(work);
}

/* A canceller looks at a queued task; then another thread cancels the task, its ticket is
 * cleared from the head, and another task is in its slot: which the canceller must leave alone. */
static int wait_at_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static void cancel_against_a_slot_that_is_used_again(void)
{
    struct work *work = new_work(1, 1);
    weir_waitgroup *gate = make(sizeof *gate);
    weir_task *other = make(sizeof *other);
    unsigned runs = 0;
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(work->pool, wait_at_gate, gate);
    check(err == 0);
    settle();
    explore_begin();
    submit(work);
    struct vthread *canceller = start(cancel, work);
    err = weir_task_cancel(work->task);
    check(err == 0 || err == -EALREADY || err == -EINPROGRESS);
    err = weir_pool_submit_task(work->pool, other, count_run, &runs, NULL); /* the gate is shut */
    check(err == 0);
    check(weir_task_state(other) == WEIR_TASK_QUEUED);
    finish(canceller);
    check(weir_task_state(other) == WEIR_TASK_QUEUED);
    check(weir_task_state(work->task) == WEIR_TASK_CANCELLED && work->ends == 1);
    explore_end();
    weir_waitgroup_done(gate);
    err = weir_task_wait(other);
    check(err == 0 && runs == 1 && work->runs == 0);
    drop(gate);
    drop(other);
    drop(work->task);
    end_work(work);
}

/* A canceller looks at a queued task; then another thread cancels that, and submits the handle
 * again: what the canceller does is undone by neither. */
static void cancel_and_submit_again(void *arg)
{
    struct work *work = arg;
    int err = weir_task_cancel(work->task);
    check(err == 0 || err == -EALREADY || err == -EINPROGRESS);
    submit_again(work);
}

static void cancel_against_the_next_submit(void)
{
    struct work *work = new_work(1, 2);
    weir_waitgroup *gate = make(sizeof *gate);
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(work->pool, wait_at_gate, gate);
    check(err == 0);
    settle();
    submit(work);
    explore_begin();
    struct vthread *other = start(cancel_and_submit_again, work);
    err = weir_task_cancel(work->task);
    check(err == 0 || err == -EALREADY || err == -EINPROGRESS);
    finish(other);
    explore_end();
    weir_waitgroup_done(gate);
    wait(work);
    check(work->ends == 2 && work->runs <= 1);
    drop(work->task);
    end_work(work);
    drop(gate);
}

/* Observers that never block: what they see as done is done, with all that it did. */

static bool over_by_state(struct work *work)
{
    return weir_task_state(work->task) == WEIR_TASK_DONE;
}

static bool over_by_status(struct work *work)
{
    return weir_task_status(work->task) == 0;
}

static bool over_by_try_wait(struct work *work)
{
    return weir_task_try_wait(work->task) == 0;
}

static void look(bool (*over)(struct work *work))
{
    struct work *work = new_work(1, 1);
    explore_begin();
    for (unsigned lap = 1; lap <= 4; lap++) {
        submit(work);
        while (!over(work))
            give_way("a live task");
        check(work->runs == lap && work->ends == lap);
    }
    drop(work->task);
    explore_end();
    end_work(work);
}

static void look_at_the_state(void)
{
    look(over_by_state);
}

static void look_at_the_status(void)
{
    look(over_by_status);
}

static void look_by_try_wait(void)
{
    look(over_by_try_wait);
}

/* A task submits another to its own pool, which had room when it looked and is full when it pushes,
 * while another thread cancels the new task: it may be taken before it is refused. */
struct gated {
    struct work *work;
    weir_waitgroup gate;
    bool accepted;
};

static int submit_to_own_pool(weir_context *ctx, void *arg)
{
    struct gated *gated = arg;
    struct work *work = gated->work;
    int err = wait_at_gate(ctx, &gated->gate);
    check(err == 0);
    err = weir_pool_try_submit_task(work->pool, work->task, run, work,
                                    WEIR_TASK_OPTIONS(.on_done = told));
    check(err == 0 || err == -EAGAIN);
    gated->accepted = err == 0;
    return 0;
}

static void cancel_against_a_refusal_on_a_worker(void)
{
    struct gated *gated = make(sizeof *gated);
    struct work *work = new_work(1, 1);
    gated->work = work;
    weir_waitgroup_add(&gated->gate, 1);
    int err = weir_pool_submit(work->pool, submit_to_own_pool, gated);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *canceller = start(cancel_lap_after_lap, work);
    weir_waitgroup_done(&gated->gate);
    int filled = weir_pool_try_submit(work->pool, run, work);
    check(filled == 0 || filled == -EAGAIN);
    finish(canceller);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(work->ends == (gated->accepted ? 1U : 0U));
    check(work->runs + (unsigned)work->cancelled == work->ends + (filled == 0 ? 1U : 0U));
    drop(work->task);
    drop(gated);
    end_work(work);
}

/* The same from outside, with a worker that is held up: the pool stays full. */
static void cancel_against_a_refusal(void)
{
    struct work *work = new_work(1, 1);
    weir_waitgroup *gate = make(sizeof *gate);
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(work->pool, wait_at_gate, gate);
    check(err == 0);
    settle();
    err = weir_pool_submit(work->pool, run, work);
    check(err == 0);
    explore_begin();
    struct vthread *canceller = start(cancel_lap_after_lap, work);
    err = weir_pool_try_submit_task(work->pool, work->task, run, work,
                                    WEIR_TASK_OPTIONS(.on_done = told));
    check(err == 0 || err == -EAGAIN);
    finish(canceller);
    check(work->ends == (err == 0 ? 1U : 0U) && work->cancelled == (err == 0 ? 1 : 0));
    explore_end();
    weir_waitgroup_done(gate);
    end_pool(work->pool);
    check(work->runs == 1);
    drop(gate);
    drop(work->task);
    drop(work);
}

/* A thread waits for it: the task may look queued, and then it no longer is. */
static void wait_for_a_refusal(void *arg)
{
    struct work *work = arg;
    int err = weir_task_wait(work->task);
    check(err == -EINVAL);
}

static struct work *new_full_work(weir_waitgroup *gate, unsigned char help)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .outside_waiters_help = help));
    work->task = make(sizeof *work->task);
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(work->pool, wait_at_gate, gate);
    check(err == 0);
    settle();
    return work;
}

static void end_full_work(struct work *work, weir_waitgroup *gate)
{
    explore_end();
    weir_waitgroup_done(gate);
    end_pool(work->pool);
    drop(gate);
    drop(work->task);
    drop(work);
}

static void wait_against_a_refusal(void)
{
    weir_waitgroup *gate = make(sizeof *gate);
    struct work *work = new_full_work(gate, 0);
    int err = weir_pool_submit(work->pool, run, work);
    check(err == 0);
    explore_begin();
    struct vthread *waiter = start(wait_for_a_refusal, work);
    err = weir_pool_try_submit_task(work->pool, work->task, run, work, NULL);
    check(err == -EAGAIN);
    finish(waiter);
    end_full_work(work, gate);
}

/* The task is done, and stays so while it is refused: a thread that looks sees what it did. */
static void look_until_over(void *arg)
{
    struct work *work = arg;
    while (!over_by_state(work))
        give_way("a live task");
    check(work->ends == 1);
}

static void look_at_a_task_that_is_refused(void)
{
    weir_waitgroup *gate = make(sizeof *gate);
    struct work *work = new_full_work(gate, 1);
    unsigned *others = make(sizeof *others);
    explore_begin();
    struct vthread *other = start(look_until_over, work);
    submit(work);
    wait(work); /* which runs it */
    int err = weir_pool_submit(work->pool, count_run, others);
    check(err == 0);
    err = weir_pool_try_submit_task(work->pool, work->task, run, work, NULL);
    check(err == -EAGAIN);
    finish(other);
    end_full_work(work, gate);
    check(*others == 1);
    drop(others);
}

/* A waiter for a task that has a time to start by may be late to see that it is done: the next
 * submit of it has no such time. */
enum { SOON = 2000 };

static void wait_on(void *arg)
{
    struct work *work = arg;
    int err = weir_task_wait(work->task);
    check(err == 0);
}

static void expiry_against_the_next_submit(void)
{
    weir_waitgroup *gate = make(sizeof *gate);
    struct work *work = new_work(1, 2);
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(work->pool, wait_at_gate, gate);
    check(err == 0);
    settle();
    err = weir_pool_submit_task(work->pool, work->task, run, work,
                                WEIR_TASK_OPTIONS(.on_done = told, .start_by = SOON));
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *waiter = start(wait_on, work);
    err = weir_task_cancel(work->task);
    if (err == -EINPROGRESS)
        wait(work);
    submit(work);
    weir_waitgroup_done(gate);
    wait(work);
    check(weir_task_state(work->task) == WEIR_TASK_DONE && work->runs == 1 && work->ends == 2);
    finish(waiter);
    explore_end();
    drop(work->task);
    end_work(work);
    drop(gate);
}

const struct scenario task_scenarios[] = {
    {"a cancel wakes the task", cancel_wakes_the_task, false},
    {"a submit against the end of the last one", submit_against_the_end_of_the_last_one, false},
    {"a wait against a refusal", wait_against_a_refusal, false},
    {"a look at a task that is refused", look_at_a_task_that_is_refused, false},
    {"expiry against the next submit", expiry_against_the_next_submit, false},
    {"cancel against a refusal", cancel_against_a_refusal, false},
    {"a look at a task's state", look_at_the_state, false},
    {"a look at a task's status", look_at_the_status, false},
    {"a look at a task by try_wait", look_by_try_wait, false},
    {"cancel against a refusal on a worker", cancel_against_a_refusal_on_a_worker, false},
    {"cancel against start, lap after lap", cancel_against_start_lap_after_lap, false},
    {"cancel against a slot that is used again", cancel_against_a_slot_that_is_used_again, false},
    {"cancel against the next submit", cancel_against_the_next_submit, false},
    {"a task is freed after a drain", task_is_freed_after_drain, false},
    {"a task is freed after its wait", task_is_freed_after_wait, false},
    {"cancel against start and wait", cancel_against_start_and_wait, false},
    {"cancel against a wait that may run the task", cancel_against_wait_that_may_run_it, false},
    {"two waiters", two_waiters, false},
    {"a wait for any against two ends", wait_for_any_against_two_ends, false},
    {0},
};
