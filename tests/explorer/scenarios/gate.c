/* SPDX-License-Identifier: MIT */
/* gate.c - tasks at a gate: being let in against cancel, expiry, shutdown, another gate, and the
 * end of the gate, whose memory is freed as soon as nothing is behind it. */
#include "scenario.h"

enum { SOON = 2000, TASKS = 3 };

struct work {
    weir_pool *pool;
    weir_semaphore *sem;
    weir_limiter *limiter;
    weir_breaker *breaker;
    weir_gate *gate, *other;
    weir_task *tasks[TASKS];
    unsigned runs;   /* atomic enough: the tasks add to it one after the other */
    unsigned inside; /* plain: guarded by a semaphore of one permit */
    int64_t began;   /* the last run */
    int cancelled;
};

static int run(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    work->runs++;
    work->began = weir_now();
    return 0;
}

static weir_gate *new_gate(const struct work *work)
{
    weir_gate *gate = make(sizeof *gate);
    int err =
        weir_gate_init(gate, WEIR_GATE_OPTIONS(.semaphore = work->sem, .limiter = work->limiter,
                                               .breaker = work->breaker));
    check(err == 0);
    return gate;
}

static void end_gate(weir_gate *gate)
{
    weir_gate_destroy(gate);
    drop(gate);
}

/* A pool, and a gate of one permit, which is taken. */
static struct work *new_work(unsigned workers, unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .timers = TASKS));
    work->sem = make(sizeof *work->sem);
    int err = weir_semaphore_init(work->sem, 1);
    check(err == 0);
    err = weir_semaphore_try_acquire(work->sem, 1);
    check(err == 0);
    work->gate = new_gate(work);
    for (int i = 0; i < TASKS; i++)
        work->tasks[i] = make(sizeof *work->tasks[i]);
    return work;
}

/* Everything that was taken is back. */
static void end_work(struct work *work)
{
    int err = weir_semaphore_try_acquire(work->sem, 1);
    check(err == 0);
    weir_semaphore_destroy(work->sem);
    drop(work->sem);
    end_pool(work->pool);
    for (int i = 0; i < TASKS; i++)
        drop(work->tasks[i]);
    drop(work);
}

static void submit(struct work *work, int i, weir_gate *gate)
{
    int err = weir_pool_submit_task(work->pool, work->tasks[i], run, work,
                                    WEIR_TASK_OPTIONS(.gate = gate));
    check(err == 0);
}

static void wait(struct work *work, int i)
{
    int err = weir_task_wait(work->tasks[i]);
    check(err == 0);
}

static void release(void *arg)
{
    weir_semaphore_release(((struct work *)arg)->sem, 1);
}

static void cancel_first(void *arg)
{
    struct work *work = arg;
    work->cancelled = weir_task_cancel(work->tasks[0]);
}

static void release_against_cancel(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    struct vthread *giver = start(release, work);
    submit(work, 0, work->gate);
    struct vthread *canceller = start(cancel_first, work);
    wait(work, 0);
    end_gate(work->gate); /* also while the request is being granted */
    finish(giver);
    finish(canceller);
    explore_end();
    weir_state end = weir_task_state(work->tasks[0]);
    check(end == (work->cancelled == 0 ? WEIR_TASK_CANCELLED : WEIR_TASK_DONE));
    check(work->runs == (end == WEIR_TASK_DONE ? 1u : 0u));
    end_work(work);
}

static void cancel_context(void *arg)
{
    weir_context_cancel(arg, 0);
}

/* The context of the task is cancelled, and the permit that it waits for comes. */
static void release_against_cancel_of_a_context(void)
{
    struct work *work = new_work(1, 1);
    weir_context *ctx;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *canceller = start(cancel_context, ctx);
    err = weir_pool_submit_task_until(work->pool, work->tasks[0], run, work,
                                      WEIR_TASK_OPTIONS(.gate = work->gate), ctx, WEIR_FOREVER);
    check(err == 0 || err == -ECANCELED);
    struct vthread *giver = start(release, work);
    if (err == 0)
        wait(work, 0);
    end_gate(work->gate);
    finish(canceller);
    finish(giver);
    explore_end();
    weir_state end = weir_task_state(work->tasks[0]);
    check(end == (err != 0         ? WEIR_TASK_IDLE
                  : work->runs > 0 ? WEIR_TASK_DONE
                                   : WEIR_TASK_CANCELLED));
    weir_context_unref(ctx);
    end_work(work);
}

/* It ends although nothing else happens, and the next one in the line does not wait for it. */
static void cancel_of_a_context_at_a_gate(void)
{
    struct work *work = new_work(1, 1);
    weir_context *ctx;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    err = weir_pool_submit_task_until(work->pool, work->tasks[0], run, work,
                                      WEIR_TASK_OPTIONS(.gate = work->gate), ctx, WEIR_FOREVER);
    check(err == 0);
    submit(work, 1, work->gate);
    struct vthread *canceller = start(cancel_context, ctx);
    wait(work, 0);
    check(weir_task_state(work->tasks[0]) == WEIR_TASK_CANCELLED && work->runs == 0);
    release(work);
    wait(work, 1);
    end_gate(work->gate);
    finish(canceller);
    explore_end();
    weir_context_unref(ctx);
    end_work(work);
}

/* What on_done may do, once nothing is behind the gate. */
static void destroy_gate(void *arg, weir_state end, int status)
{
    struct work *work = arg;
    (void)end;
    (void)status;
    end_gate(work->gate);
}

/* The context is over, or the task has expired, and another thread cancels it. */
static void end_of_a_gate_in_on_done(int64_t start_by)
{
    struct work *work = new_work(1, 1);
    weir_context *ctx;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    err = weir_pool_submit_task_until(
        work->pool, work->tasks[0], run, work,
        WEIR_TASK_OPTIONS(.gate = work->gate, .start_by = start_by, .on_done = destroy_gate), ctx,
        WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    if (start_by != 0)
        instant(start_by);
    else
        weir_context_cancel(ctx, 0);
    struct vthread *canceller = start(cancel_first, work);
    wait(work, 0);
    finish(canceller);
    explore_end();
    weir_state end = weir_task_state(work->tasks[0]);
    check(work->runs == 0 && end != WEIR_TASK_DONE);
    weir_context_unref(ctx);
    release(work);
    end_work(work);
}

static void end_in_on_done_after_a_cancel(void)
{
    end_of_a_gate_in_on_done(0);
}

static void end_in_on_done_after_expiry(void)
{
    end_of_a_gate_in_on_done(SOON);
}

/* The second task gets what was the first one's. */
static void release_against_cancel_of_the_first_of_two(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    submit(work, 0, work->gate);
    submit(work, 1, work->gate);
    struct vthread *giver = start(release, work), *canceller = start(cancel_first, work);
    wait(work, 1);
    wait(work, 0);
    finish(giver);
    finish(canceller);
    explore_end();
    check(weir_task_state(work->tasks[1]) == WEIR_TASK_DONE);
    end_gate(work->gate);
    end_work(work);
}

static void submit_and_wait(void *arg)
{
    struct work *work = arg;
    submit(work, 1, work->gate);
    wait(work, 1);
}

/* A permit comes while one task enters and another one is let in. */
static void release_against_submit(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    submit(work, 0, work->gate);
    struct vthread *giver = start(release, work), *other = start(submit_and_wait, work);
    wait(work, 0);
    finish(giver);
    finish(other);
    end_gate(work->gate);
    explore_end();
    check(work->runs == 2);
    end_work(work);
}

static int be_alone(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    (void)ctx;
    work->inside++;
    return 0;
}

/* One permit, two workers: the runs are one after the other. */
static void a_gate_of_one_permit_is_a_lock(void)
{
    struct work *work = new_work(2, 3);
    weir_semaphore_release(work->sem, 1);
    explore_begin();
    for (int i = 0; i < TASKS; i++) {
        int err = weir_pool_submit_task(work->pool, work->tasks[i], be_alone, work,
                                        WEIR_TASK_OPTIONS(.gate = work->gate));
        check(err == 0);
    }
    for (int i = 0; i < TASKS; i++)
        wait(work, i);
    end_gate(work->gate);
    explore_end();
    check(work->inside == TASKS);
    end_work(work);
}

/* The clock ends it as expired while it is let in. */
static void release_against_expiry(void)
{
    struct work *work = new_work(1, 1);
    int err = weir_pool_submit_task(work->pool, work->tasks[0], run, work,
                                    WEIR_TASK_OPTIONS(.gate = work->gate, .start_by = SOON));
    check(err == 0);
    explore_begin();
    instant(SOON);
    struct vthread *giver = start(release, work);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    end_gate(work->gate);
    finish(giver);
    explore_end();
    weir_state end = weir_task_state(work->tasks[0]);
    check(end == (work->runs == 1 ? WEIR_TASK_DONE : WEIR_TASK_EXPIRED));
    end_work(work);
}

static void release_against_shutdown(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    submit(work, 0, work->gate);
    submit(work, 1, work->gate);
    struct vthread *giver = start(release, work);
    int err = weir_pool_shutdown(work->pool, 0, WEIR_FOREVER, NULL);
    check(err == 0);
    end_gate(work->gate);
    finish(giver);
    explore_end();
    end_work(work);
}

/* A worker that waits for a task sleeps until that is let in, and runs it itself then. */
static int wait_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

static void release_against_the_wait_of_a_worker(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    submit(work, 0, work->gate);
    int err = weir_pool_submit_task(work->pool, work->tasks[1], wait_inside, work->tasks[0], NULL);
    check(err == 0);
    struct vthread *giver = start(release, work);
    wait(work, 1);
    end_gate(work->gate);
    finish(giver);
    explore_end();
    check(work->runs == 1);
    end_work(work);
}

/* Two gates in the line of one semaphore: what the first withdraws, the second gets. */
static void two_gates_at_one_semaphore(void)
{
    struct work *work = new_work(1, 2);
    work->other = new_gate(work);
    explore_begin();
    submit(work, 0, work->gate);
    struct vthread *giver = start(release, work);
    submit(work, 1, work->other);
    struct vthread *canceller = start(cancel_first, work);
    wait(work, 1);
    end_gate(work->other);
    wait(work, 0);
    end_gate(work->gate);
    finish(giver);
    finish(canceller);
    explore_end();
    check(weir_task_state(work->tasks[1]) == WEIR_TASK_DONE);
    end_work(work);
}

/* The queue is full when the task is let in. */
static void let_in_against_a_full_queue_and_cancel(void)
{
    struct work *work = new_work(1, 1);
    unsigned others = 0;
    explore_begin();
    submit(work, 0, work->gate);
    for (int i = 0; i < 2; i++) {
        int err = weir_pool_submit(work->pool, count_run, &others);
        check(err == 0);
    }
    struct vthread *canceller = start(cancel_first, work);
    release(work);
    wait(work, 0);
    end_gate(work->gate);
    finish(canceller);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(others == 2);
    end_work(work);
}

/* The clock's thread waits for room, for one that was let in; that a context of another one at its
 * gate is over wakes it all the same. */
static int wait_for_end(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

static void cancel_of_a_context_beside_a_full_queue(void)
{
    struct work *work = new_work(1, 1);
    weir_context *ctx;
    unsigned others = 0;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    work->other = make(sizeof *work->other);
    err = weir_gate_init(work->other, NULL);
    check(err == 0);
    explore_begin();
    err = weir_pool_submit_task_until(work->pool, work->tasks[0], run, work,
                                      WEIR_TASK_OPTIONS(.gate = work->gate), ctx, WEIR_FOREVER);
    check(err == 0);
    err = weir_pool_submit(work->pool, wait_for_end, work->tasks[0]); /* it holds the worker */
    check(err == 0);
    err = weir_pool_submit(work->pool, count_run, &others);
    check(err == 0);
    submit(work, 1, work->other);
    struct vthread *canceller = start(cancel_context, ctx);
    wait(work, 1);
    finish(canceller);
    end_gate(work->other);
    end_gate(work->gate);
    explore_end();
    check(weir_task_state(work->tasks[0]) == WEIR_TASK_CANCELLED);
    weir_context_unref(ctx);
    release(work);
    end_work(work);
}

/* Two are let in beside a full queue, which may have room by the time of the second: that does not
 * go before the first. */
struct turn {
    struct work *work;
    int index;
};

static int run_in_order(weir_context *ctx, void *arg)
{
    struct turn *turn = arg;
    (void)ctx;
    check(turn->work->runs == (unsigned)turn->index);
    turn->work->runs++;
    return 0;
}

static void two_let_in_beside_a_full_queue(void)
{
    struct work *work = new_work(1, 1);
    struct turn *turns = make(2 * sizeof *turns);
    unsigned others = 0;
    work->other = make(sizeof *work->other);
    int err = weir_gate_init(work->other, NULL);
    check(err == 0);
    explore_begin();
    for (int i = 0; i < 2; i++) {
        err = weir_pool_submit(work->pool, count_run, &others);
        check(err == 0);
    }
    for (int i = 0; i < 2; i++) {
        turns[i] = (struct turn){work, i};
        err = weir_pool_submit_task(work->pool, work->tasks[i], run_in_order, &turns[i],
                                    WEIR_TASK_OPTIONS(.gate = work->other));
        check(err == 0);
    }
    wait(work, 1);
    wait(work, 0);
    end_gate(work->other);
    explore_end();
    end_gate(work->gate);
    release(work);
    drop(turns);
    end_work(work);
}

/* The second token comes at a time. The first task that waits for it may be cancelled then. */
static void tokens_against_cancel(void)
{
    struct work *work = new_work(1, 2);
    weir_semaphore_release(work->sem, 1);
    end_gate(work->gate);
    work->limiter = make(sizeof *work->limiter);
    int err = weir_limiter_init(work->limiter, 1e6, 1);
    check(err == 0);
    work->gate = new_gate(work);
    submit(work, 2, work->gate);
    wait(work, 2);
    explore_begin();
    int64_t due = weir_now() + 1000;
    submit(work, 0, work->gate);
    submit(work, 1, work->gate);
    struct vthread *canceller = start(cancel_first, work);
    wait(work, 1);
    wait(work, 0);
    end_gate(work->gate);
    finish(canceller);
    explore_end();
    check(work->began >= due || work->runs == 1 || work->cancelled != 0);
    check(weir_task_state(work->tasks[1]) == WEIR_TASK_DONE);
    drop(work->limiter);
    end_work(work);
}

static int fail_run(weir_context *ctx, void *arg)
{
    (void)run(ctx, arg);
    return -EIO;
}

/* The breaker opens by the first, is asked again later, and lets one probe through. */
static void a_probe_against_cancel(void)
{
    struct work *work = new_work(1, 2);
    weir_semaphore_release(work->sem, 1);
    end_gate(work->gate);
    work->breaker = make(sizeof *work->breaker);
    int err = weir_breaker_init(work->breaker, WEIR_BREAKER_OPTIONS(.window = 1, .open_for = 1000));
    check(err == 0);
    work->gate = new_gate(work);
    err = weir_pool_submit_task(work->pool, work->tasks[2], fail_run, work,
                                WEIR_TASK_OPTIONS(.gate = work->gate));
    check(err == 0);
    wait(work, 2);
    explore_begin();
    submit(work, 0, work->gate);
    submit(work, 1, work->gate);
    struct vthread *canceller = start(cancel_first, work);
    wait(work, 0);
    wait(work, 1);
    end_gate(work->gate);
    finish(canceller);
    explore_end();
    check(weir_task_state(work->tasks[1]) == WEIR_TASK_DONE);
    check(weir_breaker_read_state(work->breaker) == WEIR_BREAKER_CLOSED);
    drop(work->breaker);
    end_work(work);
}

static void cancel_soon(void *arg)
{
    int err = weir_sleep_until(NULL, SOON);
    check(err == 0);
    weir_context_cancel(arg, 0);
}

/* The alarm rings for the gate, which has nothing for the task, while its context is cancelled. */
static void cancel_of_a_context_against_a_ring(void)
{
    struct work *work = new_work(1, 1);
    weir_context *ctx;
    uint64_t ticket;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    end_gate(work->gate);
    work->breaker = make(sizeof *work->breaker);
    err = weir_breaker_init(work->breaker,
                            WEIR_BREAKER_OPTIONS(.window = 1, .open_for = SOON - weir_now()));
    check(err == 0);
    work->gate = new_gate(work);
    err = weir_breaker_allow(work->breaker, &ticket);
    check(err == 0);
    weir_breaker_record(work->breaker, ticket, -EIO);
    weir_semaphore_release(work->sem, 1);
    err = weir_pool_submit_task_until(work->pool, work->tasks[0], run, work,
                                      WEIR_TASK_OPTIONS(.gate = work->gate), ctx, WEIR_FOREVER);
    check(err == 0);
    err = weir_semaphore_try_acquire(work->sem, 1);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *canceller = start(cancel_soon, ctx);
    wait(work, 0);
    finish(canceller);
    explore_end();
    check(weir_task_state(work->tasks[0]) == WEIR_TASK_CANCELLED);
    weir_semaphore_release(work->sem, 1);
    weir_context_unref(ctx);
    end_gate(work->gate);
    drop(work->breaker);
    end_work(work);
}

static void look_at_gate(void *arg)
{
    weir_gate_look(((struct work *)arg)->gate);
}

static void cancel_of_a_context_against_a_look(void)
{
    struct work *work = new_work(1, 1);
    weir_context *ctx;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    end_gate(work->gate);
    work->limiter = make(sizeof *work->limiter);
    err = weir_limiter_init(work->limiter, 0, 1);
    check(err == 0);
    weir_semaphore_release(work->sem, 1);
    check(weir_limiter_allow(work->limiter, 1) == 0);
    work->gate = new_gate(work);
    err = weir_pool_submit_task_until(work->pool, work->tasks[0], run, work,
                                      WEIR_TASK_OPTIONS(.gate = work->gate), ctx, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *looker = start(look_at_gate, work);
    weir_context_cancel(ctx, 0);
    wait(work, 0);
    finish(looker);
    explore_end();
    check(weir_task_state(work->tasks[0]) == WEIR_TASK_CANCELLED);
    weir_context_unref(ctx);
    end_gate(work->gate);
    drop(work->limiter);
    end_work(work);
}

static void look(void *arg)
{
    weir_gate_look(((struct work *)arg)->gate);
}

/* A user's look beside a release: one of the two threads lets the task in. */
static void release_against_look(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    submit(work, 0, work->gate);
    struct vthread *giver = start(release, work), *user = start(look, work);
    wait(work, 0);
    finish(user);
    end_gate(work->gate);
    finish(giver);
    explore_end();
    check(work->runs == 1);
    end_work(work);
}

const struct scenario gate_scenarios[] = {
    {"gate: release against cancel", release_against_cancel, false},
    {"gate: release against cancel of the first of two", release_against_cancel_of_the_first_of_two,
     false},
    {"gate: cancel of a context", cancel_of_a_context_at_a_gate, false},
    {"gate: its end in on_done after a cancel", end_in_on_done_after_a_cancel, false},
    {"gate: its end in on_done after expiry", end_in_on_done_after_expiry, false},
    {"gate: release against submit", release_against_submit, false},
    {"a gate of one permit is a lock", a_gate_of_one_permit_is_a_lock, false},
    {"gate: release against expiry", release_against_expiry, false},
    {"gate: release against shutdown", release_against_shutdown, false},
    {"gate: release against the wait of a worker", release_against_the_wait_of_a_worker, false},
    {"two gates at one semaphore", two_gates_at_one_semaphore, false},
    {"gate: let in against a full queue and cancel", let_in_against_a_full_queue_and_cancel, false},
    {"gate: two let in beside a full queue", two_let_in_beside_a_full_queue, false},
    {"gate: release against cancel of a context", release_against_cancel_of_a_context, false},
    {"gate: cancel of a context beside a full queue", cancel_of_a_context_beside_a_full_queue,
     false},
    {"gate: tokens against cancel", tokens_against_cancel, false},
    {"gate: a probe against cancel", a_probe_against_cancel, false},
    {"gate: cancel of a context against a ring", cancel_of_a_context_against_a_ring, false},
    {"gate: cancel of a context against a look", cancel_of_a_context_against_a_look, false},
    {"gate: release against look", release_against_look, false},
    {NULL, NULL, false},
};
