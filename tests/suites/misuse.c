/* SPDX-License-Identifier: MIT */
/* misuse.c - bad arguments get their code, misuse aborts with a sentence, the pool stays whole. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static int never_called(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

START_TEST(every_call_on_a_pool_takes_null)
{
    weir_job job = {counter_task, NULL};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_new(NULL, NULL), -EINVAL);
    weir_pool_options_init(NULL);
    weir_pool_free(NULL);
    weir_pool_close(NULL);
    ck_assert_int_eq(weir_pool_submit(NULL, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_try_submit(NULL, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_until(NULL, counter_task, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_many(NULL, &job, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_try_submit_many(NULL, &job, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_many_until(NULL, &job, 1, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_task(NULL, &task, counter_task, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_try_submit_task(NULL, &task, counter_task, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_task_until(NULL, &task, counter_task, NULL, NULL, NULL, 0),
                     -EINVAL);
    ck_assert_int_eq(weir_pool_drain(NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_drain_until(NULL, NULL, 0), -EINVAL);
    weir_shutdown_report report = {77, 77, 77};
    ck_assert_int_eq(weir_pool_shutdown(NULL, 0, 0, &report), -EINVAL);
    ck_assert_uint_eq(report.running, 77u);
    ck_assert_uint_eq(weir_pool_workers(NULL), 0u);
    ck_assert_uint_eq(weir_pool_capacity(NULL), 0u);
    ck_assert_uint_eq(weir_pool_queued(NULL), 0u);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
}
END_TEST

START_TEST(every_call_on_a_task_takes_null)
{
    weir_task_init(NULL);
    weir_task_options_init(NULL);
    ck_assert_int_eq(weir_task_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_task_try_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_task_wait_until(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_task_cancel(NULL), -EINVAL);
    ck_assert_int_eq(weir_task_state(NULL), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_task_status(NULL), -EINVAL);
}
END_TEST

START_TEST(every_call_on_a_waitgroup_takes_null_or_aborts)
{
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_waitgroup_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_wait_until(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go(NULL, pool, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_go(NULL, pool, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go_until(NULL, pool, counter_task, NULL, NULL, 0), -EINVAL);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, NULL, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_waitgroup_try_wait(&wg), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(every_call_on_an_errgroup_takes_null)
{
    weir_pool *pool = new_pool(1, 1);
    weir_errgroup *group = NULL;
    int code = 77;
    weir_errgroup_options_init(NULL);
    ck_assert_int_eq(weir_errgroup_new(NULL, pool, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_new(&group, NULL, NULL, NULL), -EINVAL);
    ck_assert_ptr_null(group);
    weir_errgroup_free(NULL);
    ck_assert_ptr_null(weir_errgroup_context(NULL));
    ck_assert_int_eq(weir_errgroup_go(NULL, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_try_go(NULL, counter_task, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_go_until(NULL, counter_task, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_errgroup_set_limit(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_errgroup_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_try_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_wait_until(NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_errgroup_stop(NULL), -EINVAL);
    ck_assert_uint_eq(weir_errgroup_errors(NULL, &code, 1), 0u);
    ck_assert_int_eq(code, 77);
    finish_pool(pool);
}
END_TEST

START_TEST(a_pool_stays_whole_whatever_bad_is_thrown_at_it)
{
    enum { WORKERS = 2, PLACES = 3 };
    atomic_int never = 0;
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task live = WEIR_TASK_INIT, other = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(WORKERS, PLACES);
    saturate(pool, &hold, WORKERS);
    ck_assert_int_eq(weir_pool_submit_task(pool, &live, counter_task, &ran, NULL), 0);
    weir_job bad = {NULL, &never};
    struct newer {
        weir_task_options known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof newer}, .unknown = 1};
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, NULL, &never), -EINVAL);
        ck_assert_int_eq(weir_pool_try_submit(pool, NULL, &never), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_until(pool, NULL, &never, NULL, 0), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_many(pool, &bad, 1), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_many(pool, NULL, 1), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_task(pool, NULL, never_called, &never, NULL), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_task(pool, &other, NULL, &never, NULL), -EINVAL);
        ck_assert_int_eq(weir_pool_submit_task(pool, &live, never_called, &never, NULL), -EBUSY);
        ck_assert_int_eq(weir_pool_submit_task(pool, &other, never_called, &never,
                                               WEIR_TASK_OPTIONS(.start_by = INT64_MIN)),
                         -EINVAL);
        ck_assert_int_eq(weir_pool_submit_task(pool, &other, never_called, &never, &newer.known),
                         -E2BIG);
        ck_assert_int_eq(weir_task_wait(&other), -EINVAL);
        ck_assert_int_eq(weir_task_cancel(&other), -EINVAL);
    }
    /* Not a place, a slot or a count was lost. */
    ck_assert_uint_eq(weir_pool_queued(pool), 1u);
    for (int i = 1; i < PLACES; i++)
        ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_try_submit(pool, counter_task, &ran), -EAGAIN);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&live), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, NULL);
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, (unsigned)(WORKERS + PLACES));
    ck_assert_uint_eq(counts.done, (unsigned)(WORKERS + PLACES));
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), (unsigned)PLACES);
    ck_assert_int_eq(atomic_load(&never), 0);
}
END_TEST

struct waits {
    weir_pool *pool;
    weir_task task;
    weir_waitgroup wg;
    weir_errgroup *group;
    int task_wait, wg_wait, group_wait, drain, shutdown;
};

static int wait_for_the_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct waits *waits = arg;
    waits->task_wait = weir_task_wait(&waits->task);
    waits->drain = weir_pool_drain(waits->pool);
    waits->shutdown = weir_pool_shutdown(waits->pool, 0, 0, NULL);
    return 0;
}

static int wait_for_the_waitgroup(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct waits *waits = arg;
    waits->wg_wait = weir_waitgroup_wait(&waits->wg);
    return 0;
}

static int wait_for_the_group(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct waits *waits = arg;
    waits->group_wait = weir_errgroup_wait(waits->group);
    return 0;
}

START_TEST(who_waits_for_itself_is_told_so)
{
    weir_pool *pool = new_pool(2, 2);
    struct waits waits = {.pool = pool, .task = WEIR_TASK_INIT, .wg = WEIR_WAITGROUP_INIT};
    ck_assert_int_eq(weir_pool_submit_task(pool, &waits.task, wait_for_the_task, &waits, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&waits.task), 0);
    ck_assert_int_eq(weir_waitgroup_go(&waits.wg, pool, wait_for_the_waitgroup, &waits), 0);
    ck_assert_int_eq(weir_waitgroup_wait(&waits.wg), 0);
    ck_assert_int_eq(weir_errgroup_new(&waits.group, pool, NULL, NULL), 0);
    ck_assert_int_eq(weir_errgroup_go(waits.group, wait_for_the_group, &waits), 0);
    ck_assert_int_eq(weir_errgroup_wait(waits.group), 0);
    weir_errgroup_free(waits.group);
    ck_assert_int_eq(waits.task_wait, -EDEADLK);
    ck_assert_int_eq(waits.wg_wait, -EDEADLK);
    ck_assert_int_eq(waits.group_wait, -EDEADLK);
    ck_assert_int_eq(waits.drain, -EDEADLK);
    ck_assert_int_eq(waits.shutdown, -EDEADLK);
    finish_pool(pool);
}
END_TEST

START_TEST(a_closed_pool_says_so_and_goes_on)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 2);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), 0);
    weir_pool_close(pool);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), -EPIPE);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), -EBUSY);
        ck_assert_int_eq(weir_pool_submit(pool, NULL, &ran), -EINVAL);
    }
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran, NULL), -EPIPE);
    finish_pool(pool);
    ck_assert_uint_eq(counter_get(&ran), 1u);
}
END_TEST

/* What follows runs in a child of its own; it must not come to its end. */

static int free_own_pool(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_pool_free(arg);
    return 0;
}

static void free_a_pool_from_its_own_task(void *arg)
{
    (void)arg;
    weir_pool *pool = NULL;
    weir_task task = WEIR_TASK_INIT;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0 &&
        weir_pool_submit_task(pool, &task, free_own_pool, pool, NULL) == 0 &&
        weir_task_wait(&task) == 0)
        weir_pool_free(pool);
}

START_TEST(freeing_a_pool_from_its_own_task_aborts)
{
    assert_aborts(free_a_pool_from_its_own_task, NULL, "weir_pool_free");
}
END_TEST

static int unref_own_context(weir_context *ctx, void *arg)
{
    (void)arg;
    weir_context_unref(ctx);
    return 0;
}

enum kind { PLAIN, HANDLE, WITH_CONTEXT, IN_WAITGROUP, IN_ERRGROUP, KINDS };

static void unref_a_tasks_context(void *arg)
{
    enum kind kind = *(enum kind *)arg;
    weir_pool *pool = NULL;
    weir_context *ctx = NULL;
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_errgroup *group = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1));
    if (err == 0)
        err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    if (err == 0)
        err = weir_errgroup_new(&group, pool, NULL, NULL);
    if (err != 0)
        return;
    switch (kind) {
    case PLAIN:
        err = weir_pool_submit(pool, unref_own_context, NULL);
        break;
    case HANDLE:
        err = weir_pool_submit_task(pool, &task, unref_own_context, NULL, NULL);
        break;
    case WITH_CONTEXT:
        err = weir_pool_submit_until(pool, unref_own_context, NULL, ctx, WEIR_FOREVER);
        break;
    case IN_WAITGROUP:
        err = weir_waitgroup_go(&wg, pool, unref_own_context, NULL);
        break;
    case IN_ERRGROUP:
    case KINDS:
    default:
        err = weir_errgroup_go(group, unref_own_context, NULL);
        break;
    }
    if (err == 0)
        err = weir_pool_drain(pool);
    weir_errgroup_free(group);
    weir_context_unref(ctx);
    weir_pool_free(pool);
}

START_TEST(unref_of_the_context_that_a_task_was_given_aborts)
{
    enum kind kind = (enum kind)_i;
    assert_aborts(unref_a_tasks_context, &kind, "weir_context_unref");
}
END_TEST

enum { GRANDCHILD_TIMEOUT_S = 30 };

static int fork_and_return(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_pool *const *to_free = arg; /* in the child first, or NULL */
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(GRANDCHILD_TIMEOUT_S);
        if (to_free != NULL)
            weir_pool_free(*to_free);
        return 0; /* the misuse */
    }
    int status = 0;
    if (child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
        WTERMSIG(status) == SIGABRT)
        abort(); /* so that the end of the child can be seen at this process */
    return 0;
}

static int fork_in_a_loop(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    pthread_t *looper = arg;
    (void)begin;
    (void)end;
    if (!pthread_equal(pthread_self(), *looper)) /* a helper is at its chunk meanwhile */
        return weir_sleep_until(ctx, weir_after(WEIR_MS(500)));
    if (weir_sleep_until(ctx, weir_after(WEIR_MS(100))) != 0)
        return -EIO;
    return fork_and_return(ctx, NULL);
}

static void return_twice_from_a_loop(void *arg)
{
    (void)arg;
    weir_pool *pool = NULL;
    pthread_t looper = pthread_self();
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0 &&
        weir_parallel_for(pool, 2, 1, fork_in_a_loop, &looper) == 0)
        weir_pool_free(pool);
}

START_TEST(going_on_with_a_loop_in_a_forked_child_aborts)
{
    assert_aborts(return_twice_from_a_loop, NULL, "fork");
}
END_TEST

static void return_twice_from_a_task(void *arg)
{
    const bool *frees = arg;
    weir_pool *pool = NULL;
    weir_task task = WEIR_TASK_INIT;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0 &&
        weir_pool_submit_task(pool, &task, fork_and_return, *frees ? &pool : NULL, NULL) == 0 &&
        weir_task_wait(&task) == 0)
        weir_pool_free(pool);
}

START_TEST(returning_from_a_task_in_a_forked_child_aborts)
{
    bool frees = _i != 0;
    assert_aborts(return_twice_from_a_task, &frees, "fork");
}
END_TEST

static void count_below_zero(void *arg)
{
    weir_waitgroup_done(arg);
}

static void add_to_null(void *arg)
{
    (void)arg;
    weir_waitgroup_add(NULL, 1);
}

static void done_of_null(void *arg)
{
    (void)arg;
    weir_waitgroup_done(NULL);
}

static void add_too_much(void *arg)
{
    weir_waitgroup_add(arg, INT_MAX);
    weir_waitgroup_add(arg, 1);
}

static void add_far_too_much(void *arg)
{
    weir_waitgroup_add(arg, UINT_MAX);
}

START_TEST(a_waitgroup_below_zero_aborts)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    assert_aborts(count_below_zero, &wg, "weir_waitgroup_done");
}
END_TEST

START_TEST(a_waitgroup_of_null_aborts)
{
    assert_aborts(add_to_null, NULL, "weir_waitgroup_add");
    assert_aborts(done_of_null, NULL, "weir_waitgroup_done");
}
END_TEST

START_TEST(a_waitgroup_above_its_range_aborts)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    assert_aborts(add_too_much, &wg, "weir_waitgroup_add");
    assert_aborts(add_far_too_much, &wg, "weir_waitgroup_add");
}
END_TEST

static int free_own_group(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_errgroup_free(arg);
    return 0;
}

static void free_a_group_from_its_own_member(void *arg)
{
    (void)arg;
    weir_pool *pool = NULL;
    weir_errgroup *group = NULL;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) == 0 &&
        weir_errgroup_new(&group, pool, NULL, NULL) == 0 &&
        weir_errgroup_go(group, free_own_group, group) == 0 && weir_errgroup_wait(group) == 0)
        weir_pool_free(pool);
}

START_TEST(freeing_an_errgroup_from_its_own_member_aborts)
{
    assert_aborts(free_a_group_from_its_own_member, NULL, "weir_errgroup_free");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("misuse");

    TCase *null = add_group(suite, "null");
    tcase_add_test(null, every_call_on_a_pool_takes_null);
    tcase_add_test(null, every_call_on_a_task_takes_null);
    tcase_add_test(null, every_call_on_a_waitgroup_takes_null_or_aborts);
    tcase_add_test(null, every_call_on_an_errgroup_takes_null);

    TCase *codes = add_group(suite, "codes");
    tcase_add_test(codes, a_pool_stays_whole_whatever_bad_is_thrown_at_it);
    tcase_add_test(codes, who_waits_for_itself_is_told_so);
    tcase_add_test(codes, a_closed_pool_says_so_and_goes_on);

    TCase *aborts = add_group(suite, "aborts");
    tcase_add_test(aborts, freeing_a_pool_from_its_own_task_aborts);
    tcase_add_loop_test(aborts, unref_of_the_context_that_a_task_was_given_aborts, 0, KINDS);
    tcase_add_loop_test(aborts, returning_from_a_task_in_a_forked_child_aborts, 0, 2);
    tcase_add_test(aborts, going_on_with_a_loop_in_a_forked_child_aborts);
    tcase_add_test(aborts, a_waitgroup_below_zero_aborts);
    tcase_add_test(aborts, a_waitgroup_of_null_aborts);
    tcase_add_test(aborts, a_waitgroup_above_its_range_aborts);
    tcase_add_test(aborts, freeing_an_errgroup_from_its_own_member_aborts);
    return suite;
}
