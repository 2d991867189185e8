/* SPDX-License-Identifier: MIT */
/* breaker.c - the circuit breaker, on clocks that the tests set. */
#include "support/suite.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/threads.h"
#include "weir.h"

#define CLOSED WEIR_BREAKER_CLOSED
#define OPEN WEIR_BREAKER_OPEN
#define HALF_OPEN WEIR_BREAKER_HALF_OPEN

static weir_breaker new_breaker(const weir_breaker_options *options)
{
    weir_breaker breaker;
    ck_assert_int_eq(weir_breaker_init(&breaker, options), 0);
    return breaker;
}

static uint64_t allowed_at(weir_breaker *breaker, int64_t now)
{
    uint64_t ticket = 0;
    ck_assert_int_eq(weir_breaker_allow_at(breaker, &ticket, now), 0);
    ck_assert_uint_ne(ticket, 0);
    return ticket;
}

static void call_at(weir_breaker *breaker, int code, int64_t now)
{
    weir_breaker_record_at(breaker, allowed_at(breaker, now), code, now);
}

static void assert_refused_at(weir_breaker *breaker, int64_t now)
{
    uint64_t ticket = 77;
    ck_assert_int_eq(weir_breaker_allow_at(breaker, &ticket, now), -EAGAIN);
    ck_assert_uint_eq(ticket, 77);
}

/* A breaker that opened at `now`, and is open for 100. */
static weir_breaker opened_at(int64_t now, uint32_t half_open_calls)
{
    weir_breaker breaker =
        new_breaker(WEIR_BREAKER_OPTIONS(.window = 4, .minimum_calls = 1, .open_for = 100,
                                         .half_open_calls = half_open_calls));
    call_at(&breaker, -EIO, now);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, now), OPEN);
    return breaker;
}

/* States. */

START_TEST(five_calls_fifty_percent_one_second)
{
    weir_breaker breaker =
        new_breaker(WEIR_BREAKER_OPTIONS(.window = 5, .minimum_calls = 5, .failure_ratio = 0.5,
                                         .open_for = WEIR_S(1)));
    const int codes[] = {-EIO, 0, -EIO, 0};
    for (int i = 0; i < 4; i++)
        call_at(&breaker, codes[i], 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), CLOSED); /* four calls */
    call_at(&breaker, -EIO, WEIR_MS(1));
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, WEIR_MS(1)), OPEN);
    assert_refused_at(&breaker, WEIR_MS(1));
    assert_refused_at(&breaker, WEIR_MS(1001) - 1);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, WEIR_MS(1001)), HALF_OPEN);
    uint64_t probe = allowed_at(&breaker, WEIR_MS(1001));
    assert_refused_at(&breaker, WEIR_MS(1001));
    weir_breaker_record_at(&breaker, probe, 0, WEIR_MS(1002));
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, WEIR_MS(1002)), CLOSED);
    for (int i = 0; i < 4; i++) /* what was before is forgotten */
        call_at(&breaker, -EIO, WEIR_MS(1002));
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, WEIR_MS(1002)), CLOSED);
    call_at(&breaker, 0, WEIR_MS(1002));
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, WEIR_MS(1002)), OPEN);
}
END_TEST

START_TEST(the_defaults_are_those_of_the_header)
{
    weir_breaker breaker = new_breaker(NULL);
    for (int i = 0; i < 9; i++)
        call_at(&breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), CLOSED);
    call_at(&breaker, -EIO, 0);
    assert_refused_at(&breaker, WEIR_S(1) - 1);
    uint64_t probe = allowed_at(&breaker, WEIR_S(1));
    assert_refused_at(&breaker, WEIR_S(1));
    weir_breaker_record_at(&breaker, probe, 0, WEIR_S(1));
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, WEIR_S(1)), CLOSED);

    for (int i = 0; i < 51; i++) /* the last 100 count */
        call_at(&breaker, 0, 0);
    for (int i = 0; i < 49; i++)
        call_at(&breaker, -EIO, 0);
    for (int i = 0; i < 51; i++)
        call_at(&breaker, 0, 0);
    for (int i = 0; i < 49; i++)
        call_at(&breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), CLOSED);
    call_at(&breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), OPEN);
}
END_TEST

START_TEST(only_the_last_calls_count)
{
    const uint32_t windows[] = {1, 2, 63, 64, 65, 1000, 1024};
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        uint32_t window = windows[w];
        weir_breaker breaker =
            new_breaker(WEIR_BREAKER_OPTIONS(.window = window, .minimum_calls = window,
                                             .failure_ratio = 1.0, .open_for = WEIR_S(1)));
        for (uint32_t i = 0; i < 3 * window; i++)
            call_at(&breaker, i % window == window / 2 ? 0 : -EIO, 0);
        for (uint32_t i = 0; i < window / 2; i++)
            call_at(&breaker, -EIO, 0);
        if (window > 1)
            ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), CLOSED);
        call_at(&breaker, -EIO, 0); /* takes the place of the last success */
        ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), OPEN);
    }
}
END_TEST

START_TEST(the_ratio_is_reached_exactly)
{
    for (uint32_t failures = 1; failures <= 100; failures++) {
        weir_breaker breaker = new_breaker(WEIR_BREAKER_OPTIONS(.window = 100, .minimum_calls = 100,
                                                                .failure_ratio = failures / 100.0));
        for (uint32_t i = 0; i < 100; i++)
            call_at(&breaker, i < failures ? -EIO : 0, 0);
        ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), OPEN);
        breaker = new_breaker(WEIR_BREAKER_OPTIONS(.window = 100, .minimum_calls = 100,
                                                   .failure_ratio = failures / 100.0));
        for (uint32_t i = 0; i < 100; i++)
            call_at(&breaker, i < failures - 1 ? -EIO : 0, 0);
        ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), CLOSED);
    }
}
END_TEST

START_TEST(all_probes_must_succeed)
{
    weir_breaker breaker = opened_at(0, 3);
    uint64_t probes[3];
    for (int i = 0; i < 3; i++)
        probes[i] = allowed_at(&breaker, 100);
    assert_refused_at(&breaker, 100);
    weir_breaker_record_at(&breaker, probes[1], 0, 110);
    weir_breaker_record_at(&breaker, probes[0], 0, 120);
    assert_refused_at(&breaker, 120);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 120), HALF_OPEN);
    weir_breaker_record_at(&breaker, probes[2], 0, 130);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 130), CLOSED);
}
END_TEST

START_TEST(the_first_probe_that_fails_opens_again)
{
    weir_breaker breaker = opened_at(0, 3);
    uint64_t a = allowed_at(&breaker, 100), b = allowed_at(&breaker, 100);
    weir_breaker_record_at(&breaker, a, 0, 101);
    weir_breaker_record_at(&breaker, b, 5, 150);
    assert_refused_at(&breaker, 249);
    a = allowed_at(&breaker, 250);
    weir_breaker_record_at(&breaker, a, 0, 250); /* the success before does not count */
    weir_breaker_record_at(&breaker, allowed_at(&breaker, 250), 0, 250);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 250), HALF_OPEN);
    weir_breaker_record_at(&breaker, allowed_at(&breaker, 250), 0, 250);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 250), CLOSED);
}
END_TEST

START_TEST(a_probe_without_a_result_is_void_after_open_for)
{
    weir_breaker breaker = opened_at(0, 1);
    uint64_t lost = allowed_at(&breaker, 150);
    assert_refused_at(&breaker, 249);
    uint64_t probe = allowed_at(&breaker, 250);
    ck_assert_uint_ne(probe, lost);
    weir_breaker_record_at(&breaker, lost, -EIO, 251);
    weir_breaker_record_at(&breaker, lost, 0, 251);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 251), HALF_OPEN);
    assert_refused_at(&breaker, 251);
    weir_breaker_record_at(&breaker, probe, 0, 252);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 252), CLOSED);

    breaker = opened_at(0, 1);
    probe = allowed_at(&breaker, 100);
    weir_breaker_record_at(&breaker, probe, -EIO, 200); /* void, though its place was not taken */
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 200), HALF_OPEN);
}
END_TEST

START_TEST(each_probe_has_a_time_of_its_own)
{
    weir_breaker breaker = opened_at(0, 2);
    uint64_t a = allowed_at(&breaker, 100), b = allowed_at(&breaker, 150);
    assert_refused_at(&breaker, 199);
    uint64_t c = allowed_at(&breaker, 200); /* in the place of a */
    assert_refused_at(&breaker, 200);
    weir_breaker_record_at(&breaker, a, -EIO, 201);
    weir_breaker_record_at(&breaker, b, 0, 202);
    weir_breaker_record_at(&breaker, c, 0, 203);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 203), CLOSED);
}
END_TEST

START_TEST(a_cancelled_call_counts_as_neither)
{
    weir_breaker breaker = new_breaker(WEIR_BREAKER_OPTIONS(.window = 2, .minimum_calls = 2));
    for (int i = 0; i < 10; i++)
        call_at(&breaker, -ECANCELED, 0);
    call_at(&breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), CLOSED);
    breaker = opened_at(0, 1);
    weir_breaker_record_at(&breaker, allowed_at(&breaker, 100), -ECANCELED, 100);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 100), HALF_OPEN);
    weir_breaker_record_at(&breaker, allowed_at(&breaker, 100), 0, 100);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 100), CLOSED);
}
END_TEST

START_TEST(results_of_another_period_are_ignored)
{
    weir_breaker breaker =
        new_breaker(WEIR_BREAKER_OPTIONS(.window = 4, .minimum_calls = 1, .open_for = 100));
    uint64_t early = allowed_at(&breaker, 0), late = allowed_at(&breaker, 0);
    weir_breaker_record_at(&breaker, early, -EIO, 0);
    weir_breaker_record_at(&breaker, late, -EIO, 50); /* does not begin the period anew */
    uint64_t probe = allowed_at(&breaker, 100);
    weir_breaker_record_at(&breaker, late, -EIO, 100);
    weir_breaker_record_at(&breaker, late, 0, 100);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 100), HALF_OPEN);
    weir_breaker_record_at(&breaker, probe, 0, 100);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 100), CLOSED);
    const uint64_t stale[] = {late, early, probe, 0, UINT64_MAX};
    for (size_t i = 0; i < sizeof stale / sizeof stale[0]; i++)
        weir_breaker_record_at(&breaker, stale[i], -EIO, 100);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 100), CLOSED);
}
END_TEST

START_TEST(a_probe_is_recorded_once)
{
    weir_breaker breaker = opened_at(0, 2);
    uint64_t probe = allowed_at(&breaker, 100);
    weir_breaker_record_at(&breaker, probe, 0, 100);
    weir_breaker_record_at(&breaker, probe, 0, 100);
    weir_breaker_record_at(&breaker, probe, -EIO, 100);
    weir_breaker_record_at(&breaker, 0, 0, 100);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 100), HALF_OPEN);
}
END_TEST

START_TEST(the_ends_of_time_are_safe)
{
    weir_breaker breaker =
        new_breaker(WEIR_BREAKER_OPTIONS(.window = 1, .minimum_calls = 1, .open_for = INT64_MAX));
    call_at(&breaker, -EIO, INT64_MAX - 1);
    assert_refused_at(&breaker, INT64_MAX - 1);
    assert_refused_at(&breaker, INT64_MIN);
    uint64_t probe = allowed_at(&breaker, INT64_MAX);
    weir_breaker_record_at(&breaker, probe, 0, INT64_MIN);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, INT64_MIN), CLOSED);
}
END_TEST

START_TEST(the_clock_forms_use_the_clock)
{
    weir_breaker breaker =
        new_breaker(WEIR_BREAKER_OPTIONS(.window = 1, .minimum_calls = 1, .open_for = WEIR_MS(5)));
    uint64_t ticket;
    ck_assert_int_eq(weir_breaker_allow(&breaker, &ticket), 0);
    int64_t before = weir_now();
    weir_breaker_record(&breaker, ticket, -EIO);
    while (weir_breaker_allow(&breaker, &ticket) == -EAGAIN)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert_int_ge(weir_now() - before, WEIR_MS(5));
    ck_assert_int_eq(weir_breaker_read_state(&breaker), HALF_OPEN);
    weir_breaker_record(&breaker, ticket, 0);
    ck_assert_int_eq(weir_breaker_read_state(&breaker), CLOSED);
}
END_TEST

/* on_change. */

struct listener {
    weir_breaker breaker;
    recorder told;
    atomic_int inside, overlaps;
    gate *hold;
    bool call_back;
    atomic_long clock;
};

static void listen(weir_breaker_state from, weir_breaker_state to, void *user)
{
    struct listener *listener = user;
    if (atomic_fetch_add(&listener->inside, 1) != 0)
        atomic_fetch_add(&listener->overlaps, 1);
    recorder_add(&listener->told, (int)from * 10 + (int)to);
    if (listener->hold != NULL)
        gate_wait(listener->hold);
    atomic_fetch_sub(&listener->inside, 1);
    if (listener->call_back && to == OPEN) {
        atomic_fetch_add(&listener->inside, 1);
        uint64_t ticket; /* half open, in the middle of on_change for open */
        if (weir_breaker_allow_at(&listener->breaker, &ticket, INT64_MAX) == 0)
            weir_breaker_record_at(&listener->breaker, ticket, 0, 0);
        atomic_fetch_sub(&listener->inside, 1);
    }
}

static void start_listening(struct listener *listener)
{
    ck_assert_int_eq(
        weir_breaker_init(&listener->breaker,
                          WEIR_BREAKER_OPTIONS(.window = 1, .minimum_calls = 1, .open_for = 1,
                                               .on_change = listen, .user = listener)),
        0);
}

START_TEST(changes_are_told_in_order)
{
    static struct listener listener = {.told = RECORDER_INIT};
    start_listening(&listener);
    call_at(&listener.breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&listener.breaker, 5), HALF_OPEN);
    ck_assert_uint_eq(recorder_count(&listener.told), 1); /* reading changes nothing */
    call_at(&listener.breaker, -EIO, 5);
    call_at(&listener.breaker, 0, 9);
    const int expected[] = {1, 12, 21, 12, 20};
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_at(&listener.told, i), expected[i]);
    ck_assert_uint_eq(recorder_count(&listener.told), 5);
}
END_TEST

START_TEST(who_is_told_may_use_the_breaker)
{
    static struct listener listener = {.told = RECORDER_INIT, .call_back = true};
    start_listening(&listener);
    call_at(&listener.breaker, -EIO, 0);
    const int expected[] = {1, 12, 20};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(recorder_at(&listener.told, i), expected[i]);
    ck_assert_int_eq(weir_breaker_read_state_at(&listener.breaker, 0), CLOSED);
    ck_assert_int_eq(atomic_load(&listener.overlaps), 0);
}
END_TEST

static int fail_once(void *arg)
{
    struct listener *listener = arg;
    call_at(&listener->breaker, -EIO, 0);
    return 0;
}

START_TEST(one_that_does_not_return_does_not_stop_the_calls)
{
    static gate hold = GATE_INIT;
    static struct listener listener = {.told = RECORDER_INIT, .hold = &hold};
    start_listening(&listener);
    caller teller;
    caller_start(&teller, fail_once, &listener);
    gate_await(&hold, 1);
    uint64_t ticket;
    int64_t now = 1;
    int rounds = 0;
    while (weir_breaker_allow_at(&listener.breaker, &ticket, now) == 0) {
        weir_breaker_record_at(&listener.breaker, ticket, rounds % 3 == 0 ? 0 : -EIO, now);
        now += 2;
        ck_assert_int_lt(++rounds, 100);
    }
    ck_assert_int_gt(rounds, 10);
    ck_assert_int_eq(weir_breaker_read_state_at(&listener.breaker, now), OPEN);
    ck_assert_uint_eq(recorder_count(&listener.told), 1);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&teller), 0);
    for (size_t i = 1; i < recorder_count(&listener.told); i++) /* without a gap */
        ck_assert_int_eq(recorder_at(&listener.told, i) / 10,
                         recorder_at(&listener.told, i - 1) % 10);
    ck_assert_int_eq(weir_breaker_read_state_at(&listener.breaker, now), HALF_OPEN);
}
END_TEST

static int use_at_random(void *arg)
{
    struct listener *listener = arg;
    for (int i = 0; i < 200; i++) {
        int64_t now = atomic_fetch_add(&listener->clock, 1);
        uint64_t ticket;
        if (weir_breaker_allow_at(&listener->breaker, &ticket, now) == 0)
            weir_breaker_record_at(&listener->breaker, ticket, now % 3 == 0 ? -EIO : 0, now);
    }
    return 0;
}

START_TEST(changes_by_many_threads_are_told_one_at_a_time_and_in_order)
{
    enum { THREADS = 8 };
    static struct listener listener = {.told = RECORDER_INIT};
    start_listening(&listener);
    caller callers[THREADS];
    for (int i = 0; i < THREADS; i++)
        caller_start(&callers[i], use_at_random, &listener);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    ck_assert_int_eq(atomic_load(&listener.overlaps), 0);
    size_t n = recorder_count(&listener.told);
    ck_assert_uint_gt(n, 0);
    ck_assert_int_eq(recorder_at(&listener.told, 0), 1);
    for (size_t i = 1; i < n; i++)
        ck_assert_int_eq(recorder_at(&listener.told, i) / 10,
                         recorder_at(&listener.told, i - 1) % 10);
    /* on_change has been called for all by the time that the calls have returned. */
    ck_assert_int_eq(recorder_at(&listener.told, n - 1) % 10,
                     weir_breaker_read_state_at(&listener.breaker, INT64_MIN));
}
END_TEST

/* After fork. */

/* Runs fn(arg) in a forked child; whether it returned 0 there. */
static bool holds_in_child(int (*fn)(void *arg), void *arg)
{
    pid_t child = fork();
    if (child == 0)
        _exit(fn(arg) == 0 ? 0 : 1); /* without what is done at exit: it is the parent's */
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int use_inherited(void *arg)
{
    weir_breaker *breaker = arg;
    uint64_t ticket;
    if (weir_breaker_allow_at(breaker, &ticket, 99) != -EAGAIN)
        return __LINE__;
    if (weir_breaker_allow_at(breaker, &ticket, 100) != 0)
        return __LINE__;
    weir_breaker_record_at(breaker, ticket, 0, 100);
    return weir_breaker_read_state_at(breaker, 100) == CLOSED ? 0 : __LINE__;
}

START_TEST(a_child_goes_on_with_what_there_was)
{
    weir_breaker breaker = opened_at(0, 1);
    ck_assert(holds_in_child(use_inherited, &breaker));
    assert_refused_at(&breaker, 99);
}
END_TEST

/* Misuse. */

static void assert_invalid(const weir_breaker_options *options, int code)
{
    weir_breaker breaker, before;
    memset(&breaker, 7, sizeof breaker);
    before = breaker;
    ck_assert_int_eq(weir_breaker_init(&breaker, options), code);
    ck_assert_mem_eq(&breaker, &before, sizeof breaker);
}

START_TEST(options_that_can_never_be_valid_are_refused)
{
    assert_invalid(WEIR_BREAKER_OPTIONS(.window = 1025), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.window = 5, .minimum_calls = 6), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.minimum_calls = 101), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.failure_ratio = -0.1), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.failure_ratio = 1.01), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.failure_ratio = (double)NAN), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.failure_ratio = (double)INFINITY), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.open_for = -1), -EINVAL);
    assert_invalid(WEIR_BREAKER_OPTIONS(.half_open_calls = 17), -EINVAL);
    weir_breaker_options small = {.size = sizeof small - 1};
    assert_invalid(&small, -EINVAL);
    struct {
        weir_breaker_options options;
        char unknown;
    } large;
    memset(&large, 0, sizeof large);
    large.options.size = sizeof large;
    large.unknown = 1;
    assert_invalid(&large.options, -E2BIG);
    weir_breaker_options options;
    weir_breaker_options_init(NULL);
    weir_breaker_options_init(&options);
    options.window = 3; /* below the default of minimum_calls, which follows it */
    weir_breaker breaker = new_breaker(&options);
    for (int i = 0; i < 3; i++)
        call_at(&breaker, -EIO, 0);
    ck_assert_int_eq(weir_breaker_read_state_at(&breaker, 0), OPEN);
}
END_TEST

static void record_on_nothing(void *arg)
{
    weir_breaker_record(arg, 1, 0);
}

START_TEST(every_call_takes_null_or_aborts)
{
    uint64_t ticket;
    weir_breaker breaker = new_breaker(NULL);
    ck_assert_int_eq(weir_breaker_init(NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_breaker_allow(NULL, &ticket), -EINVAL);
    ck_assert_int_eq(weir_breaker_allow_at(NULL, &ticket, 0), -EINVAL);
    ck_assert_int_eq(weir_breaker_allow(&breaker, NULL), -EINVAL);
    ck_assert_int_eq(weir_breaker_read_state(NULL), CLOSED);
    ck_assert_int_eq(weir_breaker_read_state_at(NULL, 0), CLOSED);
    assert_aborts(record_on_nothing, NULL, "weir_breaker_record");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("breaker");
    TCase *states = add_group(suite, "states");
    tcase_add_test(states, five_calls_fifty_percent_one_second);
    tcase_add_test(states, the_defaults_are_those_of_the_header);
    tcase_add_test(states, only_the_last_calls_count);
    tcase_add_test(states, the_ratio_is_reached_exactly);
    tcase_add_test(states, all_probes_must_succeed);
    tcase_add_test(states, the_first_probe_that_fails_opens_again);
    tcase_add_test(states, a_probe_without_a_result_is_void_after_open_for);
    tcase_add_test(states, each_probe_has_a_time_of_its_own);
    tcase_add_test(states, a_cancelled_call_counts_as_neither);
    tcase_add_test(states, results_of_another_period_are_ignored);
    tcase_add_test(states, a_probe_is_recorded_once);
    tcase_add_test(states, the_ends_of_time_are_safe);
    tcase_add_test(states, the_clock_forms_use_the_clock);
    TCase *telling = add_group(suite, "telling");
    tcase_add_test(telling, changes_are_told_in_order);
    tcase_add_test(telling, who_is_told_may_use_the_breaker);
    tcase_add_test(telling, one_that_does_not_return_does_not_stop_the_calls);
    tcase_add_test(telling, changes_by_many_threads_are_told_one_at_a_time_and_in_order);
    TCase *after_fork = add_group(suite, "fork");
    tcase_add_test(after_fork, a_child_goes_on_with_what_there_was);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, options_that_can_never_be_valid_are_refused);
    tcase_add_test(misuse, every_call_takes_null_or_aborts);
    return suite;
}
