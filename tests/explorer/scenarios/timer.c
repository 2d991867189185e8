/* SPDX-License-Identifier: MIT */
/* timer.c - delayed and periodic tasks: becoming due against cancel, run, wait, close and a full
 * queue. Time jumps to SOON at any moment, or passes when no thread can run. */
#include "scenario.h"

enum { SOON = 2000, LATER = 3000, PERIOD = 500, OTHERS = 3 };

struct work {
    weir_pool *pool;
    weir_task *task, *second;
    unsigned runs, ends, other_runs;
    weir_state end;
    int64_t last;  /* run */
    int cancelled; /* what the canceller got */
    weir_task others[OTHERS];
};

static void told(void *arg, weir_state end, int status)
{
    struct work *work = arg;
    (void)status;
    work->ends++;
    work->end = end;
}

static int run(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)weir_context_err(ctx);
    work->runs++;
    return 0;
}

static struct work *new_work(unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity, .timers = 1));
    work->task = make(sizeof *work->task);
    work->second = make(sizeof *work->second);
    return work;
}

static void end_work(struct work *work)
{
    end_pool(work->pool);
    drop(work->task);
    drop(work->second);
    drop(work);
}

static void submit_at(struct work *work, int64_t at)
{
    int err = weir_pool_submit_task_at(work->pool, work->task, run, work,
                                       WEIR_TASK_OPTIONS(.on_done = told), at);
    check(err == 0);
}

static void cancel(void *arg)
{
    struct work *work = arg;
    work->cancelled = weir_task_cancel(work->task);
}

static void wait(void *arg)
{
    struct work *work = arg;
    int err = weir_task_wait(work->task);
    check(err == 0);
}

static void cancel_against_due_and_run(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    submit_at(work, SOON);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    weir_state state = weir_task_state(work->task);
    check(work->ends == 1 && work->end == state);
    finish(canceller);
    explore_end();
    check(state == (work->cancelled == 0 ? WEIR_TASK_CANCELLED : WEIR_TASK_DONE));
    check(work->runs == (state == WEIR_TASK_DONE ? 1 : 0));
    end_work(work);
}

/* The place of a task that was cancelled is free, and so is its memory. */
static void cancel_gives_the_place_back(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    for (int lap = 0; lap < 3; lap++) {
        submit_at(work, SOON);
        finish(start(cancel, work));
        check(work->cancelled != 0 || weir_task_state(work->task) == WEIR_TASK_CANCELLED);
        wait(work);
        drop(work->task);
        work->task = make(sizeof *work->task);
    }
    explore_end();
    check(work->ends == 3);
    end_work(work);
}

/* Delays other tasks, in slots that the worker has just freed. */
static int delay_others(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    for (int i = 0; i < OTHERS; i++) {
        int err = weir_pool_submit_task_at(work->pool, &work->others[i], count_run,
                                           &work->other_runs, NULL, WEIR_FOREVER);
        check(err == 0);
    }
    return 0;
}

static void cancel_others(struct work *work)
{
    for (int i = 0; i < OTHERS; i++)
        check(weir_task_cancel(&work->others[i]) == 0);
}

static int pass_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

/* The ticket of the task that was claimed comes out, and its slot is used for another delayed task,
 * before the canceller continues. */
static void cancel_against_use_of_the_slot_for_another(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .timers = OTHERS + 1));
    work->task = make(sizeof *work->task);
    work->second = make(sizeof *work->second);
    (void)delay_others(NULL, work); /* from now on no place brings a slot of its own */
    submit_at(work, WEIR_FOREVER);
    cancel(work);
    cancel_others(work);
    weir_waitgroup gate = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&gate, 1);
    int err = weir_pool_submit(work->pool, pass_gate, &gate);
    check(err == 0);
    submit_at(work, 0);
    settle(); /* it is in the queue, the worker at the gate */
    err = weir_pool_submit_task(work->pool, work->second, delay_others, work, NULL);
    check(err == 0);
    explore_begin();
    struct vthread *canceller = start(cancel, work);
    weir_waitgroup_done(&gate);
    finish(canceller);
    err = weir_task_wait(work->second);
    check(err == 0);
    weir_pool_counts counts;
    weir_pool_read_counts(work->pool, &counts);
    check(counts.delayed == OTHERS);
    cancel_others(work);
    explore_end();
    check(work->other_runs == 0 && work->ends == 2);
    end_work(work);
}

/* The task is due while the queue is full and the worker about to make room. */
static void due_against_a_full_queue_and_cancel(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_at(work, 0);
    for (int i = 0; i < 2; i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->other_runs);
        check(err == 0);
    }
    struct vthread *canceller = start(cancel, work);
    wait(work);
    finish(canceller);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(work->other_runs == 2 && work->ends == 1);
    check(work->runs == (work->cancelled == 0 ? 0 : 1));
    end_work(work);
}

static void due_against_a_full_queue(void)
{
    struct work *work = new_work(1);
    explore_begin();
    for (int lap = 0; lap < 2; lap++) {
        submit_at(work, 0);
        for (int i = 0; i < 2; i++) {
            int err = weir_pool_submit(work->pool, count_run, &work->other_runs);
            check(err == 0);
        }
        wait(work);
    }
    explore_end();
    check(work->runs == 2);
    end_work(work);
}

static void close_pool(void *arg)
{
    weir_pool_close(((struct work *)arg)->pool);
}

static void close_against_due(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    submit_at(work, SOON);
    struct vthread *closer = start(close_pool, work);
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    check(work->ends == 1);
    finish(closer);
    explore_end();
    check(work->end == WEIR_TASK_DONE && work->runs == 1);
    end_work(work);
}

/* Whatever waits is waited for, and nothing of the pool is touched after the drain. */
static void drain_against_due(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    submit_at(work, SOON);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->ends == 1 && work->runs == 1);
    explore_end();
    end_work(work);
}

/* A drain ends with the cancel of what is left, and not before. */
static void drain_against_cancel(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_at(work, WEIR_FOREVER);
    struct vthread *canceller = start(cancel, work);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->ends == 1 && work->end == WEIR_TASK_CANCELLED);
    finish(canceller);
    explore_end();
    end_work(work);
}

/* A periodic task is left out, but for the run that is queued or under way. */
static void drain_against_every(void)
{
    struct work *work = new_work(1);
    explore_begin();
    int err = weir_pool_submit_every(work->pool, work->task, run, work,
                                     WEIR_TASK_OPTIONS(.on_done = told), 0, WEIR_FOREVER);
    check(err == 0);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    cancel(work); /* before its run, during it or after it */
    wait(work);
    explore_end();
    check(work->ends == 1 && work->runs <= 1);
    end_work(work);
}

/* What is not due by the soft deadline is cancelled, what is due runs or is. */
static void soft_deadline_against_due(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    submit_at(work, SOON);
    weir_shutdown_report report;
    int err = weir_pool_shutdown(work->pool, SOON, WEIR_FOREVER, &report);
    check(err == 0 && report.running == 0);
    check(work->ends == 1 && report.drained + report.cancelled <= 1);
    explore_end();
    check(work->end == (work->runs == 1 ? WEIR_TASK_DONE : WEIR_TASK_CANCELLED));
    end_work(work);
}

static void hard_shutdown_against_due(void)
{
    struct work *work = new_work(1);
    int err = weir_pool_submit(work->pool, count_run, &work->other_runs);
    check(err == 0);
    explore_begin();
    instant(SOON);
    submit_at(work, SOON);
    weir_shutdown_report report;
    err = weir_pool_shutdown(work->pool, 0, WEIR_FOREVER, &report);
    check(err == 0 && report.running == 0);
    check(work->ends == 1);
    explore_end();
    check(work->end == (work->runs == 1 ? WEIR_TASK_DONE : WEIR_TASK_CANCELLED));
    end_work(work);
}

static void add_against_close(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *closer = start(close_pool, work);
    int err = weir_pool_submit_task_at(work->pool, work->task, run, work,
                                       WEIR_TASK_OPTIONS(.on_done = told), SOON);
    check(err == 0 || err == -EPIPE);
    finish(closer);
    int drained = weir_pool_drain(work->pool);
    check(drained == 0);
    explore_end();
    check(work->ends == (err == 0 ? 1 : 0) && work->runs == work->ends);
    end_work(work);
}

static void add_every_against_close(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *closer = start(close_pool, work);
    int err = weir_pool_submit_every(work->pool, work->task, run, work,
                                     WEIR_TASK_OPTIONS(.on_done = told), WEIR_FOREVER, PERIOD);
    check(err == 0 || err == -EPIPE);
    finish(closer);
    explore_end();
    check(work->ends == (err == 0 ? 1 : 0) && work->runs == 0);
    end_work(work);
}

/* Periodic: the runs are counted by a plain variable, so two at once are a race. */

static int run_thrice(weir_context *ctx, void *arg)
{
    (void)run(ctx, arg);
    return ((struct work *)arg)->runs == 3 ? -EIO : 0;
}

static void submit_every(struct work *work, weir_task_fn *fn)
{
    int err = weir_pool_submit_every(work->pool, work->task, fn, work,
                                     WEIR_TASK_OPTIONS(.on_done = told), 0, PERIOD);
    check(err == 0);
}

static void every_ends_by_itself(void)
{
    struct work *work = new_work(1);
    explore_begin();
    for (int lap = 0; lap < 2; lap++) {
        work->runs = 0;
        submit_every(work, run_thrice);
        wait(work);
        check(work->runs == 3 && weir_task_status(work->task) == -EIO);
        drop(work->task);
        work->task = make(sizeof *work->task);
    }
    explore_end();
    check(work->ends == 2);
    end_work(work);
}

static void every_against_cancel(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_every(work, run);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    unsigned runs = work->runs;
    check(work->ends == 1 && work->end == WEIR_TASK_CANCELLED);
    finish(canceller);
    check(work->cancelled == 0 || work->cancelled == -EINPROGRESS);
    submit_at(work, 0); /* the place is free */
    wait(work);
    explore_end();
    check(work->runs == runs + 1);
    end_work(work);
}

/* The next run is so far off that only the cancel can end the task. */
static void every_of_endless_period_against_cancel(void)
{
    struct work *work = new_work(1);
    explore_begin();
    int err = weir_pool_submit_every(work->pool, work->task, run, work,
                                     WEIR_TASK_OPTIONS(.on_done = told), 0, WEIR_FOREVER);
    check(err == 0);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    finish(canceller);
    explore_end();
    check(work->ends == 1 && work->end == WEIR_TASK_CANCELLED && work->runs <= 1);
    end_work(work);
}

/* Cancelled during a run, it does not run again. */
static int cancel_itself(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)run(ctx, arg);
    cancel(arg);
    check(work->cancelled == -EINPROGRESS);
    return 0;
}

static void every_cancelled_from_inside(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_every(work, cancel_itself);
    struct vthread *other = start(wait, work);
    wait(work);
    finish(other);
    explore_end();
    check(work->runs == 1 && work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

static void every_against_close(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_every(work, run);
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    check(work->ends == 1 && work->end == WEIR_TASK_CANCELLED);
    explore_end();
    end_work(work);
}

/* The only worker waits for a task that nobody else could run. */

static int wait_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    wait(arg);
    return 0;
}

static void wait_on_a_worker(struct work *work)
{
    int err = weir_pool_submit_task(work->pool, work->second, wait_inside, work, NULL);
    check(err == 0);
    err = weir_task_wait(work->second);
    check(err == 0);
}

static void a_worker_waits_for_a_delayed_task(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_at(work, SOON);
    wait_on_a_worker(work);
    explore_end();
    check(work->runs == 1 && work->ends == 1);
    end_work(work);
}

static void a_worker_waits_for_a_delayed_task_and_cancel(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    submit_at(work, SOON);
    struct vthread *canceller = start(cancel, work);
    wait_on_a_worker(work);
    finish(canceller);
    explore_end();
    check(work->ends == 1 && work->runs == (work->cancelled == 0 ? 0 : 1));
    end_work(work);
}

static void a_worker_waits_for_a_periodic_task(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_every(work, run_thrice);
    wait_on_a_worker(work);
    explore_end();
    check(work->runs == 3 && work->ends == 1);
    end_work(work);
}

/* It expires while the queue is full, or runs. */
static void expiry_against_due(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(LATER);
    int err = weir_pool_submit_task_at(work->pool, work->task, run, work,
                                       WEIR_TASK_OPTIONS(.on_done = told, .start_by = LATER), SOON);
    check(err == 0 || err == -ETIMEDOUT);
    if (err == 0)
        wait(work);
    explore_end();
    check(work->ends == (err == 0 ? 1 : 0));
    check(err != 0 || work->end == (work->runs == 1 ? WEIR_TASK_DONE : WEIR_TASK_EXPIRED));
    end_work(work);
}

/* Retries: two attempts fail. */
static int fail_twice(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    check(work->runs == 0 || weir_now() > work->last); /* not before its time */
    work->last = weir_now();
    (void)run(ctx, arg);
    return work->runs < 3 ? -EIO : 0;
}

static void submit_retry(struct work *work)
{
    int err = weir_pool_submit_retry(work->pool, work->task, fail_twice, work,
                                     WEIR_TASK_OPTIONS(.on_done = told),
                                     WEIR_RETRY_OPTIONS(.initial_interval = 10, .jitter = -1));
    check(err == 0);
}

static void retry_on_a_worker_that_waits(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_retry(work);
    wait_on_a_worker(work);
    explore_end();
    check(work->runs == 3 && work->ends == 1 && work->end == WEIR_TASK_DONE);
    end_work(work);
}

static void retry_against_cancel(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_retry(work);
    struct vthread *canceller = start(cancel, work);
    wait(work);
    unsigned runs = work->runs;
    check(work->ends == 1);
    check(work->end == WEIR_TASK_CANCELLED || (work->end == WEIR_TASK_DONE && runs == 3));
    check(runs == 0 || work->end != WEIR_TASK_CANCELLED || weir_task_cause(work->task) == -EIO);
    finish(canceller);
    submit_at(work, 0); /* the place is free */
    wait(work);
    explore_end();
    check(work->runs == runs + 1);
    end_work(work);
}

static void retry_against_close(void)
{
    struct work *work = new_work(1);
    explore_begin();
    submit_retry(work);
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    check(work->ends == 1);
    explore_end();
    end_work(work);
}

/* The worker leaves the task to its waiter: it is held up behind the first run. */
static void retry_of_a_task_that_a_waiter_runs(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .timers = 1, .outside_waiters_help = 1));
    work->task = make(sizeof *work->task);
    work->second = make(sizeof *work->second);
    weir_waitgroup *gate = make(sizeof *gate);
    weir_waitgroup_add(gate, 1);
    explore_begin();
    submit_retry(work);
    int err = weir_pool_submit(work->pool, pass_gate, gate);
    check(err == 0);
    wait(work);
    check(work->runs == 3 && work->ends == 1 && work->end == WEIR_TASK_DONE);
    weir_waitgroup_done(gate);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    end_work(work);
    drop(gate);
}

/* What has left is counted among what was accepted, whenever one looks. */
static void look_at_the_counts(void *arg)
{
    struct work *work = arg;
    weir_pool_counts counts;
    for (int i = 0; i < 2; i++) {
        weir_pool_read_counts(work->pool, &counts);
        check(counts.submitted <= 2 && counts.done <= counts.submitted);
    }
}

static void look_at_the_counts_of_a_delayed_task(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *other = start(look_at_the_counts, work);
    submit_at(work, 0);
    wait(work);
    finish(other);
    explore_end();
    end_work(work);
}

static void cancel_pool_context(void *arg)
{
    weir_context_cancel(arg, 0);
}

static void pool_context_against_due(void)
{
    struct work *work = make(sizeof *work);
    weir_context *ctx;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .timers = 1, .context = ctx));
    work->task = make(sizeof *work->task);
    work->second = make(sizeof *work->second);
    explore_begin();
    submit_at(work, WEIR_FOREVER);
    struct vthread *canceller = start(cancel_pool_context, ctx);
    wait(work);
    finish(canceller);
    explore_end();
    check(work->ends == 1 && work->end == WEIR_TASK_CANCELLED);
    weir_context_unref(ctx);
    end_work(work);
}

/* Submits itself once more, for a time that never comes. */
static void go_on(void *arg, weir_state end, int status)
{
    struct work *work = arg;
    (void)status;
    work->end = end;
    if (work->ends++ == 0)
        (void)!weir_pool_submit_task_at(work->pool, work->task, run, work,
                                        WEIR_TASK_OPTIONS(.on_done = go_on), WEIR_FOREVER);
}

/* Either the submit from on_done is refused, or the task is cancelled in its place. */
static void cancel_against_a_submit_from_on_done(void)
{
    struct work *work = new_work(1);
    explore_begin();
    int err = weir_pool_submit_task(work->pool, work->task, run, work,
                                    WEIR_TASK_OPTIONS(.on_done = go_on));
    check(err == 0);
    struct vthread *canceller = start(cancel, work);
    finish(canceller);
    if (work->cancelled != -EINPROGRESS) /* it came too early, or too late */
        cancel(work);
    wait(work);
    explore_end();
    check(work->ends == 1 || work->ends == 2);
    end_work(work);
}

const struct scenario timer_scenarios[] = {
    {"cancel against a submit from on_done", cancel_against_a_submit_from_on_done, false},
    {"cancel against due and run", cancel_against_due_and_run, false},
    {"cancel gives the place back", cancel_gives_the_place_back, false},
    {"cancel against use of the slot for another", cancel_against_use_of_the_slot_for_another,
     false},
    {"due against a full queue", due_against_a_full_queue, false},
    {"due against a full queue and cancel", due_against_a_full_queue_and_cancel, false},
    {"close against due", close_against_due, false},
    {"drain against due", drain_against_due, false},
    {"drain against the cancel of a delayed task", drain_against_cancel, false},
    {"drain against every", drain_against_every, false},
    {"a soft deadline against due", soft_deadline_against_due, false},
    {"hard shutdown against due", hard_shutdown_against_due, false},
    {"a delayed submit against close", add_against_close, false},
    {"a periodic submit against close", add_every_against_close, false},
    {"every ends by itself", every_ends_by_itself, false},
    {"every against cancel", every_against_cancel, false},
    {"every of endless period against cancel", every_of_endless_period_against_cancel, false},
    {"every cancelled from inside", every_cancelled_from_inside, false},
    {"every against close", every_against_close, false},
    {"a worker waits for a delayed task", a_worker_waits_for_a_delayed_task, false},
    {"a worker waits for a delayed task and cancel", a_worker_waits_for_a_delayed_task_and_cancel,
     false},
    {"a worker waits for a periodic task", a_worker_waits_for_a_periodic_task, false},
    {"retry on a worker that waits", retry_on_a_worker_that_waits, false},
    {"a waiter runs what a worker retries", retry_of_a_task_that_a_waiter_runs, false},
    {"a look at the counts of a delayed task", look_at_the_counts_of_a_delayed_task, false},
    {"retry against cancel", retry_against_cancel, false},
    {"retry against close", retry_against_close, false},
    {"expiry against due", expiry_against_due, false},
    {"the pool's context against a delayed task", pool_context_against_due, false},
    {0},
};
