/* SPDX-License-Identifier: MIT */
/* channel.c - send, recv and close on one channel; select is in select.c. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static weir_channel *new_channel(size_t element_size, size_t capacity)
{
    weir_channel *channel = NULL;
    ck_assert_int_eq(weir_channel_new(&channel, element_size, capacity), 0);
    return channel;
}

/* A call made by a thread of its own. */
struct party {
    weir_channel *channel;
    int number; /* to send, or received */
    weir_context *ctx;
    int64_t deadline;
    caller thread;
};

static int send_number(void *arg)
{
    const struct party *party = arg;
    return weir_channel_send_until(party->channel, &party->number, party->ctx, party->deadline);
}

static int receive_number(void *arg)
{
    struct party *party = arg;
    return weir_channel_recv_until(party->channel, &party->number, party->ctx, party->deadline);
}

/* Starts the call and waits until it waits. */
static void queue(struct party *party, int (*call)(void *), weir_channel *channel)
{
    party->channel = channel;
    if (party->deadline == 0)
        party->deadline = WEIR_FOREVER;
    caller_start(&party->thread, call, party);
    ck_assert(caller_await_asleep(&party->thread));
}

static int receive(weir_channel *channel)
{
    int number = INT_MIN;
    ck_assert_int_eq(weir_channel_recv(channel, &number), 0);
    return number;
}

static void send(weir_channel *channel, int number)
{
    ck_assert_int_eq(weir_channel_send(channel, &number), 0);
}

/* Of a rendezvous, of a channel with one lock, and of one with a lock for each side. */
static const size_t capacities[] = {0, 1, 20};
enum { CAPACITIES = sizeof capacities / sizeof capacities[0] };

static void fill(weir_channel *channel)
{
    while (weir_channel_try_send(channel, &(int){0}) == 0)
        ;
}

/* Contract. */

static void go_round(int capacity)
{
    weir_channel *channel = new_channel(sizeof(int), (size_t)capacity);
    ck_assert_uint_eq(weir_channel_capacity(channel), (size_t)capacity);
    for (int lap = 0; lap < 10; lap++) {
        for (int i = 0; i < capacity; i++) {
            ck_assert_uint_eq(weir_channel_count(channel), (size_t)i);
            send(channel, 100 * lap + i);
        }
        int one_more = -1;
        ck_assert_int_eq(weir_channel_try_send(channel, &one_more), -EAGAIN);
        ck_assert_uint_eq(weir_channel_count(channel), (size_t)capacity);
        for (int i = 0; i < capacity; i++)
            ck_assert_int_eq(receive(channel), 100 * lap + i);
        ck_assert_int_eq(weir_channel_try_recv(channel, &one_more), -EAGAIN);
        ck_assert_int_eq(one_more, -1);
    }
    weir_channel_free(channel);
}

START_TEST(elements_come_out_in_the_order_in_which_they_went_in)
{
    go_round(3);
    go_round(20);
}
END_TEST

/* The sides go on alone for a while, and look at each other again and again. */
START_TEST(a_channel_that_is_never_full_or_empty_keeps_the_order)
{
    weir_channel *channel = new_channel(sizeof(int), 20);
    int sent = 0, received = 0;
    for (int lap = 0; lap < 50; lap++) {
        while (sent - received < 19)
            send(channel, sent++);
        while (sent - received > 1 + lap % 3)
            ck_assert_int_eq(receive(channel), received++);
        ck_assert_uint_eq(weir_channel_count(channel), (size_t)(sent - received));
    }
    weir_channel_free(channel);
}
END_TEST

START_TEST(elements_of_any_size_are_copied_whole)
{
    enum { LARGEST = 1000, CAPACITY = 3 };
    const size_t sizes[] = {1, 3, 4, 7, 8, 9, 16, 24, LARGEST};
    unsigned char in[LARGEST], out[LARGEST + 1];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        weir_channel *channel = new_channel(sizes[s], CAPACITY);
        for (int i = 0; i < 2 * CAPACITY; i++) {
            memset(in, i + 1, sizes[s]);
            memset(out, 0xEE, sizeof out);
            ck_assert_int_eq(weir_channel_send(channel, in), 0);
            ck_assert_int_eq(weir_channel_recv(channel, out), 0);
            ck_assert_mem_eq(out, in, sizes[s]);
            ck_assert_uint_eq(out[sizes[s]], 0xEE);
        }
        weir_channel_free(channel);
    }
}
END_TEST

START_TEST(elements_without_a_size_are_signals)
{
    weir_channel *channel = new_channel(0, 2);
    ck_assert_int_eq(weir_channel_send(channel, NULL), 0);
    ck_assert_int_eq(weir_channel_try_send(channel, ""), 0);
    ck_assert_int_eq(weir_channel_try_send(channel, NULL), -EAGAIN);
    ck_assert_int_eq(weir_channel_recv(channel, NULL), 0);
    ck_assert_int_eq(weir_channel_try_recv(channel, NULL), 0);
    ck_assert_int_eq(weir_channel_try_recv(channel, NULL), -EAGAIN);
    weir_channel_free(channel);

    weir_channel *endless = new_channel(0, SIZE_MAX); /* signals need no memory */
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(weir_channel_try_send(endless, NULL), 0);
    ck_assert_uint_eq(weir_channel_count(endless), 1000u);
    weir_channel_free(endless);
}
END_TEST

START_TEST(arguments_that_can_never_be_valid_are_refused)
{
    weir_channel *untouched = (weir_channel *)&untouched, *channel = untouched;
    ck_assert_int_eq(weir_channel_new(NULL, 1, 1), -EINVAL);
    ck_assert_int_eq(weir_channel_new(&channel, SIZE_MAX, 2), -EINVAL);
    ck_assert_int_eq(weir_channel_new(&channel, 2, SIZE_MAX), -EINVAL);
    ck_assert_int_eq(weir_channel_new(&channel, 1, SIZE_MAX), -EINVAL);
    ck_assert_int_eq(weir_channel_new(&channel, SIZE_MAX / 2, 2), -EINVAL);
    ck_assert_ptr_eq(channel, untouched);
    int number = 0;
    ck_assert_int_eq(weir_channel_send(NULL, &number), -EINVAL);
    ck_assert_int_eq(weir_channel_try_send(NULL, &number), -EINVAL);
    ck_assert_int_eq(weir_channel_send_until(NULL, &number, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_channel_recv(NULL, &number), -EINVAL);
    ck_assert_int_eq(weir_channel_try_recv(NULL, &number), -EINVAL);
    ck_assert_int_eq(weir_channel_recv_until(NULL, &number, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_channel_close(NULL), -EINVAL);
    ck_assert_uint_eq(weir_channel_count(NULL), 0u);
    ck_assert_uint_eq(weir_channel_capacity(NULL), 0u);
    weir_channel_free(NULL);
    channel = new_channel(sizeof number, 1);
    ck_assert_int_eq(weir_channel_send(channel, NULL), -EINVAL);
    ck_assert_int_eq(weir_channel_recv(channel, NULL), -EINVAL);
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    weir_channel_free(channel);
}
END_TEST

START_TEST(the_full_form_fails_by_context_first_and_by_deadline_last)
{
    weir_channel *channel = new_channel(sizeof(int), 1);
    weir_context *over, *late;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&late, NULL, 0), 0);
    weir_context_cancel(over, -EIO);
    int in = 1, out = 7;
    ck_assert_int_eq(weir_channel_send_until(channel, &in, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_channel_send_until(channel, &in, late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    ck_assert_int_eq(weir_channel_send_until(channel, &in, NULL, INT64_MIN), 0);
    ck_assert_int_eq(weir_channel_send_until(channel, &in, NULL, INT64_MIN), -ETIMEDOUT);
    ck_assert_int_eq(weir_channel_recv_until(channel, &out, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(out, 7);
    ck_assert_uint_eq(weir_channel_count(channel), 1u);
    ck_assert_int_eq(weir_channel_recv_until(channel, &out, NULL, 0), 0);
    ck_assert_int_eq(out, 1);
    ck_assert_int_eq(weir_channel_recv_until(channel, &out, NULL, 0), -ETIMEDOUT);
    int64_t deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_channel_recv_until(channel, &out, NULL, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    weir_channel_close(channel);
    ck_assert_int_eq(weir_channel_recv_until(channel, &out, over, WEIR_FOREVER), -ECANCELED);
    weir_channel_free(channel);
    weir_context_unref(late);
    weir_context_unref(over);
}
END_TEST

/* Blocking. */

START_TEST(a_rendezvous_keeps_nothing)
{
    weir_channel *channel = new_channel(sizeof(int), 0);
    int number = 1;
    ck_assert_uint_eq(weir_channel_capacity(channel), 0u);
    ck_assert_int_eq(weir_channel_try_send(channel, &number), -EAGAIN);
    ck_assert_int_eq(weir_channel_try_recv(channel, &number), -EAGAIN);
    struct party sender = {.number = 5}, receiver = {.number = 0};
    queue(&sender, send_number, channel);
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    ck_assert_int_eq(weir_channel_try_recv(channel, &number), 0);
    ck_assert_int_eq(number, 5);
    ck_assert_int_eq(caller_join(&sender.thread), 0);
    queue(&receiver, receive_number, channel);
    number = 6;
    ck_assert_int_eq(weir_channel_try_send(channel, &number), 0);
    ck_assert_int_eq(weir_channel_try_send(channel, &number), -EAGAIN);
    ck_assert_int_eq(caller_join(&receiver.thread), 0);
    ck_assert_int_eq(receiver.number, 6);
    weir_channel_free(channel);
}
END_TEST

START_TEST(receivers_that_wait_are_served_in_the_order_of_arrival)
{
    enum { RECEIVERS = 5 };
    weir_channel *channel = new_channel(sizeof(int), 2);
    struct party receivers[RECEIVERS] = {{0}};
    for (int i = 0; i < RECEIVERS; i++)
        queue(&receivers[i], receive_number, channel);
    for (int i = 0; i < RECEIVERS; i++)
        send(channel, 100 + i);
    for (int i = 0; i < RECEIVERS; i++) {
        ck_assert_int_eq(caller_join(&receivers[i].thread), 0);
        ck_assert_int_eq(receivers[i].number, 100 + i);
    }
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    weir_channel_free(channel);
}
END_TEST

START_TEST(senders_that_wait_go_on_in_the_order_of_arrival)
{
    enum { SENDERS = 5 };
    weir_channel *channel = new_channel(sizeof(int), 2);
    send(channel, 100);
    send(channel, 101);
    struct party senders[SENDERS] = {{0}};
    for (int i = 0; i < SENDERS; i++) {
        senders[i].number = 102 + i;
        queue(&senders[i], send_number, channel);
    }
    for (int i = 0; i < SENDERS + 2; i++) {
        ck_assert_int_eq(receive(channel), 100 + i);
        if (i < SENDERS)
            ck_assert_int_eq(caller_join(&senders[i].thread), 0);
    }
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    weir_channel_free(channel);
}
END_TEST

/* Giving up. */

START_TEST(a_cancelled_call_leaves_no_residue)
{
    for (int i = 0; i < CAPACITIES; i++) {
        weir_channel *channel = new_channel(sizeof(int), capacities[i]);
        weir_context *ctx;
        ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
        struct party cancelled = {.ctx = ctx, .number = -1}, other = {.number = -1};
        queue(&cancelled, receive_number, channel);
        queue(&other, receive_number, channel);
        weir_context_cancel(ctx, 0);
        send(channel, 1); /* the cancelled one may not have run yet */
        ck_assert_int_eq(caller_join(&cancelled.thread), -ECANCELED);
        ck_assert_int_eq(cancelled.number, -1);
        ck_assert_int_eq(caller_join(&other.thread), 0);
        ck_assert_int_eq(other.number, 1);
        weir_channel_free(channel);
        weir_context_unref(ctx);
    }
}
END_TEST

START_TEST(a_cancelled_send_leaves_no_element)
{
    for (int i = 0; i < CAPACITIES; i++) {
        size_t capacity = capacities[i];
        weir_channel *channel = new_channel(sizeof(int), capacity);
        fill(channel);
        weir_context *ctx;
        ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
        struct party cancelled = {.ctx = ctx, .number = 8}, other = {.number = 9};
        queue(&cancelled, send_number, channel);
        queue(&other, send_number, channel);
        weir_context_cancel(ctx, 0);
        for (size_t k = 0; k < capacity; k++)
            ck_assert_int_eq(receive(channel), 0);
        ck_assert_int_eq(receive(channel), 9);
        ck_assert_int_eq(caller_join(&cancelled.thread), -ECANCELED);
        ck_assert_int_eq(caller_join(&other.thread), 0);
        ck_assert_int_eq(weir_channel_try_recv(channel, &(int){0}), -EAGAIN);
        weir_channel_free(channel);
        weir_context_unref(ctx);
    }
}
END_TEST

START_TEST(a_call_that_timed_out_leaves_no_residue)
{
    weir_channel *channel = new_channel(sizeof(int), 0);
    int number = 3;
    int64_t soon = weir_after(WEIR_MS(10));
    ck_assert_int_eq(weir_channel_send_until(channel, &number, NULL, soon), -ETIMEDOUT);
    ck_assert_int_eq(weir_channel_try_recv(channel, &number), -EAGAIN);
    soon = weir_after(WEIR_MS(10));
    ck_assert_int_eq(weir_channel_recv_until(channel, &number, NULL, soon), -ETIMEDOUT);
    ck_assert_int_eq(weir_channel_try_send(channel, &number), -EAGAIN);
    weir_channel_free(channel);
}
END_TEST

static int receive_in_task(weir_context *ctx, void *channel)
{
    int number = 0;
    return weir_channel_recv_until(channel, &number, ctx, WEIR_FOREVER);
}

START_TEST(a_task_that_waits_ends_when_it_is_cancelled)
{
    weir_pool *pool = new_pool(1, 2);
    weir_channel *channel = new_channel(sizeof(int), 1);
    weir_task task = WEIR_TASK_INIT, next = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, receive_in_task, channel, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &next, receive_in_task, channel, NULL), 0);
    while (weir_task_state(&task) != WEIR_TASK_RUNNING)
        (void)!weir_sleep_until(NULL, weir_after(1000));
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    send(channel, 1);
    ck_assert_int_eq(weir_task_wait(&next), 0);
    ck_assert_int_eq(weir_task_status(&next), 0);
    finish_pool(pool);
    weir_channel_free(channel);
}
END_TEST

/* Closing. */

START_TEST(a_closed_channel_gives_what_is_there_and_then_ends)
{
    weir_channel *channel = new_channel(sizeof(int), 3);
    send(channel, 1);
    send(channel, 2);
    ck_assert_int_eq(weir_channel_close(channel), 0);
    ck_assert_int_eq(weir_channel_close(channel), -EALREADY);
    int number = 3;
    ck_assert_int_eq(weir_channel_send(channel, &number), -EPIPE);
    ck_assert_int_eq(weir_channel_try_send(channel, &number), -EPIPE);
    ck_assert_int_eq(weir_channel_send_until(channel, &number, NULL, 0), -EPIPE);
    ck_assert_int_eq(receive(channel), 1);
    ck_assert_int_eq(receive(channel), 2);
    ck_assert_int_eq(weir_channel_recv(channel, &number), -EPIPE);
    ck_assert_int_eq(weir_channel_try_recv(channel, &number), -EPIPE);
    ck_assert_int_eq(weir_channel_recv_until(channel, &number, NULL, 0), -EPIPE);
    ck_assert_int_eq(number, 3);
    weir_channel_free(channel);
}
END_TEST

START_TEST(close_wakes_everybody)
{
    enum { WAITERS = 6 };
    weir_channel *empty = new_channel(sizeof(int), 1), *full = new_channel(sizeof(int), 1);
    weir_channel *rendezvous = new_channel(sizeof(int), 0);
    send(full, 1);
    struct party parties[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        parties[i] = (struct party){.number = 50};
        queue(&parties[i], i % 3 == 1 ? send_number : receive_number,
              i % 3 == 0   ? empty
              : i % 3 == 1 ? full
                           : rendezvous);
    }
    ck_assert_int_eq(weir_channel_close(empty), 0);
    ck_assert_int_eq(weir_channel_close(full), 0);
    ck_assert_int_eq(weir_channel_close(rendezvous), 0);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(caller_join(&parties[i].thread), -EPIPE);
        ck_assert_int_eq(parties[i].number, 50);
    }
    ck_assert_int_eq(receive(full), 1);
    weir_channel_free(rendezvous);
    weir_channel_free(full);
    weir_channel_free(empty);
}
END_TEST

START_TEST(the_last_sender_closes)
{
    enum { SENDERS = 3 };
    weir_channel *channel = new_channel(sizeof(int), SENDERS);
    struct party waiter = {.number = 50};
    ck_assert_int_eq(weir_channel_add_senders(channel, 1), 0);
    ck_assert_int_eq(weir_channel_add_senders(channel, SENDERS - 1), 0);
    for (int i = 0; i < SENDERS; i++) {
        send(channel, i);
        ck_assert_int_eq(receive(channel), i);
        if (i == SENDERS - 1)
            queue(&waiter, receive_number, channel);
        ck_assert_int_eq(weir_channel_sender_done(channel), 0);
    }
    ck_assert_int_eq(caller_join(&waiter.thread), -EPIPE);
    ck_assert_int_eq(weir_channel_close(channel), -EALREADY);
    ck_assert_int_eq(weir_channel_add_senders(channel, 1), -EPIPE);
    weir_channel_free(channel);
}
END_TEST

/* A close for another reason does not wait for the senders, which are done as ever. */
START_TEST(senders_may_be_done_after_a_close)
{
    weir_channel *channel = new_channel(sizeof(int), 1);
    ck_assert_int_eq(weir_channel_add_senders(channel, 2), 0);
    ck_assert_int_eq(weir_channel_close(channel), 0);
    ck_assert_int_eq(weir_channel_sender_done(channel), 0);
    ck_assert_int_eq(weir_channel_sender_done(channel), 0);
    weir_channel_free(channel);
}
END_TEST

START_TEST(senders_that_cannot_be_counted_are_refused)
{
    weir_channel *channel = new_channel(sizeof(int), 1);
    ck_assert_int_eq(weir_channel_add_senders(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_channel_add_senders(channel, 0), -EINVAL);
    ck_assert_int_eq(weir_channel_sender_done(NULL), -EINVAL);
    ck_assert_int_eq(weir_channel_add_senders(channel, SIZE_MAX), 0);
    ck_assert_int_eq(weir_channel_add_senders(channel, 1), -EOVERFLOW);
    weir_channel_free(channel);
}
END_TEST

/* Many threads. */

enum { THREADS = 4, EACH = 4000 };

struct crowd {
    weir_channel *channel;
    _Atomic unsigned char seen[THREADS * EACH];
    atomic_int errors;
};

struct member {
    struct crowd *crowd;
    int number;
};

/* {sender, place in its sequence}, and a pattern that a torn copy would not have. */
struct parcel {
    uint32_t number, again, inverse;
};

static int send_all(void *arg)
{
    const struct member *member = arg;
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t number = (uint32_t)member->number * EACH + i;
        struct parcel parcel = {number, number, ~number};
        if (weir_channel_send(member->crowd->channel, &parcel) != 0)
            return -1;
    }
    return 0;
}

/* Receives until it is closed; the elements of each sender must come in their order. */
static int receive_all(void *arg)
{
    const struct member *member = arg;
    struct crowd *crowd = member->crowd;
    int64_t last[THREADS];
    for (int i = 0; i < THREADS; i++)
        last[i] = -1;
    struct parcel parcel;
    int err;
    while ((err = weir_channel_recv(crowd->channel, &parcel)) == 0) {
        if (parcel.number != parcel.again || parcel.number != ~parcel.inverse ||
            parcel.number >= THREADS * EACH || last[parcel.number / EACH] >= parcel.number ||
            atomic_fetch_add(&crowd->seen[parcel.number], 1) != 0)
            atomic_fetch_add(&crowd->errors, 1);
        else
            last[parcel.number / EACH] = parcel.number;
    }
    return err;
}

static void pass_all(size_t capacity)
{
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    crowd.channel = new_channel(sizeof(struct parcel), capacity);
    struct member members[THREADS];
    caller senders[THREADS], receivers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){&crowd, i};
        caller_start(&senders[i], send_all, &members[i]);
        caller_start(&receivers[i], receive_all, &members[i]);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&senders[i]), 0);
    ck_assert_int_eq(weir_channel_close(crowd.channel), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&receivers[i]), -EPIPE);
    ck_assert_int_eq(atomic_load(&crowd.errors), 0);
    for (int i = 0; i < THREADS * EACH; i++)
        ck_assert_uint_eq(atomic_load(&crowd.seen[i]), 1u);
    weir_channel_free(crowd.channel);
}

START_TEST(nothing_is_lost_or_doubled_or_out_of_order)
{
    pass_all(0);
    pass_all(1);
    pass_all(20);
    pass_all(1000);
}
END_TEST

static int send_one(void *channel)
{
    return weir_channel_send(channel, &(int){1});
}

START_TEST(whoever_received_the_last_element_may_free_it_at_once)
{
    for (int round = 0; round < 400; round++) {
        weir_channel *channel = new_channel(sizeof(int), capacities[round % CAPACITIES]);
        caller sender;
        caller_start(&sender, send_one, channel);
        ck_assert_int_eq(receive(channel), 1);
        weir_channel_free(channel);
        ck_assert_int_eq(caller_join(&sender), 0);
    }
}
END_TEST

/* fork. */

static int use_in_child(weir_channel *channel)
{
    int number = 0;
    if (weir_channel_try_recv(channel, &number) != -EAGAIN) /* the receivers are in the parent */
        return 1;
    if (weir_channel_try_send(channel, &(int){4}) != 0 || weir_channel_count(channel) != 1)
        return 2;
    fill(channel);
    if (weir_channel_try_send(channel, &(int){5}) != -EAGAIN)
        return 3;
    if (weir_channel_send_until(channel, &(int){5}, NULL, weir_after(1000)) != -ETIMEDOUT)
        return 4;
    if (weir_channel_recv(channel, &number) != 0 || number != 4)
        return 5;
    if (weir_channel_close(channel) != 0)
        return 6;
    weir_channel_free(channel);
    return 0;
}

static void fork_beside_those_who_wait(size_t capacity)
{
    weir_channel *channel = new_channel(sizeof(int), capacity);
    struct party receivers[2] = {{0}};
    queue(&receivers[0], receive_number, channel);
    queue(&receivers[1], receive_number, channel);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(40);
        _exit(use_in_child(channel));
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    send(channel, 10);
    send(channel, 11);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(caller_join(&receivers[i].thread), 0);
        ck_assert_int_eq(receivers[i].number, 10 + i);
    }
    weir_channel_free(channel);
}

START_TEST(a_forked_child_goes_on_without_those_who_waited)
{
    fork_beside_those_who_wait(1);
    fork_beside_those_who_wait(20);
}
END_TEST

/* Misuse. */

static void free_beside_a_waiter(void *arg)
{
    (void)arg;
    weir_channel *channel = NULL;
    (void)!weir_channel_new(&channel, sizeof(int), 0);
    caller sender;
    caller_start(&sender, send_one, channel);
    (void)caller_await_asleep(&sender);
    weir_channel_free(channel);
}

START_TEST(freeing_a_channel_that_somebody_waits_on_aborts)
{
    assert_aborts(free_beside_a_waiter, NULL,
                  "weir: weir_channel_free: somebody waits on the channel.");
}
END_TEST

static void be_done_once_more(void *unused)
{
    (void)unused;
    weir_channel *channel = new_channel(sizeof(int), 1);
    if (weir_channel_add_senders(channel, 1) == 0)
        (void)weir_channel_sender_done(channel);
    (void)weir_channel_sender_done(channel);
}

START_TEST(more_senders_than_were_added_abort)
{
    assert_aborts(be_done_once_more, NULL,
                  "weir: weir_channel_sender_done: there is no sender left.");
}
END_TEST

struct traffic {
    weir_channel *channel;
    atomic_bool over;
};

static int go_to_and_fro(void *arg)
{
    struct traffic *traffic = arg;
    int number = 0;
    while (!atomic_load(&traffic->over)) {
        (void)!weir_channel_try_send(traffic->channel, &number);
        (void)!weir_channel_try_recv(traffic->channel, &number);
    }
    return 0;
}

START_TEST(a_forked_child_may_free_it_whatever_others_were_about)
{
    struct traffic traffic = {.channel = new_channel(sizeof(int), 20)};
    caller other;
    caller_start(&other, go_to_and_fro, &traffic);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            (void)alarm(40);
            weir_channel_free(traffic.channel);
            _exit(0);
        }
        int status = -1;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
    }
    atomic_store(&traffic.over, true);
    ck_assert_int_eq(caller_join(&other), 0);
    weir_channel_free(traffic.channel);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("channel");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, elements_come_out_in_the_order_in_which_they_went_in);
    tcase_add_test(contract, a_channel_that_is_never_full_or_empty_keeps_the_order);
    tcase_add_test(contract, elements_of_any_size_are_copied_whole);
    tcase_add_test(contract, elements_without_a_size_are_signals);
    tcase_add_test(contract, arguments_that_can_never_be_valid_are_refused);
    tcase_add_test(contract, the_full_form_fails_by_context_first_and_by_deadline_last);
    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, a_rendezvous_keeps_nothing);
    tcase_add_test(blocking, receivers_that_wait_are_served_in_the_order_of_arrival);
    tcase_add_test(blocking, senders_that_wait_go_on_in_the_order_of_arrival);
    TCase *giving_up = add_group(suite, "giving up");
    tcase_add_test(giving_up, a_cancelled_call_leaves_no_residue);
    tcase_add_test(giving_up, a_cancelled_send_leaves_no_element);
    tcase_add_test(giving_up, a_call_that_timed_out_leaves_no_residue);
    tcase_add_test(giving_up, a_task_that_waits_ends_when_it_is_cancelled);
    TCase *closing = add_group(suite, "closing");
    tcase_add_test(closing, a_closed_channel_gives_what_is_there_and_then_ends);
    tcase_add_test(closing, close_wakes_everybody);
    tcase_add_test(closing, the_last_sender_closes);
    tcase_add_test(closing, senders_may_be_done_after_a_close);
    tcase_add_test(closing, senders_that_cannot_be_counted_are_refused);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, nothing_is_lost_or_doubled_or_out_of_order);
    tcase_add_test(threads, whoever_received_the_last_element_may_free_it_at_once);
    TCase *fork_group = add_group(suite, "fork");
    tcase_add_test(fork_group, a_forked_child_goes_on_without_those_who_waited);
    tcase_add_test(fork_group, a_forked_child_may_free_it_whatever_others_were_about);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, freeing_a_channel_that_somebody_waits_on_aborts);
    tcase_add_test(misuse, more_senders_than_were_added_abort);
    return suite;
}
