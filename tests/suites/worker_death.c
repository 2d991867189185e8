/* SPDX-License-Identifier: MIT */
/* worker_death.c - tasks that end their thread: the task has its end, the worker is replaced.
 *
 * A thread that is cancelled inside a gate would leave the gate's mutex locked, and one that is
 * cancelled inside a system call leaves ThreadSanitizer in the belief that it is still there. So
 * tasks that are about to be cancelled spin.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

enum { WORKERS = 3 };

/* What is recorded of a task that dies. */
struct victim {
    counter entered;
    pthread_t thread; /* valid once entered */
    atomic_int cleanups, ends;
    weir_state end;
    int status;
};

#define VICTIM_INIT                                                                                \
    {                                                                                              \
        .entered = COUNTER_INIT                                                                    \
    }

static void note_cleanup(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void note_end(void *arg, weir_state end, int status)
{
    struct victim *victim = arg;
    victim->end = end;
    victim->status = status;
    atomic_fetch_add(&victim->ends, 1);
}

static int exit_thread(weir_context *ctx, void *arg)
{
    struct victim *victim = arg;
    (void)ctx;
    counter_add(&victim->entered, 1);
    pthread_cleanup_push(note_cleanup, &victim->cleanups);
    pthread_exit(NULL);
    pthread_cleanup_pop(0);
    return 0;
}

static _Noreturn void spin_until_cancelled(void)
{
    for (;;) {
        pthread_testcancel();
        (void)sched_yield();
    }
}

static int await_cancellation(weir_context *ctx, void *arg)
{
    struct victim *victim = arg;
    (void)ctx;
    pthread_cleanup_push(note_cleanup, &victim->cleanups);
    victim->thread = pthread_self();
    counter_add(&victim->entered, 1);
    spin_until_cancelled();
    pthread_cleanup_pop(0);
}

enum way { BY_EXIT, BY_CANCEL, WAYS };

static weir_task_fn *dying_task(enum way way)
{
    return way == BY_EXIT ? exit_thread : await_cancellation;
}

/* Once the victim has entered: makes sure that it dies. */
static void let_die(struct victim *victim, enum way way)
{
    counter_await(&victim->entered, 1);
    if (way == BY_CANCEL)
        ck_assert_int_eq(pthread_cancel(victim->thread), 0);
}

/* Asserts that all workers are there: as many tasks that wait for each other run at once. */
static void assert_all_workers(weir_pool *pool, unsigned workers)
{
    meeting place = MEETING_INIT(workers);
    for (unsigned i = 0; i < workers; i++)
        ck_assert_int_eq(weir_pool_submit(pool, meeting_task, &place), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
}

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

/* Asserts that this many have failed and all others are done. */
static void assert_failed(const weir_pool *pool, unsigned failed)
{
    weir_pool_counts counts = counts_of(pool);
    ck_assert_uint_eq(counts.failed, failed);
    ck_assert_uint_eq(counts.submitted, counts.done + counts.failed);
    ck_assert_uint_eq(counts.queued, 0u);
    ck_assert_uint_eq(counts.running, 0u);
}

static int call_wait(void *arg)
{
    return weir_task_wait(arg);
}

static int call_drain(void *arg)
{
    return weir_pool_drain(arg);
}

START_TEST(a_task_that_ends_its_thread_has_failed)
{
    enum way way = (enum way)_i;
    struct victim victim = VICTIM_INIT;
    weir_task task = WEIR_TASK_INIT;
    caller waiter, drainer;
    weir_pool *pool = new_pool(WORKERS, 4);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, dying_task(way), &victim,
                                           WEIR_TASK_OPTIONS(.on_done = note_end)),
                     0);
    caller_start(&waiter, call_wait, &task);
    caller_start(&drainer, call_drain, pool);
    let_die(&victim, way);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(caller_join(&drainer), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    ck_assert_int_eq(atomic_load(&victim.ends), 1);
    ck_assert_int_eq(victim.end, WEIR_TASK_FAILED);
    ck_assert_int_eq(victim.status, -ECANCELED);
    ck_assert_int_eq(atomic_load(&victim.cleanups), 1);
    assert_all_workers(pool, WORKERS);
    assert_failed(pool, 1);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_without_a_handle_may_end_its_thread_too)
{
    enum way way = (enum way)_i;
    weir_pool *pool = new_pool(WORKERS, 4);
    for (unsigned i = 1; i <= 10; i++) {
        struct victim victim = VICTIM_INIT;
        ck_assert_int_eq(weir_pool_submit(pool, dying_task(way), &victim), 0);
        let_die(&victim, way);
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
        ck_assert_int_eq(atomic_load(&victim.cleanups), 1);
        assert_failed(pool, i);
        assert_all_workers(pool, WORKERS);
    }
    assert_failed(pool, 10);
    finish_pool(pool);
}
END_TEST

struct dying_meeting {
    meeting place;
    atomic_int wrong_index;
};

static int meet_and_die(weir_context *ctx, void *arg)
{
    struct dying_meeting *self = arg;
    (void)ctx;
    int index = weir_pool_worker_index();
    if (index < 0 || index >= WORKERS)
        atomic_fetch_add(&self->wrong_index, 1);
    meeting_wait(&self->place);
    pthread_exit(NULL);
}

START_TEST(all_workers_may_die_at_once_again_and_again)
{
    enum { ROUNDS = 20 };
    struct dying_meeting self = {.place = MEETING_INIT(WORKERS)};
    weir_pool *pool = new_pool(WORKERS, 2 * WORKERS);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        counter ran = COUNTER_INIT;
        for (unsigned i = 0; i < WORKERS; i++)
            ck_assert_int_eq(weir_pool_submit(pool, meet_and_die, &self), 0);
        /* Those queued behind them are for the replacements. */
        for (unsigned i = 0; i < WORKERS; i++)
            ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
        ck_assert_uint_eq(counter_get(&ran), (unsigned)WORKERS);
        assert_failed(pool, round * WORKERS);
    }
    ck_assert_int_eq(atomic_load(&self.wrong_index), 0);
    assert_all_workers(pool, WORKERS);
    finish_pool(pool);
}
END_TEST

START_TEST(a_pool_may_be_freed_right_after_a_death)
{
    for (int round = 0; round < 20; round++) {
        struct victim victim = VICTIM_INIT;
        weir_task task = WEIR_TASK_INIT;
        weir_pool *pool = new_pool(1 + (unsigned)round % 2, 2);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, exit_thread, &victim, NULL), 0);
        if (round % 3 == 0)
            counter_await(&victim.entered, 1);
        else if (round % 3 == 1)
            ck_assert_int_eq(weir_task_wait(&task), 0);
        weir_pool_free(pool);
        ck_assert_int_ge(weir_task_state(&task), WEIR_TASK_FAILED);
        ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    }
}
END_TEST

static int die_when_over(weir_context *ctx, void *arg)
{
    struct victim *victim = arg;
    counter_add(&victim->entered, 1);
    if (weir_context_wait_until(ctx, WEIR_FOREVER) != 0)
        return -EINVAL;
    pthread_exit(NULL);
}

START_TEST(a_shutdown_counts_a_task_that_dies)
{
    struct victim victim = VICTIM_INIT;
    counter ran = COUNTER_INIT;
    weir_shutdown_report report;
    weir_pool *pool = new_pool(2, 4);
    ck_assert_int_eq(weir_pool_submit(pool, die_when_over, &victim), 0);
    ck_assert_int_eq(weir_pool_submit(pool, die_when_over, &victim), 0);
    counter_await(&victim.entered, 2);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, WEIR_FOREVER, &report), 0);
    ck_assert_uint_eq(report.drained, 2u);
    ck_assert_uint_eq(report.cancelled, 1u);
    ck_assert_uint_eq(report.running, 0u);
    ck_assert_uint_eq(counts_of(pool).failed, 2u);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_pool_free(pool);
}
END_TEST

struct hooks {
    atomic_int starts[WORKERS], stops[WORKERS];
    atomic_int wrong;
};

static int hook_start(unsigned index, void *user)
{
    struct hooks *hooks = user;
    if (index >= WORKERS)
        atomic_fetch_add(&hooks->wrong, 1);
    else
        atomic_fetch_add(&hooks->starts[index], 1);
    return 0;
}

static void hook_stop(unsigned index, void *user)
{
    struct hooks *hooks = user;
    if (index >= WORKERS)
        atomic_fetch_add(&hooks->wrong, 1);
    else
        atomic_fetch_add(&hooks->stops[index], 1);
}

START_TEST(the_death_of_a_worker_is_a_stop_and_its_replacement_a_start)
{
    struct hooks hooks = {.wrong = 0};
    struct dying_meeting self = {.place = MEETING_INIT(WORKERS)};
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS, .on_worker_start = hook_start,
                                               .on_worker_stop = hook_stop, .user = &hooks)),
        0);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, meet_and_die, &self), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    assert_all_workers(pool, WORKERS); /* so every replacement has started */
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(atomic_load(&hooks.starts[i]), 2);
        ck_assert_int_eq(atomic_load(&hooks.stops[i]), 1);
    }
    finish_pool(pool);
    for (int i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(atomic_load(&hooks.starts[i]), 2);
        ck_assert_int_eq(atomic_load(&hooks.stops[i]), 2);
    }
    ck_assert_int_eq(atomic_load(&hooks.wrong), 0);
}
END_TEST

static int signals_blocked(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    sigset_t blocked;
    if (pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0)
        return -EINVAL;
    return sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGUSR1) == 1 &&
                   sigismember(&blocked, SIGTERM) == 1
               ? 0
               : -EINTR;
}

START_TEST(a_replacement_blocks_signals_like_the_first)
{
    struct victim victim = VICTIM_INIT;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit(pool, exit_thread, &victim), 0);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, signals_blocked, NULL, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    finish_pool(pool);
}
END_TEST

/* A task that runs another one on its own stack, in which the thread dies. */
struct nest {
    weir_pool *pool;
    enum way way;
    void (*run_victim)(struct nest *nest);
    struct victim *victim;
    weir_task inner;
    weir_waitgroup wg;
    atomic_int cleanups, returned, queued;
};

static int run_nest(weir_context *ctx, void *arg)
{
    struct nest *nest = arg;
    (void)ctx;
    pthread_cleanup_push(note_cleanup, &nest->cleanups);
    nest->run_victim(nest);
    pthread_cleanup_pop(0);
    atomic_fetch_add(&nest->returned, 1);
    return 0;
}

static void wait_for_victim(struct nest *nest)
{
    if (weir_pool_submit_task(nest->pool, &nest->inner, dying_task(nest->way), nest->victim,
                              WEIR_TASK_OPTIONS(.on_done = note_end)) == 0)
        atomic_fetch_add(&nest->returned, weir_task_wait(&nest->inner) == 0);
}

static void wait_for_waitgroup(struct nest *nest)
{
    if (weir_waitgroup_go(&nest->wg, nest->pool, dying_task(nest->way), nest->victim) == 0)
        atomic_fetch_add(&nest->returned, weir_waitgroup_wait(&nest->wg) == 0);
}

static int count_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* The first one takes the only place, so that the victim runs inline. */
static void submit_to_full_pool(struct nest *nest)
{
    if (weir_pool_submit(nest->pool, count_itself, &nest->queued) == 0)
        atomic_fetch_add(&nest->returned,
                         weir_pool_submit(nest->pool, dying_task(nest->way), nest->victim) == 0);
}

static void assert_nest_dies(enum way way, void (*run_victim)(struct nest *nest))
{
    struct victim victim = VICTIM_INIT;
    weir_task task = WEIR_TASK_INIT;
    caller waiter;
    struct nest nest = {.way = way, .run_victim = run_victim, .victim = &victim};
    nest.pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(nest.pool, &task, run_nest, &nest, NULL), 0);
    caller_start(&waiter, call_wait, &task);
    let_die(&victim, way);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(weir_pool_drain_until(nest.pool, NULL, patience()), 0);
    /* Both ran on the thread that died, so both have failed, and each was unwound. */
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    ck_assert_int_eq(atomic_load(&nest.returned), 0);
    ck_assert_int_eq(atomic_load(&nest.cleanups), 1);
    ck_assert_int_eq(atomic_load(&victim.cleanups), 1);
    ck_assert_int_eq(weir_waitgroup_try_wait(&nest.wg), 0);
    assert_all_workers(nest.pool, 1);
    assert_failed(nest.pool, 2);
    if (weir_task_state(&nest.inner) == WEIR_TASK_FAILED) {
        ck_assert_int_eq(weir_task_status(&nest.inner), -ECANCELED);
        ck_assert_int_eq(atomic_load(&victim.ends), 1);
        ck_assert_int_eq(victim.status, -ECANCELED);
    }
    finish_pool(nest.pool);
}

START_TEST(a_waiting_task_dies_with_the_one_that_it_runs_meanwhile)
{
    assert_nest_dies((enum way)_i, wait_for_victim);
}
END_TEST

START_TEST(a_task_that_waits_for_a_waitgroup_dies_with_the_one_that_it_runs_meanwhile)
{
    assert_nest_dies((enum way)_i, wait_for_waitgroup);
}
END_TEST

START_TEST(a_task_dies_with_the_one_that_it_runs_in_place)
{
    assert_nest_dies((enum way)_i, submit_to_full_pool);
}
END_TEST

struct blocked {
    weir_task *other;
    counter entered;
    pthread_t thread;
    atomic_int woken; /* the wait itself was not cut short */
};

static int wait_elsewhere_then_die(weir_context *ctx, void *arg)
{
    struct blocked *blocked = arg;
    (void)ctx;
    blocked->thread = pthread_self();
    counter_add(&blocked->entered, 1);
    atomic_store(&blocked->woken, weir_task_wait(blocked->other) == 0);
    spin_until_cancelled();
}

START_TEST(a_worker_that_is_cancelled_inside_a_wait_of_weir_leaves_all_whole)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(2, 2), *other = new_pool(1, 1);
    weir_task held = WEIR_TASK_INIT, task = WEIR_TASK_INIT;
    struct blocked blocked = {.other = &held, .entered = COUNTER_INIT};
    ck_assert_int_eq(weir_pool_submit_task(other, &held, gate_task, &hold, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_elsewhere_then_die, &blocked, NULL),
                     0);
    counter_await(&blocked.entered, 1);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    ck_assert_int_eq(pthread_cancel(blocked.thread), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    ck_assert_int_eq(atomic_load(&blocked.woken), 1);
    ck_assert_int_eq(weir_task_wait_until(&held, NULL, patience()), 0);
    assert_all_workers(pool, 2);
    assert_all_workers(other, 1);
    assert_failed(pool, 1);
    finish_pool(pool);
    finish_pool(other);
}
END_TEST

/* All workers run one of these at once, and then offer to be cancelled. */
struct offer {
    atomic_int present;
    atomic_int survived;
};

static int offer_to_die(weir_context *ctx, void *arg)
{
    struct offer *offer = arg;
    (void)ctx;
    atomic_fetch_add(&offer->present, 1);
    while (atomic_load(&offer->present) < WORKERS)
        (void)sched_yield();
    pthread_testcancel();
    atomic_fetch_add(&offer->survived, 1);
    return 0;
}

struct worker_threads {
    pid_t ids[WORKERS];
    pthread_t threads[WORKERS];
};

static int remember_thread(unsigned index, void *user)
{
    struct worker_threads *workers = user;
    workers->ids[index] = thread_id();
    workers->threads[index] = pthread_self();
    return 0;
}

START_TEST(an_idle_worker_that_is_cancelled_dies_in_its_next_task_at_the_most)
{
    struct worker_threads threads;
    struct offer offer = {.present = 0};
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS,
                                                            .on_worker_start = remember_thread,
                                                            .user = &threads)),
                     0);
    for (int i = 0; i < WORKERS; i++)
        thread_await_asleep(threads.ids[i]);
    ck_assert_int_eq(pthread_cancel(threads.threads[1]), 0);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, offer_to_die, &offer), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_counts counts = counts_of(pool);
    ck_assert_uint_eq(counts.submitted, (unsigned)WORKERS);
    ck_assert_uint_eq(counts.done + counts.failed, (unsigned)WORKERS);
    ck_assert_uint_le(counts.failed, 1u);
    ck_assert_uint_eq(counts.done, (unsigned)atomic_load(&offer.survived));
    assert_all_workers(pool, WORKERS);
    finish_pool(pool);
}
END_TEST

START_TEST(a_member_of_a_waitgroup_that_dies_is_counted_down)
{
    enum way way = (enum way)_i;
    struct victim victim = VICTIM_INIT;
    counter ran = COUNTER_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_pool *pool = new_pool(WORKERS, 4);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, dying_task(way), &victim), 0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), 0);
    let_die(&victim, way);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&ran), 1u);
    assert_all_workers(pool, WORKERS);
    assert_failed(pool, 1);
    finish_pool(pool);
}
END_TEST

START_TEST(a_member_of_an_errgroup_that_dies_is_its_first_error)
{
    enum way way = (enum way)_i;
    struct victim victim = VICTIM_INIT;
    int code = 0;
    weir_errgroup *group = NULL;
    weir_pool *pool = new_pool(WORKERS, 4);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)), 0);
    ck_assert_int_eq(weir_errgroup_go(group, dying_task(way), &victim), 0);
    let_die(&victim, way);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), -ECANCELED);
    ck_assert_uint_eq(weir_errgroup_errors(group, &code, 1), 1u);
    ck_assert_int_eq(code, -ECANCELED);
    ck_assert_int_eq(weir_context_err(weir_errgroup_context(group)), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_go(group, exit_thread, &victim), -ECANCELED);
    weir_errgroup_free(group);
    assert_all_workers(pool, WORKERS);
    assert_failed(pool, 1);
    finish_pool(pool);
}
END_TEST

/* A thread of the test's own that runs the dying task for the pool. */
static void *run_for_the_pool(void *arg)
{
    struct nest *nest = arg;
    int err = weir_pool_submit_task(nest->pool, &nest->inner, exit_thread, nest->victim,
                                    WEIR_TASK_OPTIONS(.on_done = note_end));
    atomic_fetch_add(&nest->returned, 1);
    return err == 0 ? NULL : nest;
}

START_TEST(a_thread_that_runs_a_task_for_the_pool_may_die_in_it)
{
    gate hold = GATE_INIT;
    struct victim victim = VICTIM_INIT;
    struct nest nest = {.victim = &victim};
    ck_assert_int_eq(
        weir_pool_new(&nest.pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                    .overflow = WEIR_OVERFLOW_CALLER_RUNS)),
        0);
    saturate(nest.pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(nest.pool, gate_task, &hold), 0);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_for_the_pool, &nest), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(atomic_load(&nest.returned), 0);
    ck_assert_int_eq(weir_task_state(&nest.inner), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&nest.inner), -ECANCELED);
    ck_assert_int_eq(atomic_load(&victim.ends), 1);
    ck_assert_int_eq(atomic_load(&victim.cleanups), 1);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain_until(nest.pool, NULL, patience()), 0);
    assert_all_workers(nest.pool, 1);
    assert_failed(nest.pool, 1);
    finish_pool(nest.pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("worker_death");

    TCase *ends = add_group(suite, "ends");
    tcase_add_loop_test(ends, a_task_that_ends_its_thread_has_failed, 0, WAYS);
    tcase_add_loop_test(ends, a_task_without_a_handle_may_end_its_thread_too, 0, WAYS);
    tcase_add_loop_test(ends, a_waiting_task_dies_with_the_one_that_it_runs_meanwhile, 0, WAYS);
    tcase_add_loop_test(
        ends, a_task_that_waits_for_a_waitgroup_dies_with_the_one_that_it_runs_meanwhile, 0, WAYS);
    tcase_add_loop_test(ends, a_task_dies_with_the_one_that_it_runs_in_place, 0, WAYS);
    tcase_add_loop_test(ends, a_member_of_a_waitgroup_that_dies_is_counted_down, 0, WAYS);
    tcase_add_loop_test(ends, a_member_of_an_errgroup_that_dies_is_its_first_error, 0, WAYS);
    tcase_add_test(ends, a_thread_that_runs_a_task_for_the_pool_may_die_in_it);

    TCase *workers = add_group(suite, "workers");
    tcase_add_test(workers, all_workers_may_die_at_once_again_and_again);
    tcase_add_test(workers, the_death_of_a_worker_is_a_stop_and_its_replacement_a_start);
    tcase_add_test(workers, a_replacement_blocks_signals_like_the_first);
    tcase_add_test(workers, a_worker_that_is_cancelled_inside_a_wait_of_weir_leaves_all_whole);
    tcase_add_test(workers, an_idle_worker_that_is_cancelled_dies_in_its_next_task_at_the_most);

    TCase *end_of_pool = add_group(suite, "shutdown");
    tcase_add_test(end_of_pool, a_pool_may_be_freed_right_after_a_death);
    tcase_add_test(end_of_pool, a_shutdown_counts_a_task_that_dies);
    return suite;
}
