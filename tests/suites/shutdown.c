/* SPDX-License-Identifier: MIT */
/* shutdown.c - the end of a pool: close, soft and hard shutdown, free, and who is woken by them. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* Counts what on_drop was told. */
struct drops {
    atomic_int cancelled, expired, other;
};

static void count_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    struct drops *drops = user;
    (void)fn;
    (void)arg;
    if (why == WEIR_TASK_CANCELLED)
        atomic_fetch_add(&drops->cancelled, 1);
    else if (why == WEIR_TASK_EXPIRED)
        atomic_fetch_add(&drops->expired, 1);
    else
        atomic_fetch_add(&drops->other, 1);
}

static weir_pool *new_dropping_pool(unsigned workers, unsigned capacity, struct drops *drops,
                                    weir_context *context)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool,
                      WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                        .context = context, .on_drop = count_drop, .user = drops)),
        0);
    return pool;
}

/* A task that runs until its context is over. */
struct sleeper {
    counter entered;
    atomic_int err; /* of its context when it returned */
};

#define SLEEPER_INIT                                                                               \
    {                                                                                              \
        .entered = COUNTER_INIT                                                                    \
    }

static int sleep_until_over(weir_context *ctx, void *arg)
{
    struct sleeper *sleeper = arg;
    counter_add(&sleeper->entered, 1);
    int err = weir_context_wait_until(ctx, WEIR_FOREVER);
    atomic_store(&sleeper->err, err != 0 ? err : weir_context_err(ctx));
    return 0;
}

static void submit_sleepers(weir_pool *pool, struct sleeper *sleeper, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(weir_pool_submit(pool, sleep_until_over, sleeper), 0);
    counter_await(&sleeper->entered, n);
}

static void submit_n(weir_pool *pool, weir_task_fn *fn, void *arg, int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(weir_pool_submit(pool, fn, arg), 0);
}

/* A shutdown by another thread. */
struct stop {
    weir_pool *pool;
    int64_t soft, hard;
    weir_shutdown_report report;
    caller thread;
};

static int call_shutdown(void *arg)
{
    struct stop *stop = arg;
    return weir_pool_shutdown(stop->pool, stop->soft, stop->hard, &stop->report);
}

static void stop_elsewhere(struct stop *stop)
{
    caller_start(&stop->thread, call_shutdown, stop);
}

#define assert_report(report, ran, unstarted, left)                                                \
    do {                                                                                           \
        ck_assert_uint_eq((report).drained, (ran));                                                \
        ck_assert_uint_eq((report).cancelled, (unstarted));                                        \
        ck_assert_uint_eq((report).running, (left));                                               \
    } while (0)

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

/* Asserts that the pool, whose threads may be gone, takes nothing any more and says so. */
static void assert_closed(weir_pool *pool)
{
    counter ran = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_job job = {counter_task, &ran};
    uint64_t before = counts_of(pool).submitted;
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), -EPIPE);
    ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EPIPE);
    ck_assert_int_eq(weir_pool_submit_until(pool, counter_task, &ran, NULL, 0), -EPIPE);
    ck_assert_int_eq(weir_pool_submit_many(pool, &job, 1), -EPIPE);
    ck_assert_int_eq(weir_pool_try_submit_many(pool, &job, 1), -EPIPE);
    ck_assert_int_eq(weir_pool_submit_many_until(pool, &job, 1, NULL, WEIR_FOREVER), -EPIPE);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), -EPIPE);
    ck_assert_int_eq(weir_pool_try_submit_task(pool, &task, counter_task, &ran, NULL), -EPIPE);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), -EPIPE);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    weir_errgroup *group = NULL;
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, NULL), 0);
    ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), -EPIPE);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_uint_eq(counts_of(pool).submitted, before);
    ck_assert_uint_eq(counter_get(&ran), 0u);
}

START_TEST(a_closed_pool_runs_what_is_queued_and_takes_no_more)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(1, 4);
    weir_pool_close(NULL);
    saturate(pool, &hold, 1);
    submit_n(pool, counter_task, &ran, 3);
    weir_pool_close(pool);
    assert_closed(pool);
    weir_pool_close(pool);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 3u);
    assert_closed(pool);
    weir_pool_free(pool);
}
END_TEST

static int call_go(void *arg)
{
    return weir_errgroup_go(arg, counter_task, NULL);
}

START_TEST(close_wakes_who_waits_for_a_place_in_a_group)
{
    gate hold = GATE_INIT;
    weir_errgroup *group = NULL;
    caller thread;
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)), 0);
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &hold), 0);
    gate_await(&hold, 1);
    caller_start(&thread, call_go, group);
    ck_assert(caller_await_asleep(&thread));
    weir_pool_close(pool);
    ck_assert_int_eq(caller_join(&thread), -EPIPE);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

struct late {
    weir_pool *pool;
    gate hold;
    counter ran;
    int submit, task, status;
};

static int submit_late(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct late *late = arg;
    gate_wait(&late->hold);
    late->submit = weir_pool_submit(late->pool, counter_task, &late->ran);
    weir_task task = WEIR_TASK_INIT;
    late->task = weir_pool_submit_task(late->pool, &task, counter_task, &late->ran, NULL);
    late->status = late->task != 0 ? late->task : weir_task_wait(&task);
    return 0;
}

START_TEST(tasks_of_a_closed_pool_may_still_submit)
{
    struct late late = {.hold = GATE_INIT, .ran = COUNTER_INIT};
    late.pool = new_pool(1, 2);
    ck_assert_int_eq(weir_pool_submit(late.pool, submit_late, &late), 0);
    gate_await(&late.hold, 1);
    weir_pool_close(late.pool);
    gate_open(&late.hold);
    ck_assert_int_eq(weir_pool_drain(late.pool), 0);
    ck_assert_int_eq(late.submit, 0);
    ck_assert_int_eq(late.task, 0);
    ck_assert_int_eq(late.status, 0);
    ck_assert_uint_eq(counter_get(&late.ran), 2u);
    ck_assert_uint_eq(counts_of(late.pool).done, 3u);
    weir_pool_free(late.pool);
}
END_TEST

/* Cancelling what is queued. */

struct undisturbed {
    weir_pool *pool;
    gate hold;
    int err, submit;
};

static int run_undisturbed(weir_context *ctx, void *arg)
{
    struct undisturbed *run = arg;
    gate_wait(&run->hold);
    run->err = weir_context_err(ctx);
    run->submit = weir_pool_submit(run->pool, counter_task, NULL);
    return 0;
}

START_TEST(cancelling_what_is_queued_does_not_disturb_what_runs)
{
    struct drops drops = {0};
    counter ran = COUNTER_INIT;
    struct undisturbed run = {.hold = GATE_INIT, .err = 77};
    weir_task queued = WEIR_TASK_INIT, delayed = WEIR_TASK_INIT, periodic = WEIR_TASK_INIT;
    weir_pool *pool = run.pool = new_dropping_pool(1, 8, &drops, NULL);
    int64_t later = weir_after(WEIR_S(3600));
    weir_pool_cancel_queued(NULL);
    ck_assert_int_eq(weir_pool_submit(pool, run_undisturbed, &run), 0);
    gate_await(&run.hold, 1);
    submit_n(pool, counter_task, &ran, 3);
    ck_assert_int_eq(weir_pool_submit_task(pool, &queued, counter_task, &ran, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &delayed, counter_task, &ran, NULL, later), 0);
    ck_assert_int_eq(
        weir_pool_submit_every(pool, &periodic, counter_task, &ran, NULL, later, WEIR_S(1)), 0);
    for (int i = 0; i < 2; i++) {
        weir_pool_cancel_queued(pool);
        ck_assert_int_eq(weir_task_state(&queued), WEIR_TASK_CANCELLED);
        ck_assert_int_eq(weir_task_state(&delayed), WEIR_TASK_CANCELLED);
        ck_assert_int_eq(weir_task_state(&periodic), WEIR_TASK_CANCELLED);
        ck_assert_int_eq(atomic_load(&drops.cancelled), 3);
        assert_closed(pool);
    }
    gate_open(&run.hold);
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, &report), 0);
    ck_assert_int_eq(run.err, 0);
    ck_assert_int_eq(run.submit, -EPIPE);
    assert_report(report, 1u, 6u, 0u);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_pool_cancel_queued(pool);
    assert_closed(pool);
    weir_pool_free(pool);
}
END_TEST

static int cancel_own_queue(weir_context *ctx, void *arg)
{
    weir_pool_cancel_queued(arg);
    return weir_context_err(ctx);
}

START_TEST(a_task_may_cancel_what_is_queued_behind_it)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 8);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, cancel_own_queue, pool, NULL), 0);
    submit_n(pool, counter_task, &ran, 5);
    gate_open(&hold);
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, &report), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    assert_report(report, 2u, 5u, 0u);
    weir_pool_free(pool);
}
END_TEST

struct place_seeker {
    weir_errgroup *group;
    gate begun;
    int err;
};

static int seek_place(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct place_seeker *seeker = arg;
    gate_wait(&seeker->begun);
    seeker->err = weir_errgroup_go(seeker->group, counter_task, NULL);
    return 0;
}

/* It is a task of the pool, so that the closing alone does not end its wait. */
START_TEST(cancelling_what_is_queued_wakes_a_task_that_waits_for_a_place_in_a_group)
{
    gate hold = GATE_INIT;
    struct place_seeker seeker = {.begun = GATE_INIT};
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(2, 4);
    ck_assert_int_eq(
        weir_errgroup_new(&seeker.group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)), 0);
    ck_assert_int_eq(weir_errgroup_go(seeker.group, gate_task, &hold), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, seek_place, &seeker, NULL), 0);
    gate_await(&seeker.begun, 1);
    gate_open(&seeker.begun);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(20))), -ETIMEDOUT);
    weir_pool_cancel_queued(pool);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(seeker.err, -EPIPE);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(seeker.group), 0);
    weir_errgroup_free(seeker.group);
    finish_pool(pool);
}
END_TEST

/* What the context cancelled before the shutdown is told like what the shutdown cancels. */
START_TEST(the_report_counts_what_the_pools_context_cancelled)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct drops drops = {0};
    weir_pool *pool = new_dropping_pool(1, 32, &drops, ctx);
    saturate(pool, &hold, 1);
    submit_n(pool, counter_task, &ran, 20);
    weir_context_cancel(ctx, 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, &report), 0);
    assert_report(report, 1u, 20u, 0u);
    weir_pool_free(pool);
    weir_context_unref(ctx);
}
END_TEST

struct chain {
    weir_pool *pool;
    int left;
    atomic_int errors;
};

static int submit_next(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct chain *chain = arg;
    if (chain->left-- > 0 && weir_pool_submit(chain->pool, submit_next, chain) != 0)
        atomic_fetch_add(&chain->errors, 1);
    return 0;
}

START_TEST(a_soft_shutdown_waits_for_a_chain_of_tasks_that_submit_the_next)
{
    enum { LINKS = 500 };
    weir_pool *pool = new_pool(2, 1);
    struct chain chain = {.pool = pool, .left = LINKS};
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_submit(pool, submit_next, &chain), 0);
    ck_assert_int_eq(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, &report), 0);
    ck_assert_int_eq(atomic_load(&chain.errors), 0);
    ck_assert_int_eq(chain.left, -1);
    ck_assert_uint_eq(counts_of(pool).done, LINKS + 1u);
    ck_assert_uint_eq(report.cancelled, 0u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_soft_shutdown_runs_all_that_was_accepted)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    struct drops drops = {0};
    struct stop stop = {.soft = WEIR_FOREVER, .hard = WEIR_FOREVER};
    weir_pool *pool = new_dropping_pool(2, 8, &drops, NULL);
    /* The report counts from the start, also what ended before the pool was closed. */
    submit_n(pool, counter_task, &ran, 4);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    saturate(pool, &hold, 2);
    submit_n(pool, counter_task, &ran, 5);
    stop.pool = pool;
    stop_elsewhere(&stop);
    ck_assert(caller_await_asleep(&stop.thread));
    assert_closed(pool);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&stop.thread), 0);
    assert_report(stop.report, 11u, 0u, 0u);
    ck_assert_uint_eq(counter_get(&ran), 9u);
    ck_assert_int_eq(atomic_load(&drops.cancelled), 0);
    assert_closed(pool);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_hard_shutdown_cancels_the_queued_and_tells_the_running)
{
    struct drops drops = {0};
    struct sleeper sleeper = SLEEPER_INIT;
    counter ran = COUNTER_INIT;
    weir_shutdown_report report;
    weir_pool *pool = new_dropping_pool(2, 8, &drops, NULL);
    submit_sleepers(pool, &sleeper, 2);
    submit_n(pool, counter_task, &ran, 5);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
    int64_t soft = _i == 0 ? 0 : weir_after(WEIR_MS(10));
    ck_assert_int_eq(weir_pool_shutdown(pool, soft, WEIR_FOREVER, &report), 0);
    ck_assert_int_ge(weir_now(), soft);
    assert_report(report, 2u, 6u, 0u);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    ck_assert_int_eq(atomic_load(&drops.cancelled), 5);
    ck_assert_int_eq(atomic_load(&drops.other), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_CANCELLED);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(atomic_load(&sleeper.err), -ECANCELED);
    weir_pool_counts counts = counts_of(pool);
    ck_assert_uint_eq(counts.done, 2u); /* success is never turned into failure */
    ck_assert_uint_eq(counts.cancelled, 6u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_shutdown_that_times_out_reports_and_can_be_repeated)
{
    struct drops drops = {0};
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_shutdown_report report;
    weir_pool *pool = new_dropping_pool(1, 8, &drops, NULL);
    saturate(pool, &hold, 1);
    submit_n(pool, counter_task, &ran, 3);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, &report), -ETIMEDOUT);
    assert_report(report, 0u, 3u, 1u);
    ck_assert_int_eq(atomic_load(&drops.cancelled), 3);
    int64_t hard = weir_after(WEIR_MS(10));
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, hard, NULL), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), hard);
    ck_assert_int_eq(weir_pool_shutdown(pool, hard, hard, &report), -ETIMEDOUT);
    assert_report(report, 0u, 3u, 1u);
    /* The pool is whole meanwhile. */
    assert_closed(pool);
    ck_assert_uint_eq(weir_pool_workers(pool), 1u);
    ck_assert_uint_eq(counts_of(pool).running, 1u);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, 0), -ETIMEDOUT);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, WEIR_FOREVER, &report), 0);
    assert_report(report, 1u, 3u, 0u);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_shutdown_may_be_repeated)
{
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(2, 4);
    submit_n(pool, counter_task, &ran, 4);
    for (int i = 0; i < 3; i++) {
        weir_shutdown_report report = {77, 77, 77};
        ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, &report), 0);
        ck_assert_uint_le(report.drained, 4u);
        ck_assert_uint_eq(report.cancelled, 0u);
        ck_assert_uint_eq(report.running, 0u);
        ck_assert_uint_eq(counter_get(&ran), 4u);
    }
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), 0);
    assert_closed(pool);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, 0), 0);
    ck_assert_uint_eq(weir_pool_workers(pool), 2u);
    ck_assert_uint_eq(weir_pool_capacity(pool), 4u);
    ck_assert_uint_eq(weir_pool_queued(pool), 0u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(an_idle_pool_shuts_down_whatever_the_deadlines)
{
    static const int64_t deadlines[] = {WEIR_FOREVER, 0, INT64_MIN};
    for (int i = 0; i < 9; i++) {
        weir_shutdown_report report;
        weir_pool *pool = new_pool(2, 2);
        int err = weir_pool_shutdown(pool, deadlines[i / 3], deadlines[i % 3], &report);
        /* A worker needs a moment to leave; a hard deadline in the past need not allow for it. */
        ck_assert(err == 0 || (err == -ETIMEDOUT && i % 3 != 0));
        assert_report(report, 0u, 0u, 0u);
        ck_assert_int_eq(weir_pool_shutdown(pool, 0, WEIR_FOREVER, NULL), 0);
        weir_pool_free(pool);
    }
}
END_TEST

enum { STOPPERS = 4 };

START_TEST(many_threads_may_shut_down_at_once)
{
    for (int round = 0; round < 20; round++) {
        gate hold = GATE_INIT;
        counter ran = COUNTER_INIT;
        struct stop stops[STOPPERS];
        weir_pool *pool = new_pool(2, 4);
        saturate(pool, &hold, 2);
        submit_n(pool, counter_task, &ran, 3);
        for (int i = 0; i < STOPPERS; i++) {
            stops[i] = (struct stop){.pool = pool, .soft = WEIR_FOREVER, .hard = WEIR_FOREVER};
            stop_elsewhere(&stops[i]);
        }
        if (round % 2 == 0)
            for (int i = 0; i < STOPPERS; i++)
                ck_assert(caller_await_asleep(&stops[i].thread));
        gate_open(&hold);
        for (int i = 0; i < STOPPERS; i++) {
            ck_assert_int_eq(caller_join(&stops[i].thread), 0);
            assert_report(stops[i].report, 5u, 0u, 0u);
        }
        ck_assert_uint_eq(counter_get(&ran), 3u);
        weir_pool_free(pool);
    }
}
END_TEST

START_TEST(the_most_impatient_of_several_shutdowns_decides_when_to_cancel)
{
    struct drops drops = {0};
    struct sleeper sleeper = SLEEPER_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_dropping_pool(1, 4, &drops, NULL);
    submit_sleepers(pool, &sleeper, 1);
    submit_n(pool, counter_task, &ran, 3);
    struct stop patient = {.pool = pool, .soft = WEIR_FOREVER, .hard = WEIR_FOREVER};
    stop_elsewhere(&patient);
    ck_assert(caller_await_asleep(&patient.thread));
    struct stop brief = {.pool = pool, .soft = weir_after(WEIR_MS(5)), .hard = WEIR_FOREVER};
    ck_assert_int_eq(call_shutdown(&brief), 0);
    ck_assert_int_eq(caller_join(&patient.thread), 0);
    assert_report(brief.report, 1u, 3u, 0u);
    assert_report(patient.report, 1u, 3u, 0u);
    ck_assert_int_eq(atomic_load(&drops.cancelled), 3);
    weir_pool_free(pool);
}
END_TEST

START_TEST(one_shutdown_may_time_out_while_another_waits)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 4);
    saturate(pool, &hold, 1);
    struct stop patient = {.pool = pool, .soft = 0, .hard = WEIR_FOREVER};
    stop_elsewhere(&patient);
    ck_assert(caller_await_asleep(&patient.thread));
    struct stop brief = {.pool = pool, .soft = 0, .hard = weir_after(WEIR_MS(5))};
    ck_assert_int_eq(call_shutdown(&brief), -ETIMEDOUT);
    assert_report(brief.report, 0u, 0u, 1u);
    ck_assert(!caller_is_over(&patient.thread));
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&patient.thread), 0);
    assert_report(patient.report, 1u, 0u, 0u);
    weir_pool_free(pool);
}
END_TEST

struct inside {
    weir_pool *pool;
    int shutdown;
    weir_shutdown_report report;
};

static int shut_down_from_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct inside *inside = arg;
    inside->shutdown = weir_pool_shutdown(inside->pool, 0, WEIR_FOREVER, &inside->report);
    return 0;
}

START_TEST(a_task_cannot_shut_down_its_own_pool_but_another)
{
    weir_pool *own = new_pool(1, 1), *other = new_pool(1, 1);
    struct inside inside = {.pool = own, .report = {77, 77, 77}};
    ck_assert_int_eq(weir_pool_submit(own, shut_down_from_inside, &inside), 0);
    ck_assert_int_eq(weir_pool_drain(own), 0);
    ck_assert_int_eq(inside.shutdown, -EDEADLK);
    assert_report(inside.report, 77u, 77u, 77u);
    /* That did not close it either. */
    inside.pool = other;
    ck_assert_int_eq(weir_pool_submit(own, shut_down_from_inside, &inside), 0);
    ck_assert_int_eq(weir_pool_drain(own), 0);
    ck_assert_int_eq(inside.shutdown, 0);
    assert_report(inside.report, 0u, 0u, 0u);
    assert_closed(other);
    weir_pool_free(other);
    finish_pool(own);
}
END_TEST

struct after_cancel {
    weir_pool *pool;
    counter entered, ran;
    int submit, try_submit, task, go;
};

static int submit_after_cancel(weir_context *ctx, void *arg)
{
    struct after_cancel *self = arg;
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    counter_add(&self->entered, 1);
    int err = weir_context_wait_until(ctx, WEIR_FOREVER);
    self->submit = weir_pool_submit(self->pool, counter_task, &self->ran);
    self->try_submit = weir_pool_try_submit(self->pool, counter_task, &self->ran);
    self->task = weir_pool_submit_task(self->pool, &task, counter_task, &self->ran, NULL);
    self->go = weir_waitgroup_go(&wg, self->pool, counter_task, &self->ran);
    return err;
}

START_TEST(once_the_pool_is_cancelled_its_tasks_cannot_submit_any_more)
{
    struct after_cancel self = {.entered = COUNTER_INIT, .ran = COUNTER_INIT};
    self.pool = new_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit(self.pool, submit_after_cancel, &self), 0);
    counter_await(&self.entered, 1);
    ck_assert_int_eq(weir_pool_shutdown(self.pool, 0, WEIR_FOREVER, NULL), 0);
    ck_assert_int_eq(self.submit, -EPIPE);
    ck_assert_int_eq(self.try_submit, -EPIPE);
    ck_assert_int_eq(self.task, -EPIPE);
    ck_assert_int_eq(self.go, -EPIPE);
    ck_assert_uint_eq(counter_get(&self.ran), 0u);
    weir_pool_free(self.pool);
}
END_TEST

START_TEST(free_cancels_what_is_queued_and_waits_for_what_runs)
{
    for (int round = 0; round < 20; round++) {
        struct drops drops = {0};
        struct sleeper sleeper = SLEEPER_INIT;
        counter ran = COUNTER_INIT;
        weir_task task = WEIR_TASK_INIT;
        weir_pool *pool = new_dropping_pool(2, 8, &drops, NULL);
        submit_sleepers(pool, &sleeper, 2);
        submit_n(pool, counter_task, &ran, 5);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
        weir_pool_free(pool);
        ck_assert_int_eq(atomic_load(&sleeper.err), -ECANCELED);
        ck_assert_int_eq(atomic_load(&drops.cancelled), 5);
        ck_assert_uint_eq(counter_get(&ran), 0u);
        /* The handle outlives its pool. */
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_CANCELLED);
        ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    }
}
END_TEST

START_TEST(free_of_a_busy_pool_gives_every_task_its_end)
{
    enum { ROUNDS = 30, TASKS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        struct drops drops = {0};
        counter ran = COUNTER_INIT;
        weir_pool *pool = new_dropping_pool(2, TASKS, &drops, NULL);
        submit_n(pool, counter_task, &ran, TASKS);
        weir_pool_free(pool);
        ck_assert_uint_eq(counter_get(&ran) + (unsigned)atomic_load(&drops.cancelled),
                          (unsigned)TASKS);
        ck_assert_int_eq(atomic_load(&drops.other), 0);
    }
}
END_TEST

static int call_submit(void *arg)
{
    return weir_pool_submit(arg, counter_task, NULL);
}

static int call_drain(void *arg)
{
    return weir_pool_drain(arg);
}

static int call_wait(void *arg)
{
    return weir_task_wait(arg);
}

static int call_wait_group(void *arg)
{
    return weir_waitgroup_wait(arg);
}

START_TEST(a_shutdown_wakes_everybody_who_waits_for_the_pool)
{
    struct drops drops = {0};
    struct sleeper sleeper = SLEEPER_INIT;
    counter ran = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_pool *pool = new_dropping_pool(1, 2, &drops, NULL);
    submit_sleepers(pool, &sleeper, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, counter_task, &ran), 0);
    caller submitter, drainer, waiter, group_waiter;
    caller_start(&submitter, call_submit, pool);
    caller_start(&drainer, call_drain, pool);
    caller_start(&waiter, call_wait, &task);
    caller_start(&group_waiter, call_wait_group, &wg);
    ck_assert(caller_await_asleep(&submitter));
    ck_assert(caller_await_asleep(&drainer));
    ck_assert(caller_await_asleep(&waiter));
    ck_assert(caller_await_asleep(&group_waiter));
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, WEIR_FOREVER, NULL), 0);
    ck_assert_int_eq(caller_join(&submitter), -EPIPE);
    ck_assert_int_eq(caller_join(&drainer), 0);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(caller_join(&group_waiter), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_CANCELLED);
    ck_assert_int_eq(atomic_load(&drops.cancelled),
                     1); /* the waitgroup's; the handle has its own */
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_pool_is_cancelled_with_the_context_that_it_was_given)
{
    struct drops drops = {0};
    struct sleeper sleeper = SLEEPER_INIT;
    counter ran = COUNTER_INIT;
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_pool *pool = new_dropping_pool(1, 8, &drops, ctx);
    submit_n(pool, counter_task, &ran, 2);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    submit_sleepers(pool, &sleeper, 1);
    submit_n(pool, counter_task, &ran, 4);
    weir_context_cancel(ctx, -EIO);
    weir_context_unref(ctx);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(atomic_load(&sleeper.err), -ECANCELED);
    ck_assert_int_eq(atomic_load(&drops.cancelled), 4);
    ck_assert_uint_eq(counter_get(&ran), 2u);
    /* Whether it still takes tasks or not, none of them runs. */
    int err = weir_pool_submit(pool, counter_task, &ran);
    ck_assert(err == 0 || err == -EPIPE);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 2u);
    ck_assert_int_eq(atomic_load(&drops.cancelled), err == 0 ? 5 : 4);
    weir_pool_free(pool);
}
END_TEST

START_TEST(the_deadline_of_the_pools_context_expires_its_tasks)
{
    struct drops drops = {0};
    struct sleeper sleeper = SLEEPER_INIT;
    counter ran = COUNTER_INIT;
    weir_context *ctx = NULL;
    weir_pool *pool = NULL;
    /* On a slow machine the deadline may pass before the tasks are queued. */
    for (int64_t delay = WEIR_MS(200);; delay *= 2) {
        ck_assert_int_eq(weir_context_new(&ctx, NULL, weir_after(delay)), 0);
        pool = new_dropping_pool(1, 4, &drops, ctx);
        int first = weir_pool_submit(pool, sleep_until_over, &sleeper);
        int second = weir_pool_submit(pool, counter_task, &ran);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        if (first == 0 && second == 0 && counter_get(&sleeper.entered) == 1)
            break;
        weir_pool_free(pool);
        weir_context_unref(ctx);
        atomic_store(&drops.expired, 0);
    }
    ck_assert_int_eq(atomic_load(&sleeper.err), -ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&drops.expired), 1);
    ck_assert_int_eq(atomic_load(&drops.other), 0);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_pool_free(pool);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_cancelled_pool_context_wakes_blocked_submitters)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    struct drops drops = {0};
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_pool *pool = new_dropping_pool(1, 1, &drops, ctx);
    saturate(pool, &hold, 1);
    submit_n(pool, counter_task, &ran, 1);
    caller submitter;
    caller_start(&submitter, call_submit, pool);
    ck_assert(caller_await_asleep(&submitter));
    weir_context_cancel(ctx, 0);
    int err = caller_join(&submitter);
    ck_assert(err == 0 || err == -EPIPE);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(atomic_load(&drops.cancelled), err == 0 ? 2 : 1);
    ck_assert_uint_eq(counter_get(&ran), 0u);
    weir_context_unref(ctx);
    weir_pool_free(pool);
}
END_TEST

enum { PRODUCERS = 3 };

struct producer {
    weir_pool *pool;
    atomic_int *ran;
    int accepted;
};

static int count_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* Submits until it is told that the pool is closed. */
static int produce(void *arg)
{
    struct producer *self = arg;
    for (;;) {
        int err = weir_pool_submit(self->pool, count_itself, self->ran);
        if (err != 0)
            return err;
        self->accepted++;
    }
}

START_TEST(a_shutdown_under_load_gives_every_accepted_task_its_end)
{
    enum { ROUNDS = 30 };
    for (int round = 0; round < ROUNDS; round++) {
        struct drops drops = {0};
        atomic_int ran = 0;
        struct producer producers[PRODUCERS];
        caller threads[PRODUCERS];
        weir_pool *pool = new_dropping_pool(2, 1 + (unsigned)round % 4, &drops, NULL);
        for (int i = 0; i < PRODUCERS; i++) {
            producers[i] = (struct producer){.pool = pool, .ran = &ran};
            caller_start(&threads[i], produce, &producers[i]);
        }
        while (atomic_load(&ran) < 20)
            ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_US(50))), 0);
        weir_shutdown_report report;
        int64_t soft = round % 2 == 0 ? 0 : WEIR_FOREVER;
        ck_assert_int_eq(weir_pool_shutdown(pool, soft, WEIR_FOREVER, &report), 0);
        int ran_by_then = atomic_load(&ran), accepted = 0;
        for (int i = 0; i < PRODUCERS; i++) {
            ck_assert_int_eq(caller_join(&threads[i]), -EPIPE);
            accepted += producers[i].accepted;
        }
        ck_assert_int_eq(atomic_load(&ran), ran_by_then);
        ck_assert_int_eq(accepted, ran_by_then + atomic_load(&drops.cancelled));
        if (round % 2 != 0)
            ck_assert_int_eq(atomic_load(&drops.cancelled), 0);
        weir_pool_counts counts = counts_of(pool);
        ck_assert_uint_eq(counts.submitted, (unsigned)accepted);
        ck_assert_uint_eq(counts.done, (unsigned)ran_by_then);
        ck_assert_uint_eq(counts.cancelled, (unsigned)atomic_load(&drops.cancelled));
        ck_assert_uint_eq(report.cancelled, (unsigned)atomic_load(&drops.cancelled));
        ck_assert_uint_eq(report.running, 0u);
        weir_pool_free(pool);
    }
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("shutdown");

    TCase *close = add_group(suite, "close");
    tcase_add_test(close, a_closed_pool_runs_what_is_queued_and_takes_no_more);
    tcase_add_test(close, tasks_of_a_closed_pool_may_still_submit);
    tcase_add_test(close, close_wakes_who_waits_for_a_place_in_a_group);

    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, cancelling_what_is_queued_does_not_disturb_what_runs);
    tcase_add_test(cancel, a_task_may_cancel_what_is_queued_behind_it);
    tcase_add_test(cancel,
                   cancelling_what_is_queued_wakes_a_task_that_waits_for_a_place_in_a_group);
    tcase_add_test(cancel, the_report_counts_what_the_pools_context_cancelled);

    TCase *stop = add_group(suite, "shutdown");
    tcase_add_test(stop, a_soft_shutdown_runs_all_that_was_accepted);
    tcase_add_test(stop, a_soft_shutdown_waits_for_a_chain_of_tasks_that_submit_the_next);
    tcase_add_loop_test(stop, a_hard_shutdown_cancels_the_queued_and_tells_the_running, 0, 2);
    tcase_add_test(stop, a_shutdown_that_times_out_reports_and_can_be_repeated);
    tcase_add_test(stop, a_shutdown_may_be_repeated);
    tcase_add_test(stop, an_idle_pool_shuts_down_whatever_the_deadlines);
    tcase_add_test(stop, many_threads_may_shut_down_at_once);
    tcase_add_test(stop, the_most_impatient_of_several_shutdowns_decides_when_to_cancel);
    tcase_add_test(stop, one_shutdown_may_time_out_while_another_waits);
    tcase_add_test(stop, a_task_cannot_shut_down_its_own_pool_but_another);
    tcase_add_test(stop, once_the_pool_is_cancelled_its_tasks_cannot_submit_any_more);
    tcase_add_test(stop, a_shutdown_wakes_everybody_who_waits_for_the_pool);
    tcase_add_test(stop, a_shutdown_under_load_gives_every_accepted_task_its_end);

    TCase *release = add_group(suite, "free");
    tcase_add_test(release, free_cancels_what_is_queued_and_waits_for_what_runs);
    tcase_add_test(release, free_of_a_busy_pool_gives_every_task_its_end);

    TCase *context = add_group(suite, "context");
    tcase_add_test(context, a_pool_is_cancelled_with_the_context_that_it_was_given);
    tcase_add_test(context, the_deadline_of_the_pools_context_expires_its_tasks);
    tcase_add_test(context, a_cancelled_pool_context_wakes_blocked_submitters);
    return suite;
}
