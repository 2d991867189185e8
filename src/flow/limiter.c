/* SPDX-License-Identifier: MIT */
/* limiter.c - the token bucket, in one word.
 *
 * The bucket is kept as the time at which it is, or was, empty: `empty`. At time t it holds
 * (t - empty) / token tokens, `token` being the time that one takes to flow in; never more than
 * burst, so empty counts as at least t - depth, depth being burst * token. To take n tokens is to
 * move empty n * token ahead. They are there if it is then at most t; if not, they will be at that
 * time. Everything is a sum of integers, so nothing is rounded but `token`, once, upwards, in units
 * of time that limiter_rate.c chooses for each rate.
 *
 * Why it is exact: let calls at times in [s, e] take tokens, in the order of their CAS. Before the
 * first, empty counts as at least s - depth; after the last, it is at most e; it never moves back
 * in between. So they took at most (e - s + depth) / token, whatever the order of their times.
 *
 * state: {era:3, empty:61}. `empty` is relative to a base, as 61 bits do not hold all of time.
 * record[era & 1]: the base and the rate of that era; the other record is for the era to come. An
 * era ends when the rate changes, or when time has gone far from its base:
 *   1. propose: the other record's base, then its rate, by CAS from what the last era left there.
 *      The base grows with each era and the rate carries the tag of its era (of which era is the
 *      low bits), so that both are written once an era, however late a thread comes.
 *   2. flip: CAS state to the new era, with `empty` converted. A thread that finds a proposal
 *      completes it.
 * All others take the state, then its record; their CAS fails if the era has ended meanwhile. So
 * no call that takes tokens or changes the rate ever waits for another.
 *
 * A cancelled reservation is a stretch of time by which `empty` was moved ahead; it is given back
 * as gaps.h says. An era is a line of its own: the next one takes the debt over as a whole. Only a
 * cancelled wait takes the lock.
 *
 * Invariants:
 *   I1  depth <= 1e18 units, |now - base| counts as at most HORIZON, empty < FARTHEST: an offset
 *       fits 61 bits, and every sum below fits 64.
 *   I2  A record changes only while it is not the one of the current era.
 *
 * Orders. flip publishes the record of the era to look. propose publishes to look, with the base
 * and the rate, that the era is over whose record it writes: a look that sees one of them sees that
 * the state has changed. Within propose and flip no order is needed: each word of a proposal is
 * written once, and a thread that flips has met the base, since it has proposed too. A limiter does
 * not order its callers' data.
 */
#include "flow/limiter.h"

#include <errno.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/deadline.h"
#include "flow/limiter_view.h"
#include "os/lock.h"

enum {
    STAGGER = 1 << 10, /* ns */
};

struct record {
    atomic(int64_t) base;  /* ns */
    atomic(uint64_t) rate; /* with the era's tag; see weir__rate_pack */
};

struct __attribute__((may_alias)) limiter {
    atomic(uint64_t) state;
    struct record record[2];
    uint32_t burst; /* constant */
    struct lock lock;
    struct gap gaps[GAPS]; /* under the lock */
};

_Static_assert(sizeof(struct limiter) <= sizeof(weir_limiter), "fits");

/* Eras. */

static void set_record(const struct limiter *limiter, struct view *view, int64_t base,
                       uint64_t rate)
{
    view->base = base;
    view->tag = rate_tag(rate);
    view->rate = rate_unpack(rate);
    view->depth = (int64_t)limiter->burst * view->rate.token;
}

static struct view look(struct limiter *limiter)
{
    struct view view;
    uint32_t era;
    do {
        view.state = load_acq(&limiter->state); /* pairs with flip */
        era = (uint32_t)(view.state >> OFFSET_BITS);
        const struct record *record = &limiter->record[era & 1];
        /* pairs with propose; so does the next load, and the state is looked at after both */
        uint64_t rate = load_acq(&record->rate);
        set_record(limiter, &view, load_acq(&record->base), rate); /* pairs with propose */
        /* While it is still that era, the record was and is that of the era (I2). */
    } while (load_rlx(&limiter->state) >> OFFSET_BITS != era);
    view.empty = empty_of(view.state);
    return view;
}

static struct record *record_to_come(struct limiter *limiter, const struct view *view)
{
    return &limiter->record[(view->tag + 1) & 1];
}

/* The state tells eight eras apart. A thread that looked at one of them, and was held up until the
 * eighth after it, must not find the same offset again, as it would in a bucket that is full all
 * the time. So the base lies less far back for each eight, of 512 times eight: now is another
 * offset. */
static int64_t stagger(uint32_t tag)
{
    return (int64_t)((~tag & TAG_MASK) >> ERA_BITS) * STAGGER;
}

/* Proposes an era that begins about `now`. False: another one was proposed, or has begun. */
static bool propose(struct limiter *limiter, const struct view *view, struct rate rate, int64_t now)
{
    struct record *next = record_to_come(limiter, view);
    int64_t begin = now - stagger(view->tag + 1);
    int64_t base = load_rlx(&next->base);
    if (base <= view->base) /* pairs with look; if it fails, another thread's base is there */
        (void)cas_rel(&next->base, &base, begin > view->base ? begin : view->base + 1);
    uint64_t last = load_rlx(&next->rate);
    return rate_tag(last) == ((view->tag - 1) & TAG_MASK) &&
           cas_rel(&next->rate, &last, weir__rate_pack(view->tag + 1, rate)); /* pairs with look */
}

/* Begins the era that was proposed, if `view` still holds. The caller has met the proposal's base:
 * it has tried to propose one itself. */
static void flip(struct limiter *limiter, const struct view *view, int64_t now)
{
    const struct record *record = record_to_come(limiter, view);
    uint64_t rate = load_rlx(&record->rate);
    if (rate_tag(rate) != ((view->tag + 1) & TAG_MASK))
        return;
    struct view next;
    set_record(limiter, &next, load_rlx(&record->base), rate);
    /* The level is carried over at a moment that the new era can express: now, except for a thread
     * that comes very late. The base is not that moment: it may be some ns ahead. */
    int64_t at = now, units;
    int64_t reach = next.rate.per_ns != 0 ? HORIZON / next.rate.per_ns : INT64_MAX;
    if (at - next.base > reach)
        at = next.base + reach;
    else if (next.base - at > reach)
        at = next.base - reach;
    (void)since_base(&next, at, HORIZON, &units);
    int64_t before; /* later than 4 * FARTHEST after the base the bucket is full, as at that time */
    (void)since_base(view, at, 4 * FARTHEST, &before);
    int64_t level = before - count_empty(view, before);
    int64_t empty = units - weir__rate_convert(level, view->rate.token, next.rate.token);
    if (empty >= FARTHEST)
        empty = FARTHEST - 1; /* a debt that is longer than time */
    uint64_t state = view->state;
    (void)cas_rel(&limiter->state, &state, pack_state(next.tag, empty)); /* pairs with look */
}

/* Taking. */

int64_t weir__limiter_take(weir_limiter *handle, uint32_t n, int64_t now, int64_t most,
                           struct gap *ret)
{
    struct limiter *limiter = (struct limiter *)handle;
    if (limiter == NULL || n > limiter->burst)
        return -EINVAL;
    *ret = (struct gap){0, 0, 0};
    if (n == 0)
        return 0;
    now = clamp_time(now);
    for (;;) {
        struct view view = look(limiter);
        int64_t units;
        if (!since_base(&view, now, HORIZON, &units)) {
            (void)propose(limiter, &view, view.rate, now);
            flip(limiter, &view, now);
            continue;
        }
        int64_t cost = (int64_t)n * view.rate.token;
        int64_t empty = count_empty(&view, units) + cost;
        int64_t wait = 0;
        if (empty > units) {
            if (view.rate.per_ns == 0)
                return -EDEADLK;
            wait = (empty - units - 1) / view.rate.per_ns + 1 + before_horizon(&view, now);
        }
        if (wait > most)
            return -EAGAIN;
        if (empty >= FARTHEST)
            return -EOVERFLOW;
        uint64_t state = view.state; /* relaxed: within an era the CAS carries on what flip did */
        if (cas_rlx(&limiter->state, &state, pack_state(view.tag, empty))) {
            *ret = (struct gap){empty, cost, view.tag};
            return wait;
        }
    }
}

/* Giving back. */

void weir__limiter_give_back(weir_limiter *handle, struct gap given)
{
    struct limiter *limiter = (struct limiter *)handle;
    lock_acquire(&limiter->lock);
    join_gaps_locked(limiter->gaps, &given);
    for (;;) {
        struct view view = look(limiter);
        if (view.tag != given.line)
            break; /* the debt was carried over to another era as a whole */
        if (view.empty != given.end) {
            note_gap_locked(limiter->gaps, &given);
            break;
        }
        uint64_t state = view.state;
        if (cas_rlx(&limiter->state, &state, pack_state(view.tag, view.empty - given.length)))
            break;
    }
    lock_release(&limiter->lock);
}

int weir_limiter_allow_at(weir_limiter *limiter, uint32_t n, int64_t now)
{
    struct gap taken;
    int64_t wait = weir__limiter_take(limiter, n, now, 0, &taken);
    return wait == -EDEADLK ? -EAGAIN : (int)wait;
}

int weir_limiter_allow(weir_limiter *limiter, uint32_t n)
{
    return weir_limiter_allow_at(limiter, n, weir_now());
}

int64_t weir_limiter_reserve_at(weir_limiter *limiter, uint32_t n, int64_t now)
{
    struct gap taken;
    return weir__limiter_take(limiter, n, now, INT64_MAX, &taken);
}

int64_t weir_limiter_reserve(weir_limiter *limiter, uint32_t n)
{
    return weir_limiter_reserve_at(limiter, n, weir_now());
}

int weir_limiter_wait_until(weir_limiter *limiter, uint32_t n, weir_context *ctx, int64_t deadline)
{
    int err = weir_context_err(ctx);
    if (limiter == NULL || err != 0)
        return limiter == NULL ? -EINVAL : err;
    int64_t now = weir_now();
    deadline = earlier(deadline, weir_context_deadline(ctx));
    int64_t most = time_left(deadline, now);
    struct gap taken;
    int64_t wait = weir__limiter_take(limiter, n, now, most, &taken);
    if (wait == -EAGAIN || (wait == -EDEADLK && deadline != WEIR_FOREVER))
        return -ETIMEDOUT;
    if (wait <= 0)
        return (int)wait;
    if (weir_sleep_until(ctx, time_after(now, wait)) != -ECANCELED)
        return 0; /* slept, or the context ended at that very time */
    weir__limiter_give_back(limiter, taken);
    return -ECANCELED;
}

int weir_limiter_wait(weir_limiter *limiter, uint32_t n)
{
    return weir_limiter_wait_until(limiter, n, NULL, WEIR_FOREVER);
}

/* Life and rate. */

int weir_limiter_init(weir_limiter *handle, double tokens_per_second, uint32_t burst)
{
    struct rate rate;
    if (handle == NULL || weir__rate_read(tokens_per_second, burst, &rate) != 0)
        return -EINVAL;
    struct limiter *limiter = (struct limiter *)handle;
    *handle = (weir_limiter){{0}};
    limiter->burst = burst;
    lock_init(&limiter->lock);
    uint64_t word = weir__rate_pack(0, rate);
    for (size_t i = 0; i < 2; i++) { /* nobody else knows the limiter yet */
        store_rlx(&limiter->record[i].base, INT64_MIN);
        store_rlx(&limiter->record[i].rate, i == 0 ? word : weir__rate_pack(TAG_MASK, rate));
    }
    store_rlx(&limiter->state, pack_state(0, -(int64_t)burst * rate_unpack(word).token));
    return 0;
}

/* `clock`: read the time here. It is read after the state that it is used on: then whatever led to
 * that state happened earlier, and no time is paid for twice, at the old rate and at the new. */
static int set_rate(weir_limiter *handle, double tokens_per_second, bool clock, int64_t now)
{
    struct limiter *limiter = (struct limiter *)handle;
    struct rate rate;
    if (limiter == NULL || weir__rate_read(tokens_per_second, limiter->burst, &rate) != 0)
        return -EINVAL;
    if (load_rlx(&limiter->state) == 0) /* all-zero, which no state is: I1 */
        return -EINVAL;
    bool proposed = false;
    uint32_t tag = 0;
    for (;;) {
        struct view view = look(limiter);
        if (proposed && view.tag != tag)
            return 0; /* that era has begun */
        if (clock)
            now = weir_now();
        now = clamp_time(now);
        if (!proposed && propose(limiter, &view, rate, now)) {
            proposed = true;
            tag = view.tag;
        }
        flip(limiter, &view, now);
    }
}

int weir_limiter_set_rate_at(weir_limiter *limiter, double tokens_per_second, int64_t now)
{
    return set_rate(limiter, tokens_per_second, false, now);
}

int weir_limiter_set_rate(weir_limiter *limiter, double tokens_per_second)
{
    return set_rate(limiter, tokens_per_second, true, 0);
}

/* Observers. */

int64_t weir_limiter_tokens_at(const weir_limiter *handle, int64_t now)
{
    struct limiter *limiter = (struct limiter *)(uintptr_t)handle; /* only read */
    if (limiter == NULL || load_rlx(&limiter->state) == 0)         /* as in set_rate */
        return 0;
    struct view view = look(limiter);
    int64_t units;
    (void)since_base(&view, clamp_time(now), HORIZON, &units);
    int64_t level = units - count_empty(&view, units), token = view.rate.token;
    return level >= 0 ? level / token : -((token - 1 - level) / token);
}

int64_t weir_limiter_tokens(const weir_limiter *limiter)
{
    return weir_limiter_tokens_at(limiter, weir_now());
}

uint32_t weir_limiter_burst(const weir_limiter *limiter)
{
    return limiter != NULL ? ((const struct limiter *)limiter)->burst : 0;
}
