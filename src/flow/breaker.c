/* SPDX-License-Identifier: MIT */
/* breaker.c - the circuit breaker.
 *
 * States: CLOSED -> OPEN -> HALF_OPEN -> CLOSED or OPEN.
 *
 * Tickets are numbers from one series: every change of the state and every probe takes the next.
 * Calls of a closed period share the number with which it began; a probe has its own, kept in its
 * place among the probes until it is recorded or void. So a ticket that is none of these belongs to
 * another period.
 *
 * A change is queued under the lock under which it is made. One thread at a time (`telling`) passes
 * changes to on_change, without the lock, until none is left. The queue is a word, two bits a
 * change. At least every third change is OPEN -> HALF_OPEN, which is put off unless there is room
 * for three, so the queue never overflows.
 *
 * Lock: one, for all fields but the constants. Nothing is called under it.
 */
#include "flow/breaker.h"

#include <errno.h>
#include <stdbool.h>

#include "base/assert.h"
#include "base/deadline.h"
#include "base/options.h"
#include "os/lock.h"
#include "os/probe.h"
#include "record/event.h"

enum { WINDOW_MAX = 1024, PROBES_MAX = 16, UNTOLD_MAX = 32, UNTOLD_ROOM = 3 };

struct probe {
    uint64_t ticket; /* 0: the place is free */
    int64_t void_at;
};

struct __attribute__((may_alias)) breaker {
    uint32_t window, minimum_calls, half_open_calls; /* constant, and the next four */
    double failure_ratio;
    int64_t open_for;
    void (*on_change)(weir_breaker_state from, weir_breaker_state to, void *user);
    void *user;
    struct lock lock;
    weir_breaker_state state, told;
    bool telling;
    uint32_t untold;
    uint64_t changes; /* states reached and not yet told, the oldest in the lowest bits */
    uint64_t series;  /* the last number taken */
    uint64_t closed;  /* CLOSED: the ticket */
    int64_t open_until;
    uint32_t calls, failures, next, succeeded;
    weir_breaker_counts counts;
    struct probe probes[PROBES_MAX];
    uint64_t failed[WINDOW_MAX / 64]; /* a bit a result */
};

_Static_assert(sizeof(struct breaker) <= sizeof(weir_breaker), "fits");

void weir_breaker_options_init(weir_breaker_options *options)
{
    if (options != NULL)
        *options = (weir_breaker_options){.size = sizeof *options};
}

/* With the defaults filled in. */
static int read_breaker_options(weir_breaker_options *ret, const weir_breaker_options *given)
{
    int err = read_options(ret, sizeof *ret,
                           offsetof(weir_breaker_options, user) + sizeof ret->user, given);
    if (err != 0)
        return err;
    if (ret->window == 0)
        ret->window = 100;
    if (ret->minimum_calls == 0)
        ret->minimum_calls = ret->window < 10 ? ret->window : 10;
    if (ret->failure_ratio == 0)
        ret->failure_ratio = 0.5;
    if (ret->open_for == 0)
        ret->open_for = WEIR_S(1);
    if (ret->half_open_calls == 0)
        ret->half_open_calls = 1;
    return 0;
}

static const char *wrong_field(const weir_breaker_options *options)
{
    if (options->window > WINDOW_MAX)
        return "window: above 1024";
    if (options->minimum_calls > options->window)
        return "minimum_calls: above window";
    if (!(options->failure_ratio > 0 && options->failure_ratio <= 1)) /* nor if it is no number */
        return "failure_ratio: not above 0 and at most 1";
    if (options->open_for < 0)
        return "open_for: negative";
    if (options->half_open_calls > PROBES_MAX)
        return "half_open_calls: above 16";
    return NULL;
}

const char *weir_breaker_options_error(const weir_breaker_options *given)
{
    weir_breaker_options options;
    int err = read_breaker_options(&options, given);
    return options_error(err, wrong_field(&options));
}

int weir_breaker_init(weir_breaker *handle, const weir_breaker_options *given)
{
    if (handle == NULL)
        return -EINVAL;
    weir_breaker_options options;
    int err = read_breaker_options(&options, given);
    if (err == 0 && wrong_field(&options) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    struct breaker *breaker = (struct breaker *)handle;
    *breaker = (struct breaker){
        .window = options.window,
        .minimum_calls = options.minimum_calls,
        .half_open_calls = options.half_open_calls,
        .failure_ratio = options.failure_ratio,
        .open_for = options.open_for,
        .on_change = options.on_change,
        .user = options.user,
        .series = 1,
        .closed = 1,
    };
    lock_init(&breaker->lock);
    return 0;
}

/* Changes. */

static void change_locked(struct breaker *breaker, weir_breaker_state to)
{
    PROBE3(breaker_change, breaker, breaker->state, to);
    TRACE(note, EVENT_BREAKER, NULL, (uintptr_t)breaker, to);
    breaker->state = to;
    breaker->series++;
    for (uint32_t i = 0; i < PROBES_MAX; i++)
        breaker->probes[i].ticket = 0;
    breaker->succeeded = 0;
    if (to == WEIR_BREAKER_CLOSED) {
        breaker->closed = breaker->series;
        breaker->calls = breaker->failures = breaker->next = 0;
    }
    if (breaker->on_change != NULL) {
        weir_assert(breaker->untold < UNTOLD_MAX);
        breaker->changes |= (uint64_t)to << 2 * breaker->untold++;
    }
}

static void open_locked(struct breaker *breaker, int64_t now)
{
    change_locked(breaker, WEIR_BREAKER_OPEN);
    breaker->counts.opened++;
    breaker->open_until = now < INT64_MAX - breaker->open_for ? now + breaker->open_for : INT64_MAX;
}

/* Tells the changes that are queued, unless another thread does, and releases the lock. */
static void tell_and_unlock(struct breaker *breaker)
{
    if (breaker->telling || breaker->untold == 0) {
        lock_release(&breaker->lock);
        return;
    }
    breaker->telling = true;
    while (breaker->untold != 0) {
        weir_breaker_state from = breaker->told, to = (weir_breaker_state)(breaker->changes & 3);
        breaker->told = to;
        breaker->changes >>= 2;
        breaker->untold--;
        lock_release(&breaker->lock);
        breaker->on_change(from, to, breaker->user);
        lock_acquire(&breaker->lock);
    }
    breaker->telling = false;
    lock_release(&breaker->lock);
}

/* Asking. */

static bool is_due(const struct breaker *breaker, int64_t now)
{
    return breaker->state == WEIR_BREAKER_OPEN && now >= breaker->open_until &&
           breaker->untold + UNTOLD_ROOM <= UNTOLD_MAX;
}

/* Lends the place of a probe, or returns 0. */
static uint64_t lend_probe_locked(struct breaker *breaker, int64_t now)
{
    uint32_t out = 0;
    struct probe *place = NULL;
    for (uint32_t i = 0; i < breaker->half_open_calls; i++) {
        struct probe *probe = &breaker->probes[i];
        if (probe->ticket != 0 && now < probe->void_at)
            out++;
        else
            place = probe;
    }
    if (place == NULL || out + breaker->succeeded >= breaker->half_open_calls)
        return 0;
    place->ticket = ++breaker->series;
    place->void_at = now < INT64_MAX - breaker->open_for ? now + breaker->open_for : INT64_MAX;
    return place->ticket;
}

int weir_breaker_allow_at(weir_breaker *handle, uint64_t *ret_ticket, int64_t now)
{
    if (handle == NULL || ret_ticket == NULL)
        return -EINVAL;
    struct breaker *breaker = (struct breaker *)handle;
    uint64_t ticket = 0;
    lock_acquire(&breaker->lock);
    if (is_due(breaker, now))
        change_locked(breaker, WEIR_BREAKER_HALF_OPEN);
    if (breaker->state == WEIR_BREAKER_CLOSED)
        ticket = breaker->closed;
    else if (breaker->state == WEIR_BREAKER_HALF_OPEN)
        ticket = lend_probe_locked(breaker, now);
    breaker->counts.allowed += ticket != 0;
    breaker->counts.refused += ticket == 0;
    tell_and_unlock(breaker);
    if (ticket == 0)
        return -EAGAIN;
    *ret_ticket = ticket;
    return 0;
}

int weir_breaker_allow(weir_breaker *breaker, uint64_t *ret_ticket)
{
    return weir_breaker_allow_at(breaker, ret_ticket, weir_now());
}

bool weir__breaker_made(const weir_breaker *breaker)
{
    return ((const struct breaker *)breaker)->window != 0; /* constant */
}

int64_t weir__breaker_ask_again(weir_breaker *handle, int64_t now)
{
    struct breaker *breaker = (struct breaker *)handle;
    int64_t at = WEIR_FOREVER;
    lock_acquire(&breaker->lock);
    if (breaker->state == WEIR_BREAKER_CLOSED)
        at = now;
    else if (breaker->state == WEIR_BREAKER_OPEN && now < breaker->open_until)
        at = breaker->open_until;
    else if (breaker->state == WEIR_BREAKER_HALF_OPEN)
        for (uint32_t i = 0; i < breaker->half_open_calls; i++)
            if (breaker->probes[i].ticket != 0)
                at = earlier(at, breaker->probes[i].void_at);
    if (at == WEIR_FOREVER) /* too many changes are untold */
        at = time_after(now, breaker->open_for);
    lock_release(&breaker->lock);
    return at;
}

weir_breaker_state weir_breaker_read_state_at(const weir_breaker *handle, int64_t now)
{
    if (handle == NULL)
        return WEIR_BREAKER_CLOSED;
    struct breaker *breaker = (struct breaker *)(uintptr_t)handle; /* for its lock */
    lock_acquire(&breaker->lock);
    weir_breaker_state state = is_due(breaker, now) ? WEIR_BREAKER_HALF_OPEN : breaker->state;
    lock_release(&breaker->lock);
    return state;
}

weir_breaker_state weir_breaker_read_state(const weir_breaker *breaker)
{
    return weir_breaker_read_state_at(breaker, weir_now());
}

void weir_breaker_read_counts(const weir_breaker *handle, weir_breaker_counts *ret)
{
    if (ret == NULL)
        return;
    *ret = (weir_breaker_counts){0};
    if (handle == NULL)
        return;
    struct breaker *breaker = (struct breaker *)(uintptr_t)handle; /* for its lock */
    lock_acquire(&breaker->lock);
    *ret = breaker->counts;
    lock_release(&breaker->lock);
}

/* Recording. */

static void count_result_locked(struct breaker *breaker, bool failed)
{
    breaker->counts.failed += failed;
    breaker->counts.succeeded += !failed;
}

/* Puts the result in the place of the oldest one, once the window is full. */
static void count_locked(struct breaker *breaker, bool failed)
{
    uint64_t *word = &breaker->failed[breaker->next / 64];
    uint64_t bit = UINT64_C(1) << breaker->next % 64;
    if (breaker->calls == breaker->window)
        breaker->failures -= (*word & bit) != 0;
    else
        breaker->calls++;
    *word = failed ? *word | bit : *word & ~bit;
    breaker->failures += failed;
    count_result_locked(breaker, failed);
    breaker->next = (breaker->next + 1) % breaker->window;
}

/* A quotient, so that 7 of 100 equals a ratio of 0.07: the nearest double is the same. */
static bool too_many_failures(const struct breaker *breaker)
{
    return breaker->calls >= breaker->minimum_calls &&
           (double)breaker->failures / breaker->calls >= breaker->failure_ratio;
}

static void record_probe_locked(struct breaker *breaker, uint64_t ticket, int code, int64_t now)
{
    struct probe *probe = NULL;
    for (uint32_t i = 0; i < breaker->half_open_calls && probe == NULL; i++)
        if (breaker->probes[i].ticket == ticket)
            probe = &breaker->probes[i];
    if (probe == NULL)
        return;
    probe->ticket = 0;
    if (now >= probe->void_at || code == -ECANCELED)
        return;
    count_result_locked(breaker, code != 0);
    if (code != 0)
        open_locked(breaker, now);
    else if (++breaker->succeeded == breaker->half_open_calls)
        change_locked(breaker, WEIR_BREAKER_CLOSED);
}

void weir_breaker_record_at(weir_breaker *handle, uint64_t ticket, int code, int64_t now)
{
    if (handle == NULL)
        weir__misuse("weir_breaker_record", "the breaker is NULL.");
    struct breaker *breaker = (struct breaker *)handle;
    if (ticket == 0)
        return; /* never one, and what a free place holds */
    lock_acquire(&breaker->lock);
    if (breaker->state == WEIR_BREAKER_CLOSED && ticket == breaker->closed && code != -ECANCELED) {
        count_locked(breaker, code != 0);
        if (too_many_failures(breaker))
            open_locked(breaker, now);
    } else if (breaker->state == WEIR_BREAKER_HALF_OPEN) {
        record_probe_locked(breaker, ticket, code, now);
    }
    tell_and_unlock(breaker);
}

void weir_breaker_record(weir_breaker *breaker, uint64_t ticket, int code)
{
    weir_breaker_record_at(breaker, ticket, code, weir_now());
}
