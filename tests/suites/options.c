/* SPDX-License-Identifier: MIT */
/* options.c - weir_x_options_error: what it explains is what the call with the options refuses. */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "weir.h"

/* Asserts that a call has refused its options if there is something to explain, which is `wrong`
 * (NULL: nothing). */
static void check(int line, int err, const char *said, const char *wrong)
{
    ck_assert_msg(err == (wrong != NULL ? -EINVAL : 0), "line %d: the call returned %d", line, err);
    ck_assert_msg((said == NULL) == (wrong == NULL), "line %d: said is: %s", line,
                  said != NULL ? said : "nothing");
    if (wrong != NULL)
        ck_assert_str_eq(said, wrong);
}

static int try_pool(const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, options);
    weir_pool_free(pool);
    return err;
}

static const char *shared_name(weir_task_fn *fn, void *arg, void *user)
{
    (void)fn;
    (void)arg;
    return user;
}

static void not_called(const weir_stuck *what, void *user)
{
    (void)what;
    (void)user;
}

#define CHECK_POOL(wrong, ...)                                                                     \
    do {                                                                                           \
        const weir_pool_options *o_ = WEIR_POOL_OPTIONS(__VA_ARGS__);                              \
        check(__LINE__, try_pool(o_), weir_pool_options_error(o_), wrong);                         \
    } while (0)

START_TEST(of_a_pool)
{
    check(__LINE__, try_pool(NULL), weir_pool_options_error(NULL), NULL);
    CHECK_POOL(NULL, .workers = 1, .name_of = shared_name);
    CHECK_POOL("workers: above 1024", .workers = 1025);
    CHECK_POOL(NULL, .workers = 1, .capacity = 1U << 22);
    CHECK_POOL("capacity: above 2^22", .workers = 1, .capacity = (1U << 22) + 1);
    CHECK_POOL("overflow: not one of weir_overflow", .overflow = (weir_overflow)4);
    CHECK_POOL("stack_size: less than a thread needs here", .stack_size = 1);
    CHECK_POOL("outside_waiters_help: neither 0 nor 1", .outside_waiters_help = 2);
    CHECK_POOL(NULL, .workers = 1, .capacity = 1, .timers = (size_t)1 << 22);
    CHECK_POOL("timers: above 2^22", .timers = ((size_t)1 << 22) + 1);
    CHECK_POOL("measure: not one of weir_measure", .measure = (weir_measure)3);
    CHECK_POOL("stuck_after: negative", .stuck_after = -1, .on_stuck = not_called);
    CHECK_POOL("stuck_after: set without on_stuck", .stuck_after = 1);
    CHECK_POOL("order: not one of weir_order", .order = (weir_order)2);
    CHECK_POOL("order: WEIR_ORDER_LOCAL with lanes", .order = WEIR_ORDER_LOCAL, .lanes = 2);
    CHECK_POOL(NULL, .workers = 1, .order = WEIR_ORDER_LOCAL, .lanes = 1, .local = 2048);
    CHECK_POOL("local: above 2048", .order = WEIR_ORDER_LOCAL, .local = 2049);
    CHECK_POOL("capacity: above 2^22 in all lanes", .lanes = 2, .capacity = 1U << 22);
    CHECK_POOL("lane_capacity: above 2^22 in all", .lanes = 2, .lane_capacity = {1U << 22});
    CHECK_POOL("lane_burst: set with one lane", .lane_burst = 64);
    CHECK_POOL("lane_burst: set with one lane", .lanes = 1, .lane_burst = 1);
    CHECK_POOL(NULL, .workers = 1, .lanes = 2, .lane_burst = 1);
    CHECK_POOL("local: set without WEIR_ORDER_LOCAL", .local = 1);
    CHECK_POOL("workers: above 1024", .workers = 2000, .measure = (weir_measure)3); /* the first */
}
END_TEST

#define CHECK_TASK(wrong, ...)                                                                     \
    do {                                                                                           \
        const weir_task_options *o_ = WEIR_TASK_OPTIONS(__VA_ARGS__);                              \
        weir_task task_ = WEIR_TASK_INIT;                                                          \
        int err_ = weir_pool_submit_task(pool, &task_, counter_task, &runs, o_);                   \
        check(__LINE__, err_, weir_task_options_error(o_), wrong);                                 \
        if (err_ == 0)                                                                             \
            ck_assert_int_eq(weir_task_wait_until(&task_, NULL, patience()), 0);                   \
    } while (0)

START_TEST(of_a_task)
{
    weir_pool *pool = new_pool(1, 4);
    counter runs = COUNTER_INIT;
    ck_assert_ptr_null(weir_task_options_error(NULL));
    CHECK_TASK(NULL, .stuck_after = -1);
    CHECK_TASK("start_by: negative", .start_by = -1);
    CHECK_TASK("timeout: negative", .timeout = -1);
    finish_pool(pool);
}
END_TEST

#define CHECK_ERRGROUP(wrong, ...)                                                                 \
    do {                                                                                           \
        const weir_errgroup_options *o_ = WEIR_ERRGROUP_OPTIONS(__VA_ARGS__);                      \
        weir_errgroup *group_ = NULL;                                                              \
        int err_ = weir_errgroup_new(&group_, pool, NULL, o_);                                     \
        check(__LINE__, err_, weir_errgroup_options_error(o_), wrong);                             \
        weir_errgroup_free(group_);                                                                \
    } while (0)

#define CHECK_PIPELINE(wrong, ...)                                                                 \
    do {                                                                                           \
        const weir_pipeline_options *o_ = WEIR_PIPELINE_OPTIONS(__VA_ARGS__);                      \
        check(__LINE__, weir_pipeline_run(pool, &nothing, 1, o_), weir_pipeline_options_error(o_), \
              wrong);                                                                              \
    } while (0)

static int make_nothing(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)item;
    (void)arg;
    return 0;
}

START_TEST(of_groups)
{
    weir_pool *pool = new_pool(1, 4);
    const weir_stage nothing = {make_nothing, NULL, WEIR_STAGE_IN_ORDER};
    ck_assert_ptr_null(weir_errgroup_options_error(NULL));
    ck_assert_ptr_null(weir_pipeline_options_error(NULL));
    CHECK_ERRGROUP(NULL, .keep_errors = 1U << 20);
    CHECK_ERRGROUP("keep_errors: above 2^20", .keep_errors = (1U << 20) + 1);
    CHECK_PIPELINE(NULL, .in_flight = 1);
    CHECK_PIPELINE("in_flight: above 2^20", .in_flight = ((size_t)1 << 20) + 1);
    finish_pool(pool);
}
END_TEST

#define CHECK_RETRY(wrong, ...)                                                                    \
    do {                                                                                           \
        const weir_retry_options *o_ = WEIR_RETRY_OPTIONS(__VA_ARGS__);                            \
        int err_ = weir_retry_until(o_, counter_task, &runs, NULL, WEIR_FOREVER);                  \
        check(__LINE__, err_, weir_retry_options_error(o_), wrong);                                \
    } while (0)

START_TEST(of_a_retry)
{
    counter runs = COUNTER_INIT;
    ck_assert_ptr_null(weir_retry_options_error(NULL));
    CHECK_RETRY(NULL, .jitter = -1, .multiplier = 0.5);
    CHECK_RETRY("initial_interval: negative", .initial_interval = -1);
    CHECK_RETRY("max_interval: negative", .max_interval = -1);
    CHECK_RETRY("max_elapsed: negative", .max_elapsed = -1);
    CHECK_RETRY("multiplier: negative or not a finite number", .multiplier = -1);
    CHECK_RETRY("multiplier: negative or not a finite number", .multiplier = (double)INFINITY);
    CHECK_RETRY("jitter: above 1 or not a number", .jitter = 1.5);
    CHECK_RETRY("jitter: above 1 or not a number", .jitter = (double)NAN);
}
END_TEST

#define CHECK_BREAKER(wrong, ...)                                                                  \
    do {                                                                                           \
        const weir_breaker_options *o_ = WEIR_BREAKER_OPTIONS(__VA_ARGS__);                        \
        weir_breaker breaker_;                                                                     \
        check(__LINE__, weir_breaker_init(&breaker_, o_), weir_breaker_options_error(o_), wrong);  \
    } while (0)

START_TEST(of_a_breaker)
{
    ck_assert_ptr_null(weir_breaker_options_error(NULL));
    CHECK_BREAKER(NULL, .window = 1024, .minimum_calls = 1024, .half_open_calls = 16);
    CHECK_BREAKER("window: above 1024", .window = 1025);
    CHECK_BREAKER("minimum_calls: above window", .window = 5, .minimum_calls = 6);
    CHECK_BREAKER("minimum_calls: above window", .minimum_calls = 101); /* of the default */
    CHECK_BREAKER("failure_ratio: not above 0 and at most 1", .failure_ratio = -0.1);
    CHECK_BREAKER("failure_ratio: not above 0 and at most 1", .failure_ratio = (double)NAN);
    CHECK_BREAKER("open_for: negative", .open_for = -1);
    CHECK_BREAKER("half_open_calls: above 16", .half_open_calls = 17);
}
END_TEST

static int make(void *user, void **ret_resource)
{
    *ret_resource = user;
    return 0;
}

#define CHECK_LEASE(wrong, ...)                                                                    \
    do {                                                                                           \
        const weir_lease_options *o_ = WEIR_LEASE_OPTIONS(__VA_ARGS__);                            \
        weir_lease_pool *pool_ = NULL;                                                             \
        check(__LINE__, weir_lease_pool_new(&pool_, o_), weir_lease_options_error(o_), wrong);     \
        weir_lease_pool_free(pool_);                                                               \
    } while (0)

START_TEST(of_a_lease_pool)
{
    int resource;
    ck_assert_str_eq(weir_lease_options_error(NULL), "make: not set");
    CHECK_LEASE(NULL, .make = make, .user = &resource);
    CHECK_LEASE("max: above 2^20", .make = make, .max = (1U << 20) + 1);
    CHECK_LEASE("min_idle: above max", .make = make, .max = 2, .min_idle = 3);
    CHECK_LEASE("min_idle: above max", .make = make, .min_idle = 11); /* the default */
    CHECK_LEASE("idle_timeout: negative", .make = make, .idle_timeout = -1);
    CHECK_LEASE("max_lifetime: negative", .make = make, .max_lifetime = -1);
    CHECK_LEASE("make: not set", .max = 2);
}
END_TEST

static int swallow(const char *text, size_t n, void *arg)
{
    (void)text;
    (void)n;
    (void)arg;
    return 0;
}

#define CHECK_TRACE(wrong, ...)                                                                    \
    do {                                                                                           \
        const weir_trace_options *o_ = WEIR_TRACE_OPTIONS(__VA_ARGS__);                            \
        int err_ = weir_trace_start(o_);                                                           \
        check(__LINE__, err_, weir_trace_options_error(o_), wrong);                                \
        if (err_ == 0)                                                                             \
            ck_assert_int_eq(weir_trace_stop(), 0);                                                \
    } while (0)

START_TEST(of_a_trace)
{
    check(__LINE__, weir_trace_start(NULL), weir_trace_options_error(NULL),
          "path: not set, nor is write");
    CHECK_TRACE(NULL, .write = swallow, .events = 16);
    CHECK_TRACE("path: not set, nor is write", .events = 16);
    CHECK_TRACE("path: set, and write too", .path = "trace.json", .write = swallow);
    CHECK_TRACE("events: above 2^24", .write = swallow, .events = (1U << 24) + 1);
    CHECK_TRACE("threads: above 4096", .write = swallow, .threads = 4097);
}
END_TEST

/* Sizes. */

struct newer {
    weir_pool_options options;
    int more;
};

START_TEST(of_another_version)
{
    struct newer newer = {.options.workers = 1};
    weir_pool_options *options = &newer.options;
    options->size = sizeof newer;
    check(__LINE__, try_pool(options), weir_pool_options_error(options), NULL);
    newer.more = 1;
    ck_assert_int_eq(try_pool(options), -E2BIG);
    ck_assert_str_eq(weir_pool_options_error(options),
                     "size: a field that this version of weir does not know is set");
    options->size = 0;
    check(__LINE__, try_pool(options), weir_pool_options_error(options),
          "size: set by neither the macro nor the init function");
    options->size = offsetof(weir_pool_options, timers); /* the first version's */
    check(__LINE__, try_pool(options), weir_pool_options_error(options), NULL);
}
END_TEST

/* Each of the others reads its size as that one does. */
START_TEST(a_size_that_was_not_filled_in_is_told_of_all)
{
    static const char *const wrong = "size: set by neither the macro nor the init function";
    ck_assert_str_eq(weir_task_options_error(&(weir_task_options){0}), wrong);
    ck_assert_str_eq(weir_errgroup_options_error(&(weir_errgroup_options){0}), wrong);
    ck_assert_str_eq(weir_pipeline_options_error(&(weir_pipeline_options){0}), wrong);
    ck_assert_str_eq(weir_retry_options_error(&(weir_retry_options){0}), wrong);
    ck_assert_str_eq(weir_breaker_options_error(&(weir_breaker_options){0}), wrong);
    ck_assert_str_eq(weir_lease_options_error(&(weir_lease_options){0}), wrong);
    ck_assert_str_eq(weir_trace_options_error(&(weir_trace_options){0}), wrong);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("options");

    TCase *fields = add_group(suite, "fields");
    tcase_add_test(fields, of_a_pool);
    tcase_add_test(fields, of_a_task);
    tcase_add_test(fields, of_groups);
    tcase_add_test(fields, of_a_retry);
    tcase_add_test(fields, of_a_breaker);
    tcase_add_test(fields, of_a_lease_pool);
    tcase_add_test(fields, of_a_trace);

    TCase *sizes = add_group(suite, "sizes");
    tcase_add_test(sizes, of_another_version);
    tcase_add_test(sizes, a_size_that_was_not_filled_in_is_told_of_all);
    return suite;
}
