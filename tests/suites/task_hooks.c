/* SPDX-License-Identifier: MIT */
/* task_hooks.c - on_task_start and on_task_end: around each run, on its thread, with what was
 * submitted. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "weir.h"

/* What the hooks were told, in the order of the calls. */

enum { MOST = 256 };

struct call {
    bool start;
    weir_task_fn *fn;
    void *arg;
    int worker, status;
    pthread_t thread;
};

struct log {
    pthread_mutex_t lock;
    unsigned count;
    struct call calls[MOST];
    weir_task_fn *dies_at_start, *dies_at_end; /* the hook for this task ends its thread */
};

#define LOG_INIT                                                                                   \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                          \
    }

static void note(struct log *log, struct call call)
{
    call.thread = pthread_self();
    (void)pthread_mutex_lock(&log->lock);
    if (log->count == MOST)
        give_up("more is told than any test is about");
    log->calls[log->count++] = call;
    (void)pthread_mutex_unlock(&log->lock);
}

static void on_start(weir_task_fn *fn, void *arg, int worker, void *user)
{
    struct log *log = user;
    note(log, (struct call){true, fn, arg, worker, 0, pthread_self()});
    if (fn != NULL && fn == log->dies_at_start)
        pthread_exit(NULL);
}

static void on_end(weir_task_fn *fn, void *arg, int worker, int status, void *user)
{
    struct log *log = user;
    note(log, (struct call){false, fn, arg, worker, status, pthread_self()});
    if (fn != NULL && fn == log->dies_at_end)
        pthread_exit(NULL);
}

static weir_pool *hooked_pool(struct log *log, unsigned workers, unsigned capacity,
                              weir_overflow overflow)
{
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                               .overflow = overflow, .user = log,
                                               .on_task_start = on_start, .on_task_end = on_end)),
        0);
    return pool;
}

/* Asserts that the calls from `at` on are a start and an end of this, on one thread. */
static void assert_run(const struct log *log, unsigned at, weir_task_fn *fn, const void *arg,
                       int worker, int status)
{
    ck_assert_uint_ge(log->count, at + 2);
    const struct call *start = &log->calls[at], *end = start + 1;
    ck_assert(start->start && !end->start);
    ck_assert(start->fn == fn && end->fn == fn);
    ck_assert_ptr_eq(start->arg, arg);
    ck_assert_ptr_eq(end->arg, arg);
    ck_assert_int_eq(start->worker, worker);
    ck_assert_int_eq(end->worker, worker);
    ck_assert_int_eq(end->status, status);
    ck_assert(pthread_equal(start->thread, end->thread));
}

/* Asserts that each thread's calls nest, and that ends fit their starts. */
static void assert_balanced(const struct log *log)
{
    bool over[MOST] = {false};
    for (unsigned i = 0; i < log->count; i++) {
        if (log->calls[i].start)
            continue;
        unsigned at = i;
        do
            ck_assert_uint_gt(at, 0);
        while (--at, over[at] || !pthread_equal(log->calls[at].thread, log->calls[i].thread));
        ck_assert(log->calls[at].start);
        ck_assert(log->calls[at].fn == log->calls[i].fn);
        ck_assert_ptr_eq(log->calls[at].arg, log->calls[i].arg);
        over[at] = over[i] = true;
    }
    for (unsigned i = 0; i < log->count; i++)
        ck_assert(over[i]);
}

/* Returns the int that `arg` points to, and adds one to it. */
static int count_up(weir_context *ctx, void *arg)
{
    (void)ctx;
    return (*(int *)arg)++;
}

static void run_plain(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    ck_assert_int_eq(weir_pool_submit(pool, fn, arg), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
}

/* Runs. */

START_TEST(each_run_is_told_with_what_was_submitted)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    int value = 0;
    run_plain(pool, count_up, &value);
    run_plain(pool, count_up, &value);
    ck_assert_uint_eq(log.count, 4);
    assert_run(&log, 0, count_up, &value, 0, 0);
    assert_run(&log, 2, count_up, &value, 0, 1);
    finish_pool(pool);
}
END_TEST

static int own_index(weir_context *ctx, void *arg)
{
    (void)ctx;
    meeting_wait(arg);
    return weir_pool_worker_index() + 100;
}

START_TEST(the_worker_is_told_by_its_index)
{
    enum { WORKERS = 3 };
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, WORKERS, 4, WEIR_OVERFLOW_BLOCK);
    meeting place = MEETING_INIT(WORKERS);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, own_index, &place), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(log.count, 2 * WORKERS);
    bool seen[WORKERS] = {false};
    for (unsigned i = 0; i < log.count; i++) {
        const struct call *call = &log.calls[i];
        ck_assert_int_ge(call->worker, 0);
        ck_assert_int_lt(call->worker, WORKERS);
        if (!call->start)
            ck_assert_int_eq(call->status, call->worker + 100);
        seen[call->worker] = true;
    }
    ck_assert(seen[0] && seen[1] && seen[2]);
    finish_pool(pool);
}
END_TEST

static void count_ends(void *arg, weir_state state, int status)
{
    struct log *log = arg;
    (void)state;
    (void)status;
    note(log, (struct call){.status = 77});
}

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

START_TEST(the_end_is_told_before_on_done_and_before_a_wait_returns)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, do_nothing, &log,
                                           WEIR_TASK_OPTIONS(.on_done = count_ends)),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_uint_eq(log.count, 3);
    assert_run(&log, 0, do_nothing, &log, 0, 0);
    ck_assert_int_eq(log.calls[2].status, 77);
    finish_pool(pool);
}
END_TEST

static int fail_twice(weir_context *ctx, void *arg)
{
    (void)ctx;
    return ++*(int *)arg < 3 ? -EIO : 0;
}

START_TEST(each_attempt_of_a_retried_task_is_a_run)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    weir_task task = WEIR_TASK_INIT;
    int attempts = 0;
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_twice, &attempts, NULL,
                                            WEIR_RETRY_OPTIONS(.initial_interval = 1)),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_uint_eq(log.count, 6);
    assert_run(&log, 0, fail_twice, &attempts, 0, -EIO);
    assert_run(&log, 2, fail_twice, &attempts, 0, -EIO);
    assert_run(&log, 4, fail_twice, &attempts, 0, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(each_run_of_a_periodic_task_is_told)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    weir_task task = WEIR_TASK_INIT;
    counter runs = COUNTER_INIT;
    ck_assert_int_eq(
        weir_pool_submit_every(pool, &task, counter_task, &runs, NULL, weir_now(), WEIR_MS(1)), 0);
    counter_await(&runs, 3);
    (void)weir_task_cancel(&task);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_uint_eq(log.count, 2 * counter_get(&runs));
    for (unsigned i = 0; i < log.count; i += 2)
        assert_run(&log, i, counter_task, &runs, 0, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(what_never_starts_is_not_told)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    gate hold = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, do_nothing, NULL, NULL), 0);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(log.count, 2);
    assert_run(&log, 0, gate_task, &hold, 0, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_run_outside_the_pool_is_told_without_a_worker)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 1, WEIR_OVERFLOW_CALLER_RUNS);
    gate hold = GATE_INIT;
    int value = 5;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, do_nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_submit(pool, count_up, &value), 0); /* here and now */
    ck_assert_uint_eq(log.count, 3);
    assert_run(&log, 1, count_up, &value, -1, 5);
    ck_assert(pthread_equal(log.calls[1].thread, pthread_self()));
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

/* Runs within runs, and groups. */

struct nest {
    weir_pool *pool;
    int depth;
};

static int submit_and_wait(weir_context *ctx, void *arg)
{
    struct nest *nest = arg, below = {nest->pool, nest->depth - 1};
    weir_task task = WEIR_TASK_INIT;
    (void)ctx;
    if (nest->depth == 0)
        return 0;
    int err = weir_pool_submit_task(nest->pool, &task, submit_and_wait, &below, NULL);
    return err != 0 ? err : weir_task_wait(&task);
}

START_TEST(runs_within_runs_are_told_from_the_inside_out)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    struct nest nest = {pool, 3};
    run_plain(pool, submit_and_wait, &nest);
    ck_assert_uint_eq(log.count, 8);
    assert_balanced(&log);
    ck_assert_ptr_eq(log.calls[0].arg, &nest);
    ck_assert_ptr_eq(log.calls[7].arg, &nest);
    finish_pool(pool);
}
END_TEST

static int do_range(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    (void)begin;
    (void)end;
    meeting_wait(arg); /* until a worker takes part too */
    return 0;
}

static int make_two(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    *item = ++*(int *)arg <= 2 ? arg : NULL;
    return 0;
}

static int meet_stage(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)item;
    meeting_wait(arg);
    return 0;
}

START_TEST(the_part_of_a_worker_in_a_loop_or_pipeline_has_no_function)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    meeting place = MEETING_INIT(2);
    int made = 0;
    const weir_stage stages[] = {
        {make_two, &made, WEIR_STAGE_IN_ORDER},
        {meet_stage, &place, WEIR_STAGE_PARALLEL},
    };
    ck_assert_int_eq(weir_parallel_for(pool, 2, 1, do_range, &place), 0);
    ck_assert_int_eq(weir_pipeline_run(pool, stages, 2, NULL), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_ge(log.count, 4);
    assert_balanced(&log);
    for (unsigned i = 0; i < log.count; i++) {
        ck_assert(log.calls[i].fn == NULL);
        ck_assert_ptr_null(log.calls[i].arg);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(members_of_groups_are_told_like_any_task)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_errgroup *group;
    int value = 3;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, count_up, &value), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, NULL), 0);
    ck_assert_int_eq(weir_errgroup_go(group, count_up, &value), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 4);
    ck_assert_uint_eq(log.count, 4);
    assert_run(&log, 0, count_up, &value, 0, 3);
    assert_run(&log, 2, count_up, &value, 0, 4);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* What hooks may do. */

struct submitting {
    weir_pool *pool;
    counter runs;
    int err;
};

static void submit_at_start(weir_task_fn *fn, void *arg, int worker, void *user)
{
    struct submitting *submitting = user;
    (void)arg;
    (void)worker;
    if (fn == do_nothing)
        submitting->err = weir_pool_submit(submitting->pool, counter_task, &submitting->runs);
}

static void wait_at_end(weir_task_fn *fn, void *arg, int worker, int status, void *user)
{
    (void)fn;
    (void)arg;
    (void)worker;
    (void)status;
    ((struct submitting *)user)->err |= weir_sleep_until(NULL, weir_after(1));
}

START_TEST(a_hook_may_submit_and_block)
{
    struct submitting submitting = {.runs = COUNTER_INIT};
    ck_assert_int_eq(
        weir_pool_new(&submitting.pool,
                      WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .user = &submitting,
                                        .on_task_start = submit_at_start,
                                        .on_task_end = wait_at_end)),
        0);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(weir_pool_submit(submitting.pool, do_nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_drain_until(submitting.pool, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&submitting.runs), 100);
    ck_assert_int_eq(submitting.err, 0);
    finish_pool(submitting.pool);
}
END_TEST

static void leave_count(const weir_stuck *what, void *user)
{
    (void)what;
    (void)user;
}

START_TEST(hooks_and_a_watchdog_go_together)
{
    struct log log = LOG_INIT;
    weir_pool *pool;
    int value = 0;
    ck_assert_int_eq(
        weir_pool_new(&pool,
                      WEIR_POOL_OPTIONS(.workers = 1, .user = &log, .on_task_start = on_start,
                                        .on_task_end = on_end, .stuck_after = WEIR_S(3600),
                                        .on_stuck = leave_count)),
        0);
    run_plain(pool, count_up, &value);
    ck_assert_uint_eq(log.count, 2);
    assert_run(&log, 0, count_up, &value, 0, 0);
    finish_pool(pool);
}
END_TEST

/* Threads that end. */

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    pthread_exit(arg);
    return 0;
}

static void assert_failed(weir_pool *pool, weir_task_fn *fn, int *arg)
{
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, fn, arg, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_FAILED);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
}

START_TEST(a_task_that_ends_its_thread_has_its_end_told_once)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    int value = 0;
    assert_failed(pool, end_thread, &value);
    run_plain(pool, count_up, &value);
    ck_assert_uint_eq(log.count, 4);
    assert_run(&log, 0, end_thread, &value, 0, -ECANCELED);
    assert_run(&log, 2, count_up, &value, 0, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_hook_that_ends_the_thread_fails_the_task)
{
    struct log log = LOG_INIT;
    weir_pool *pool = hooked_pool(&log, 1, 4, WEIR_OVERFLOW_BLOCK);
    int value = 0;
    log.dies_at_start = count_up;
    assert_failed(pool, count_up, &value);
    ck_assert_int_eq(value, 0); /* it was not called */
    ck_assert_uint_eq(log.count, 2);
    assert_run(&log, 0, count_up, &value, 0, -ECANCELED);
    log.dies_at_start = NULL;
    log.dies_at_end = count_up;
    assert_failed(pool, count_up, &value);
    ck_assert_int_eq(value, 1);
    ck_assert_uint_eq(log.count, 4);
    assert_run(&log, 2, count_up, &value, 0, 0);
    run_plain(pool, do_nothing, NULL);
    assert_run(&log, 4, do_nothing, NULL, 0, 0);
    finish_pool(pool);
}
END_TEST

/* Options of a program that was compiled before there were hooks. */
START_TEST(a_pool_made_with_older_options_has_no_hooks)
{
    struct log log = LOG_INIT;
    weir_pool_options options;
    weir_pool *pool;
    int value = 0;
    weir_pool_options_init(&options);
    options.workers = 1;
    options.user = &log;
    options.on_task_start = on_start;
    options.on_task_end = on_end;
    options.size = offsetof(weir_pool_options, on_task_start);
    ck_assert_int_eq(weir_pool_new(&pool, &options), 0);
    run_plain(pool, count_up, &value);
    ck_assert_uint_eq(log.count, 0);
    ck_assert_int_eq(value, 1);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("task_hooks");

    TCase *runs = add_group(suite, "runs");
    tcase_add_test(runs, each_run_is_told_with_what_was_submitted);
    tcase_add_test(runs, the_worker_is_told_by_its_index);
    tcase_add_test(runs, the_end_is_told_before_on_done_and_before_a_wait_returns);
    tcase_add_test(runs, each_attempt_of_a_retried_task_is_a_run);
    tcase_add_test(runs, each_run_of_a_periodic_task_is_told);
    tcase_add_test(runs, what_never_starts_is_not_told);
    tcase_add_test(runs, a_run_outside_the_pool_is_told_without_a_worker);
    tcase_add_test(runs, a_pool_made_with_older_options_has_no_hooks);

    TCase *nesting = add_group(suite, "nesting");
    tcase_add_test(nesting, runs_within_runs_are_told_from_the_inside_out);
    tcase_add_test(nesting, the_part_of_a_worker_in_a_loop_or_pipeline_has_no_function);
    tcase_add_test(nesting, members_of_groups_are_told_like_any_task);

    TCase *permitted = add_group(suite, "permitted");
    tcase_add_test(permitted, a_hook_may_submit_and_block);
    tcase_add_test(permitted, hooks_and_a_watchdog_go_together);

    TCase *dying = add_group(suite, "dying");
    tcase_add_test(dying, a_task_that_ends_its_thread_has_its_end_told_once);
    tcase_add_test(dying, a_hook_that_ends_the_thread_fails_the_task);
    return suite;
}
