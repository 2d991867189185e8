/* SPDX-License-Identifier: MIT */
/* retry.c - calling again until it works. When the next call comes is in retry_delays.c. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* Fails `failures` times with `code`, then returns 0. */
struct flaky {
    int failures, code, calls;
    weir_context *seen, *kept;
    weir_context *cancel; /* cancelled by the first call */
    gate *arrived;
};

static int flaky_call(weir_context *ctx, void *arg)
{
    struct flaky *flaky = arg;
    flaky->calls++;
    flaky->seen = ctx;
    if (flaky->calls == 1 && flaky->kept == NULL)
        flaky->kept = weir_context_ref(ctx);
    weir_context_cancel(flaky->cancel, 0);
    if (flaky->arrived != NULL)
        gate_wait(flaky->arrived);
    return flaky->calls <= flaky->failures ? flaky->code : 0;
}

#define QUICKLY .initial_interval = 1, .jitter = -1

static int only_eagain(int code, void *user)
{
    *(int *)user = code;
    return code == -EAGAIN;
}

START_TEST(what_works_at_once_is_called_once)
{
    struct flaky flaky = {.failures = 0};
    ck_assert_int_eq(weir_retry_until(NULL, flaky_call, &flaky, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(flaky.calls, 1);
    weir_context_unref(flaky.kept);
}
END_TEST

START_TEST(it_goes_on_until_it_works)
{
    struct flaky flaky = {.failures = 4, .code = -EIO};
    ck_assert_int_eq(weir_retry_until(WEIR_RETRY_OPTIONS(.max_attempts = 10, QUICKLY), flaky_call,
                                      &flaky, NULL, WEIR_FOREVER),
                     0);
    ck_assert_int_eq(flaky.calls, 5);
    weir_context_unref(flaky.kept);
}
END_TEST

START_TEST(after_the_last_attempt_its_code_is_returned)
{
    int codes[] = {-EIO, 7, INT_MIN, -EAGAIN, -ECANCELED, -ETIMEDOUT};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct flaky flaky = {.failures = INT_MAX, .code = codes[i]};
        ck_assert_int_eq(
            weir_retry_until(WEIR_RETRY_OPTIONS(QUICKLY), flaky_call, &flaky, NULL, WEIR_FOREVER),
            codes[i]);
        ck_assert_int_eq(flaky.calls, 3);
        weir_context_unref(flaky.kept);
    }
}
END_TEST

START_TEST(what_is_not_retryable_is_not_tried_again)
{
    int asked = 0;
    struct flaky flaky = {.failures = INT_MAX, .code = -EIO};
    weir_retry_options options;
    weir_retry_options_init(&options);
    options.retryable = only_eagain;
    options.user = &asked;
    options.initial_interval = 1;
    ck_assert_int_eq(weir_retry_until(&options, flaky_call, &flaky, NULL, WEIR_FOREVER), -EIO);
    ck_assert_int_eq(flaky.calls, 1);
    ck_assert_int_eq(asked, -EIO);
    weir_context_unref(flaky.kept);
}
END_TEST

START_TEST(it_stops_at_once_when_the_pause_would_pass_the_deadline)
{
    /* The pause is an hour, so that only a call that does not begin it returns in time. */
    weir_retry_options *options =
        WEIR_RETRY_OPTIONS(.initial_interval = WEIR_S(3600), .max_interval = WEIR_S(3600));
    struct flaky flaky = {.failures = INT_MAX, .code = -EIO};
    ck_assert_int_eq(weir_retry_until(options, flaky_call, &flaky, NULL, patience()), -EIO);
    ck_assert_int_eq(flaky.calls, 1);

    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, patience()), 0);
    ck_assert_int_eq(weir_retry_until(options, flaky_call, &flaky, ctx, WEIR_FOREVER), -EIO);
    ck_assert_int_eq(flaky.calls, 2);
    weir_context_unref(ctx);

    options->max_elapsed = WEIR_S(60);
    ck_assert_int_eq(weir_retry_until(options, flaky_call, &flaky, NULL, WEIR_FOREVER), -EIO);
    ck_assert_int_eq(flaky.calls, 3);
    weir_context_unref(flaky.kept);
}
END_TEST

START_TEST(a_deadline_in_the_past_permits_one_attempt)
{
    struct flaky flaky = {.failures = INT_MAX, .code = -EIO};
    ck_assert_int_eq(weir_retry_until(WEIR_RETRY_OPTIONS(QUICKLY), flaky_call, &flaky, NULL, 0),
                     -EIO);
    ck_assert_int_eq(flaky.calls, 1);
    ck_assert_int_eq(weir_context_err(flaky.kept), -ETIMEDOUT);
    weir_context_unref(flaky.kept);
}
END_TEST

START_TEST(a_context_that_is_over_comes_before_the_first_attempt)
{
    struct flaky flaky = {.failures = 0};
    weir_context *cancelled, *late;
    ck_assert_int_eq(weir_context_new(&cancelled, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&late, NULL, 0), 0);
    weir_context_cancel(cancelled, 0);
    ck_assert_int_eq(weir_retry_until(NULL, flaky_call, &flaky, cancelled, WEIR_FOREVER),
                     -ECANCELED);
    ck_assert_int_eq(weir_retry_until(NULL, flaky_call, &flaky, late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(flaky.calls, 0);
    weir_context_unref(late);
    weir_context_unref(cancelled);
}
END_TEST

START_TEST(a_context_cancelled_in_an_attempt_prevents_the_next)
{
    struct flaky flaky = {.failures = INT_MAX, .code = -EIO};
    ck_assert_int_eq(weir_context_new(&flaky.cancel, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_retry_until(WEIR_RETRY_OPTIONS(QUICKLY), flaky_call, &flaky, flaky.cancel,
                                      WEIR_FOREVER),
                     -ECANCELED);
    ck_assert_int_eq(flaky.calls, 1);
    weir_context_unref(flaky.kept);
    weir_context_unref(flaky.cancel);
}
END_TEST

START_TEST(the_last_code_comes_before_a_cancel_that_stops_nothing)
{
    struct flaky flaky = {.failures = INT_MAX, .code = -EIO};
    ck_assert_int_eq(weir_context_new(&flaky.cancel, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_retry_until(WEIR_RETRY_OPTIONS(.max_attempts = 1), flaky_call, &flaky,
                                      flaky.cancel, WEIR_FOREVER),
                     -EIO);
    weir_context_unref(flaky.kept);
    weir_context_unref(flaky.cancel);
}
END_TEST

static int retry_for_hours(void *arg)
{
    struct flaky *flaky = arg;
    return weir_retry_until(
        WEIR_RETRY_OPTIONS(.initial_interval = WEIR_S(3600), .max_interval = WEIR_S(3600)),
        flaky_call, flaky, flaky->seen, WEIR_FOREVER);
}

START_TEST(a_cancel_ends_the_pause)
{
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct flaky flaky = {.failures = INT_MAX, .code = -EIO, .seen = ctx};
    caller retrier;
    caller_start(&retrier, retry_for_hours, &flaky);
    ck_assert(caller_await_asleep(&retrier));
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&retrier), -ECANCELED);
    ck_assert_int_eq(flaky.calls, 1);
    weir_context_unref(flaky.kept);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(the_function_sees_a_child_of_the_context)
{
    static const char key;
    weir_context *ctx, *named;
    int value = 1;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_with_value(&named, ctx, &key, &value), 0);
    int64_t deadline = weir_after(WEIR_S(1000));
    struct flaky flaky = {.failures = 0};
    ck_assert_int_eq(weir_retry_until(NULL, flaky_call, &flaky, named, deadline), 0);
    ck_assert_ptr_nonnull(flaky.seen);
    ck_assert_ptr_ne(flaky.seen, named);
    ck_assert_ptr_eq(weir_context_value(flaky.kept, &key), &value);
    ck_assert_int_eq(weir_context_deadline(flaky.kept), deadline);
    ck_assert_int_eq(weir_context_err(flaky.kept), 0);
    weir_context_cancel(ctx, -EIO);
    ck_assert_int_eq(weir_context_cause(flaky.kept), -EIO);
    weir_context_unref(flaky.kept);
    weir_context_unref(named);
    weir_context_unref(ctx);
}
END_TEST

static int retry_in_task(weir_context *ctx, void *arg)
{
    return weir_retry_until(WEIR_RETRY_OPTIONS(QUICKLY), flaky_call, arg, ctx, WEIR_FOREVER);
}

START_TEST(a_task_may_retry)
{
    weir_pool *pool = new_pool(1, 1);
    weir_context *ctx;
    struct flaky flaky = {.failures = 2, .code = -EIO};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, retry_in_task, &flaky, NULL, ctx, WEIR_FOREVER),
        0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    ck_assert_int_eq(flaky.calls, 3);
    finish_pool(pool);
    /* The context that was kept has outlived the task's, on the stack; it has the same parents. */
    ck_assert_int_eq(weir_context_err(flaky.kept), 0);
    weir_context_cancel(ctx, -EIO);
    ck_assert_int_eq(weir_context_cause(flaky.kept), -EIO);
    weir_context_unref(flaky.kept);
    weir_context_unref(ctx);
}
END_TEST

/* Misuse. */

static void assert_refused(const weir_retry_options *options, int code)
{
    struct flaky flaky = {.failures = 0};
    ck_assert_int_eq(weir_retry_until(options, flaky_call, &flaky, NULL, WEIR_FOREVER), code);
    ck_assert_int_eq(flaky.calls, 0);
}

START_TEST(options_that_can_never_be_valid_are_refused)
{
    assert_refused(WEIR_RETRY_OPTIONS(.initial_interval = -1), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.max_interval = -1), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.max_elapsed = INT64_MIN), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.multiplier = -0.5), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.multiplier = (double)NAN), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.multiplier = (double)INFINITY), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.jitter = 1.001), -EINVAL);
    assert_refused(WEIR_RETRY_OPTIONS(.jitter = (double)NAN), -EINVAL);
    weir_retry_options small = {.size = sizeof small - 1};
    assert_refused(&small, -EINVAL);
    struct {
        weir_retry_options options;
        char unknown;
    } large;
    memset(&large, 0, sizeof large);
    large.options.size = sizeof large;
    large.unknown = 1;
    assert_refused(&large.options, -E2BIG);
    weir_retry_options_init(NULL);
    ck_assert_int_eq(weir_retry_until(NULL, NULL, NULL, NULL, WEIR_FOREVER), -EINVAL);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("retry");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, what_works_at_once_is_called_once);
    tcase_add_test(contract, it_goes_on_until_it_works);
    tcase_add_test(contract, after_the_last_attempt_its_code_is_returned);
    tcase_add_test(contract, what_is_not_retryable_is_not_tried_again);
    tcase_add_test(contract, it_stops_at_once_when_the_pause_would_pass_the_deadline);
    tcase_add_test(contract, a_deadline_in_the_past_permits_one_attempt);
    tcase_add_test(contract, the_function_sees_a_child_of_the_context);
    tcase_add_test(contract, a_task_may_retry);
    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, a_context_that_is_over_comes_before_the_first_attempt);
    tcase_add_test(cancel, a_context_cancelled_in_an_attempt_prevents_the_next);
    tcase_add_test(cancel, the_last_code_comes_before_a_cancel_that_stops_nothing);
    tcase_add_test(cancel, a_cancel_ends_the_pause);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, options_that_can_never_be_valid_are_refused);
    return suite;
}
