/* SPDX-License-Identifier: MIT */
/* limiter.c - the token bucket, on clocks that the tests set; and waiting for it, on the real one.
 *
 * Two judges: a bucket kept in exact integers, which must agree with every answer; and the sum over
 * every span of a trace, which must not exceed burst + rate * span.
 */
#include "support/suite.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/slow.h"
#include "support/threads.h"
#include "weir.h"

static int traces(int n)
{
    return SANITIZED ? n / 20 : slow() ? n / 500 : n;
}

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

static weir_limiter new_limiter(double rate, uint32_t burst)
{
    weir_limiter limiter;
    ck_assert_int_eq(weir_limiter_init(&limiter, rate, burst), 0);
    return limiter;
}

/* How many single tokens can be taken at `now`, up to `most`. */
static uint32_t drain(weir_limiter *limiter, int64_t now, uint32_t most)
{
    uint32_t n = 0;
    while (n < most && weir_limiter_allow_at(limiter, 1, now) == 0)
        n++;
    return n;
}

/* Contract. */

START_TEST(a_full_bucket_gives_its_burst_at_once)
{
    const int64_t times[] = {0, 1, -5, WEIR_S(3600), INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        weir_limiter limiter = new_limiter(10, 7);
        ck_assert_uint_eq(drain(&limiter, times[i], 100), 7);
        limiter = new_limiter(10, 7);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 7, times[i]), 0);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, times[i]), -EAGAIN);
    }
}
END_TEST

START_TEST(each_token_comes_at_its_nanosecond)
{
    weir_limiter limiter = new_limiter(10, 10);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 10, 0), 0);
    for (int i = 1; i <= 25; i++) {
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_MS(100) * i - 1), -EAGAIN);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_MS(100) * i), 0);
    }
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 10, WEIR_MS(3499)), -EAGAIN);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 10, WEIR_MS(3500)), 0);
}
END_TEST

START_TEST(as_many_tokens_a_second_as_the_rate_says)
{
    const double rates[] = {1, 3, 7, 11, 60, 999, 1000, 9973, 16381, 44100, 1e6, 3e6, 1e9};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        uint32_t rate = (uint32_t)rates[i];
        weir_limiter limiter = new_limiter(rates[i], rate);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, rate, 5), 0);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, rate, WEIR_S(1) + 4), -EAGAIN);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, rate, WEIR_S(1) + 5), 0);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, rate, WEIR_S(2) + 5), 0);
    }
}
END_TEST

START_TEST(a_fraction_of_a_token_a_second)
{
    const struct {
        double rate;
        int64_t token;
    } cases[] = {{0.5, WEIR_S(2)},        {0.1, WEIR_S(10)},
                 {1.0 / 3, WEIR_S(3)},    {1.0 / 86400, WEIR_S(86400)},
                 {1e-6, WEIR_S(1000000)}, {1e-9, WEIR_S(1000000000)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_limiter limiter = new_limiter(cases[i].rate, 1);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 100), 0);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 99 + cases[i].token), -EAGAIN);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 100 + cases[i].token), 0);
    }
}
END_TEST

START_TEST(a_token_that_takes_days_is_not_early)
{
    const int64_t token = 1000000000000015; /* 50 bits, and odd */
    weir_limiter limiter = new_limiter(1e9 / (double)token, 1);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, token - 5), -EAGAIN);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, token + 20), 0);
}
END_TEST

START_TEST(reserve_tells_when)
{
    weir_limiter limiter = new_limiter(4, 2);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 2, 0), WEIR_MS(250));
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), WEIR_MS(500));
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_MS(500)), -EAGAIN);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 0, WEIR_MS(100)), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, WEIR_MS(600)), WEIR_MS(150));
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 2, WEIR_MS(1250)), 0);
    limiter = new_limiter(3, 1);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 333333334); /* never too early */
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 666666667);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), WEIR_S(1));
}
END_TEST

START_TEST(none_of_nothing_and_too_much)
{
    weir_limiter limiter = new_limiter(10, 3);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 4, 0), -EINVAL);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, UINT32_MAX, 0), -EINVAL);
    ck_assert_int_eq(weir_limiter_wait(&limiter, 4), -EINVAL);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 3, 0), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 0, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 0, 0), 0);
    ck_assert_int_eq(weir_limiter_wait(&limiter, 0), 0);
    limiter = new_limiter(10, 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 0, 0), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(9)), -EINVAL);
}
END_TEST

START_TEST(a_rate_of_0_gives_the_burst_and_nothing_after_it)
{
    weir_limiter limiter = new_limiter(0, 2);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 2, 1), -EDEADLK);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, WEIR_S(1)), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, INT64_MAX), -EAGAIN);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, INT64_MIN), -EAGAIN);
    ck_assert_int_eq(weir_limiter_wait(&limiter, 1), -EDEADLK);
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 1, NULL, patience()), -ETIMEDOUT);
    limiter = new_limiter(0, UINT32_MAX);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, UINT32_MAX, 0), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 0), -EAGAIN);
}
END_TEST

START_TEST(rates_that_can_never_be_valid_are_refused)
{
    const double rates[] = {-1,   -1e-300,     (double)NAN, (double)INFINITY, -(double)INFINITY,
                            -0.5, 1.0000001e9, 0.99e-9,     5e-324,           1e300};
    weir_limiter limiter = new_limiter(10, 5), before = limiter;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        ck_assert_int_eq(weir_limiter_init(&limiter, rates[i], 5), -EINVAL);
        ck_assert_int_eq(weir_limiter_set_rate(&limiter, rates[i]), -EINVAL);
        ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, rates[i], 0), -EINVAL);
    }
    ck_assert_int_eq(weir_limiter_init(&limiter, 1e-9, 2), -EINVAL); /* takes 2e9 seconds to fill */
    ck_assert_int_eq(weir_limiter_set_rate(&limiter, 4.9e-9), -EINVAL);
    ck_assert_mem_eq(&limiter, &before, sizeof limiter);
    ck_assert_int_eq(weir_limiter_init(&limiter, -0.0, 5), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 1e-9, 1), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 1e9, UINT32_MAX), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 4.3, UINT32_MAX), 0);
}
END_TEST

START_TEST(every_call_takes_null)
{
    ck_assert_int_eq(weir_limiter_init(NULL, 1, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_allow(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_allow_at(NULL, 0, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_reserve(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_reserve_at(NULL, 1, 0), -EINVAL);
    ck_assert_int_eq(weir_limiter_wait(NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_limiter_wait_until(NULL, 1, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_limiter_set_rate(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_set_rate_at(NULL, 1, 0), -EINVAL);
}
END_TEST

START_TEST(a_debt_too_large_to_count_is_refused)
{
    weir_limiter limiter = new_limiter(1e-9, 1);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), WEIR_S(1000000000));
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), -EOVERFLOW);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), -EOVERFLOW);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, 0), -EAGAIN);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(2000000000)), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(2000000000)), -EAGAIN);
}
END_TEST

START_TEST(the_clock_forms_use_the_clock)
{
    weir_limiter limiter = new_limiter(1e-6, 2);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), 0);
    ck_assert_int_eq(weir_limiter_reserve(&limiter, 1), 0);
    int64_t wait = weir_limiter_reserve(&limiter, 1);
    ck_assert(wait > WEIR_S(999000) && wait <= WEIR_S(1000000));
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), -EAGAIN);
}
END_TEST

/* As after an init that failed, and whose result was ignored. */
START_TEST(a_limiter_that_was_never_made_gives_nothing)
{
    static weir_limiter limiter;
    ck_assert_int_eq(weir_limiter_init(&limiter, 2e9, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_reserve(&limiter, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_wait(&limiter, 1), -EINVAL);
    ck_assert_int_eq(weir_limiter_set_rate(&limiter, 10), -EINVAL);
}
END_TEST

/* Exactness. */

/* A bucket in units of 1e-9 tokens, for rates that are whole numbers. */
struct model {
    int64_t rate, burst, level, last;
};

static void model_advance(struct model *model, int64_t now)
{
    const int64_t full = model->burst * 1000000000;
    int64_t ns = now - model->last;
    model->last = now;
    if (ns > (full - model->level) / model->rate)
        model->level = full;
    else
        model->level += ns * model->rate;
}

static int64_t random_step(int64_t token)
{
    switch (random_below(8)) {
    case 0:
        return 0;
    case 1:
        return (int64_t)random_below(3);
    case 2:
        return WEIR_S(1) * (int64_t)random_below(1000000); /* far beyond an era */
    default:
        return (int64_t)random_below((uint64_t)token * 2 + 2);
    }
}

START_TEST(every_answer_is_that_of_an_exact_bucket)
{
    const int64_t rates[] = {1, 2, 3, 7, 10, 64, 1000, 3333, 16383, 48000, 1000000, 1000000000};
    for (int trace = 0; trace < traces(100000); trace++) {
        int64_t rate = rates[random_below(sizeof rates / sizeof rates[0])];
        uint32_t burst = (uint32_t)random_below(9) + 1;
        struct model model = {rate, burst, (int64_t)burst * 1000000000, 0};
        model.last = (int64_t)random_below(1000) - 500;
        weir_limiter limiter = new_limiter((double)rate, burst);
        int64_t now = model.last;
        for (int i = 0; i < 40; i++) {
            now += random_step(1000000000 / rate);
            model_advance(&model, now);
            int64_t n = 1 + (int64_t)random_below(burst), cost = n * 1000000000;
            int64_t short_of = cost - model.level;
            if (random_below(10) == 0 && short_of < 50000000000) {
                int64_t wait = short_of > 0 ? (short_of + rate - 1) / rate : 0;
                ck_assert_int_eq(weir_limiter_reserve_at(&limiter, (uint32_t)n, now), wait);
                model.level -= cost;
            } else if (weir_limiter_allow_at(&limiter, (uint32_t)n, now) == 0) {
                ck_assert_int_le(short_of, 0);
                model.level -= cost;
            } else {
                ck_assert_int_gt(short_of, 0);
            }
        }
    }
}
END_TEST

enum { TRACE = 24 };

struct grant {
    int64_t time;
    int64_t tokens;
};

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct grant *)a)->time, y = ((const struct grant *)b)->time;
    return (x > y) - (x < y);
}

/* No span of the trace has more than burst + rate * its length. */
static bool within_bounds(struct grant grants[], int n, double rate, uint32_t burst)
{
    qsort(grants, (size_t)n, sizeof grants[0], by_time);
    for (int i = 0; i < n; i++) {
        int64_t sum = 0;
        for (int j = i; j < n; j++) {
            sum += grants[j].tokens;
            double most = burst + rate * 1e-9 * (double)(grants[j].time - grants[i].time);
            if ((double)sum > most * (1 + 1e-14))
                return false;
        }
    }
    return true;
}

static double random_rate(void)
{
    return exp(log(1e-3) + (double)random_below(1000001) / 1e6 * log(1e12));
}

/* Random times, that now and then go back as clocks of different threads seem to. */
START_TEST(no_span_of_a_million_traces_has_more_than_burst_and_rate)
{
    for (int trace = 0; trace < traces(1000000); trace++) {
        double rate = random_below(4) == 0 ? (double)(1 + random_below(1000)) : random_rate();
        uint32_t burst = (uint32_t)random_below(5) + 1;
        weir_limiter limiter = new_limiter(rate, burst);
        struct grant grants[TRACE];
        int n = 0;
        int64_t now = WEIR_S(1), token = (int64_t)(1e9 / rate);
        for (int i = 0; i < TRACE; i++) {
            now += (int64_t)random_below((uint64_t)token + 2);
            int64_t at = random_below(4) == 0 ? now - (int64_t)random_below(1000) : now;
            uint32_t tokens = 1 + (uint32_t)random_below(burst);
            if (weir_limiter_allow_at(&limiter, tokens, at) == 0)
                grants[n++] = (struct grant){at, tokens};
        }
        ck_assert(within_bounds(grants, n, rate, burst));
    }
}
END_TEST

START_TEST(a_greedy_caller_gets_all_that_is_due)
{
    for (int trace = 0; trace < traces(2000); trace++) {
        double rate = random_rate();
        uint32_t burst = 10 + (uint32_t)random_below(1000);
        weir_limiter limiter = new_limiter(rate, burst);
        double step = 1e9 / rate * (double)random_below(1000) / 1000 * burst / 2 + 1;
        int64_t now = 0, got = 0;
        for (int i = 0; i < 20; i++, now += (int64_t)step)
            got += drain(&limiter, now, burst + 1);
        double due = burst + rate * 1e-9 * (double)(now - (int64_t)step);
        ck_assert((double)got <= due * (1 + 1e-14));
        ck_assert((double)got >= due * (1 - 1e-4) - 1.01);
    }
}
END_TEST

START_TEST(a_clock_that_goes_back_gives_no_token_twice)
{
    weir_limiter limiter = new_limiter(1000, 5);
    ck_assert_uint_eq(drain(&limiter, WEIR_S(1), 10), 5);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(1) - WEIR_MS(i)), -EAGAIN);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(1)), -EAGAIN);
    }
    ck_assert_uint_eq(drain(&limiter, WEIR_S(1) + WEIR_MS(2), 10), 2);
}
END_TEST

/* By more than the units in which a limiter counts reach. */
START_TEST(a_clock_that_goes_back_by_a_day_is_told_to_wait_for_it)
{
    const double rates[] = {1, 7654.321, 123456.789, 999999937.0, 1e9};
    const int64_t day = WEIR_S(86400);
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        weir_limiter limiter = new_limiter(rates[i], 1);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, day), 0);
        int64_t wait = weir_limiter_reserve_at(&limiter, 1, 0), token = (int64_t)(1e9 / rates[i]);
        ck_assert(wait > day && wait <= day + token + token / 1000 + 3);
        ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, -day), -EAGAIN);
    }
}
END_TEST

START_TEST(idling_for_years_fills_the_bucket_and_no_more)
{
    const double rates[] = {3, 10, 1e9, 7e8, 1e-2};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        weir_limiter limiter = new_limiter(rates[i], 8);
        int64_t now = 0;
        for (int64_t pause = 1; pause < INT64_MAX / 4; pause *= 3) {
            now = pause;
            uint32_t most = rates[i] * 1e-9 * (double)(pause - pause / 3) >= 8 ? 8 : 0;
            ck_assert_uint_ge(drain(&limiter, now, 10), most);
            ck_assert_int_eq(weir_limiter_allow_at(&limiter, 8, now), -EAGAIN);
        }
        ck_assert_uint_eq(drain(&limiter, now, 10), 0);
    }
}
END_TEST

/* Changing the rate. */

START_TEST(what_is_in_the_bucket_stays_when_the_rate_changes)
{
    weir_limiter limiter = new_limiter(10, 10);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 10, 0), 0);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 100, WEIR_MS(550)), 0); /* 5.5 are there */
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 6, WEIR_MS(554)), -EAGAIN);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 6, WEIR_MS(555)), 0);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 1, WEIR_MS(585)), 0); /* 3 are there */
    ck_assert_uint_eq(drain(&limiter, WEIR_MS(1584), 10), 3);
    ck_assert_uint_eq(drain(&limiter, WEIR_MS(1585), 10), 1);
}
END_TEST

START_TEST(a_debt_stays_when_the_rate_changes)
{
    weir_limiter limiter = new_limiter(10, 10);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 10, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 5, 0), WEIR_MS(500));
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), WEIR_S(6));
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 0, WEIR_S(1)), 0); /* owes 5 */
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, WEIR_S(1000)), -EDEADLK);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 3, WEIR_S(1000)), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, WEIR_S(1000)), WEIR_S(2));
}
END_TEST

/* One nanosecond after it began, the debt is a little less than a token, and counts as one. */
START_TEST(a_part_of_a_token_is_owed_as_a_whole_one)
{
    weir_limiter limiter = new_limiter(3, 1);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), 333333334);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 1e9, 1), 0);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 1), 2);
}
END_TEST

START_TEST(changes_of_the_rate_make_no_tokens)
{
    weir_limiter limiter = new_limiter(10, 100);
    ck_assert_uint_eq(drain(&limiter, 0, 60), 60);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, (double)(i % 7) * 1e8, 0), 0);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 10, 0), 0);
    ck_assert_uint_eq(drain(&limiter, 0, 100), 40);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_MS(100) - 1), -EAGAIN);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_MS(100)), 0);
}
END_TEST

/* By more than the new rate's units reach, which are as small as they get. */
START_TEST(a_change_by_a_clock_that_went_back_a_day_makes_and_loses_no_tokens)
{
    const double rate = 7654.321;
    const int64_t day = WEIR_S(86400);
    weir_limiter limiter = new_limiter(rate, 10);
    ck_assert_uint_eq(drain(&limiter, day, 11), 10);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, rate, 0), 0);
    ck_assert_uint_eq(drain(&limiter, day, 11), 0);
    int64_t tokens = (int64_t)(1e9 / rate * 5) + 5;
    ck_assert_uint_eq(drain(&limiter, day + tokens, 11), 5);
}
END_TEST

START_TEST(no_span_has_more_than_the_fastest_rate_gives)
{
    for (int trace = 0; trace < traces(100000); trace++) {
        uint32_t burst = (uint32_t)random_below(5) + 1;
        double fastest = 1000;
        weir_limiter limiter = new_limiter(fastest, burst);
        struct grant grants[TRACE];
        int n = 0;
        int64_t now = 0;
        for (int i = 0; i < TRACE; i++) {
            now += (int64_t)random_below(2000000);
            if (random_below(3) == 0)
                ck_assert_int_eq(
                    weir_limiter_set_rate_at(&limiter, (double)random_below(1001), now), 0);
            if (weir_limiter_allow_at(&limiter, 1, now) == 0)
                grants[n++] = (struct grant){now, 1};
        }
        ck_assert(within_bounds(grants, n, fastest, burst));
    }
}
END_TEST

START_TEST(a_change_to_the_slowest_rate_under_a_large_debt_is_safe)
{
    weir_limiter limiter = new_limiter(1e6, 1);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, 0), WEIR_US(i));
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 1e-9, 0), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(10000)), -EAGAIN);
    ck_assert_int_eq(weir_limiter_reserve_at(&limiter, 1, WEIR_S(10000)), -EOVERFLOW);
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 1e9, WEIR_S(10000)), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, 1, WEIR_S(10001)), 0);
}
END_TEST

/* Threads. */

enum { THREADS = 16 };

struct crowd {
    weir_limiter limiter;
    atomic_uint granted, clock;
    unsigned calls;
    meeting start;
};

static int take_what_there_is(void *arg)
{
    struct crowd *crowd = arg;
    meeting_wait(&crowd->start);
    for (unsigned i = 0; i < crowd->calls; i++)
        if (weir_limiter_allow_at(&crowd->limiter, 1, 0) == 0)
            atomic_fetch_add(&crowd->granted, 1);
    return 0;
}

static int take_as_time_passes(void *arg)
{
    struct crowd *crowd = arg;
    meeting_wait(&crowd->start);
    for (unsigned i = 0; i < crowd->calls; i++) {
        int64_t now = WEIR_US(atomic_fetch_add(&crowd->clock, 1));
        if (weir_limiter_allow_at(&crowd->limiter, 1, now) == 0)
            atomic_fetch_add(&crowd->granted, 1);
    }
    return 0;
}

static int change_the_rate(void *arg)
{
    struct crowd *crowd = arg;
    meeting_wait(&crowd->start);
    for (unsigned i = 0; i < crowd->calls; i++)
        if (weir_limiter_set_rate_at(&crowd->limiter, (double)(i % 5) * 100, 0) != 0)
            return -1;
    return 0;
}

static unsigned run_crowd(struct crowd *crowd, int (*fn)(void *), int (*last)(void *))
{
    crowd->start = (meeting)MEETING_INIT(THREADS);
    caller callers[THREADS];
    for (int i = 0; i < THREADS; i++)
        caller_start(&callers[i], i < THREADS - 2 ? fn : last, crowd);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    return atomic_load(&crowd->granted);
}

START_TEST(sixteen_threads_take_the_burst_and_no_more)
{
    struct crowd crowd = {.limiter = new_limiter(100, 10000), .calls = 1000};
    ck_assert_uint_eq(run_crowd(&crowd, take_what_there_is, take_what_there_is), 10000);
}
END_TEST

START_TEST(sixteen_threads_take_what_flows_in_and_no_more)
{
    struct crowd crowd = {.limiter = new_limiter(1e5, 100), .calls = 2000};
    unsigned got = run_crowd(&crowd, take_as_time_passes, take_as_time_passes);
    ck_assert_uint_le(got, 100 + THREADS * 2000 / 10);
    got += drain(&crowd.limiter, WEIR_US(THREADS * 2000), 101);
    ck_assert_uint_le(got, 100 + THREADS * 2000 / 10);
}
END_TEST

START_TEST(changing_the_rate_meanwhile_neither_makes_nor_loses_tokens)
{
    struct crowd crowd = {.limiter = new_limiter(100, 5000), .calls = 1000};
    ck_assert_uint_eq(run_crowd(&crowd, take_what_there_is, change_the_rate), 5000);
}
END_TEST

/* Waiting. */

static int wait_for_one(void *arg)
{
    return weir_limiter_wait(arg, 1);
}

struct call {
    weir_limiter *limiter;
    uint32_t n;
    weir_context *ctx;
};

static int wait_with_context(void *arg)
{
    struct call *call = arg;
    return weir_limiter_wait_until(call->limiter, call->n, call->ctx, WEIR_FOREVER);
}

START_TEST(a_wait_ends_when_its_tokens_are_there)
{
    weir_limiter limiter = new_limiter(200, 1);
    int64_t begin = weir_now();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(weir_limiter_wait(&limiter, 1), 0);
    ck_assert_int_ge(weir_now() - begin, WEIR_MS(15));
}
END_TEST

START_TEST(a_wait_that_cannot_be_in_time_fails_at_once_and_takes_nothing)
{
    weir_limiter limiter = new_limiter(0.001, 2);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, weir_after(WEIR_S(600))), 0);
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 2, NULL, 0), 0); /* no wait is needed */
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 1, NULL, weir_after(WEIR_S(600))),
                     -ETIMEDOUT);
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 1, NULL, INT64_MIN), -ETIMEDOUT);
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 1, ctx, WEIR_FOREVER), -ETIMEDOUT);
    int64_t wait = weir_limiter_reserve(&limiter, 1);
    ck_assert(wait > WEIR_S(600) && wait <= WEIR_S(1000));
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_context_that_is_over_fails_first_and_takes_nothing)
{
    weir_limiter limiter = new_limiter(1, 1);
    weir_context *over, *late;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&late, NULL, 0), 0);
    weir_context_cancel(over, 0);
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 1, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_limiter_wait_until(&limiter, 1, late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), 0);
    weir_context_unref(late);
    weir_context_unref(over);
}
END_TEST

/* With a context of its own, until it is asleep. */
static void start_waiting(caller *waiter, struct call *call)
{
    ck_assert_int_eq(weir_context_new(&call->ctx, NULL, WEIR_FOREVER), 0);
    caller_start(waiter, wait_with_context, call);
    ck_assert(caller_await_asleep(waiter));
}

START_TEST(a_cancelled_wait_gives_its_tokens_back)
{
    weir_limiter limiter = new_limiter(0.001, 10);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 4), 0);
    struct call call = {.limiter = &limiter, .n = 10};
    caller waiter;
    start_waiting(&waiter, &call);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), -EAGAIN);
    weir_context_cancel(call.ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 6), 0);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), -EAGAIN);
    weir_context_unref(call.ctx);
}
END_TEST

START_TEST(a_cancelled_wait_does_not_move_those_that_came_later)
{
    weir_limiter limiter = new_limiter(0.001, 1);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), 0);
    struct call call = {.limiter = &limiter, .n = 1};
    caller waiter;
    start_waiting(&waiter, &call);
    int64_t later = weir_now() + weir_limiter_reserve(&limiter, 1);
    weir_context_cancel(call.ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    int64_t next = weir_now() + weir_limiter_reserve(&limiter, 1);
    ck_assert_int_ge(next - later, WEIR_S(1000) - WEIR_S(100)); /* not at the time of `later` */
    weir_context_unref(call.ctx);
}
END_TEST

enum { WAITERS = 4 };

static const int orders[][WAITERS] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2},
                                      {2, 0, 3, 1}, {0, 2, 1, 3}, {1, 0, 3, 2}};

/* Whatever the order in which they are cancelled. */
START_TEST(waits_that_are_all_cancelled_leave_nothing_behind)
{
    weir_limiter limiter = new_limiter(0.001, 3);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 3), 0);
    struct call calls[WAITERS];
    caller waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        calls[i] = (struct call){.limiter = &limiter, .n = 1 + (uint32_t)i % 3};
        start_waiting(&waiters[i], &calls[i]);
    }
    for (int i = 0; i < WAITERS; i++) {
        int which = orders[_i][i];
        weir_context_cancel(calls[which].ctx, 0);
        ck_assert_int_eq(caller_join(&waiters[which]), -ECANCELED);
        weir_context_unref(calls[which].ctx);
    }
    int64_t wait = weir_limiter_reserve(&limiter, 1);
    ck_assert(wait > WEIR_S(800) && wait <= WEIR_S(1000));
}
END_TEST

/* What it took is owed by all, at whatever rate: it is no longer known what it would free. */
START_TEST(a_cancelled_wait_gives_nothing_back_after_a_change_of_the_rate)
{
    weir_limiter limiter = new_limiter(0.001, 1);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 1), 0);
    struct call call = {.limiter = &limiter, .n = 1};
    caller waiter;
    start_waiting(&waiter, &call);
    ck_assert_int_eq(weir_limiter_set_rate(&limiter, 0.001), 0);
    weir_context_cancel(call.ctx, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    int64_t wait = weir_limiter_reserve(&limiter, 1);
    ck_assert(wait > WEIR_S(1800) && wait <= WEIR_S(2000));
    weir_context_unref(call.ctx);
}
END_TEST

START_TEST(a_waiter_keeps_its_time_when_the_rate_changes)
{
    weir_limiter limiter = new_limiter(20, 1);
    ck_assert_int_eq(weir_limiter_wait(&limiter, 1), 0);
    caller waiter;
    caller_start(&waiter, wait_for_one, &limiter);
    ck_assert_int_eq(weir_limiter_set_rate(&limiter, 20), 0);
    ck_assert_int_eq(caller_join(&waiter), 0); /* 50 ms */
    caller_start(&waiter, wait_for_one, &limiter);
    if (caller_await_asleep(&waiter))
        ck_assert_int_eq(weir_limiter_set_rate(&limiter, 1e-8), 0);
    ck_assert_int_eq(caller_join(&waiter), 0); /* not three years */
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
    weir_limiter *limiter = arg;
    if (drain(limiter, WEIR_S(1), 10) != 3)
        return __LINE__;
    if (weir_limiter_set_rate_at(limiter, 100, WEIR_S(1)) != 0)
        return __LINE__;
    return drain(limiter, WEIR_S(1) + WEIR_MS(10), 10) == 1 ? 0 : __LINE__;
}

START_TEST(a_child_goes_on_with_what_there_was)
{
    weir_limiter limiter = new_limiter(1, 5);
    ck_assert_uint_eq(drain(&limiter, WEIR_S(1), 2), 2);
    ck_assert(holds_in_child(use_inherited, &limiter));
    ck_assert_uint_eq(drain(&limiter, WEIR_S(1), 10), 3);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("limiter");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_full_bucket_gives_its_burst_at_once);
    tcase_add_test(contract, each_token_comes_at_its_nanosecond);
    tcase_add_test(contract, as_many_tokens_a_second_as_the_rate_says);
    tcase_add_test(contract, a_fraction_of_a_token_a_second);
    tcase_add_test(contract, a_token_that_takes_days_is_not_early);
    tcase_add_test(contract, reserve_tells_when);
    tcase_add_test(contract, none_of_nothing_and_too_much);
    tcase_add_test(contract, a_rate_of_0_gives_the_burst_and_nothing_after_it);
    tcase_add_test(contract, a_debt_too_large_to_count_is_refused);
    tcase_add_test(contract, the_clock_forms_use_the_clock);
    TCase *exact = add_group(suite, "exact");
    tcase_add_test(exact, every_answer_is_that_of_an_exact_bucket);
    tcase_add_test(exact, no_span_of_a_million_traces_has_more_than_burst_and_rate);
    tcase_add_test(exact, a_greedy_caller_gets_all_that_is_due);
    tcase_add_test(exact, a_clock_that_goes_back_gives_no_token_twice);
    tcase_add_test(exact, a_clock_that_goes_back_by_a_day_is_told_to_wait_for_it);
    tcase_add_test(exact, idling_for_years_fills_the_bucket_and_no_more);
    TCase *rate = add_group(suite, "rate");
    tcase_add_test(rate, what_is_in_the_bucket_stays_when_the_rate_changes);
    tcase_add_test(rate, a_debt_stays_when_the_rate_changes);
    tcase_add_test(rate, a_part_of_a_token_is_owed_as_a_whole_one);
    tcase_add_test(rate, changes_of_the_rate_make_no_tokens);
    tcase_add_test(rate, a_change_by_a_clock_that_went_back_a_day_makes_and_loses_no_tokens);
    tcase_add_test(rate, no_span_has_more_than_the_fastest_rate_gives);
    tcase_add_test(rate, a_change_to_the_slowest_rate_under_a_large_debt_is_safe);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, sixteen_threads_take_the_burst_and_no_more);
    tcase_add_test(threads, sixteen_threads_take_what_flows_in_and_no_more);
    tcase_add_test(threads, changing_the_rate_meanwhile_neither_makes_nor_loses_tokens);
    TCase *waiting = add_group(suite, "waiting");
    tcase_add_test(waiting, a_wait_ends_when_its_tokens_are_there);
    tcase_add_test(waiting, a_wait_that_cannot_be_in_time_fails_at_once_and_takes_nothing);
    tcase_add_test(waiting, a_context_that_is_over_fails_first_and_takes_nothing);
    tcase_add_test(waiting, a_cancelled_wait_gives_its_tokens_back);
    tcase_add_test(waiting, a_cancelled_wait_does_not_move_those_that_came_later);
    tcase_add_loop_test(waiting, waits_that_are_all_cancelled_leave_nothing_behind, 0,
                        sizeof orders / sizeof orders[0]);
    tcase_add_test(waiting, a_cancelled_wait_gives_nothing_back_after_a_change_of_the_rate);
    tcase_add_test(waiting, a_waiter_keeps_its_time_when_the_rate_changes);
    TCase *after_fork = add_group(suite, "fork");
    tcase_add_test(after_fork, a_child_goes_on_with_what_there_was);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, rates_that_can_never_be_valid_are_refused);
    tcase_add_test(misuse, every_call_takes_null);
    tcase_add_test(misuse, a_limiter_that_was_never_made_gives_nothing);
    return suite;
}
