/* SPDX-License-Identifier: MIT */
/* limits.c - the limiter and the breaker: calls at the same moment, against changes of the rate and
 * of the state, and frozen. */
#include "scenario.h"

/* The limiter. */

struct limit {
    weir_limiter *limiter;
    weir_context *ctx;
    uint32_t got[3];
    int err;
    int64_t due[2];
};

static struct limit *new_limit(double rate, uint32_t burst)
{
    struct limit *limit = make(sizeof *limit);
    limit->limiter = make(sizeof *limit->limiter);
    int err = weir_limiter_init(limit->limiter, rate, burst);
    check(err == 0);
    err = weir_context_new(&limit->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    return limit;
}

static void end_limit(struct limit *limit)
{
    weir_context_unref(limit->ctx);
    drop(limit->limiter);
    drop(limit);
}

static uint32_t take_at(struct limit *limit, uint32_t tries, int64_t now)
{
    uint32_t got = 0;
    for (uint32_t i = 0; i < tries; i++)
        got += weir_limiter_allow_at(limit->limiter, 1, now) == 0;
    return got;
}

static void take_two(void *arg)
{
    struct limit *limit = arg;
    limit->got[0] = take_at(limit, 2, 0);
}

static void take_two_more(void *arg)
{
    struct limit *limit = arg;
    limit->got[1] = take_at(limit, 2, 0);
}

/* The first calls, which also have to agree on when time begins. */
static void concurrent_allow_conserves_tokens(void)
{
    struct limit *limit = new_limit(1, 5);
    explore_begin();
    struct vthread *a = start(take_two, limit), *b = start(take_two_more, limit);
    limit->got[2] = take_at(limit, 2, 0);
    finish(a);
    finish(b);
    explore_end();
    check(limit->got[0] + limit->got[1] + limit->got[2] == 5);
    end_limit(limit);
}

static void change_the_rate_twice(void *arg)
{
    struct limit *limit = arg;
    limit->err = weir_limiter_set_rate_at(limit->limiter, 1000, 0);
    check(limit->err == 0);
    limit->err = weir_limiter_set_rate_at(limit->limiter, 0, 0);
    check(limit->err == 0);
}

static void allow_against_set_rate(void)
{
    struct limit *limit = new_limit(3, 4);
    explore_begin();
    struct vthread *a = start(take_two, limit), *b = start(change_the_rate_twice, limit);
    limit->got[2] = take_at(limit, 2, 0);
    check(limit->got[2] == 2); /* no call is refused while there are tokens */
    finish(a);
    finish(b);
    explore_end();
    check(limit->got[0] == 2 && take_at(limit, 1, 0) == 0);
    check(take_at(limit, 1, WEIR_S(1000)) == 0); /* the last rate is 0 */
    end_limit(limit);
}

static void take_one_late(void *arg)
{
    struct limit *limit = arg;
    limit->got[0] = take_at(limit, 1, WEIR_S(1000));
}

/* Under each of the rates there is a token at that time; the last one, taken for the first, has
 * none. */
static void change_to_none_late(void *arg)
{
    struct limit *limit = arg;
    limit->err = weir_limiter_set_rate_at(limit->limiter, 500, WEIR_S(1));
    check(limit->err == 0);
    limit->err = weir_limiter_set_rate_at(limit->limiter, 0, WEIR_S(1));
    check(limit->err == 0);
}

static void allow_against_two_late_changes(void)
{
    struct limit *limit = new_limit(1000, 2);
    check(take_at(limit, 2, 0) == 2);
    explore_begin();
    struct vthread *other = start(change_to_none_late, limit);
    check(take_at(limit, 2, WEIR_S(1)) == 2);
    finish(other);
    explore_end();
    end_limit(limit);
}

/* As many changes as the state has eras, so that it comes to look as before. The bucket is full all
 * the time, and a call that looked at it before the changes must not take for its own era another
 * one that looks the same. */
static void allow_against_eight_changes(void)
{
    struct limit *limit = new_limit(1000, 2);
    int err = weir_limiter_set_rate_at(limit->limiter, 1000, 0);
    check(err == 0);
    explore_begin();
    struct vthread *other = start(take_one_late, limit);
    for (int i = 1; i <= 8; i++) {
        err = weir_limiter_set_rate_at(limit->limiter, 1000, WEIR_S(1000) + i);
        check(err == 0);
    }
    finish(other);
    explore_end();
    check(limit->got[0] == 1);
    check(take_at(limit, 3, WEIR_S(1001)) == 2);
    end_limit(limit);
}

/* Each has its way in the end: the last of the two to take effect. */
static void change_to_two(void *arg)
{
    struct limit *limit = arg;
    limit->err = weir_limiter_set_rate_at(limit->limiter, 2, 0);
}

static void set_rate_against_set_rate(void)
{
    struct limit *limit = new_limit(1000, 1);
    check(take_at(limit, 2, 0) == 1);
    explore_begin();
    struct vthread *other = start(change_to_two, limit);
    int err = weir_limiter_set_rate_at(limit->limiter, 4, 0);
    check(err == 0);
    finish(other);
    explore_end();
    check(limit->err == 0);
    int64_t wait = weir_limiter_reserve_at(limit->limiter, 1, 0);
    check(wait == WEIR_MS(500) || wait == WEIR_MS(250));
    end_limit(limit);
}

static void wait_for_a_token(void *arg)
{
    struct limit *limit = arg;
    limit->err = weir_limiter_wait_until(limit->limiter, 1, limit->ctx, WEIR_FOREVER);
    limit->due[0] = weir_now();
}

/* A waiter keeps its time, and pays once whatever the rate. */
static void wait_against_set_rate(void)
{
    struct limit *limit = new_limit(1e6, 1);
    int64_t begin = weir_now();
    check(take_at(limit, 2, begin) == 1);
    explore_begin();
    struct vthread *waiter = start(wait_for_a_token, limit);
    int err = weir_limiter_set_rate(limit->limiter, 1e-3);
    check(err == 0);
    finish(waiter);
    explore_end();
    check(limit->err == 0);
    bool before = limit->due[0] == begin + 1000; /* it began under the rate before */
    check(before || limit->due[0] == begin + WEIR_S(1000));
    check(take_at(limit, 1, begin + WEIR_S(before ? 1999 : 1000)) == 0);
    check(take_at(limit, 2, begin + WEIR_S(2000)) == 1);
    end_limit(limit);
}

static void cancel_limit(void *arg)
{
    weir_context_cancel(((struct limit *)arg)->ctx, 0);
}

static void reserve_one(void *arg)
{
    struct limit *limit = arg;
    limit->due[1] = weir_now() + weir_limiter_reserve(limit->limiter, 1);
}

/* If no call comes after the one that is cancelled, its token is there again. If one does, it keeps
 * the time that it was given, and no other call gets that. */
static void cancelled_wait_against_reserve(void)
{
    struct limit *limit = new_limit(1e6, 1);
    int64_t begin = weir_now();
    check(take_at(limit, 2, begin) == 1);
    explore_begin();
    struct vthread *waiter = start(wait_for_a_token, limit),
                   *canceller = start(cancel_limit, limit), *other = start(reserve_one, limit);
    finish(canceller);
    finish(waiter);
    finish(other);
    explore_end();
    int64_t next = begin + weir_limiter_reserve_at(limit->limiter, 1, begin);
    int64_t due = limit->due[1];
    if (limit->err == 0)
        check(next == begin + 3000 && (due == begin + 1000 || due == begin + 2000));
    else if (due == begin + 2000) /* behind the one that was cancelled */
        check(next == begin + 3000);
    else
        check(limit->err == -ECANCELED && due == begin + 1000 &&
              (next == begin + 2000 || next == begin + 3000));
    end_limit(limit);
}

static void wait_for_another(void *arg)
{
    struct limit *limit = arg;
    int err = weir_limiter_wait_until(limit->limiter, 1, limit->ctx, WEIR_FOREVER);
    limit->got[0] = err == -ECANCELED;
}

/* Both give back, in whatever order they came and go. */
static void two_cancelled_waits(void)
{
    struct limit *limit = new_limit(1e-6, 1);
    int64_t begin = weir_now();
    check(take_at(limit, 2, begin) == 1);
    explore_begin();
    struct vthread *a = start(wait_for_a_token, limit), *b = start(wait_for_another, limit);
    weir_context_cancel(limit->ctx, 0);
    finish(a);
    finish(b);
    explore_end();
    check(limit->err == -ECANCELED && limit->got[0] == 1);
    check(weir_limiter_reserve_at(limit->limiter, 1, begin) == WEIR_S(1000000));
    end_limit(limit);
}

#define LATE WEIR_S(100000000) /* an era that began at 0 ends before */

static void use_limit_frozen(void *arg)
{
    struct limit *limit = arg;
    freezable_begin();
    (void)take_at(limit, 1, 0);
    (void)take_at(limit, 1, LATE);
    int err = weir_limiter_set_rate_at(limit->limiter, 7, LATE);
    check(err == 0);
    freezable_end();
}

static void frozen_in_the_limiter(void)
{
    struct limit *limit = new_limit(3, 8);
    explore_begin();
    struct vthread *victim = start(use_limit_frozen, limit);
    for (int i = 1; i <= 3; i++) {
        limit->got[0] += take_at(limit, 1, LATE);
        int err = weir_limiter_set_rate_at(limit->limiter, i, LATE);
        check(err == 0);
    }
    check(limit->got[0] == 3);
    settle();
    explore_end();
    if (froze())
        return;
    finish(victim);
    end_limit(limit);
}

/* The breaker. */

enum { OPEN_FOR = 1000 };

struct circuit {
    weir_breaker *breaker;
    weir_breaker_state told; /* plain: changes are told one at a time */
    unsigned changes;
    unsigned probes;
};

static void follow(weir_breaker_state from, weir_breaker_state to, void *user)
{
    struct circuit *circuit = user;
    check(from == circuit->told && from != to);
    circuit->told = to;
    circuit->changes++;
}

/* Open, until OPEN_FOR. */
static struct circuit *new_circuit(uint32_t probes)
{
    struct circuit *circuit = make(sizeof *circuit);
    circuit->breaker = make(sizeof *circuit->breaker);
    int err = weir_breaker_init(
        circuit->breaker,
        WEIR_BREAKER_OPTIONS(.window = 2, .minimum_calls = 1, .half_open_calls = probes,
                             .open_for = OPEN_FOR, .on_change = follow, .user = circuit));
    check(err == 0);
    uint64_t ticket;
    err = weir_breaker_allow_at(circuit->breaker, &ticket, 0);
    check(err == 0);
    weir_breaker_record_at(circuit->breaker, ticket, -EIO, 0);
    check(circuit->told == WEIR_BREAKER_OPEN);
    return circuit;
}

static void end_circuit(struct circuit *circuit)
{
    check(circuit->told == weir_breaker_read_state_at(circuit->breaker, 0));
    drop(circuit->breaker);
    drop(circuit);
}

static void probe_at(struct circuit *circuit, int code, int64_t now)
{
    uint64_t ticket;
    if (weir_breaker_allow_at(circuit->breaker, &ticket, now) == 0)
        weir_breaker_record_at(circuit->breaker, ticket, code, now);
}

static void probe_well(void *arg)
{
    probe_at(arg, 0, OPEN_FOR);
}

static void probe_badly(void *arg)
{
    probe_at(arg, -EIO, OPEN_FOR);
}

/* Two results at once: changes are told in their order, to one listener at a time. */
static void probes_against_each_other(void)
{
    struct circuit *circuit = new_circuit(2);
    explore_begin();
    struct vthread *a = start(probe_well, circuit), *b = start(probe_badly, circuit);
    probe_well(circuit);
    finish(a);
    finish(b);
    explore_end();
    check(circuit->changes >= 3);
    end_circuit(circuit);
}

static void probe_after_expiry(void *arg)
{
    probe_at(arg, 0, 2 * OPEN_FOR);
}

/* A probe that comes back late, while another one takes its place. */
static void probe_against_its_expiry(void)
{
    struct circuit *circuit = new_circuit(1);
    uint64_t ticket;
    int err = weir_breaker_allow_at(circuit->breaker, &ticket, OPEN_FOR);
    check(err == 0);
    explore_begin();
    struct vthread *other = start(probe_after_expiry, circuit);
    weir_breaker_record_at(circuit->breaker, ticket, -EIO, 2 * OPEN_FOR - 1);
    finish(other);
    explore_end();
    /* In time: open, and what follows is refused; too late: the other one has closed it. */
    check(circuit->changes == 3);
    check(circuit->told == WEIR_BREAKER_OPEN || circuit->told == WEIR_BREAKER_CLOSED);
    end_circuit(circuit);
}

const struct scenario limits_scenarios[] = {
    {"concurrent allow conserves tokens", concurrent_allow_conserves_tokens, false},
    {"allow against set_rate", allow_against_set_rate, false},
    {"allow against two late changes of the rate", allow_against_two_late_changes, false},
    {"allow against eight changes of the rate", allow_against_eight_changes, false},
    {"set_rate against set_rate", set_rate_against_set_rate, false},
    {"a limiter wait against set_rate", wait_against_set_rate, false},
    {"a cancelled limiter wait against reserve", cancelled_wait_against_reserve, false},
    {"two cancelled limiter waits", two_cancelled_waits, false},
    {"frozen in the limiter", frozen_in_the_limiter, true},
    {"probes against each other", probes_against_each_other, false},
    {"a probe against its expiry", probe_against_its_expiry, false},
    {0},
};
