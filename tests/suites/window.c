/* SPDX-License-Identifier: MIT */
/* window.c - the sliding window, on clocks that the tests set; and waiting for it. */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/threads.h"
#include "weir.h"

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static weir_window *new_window(uint32_t max, int64_t period)
{
    weir_window *window = NULL;
    ck_assert_int_eq(weir_window_new(&window, max, period), 0);
    return window;
}

START_TEST(a_grant_leaves_the_window_after_exactly_a_period)
{
    weir_window *window = new_window(3, 100);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 0), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 2, 50), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 50), -EAGAIN);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 99), -EAGAIN);
    ck_assert_int_eq(weir_window_allow_at(window, 2, 100), -EAGAIN);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 100), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 149), -EAGAIN);
    ck_assert_int_eq(weir_window_allow_at(window, 2, 150), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 3, 250), 0);
    weir_window_free(window);
}
END_TEST

START_TEST(reserve_tells_when)
{
    weir_window *window = new_window(2, 100);
    ck_assert_int_eq(weir_window_reserve_at(window, 1, 0), 0);
    ck_assert_int_eq(weir_window_reserve_at(window, 1, 30), 0);
    ck_assert_int_eq(weir_window_reserve_at(window, 1, 40), 60);
    ck_assert_int_eq(weir_window_reserve_at(window, 2, 40), 160);
    ck_assert_int_eq(weir_window_reserve_at(window, 0, 40), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 299), -EAGAIN);
    ck_assert_int_eq(weir_window_allow_at(window, 2, 300), 0);
    weir_window_free(window);
}
END_TEST

/* Requests of random size at random times, some of them before the last, allowed or reserved. */
START_TEST(no_window_of_any_trace_has_more_than_the_maximum)
{
    enum { TRACES = 2000, CALLS = 30 };
    for (int trace = 0; trace < TRACES; trace++) {
        uint32_t max = 1 + (uint32_t)random_below(6);
        int64_t period = 1 + (int64_t)random_below(200), now = 0;
        weir_window *window = new_window(max, period);
        int64_t due[CALLS * 6];
        int n = 0;
        for (int i = 0; i < CALLS; i++) {
            now += (int64_t)random_below(60);
            int64_t at = random_below(5) == 0 ? now - (int64_t)random_below(20) : now;
            uint32_t grants = 1 + (uint32_t)random_below(max);
            int64_t wait = random_below(8) == 0 ? weir_window_reserve_at(window, grants, at)
                                                : weir_window_allow_at(window, grants, at);
            for (uint32_t k = 0; k < grants && wait >= 0; k++)
                due[n++] = at + wait;
        }
        for (int i = 0; i < n; i++) {
            uint32_t inside = 0;
            for (int j = 0; j < n; j++)
                inside += due[j] >= due[i] && due[j] - due[i] < period;
            ck_assert_uint_le(inside, max);
        }
        weir_window_free(window);
    }
}
END_TEST

/* With one grant a call and time that does not go back, it gives all that the rule permits. */
START_TEST(nothing_that_fits_is_refused)
{
    enum { CALLS = 5000 };
    static int64_t granted[CALLS];
    weir_window *window = new_window(5, 100);
    int64_t now = -1000;
    int n = 0;
    for (int i = 0; i < CALLS; i++) {
        now += (int64_t)random_below(30);
        int inside = 0;
        for (int j = n - 1; j >= 0 && now - granted[j] < 100; j--)
            inside++;
        int err = weir_window_allow_at(window, 1, now);
        ck_assert_int_eq(err, inside < 5 ? 0 : -EAGAIN);
        if (err == 0)
            granted[n++] = now;
    }
    weir_window_free(window);
}
END_TEST

START_TEST(the_ends_of_time_are_safe)
{
    weir_window *window = new_window(1, INT64_MAX);
    ck_assert_int_eq(weir_window_allow_at(window, 1, INT64_MIN), 0);
    ck_assert_int_eq(weir_window_allow_at(window, 1, -2), -EAGAIN);
    ck_assert_int_eq(weir_window_allow_at(window, 1, -1), 0);
    ck_assert_int_eq(weir_window_reserve_at(window, 1, 0), INT64_MAX - 1);
    ck_assert_int_eq(weir_window_reserve_at(window, 1, 0), -EOVERFLOW);
    ck_assert_int_eq(weir_window_allow_at(window, 1, INT64_MAX), -EAGAIN);
    weir_window_free(window);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
    weir_window *window = NULL;
    ck_assert_int_eq(weir_window_new(NULL, 1, 1), -EINVAL);
    ck_assert_int_eq(weir_window_new(&window, 0, 1), -EINVAL);
    ck_assert_int_eq(weir_window_new(&window, 1, 0), -EINVAL);
    ck_assert_int_eq(weir_window_new(&window, 1, -5), -EINVAL);
    ck_assert_ptr_null(window);
    weir_window_free(NULL);
    ck_assert_int_eq(weir_window_allow(NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_window_allow_at(NULL, 1, 0), -EINVAL);
    ck_assert_int_eq(weir_window_reserve(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_window_reserve_at(NULL, 1, 0), -EINVAL);
    ck_assert_int_eq(weir_window_wait(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_window_wait_until(NULL, 1, NULL, 0), -EINVAL);
    window = new_window(2, 10);
    ck_assert_int_eq(weir_window_allow(window, 3), -EINVAL);
    ck_assert_int_eq(weir_window_reserve(window, UINT32_MAX), -EINVAL);
    ck_assert_int_eq(weir_window_wait(window, 3), -EINVAL);
    ck_assert_int_eq(weir_window_allow(window, 0), 0);
    ck_assert_int_eq(weir_window_wait(window, 0), 0);
    weir_window_free(window);
}
END_TEST

/* Threads and waiting. */

enum { THREADS = 16 };

struct crowd {
    weir_window *window;
    atomic_uint granted;
};

static int take_what_there_is(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < 500; i++)
        if (weir_window_allow_at(crowd->window, 1, 0) == 0)
            atomic_fetch_add(&crowd->granted, 1);
    return 0;
}

START_TEST(sixteen_threads_get_the_maximum_and_no_more)
{
    struct crowd crowd = {.window = new_window(3000, 1)};
    caller callers[THREADS];
    for (int i = 0; i < THREADS; i++)
        caller_start(&callers[i], take_what_there_is, &crowd);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    ck_assert_uint_eq(atomic_load(&crowd.granted), 3000);
    weir_window_free(crowd.window);
}
END_TEST

struct call {
    weir_window *window;
    uint32_t n;
    weir_context *ctx;
};

static int wait_with_context(void *arg)
{
    struct call *call = arg;
    return weir_window_wait_until(call->window, call->n, call->ctx, WEIR_FOREVER);
}

START_TEST(a_wait_ends_when_there_is_room)
{
    weir_window *window = new_window(1, WEIR_MS(5));
    int64_t begin = weir_now();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(weir_window_wait(window, 1), 0);
    ck_assert_int_ge(weir_now() - begin, WEIR_MS(15));
    weir_window_free(window);
}
END_TEST

START_TEST(a_wait_that_cannot_be_in_time_fails_at_once_and_takes_nothing)
{
    weir_window *window = new_window(2, WEIR_S(1000));
    weir_context *over, *soon;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&soon, NULL, weir_after(WEIR_S(600))), 0);
    weir_context_cancel(over, 0);
    ck_assert_int_eq(weir_window_wait_until(window, 2, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_window_wait_until(window, 1, NULL, 0), 0);
    ck_assert_int_eq(weir_window_wait_until(window, 2, NULL, weir_after(WEIR_S(600))), -ETIMEDOUT);
    ck_assert_int_eq(weir_window_wait_until(window, 2, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_window_wait_until(window, 2, soon, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(weir_window_allow(window, 1), 0);
    ck_assert_int_eq(weir_window_allow(window, 1), -EAGAIN);
    weir_context_unref(soon);
    weir_context_unref(over);
    weir_window_free(window);
}
END_TEST

START_TEST(a_cancelled_wait_gives_its_grants_back)
{
    weir_window *window = new_window(3, WEIR_S(1000));
    ck_assert_int_eq(weir_window_allow(window, 2), 0);
    struct call call = {.window = window, .n = 3};
    ck_assert_int_eq(weir_context_new(&call.ctx, NULL, WEIR_FOREVER), 0);
    caller waiter;
    caller_start(&waiter, wait_with_context, &call);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_int_eq(weir_window_allow(window, 1), -EAGAIN);
    weir_context_cancel(call.ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    ck_assert_int_eq(weir_window_allow(window, 1), 0);
    ck_assert_int_eq(weir_window_allow(window, 1), -EAGAIN);
    weir_context_unref(call.ctx);
    weir_window_free(window);
}
END_TEST

START_TEST(a_cancelled_wait_does_not_move_those_that_came_later)
{
    weir_window *window = new_window(1, WEIR_S(1000));
    ck_assert_int_eq(weir_window_allow(window, 1), 0);
    struct call call = {.window = window, .n = 1};
    ck_assert_int_eq(weir_context_new(&call.ctx, NULL, WEIR_FOREVER), 0);
    caller waiter;
    caller_start(&waiter, wait_with_context, &call);
    ck_assert(caller_await_asleep(&waiter));
    int64_t later = weir_now() + weir_window_reserve(window, 1);
    weir_context_cancel(call.ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    ck_assert_int_ge(weir_now() + weir_window_reserve(window, 1) - later, WEIR_S(900));
    weir_context_unref(call.ctx);
    weir_window_free(window);
}
END_TEST

static void cancel_wait(struct call *call, caller *waiter)
{
    weir_context_cancel(call->ctx, 0);
    ck_assert_int_eq(caller_join(waiter), -ECANCELED);
    weir_context_unref(call->ctx);
}

enum { WAITERS = 4 };

static const int orders[][WAITERS] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2},
                                      {2, 0, 3, 1}, {0, 2, 1, 3}, {1, 0, 3, 2}};

/* Whatever the order in which they are cancelled. */
START_TEST(waits_that_are_all_cancelled_leave_nothing_behind)
{
    weir_window *window = new_window(3, WEIR_S(1000));
    ck_assert_int_eq(weir_window_allow(window, 3), 0);
    struct call calls[WAITERS];
    caller waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        calls[i] = (struct call){.window = window, .n = 1 + (uint32_t)i % 3};
        ck_assert_int_eq(weir_context_new(&calls[i].ctx, NULL, WEIR_FOREVER), 0);
        caller_start(&waiters[i], wait_with_context, &calls[i]);
        ck_assert(caller_await_asleep(&waiters[i]));
    }
    for (int i = 0; i < WAITERS; i++)
        cancel_wait(&calls[orders[_i][i]], &waiters[orders[_i][i]]);
    for (int i = 0; i < 3; i++) {
        int64_t wait = weir_window_reserve(window, 1);
        ck_assert(wait > WEIR_S(800) && wait <= WEIR_S(1000));
    }
    weir_window_free(window);
}
END_TEST

/* Every other one of a row is cancelled first; that is one more than is remembered. Then the rest,
 * from the last: each joins with the one below it, down to the lowest, which was forgotten. */
START_TEST(of_too_many_cancelled_waits_the_lowest_is_given_up)
{
    enum { KEPT = 8, ROW = 2 * (KEPT + 1) };
    weir_window *window = new_window(1, WEIR_S(1000));
    ck_assert_int_eq(weir_window_allow(window, 1), 0);
    struct call calls[ROW];
    caller waiters[ROW];
    for (int i = 0; i < ROW; i++) {
        calls[i] = (struct call){.window = window, .n = 1};
        ck_assert_int_eq(weir_context_new(&calls[i].ctx, NULL, WEIR_FOREVER), 0);
        caller_start(&waiters[i], wait_with_context, &calls[i]);
        ck_assert(caller_await_asleep(&waiters[i]));
    }
    cancel_wait(&calls[2], &waiters[2]); /* so that the lowest is not the first in the table */
    cancel_wait(&calls[0], &waiters[0]);
    for (int i = 4; i < ROW; i += 2)
        cancel_wait(&calls[i], &waiters[i]);
    for (int i = ROW - 1; i > 0; i -= 2)
        cancel_wait(&calls[i], &waiters[i]);
    int64_t wait = weir_window_reserve(window, 1);
    ck_assert(wait > WEIR_S(1800) && wait <= WEIR_S(2000)); /* after the one that was forgotten */
    weir_window_free(window);
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
    weir_window *window = arg;
    if (weir_window_allow_at(window, 1, 5) != 0 || weir_window_allow_at(window, 1, 5) != -EAGAIN)
        return __LINE__;
    weir_window_free(window);
    return 0;
}

START_TEST(a_child_goes_on_with_what_there_was)
{
    weir_window *window = new_window(2, 100);
    ck_assert_int_eq(weir_window_allow_at(window, 1, 0), 0);
    ck_assert(holds_in_child(use_inherited, window));
    ck_assert_int_eq(weir_window_allow_at(window, 1, 5), 0);
    weir_window_free(window);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("window");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_grant_leaves_the_window_after_exactly_a_period);
    tcase_add_test(contract, reserve_tells_when);
    tcase_add_test(contract, no_window_of_any_trace_has_more_than_the_maximum);
    tcase_add_test(contract, nothing_that_fits_is_refused);
    tcase_add_test(contract, the_ends_of_time_are_safe);
    TCase *waiting = add_group(suite, "waiting");
    tcase_add_test(waiting, sixteen_threads_get_the_maximum_and_no_more);
    tcase_add_test(waiting, a_wait_ends_when_there_is_room);
    tcase_add_test(waiting, a_wait_that_cannot_be_in_time_fails_at_once_and_takes_nothing);
    tcase_add_test(waiting, a_cancelled_wait_gives_its_grants_back);
    tcase_add_test(waiting, a_cancelled_wait_does_not_move_those_that_came_later);
    tcase_add_loop_test(waiting, waits_that_are_all_cancelled_leave_nothing_behind, 0,
                        sizeof orders / sizeof orders[0]);
    tcase_add_test(waiting, of_too_many_cancelled_waits_the_lowest_is_given_up);
    TCase *after_fork = add_group(suite, "fork");
    tcase_add_test(after_fork, a_child_goes_on_with_what_there_was);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, bad_arguments_are_refused);
    return suite;
}
