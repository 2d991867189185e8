/* SPDX-License-Identifier: MIT */
/* retry_delays.c - when the next attempt comes, on a clock that the test sets. */
#include "support/suite.h"

#include <errno.h>

#include "flow/retry.h"

static weir_retry_options read_valid(const weir_retry_options *given)
{
    weir_retry_options options;
    ck_assert_int_eq(weir__retry_read(&options, given), 0);
    return options;
}

/* Fails always; each attempt takes `each`. Returns how many there were, and when they began. */
static unsigned simulate(const weir_retry_options *options, int64_t each, int64_t deadline,
                         int64_t ret_begins[], unsigned most)
{
    const int64_t start = WEIR_S(1000);
    struct retry_state state = {.code = -EIO, .started = start, .deadline = deadline};
    uint64_t random = 1;
    int64_t at = start;
    do {
        ck_assert_uint_lt(state.attempts, most);
        ret_begins[state.attempts++] = at - start;
        state.now = at + each;
    } while (weir__retry_next(options, &state, weir__retry_random(&random), &at));
    return state.attempts;
}

START_TEST(three_attempts_a_hundred_milliseconds_times_two)
{
    weir_retry_options options =
        read_valid(WEIR_RETRY_OPTIONS(.max_attempts = 3, .initial_interval = WEIR_MS(100),
                                      .multiplier = 2, .jitter = -1));
    int64_t begins[4];
    ck_assert_uint_eq(simulate(&options, 0, WEIR_FOREVER, begins, 4), 3);
    ck_assert_int_eq(begins[0], 0);
    ck_assert_int_eq(begins[1], WEIR_MS(100));
    ck_assert_int_eq(begins[2], WEIR_MS(300));
}
END_TEST

START_TEST(the_defaults_are_those_of_the_header)
{
    weir_retry_options options = read_valid(NULL);
    ck_assert_uint_eq(options.max_attempts, 3);
    ck_assert_int_eq(options.initial_interval, WEIR_MS(100));
    ck_assert_int_eq(options.max_interval, WEIR_S(30));
    ck_assert_int_eq(options.max_elapsed, INT64_MAX);
    ck_assert(options.multiplier == 2.0 && options.jitter == 0.5);
}
END_TEST

START_TEST(pauses_grow_up_to_the_maximum)
{
    weir_retry_options options =
        read_valid(WEIR_RETRY_OPTIONS(.max_attempts = 8, .initial_interval = 10, .max_interval = 75,
                                      .jitter = -1));
    const int64_t expected[] = {0, 10, 30, 70, 145, 220, 295, 370};
    int64_t begins[9];
    ck_assert_uint_eq(simulate(&options, 0, WEIR_FOREVER, begins, 9), 8);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(begins[i], expected[i]);
}
END_TEST

START_TEST(no_attempt_begins_at_the_deadline_or_after_it)
{
    weir_retry_options options =
        read_valid(WEIR_RETRY_OPTIONS(.max_attempts = 9, .initial_interval = 10, .jitter = -1));
    const int64_t start = WEIR_S(1000);
    int64_t begins[10]; /* at 0, 10, 30, 70 and so on */
    ck_assert_uint_eq(simulate(&options, 0, start + 30, begins, 10), 2);
    ck_assert_uint_eq(simulate(&options, 0, start + 31, begins, 10), 3);
    ck_assert_uint_eq(simulate(&options, 5, start + 31, begins, 10), 2);
    ck_assert_uint_eq(simulate(&options, 0, 0, begins, 10), 1);
}
END_TEST

START_TEST(no_attempt_begins_later_than_max_elapsed)
{
    weir_retry_options *given =
        WEIR_RETRY_OPTIONS(.max_attempts = 9, .initial_interval = 10, .jitter = -1);
    int64_t begins[10];
    given->max_elapsed = 29;
    weir_retry_options options = read_valid(given);
    ck_assert_uint_eq(simulate(&options, 0, WEIR_FOREVER, begins, 10), 2);
    given->max_elapsed = 30;
    options = read_valid(given);
    ck_assert_uint_eq(simulate(&options, 0, WEIR_FOREVER, begins, 10), 3);
}
END_TEST

START_TEST(jitter_is_spread_evenly_and_stays_within_its_bounds)
{
    enum { DRAWS = 20000, PARTS = 10 };
    weir_retry_options options = read_valid(
        WEIR_RETRY_OPTIONS(.initial_interval = 1000000, .multiplier = 1, .jitter = 0.25));
    uint64_t random = 42;
    unsigned parts[PARTS] = {0};
    for (int i = 0; i < DRAWS; i++) {
        int64_t delay = weir__retry_delay(&options, 5, weir__retry_random(&random));
        ck_assert_int_ge(delay, 750000);
        ck_assert_int_le(delay, 1250000);
        parts[(delay - 750000) * PARTS / 500001]++;
    }
    for (int i = 0; i < PARTS; i++)
        ck_assert(parts[i] > DRAWS / PARTS * 8 / 10 && parts[i] < DRAWS / PARTS * 12 / 10);
    ck_assert_int_eq(weir__retry_delay(&options, 1, 0), 750000);
    ck_assert_int_le(weir__retry_delay(&options, 1, UINT64_MAX), 1250000);
}
END_TEST

START_TEST(absurd_numbers_neither_wrap_nor_hang)
{
    weir_retry_options options =
        read_valid(WEIR_RETRY_OPTIONS(.max_attempts = UINT32_MAX, .initial_interval = INT64_MAX,
                                      .max_interval = INT64_MAX, .multiplier = 1e308, .jitter = 1));
    ck_assert_int_eq(weir__retry_delay(&options, UINT32_MAX, UINT64_MAX), INT64_MAX);
    ck_assert_int_eq(weir__retry_delay(&options, UINT32_MAX, 0), 0);
    int64_t at = 77;
    struct retry_state state = {
        .attempts = 1, .code = -EIO, .now = WEIR_S(1000), .deadline = WEIR_FOREVER};
    ck_assert(!weir__retry_next(&options, &state, UINT64_MAX, &at));
    ck_assert_int_eq(at, 77);

    options = read_valid(WEIR_RETRY_OPTIONS(.multiplier = 1e-308, .jitter = -1));
    ck_assert_int_eq(weir__retry_delay(&options, UINT32_MAX, 0), 0);
    options = read_valid(WEIR_RETRY_OPTIONS(.multiplier = 1.0000001, .jitter = -1));
    ck_assert_int_eq(weir__retry_delay(&options, UINT32_MAX, 0), WEIR_S(30));
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("retry_delays");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, three_attempts_a_hundred_milliseconds_times_two);
    tcase_add_test(contract, the_defaults_are_those_of_the_header);
    tcase_add_test(contract, pauses_grow_up_to_the_maximum);
    tcase_add_test(contract, no_attempt_begins_at_the_deadline_or_after_it);
    tcase_add_test(contract, no_attempt_begins_later_than_max_elapsed);
    tcase_add_test(contract, jitter_is_spread_evenly_and_stays_within_its_bounds);
    tcase_add_test(contract, absurd_numbers_neither_wrap_nor_hang);
    return suite;
}
