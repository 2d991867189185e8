/* SPDX-License-Identifier: MIT */
/* lease.c - the pool of resources, with resources that count what happens to them. With real ones:
 * lease_sqlite.c.
 */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/threads.h"
#include "weir.h"

enum { THINGS = 4096 };

/* Where resources come from. */
struct factory {
    int things[THINGS]; /* a resource is the address of one, made once each */
    atomic_uint made, destroyed, checked, alive, most;
    atomic_int make_error, check_error;
    gate *hold; /* make waits at it */
};

static int make_thing(void *user, void **ret_resource)
{
    struct factory *factory = user;
    if (factory->hold != NULL)
        gate_wait(factory->hold);
    int err = atomic_load(&factory->make_error);
    if (err != 0)
        return err;
    unsigned number = atomic_fetch_add(&factory->made, 1);
    unsigned alive = atomic_fetch_add(&factory->alive, 1) + 1;
    unsigned most = atomic_load(&factory->most);
    while (alive > most && !atomic_compare_exchange_strong(&factory->most, &most, alive))
        ;
    if (number >= THINGS)
        give_up("more things were made than a test needs");
    *ret_resource = &factory->things[number];
    return 0;
}

static int check_thing(void *user, void *resource)
{
    struct factory *factory = user;
    (void)resource;
    atomic_fetch_add(&factory->checked, 1);
    return atomic_load(&factory->check_error);
}

static void destroy_thing(void *user, void *resource)
{
    struct factory *factory = user;
    *(int *)resource = -1;
    atomic_fetch_sub(&factory->alive, 1);
    atomic_fetch_add(&factory->destroyed, 1);
}

#define THINGS_OF(factory)                                                                         \
    .make = make_thing, .check = check_thing, .destroy = destroy_thing, .user = (factory)

static weir_lease_pool *new_things(const weir_lease_options *options)
{
    weir_lease_pool *pool = NULL;
    ck_assert_int_eq(weir_lease_pool_new(&pool, options), 0);
    return pool;
}

static int *borrow(weir_lease_pool *pool)
{
    void *thing = NULL;
    ck_assert_int_eq(weir_lease_try_acquire(pool, &thing), 0);
    ck_assert_ptr_nonnull(thing);
    ck_assert_int_eq(*(int *)thing, 0);
    return thing;
}

static void assert_counts(struct factory *factory, unsigned made, unsigned destroyed)
{
    ck_assert_uint_eq(atomic_load(&factory->made), made);
    ck_assert_uint_eq(atomic_load(&factory->destroyed), destroyed);
}

/* Until `at` on weir's clock has passed. */
static void pass(int64_t at)
{
    ck_assert_int_eq(weir_sleep_until(NULL, at), 0);
}

/* Lending. */

START_TEST(what_was_returned_last_is_lent_first)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 3, THINGS_OF(&factory)));
    int *a = borrow(pool), *b = borrow(pool), *c = borrow(pool);
    ck_assert(a != b && b != c && a != c);
    weir_lease_release(pool, b, 0);
    weir_lease_release(pool, c, 0);
    weir_lease_release(pool, a, 0);
    ck_assert_ptr_eq(borrow(pool), a);
    ck_assert_ptr_eq(borrow(pool), c);
    weir_lease_release(pool, c, 0);
    ck_assert_ptr_eq(borrow(pool), c);
    ck_assert_ptr_eq(borrow(pool), b);
    assert_counts(&factory, 3, 0);
    weir_lease_release(pool, a, 0);
    weir_lease_release(pool, b, 0);
    weir_lease_release(pool, c, 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 3, 3);
}
END_TEST

START_TEST(there_are_never_more_than_the_maximum)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 2, THINGS_OF(&factory)));
    int *a = borrow(pool), *b = borrow(pool);
    void *none = &factory;
    ck_assert_int_eq(weir_lease_try_acquire(pool, &none), -EAGAIN);
    ck_assert_int_eq(weir_lease_acquire_until(pool, &none, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_lease_acquire_until(pool, &none, NULL, weir_after(WEIR_MS(5))),
                     -ETIMEDOUT);
    ck_assert_ptr_eq(none, &factory);
    weir_lease_release(pool, a, 0);
    ck_assert_int_eq(weir_lease_acquire_until(pool, &none, NULL, 0), 0);
    ck_assert_ptr_eq(none, a);
    weir_lease_release(pool, a, 0);
    weir_lease_release(pool, b, 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 2, 2);
}
END_TEST

START_TEST(one_that_comes_back_with_an_error_is_replaced)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 1, THINGS_OF(&factory)));
    weir_lease_release(pool, borrow(pool), -EIO);
    assert_counts(&factory, 1, 1);
    weir_lease_release(pool, borrow(pool), 5);
    weir_lease_release(pool, borrow(pool), 0);
    assert_counts(&factory, 3, 2);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 3, 3);
}
END_TEST

START_TEST(one_that_fails_its_check_is_replaced)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 3, THINGS_OF(&factory)));
    int *things[3] = {borrow(pool), borrow(pool), borrow(pool)};
    ck_assert_uint_eq(atomic_load(&factory.checked), 0); /* new ones are good */
    for (int i = 0; i < 3; i++)
        weir_lease_release(pool, things[i], 0);
    atomic_store(&factory.check_error, -EIO);
    weir_lease_release(pool, borrow(pool), 0); /* all three fail, a fourth is made */
    assert_counts(&factory, 4, 3);
    ck_assert_uint_eq(atomic_load(&factory.checked), 3);
    atomic_store(&factory.check_error, 0);
    weir_lease_release(pool, borrow(pool), 0);
    assert_counts(&factory, 4, 3);
    weir_lease_pool_free(pool);
}
END_TEST

START_TEST(an_error_of_make_is_returned_and_costs_nothing)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 1, THINGS_OF(&factory)));
    void *none = &factory;
    const int errors[] = {-ECONNREFUSED, 7, -EAGAIN};
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&factory.make_error, errors[i]);
        ck_assert_int_eq(weir_lease_acquire(pool, &none), errors[i]);
        ck_assert_ptr_eq(none, &factory);
    }
    atomic_store(&factory.make_error, 0);
    weir_lease_release(pool, borrow(pool), 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 1, 1);
}
END_TEST

START_TEST(the_functions_may_be_left_out)
{
    static struct factory factory;
    weir_lease_options options;
    weir_lease_options_init(NULL);
    weir_lease_options_init(&options);
    options.make = make_thing;
    options.user = &factory;
    weir_lease_pool *pool = new_things(&options);
    int *things[10];
    void *none;
    for (int i = 0; i < 10; i++)
        things[i] = borrow(pool);
    ck_assert_int_eq(weir_lease_try_acquire(pool, &none), -EAGAIN); /* the default is ten */
    for (int i = 0; i < 10; i++)
        weir_lease_release(pool, things[i], i % 2);
    weir_lease_release(pool, borrow(pool), 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 10, 0);
}
END_TEST

/* Age. */

START_TEST(the_minimum_is_kept_idle)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = 4, .min_idle = 2, THINGS_OF(&factory)));
    assert_counts(&factory, 2, 0);
    int *a = borrow(pool);
    assert_counts(&factory, 3, 0); /* one lent, two idle */
    int *b = borrow(pool);
    assert_counts(&factory, 4, 0);
    int *c = borrow(pool);
    assert_counts(&factory, 4, 0); /* there are four */
    weir_lease_release(pool, a, -EIO);
    assert_counts(&factory, 5, 1);
    weir_lease_release(pool, b, 0);
    weir_lease_release(pool, c, 0);
    assert_counts(&factory, 5, 1);
    weir_lease_pool_free(pool);
    ck_assert_uint_le(atomic_load(&factory.most), 4);
}
END_TEST

START_TEST(an_error_while_keeping_the_minimum_is_nobodys)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = 2, .min_idle = 1, THINGS_OF(&factory)));
    atomic_store(&factory.make_error, -EIO);
    int *a = borrow(pool);
    weir_lease_release(pool, a, -EIO);
    void *none;
    ck_assert_int_eq(weir_lease_try_acquire(pool, &none), -EIO);
    atomic_store(&factory.make_error, 0);
    weir_lease_release(pool, borrow(pool), 0);
    weir_lease_pool_free(pool);
}
END_TEST

START_TEST(idle_ones_time_out_down_to_the_minimum)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = 4, .min_idle = 1, .idle_timeout = WEIR_MS(1),
                                      THINGS_OF(&factory)));
    int *things[4];
    for (int i = 0; i < 4; i++)
        things[i] = borrow(pool);
    for (int i = 0; i < 4; i++)
        weir_lease_release(pool, things[i], 0);
    pass(weir_after(WEIR_MS(2)));
    int *last = borrow(pool);
    ck_assert(last == things[0] || last == things[1] || last == things[2] || last == things[3]);
    ck_assert_uint_ge(atomic_load(&factory.destroyed), 3);
    /* That one was kept, and lent; one more has been made to be idle. */
    ck_assert_uint_eq(atomic_load(&factory.made) - atomic_load(&factory.destroyed), 2);
    weir_lease_release(pool, last, 0);
    weir_lease_pool_free(pool);
    ck_assert_uint_eq(atomic_load(&factory.made), atomic_load(&factory.destroyed));
}
END_TEST

START_TEST(one_that_is_too_old_is_neither_lent_nor_kept)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = 1, .min_idle = 1, .max_lifetime = WEIR_MS(1),
                                      THINGS_OF(&factory)));
    int64_t made = weir_now();
    pass(made + WEIR_MS(1));
    int *young = borrow(pool);
    ck_assert_ptr_ne(young, &factory.things[0]);
    ck_assert_int_eq(factory.things[0], -1);
    pass(weir_after(WEIR_MS(1)));
    weir_lease_release(pool, young, 0);
    ck_assert_int_eq(*young, -1);
    weir_lease_pool_free(pool);
    ck_assert_uint_eq(atomic_load(&factory.made), atomic_load(&factory.destroyed));
}
END_TEST

START_TEST(a_lifetime_that_is_over_at_once_ends_nothing_else)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = 4, .min_idle = 4, .max_lifetime = 1, .idle_timeout = 1,
                                      THINGS_OF(&factory)));
    for (int i = 0; i < 20; i++)
        weir_lease_release(pool, borrow(pool), 0);
    weir_lease_pool_free(pool);
    ck_assert_uint_eq(atomic_load(&factory.made), atomic_load(&factory.destroyed));
    ck_assert_uint_le(atomic_load(&factory.most), 4);
}
END_TEST

/* Waiting. */

struct call {
    weir_lease_pool *pool;
    weir_context *ctx;
    void *got;
    recorder *order;
    int number;
};

static int acquire_and_keep(void *arg)
{
    struct call *call = arg;
    int err = weir_lease_acquire_until(call->pool, &call->got, call->ctx, WEIR_FOREVER);
    if (err == 0 && call->order != NULL)
        recorder_add(call->order, call->number);
    return err;
}

START_TEST(those_who_wait_are_served_in_order)
{
    enum { WAITERS = 5 };
    static struct factory factory;
    static recorder order = RECORDER_INIT;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 1, THINGS_OF(&factory)));
    int *thing = borrow(pool);
    caller callers[WAITERS];
    struct call calls[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        calls[i] = (struct call){.pool = pool, .order = &order, .number = i};
        caller_start(&callers[i], acquire_and_keep, &calls[i]);
        ck_assert(caller_await_asleep(&callers[i]));
    }
    for (int i = 0; i < WAITERS; i++) {
        weir_lease_release(pool, thing, 0);
        ck_assert_int_eq(caller_join(&callers[i]), 0);
        ck_assert_int_eq(recorder_at(&order, (size_t)i), i);
    }
    weir_lease_release(pool, thing, 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 1, 1);
}
END_TEST

START_TEST(a_retired_one_is_made_anew_for_who_waits)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 1, THINGS_OF(&factory)));
    int *thing = borrow(pool);
    struct call call = {.pool = pool};
    caller waiter;
    caller_start(&waiter, acquire_and_keep, &call);
    ck_assert(caller_await_asleep(&waiter));
    weir_lease_release(pool, thing, -EIO);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_ptr_eq(call.got, &factory.things[1]);
    weir_lease_release(pool, call.got, 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 2, 2);
}
END_TEST

START_TEST(a_make_that_fails_does_not_starve_who_waits)
{
    enum { WAITERS = 4 };
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 1, THINGS_OF(&factory)));
    int *thing = borrow(pool);
    caller callers[WAITERS];
    struct call calls[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        calls[i] = (struct call){.pool = pool};
        caller_start(&callers[i], acquire_and_keep, &calls[i]);
        ck_assert(caller_await_asleep(&callers[i]));
    }
    atomic_store(&factory.make_error, -ECONNREFUSED);
    weir_lease_release(pool, thing, -EIO);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), -ECONNREFUSED);
    weir_lease_pool_free(pool);
}
END_TEST

START_TEST(a_cancelled_wait_takes_nothing)
{
    static struct factory factory;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 1, THINGS_OF(&factory)));
    struct call call = {.pool = pool, .got = &factory};
    ck_assert_int_eq(weir_context_new(&call.ctx, NULL, WEIR_FOREVER), 0);
    int *thing = borrow(pool);
    caller waiter;
    caller_start(&waiter, acquire_and_keep, &call);
    ck_assert(caller_await_asleep(&waiter));
    weir_context_cancel(call.ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    ck_assert_ptr_eq(call.got, &factory);
    weir_lease_release(pool, thing, 0);
    ck_assert_int_eq(weir_lease_acquire_until(pool, &call.got, call.ctx, WEIR_FOREVER), -ECANCELED);
    weir_lease_release(pool, borrow(pool), 0);
    weir_context_unref(call.ctx);
    weir_lease_pool_free(pool);
}
END_TEST

START_TEST(others_are_served_while_one_is_being_made)
{
    static struct factory factory;
    static gate hold = GATE_INIT;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(.max = 2, THINGS_OF(&factory)));
    int *thing = borrow(pool);
    factory.hold = &hold;
    struct call call = {.pool = pool};
    caller maker;
    caller_start(&maker, acquire_and_keep, &call);
    gate_await(&hold, 1);
    for (int i = 0; i < 10; i++) {
        weir_lease_release(pool, thing, 0);
        ck_assert_ptr_eq(borrow(pool), thing);
    }
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&maker), 0);
    weir_lease_release(pool, thing, 0);
    weir_lease_release(pool, call.got, 0);
    weir_lease_pool_free(pool);
}
END_TEST

enum { THREADS = 8, TURNS = 300, SEVERAL = 3 };

static int use_things(void *arg)
{
    weir_lease_pool *pool = arg;
    for (int i = 0; i < TURNS; i++) {
        void *got;
        int err = weir_lease_acquire(pool, &got);
        if (err != 0)
            return err;
        int *thing = got;
        if (++*thing != 1) /* plain: two users at once are a race */
            return -EBUSY;
        --*thing;
        weir_lease_release(pool, got, i % 7 == 0 ? -EIO : 0);
    }
    return 0;
}

START_TEST(many_threads_share_a_few)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = SEVERAL, .min_idle = 1, .idle_timeout = WEIR_US(50),
                                      THINGS_OF(&factory)));
    caller callers[THREADS];
    for (int i = 0; i < THREADS; i++)
        caller_start(&callers[i], use_things, pool);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    ck_assert_uint_le(atomic_load(&factory.most), SEVERAL);
    int *things[SEVERAL];
    for (int i = 0; i < SEVERAL; i++) /* no permit was lost */
        things[i] = borrow(pool);
    for (int i = 0; i < SEVERAL; i++)
        weir_lease_release(pool, things[i], 0);
    weir_lease_pool_free(pool);
    ck_assert_uint_eq(atomic_load(&factory.made), atomic_load(&factory.destroyed));
}
END_TEST

/* After fork. */

/* For a child: 0, or the number of the line that does not hold. */
static int use_inherited(weir_lease_pool *pool, struct factory *factory, void *lent)
{
    void *none;
    unsigned destroyed = atomic_load(&factory->destroyed);
    if (weir_lease_acquire(pool, &none) != -ESTALE)
        return __LINE__;
    if (weir_lease_try_acquire(pool, &none) != -ESTALE)
        return __LINE__;
    if (weir_lease_acquire_until(pool, &none, NULL, WEIR_FOREVER) != -ESTALE)
        return __LINE__;
    weir_lease_release(pool, lent, -EIO);
    weir_lease_pool_free(pool);
    return atomic_load(&factory->destroyed) == destroyed ? 0 : __LINE__;
}

START_TEST(a_child_leaves_the_resources_of_its_parent_alone)
{
    static struct factory factory;
    weir_lease_pool *pool =
        new_things(WEIR_LEASE_OPTIONS(.max = 2, .min_idle = 1, THINGS_OF(&factory)));
    int *thing = borrow(pool);
    pid_t child = fork();
    if (child == 0)
        _exit(use_inherited(pool, &factory, thing) == 0 ? 0 : 1);
    int status = 1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    weir_lease_release(pool, thing, 0);
    weir_lease_pool_free(pool);
    assert_counts(&factory, 2, 2);
}
END_TEST

/* Misuse. */

static void assert_invalid(const weir_lease_options *options, int code)
{
    weir_lease_pool *pool = (weir_lease_pool *)&code;
    ck_assert_int_eq(weir_lease_pool_new(&pool, options), code);
    ck_assert_ptr_eq(pool, (void *)&code);
}

START_TEST(options_that_can_never_be_valid_are_refused)
{
    static struct factory factory;
    assert_invalid(NULL, -EINVAL); /* without make */
    assert_invalid(WEIR_LEASE_OPTIONS(.max = 1, .min_idle = 2, THINGS_OF(&factory)), -EINVAL);
    assert_invalid(WEIR_LEASE_OPTIONS(.min_idle = 11, THINGS_OF(&factory)), -EINVAL);
    assert_invalid(WEIR_LEASE_OPTIONS(.max = (1u << 20) + 1, THINGS_OF(&factory)), -EINVAL);
    assert_invalid(WEIR_LEASE_OPTIONS(.idle_timeout = -1, THINGS_OF(&factory)), -EINVAL);
    assert_invalid(WEIR_LEASE_OPTIONS(.max_lifetime = -1, THINGS_OF(&factory)), -EINVAL);
    ck_assert_int_eq(weir_lease_pool_new(NULL, WEIR_LEASE_OPTIONS(THINGS_OF(&factory))), -EINVAL);
    weir_lease_options small = {.size = sizeof small - 1};
    assert_invalid(&small, -EINVAL);
    struct {
        weir_lease_options options;
        char unknown;
    } large;
    memset(&large, 0, sizeof large);
    large.options = (weir_lease_options){.size = sizeof large, THINGS_OF(&factory)};
    large.unknown = 1;
    assert_invalid(&large.options, -E2BIG);
    assert_counts(&factory, 0, 0);
}
END_TEST

/* Fails at the third. */
static int make_two_things(void *user, void **ret_resource)
{
    struct factory *factory = user;
    return atomic_load(&factory->made) == 2 ? -ENFILE : make_thing(user, ret_resource);
}

START_TEST(a_pool_that_cannot_be_filled_is_not_made)
{
    static struct factory factory;
    weir_lease_options options = *WEIR_LEASE_OPTIONS(.min_idle = 3, THINGS_OF(&factory));
    options.make = make_two_things;
    assert_invalid(&options, -ENFILE);
    assert_counts(&factory, 2, 2);
}
END_TEST

static void release_what_is_not_lent(void *arg)
{
    struct factory *factory = arg;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(THINGS_OF(factory)));
    int *thing = borrow(pool);
    weir_lease_release(pool, thing, 0);
    weir_lease_release(pool, thing, 0);
}

static void release_to_nothing(void *arg)
{
    weir_lease_release(NULL, arg, 0);
}

static void free_with_one_lent(void *arg)
{
    struct factory *factory = arg;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(THINGS_OF(factory)));
    (void)borrow(pool);
    weir_lease_pool_free(pool);
}

START_TEST(every_call_takes_null_or_aborts)
{
    static struct factory factory;
    void *none;
    weir_lease_pool *pool = new_things(WEIR_LEASE_OPTIONS(THINGS_OF(&factory)));
    weir_lease_pool_free(NULL);
    ck_assert_int_eq(weir_lease_acquire(NULL, &none), -EINVAL);
    ck_assert_int_eq(weir_lease_try_acquire(NULL, &none), -EINVAL);
    ck_assert_int_eq(weir_lease_acquire_until(NULL, &none, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_lease_acquire(pool, NULL), -EINVAL);
    assert_aborts(release_what_is_not_lent, &factory, "weir_lease_release: the resource is not");
    assert_aborts(release_to_nothing, &factory, "weir_lease_release");
    assert_aborts(free_with_one_lent, &factory, "weir_lease_pool_free");
    weir_lease_pool_free(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("lease");
    TCase *lending = add_group(suite, "lending");
    tcase_add_test(lending, what_was_returned_last_is_lent_first);
    tcase_add_test(lending, there_are_never_more_than_the_maximum);
    tcase_add_test(lending, one_that_comes_back_with_an_error_is_replaced);
    tcase_add_test(lending, one_that_fails_its_check_is_replaced);
    tcase_add_test(lending, an_error_of_make_is_returned_and_costs_nothing);
    tcase_add_test(lending, the_functions_may_be_left_out);
    TCase *age = add_group(suite, "age");
    tcase_add_test(age, the_minimum_is_kept_idle);
    tcase_add_test(age, an_error_while_keeping_the_minimum_is_nobodys);
    tcase_add_test(age, idle_ones_time_out_down_to_the_minimum);
    tcase_add_test(age, one_that_is_too_old_is_neither_lent_nor_kept);
    tcase_add_test(age, a_lifetime_that_is_over_at_once_ends_nothing_else);
    TCase *waiting = add_group(suite, "waiting");
    tcase_add_test(waiting, those_who_wait_are_served_in_order);
    tcase_add_test(waiting, a_retired_one_is_made_anew_for_who_waits);
    tcase_add_test(waiting, a_make_that_fails_does_not_starve_who_waits);
    tcase_add_test(waiting, a_cancelled_wait_takes_nothing);
    tcase_add_test(waiting, others_are_served_while_one_is_being_made);
    tcase_add_test(waiting, many_threads_share_a_few);
    TCase *after_fork = add_group(suite, "fork");
    tcase_add_test(after_fork, a_child_leaves_the_resources_of_its_parent_alone);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, options_that_can_never_be_valid_are_refused);
    tcase_add_test(misuse, a_pool_that_cannot_be_filled_is_not_made);
    tcase_add_test(misuse, every_call_takes_null_or_aborts);
    return suite;
}
