/* SPDX-License-Identifier: MIT */
/* base.c - the version, the texts of the codes, and the clock. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "weir.h"

static const int codes[] = {
    0,      -EAGAIN,    -ETIMEDOUT, -ECANCELED,   -EPIPE,    -EDEADLK, -EBUSY,  -EINVAL,  -ENOMEM,
    -E2BIG, -EOVERFLOW, -ESTALE,    -EINPROGRESS, -EALREADY, -EMFILE,  -ENFILE, -ENOBUFS, -EEXIST,
};

enum { CODES = sizeof codes / sizeof codes[0] };

START_TEST(the_version_is_that_of_the_headers)
{
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
                   WEIR_VERSION_PATCH);
    ck_assert_str_eq(weir_version(), expected);
}
END_TEST

START_TEST(every_code_has_a_text_of_its_own)
{
    for (size_t i = 0; i < CODES; i++) {
        const char *text = weir_strerror(codes[i]);
        ck_assert_ptr_nonnull(text);
        size_t length = strlen(text);
        ck_assert_uint_gt(length, 0);
        ck_assert_int_ne(text[length - 1], '.');
        ck_assert_ptr_null(strchr(text, '\n'));
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(text, weir_strerror(codes[j]));
    }
}
END_TEST

START_TEST(what_is_no_error_shares_one_text)
{
    static const int others[] = {1, EINVAL, 4711, -4711, INT_MAX, INT_MIN};
    const char *text = weir_strerror(others[0]);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_str_eq(weir_strerror(others[i]), text);
    for (size_t i = 0; i < CODES; i++)
        ck_assert_str_ne(weir_strerror(codes[i]), text);
}
END_TEST

/* A task may return any code. */
START_TEST(a_code_of_the_system_has_the_systems_text)
{
    static const int others[] = {ENOENT, EACCES, ECONNREFUSED, EIO};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_str_eq(weir_strerror(-others[i]), strerror(others[i]));
}
END_TEST

START_TEST(a_text_stays_as_it_is)
{
    const char *text = weir_strerror(-EPIPE);
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", text);
    (void)weir_strerror(-4711);
    (void)weir_strerror(-EINVAL);
    ck_assert_ptr_eq(weir_strerror(-EPIPE), text);
    ck_assert_str_eq(text, copy);
}
END_TEST

START_TEST(durations_are_nanoseconds)
{
    ck_assert_int_eq(WEIR_US(1), 1000);
    ck_assert_int_eq(WEIR_MS(1), 1000000);
    ck_assert_int_eq(WEIR_S(1), 1000000000);
    ck_assert_int_eq(WEIR_S(1 + 1), 2 * WEIR_S(1));
    ck_assert_int_eq(WEIR_MS(-3), -3000000);
    /* The product is wider than int. */
    ck_assert_int_eq(WEIR_S(3600), INT64_C(3600000000000));
    ck_assert_int_eq(WEIR_FOREVER, INT64_MAX);
}
END_TEST

static int64_t monotonic(void)
{
    struct timespec t;
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &t), 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

START_TEST(now_is_the_monotonic_clock)
{
    int64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t before = monotonic();
        int64_t now = weir_now();
        int64_t after = monotonic();
        ck_assert_int_ge(now, last);
        ck_assert_int_ge(now, before);
        ck_assert_int_le(now, after);
        last = now;
    }
}
END_TEST

START_TEST(after_counts_from_now)
{
    static const int64_t distances[] = {0, 1, -1, WEIR_MS(50), -WEIR_S(5), INT64_C(1) << 61};
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        int64_t before = weir_now();
        int64_t deadline = weir_after(distances[i]);
        int64_t after = weir_now();
        ck_assert_int_ge(deadline, before + distances[i]);
        ck_assert_int_le(deadline, after + distances[i]);
    }
}
END_TEST

START_TEST(a_poll_timeout_is_rounded_up_and_bounded)
{
    ck_assert_int_eq(weir_poll_timeout(WEIR_FOREVER), -1);
    ck_assert_int_eq(weir_poll_timeout(WEIR_FOREVER - 1), INT_MAX);
    ck_assert_int_eq(weir_poll_timeout(0), 0);
    ck_assert_int_eq(weir_poll_timeout(-1), 0);
    ck_assert_int_eq(weir_poll_timeout(INT64_MIN), 0);
    ck_assert_int_eq(weir_poll_timeout(weir_now()), 0);
    int64_t deadline = weir_after(WEIR_S(1000));
    int timeout = weir_poll_timeout(deadline);
    ck_assert_int_le(timeout, 1000 * 1000);
    ck_assert_int_gt(timeout, 0);
    /* Never too short: the deadline has come after so much. */
    int64_t before = weir_now();
    timeout = weir_poll_timeout(deadline);
    ck_assert_int_ge(weir_now() + WEIR_MS(timeout), deadline);
    ck_assert_int_lt(before + WEIR_MS(timeout), deadline + WEIR_MS(1));
}
END_TEST

START_TEST(every_state_has_a_name)
{
    ck_assert_str_eq(weir_state_name(WEIR_TASK_IDLE), "idle");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_QUEUED), "queued");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_RUNNING), "running");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_DONE), "done");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_FAILED), "failed");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_CANCELLED), "cancelled");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_EXPIRED), "expired");
    ck_assert_str_eq(weir_state_name(WEIR_TASK_DROPPED), "dropped");
    ck_assert_str_eq(weir_state_name((weir_state)(WEIR_TASK_DROPPED + 1)), "unknown");
    ck_assert_str_eq(weir_state_name((weir_state)-1), "unknown");
}
END_TEST

START_TEST(after_saturates)
{
    ck_assert_int_eq(weir_after(WEIR_FOREVER), WEIR_FOREVER);
    ck_assert_int_eq(weir_after(WEIR_FOREVER - 1), WEIR_FOREVER);
    ck_assert_int_eq(weir_after(WEIR_FOREVER - weir_now() + WEIR_S(1)), WEIR_FOREVER);
    ck_assert_int_lt(weir_after(WEIR_FOREVER - weir_now() - WEIR_S(3600)), WEIR_FOREVER);
    ck_assert_int_lt(weir_after(INT64_MIN), 0);
    ck_assert_int_lt(weir_after(INT64_MIN + 1), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("base");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, the_version_is_that_of_the_headers);
    tcase_add_test(contract, every_code_has_a_text_of_its_own);
    tcase_add_test(contract, what_is_no_error_shares_one_text);
    tcase_add_test(contract, a_code_of_the_system_has_the_systems_text);
    tcase_add_test(contract, a_text_stays_as_it_is);
    tcase_add_test(contract, durations_are_nanoseconds);
    tcase_add_test(contract, now_is_the_monotonic_clock);
    tcase_add_test(contract, after_counts_from_now);
    tcase_add_test(contract, after_saturates);
    tcase_add_test(contract, a_poll_timeout_is_rounded_up_and_bounded);
    tcase_add_test(contract, every_state_has_a_name);
    return suite;
}
