/* SPDX-License-Identifier: MIT */
/* observers.c - what each object tells about itself, to whoever watches it. */
#include "support/suite.h"

#include <errno.h>
#include <stdint.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* Semaphores and channels. */

static int acquire_one(void *sem)
{
    return weir_semaphore_acquire_until(sem, 1, NULL, patience());
}

START_TEST(a_semaphore_tells_what_is_free_and_how_many_wait)
{
    weir_semaphore sem;
    ck_assert_int_eq(weir_semaphore_init(&sem, 3), 0);
    ck_assert_uint_eq(weir_semaphore_permits(&sem), 3u);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 3u);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 3), 0);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 0u);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 0u);
    caller first, second;
    caller_start(&first, acquire_one, &sem);
    caller_start(&second, acquire_one, &sem);
    ck_assert(caller_await_asleep(&first));
    ck_assert(caller_await_asleep(&second));
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 2u);
    weir_semaphore_release(&sem, 3);
    ck_assert_int_eq(caller_join(&first), 0);
    ck_assert_int_eq(caller_join(&second), 0);
    ck_assert_uint_eq(weir_semaphore_waiting(&sem), 0u);
    ck_assert_uint_eq(weir_semaphore_available(&sem), 1u);
    weir_semaphore_release(&sem, 2);
    weir_semaphore_destroy(&sem);
    ck_assert_uint_eq(weir_semaphore_permits(&sem), 0u);
}
END_TEST

START_TEST(a_channel_tells_whether_it_is_closed)
{
    weir_channel *channel;
    ck_assert_int_eq(weir_channel_new(&channel, 1, 2), 0);
    ck_assert_int_eq(weir_channel_is_closed(channel), 0);
    ck_assert_int_eq(weir_channel_send(channel, "x"), 0);
    ck_assert_int_eq(weir_channel_close(channel), 0);
    ck_assert_int_eq(weir_channel_is_closed(channel), 1);
    ck_assert_uint_eq(weir_channel_count(channel), 1u);
    weir_channel_free(channel);
}
END_TEST

START_TEST(a_topic_counts_what_was_published_received_and_missed)
{
    weir_topic *topic;
    weir_channel *small, *large;
    ck_assert_int_eq(weir_topic_new(&topic), 0);
    ck_assert_int_eq(weir_channel_new(&small, 1, 1), 0);
    ck_assert_int_eq(weir_channel_new(&large, 1, 9), 0);
    ck_assert_int_eq(weir_topic_publish(topic, "x"), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, small), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, large), 0);
    ck_assert_int_eq(weir_topic_publish(topic, "x"), 2);
    ck_assert_int_eq(weir_topic_publish(topic, "x"), 1);
    ck_assert_int_eq(weir_topic_publish(topic, NULL), -EINVAL);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, small), 0);
    weir_topic_counts counts;
    weir_topic_read_counts(topic, &counts);
    ck_assert_uint_eq(counts.subscribers, 1u);
    ck_assert_uint_eq(counts.published, 3u);
    ck_assert_uint_eq(counts.received, 3u);
    ck_assert_uint_eq(counts.missed, 1u); /* also of one that has left */
    weir_topic_free(topic);
    weir_channel_free(small);
    weir_channel_free(large);
}
END_TEST

/* Limits. */

START_TEST(a_limiter_tells_its_tokens_and_its_debt)
{
    weir_limiter limiter;
    ck_assert_int_eq(weir_limiter_init(&limiter, 1, 5), 0); /* one a second */
    int64_t t = WEIR_S(1000);
    ck_assert_uint_eq(weir_limiter_burst(&limiter), 5u);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t), 5);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 3, t), 0);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t), 2);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + WEIR_S(1) - 1), 2);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + WEIR_S(1)), 3);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + WEIR_S(1000)), 5);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 5, t), WEIR_S(3));
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t), -3);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + 1), -3);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + WEIR_S(1)), -2);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + WEIR_S(3)), 0);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, INT64_MAX), 5);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 0, t + WEIR_S(4)), 0);
    ck_assert_int_eq(weir_limiter_tokens_at(&limiter, t + WEIR_S(9)), 1);
    ck_assert_int_eq(weir_limiter_init(&limiter, 100, 0), 0);
    ck_assert_int_eq(weir_limiter_tokens(&limiter), 0);
}
END_TEST

START_TEST(a_window_tells_how_much_of_it_is_used)
{
    weir_window *window;
    ck_assert_int_eq(weir_window_new(&window, 3, 100), 0);
    ck_assert_uint_eq(weir_window_max(window), 3u);
    ck_assert_uint_eq(weir_window_used(window), 0u);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 0), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 10), 0);
    ck_assert_uint_eq(weir_window_used_at(window, 10), 2u);
    ck_assert_uint_eq(weir_window_used_at(window, 99), 2u);
    ck_assert_uint_eq(weir_window_used_at(window, 100), 1u);
    ck_assert_uint_eq(weir_window_used_at(window, 110), 0u);
    ck_assert_int_eq(weir_window_reserve_at(window, 3, 50), 60); /* at 110 */
    ck_assert_uint_eq(weir_window_used_at(window, 50), 3u);
    ck_assert_uint_eq(weir_window_used_at(window, 209), 3u);
    ck_assert_uint_eq(weir_window_used_at(window, 210), 0u);
    for (int i = 0; i < 20; i++) { /* the log goes round */
        ck_assert_int_eq(weir_window_allow_at(window, 2, 1000 * i + 300), 0);
        ck_assert_uint_eq(weir_window_used_at(window, 1000 * i + 399), 2u);
        ck_assert_uint_eq(weir_window_used_at(window, 1000 * i + 400), 0u);
    }
    weir_window_free(window);
}
END_TEST

static void call(weir_breaker *breaker, int code, int64_t now)
{
    uint64_t ticket;
    ck_assert_int_eq(weir_breaker_allow_at(breaker, &ticket, now), 0);
    weir_breaker_record_at(breaker, ticket, code, now);
}

START_TEST(a_breaker_counts_calls_results_and_how_often_it_opened)
{
    weir_breaker breaker;
    uint64_t ticket;
    ck_assert_int_eq(
        weir_breaker_init(&breaker,
                          WEIR_BREAKER_OPTIONS(.window = 4, .minimum_calls = 2, .open_for = 100)),
        0);
    call(&breaker, 0, 0);
    call(&breaker, -ECANCELED, 0); /* neither */
    call(&breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_allow_at(&breaker, &ticket, 50), -EAGAIN);
    ck_assert_int_eq(weir_breaker_allow_at(&breaker, &ticket, 60), -EAGAIN);
    call(&breaker, -EIO, 100); /* a probe */
    call(&breaker, 0, 200);
    weir_breaker_record_at(&breaker, 1, 0, 200); /* of a period that is over */
    weir_breaker_counts counts;
    weir_breaker_read_counts(&breaker, &counts);
    ck_assert_uint_eq(counts.allowed, 5u);
    ck_assert_uint_eq(counts.refused, 2u);
    ck_assert_uint_eq(counts.succeeded, 2u);
    ck_assert_uint_eq(counts.failed, 2u);
    ck_assert_uint_eq(counts.opened, 2u);
}
END_TEST

/* Lease pools. */

struct shop {
    int things[8];
    unsigned made;
    int fails;
};

static int make_thing(void *user, void **ret_resource)
{
    struct shop *shop = user;
    if (shop->fails != 0)
        return shop->fails;
    *ret_resource = &shop->things[shop->made++];
    return 0;
}

static int lease_one(void *pool)
{
    void *thing;
    int err = weir_lease_acquire_until(pool, &thing, NULL, patience());
    if (err == 0)
        weir_lease_release(pool, thing, 0);
    return err;
}

START_TEST(a_lease_pool_counts_its_resources_and_who_waits)
{
    struct shop shop = {.made = 0};
    weir_lease_pool *pool;
    weir_lease_counts counts;
    void *a, *b;
    ck_assert_int_eq(
        weir_lease_pool_new(
            &pool, WEIR_LEASE_OPTIONS(.max = 2, .min_idle = 1, .make = make_thing, .user = &shop)),
        0);
    ck_assert_uint_eq(weir_lease_max(pool), 2u);
    ck_assert_int_eq(weir_lease_acquire(pool, &a), 0);
    ck_assert_int_eq(weir_lease_acquire(pool, &b), 0);
    caller waiter;
    caller_start(&waiter, lease_one, pool);
    ck_assert(caller_await_asleep(&waiter));
    weir_lease_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.lent, 2u);
    ck_assert_uint_eq(counts.idle, 0u);
    ck_assert_uint_eq(counts.waiting, 1u);
    ck_assert_uint_eq(counts.made, 2u);
    weir_lease_release(pool, a, 0);
    ck_assert_int_eq(caller_join(&waiter), 0);
    shop.fails = -EIO;
    weir_lease_release(pool, b, -EIO); /* destroyed; one is idle, which is enough */
    ck_assert_int_eq(weir_lease_acquire(pool, &a), 0);
    ck_assert_int_eq(weir_lease_acquire(pool, &b), -EIO);
    weir_lease_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.lent, 1u);
    ck_assert_uint_eq(counts.waiting, 0u);
    ck_assert_uint_eq(counts.made, 2u);
    ck_assert_uint_eq(counts.destroyed, 1u);
    ck_assert_uint_ge(counts.failed, 1u); /* the upkeep tries too */
    weir_lease_release(pool, a, 0);
    weir_lease_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.lent, 0u);
    ck_assert_uint_eq(counts.idle, 1u);
    weir_lease_pool_free(pool);
}
END_TEST

/* Groups. */

START_TEST(an_errgroup_tells_how_many_are_active_and_may_be)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group;
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 5)), 0);
    ck_assert_uint_eq(weir_errgroup_limit(group), 5u);
    ck_assert_uint_eq(weir_errgroup_active(group), 0u);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_errgroup_go(group, gate_task, &hold), 0);
    ck_assert_uint_eq(weir_errgroup_active(group), 3u);
    ck_assert_int_eq(weir_errgroup_set_limit(group, 2), 0);
    ck_assert_uint_eq(weir_errgroup_limit(group), 2u);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_uint_eq(weir_errgroup_active(group), 0u);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* Nothing. */

START_TEST(nothing_tells_nothing)
{
    weir_topic_counts topic = {1, 1, 1, 1};
    weir_breaker_counts breaker = {1, 1, 1, 1, 1};
    weir_lease_counts lease = {1, 1, 1, 1, 1, 1};
    weir_topic_read_counts(NULL, NULL);
    weir_topic_read_counts(NULL, &topic);
    weir_breaker_read_counts(NULL, NULL);
    weir_breaker_read_counts(NULL, &breaker);
    weir_lease_read_counts(NULL, NULL);
    weir_lease_read_counts(NULL, &lease);
    ck_assert_uint_eq(topic.subscribers + topic.published + topic.received + topic.missed, 0u);
    ck_assert_uint_eq(breaker.allowed + breaker.refused + breaker.succeeded + breaker.failed, 0u);
    ck_assert_uint_eq(breaker.opened, 0u);
    ck_assert_uint_eq(lease.lent + lease.idle + lease.waiting + lease.made, 0u);
    ck_assert_uint_eq(lease.destroyed + lease.failed, 0u);
    ck_assert_uint_eq(weir_semaphore_permits(NULL), 0u);
    ck_assert_uint_eq(weir_semaphore_available(NULL), 0u);
    ck_assert_uint_eq(weir_semaphore_waiting(NULL), 0u);
    ck_assert_int_eq(weir_channel_is_closed(NULL), 0);
    ck_assert_int_eq(weir_limiter_tokens(NULL), 0);
    ck_assert_uint_eq(weir_limiter_burst(NULL), 0u);
    ck_assert_uint_eq(weir_window_used(NULL), 0u);
    ck_assert_uint_eq(weir_window_max(NULL), 0u);
    ck_assert_uint_eq(weir_lease_max(NULL), 0u);
    ck_assert_uint_eq(weir_errgroup_active(NULL), 0u);
    ck_assert_uint_eq(weir_errgroup_limit(NULL), 0u);
    weir_limiter never_made = {{0}};
    ck_assert_int_eq(weir_limiter_tokens(&never_made), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("observers");
    TCase *objects = add_group(suite, "objects");
    tcase_add_test(objects, a_semaphore_tells_what_is_free_and_how_many_wait);
    tcase_add_test(objects, a_channel_tells_whether_it_is_closed);
    tcase_add_test(objects, a_topic_counts_what_was_published_received_and_missed);
    tcase_add_test(objects, a_limiter_tells_its_tokens_and_its_debt);
    tcase_add_test(objects, a_window_tells_how_much_of_it_is_used);
    tcase_add_test(objects, a_breaker_counts_calls_results_and_how_often_it_opened);
    tcase_add_test(objects, a_lease_pool_counts_its_resources_and_who_waits);
    tcase_add_test(objects, an_errgroup_tells_how_many_are_active_and_may_be);
    tcase_add_test(objects, nothing_tells_nothing);
    return suite;
}
