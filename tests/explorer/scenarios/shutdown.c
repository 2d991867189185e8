/* SPDX-License-Identifier: MIT */
/* shutdown.c - closing, shutting down and freeing a pool under submitters. */
#include "scenario.h"

enum { TASKS = 4 };

struct work {
    weir_pool *pool;
    unsigned accepted, refused;
    unsigned ends[TASKS]; /* 1: it ran, DROPPED: it was dropped */
    weir_waitgroup started;
};

enum { DROPPED = 100 };

static void count_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)why;
    (void)user;
    *(unsigned *)arg += DROPPED;
}

static void submit_all(void *arg)
{
    struct work *work = arg;
    for (int i = 0; i < TASKS; i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->ends[i]);
        if (err == 0)
            work->accepted++;
        else if (err == -EPIPE)
            work->refused++;
        else
            fail("a submit under a shutdown returned %d", err);
    }
}

static void shut_down_under_submit(int64_t soft_deadline, unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity, .on_drop = count_drop));
    count_laps(work->pool);
    explore_begin();
    struct vthread *submitter = start(submit_all, work);
    weir_shutdown_report report;
    int err = weir_pool_shutdown(work->pool, soft_deadline, WEIR_FOREVER, &report);
    check(err == 0);
    finish(submitter);
    explore_end();
    check(work->accepted + work->refused == TASKS);
    unsigned runs = 0, dropped = 0, sum = 0;
    for (int i = 0; i < TASKS; i++) {
        runs += work->ends[i] == 1;
        dropped += work->ends[i] == DROPPED;
        sum += work->ends[i];
    }
    check(runs + dropped == work->accepted && sum == runs + DROPPED * dropped);
    check(soft_deadline == 0 || dropped == 0);
    check(report.running == 0);
    weir_pool_counts counts;
    weir_pool_read_counts(work->pool, &counts);
    check(counts.submitted == work->accepted && counts.done == runs);
    check_counts(work->pool);
    weir_pool_free(work->pool);
    drop(work);
}

static void soft_shutdown_against_submit(void)
{
    shut_down_under_submit(WEIR_FOREVER, 2);
}

static void hard_shutdown_against_submit(void)
{
    shut_down_under_submit(0, 2);
}

static void soft_shutdown_against_blocked_submit(void)
{
    shut_down_under_submit(WEIR_FOREVER, 1);
}

static void hard_shutdown_against_blocked_submit(void)
{
    shut_down_under_submit(0, 1);
}

/* A thread that learns that all tasks have ended sees what they did. */
static void check_ended(const struct work *work)
{
    for (int i = 0; i < 3; i++)
        check(work->ends[i] == 1 || work->ends[i] == DROPPED);
}

static void shut_down(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
}

static void shut_down_second(void *arg)
{
    shut_down(arg);
    check_ended(arg);
}

static void two_shutdowns(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .on_drop = count_drop));
    count_laps(work->pool);
    explore_begin();
    submit_all(work);
    struct vthread *second = start(shut_down_second, work);
    int err = weir_pool_shutdown(work->pool, 0, WEIR_FOREVER, NULL);
    check(err == 0);
    check_ended(work);
    finish(second);
    explore_end();
    check(work->accepted == TASKS);
    check_counts(work->pool);
    weir_pool_free(work->pool);
    drop(work);
}

static void drain_against_shutdown(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 3));
    explore_begin();
    submit_all(work);
    struct vthread *second = start(shut_down_second, work);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    check_ended(work);
    finish(second);
    explore_end();
    end_pool(work->pool);
    drop(work);
}

/* The ticket of a submit that is refused may stay in the ring for ever; the drain ends. */
static void submit_one(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_try_submit(work->pool, count_run, &work->ends[0]);
    check(err == 0 || err == -EPIPE);
    work->accepted += err == 0;
}

static void drain_against_shutdown_and_submit(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    explore_begin();
    struct vthread *submitter = start(submit_one, work), *stopper = start(shut_down, work);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    finish(submitter);
    finish(stopper);
    explore_end();
    check(work->ends[0] == work->accepted);
    end_pool(work->pool);
    drop(work);
}

/* One submit: it is refused, or its task runs; not both. */
static void close_pool(void *arg)
{
    weir_pool_close(((struct work *)arg)->pool);
}

static void close_against_submit(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    explore_begin();
    struct vthread *closer = start(close_pool, work);
    submit_one(work);
    finish(closer);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(work->ends[0] == work->accepted);
    end_pool(work->pool);
    drop(work);
}

/* What is queued is cancelled under a submit that blocks: each task has one end, what runs goes on.
 */
static void cancel_queued(void *arg)
{
    weir_pool_cancel_queued(((struct work *)arg)->pool);
}

static void cancel_queued_against_submit(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .on_drop = count_drop));
    count_laps(work->pool);
    explore_begin();
    struct vthread *canceller = start(cancel_queued, work);
    submit_all(work);
    finish(canceller);
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    explore_end();
    check(work->accepted + work->refused == TASKS);
    unsigned sum = 0;
    for (int i = 0; i < TASKS; i++) {
        check(work->ends[i] == 0 || work->ends[i] == 1 || work->ends[i] == DROPPED);
        sum += work->ends[i] != 0;
    }
    check(sum == work->accepted);
    check_counts(work->pool);
    weir_pool_free(work->pool);
    drop(work);
}

/* The same from inside: a task whose submit was accepted after that does not run. */
struct inside {
    weir_pool *pool;
    unsigned ran, dropped;
    int err;
    weir_waitgroup begun, over;
};

static int run_after_all(weir_context *ctx, void *arg)
{
    struct inside *inside = arg;
    (void)ctx;
    inside->ran++;
    return 0;
}

static int submit_one_from_inside(weir_context *ctx, void *arg)
{
    struct inside *inside = arg;
    (void)ctx;
    weir_waitgroup_done(&inside->begun);
    inside->err = weir_pool_submit(inside->pool, run_after_all, inside);
    return weir_waitgroup_wait(&inside->over); /* the only worker: it cannot have run */
}

static void count_dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    check(why == WEIR_TASK_CANCELLED);
    ((struct inside *)arg)->dropped++;
}

static void cancel_queued_against_submit_from_inside(void)
{
    struct inside *inside = make(sizeof *inside);
    inside->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .on_drop = count_dropped));
    weir_waitgroup_add(&inside->begun, 1);
    weir_waitgroup_add(&inside->over, 1);
    explore_begin();
    int err = weir_pool_submit(inside->pool, submit_one_from_inside, inside);
    check(err == 0);
    err = weir_waitgroup_wait(&inside->begun);
    check(err == 0);
    weir_pool_cancel_queued(inside->pool);
    weir_waitgroup_done(&inside->over);
    err = weir_pool_shutdown(inside->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    explore_end();
    check(inside->ran == 0);
    check(inside->err == 0 ? inside->dropped == 1 : inside->err == -EPIPE && inside->dropped == 0);
    check_counts(inside->pool);
    weir_pool_free(inside->pool);
    drop(inside);
}

struct seeker {
    weir_pool *pool;
    weir_errgroup *group;
    weir_waitgroup begun, refused;
};

static int hold_place(weir_context *ctx, void *arg)
{
    struct seeker *seeker = arg;
    weir_waitgroup_done(&seeker->begun);
    (void)ctx;
    return weir_waitgroup_wait(&seeker->refused);
}

static int seek_place(weir_context *ctx, void *arg)
{
    struct seeker *seeker = arg;
    (void)ctx;
    int err = weir_errgroup_go(seeker->group, hold_place, seeker);
    check(err == -EPIPE);
    weir_waitgroup_done(&seeker->refused);
    return 0;
}

/* A task of the pool waits for a place in a group, which is given back only after it was refused:
 * it must be woken after the pool takes nothing of its own tasks any more. */
static void cancel_queued_against_wait_for_place(void)
{
    struct seeker *seeker = make(sizeof *seeker);
    seeker->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2));
    weir_waitgroup_add(&seeker->begun, 1);
    weir_waitgroup_add(&seeker->refused, 1);
    int err =
        weir_errgroup_new(&seeker->group, seeker->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    check(err == 0);
    err = weir_errgroup_go(seeker->group, hold_place, seeker);
    check(err == 0);
    err = weir_waitgroup_wait(&seeker->begun);
    check(err == 0);
    weir_task task = WEIR_TASK_INIT;
    err = weir_pool_submit_task(seeker->pool, &task, seek_place, seeker, NULL);
    check(err == 0);
    explore_begin();
    while (weir_task_state(&task) == WEIR_TASK_QUEUED)
        weir__thread_yield();
    weir_pool_cancel_queued(seeker->pool);
    err = weir_task_wait(&task);
    check(err == 0);
    explore_end();
    err = weir_errgroup_wait(seeker->group);
    check(err == 0);
    weir_errgroup_free(seeker->group);
    end_pool(seeker->pool);
    drop(seeker);
}

static int submit_from_inside(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    weir_waitgroup_done(&work->started);
    submit_all(work);
    return 0;
}

/* The pool's own tasks may still submit while it drains; nothing accepted is lost. */
static void shutdown_against_a_task_that_submits(int64_t soft_deadline, unsigned workers)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_worn_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = 1, .on_drop = count_drop));
    weir_waitgroup_add(&work->started, 1);
    explore_begin();
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(work->pool, &task, submit_from_inside, work, NULL);
    check(err == 0);
    if (workers == 1) {
        err = weir_waitgroup_wait(&work->started);
        check(err == 0);
    }
    err = weir_pool_shutdown(work->pool, soft_deadline, WEIR_FOREVER, NULL);
    check(err == 0);
    explore_end();
    check(weir_task_state(&task) >= WEIR_TASK_DONE);
    check(soft_deadline == 0 || work->accepted == TASKS);
    unsigned ended = 0;
    for (int i = 0; i < TASKS; i++)
        ended += work->ends[i] == 1 || work->ends[i] == DROPPED;
    check(ended == work->accepted);
    check_counts(work->pool);
    weir_pool_free(work->pool);
    drop(work);
}

static void soft_shutdown_against_a_task_that_submits(void)
{
    shutdown_against_a_task_that_submits(WEIR_FOREVER, 2);
}

static void hard_shutdown_against_a_task_that_submits(void)
{
    shutdown_against_a_task_that_submits(0, 2);
}

/* With one worker what it submits soon runs inline. */
static void hard_shutdown_against_a_task_that_runs_in_place(void)
{
    shutdown_against_a_task_that_submits(0, 1);
}

/* Drains under a task that is cancelled while its submit finds the pool full. */
static int ignore(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void cancel(void *arg)
{
    (void)weir_task_cancel(arg);
}

struct late_task {
    weir_pool *pool;
    weir_task task;
};

static void try_submit(void *arg)
{
    struct late_task *late = arg;
    int err = weir_pool_try_submit_task(late->pool, &late->task, ignore, NULL, NULL);
    check(err == 0 || err == -EAGAIN);
}

static void drain_against_cancel_of_a_refused_task(void)
{
    struct late_task *late = make(sizeof *late);
    late->task = (weir_task)WEIR_TASK_INIT;
    late->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    explore_begin();
    int err = weir_pool_submit(late->pool, ignore, NULL);
    check(err == 0);
    struct vthread *submitter = start(try_submit, late);
    struct vthread *canceller = start(cancel, &late->task);
    err = weir_pool_drain(late->pool);
    check(err == 0);
    finish(submitter);
    finish(canceller);
    explore_end();
    end_pool(late->pool);
    drop(late);
}

/* Submitters wait for room, and no task ends: only the close can wake them. */
struct closing {
    weir_pool *pool;
    weir_waitgroup gate;
    unsigned runs;
    int errs[2];
};

static int pass_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static void submit_first_until_closed(void *arg)
{
    struct closing *closing = arg;
    closing->errs[0] = weir_pool_submit(closing->pool, count_run, &closing->runs);
}

static void submit_second_until_closed(void *arg)
{
    struct closing *closing = arg;
    closing->errs[1] = weir_pool_submit(closing->pool, count_run, &closing->runs);
}

static void drain_against_a_cancel_that_comes_late(void)
{
    struct late_task *late = make(sizeof *late);
    late->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    explore_begin();
    try_submit(late);
    struct vthread *canceller = start(cancel, &late->task);
    int err = weir_pool_drain(late->pool);
    check(err == 0);
    finish(canceller);
    explore_end();
    end_pool(late->pool);
    drop(late);
}

static void close_against_blocked_submitters(void)
{
    struct closing *closing = make(sizeof *closing);
    closing->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    weir_waitgroup_add(&closing->gate, 1);
    int err = weir_pool_submit(closing->pool, pass_gate, &closing->gate);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *first = start(submit_first_until_closed, closing);
    struct vthread *second = start(submit_second_until_closed, closing);
    weir_pool_close(closing->pool);
    finish(first);
    finish(second);
    explore_end();
    unsigned accepted = 0;
    for (int i = 0; i < 2; i++) {
        check(closing->errs[i] == 0 || closing->errs[i] == -EPIPE);
        accepted += closing->errs[i] == 0;
    }
    check(accepted <= 1);
    weir_waitgroup_done(&closing->gate);
    end_pool(closing->pool);
    check(closing->runs == accepted);
    drop(closing);
}

const struct scenario shutdown_scenarios[] = {
    {"close against blocked submitters", close_against_blocked_submitters, false},
    {"two shutdowns", two_shutdowns, false},
    {"close against submit", close_against_submit, false},
    {"cancel of what is queued against submit", cancel_queued_against_submit, false},
    {"cancel of what is queued against submit from inside",
     cancel_queued_against_submit_from_inside, false},
    {"cancel of what is queued against a wait for a place", cancel_queued_against_wait_for_place,
     false},
    {"drain against shutdown", drain_against_shutdown, false},
    {"drain against shutdown and submit", drain_against_shutdown_and_submit, false},
    {"drain against a cancel that comes late", drain_against_a_cancel_that_comes_late, false},
    {"soft shutdown against a task that submits", soft_shutdown_against_a_task_that_submits, false},
    {"hard shutdown against a task that submits", hard_shutdown_against_a_task_that_submits, false},
    {"hard shutdown against a task in place", hard_shutdown_against_a_task_that_runs_in_place,
     false},
    {"drain against cancel of a refused task", drain_against_cancel_of_a_refused_task, false},
    {"soft shutdown against submit", soft_shutdown_against_submit, false},
    {"hard shutdown against submit", hard_shutdown_against_submit, false},
    {"soft shutdown against a blocked submit", soft_shutdown_against_blocked_submit, false},
    {"hard shutdown against a blocked submit", hard_shutdown_against_blocked_submit, false},
    {0},
};
