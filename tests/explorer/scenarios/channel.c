/* SPDX-License-Identifier: MIT */
/* channel.c - send, recv, close and select against each other, against cancellation, and against
 * the end of the channel. Elements are small numbers, and none may be lost or doubled. */
#include "scenario.h"

#include "base/pace.h"
#include "base/sizes.h"
#include "flow/channel.h"

_Static_assert(CHANNEL_YIELD_NS == 0 && MUTEX_ROUNDS == 0,
               "calls sleep at once when built for the explorer");
_Static_assert(CHANNEL_TWO_LOCKS == 1, "and each side has its lock, but in a rendezvous");

enum { SOON = 2000 };

struct work {
    weir_channel *a, *b;
    weir_context *ctx;
    int64_t deadline;
    int sent[3], received[3];        /* counts of each number; written by one thread each */
    int send_errs[3], recv_err, err; /* what the last call of each kind returned */
    int value;
};

static weir_channel *new_channel(size_t capacity)
{
    weir_channel *channel = NULL;
    int err = weir_channel_new(&channel, sizeof(int), capacity);
    check(err == 0);
    return channel;
}

static struct work *new_work(size_t capacity)
{
    struct work *work = make(sizeof *work);
    work->a = new_channel(capacity);
    work->b = new_channel(capacity);
    work->deadline = WEIR_FOREVER;
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    return work;
}

static void end_work(struct work *work)
{
    weir_channel_free(work->a);
    weir_channel_free(work->b);
    weir_context_unref(work->ctx);
    drop(work);
}

static void send_number(struct work *work, weir_channel *channel, int number)
{
    int err = weir_channel_send(channel, &number);
    check(err == 0 || err == -EPIPE);
    work->send_errs[number] = err;
    if (err == 0)
        work->sent[number]++;
}

/* Returns the number, or a negative error. */
static int receive(weir_channel *channel)
{
    int number = -1;
    int err = weir_channel_recv(channel, &number);
    check(err == 0 || (err == -EPIPE && number == -1));
    return err == 0 ? number : err;
}

static void send_0_1_2(void *arg)
{
    struct work *work = arg;
    for (int i = 0; i < 3; i++)
        send_number(work, work->a, i);
}

static void send_0(void *arg)
{
    send_number(arg, ((struct work *)arg)->a, 0);
}

static void send_1(void *arg)
{
    send_number(arg, ((struct work *)arg)->a, 1);
}

static void close_a(void *arg)
{
    (void)weir_channel_close(((struct work *)arg)->a);
}

static void cancel(void *arg)
{
    weir_context_cancel(((struct work *)arg)->ctx, 0);
}

static void elements_keep_their_order(size_t capacity)
{
    struct work *work = new_work(capacity);
    explore_begin();
    struct vthread *sender = start(send_0_1_2, work);
    for (int i = 0; i < 3; i++) {
        int number = receive(work->a);
        check(number == i);
    }
    finish(sender);
    explore_end();
    end_work(work);
}

static void rendezvous_keeps_the_order(void)
{
    elements_keep_their_order(0);
}

static void a_channel_of_one_keeps_the_order(void)
{
    elements_keep_their_order(1);
}

static void send_three_words(void *arg)
{
    for (uint64_t i = 0; i < 3; i++) {
        int err = weir_channel_send(arg, &i);
        check(err == 0);
    }
}

/* Elements that the library copies by itself, so that the copies are seen; and a second lap, which
 * must not write before the first one was read. */
static void words_keep_their_order(size_t capacity)
{
    weir_channel *channel = NULL;
    int err = weir_channel_new(&channel, sizeof(uint64_t), capacity);
    check(err == 0);
    explore_begin();
    struct vthread *sender = start(send_three_words, channel);
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t word = 9;
        err = weir_channel_recv(channel, &word);
        check(err == 0 && word == i);
    }
    finish(sender);
    explore_end();
    weir_channel_free(channel);
}

static void a_channel_of_one_word_goes_round(void)
{
    words_keep_their_order(1);
}

static void a_channel_of_two_words_goes_round(void)
{
    words_keep_their_order(2);
}

static void two_senders(size_t capacity)
{
    struct work *work = new_work(capacity);
    explore_begin();
    struct vthread *x = start(send_0, work), *y = start(send_1, work);
    int first = receive(work->a), second = receive(work->a);
    finish(x);
    finish(y);
    explore_end();
    check(first + second == 1 && first != second);
    end_work(work);
}

static void two_senders_meet_one_receiver(void)
{
    two_senders(0);
}

static void two_senders_fill_a_channel_of_one(void)
{
    two_senders(1);
}

static void receive_one(void *arg)
{
    struct work *work = arg;
    work->value = receive(work->a);
}

/* Each side works under its own lock, or enters an arm while the other side does. */
static void both_sides_meet(size_t capacity)
{
    struct work *work = new_work(capacity);
    explore_begin();
    struct vthread *sender = start(send_0, work), *receiver = start(receive_one, work);
    send_number(work, work->a, 1);
    int number = receive(work->a);
    finish(sender);
    finish(receiver);
    explore_end();
    check(number + work->value == 1 && number != work->value);
    check(weir_channel_count(work->a) == 0);
    end_work(work);
}

static void two_senders_and_two_receivers_of_a_channel_of_two(void)
{
    both_sides_meet(2);
}

/* Room is made while another thread finds the ring full. */
static void a_full_channel_is_emptied(void)
{
    struct work *work = new_work(2);
    send_number(work, work->a, 2);
    send_number(work, work->a, 2);
    explore_begin();
    struct vthread *sender = start(send_0, work);
    for (int i = 0; i < 3; i++) {
        int number = receive(work->a);
        check(number == (i < 2 ? 2 : 0));
    }
    finish(sender);
    explore_end();
    end_work(work);
}

/* The receiver of the last element frees the channel while the send is still returning. */
static void free_after_recv(size_t capacity)
{
    struct work *work = new_work(capacity);
    explore_begin();
    struct vthread *sender = start(send_0, work);
    int number = receive(work->a);
    check(number == 0);
    weir_channel_free(work->a);
    finish(sender);
    explore_end();
    work->a = NULL;
    end_work(work);
}

static void a_rendezvous_is_freed_right_after_recv(void)
{
    free_after_recv(0);
}

static void a_channel_is_freed_right_after_recv(void)
{
    free_after_recv(1);
}

static void receive_and_free(void *arg)
{
    struct work *work = arg;
    work->received[0] = receive(work->a) == 0;
    weir_channel_free(work->a);
}

/* A select that sent the last element does not touch its channel any more. */
static void a_channel_is_freed_right_after_a_select_sent(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *receiver = start(receive_and_free, work);
    const int number = 0, other = 1;
    weir_select_case cases[] = {
        {.channel = work->a, .send = &number},
        {.channel = work->b, .recv = &work->value},
        {.channel = work->a, .send = &other},
    };
    work->value = weir_select(cases, 3);
    check(work->value == 0 || work->value == 2);
    finish(receiver);
    explore_end();
    check(work->received[0] == (work->value == 0));
    work->a = NULL;
    end_work(work);
}

static void receive_until(void *arg)
{
    struct work *work = arg;
    int number = -1;
    work->recv_err = weir_channel_recv_until(work->a, &number, work->ctx, work->deadline);
    check(number == (work->recv_err == 0 ? 0 : -1));
}

static void try_send_against(struct work *work)
{
    const int number = 0;
    int err = weir_channel_try_send(work->a, &number);
    check(err == 0 || err == -EAGAIN);
    work->send_errs[0] = err;
}

static void send_against_a_cancelled_recv(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *receiver = start(receive_until, work), *canceller = start(cancel, work);
    try_send_against(work);
    finish(canceller);
    finish(receiver);
    explore_end();
    check(work->recv_err == 0 || work->recv_err == -ECANCELED);
    check((work->send_errs[0] == 0) == (work->recv_err == 0));
    end_work(work);
}

static void a_cancel_before_the_send_wins(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *receiver = start(receive_until, work);
    cancel(work);
    try_send_against(work);
    finish(receiver);
    explore_end();
    check(work->recv_err == -ECANCELED && work->send_errs[0] == 0);
    check(weir_channel_count(work->a) == 1);
    end_work(work);
}

static void send_against_a_recv_that_times_out(void)
{
    struct work *work = new_work(0);
    work->deadline = SOON;
    explore_begin();
    instant(SOON);
    struct vthread *receiver = start(receive_until, work);
    try_send_against(work);
    finish(receiver);
    explore_end();
    check(work->recv_err == 0 || work->recv_err == -ETIMEDOUT);
    check((work->send_errs[0] == 0) == (work->recv_err == 0));
    end_work(work);
}

static void send_until(void *arg)
{
    struct work *work = arg;
    const int number = 2;
    work->err = weir_channel_send_until(work->a, &number, work->ctx, work->deadline);
    if (work->err == 0)
        work->sent[2]++;
}

static void recv_against_a_cancelled_send(void)
{
    struct work *work = new_work(1);
    send_number(work, work->a, 0);
    explore_begin();
    struct vthread *sender = start(send_until, work), *canceller = start(cancel, work);
    int number = receive(work->a);
    check(number == 0);
    finish(sender);
    finish(canceller);
    explore_end();
    check(work->err == 0 || work->err == -ECANCELED);
    check(weir_channel_count(work->a) == (work->err == 0 ? 1 : 0));
    end_work(work);
}

/* What made the send possible came after the cancel. */
static void a_cancel_before_the_recv_wins(void)
{
    struct work *work = new_work(1);
    send_number(work, work->a, 0);
    explore_begin();
    struct vthread *sender = start(send_until, work);
    cancel(work);
    int number = receive(work->a);
    check(number == 0);
    finish(sender);
    explore_end();
    check(work->err == -ECANCELED && weir_channel_count(work->a) == 0);
    end_work(work);
}

static void close_against_send_and_recv(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *sender = start(send_0, work), *closer = start(close_a, work);
    int first = receive(work->a), second = receive(work->a);
    check((first == 0 || first == -EPIPE) && second == -EPIPE);
    finish(sender);
    finish(closer);
    explore_end();
    check((first == 0) == (work->sent[0] == 1));
    end_work(work);
}

static void close_wakes_both_kinds(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *receiver = start(receive_until, work), *sender = start(send_0, work);
    close_a(work);
    finish(receiver);
    finish(sender);
    explore_end();
    check((work->recv_err == 0) == (work->send_errs[0] == 0));
    check(work->recv_err == 0 || work->recv_err == -EPIPE);
    end_work(work);
}

/* Sends 0 on one channel or 1 on the other, or receives. */
static int select_either(weir_channel *sends, weir_channel *receives, int number, int *ret_number)
{
    weir_select_case cases[] = {
        {.channel = sends, .send = &number},
        {.channel = receives, .recv = ret_number},
    };
    int index = weir_select(cases, 2);
    check(index == 0 || index == 1);
    check(cases[index].status == 0);
    return index;
}

static void select_b_a(void *arg)
{
    struct work *work = arg;
    int number = -1;
    int index = select_either(work->b, work->a, 1, &number);
    check(number == (index == 1 ? 0 : -1));
    work->received[0] = index == 1;
    work->sent[1] = index == 0;
}

/* Both send on one channel or receive on the other; they must meet in one of two ways. */
static void select_against_select(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *other = start(select_b_a, work);
    int number = -1;
    int index = select_either(work->a, work->b, 0, &number);
    check(number == (index == 1 ? 1 : -1));
    finish(other);
    explore_end();
    check(work->received[0] == (index == 0) && work->sent[1] == (index == 1));
    end_work(work);
}

/* Each has a send and a recv on the same channel: they meet each other, not themselves. */
static void select_both(void *arg)
{
    struct work *work = arg;
    int number = -1;
    int index = select_either(work->a, work->a, 1, &number);
    check(number == (index == 1 ? 0 : -1));
    work->received[0] = index == 1;
}

static void selects_that_both_send_and_receive_on_one_channel(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *other = start(select_both, work);
    int number = -1;
    int index = select_either(work->a, work->a, 0, &number);
    check(number == (index == 1 ? 1 : -1));
    finish(other);
    explore_end();
    check(work->received[0] == (index == 0));
    end_work(work);
}

static void send_1_to_b(void *arg)
{
    send_number(arg, ((struct work *)arg)->b, 1);
}

/* Two senders, one select that takes one of them, one recv that takes the other. */
static void select_takes_one_of_two(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *x = start(send_0, work), *y = start(send_1_to_b, work);
    int a = -1, b = -1;
    weir_select_case cases[] = {
        {.channel = work->a, .recv = &a},
        {.channel = work->b, .recv = &b},
    };
    int index = weir_select(cases, 2);
    check(index == 0 || index == 1);
    check(index == 0 ? a == 0 && b == -1 : a == -1 && b == 1);
    int rest = receive(index == 0 ? work->b : work->a);
    check(rest == (index == 0 ? 1 : 0));
    finish(x);
    finish(y);
    explore_end();
    end_work(work);
}

static void receive_from_b(void *arg)
{
    struct work *work = arg;
    work->value = receive(work->b);
}

/* A select that receives from one channel or sends to another, which is full, each used under one
 * lock by others. */
static void select_against_calls_with_one_lock(void)
{
    struct work *work = new_work(1);
    send_number(work, work->b, 1);
    explore_begin();
    struct vthread *sender = start(send_0, work), *receiver = start(receive_from_b, work);
    int number = -1;
    int index = select_either(work->b, work->a, 2, &number);
    check(number == (index == 1 ? 0 : -1));
    finish(sender);
    finish(receiver);
    explore_end();
    check(work->value == 1);
    check(weir_channel_count(work->a) == (index == 0) &&
          weir_channel_count(work->b) == (index == 0));
    end_work(work);
}

static void select_until(void *arg)
{
    struct work *work = arg;
    int a = -1, b = -1;
    weir_select_case cases[] = {
        {.channel = work->a, .recv = &a},
        {.channel = work->b, .recv = &b},
    };
    work->err = weir_select_until(cases, 2, work->ctx, WEIR_FOREVER);
    work->received[0] = a == 0;
    work->received[1] = b == 1;
}

static void select_against_cancel_and_two_senders(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *selector = start(select_until, work), *canceller = start(cancel, work);
    const int zero = 0, one = 1;
    int to_a = weir_channel_try_send(work->a, &zero), to_b = weir_channel_try_send(work->b, &one);
    finish(selector);
    finish(canceller);
    explore_end();
    check(work->received[0] == (to_a == 0) && work->received[1] == (to_b == 0));
    check(work->received[0] + work->received[1] == (work->err >= 0));
    check(work->err == -ECANCELED || work->err == (to_a == 0 ? 0 : 1));
    end_work(work);
}

/* The context, and a time, are cases: a case happens once, and no element is lost by it. */
static void select_with_cases(void *arg)
{
    struct work *work = arg;
    int a = -1;
    weir_select_case cases[] = {
        {.context = work->ctx, .status = 1},
        {.channel = work->a, .recv = &a, .status = 1},
        {.at = work->deadline, .status = 1},
    };
    int index = weir_select(cases, 3);
    check(index >= 0 && index < 3 && cases[index].status == (index == 0 ? -ECANCELED : 0));
    check(index != 2 || weir_now() >= work->deadline);
    work->received[0] = a == 0;
    work->err = index;
}

static void select_with_cases_against_send_and_cancel(void)
{
    struct work *work = new_work(0);
    work->deadline = WEIR_FOREVER;
    explore_begin();
    struct vthread *selector = start(select_with_cases, work), *canceller = start(cancel, work);
    const int zero = 0;
    int sent = weir_channel_try_send(work->a, &zero);
    finish(selector);
    finish(canceller);
    explore_end();
    check(work->received[0] == (sent == 0) && work->err == (sent == 0 ? 1 : 0));
    check(weir_channel_try_send(work->a, &zero) == -EAGAIN); /* no arm is left */
    end_work(work);
}

/* What made the recv possible came after the cancel. */
static void a_cancel_of_a_case_before_the_send_wins(void)
{
    struct work *work = new_work(0);
    explore_begin();
    struct vthread *selector = start(select_with_cases, work);
    cancel(work);
    const int zero = 0;
    int sent = weir_channel_try_send(work->a, &zero);
    finish(selector);
    explore_end();
    check(sent == -EAGAIN && work->err == 0);
    end_work(work);
}

static void select_with_cases_against_send_and_time(void)
{
    struct work *work = new_work(0);
    weir_context *cancelled = work->ctx;
    work->ctx = NULL;
    work->deadline = SOON;
    explore_begin();
    instant(SOON);
    struct vthread *selector = start(select_with_cases, work);
    const int zero = 0;
    int sent = weir_channel_try_send(work->a, &zero);
    finish(selector);
    explore_end();
    check(work->received[0] == (sent == 0) && work->err == (sent == 0 ? 1 : 2));
    work->ctx = cancelled;
    end_work(work);
}

static void send_0_as_one_of_two(void *arg)
{
    struct work *work = arg;
    weir_channel *channel = work->a;
    const int zero = 0;
    work->sent[0] = weir_channel_send(channel, &zero) == 0;
    int err = weir_channel_sender_done(channel);
    check(err == 0);
}

static void receive_all_and_free(void *arg)
{
    struct work *work = arg;
    while (receive(work->a) == 0)
        work->received[0]++;
    weir_channel_free(work->a);
    work->a = NULL;
}

/* The last sender closes: a receiver gets all, then -EPIPE, and may free the channel then. */
static void the_last_sender_closes(void)
{
    struct work *work = new_work(1);
    weir_channel *channel = work->a;
    int err = weir_channel_add_senders(channel, 2);
    check(err == 0);
    explore_begin();
    struct vthread *sender = start(send_0_as_one_of_two, work);
    struct vthread *receiver = start(receive_all_and_free, work);
    err = weir_channel_sender_done(channel);
    check(err == 0);
    finish(receiver);
    finish(sender);
    explore_end();
    check(work->sent[0] == 1 && work->received[0] == 1);
    end_work(work);
}

static void select_against_close(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *closer = start(close_a, work), *sender = start(send_1_to_b, work);
    int a = -1, b = -1;
    weir_select_case cases[] = {
        {.channel = work->a, .recv = &a, .status = 1},
        {.channel = work->b, .recv = &b, .status = 1},
    };
    int index = weir_select(cases, 2);
    check(index == 0 || index == 1);
    check(a == -1 && b == (index == 1 ? 1 : -1));
    check(cases[index].status == (index == 0 ? -EPIPE : 0) && cases[1 - index].status == 1);
    finish(closer);
    finish(sender);
    explore_end();
    end_work(work);
}

const struct scenario channel_scenarios[] = {
    {"a rendezvous keeps the order", rendezvous_keeps_the_order, false},
    {"a channel of one keeps the order", a_channel_of_one_keeps_the_order, false},
    {"a channel of one word goes round", a_channel_of_one_word_goes_round, false},
    {"a channel of two words goes round", a_channel_of_two_words_goes_round, false},
    {"two senders meet one receiver", two_senders_meet_one_receiver, false},
    {"two senders fill a channel of one", two_senders_fill_a_channel_of_one, false},
    {"two senders and two receivers of a channel of two",
     two_senders_and_two_receivers_of_a_channel_of_two, false},
    {"a full channel is emptied", a_full_channel_is_emptied, false},
    {"a rendezvous is freed right after recv", a_rendezvous_is_freed_right_after_recv, false},
    {"a channel is freed right after recv", a_channel_is_freed_right_after_recv, false},
    {"a channel is freed right after a select sent", a_channel_is_freed_right_after_a_select_sent,
     false},
    {"send against a cancelled recv", send_against_a_cancelled_recv, false},
    {"a cancel before the send wins", a_cancel_before_the_send_wins, false},
    {"send against a recv that times out", send_against_a_recv_that_times_out, false},
    {"recv against a cancelled send", recv_against_a_cancelled_send, false},
    {"a cancel before the recv wins", a_cancel_before_the_recv_wins, false},
    {"close against send and recv", close_against_send_and_recv, false},
    {"close wakes both kinds", close_wakes_both_kinds, false},
    {"select against select", select_against_select, false},
    {"selects that both send and receive on one channel",
     selects_that_both_send_and_receive_on_one_channel, false},
    {"select takes one of two", select_takes_one_of_two, false},
    {"select against calls with one lock", select_against_calls_with_one_lock, false},
    {"select against cancel and two senders", select_against_cancel_and_two_senders, false},
    {"select against close", select_against_close, false},
    {"select with cases against send and cancel", select_with_cases_against_send_and_cancel, false},
    {"select with cases against send and time", select_with_cases_against_send_and_time, false},
    {"a cancel of a case before the send wins", a_cancel_of_a_case_before_the_send_wins, false},
    {"the last sender closes", the_last_sender_closes, false},
    {0},
};
