/* SPDX-License-Identifier: MIT */
/* limits.c - the limiters, the breaker, retries and leases without memory: what allocates fails
 * whole, and what is in use allocates nothing. */
#include "support/suite.h"

#include <errno.h>

#include "support/faults.h"
#include "support/threads.h"
#include "weir.h"

static int make_number(void *user, void **ret_resource)
{
    *ret_resource = user;
    return 0;
}

static int new_window(void **ret)
{
    return weir_window_new((weir_window **)ret, 1000, WEIR_S(1));
}

static void free_window(void *window)
{
    weir_window_free(window);
}

static int new_leases(void **ret)
{
    return weir_lease_pool_new(
        (weir_lease_pool **)ret,
        WEIR_LEASE_OPTIONS(.max = 20, .min_idle = 5, .make = make_number, .user = ret));
}

static void free_leases(void *pool)
{
    weir_lease_pool_free(pool);
}

static const struct {
    int (*make)(void **ret);
    void (*drop)(void *made);
} trials[] = {{new_window, free_window}, {new_leases, free_leases}};

START_TEST(a_constructor_without_memory_fails_and_leaves_nothing)
{
    void *made = &made;
    faults_begin(FAULT_ALLOC, 1); /* there is one allocation */
    int err = trials[_i].make(&made);
    struct faults seen = faults_end();
    ck_assert_int_eq(err, -ENOMEM);
    ck_assert_ptr_eq(made, &made);
    ck_assert_int_eq(seen.live, 0);

    faults_begin(FAULT_ALLOC, 2);
    err = trials[_i].make(&made);
    if (err == 0)
        trials[_i].drop(made);
    seen = faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(seen.allocs, 1);
    ck_assert_int_eq(seen.live, 0);
}
END_TEST

static int fail_twice(weir_context *ctx, void *arg)
{
    int *calls = arg;
    if (weir_context_err(ctx) != 0)
        return -EPROTO;
    return ++*calls < 3 ? -EIO : 0;
}

static int wait_cancelled(void *arg)
{
    weir_limiter limiter;
    int err = weir_limiter_init(&limiter, 1e-3, 1);
    if (err == 0)
        err = weir_limiter_wait(&limiter, 1);
    return err != 0 ? err : weir_limiter_wait_until(&limiter, 1, arg, WEIR_FOREVER);
}

/* Returns 0, or the number of the line that does not hold; Check would allocate. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static int use(weir_window *window, weir_lease_pool *pool, weir_context *ctx)
{
    weir_limiter limiter;
    weir_breaker breaker;
    uint64_t ticket;
    void *resource;
    int calls = 0;
    EXPECT(weir_limiter_init(&limiter, 1e5, 2) == 0);
    for (int i = 0; i < 10; i++) {
        EXPECT(weir_limiter_wait_until(&limiter, 1, ctx, WEIR_FOREVER) == 0);
        EXPECT(weir_limiter_set_rate(&limiter, 1e5 + i) == 0);
        EXPECT(weir_window_wait_until(window, 1, ctx, WEIR_FOREVER) == 0);
    }
    EXPECT(weir_breaker_init(&breaker, NULL) == 0);
    for (int i = 0; i < 10; i++) {
        EXPECT(weir_breaker_allow(&breaker, &ticket) == 0);
        weir_breaker_record(&breaker, ticket, -EIO);
    }
    EXPECT(weir_breaker_allow(&breaker, &ticket) == -EAGAIN);
    EXPECT(weir_retry_until(WEIR_RETRY_OPTIONS(.initial_interval = 1), fail_twice, &calls, ctx,
                            WEIR_FOREVER) == 0);
    for (int i = 0; i < 10; i++) {
        EXPECT(weir_lease_acquire_until(pool, &resource, ctx, WEIR_FOREVER) == 0);
        weir_lease_release(pool, resource, i % 2);
    }
    return 0;
}

START_TEST(nothing_is_allocated_after_creation)
{
    weir_window *window;
    weir_lease_pool *pool;
    weir_context *ctx;
    caller waiter;
    ck_assert_int_eq(new_window((void **)&window), 0);
    ck_assert_int_eq(new_leases((void **)&pool), 0);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    faults_begin(FAULT_ALLOC, 0);
    int line = use(window, pool, ctx);
    caller_start(&waiter, wait_cancelled, ctx);
    bool asleep = caller_await_asleep(&waiter);
    weir_context_cancel(ctx, 0);
    int err = caller_join(&waiter);
    struct faults seen = faults_end();
    ck_assert_msg(line == 0, "what line %d expects does not hold", line);
    ck_assert(asleep);
    ck_assert_int_eq(err, -ECANCELED);
    ck_assert_uint_eq(seen.allocs, 0);
    weir_context_unref(ctx);
    weir_lease_pool_free(pool);
    weir_window_free(window);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_limits");
    TCase *memory = add_group(suite, "out-of-memory");
    tcase_add_loop_test(memory, a_constructor_without_memory_fails_and_leaves_nothing, 0,
                        sizeof trials / sizeof trials[0]);
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, nothing_is_allocated_after_creation);
    return suite;
}
