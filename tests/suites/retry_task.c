/* SPDX-License-Identifier: MIT */
/* retry_task.c - tasks that are retried: when they run again, what ends them, what they hold. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static const int64_t hour = 3600 * WEIR_S(1);

#define QUICKLY .initial_interval = WEIR_US(100), .jitter = -1

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts;
}

static void assert_waited(weir_task *task)
{
    ck_assert_int_eq(weir_task_wait_until(task, NULL, patience()), 0);
}

#define assert_end(task, state, code, last)                                                        \
    do {                                                                                           \
        ck_assert_int_eq(weir_task_try_wait(task), 0);                                             \
        ck_assert_int_eq(weir_task_state(task), (state));                                          \
        ck_assert_int_eq(weir_task_status(task), (code));                                          \
        ck_assert_int_eq(weir_task_cause(task), (last));                                           \
    } while (0)

/* A task that fails a number of times. */
struct flaky {
    atomic_int calls, failures, code, inside, overlaps, ends, end;
    int64_t last; /* when it was called last: the attempts happen one after the other */
    int64_t shortest;
    gate *hold; /* each attempt waits here */
};

static int fail_first(weir_context *ctx, void *arg)
{
    struct flaky *flaky = arg;
    (void)ctx;
    if (atomic_fetch_add(&flaky->inside, 1) != 0)
        atomic_fetch_add(&flaky->overlaps, 1);
    int64_t now = weir_now();
    if (flaky->last != 0 && (flaky->shortest == 0 || now - flaky->last < flaky->shortest))
        flaky->shortest = now - flaky->last;
    flaky->last = now;
    int call = atomic_fetch_add(&flaky->calls, 1) + 1;
    if (flaky->hold != NULL)
        gate_wait(flaky->hold);
    atomic_fetch_sub(&flaky->inside, 1);
    return call <= atomic_load(&flaky->failures) ? atomic_load(&flaky->code) - call : 0;
}

static void tell(void *arg, weir_state end, int status)
{
    struct flaky *flaky = arg;
    (void)status;
    atomic_store(&flaky->end, (int)end);
    atomic_fetch_add(&flaky->ends, 1);
}

static void submit(weir_pool *pool, weir_task *task, struct flaky *flaky,
                   const weir_retry_options *retry)
{
    ck_assert_int_eq(weir_pool_submit_retry(pool, task, fail_first, flaky,
                                            WEIR_TASK_OPTIONS(.on_done = tell), retry),
                     0);
}

/* Waits until the task is between two attempts. */
static void await_pause(weir_pool *pool, unsigned tasks)
{
    for (int64_t until = patience(); counts_of(pool).delayed != tasks && weir_now() < until;)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert_uint_eq(counts_of(pool).delayed, tasks);
}

START_TEST(a_task_is_retried_until_it_succeeds)
{
    weir_pool *pool = new_pool(2, 4);
    for (int failures = 0; failures < 5; failures++) {
        weir_task task = WEIR_TASK_INIT;
        struct flaky flaky = {.failures = failures, .code = -100};
        submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(QUICKLY, .max_attempts = 5));
        assert_waited(&task);
        assert_end(&task, WEIR_TASK_DONE, 0, failures != 0 ? -100 - failures : 0);
        ck_assert_int_eq(atomic_load(&flaky.calls), failures + 1);
        ck_assert_int_eq(atomic_load(&flaky.overlaps), 0);
        ck_assert_int_eq(atomic_load(&flaky.ends), 1);
        ck_assert(failures == 0 || flaky.shortest >= WEIR_US(100));
    }
    ck_assert_uint_eq(counts_of(pool).submitted, 5u);
    ck_assert_uint_eq(counts_of(pool).done, 5u);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_ends_with_the_code_of_its_last_attempt)
{
    weir_pool *pool = new_pool(1, 1);
    for (unsigned most = 0; most < 4; most++) {
        weir_task task = WEIR_TASK_INIT;
        struct flaky flaky = {.failures = INT_MAX, .code = -200};
        int attempts = most != 0 ? (int)most : 3;
        submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(QUICKLY, .max_attempts = most));
        assert_waited(&task);
        assert_end(&task, WEIR_TASK_FAILED, -200 - attempts, -200 - attempts);
        ck_assert_int_eq(atomic_load(&flaky.calls), attempts);
        ck_assert_int_eq(atomic_load(&flaky.end), WEIR_TASK_FAILED);
    }
    ck_assert_uint_eq(counts_of(pool).failed, 4u);
    finish_counted(pool);
}
END_TEST

static int only_code(int code, void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
    return code == -301;
}

START_TEST(what_is_not_retryable_ends_the_task)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    struct flaky flaky = {.failures = INT_MAX, .code = -300};
    atomic_int asked = 0;
    submit(pool, &task, &flaky,
           WEIR_RETRY_OPTIONS(QUICKLY, .max_attempts = 9, .retryable = only_code, .user = &asked));
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, -302, -302);
    ck_assert_int_eq(atomic_load(&asked), 2);
    finish_counted(pool);
}
END_TEST

START_TEST(the_options_are_copied)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct flaky flaky = {.failures = 1, .code = -1, .hold = &hold};
    weir_retry_options options = *WEIR_RETRY_OPTIONS(QUICKLY);
    submit(pool, &task, &flaky, &options);
    memset(&options, 0xff, sizeof options);
    gate_open(&hold);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_DONE, 0, -2);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_that_cannot_be_retried_in_time_ends)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    struct flaky flaky = {.failures = INT_MAX, .code = -10};
    submit(pool, &task, &flaky,
           WEIR_RETRY_OPTIONS(.initial_interval = hour, .max_interval = hour,
                              .max_elapsed = hour / 4));
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, -11, -11);
    ck_assert_int_eq(
        weir_pool_submit_retry(pool, &task, fail_first, &flaky,
                               WEIR_TASK_OPTIONS(.start_by = weir_after(hour / 4)),
                               WEIR_RETRY_OPTIONS(.initial_interval = hour, .max_interval = hour)),
        0);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, -12, -12);
    finish_counted(pool);
}
END_TEST

START_TEST(a_refused_submit_leaves_the_cause_as_it_was)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    struct flaky flaky = {.failures = INT_MAX, .code = -20};
    submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(.max_attempts = 1));
    assert_waited(&task);
    int cause = weir_task_cause(&task);
    ck_assert_int_ne(cause, 0);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_first, &flaky, NULL, NULL), -EPIPE);
    assert_end(&task, WEIR_TASK_FAILED, cause, cause);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_in_a_pause_holds_no_worker_and_can_be_cancelled_at_once)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    counter ran = COUNTER_INIT;
    struct flaky flaky = {.failures = INT_MAX, .code = -20};
    submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(.initial_interval = hour, .max_interval = hour));
    await_pause(pool, 1);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    ck_assert_int_eq(weir_task_status(&task), -EINPROGRESS);
    ck_assert_int_eq(weir_task_cause(&task), -21);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    counter_await(&ran, 1);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, weir_after(WEIR_MS(20))), -ETIMEDOUT);
    ck_assert_int_eq(weir_task_cancel(&task), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED, -21);
    ck_assert_int_eq(atomic_load(&flaky.ends), 1);
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_that_is_cancelled_during_an_attempt_is_not_retried)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct flaky flaky = {.failures = INT_MAX, .code = -30, .hold = &hold};
    submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(QUICKLY, .max_attempts = 9));
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    gate_open(&hold);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_CANCELLED, -ECANCELED, -31);
    ck_assert_int_eq(atomic_load(&flaky.calls), 1);
    finish_counted(pool);
}
END_TEST

START_TEST(a_closed_pool_retries_until_the_soft_deadline)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .timers = 3)), 0);
    weir_task quick = WEIR_TASK_INIT, paused = WEIR_TASK_INIT, running = WEIR_TASK_INIT;
    gate hold = GATE_INIT, hold_quick = GATE_INIT;
    struct flaky first = {.failures = INT_MAX, .code = -40},
                 second = {.failures = INT_MAX, .code = -50, .hold = &hold},
                 third = {.failures = 5, .code = -60, .hold = &hold_quick};
    const weir_retry_options *slowly =
        WEIR_RETRY_OPTIONS(.initial_interval = hour, .max_interval = hour);
    submit(pool, &paused, &first, slowly);
    await_pause(pool, 1);
    submit(pool, &running, &second, slowly);
    submit(pool, &quick, &third, WEIR_RETRY_OPTIONS(QUICKLY, .max_attempts = 9));
    gate_await(&hold, 1);
    gate_await(&hold_quick, 1);
    weir_pool_close(pool);
    gate_open(&hold_quick);
    assert_waited(&quick); /* all its pauses and attempts are after the close */
    assert_end(&quick, WEIR_TASK_DONE, 0, -65);
    ck_assert_int_eq(weir_task_state(&paused), WEIR_TASK_QUEUED);
    weir_shutdown_report report;
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, &report), -ETIMEDOUT);
    assert_end(&paused, WEIR_TASK_CANCELLED, -ECANCELED, -41);
    ck_assert_uint_eq(report.drained, 1u);
    ck_assert_uint_eq(report.cancelled, 1u);
    ck_assert_uint_eq(report.running, 1u);
    gate_open(&hold);
    assert_waited(&running); /* its retry would come after the cancellation */
    assert_end(&running, WEIR_TASK_FAILED, -51, -51);
    finish_counted(pool);
}
END_TEST

static int drain_pool(void *pool)
{
    return weir_pool_drain_until(pool, NULL, patience());
}

START_TEST(drain_waits_for_the_last_retry_from_any_thread)
{
    enum { TASKS = 4, DRAINERS = 2 }; /* as many as there are places for their pauses */
    weir_pool *pool = new_pool(2, 4);
    weir_task tasks[TASKS];
    struct flaky flaky[TASKS];
    caller drainers[DRAINERS];
    memset(tasks, 0, sizeof tasks);
    for (int i = 0; i < TASKS; i++) {
        flaky[i] = (struct flaky){.failures = 3, .code = -70};
        submit(pool, &tasks[i], &flaky[i],
               WEIR_RETRY_OPTIONS(.initial_interval = WEIR_MS(2), .max_attempts = 9));
    }
    for (int i = 0; i < DRAINERS; i++)
        caller_start(&drainers[i], drain_pool, pool);
    for (int i = 0; i < DRAINERS; i++)
        ck_assert_int_eq(caller_join(&drainers[i]), 0);
    for (int i = 0; i < TASKS; i++)
        assert_end(&tasks[i], WEIR_TASK_DONE, 0, -73);
    finish_counted(pool);
}
END_TEST

START_TEST(a_pool_that_is_cancelled_ends_pauses_and_begins_none)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .timers = 2)), 0);
    weir_task paused = WEIR_TASK_INIT, running = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    struct flaky first = {.failures = INT_MAX, .code = -40},
                 second = {.failures = INT_MAX, .code = -50, .hold = &hold};
    const weir_retry_options *slowly =
        WEIR_RETRY_OPTIONS(.initial_interval = hour, .max_interval = hour);
    submit(pool, &paused, &first, slowly);
    await_pause(pool, 1);
    submit(pool, &running, &second, slowly);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
    assert_end(&paused, WEIR_TASK_CANCELLED, -ECANCELED, -41);
    gate_open(&hold);
    assert_waited(&running);
    assert_end(&running, WEIR_TASK_FAILED, -51, -51);
    finish_counted(pool);
}
END_TEST

START_TEST(without_a_place_for_its_pause_a_task_ends_with_its_last_code)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .timers = 1)), 0);
    weir_task delayed = WEIR_TASK_INIT, task = WEIR_TASK_INIT;
    struct flaky flaky = {.failures = 1, .code = -60};
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &delayed, fail_first, &flaky, NULL, weir_after(hour)), 0);
    submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(QUICKLY));
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_FAILED, -61, -61);
    ck_assert_int_eq(weir_task_cancel(&delayed), 0);
    finish_counted(pool);
}
END_TEST

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    if (atomic_fetch_add((atomic_int *)arg, 1) < 2)
        pthread_exit(NULL);
    return 0;
}

START_TEST(an_attempt_that_ends_its_thread_has_failed)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    atomic_int calls = 0;
    ck_assert_int_eq(
        weir_pool_submit_retry(pool, &task, end_thread, &calls, NULL, WEIR_RETRY_OPTIONS(QUICKLY)),
        0);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_DONE, 0, -ECANCELED);
    ck_assert_int_eq(atomic_load(&calls), 3);
    finish_counted(pool);
}
END_TEST

static int wait_for_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

START_TEST(a_worker_that_waits_for_a_task_makes_its_attempts)
{
    weir_pool *pool = new_pool(1, 2);
    weir_task task = WEIR_TASK_INIT, wait = WEIR_TASK_INIT;
    struct flaky flaky = {.failures = 4, .code = -70};
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &wait, wait_for_task, &task, NULL), 0);
    submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(QUICKLY, .max_attempts = 5));
    gate_open(&hold);
    assert_waited(&wait);
    assert_end(&task, WEIR_TASK_DONE, 0, -74);
    ck_assert_int_eq(atomic_load(&flaky.calls), 5);
    finish_counted(pool);
}
END_TEST

START_TEST(a_task_may_be_run_in_place_and_be_retried)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .overflow = WEIR_OVERFLOW_CALLER_RUNS)),
                     0);
    weir_task task = WEIR_TASK_INIT;
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    struct flaky flaky = {.failures = 1, .code = -80};
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    submit(pool, &task, &flaky, WEIR_RETRY_OPTIONS(QUICKLY));
    ck_assert_int_eq(atomic_load(&flaky.calls), 1);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    gate_open(&hold);
    assert_waited(&task);
    assert_end(&task, WEIR_TASK_DONE, 0, -81);
    finish_counted(pool);
}
END_TEST

START_TEST(bad_arguments_are_refused_and_leave_the_task_as_it_was)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    struct flaky flaky = {.failures = 0};
    ck_assert_int_eq(weir_pool_submit_retry(NULL, &task, fail_first, &flaky, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_retry(pool, NULL, fail_first, &flaky, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, NULL, &flaky, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_first, &flaky, NULL,
                                            WEIR_RETRY_OPTIONS(.max_interval = -1)),
                     -EINVAL);
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_first, &flaky,
                                            WEIR_TASK_OPTIONS(.timeout = -1), NULL),
                     -EINVAL);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_int_eq(weir_task_cause(&task), 0);
    ck_assert_int_eq(weir_task_cause(NULL), 0);
    weir_pool_close(pool);
    for (int i = 0; i < 5000; i++) /* nothing is kept for what was refused */
        ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_first, &flaky, NULL, NULL),
                         -EPIPE);
    ck_assert_int_eq(atomic_load(&flaky.calls), 0);
    finish_counted(pool);
}
END_TEST

/* Fails once, and then waits for the pause to be over like all others. */
static int fail_once(weir_context *ctx, void *arg)
{
    (void)ctx;
    return atomic_fetch_add((atomic_int *)arg, 1) == 0 ? -EIO : 0;
}

START_TEST(ten_thousand_tasks_pause_on_two_workers)
{
    const char *checker = getenv("CK_FORK"); /* "no" under valgrind: forty times slower */
    unsigned n = checker != NULL && strcmp(checker, "no") == 0 ? 500 : 10000;
    weir_task *tasks = calloc(n, sizeof *tasks);
    atomic_int *calls = calloc(n, sizeof *calls);
    ck_assert(tasks != NULL && calls != NULL);
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 64, .timers = n)), 0);
    const weir_retry_options *slowly =
        WEIR_RETRY_OPTIONS(.initial_interval = hour, .max_interval = hour);
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(
            weir_pool_submit_retry(pool, &tasks[i], fail_once, &calls[i], NULL, slowly), 0);
    await_pause(pool, n);
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    for (unsigned i = 0; i < n; i++) {
        atomic_store(&calls[i], 0);
        ck_assert_int_eq(weir_pool_submit_retry(pool, &tasks[i], fail_once, &calls[i], NULL,
                                                WEIR_RETRY_OPTIONS(.initial_interval = 1000)),
                         0);
    }
    for (unsigned i = 0; i < n; i++) {
        assert_waited(&tasks[i]);
        assert_end(&tasks[i], WEIR_TASK_DONE, 0, -EIO);
        ck_assert_int_eq(atomic_load(&calls[i]), 2);
    }
    finish_counted(pool);
    free(calls);
    free(tasks);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("retry_task");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_task_is_retried_until_it_succeeds);
    tcase_add_test(contract, a_task_ends_with_the_code_of_its_last_attempt);
    tcase_add_test(contract, what_is_not_retryable_ends_the_task);
    tcase_add_test(contract, the_options_are_copied);
    tcase_add_test(contract, a_task_that_cannot_be_retried_in_time_ends);
    tcase_add_test(contract, without_a_place_for_its_pause_a_task_ends_with_its_last_code);
    tcase_add_test(contract, an_attempt_that_ends_its_thread_has_failed);
    tcase_add_test(contract, a_worker_that_waits_for_a_task_makes_its_attempts);
    tcase_add_test(contract, a_task_may_be_run_in_place_and_be_retried);
    tcase_add_test(contract, bad_arguments_are_refused_and_leave_the_task_as_it_was);

    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, a_task_in_a_pause_holds_no_worker_and_can_be_cancelled_at_once);
    tcase_add_test(cancel, a_task_that_is_cancelled_during_an_attempt_is_not_retried);
    tcase_add_test(cancel, a_refused_submit_leaves_the_cause_as_it_was);
    tcase_add_test(cancel, a_closed_pool_retries_until_the_soft_deadline);
    tcase_add_test(cancel, drain_waits_for_the_last_retry_from_any_thread);
    tcase_add_test(cancel, a_pool_that_is_cancelled_ends_pauses_and_begins_none);

    TCase *many = add_group(suite, "many");
    tcase_add_test(many, ten_thousand_tasks_pause_on_two_workers);
    return suite;
}
