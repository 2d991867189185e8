/* SPDX-License-Identifier: MIT */
/* select.c - waiting on several channels at once. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/slow.h"
#include "support/threads.h"
#include "weir.h"

static weir_channel *new_channel(size_t capacity)
{
    weir_channel *channel = NULL;
    ck_assert_int_eq(weir_channel_new(&channel, sizeof(int), capacity), 0);
    return channel;
}

static void send(weir_channel *channel, int number)
{
    ck_assert_int_eq(weir_channel_try_send(channel, &number), 0);
}

/* A select of up to four cases made by a thread of its own. */
struct selector {
    weir_select_case cases[4];
    size_t n;
    weir_context *ctx;
    int64_t deadline;
    caller thread;
};

static int select_cases(void *arg)
{
    struct selector *selector = arg;
    return weir_select_until(selector->cases, selector->n, selector->ctx, selector->deadline);
}

static void queue(struct selector *selector)
{
    if (selector->deadline == 0)
        selector->deadline = WEIR_FOREVER;
    caller_start(&selector->thread, select_cases, selector);
    ck_assert(caller_await_asleep(&selector->thread));
}

/* Contract. */

START_TEST(the_one_case_that_can_happen_does)
{
    weir_channel *full = new_channel(1), *empty = new_channel(1), *meets = new_channel(0);
    send(full, 7);
    int in = 1, out = 0, untouched = -1;
    weir_select_case cases[] = {
        {.channel = empty, .recv = &untouched, .status = 77},
        {.channel = full, .send = &in, .status = 77},
        {.channel = full, .recv = &out, .status = 77},
        {.channel = meets, .send = &in, .status = 77},
        {.channel = meets, .recv = &untouched, .status = 77},
    };
    ck_assert_int_eq(weir_select(cases, 5), 2);
    ck_assert_int_eq(out, 7);
    ck_assert_int_eq(untouched, -1);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(cases[i].status, i == 2 ? 0 : 77);
    ck_assert_int_eq(weir_try_select(cases, 5), 1);
    ck_assert_uint_eq(weir_channel_count(full), 1u);
    ck_assert_int_eq(weir_select_until(cases, 2, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_try_select(cases, 2), -EAGAIN);
    ck_assert_int_eq(weir_try_select(&cases[3], 2), -EAGAIN); /* does not meet itself */
    weir_channel_free(meets);
    weir_channel_free(empty);
    weir_channel_free(full);
}
END_TEST

START_TEST(arguments_that_can_never_be_valid_are_refused)
{
    int number = 0;
    weir_channel *channel = new_channel(1);
    weir_select_case cases[WEIR_SELECT_MAX + 1];
    for (int i = 0; i <= WEIR_SELECT_MAX; i++)
        cases[i] = (weir_select_case){.channel = channel, .send = &number};
    ck_assert_int_eq(weir_select(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_select(cases, 0), -EINVAL);
    ck_assert_int_eq(weir_try_select(cases, 0), -EINVAL);
    ck_assert_int_eq(weir_select_until(cases, 0, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_try_select(cases, WEIR_SELECT_MAX + 1), -EINVAL);
    ck_assert_int_eq(weir_try_select(cases, SIZE_MAX), -EINVAL);
    cases[1].recv = &number;
    ck_assert_int_eq(weir_select(cases, 2), -EINVAL);
    cases[1].recv = NULL;
    cases[1].send = NULL;
    ck_assert_int_eq(weir_select(cases, 2), -EINVAL);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    const weir_select_case mixed[] = {
        {.channel = channel, .send = &number, .context = ctx},
        {.channel = channel, .recv = &number, .at = 1},
        {.channel = channel, .context = ctx},
        {.recv = &number, .context = ctx},
        {.context = ctx, .at = 1},
        {.send = &number, .at = WEIR_FOREVER},
    };
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        cases[1] = mixed[i];
        ck_assert_int_eq(weir_try_select(cases, 2), -EINVAL);
    }
    weir_select_case many[WEIR_SELECT_MAX_CONTEXTS + 1];
    for (int i = 0; i <= WEIR_SELECT_MAX_CONTEXTS; i++)
        many[i] = (weir_select_case){.context = ctx};
    ck_assert_int_eq(weir_try_select(many, WEIR_SELECT_MAX_CONTEXTS + 1), -EINVAL);
    ck_assert_int_eq(weir_try_select(many, WEIR_SELECT_MAX_CONTEXTS), -EAGAIN);
    weir_context_unref(ctx);
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    ck_assert_int_ge(weir_select(&cases[2], WEIR_SELECT_MAX - 1), 0);
    ck_assert_uint_eq(weir_channel_count(channel), 1u);
    weir_channel_free(channel);
}
END_TEST

START_TEST(a_case_without_a_channel_never_happens)
{
    int number = 5;
    weir_channel *channel = new_channel(1);
    weir_select_case cases[] = {
        {.channel = NULL, .recv = &number},
        {.channel = channel, .send = &number},
        {.channel = NULL, .send = &number},
    };
    ck_assert_int_eq(weir_select(cases, 3), 1);
    cases[1].channel = NULL;
    ck_assert_int_eq(weir_select(cases, 3), -EDEADLK);
    ck_assert_int_eq(weir_try_select(cases, 3), -EAGAIN);
    ck_assert_int_eq(weir_select_until(cases, 3, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct selector selector = {.n = 3, .ctx = ctx};
    memcpy(selector.cases, cases, sizeof cases);
    queue(&selector);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&selector.thread), -ECANCELED);
    weir_channel_free(channel);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_case_of_zeros_never_happens)
{
    weir_select_case cases[] = {{.context = NULL}, {.at = WEIR_FOREVER}, {.status = 77}};
    ck_assert_int_eq(weir_select(cases, 3), -EDEADLK);
    ck_assert_int_eq(weir_try_select(cases, 3), -EAGAIN);
    ck_assert_int_eq(weir_select_until(cases, 3, NULL, weir_after(WEIR_MS(1))), -ETIMEDOUT);
    ck_assert_int_eq(cases[2].status, 77);
}
END_TEST

START_TEST(a_case_on_a_channel_of_signals_receives)
{
    weir_channel *signals = NULL;
    ck_assert_int_eq(weir_channel_new(&signals, 0, 1), 0);
    weir_select_case cases[] = {{.channel = signals, .status = 77}};
    ck_assert_int_eq(weir_try_select(cases, 1), -EAGAIN);
    ck_assert_int_eq(weir_channel_send(signals, NULL), 0);
    ck_assert_int_eq(weir_select(cases, 1), 0);
    ck_assert_int_eq(cases[0].status, 0);
    ck_assert_uint_eq(weir_channel_count(signals), 0u);
    weir_channel_free(signals);
}
END_TEST

/* By a cancel, by its deadline, by that of its parent; before the select, or while it waits. */
START_TEST(a_context_that_is_over_is_a_case)
{
    bool cancels = _i < 2, waits = _i % 2 == 1;
    int got = -1;
    weir_channel *channel = new_channel(0);
    weir_context *parent = NULL, *ctx = NULL, *other = NULL;
    int64_t deadline = cancels ? WEIR_FOREVER : weir_after(waits ? WEIR_MS(30) : 0);
    ck_assert_int_eq(weir_context_new(&parent, NULL, deadline), 0);
    ck_assert_int_eq(weir_context_new(&ctx, parent, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&other, NULL, WEIR_FOREVER), 0);
    if (!waits && cancels)
        weir_context_cancel(parent, 0);
    struct selector selector = {
        .cases = {{.context = other, .status = 77},
                  {.channel = channel, .recv = &got, .status = 77},
                  {.context = ctx, .status = 77},
                  {.at = weir_after(WEIR_S(3600)), .status = 77}},
        .n = 4,
        .deadline = weir_after(WEIR_S(3600)),
    };
    if (waits && cancels) {
        queue(&selector);
        weir_context_cancel(parent, 0);
        ck_assert_int_eq(caller_join(&selector.thread), 2);
    } else {
        ck_assert_int_eq(select_cases(&selector), 2);
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(selector.cases[i].status,
                         i != 2 ? 77 : (cancels ? -ECANCELED : -ETIMEDOUT));
    ck_assert_int_eq(got, -1);
    ck_assert_int_eq(weir_channel_try_send(channel, &got), -EAGAIN); /* no arm was left behind */
    weir_channel_free(channel);
    weir_context_unref(other);
    weir_context_unref(ctx);
    weir_context_unref(parent);
}
END_TEST

/* The deadline of the call is not the time of a case, and the other way round. */
START_TEST(a_time_that_has_come_is_a_case)
{
    int got = -1;
    weir_channel *channel = new_channel(1);
    int64_t now = weir_now(), soon = now + WEIR_MS(20), later = now + WEIR_S(3600);
    weir_select_case far[] = {{.at = later, .status = 77}};
    weir_select_case cases[] = {
        {.at = later, .status = 77},
        {.channel = channel, .recv = &got, .status = 77},
        {.at = soon, .status = 77},
    };
    ck_assert_int_eq(weir_select_until(far, 1, NULL, weir_after(WEIR_MS(1))), -ETIMEDOUT);
    ck_assert_int_eq(weir_select(cases, 3), 2);
    ck_assert_int_ge(weir_now(), soon);
    ck_assert_int_eq(cases[2].status, 0);
    ck_assert_int_eq(weir_try_select(cases, 3), 2);
    ck_assert_int_eq(weir_select_until(cases, 3, NULL, soon), 2); /* both: the case */
    cases[2].at = -1;
    ck_assert_int_eq(weir_select_until(cases, 3, NULL, 0), 2);
    ck_assert_int_eq(weir_select_until(cases, 2, NULL, soon), -ETIMEDOUT);
    send(channel, 5);
    ck_assert_int_eq(weir_select(cases, 2), 1);
    ck_assert_int_eq(got, 5);
    ck_assert_int_eq(cases[0].status, 77);
    weir_channel_free(channel);
}
END_TEST

START_TEST(the_calls_own_context_is_no_case)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, weir_after(WEIR_MS(20))), 0);
    weir_select_case cases[] = {{.at = weir_after(WEIR_S(3600)), .status = 77}};
    ck_assert_int_eq(weir_select_until(cases, 1, ctx, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(cases[0].status, 77);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_closed_channel_makes_its_cases_possible)
{
    int number = 5;
    weir_channel *closed = new_channel(1), *open = new_channel(1);
    send(closed, 9);
    weir_channel_close(closed);
    weir_select_case receives[] = {
        {.channel = open, .recv = &number},
        {.channel = closed, .recv = &number},
    };
    ck_assert_int_eq(weir_select(receives, 2), 1);
    ck_assert_int_eq(number, 9);
    ck_assert_int_eq(receives[1].status, 0);
    ck_assert_int_eq(weir_select(receives, 2), 1);
    ck_assert_int_eq(number, 9);
    ck_assert_int_eq(receives[1].status, -EPIPE);
    weir_select_case sends[] = {{.channel = closed, .send = &number}};
    ck_assert_int_eq(weir_select(sends, 1), 0);
    ck_assert_int_eq(sends[0].status, -EPIPE);
    weir_channel_free(open);
    weir_channel_free(closed);
}
END_TEST

START_TEST(a_cancelled_context_comes_first)
{
    int number = 5;
    weir_channel *channel = new_channel(1);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_context_cancel(ctx, 0);
    weir_select_case cases[] = {{.channel = channel, .send = &number}};
    ck_assert_int_eq(weir_select_until(cases, 1, ctx, WEIR_FOREVER), -ECANCELED);
    ck_assert_uint_eq(weir_channel_count(channel), 0u);
    weir_channel_free(channel);
    weir_context_unref(ctx);
}
END_TEST

/* Fairness. */

static void count_picks(weir_select_case cases[], size_t n, size_t possible, void (*undo)(int))
{
    unsigned picks = slow() ? 4000 : 100000, off = slow() ? 4 : 20;
    unsigned counts[WEIR_SELECT_MAX] = {0};
    for (unsigned i = 0; i < picks; i++) {
        int index = weir_try_select(cases, n);
        ck_assert_int_ge(index, 0);
        counts[index]++;
        undo(index);
    }
    unsigned expected = picks / (unsigned)possible;
    size_t picked = 0;
    for (size_t i = 0; i < n; i++) {
        if (counts[i] == 0)
            continue;
        picked++;
        ck_assert_uint_ge(counts[i], expected - expected / off);
        ck_assert_uint_le(counts[i], expected + expected / off);
    }
    ck_assert_uint_eq(picked, possible);
}

static weir_channel *fair_channels[10];

static void send_again(int index)
{
    send(fair_channels[index], index);
}

START_TEST(each_case_that_can_happen_has_the_same_chance)
{
    int number;
    weir_select_case cases[10];
    for (int possible = 1; possible <= 10; possible += 3) {
        for (int i = 0; i < 10; i++) {
            fair_channels[i] = new_channel(1);
            cases[i] = (weir_select_case){.channel = fair_channels[i], .recv = &number};
        }
        for (int i = 0; i < possible;
             i++) /* neighbours: the others must not push their chance on */
            send(fair_channels[i], i);
        count_picks(cases, 10, (size_t)possible, send_again);
        for (int i = 0; i < 10; i++)
            weir_channel_free(fair_channels[i]);
    }
}
END_TEST

static void nothing(int index)
{
    (void)index;
}

START_TEST(contexts_and_times_have_the_same_chance_too)
{
    int number = 0;
    weir_channel *closed = new_channel(1);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, 0), 0);
    ck_assert_int_eq(weir_channel_close(closed), 0);
    weir_select_case cases[] = {
        {.at = 1},
        {.channel = closed, .recv = &number},
        {.at = WEIR_FOREVER},
        {.context = ctx},
        {.context = ctx},
    };
    count_picks(cases, 5, 4, nothing);
    weir_channel_free(closed);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(closed_channels_have_the_same_chance_too)
{
    int number = 0;
    weir_channel *closed = new_channel(1), *signals;
    ck_assert_int_eq(weir_channel_new(&signals, 0, SIZE_MAX), 0);
    weir_channel_close(closed);
    weir_select_case cases[] = {
        {.channel = closed, .recv = &number},
        {.channel = signals, .send = &number},
        {.channel = closed, .send = &number},
    };
    count_picks(cases, 3, 3, nothing);
    weir_channel_free(signals);
    weir_channel_free(closed);
}
END_TEST

/* Blocking. */

START_TEST(the_first_case_to_become_possible_happens_and_no_other)
{
    weir_channel *a = new_channel(0), *b = new_channel(1), *c = new_channel(1);
    send(c, 1);
    int numbers[3] = {-1, -1, 30};
    struct selector selector = {
        .cases = {{.channel = a, .recv = &numbers[0]},
                  {.channel = b, .recv = &numbers[1]},
                  {.channel = c, .send = &numbers[2]}},
        .n = 3,
    };
    queue(&selector);
    int got = 0;
    ck_assert_int_eq(weir_channel_try_recv(c, &got), 0); /* makes room, which the send takes */
    ck_assert_int_eq(got, 1);
    send(b, 2);
    ck_assert_int_eq(weir_channel_try_send(a, &got), -EAGAIN);
    ck_assert_int_eq(caller_join(&selector.thread), 2);
    ck_assert_int_eq(selector.cases[2].status, 0);
    ck_assert_int_eq(weir_channel_try_recv(c, &got), 0);
    ck_assert_int_eq(got, 30);
    ck_assert_int_eq(numbers[0], -1);
    ck_assert_int_eq(numbers[1], -1);
    ck_assert_uint_eq(weir_channel_count(b), 1u);
    weir_channel_free(c);
    weir_channel_free(b);
    weir_channel_free(a);
}
END_TEST

START_TEST(two_selects_meet_each_other)
{
    weir_channel *a = new_channel(0), *b = new_channel(0);
    int one = 1, two = 2, got[2] = {0, 0};
    struct selector first = {
        .cases = {{.channel = a, .send = &one}, {.channel = b, .recv = &got[0]}}, .n = 2};
    queue(&first);
    weir_select_case second[] = {{.channel = b, .send = &two}, {.channel = a, .recv = &got[1]}};
    int index = weir_try_select(second, 2);
    ck_assert(index == 0 || index == 1);
    ck_assert_int_eq(caller_join(&first.thread), index == 0 ? 1 : 0);
    ck_assert_int_eq(got[0], index == 0 ? 2 : 0);
    ck_assert_int_eq(got[1], index == 1 ? 1 : 0);
    weir_channel_free(b);
    weir_channel_free(a);
}
END_TEST

START_TEST(a_select_that_sends_and_receives_on_one_channel_waits_for_another)
{
    weir_channel *channel = new_channel(0);
    int in = 1, out = 0;
    struct selector selector = {
        .cases = {{.channel = channel, .send = &in}, {.channel = channel, .recv = &out}}, .n = 2};
    queue(&selector);
    send(channel, 8);
    ck_assert_int_eq(caller_join(&selector.thread), 1);
    ck_assert_int_eq(out, 8);
    ck_assert_int_eq(weir_channel_try_recv(channel, &out), -EAGAIN); /* no case was left behind */
    weir_channel_free(channel);
}
END_TEST

START_TEST(close_ends_a_select_that_waits)
{
    weir_channel *a = new_channel(0), *b = new_channel(0);
    int number = 4;
    struct selector selector = {
        .cases = {{.channel = a, .recv = &number}, {.channel = b, .send = &number}}, .n = 2};
    queue(&selector);
    weir_channel_close(b);
    ck_assert_int_eq(caller_join(&selector.thread), 1);
    ck_assert_int_eq(selector.cases[1].status, -EPIPE);
    ck_assert_int_eq(number, 4);
    weir_channel_free(b);
    weir_channel_free(a);
}
END_TEST

START_TEST(a_select_that_gave_up_leaves_nothing_behind)
{
    weir_channel *a = new_channel(0), *b = new_channel(0);
    int number = 4;
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct selector selector = {
        .cases = {{.channel = a, .recv = &number},
                  {.channel = b, .send = &number},
                  {.channel = a, .recv = &number}},
        .n = 3,
        .ctx = ctx,
    };
    queue(&selector);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_channel_try_send(a, &number), -EAGAIN);
    ck_assert_int_eq(weir_channel_try_recv(b, &number), -EAGAIN);
    ck_assert_int_eq(caller_join(&selector.thread), -ECANCELED);
    weir_channel_free(b);
    weir_channel_free(a);
    weir_context_unref(ctx);
}
END_TEST

/* Many threads: half of them select among all channels to send, half to receive. */

enum { CHANNELS = WEIR_SELECT_MAX, THREADS = 8, EACH = 800 };

struct crowd {
    weir_channel *channels[CHANNELS];
    _Atomic unsigned char seen[THREADS / 2 * EACH];
    atomic_int errors;
    atomic_int left; /* to be received */
};

struct member {
    struct crowd *crowd;
    int number;
};

static int send_somewhere(void *arg)
{
    const struct member *member = arg;
    for (int i = 0; i < EACH; i++) {
        int number = member->number * EACH + i;
        weir_select_case cases[CHANNELS];
        for (int c = 0; c < CHANNELS; c++)
            cases[c] = (weir_select_case){.channel = member->crowd->channels[c], .send = &number};
        int index = weir_select(cases, CHANNELS);
        if (index < 0 || cases[index].status != 0)
            atomic_fetch_add(&member->crowd->errors, 1);
    }
    return 0;
}

static int receive_somewhere(void *arg)
{
    const struct member *member = arg;
    struct crowd *crowd = member->crowd;
    while (atomic_fetch_sub(&crowd->left, 1) > 0) {
        int number = -1;
        weir_select_case cases[CHANNELS];
        for (int c = 0; c < CHANNELS; c++)
            cases[c] = (weir_select_case){.channel = crowd->channels[c], .recv = &number};
        int index = weir_select(cases, CHANNELS);
        if (index < 0 || cases[index].status != 0 || number < 0 || number >= THREADS / 2 * EACH ||
            atomic_fetch_add(&crowd->seen[number], 1) != 0)
            atomic_fetch_add(&crowd->errors, 1);
    }
    return 0;
}

START_TEST(selects_over_all_channels_lose_and_double_nothing)
{
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    crowd.left = THREADS / 2 * EACH;
    for (int c = 0; c < CHANNELS; c++)
        crowd.channels[c] = new_channel((size_t)c % 3);
    struct member members[THREADS];
    caller threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){&crowd, i / 2};
        caller_start(&threads[i], i % 2 == 0 ? send_somewhere : receive_somewhere, &members[i]);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(atomic_load(&crowd.errors), 0);
    for (int i = 0; i < THREADS / 2 * EACH; i++)
        ck_assert_uint_eq(atomic_load(&crowd.seen[i]), 1u);
    for (int c = 0; c < CHANNELS; c++)
        weir_channel_free(crowd.channels[c]);
}
END_TEST

START_TEST(a_forked_child_goes_on_without_a_select_that_waited)
{
    weir_channel *a = new_channel(0), *b = new_channel(0);
    int number = 4;
    struct selector selector = {
        .cases = {{.channel = a, .recv = &number}, {.channel = b, .recv = &number}}, .n = 2};
    queue(&selector);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(40);
        weir_select_case cases[] = {{.channel = a, .send = &number},
                                    {.channel = b, .send = &number}};
        _exit(weir_try_select(cases, 2) == -EAGAIN &&
                      weir_select_until(cases, 2, NULL, weir_after(1000)) == -ETIMEDOUT
                  ? 0
                  : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    send(b, 12);
    ck_assert_int_eq(caller_join(&selector.thread), 1);
    ck_assert_int_eq(number, 12);
    weir_channel_free(b);
    weir_channel_free(a);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("select");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, the_one_case_that_can_happen_does);
    tcase_add_test(contract, arguments_that_can_never_be_valid_are_refused);
    tcase_add_test(contract, a_case_without_a_channel_never_happens);
    tcase_add_test(contract, a_closed_channel_makes_its_cases_possible);
    tcase_add_test(contract, a_cancelled_context_comes_first);
    tcase_add_test(contract, a_case_of_zeros_never_happens);
    tcase_add_test(contract, a_case_on_a_channel_of_signals_receives);
    tcase_add_loop_test(contract, a_context_that_is_over_is_a_case, 0, 4);
    tcase_add_test(contract, a_time_that_has_come_is_a_case);
    tcase_add_test(contract, the_calls_own_context_is_no_case);
    TCase *fairness = add_group(suite, "fairness");
    tcase_add_test(fairness, each_case_that_can_happen_has_the_same_chance);
    tcase_add_test(fairness, closed_channels_have_the_same_chance_too);
    tcase_add_test(fairness, contexts_and_times_have_the_same_chance_too);
    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, the_first_case_to_become_possible_happens_and_no_other);
    tcase_add_test(blocking, two_selects_meet_each_other);
    tcase_add_test(blocking, a_select_that_sends_and_receives_on_one_channel_waits_for_another);
    tcase_add_test(blocking, close_ends_a_select_that_waits);
    tcase_add_test(blocking, a_select_that_gave_up_leaves_nothing_behind);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, selects_over_all_channels_lose_and_double_nothing);
    TCase *fork_group = add_group(suite, "fork");
    tcase_add_test(fork_group, a_forked_child_goes_on_without_a_select_that_waited);
    return suite;
}
