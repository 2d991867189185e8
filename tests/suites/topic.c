/* SPDX-License-Identifier: MIT */
/* topic.c - which subscribers get what is published, and which miss it. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/threads.h"
#include "weir.h"

static weir_topic *new_topic(void)
{
    weir_topic *topic = NULL;
    ck_assert_int_eq(weir_topic_new(&topic), 0);
    return topic;
}

static weir_channel *new_channel(size_t element_size, size_t capacity)
{
    weir_channel *channel = NULL;
    ck_assert_int_eq(weir_channel_new(&channel, element_size, capacity), 0);
    return channel;
}

static int publish(weir_topic *topic, int number)
{
    return weir_topic_publish(topic, &number);
}

/* What has come, or INT_MIN. */
static int received(weir_channel *channel)
{
    int number = INT_MIN;
    return weir_channel_try_recv(channel, &number) == 0 ? number : INT_MIN;
}

/* Contract. */

START_TEST(every_subscriber_gets_what_is_published)
{
    weir_topic *topic = new_topic();
    weir_channel *a = new_channel(sizeof(int), 4), *b = new_channel(sizeof(int), 4);
    ck_assert_int_eq(publish(topic, 0), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, a), 0);
    ck_assert_int_eq(publish(topic, 1), 1);
    ck_assert_int_eq(weir_topic_subscribe(topic, b), 0);
    ck_assert_int_eq(publish(topic, 2), 2);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, a), 0);
    ck_assert_int_eq(publish(topic, 3), 1);
    ck_assert_int_eq(received(a), 1);
    ck_assert_int_eq(received(a), 2);
    ck_assert_int_eq(received(a), INT_MIN);
    ck_assert_int_eq(received(b), 2);
    ck_assert_int_eq(received(b), 3);
    ck_assert_int_eq(received(b), INT_MIN);
    weir_topic_free(topic); /* with a subscriber */
    weir_channel_free(b);
    weir_channel_free(a);
}
END_TEST

START_TEST(a_full_subscriber_misses_and_the_others_do_not)
{
    weir_topic *topic = new_topic();
    weir_channel *slow = new_channel(sizeof(int), 1), *fast = new_channel(sizeof(int), 9);
    ck_assert_int_eq(weir_topic_subscribe(topic, slow), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, fast), 0);
    ck_assert_int_eq(publish(topic, 1), 2);
    ck_assert_uint_eq(weir_topic_missed(topic, slow), 0u);
    ck_assert_int_eq(publish(topic, 2), 1);
    ck_assert_int_eq(publish(topic, 3), 1);
    ck_assert_uint_eq(weir_topic_missed(topic, slow), 2u);
    ck_assert_uint_eq(weir_topic_missed(topic, fast), 0u);
    ck_assert_int_eq(received(slow), 1);
    ck_assert_int_eq(publish(topic, 4), 2);
    ck_assert_int_eq(received(slow), 4);
    for (int i = 1; i <= 4; i++)
        ck_assert_int_eq(received(fast), i);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, slow), 0);
    ck_assert_uint_eq(weir_topic_missed(topic, slow), 0u);
    ck_assert_int_eq(weir_topic_subscribe(topic, slow), 0);
    ck_assert_uint_eq(weir_topic_missed(topic, slow), 0u);
    weir_topic_free(topic);
    weir_channel_free(fast);
    weir_channel_free(slow);
}
END_TEST

START_TEST(a_closed_subscriber_neither_receives_nor_misses)
{
    weir_topic *topic = new_topic();
    weir_channel *closed = new_channel(sizeof(int), 1), *open = new_channel(sizeof(int), 1);
    ck_assert_int_eq(weir_topic_subscribe(topic, closed), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, open), 0);
    weir_channel_close(closed);
    ck_assert_int_eq(publish(topic, 1), 1);
    ck_assert_uint_eq(weir_topic_missed(topic, closed), 0u);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, closed), 0);
    weir_topic_free(topic);
    weir_channel_free(open);
    weir_channel_free(closed);
}
END_TEST

START_TEST(all_subscribers_have_elements_of_one_size)
{
    weir_topic *topic = new_topic();
    weir_channel *small = new_channel(1, 1), *large = new_channel(2, 1), *empty = new_channel(0, 1);
    ck_assert_int_eq(weir_topic_subscribe(topic, small), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, large), -EINVAL);
    ck_assert_int_eq(weir_topic_subscribe(topic, empty), -EINVAL);
    ck_assert_int_eq(weir_topic_subscribe(topic, small), -EBUSY);
    ck_assert_int_eq(weir_topic_publish(topic, NULL), -EINVAL);
    ck_assert_uint_eq(weir_channel_count(small), 0u);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, small), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, empty), 0);
    ck_assert_int_eq(weir_topic_publish(topic, NULL), 1);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, empty), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, large), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, small), -EINVAL);
    weir_topic_free(topic);
    weir_channel_free(empty);
    weir_channel_free(large);
    weir_channel_free(small);
}
END_TEST

START_TEST(arguments_that_can_never_be_valid_are_refused)
{
    weir_topic *topic = new_topic();
    weir_channel *channel = new_channel(1, 1);
    ck_assert_int_eq(weir_topic_new(NULL), -EINVAL);
    weir_topic_free(NULL);
    ck_assert_int_eq(weir_topic_subscribe(NULL, channel), -EINVAL);
    ck_assert_int_eq(weir_topic_subscribe(topic, NULL), -EINVAL);
    ck_assert_int_eq(weir_topic_unsubscribe(NULL, channel), -EINVAL);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, NULL), -EINVAL);
    ck_assert_int_eq(weir_topic_unsubscribe(topic, channel), -EINVAL);
    ck_assert_int_eq(weir_topic_publish(NULL, ""), -EINVAL);
    ck_assert_uint_eq(weir_topic_missed(NULL, channel), 0u);
    ck_assert_uint_eq(weir_topic_missed(topic, NULL), 0u);
    ck_assert_uint_eq(weir_topic_missed(topic, channel), 0u);
    weir_channel_free(channel);
    weir_topic_free(topic);
}
END_TEST

/* Misuse. */

static void free_a_subscriber(void *arg)
{
    (void)arg;
    weir_topic *topic = NULL;
    weir_channel *channel = NULL;
    (void)!weir_topic_new(&topic);
    (void)!weir_channel_new(&channel, sizeof(int), 1);
    (void)!weir_topic_subscribe(topic, channel);
    weir_channel_free(channel);
}

START_TEST(freeing_a_channel_that_is_subscribed_aborts)
{
    assert_aborts(free_a_subscriber, NULL,
                  "weir: weir_channel_free: the channel is subscribed to a topic.");
}
END_TEST

/* Threads. */

struct receiver {
    weir_channel *channel;
    int number;
    caller thread;
};

static int receive(void *arg)
{
    struct receiver *receiver = arg;
    return weir_channel_recv(receiver->channel, &receiver->number);
}

START_TEST(a_rendezvous_gets_an_element_while_somebody_receives)
{
    weir_topic *topic = new_topic();
    struct receiver receiver = {.channel = new_channel(sizeof(int), 0)};
    ck_assert_int_eq(weir_topic_subscribe(topic, receiver.channel), 0);
    ck_assert_int_eq(publish(topic, 1), 0);
    ck_assert_uint_eq(weir_topic_missed(topic, receiver.channel), 1u);
    caller_start(&receiver.thread, receive, &receiver);
    ck_assert(caller_await_asleep(&receiver.thread));
    ck_assert_int_eq(publish(topic, 2), 1);
    ck_assert_int_eq(caller_join(&receiver.thread), 0);
    ck_assert_int_eq(receiver.number, 2);
    weir_topic_free(topic);
    weir_channel_free(receiver.channel);
}
END_TEST

enum { PUBLISHERS = 3, EACH = 1000 };

struct publisher {
    weir_topic *topic;
    int number;
};

static int publish_all(void *arg)
{
    const struct publisher *publisher = arg;
    for (int i = 0; i < EACH; i++)
        if (publish(publisher->topic, publisher->number * EACH + i) < 2)
            return -1;
    return 0;
}

static int come_and_go(void *arg)
{
    weir_topic *topic = arg;
    for (int i = 0; i < EACH; i++) {
        weir_channel *channel = NULL;
        int err = weir_channel_new(&channel, sizeof(int), 1);
        if (err == 0)
            err = weir_topic_subscribe(topic, channel);
        if (err == 0)
            err = weir_topic_unsubscribe(topic, channel);
        weir_channel_free(channel); /* no publisher may still use it */
        if (err != 0)
            return err;
    }
    return 0;
}

START_TEST(subscribers_get_everything_in_one_order_while_others_come_and_go)
{
    weir_topic *topic = new_topic();
    weir_channel *a = new_channel(sizeof(int), PUBLISHERS * EACH);
    weir_channel *b = new_channel(sizeof(int), PUBLISHERS * EACH);
    ck_assert_int_eq(weir_topic_subscribe(topic, a), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, b), 0);
    struct publisher publishers[PUBLISHERS];
    caller threads[PUBLISHERS], guest;
    caller_start(&guest, come_and_go, topic);
    for (int i = 0; i < PUBLISHERS; i++) {
        publishers[i] = (struct publisher){topic, i};
        caller_start(&threads[i], publish_all, &publishers[i]);
    }
    for (int i = 0; i < PUBLISHERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(caller_join(&guest), 0);
    int next[PUBLISHERS] = {0};
    for (int i = 0; i < PUBLISHERS * EACH; i++) {
        int number = received(a);
        ck_assert_int_ge(number, 0);
        ck_assert_int_eq(received(b), number);
        ck_assert_int_eq(number % EACH, next[number / EACH]++);
    }
    ck_assert_int_eq(received(a), INT_MIN);
    ck_assert_int_eq(received(b), INT_MIN);
    weir_topic_free(topic);
    weir_channel_free(b);
    weir_channel_free(a);
}
END_TEST

/* fork. */

START_TEST(a_topic_goes_on_in_a_forked_child)
{
    weir_topic *topic = new_topic();
    weir_channel *channel = new_channel(sizeof(int), 1);
    ck_assert_int_eq(weir_topic_subscribe(topic, channel), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(40);
        bool right = publish(topic, 3) == 1 && received(channel) == 3 &&
                     weir_topic_unsubscribe(topic, channel) == 0 && publish(topic, 4) == 0;
        weir_topic_free(topic);
        weir_channel_free(channel);
        _exit(right ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(publish(topic, 5), 1);
    ck_assert_int_eq(received(channel), 5);
    weir_topic_free(topic);
    weir_channel_free(channel);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("topic");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, every_subscriber_gets_what_is_published);
    tcase_add_test(contract, a_full_subscriber_misses_and_the_others_do_not);
    tcase_add_test(contract, a_closed_subscriber_neither_receives_nor_misses);
    tcase_add_test(contract, all_subscribers_have_elements_of_one_size);
    tcase_add_test(contract, arguments_that_can_never_be_valid_are_refused);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, freeing_a_channel_that_is_subscribed_aborts);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, a_rendezvous_gets_an_element_while_somebody_receives);
    tcase_add_test(threads, subscribers_get_everything_in_one_order_while_others_come_and_go);
    TCase *fork_group = add_group(suite, "fork");
    tcase_add_test(fork_group, a_topic_goes_on_in_a_forked_child);
    return suite;
}
