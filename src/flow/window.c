/* SPDX-License-Identifier: MIT */
/* window.c - the sliding window: the times of the last grants.
 *
 * Grants are numbered in the order in which they were made. Number i may not come due before number
 * i - max did plus the period; that is all, and it is exact, also if times go back: of any max + 1
 * grants two have numbers that differ by a multiple of max, and so their times by a period.
 *
 * The log holds two rounds of max, so that the last grants can be taken back: those before them are
 * then still there. The first max have none before them.
 *
 * Lock: one, for all fields but the constants. Nothing is called under it.
 */
#include "weir/limiter.h"

#include <errno.h>
#include <stdbool.h>

#include "base/deadline.h"
#include "flow/gaps.h"
#include "os/alloc.h"
#include "os/lock.h"

struct weir_window {
    int64_t period;
    uint32_t max;
    struct lock lock;
    uint64_t granted; /* how many there were; those taken back do not count */
    struct gap gaps[GAPS];
    int64_t due[]; /* when number i comes due: at i % (2 * max) */
};

int weir_window_new(weir_window **ret, uint32_t max, int64_t period)
{
    if (ret == NULL || max == 0 || period <= 0)
        return -EINVAL;
    const size_t round = 2 * sizeof(int64_t); /* bytes for each of max; the product may wrap */
    weir_window *window = weir__alloc(max + sizeof *window / round + 1, round);
    if (window == NULL)
        return -ENOMEM;
    window->period = period;
    window->max = max;
    lock_init(&window->lock);
    *ret = window;
    return 0;
}

void weir_window_free(weir_window *window)
{
    weir__free(window);
}

static int64_t *slot(weir_window *window, uint64_t number)
{
    return &window->due[number % ((uint64_t)window->max * 2)];
}

/* When the next n grants can come due, not before `now`. False: that time is out of range. */
static bool next_due_locked(weir_window *window, uint32_t n, int64_t now, int64_t *ret_due)
{
    int64_t due = now;
    uint64_t number = window->granted < window->max ? window->max : window->granted;
    for (; number < window->granted + n; number++) {
        int64_t before = *slot(window, number - window->max);
        if (before > INT64_MAX - window->period)
            return false;
        if (before + window->period > due)
            due = before + window->period;
    }
    *ret_due = due;
    return true;
}

/* Makes n grants if they come due within `most` ns. Returns the ns until then, or -EAGAIN: later;
 * -EOVERFLOW; -EINVAL. *ret_after is how many grants there were then. */
static int64_t grant(weir_window *window, uint32_t n, int64_t now, int64_t most,
                     uint64_t *ret_after)
{
    if (window == NULL || n > window->max)
        return -EINVAL;
    int64_t due = now, result;
    lock_acquire(&window->lock);
    bool possible = next_due_locked(window, n, now, &due);
    /* A wait is counted without a sign: `now` may be far before zero. */
    uint64_t wait = (uint64_t)due - (uint64_t)now;
    if (!possible || wait > INT64_MAX) {
        result = most == INT64_MAX ? -EOVERFLOW : -EAGAIN;
    } else if ((int64_t)wait > most) {
        result = -EAGAIN;
    } else {
        for (uint32_t i = 0; i < n; i++)
            *slot(window, window->granted++) = due;
        result = (int64_t)wait;
    }
    *ret_after = window->granted;
    lock_release(&window->lock);
    return result;
}

/* Takes the last grants back. Where the log has come round to the place of number i - 2 * max, the
 * time that was there is derived from its successor, which came due at least a period later. What
 * is derived may be too late, if that one waited for others, but never too early. */
static void undo_locked(weir_window *window, uint64_t n)
{
    for (; n > 0; n--) {
        uint64_t number = --window->granted;
        if (number >= (uint64_t)window->max * 2)
            *slot(window, number) = *slot(window, number - window->max) - window->period;
    }
}

/* Gives back n grants, after which there were `after`; see gaps.h. */
static void give_back(weir_window *window, uint32_t n, uint64_t after)
{
    struct gap given = {.end = (int64_t)after, .length = n};
    lock_acquire(&window->lock);
    join_gaps_locked(window->gaps, &given);
    if (window->granted == (uint64_t)given.end)
        undo_locked(window, (uint64_t)given.length);
    else
        note_gap_locked(window->gaps, &given);
    lock_release(&window->lock);
}

int weir_window_allow_at(weir_window *window, uint32_t n, int64_t now)
{
    uint64_t after;
    return (int)grant(window, n, now, 0, &after);
}

int weir_window_allow(weir_window *window, uint32_t n)
{
    return weir_window_allow_at(window, n, weir_now());
}

int64_t weir_window_reserve_at(weir_window *window, uint32_t n, int64_t now)
{
    uint64_t after;
    return grant(window, n, now, INT64_MAX, &after);
}

int64_t weir_window_reserve(weir_window *window, uint32_t n)
{
    return weir_window_reserve_at(window, n, weir_now());
}

int weir_window_wait_until(weir_window *window, uint32_t n, weir_context *ctx, int64_t deadline)
{
    int err = weir_context_err(ctx);
    if (window == NULL || err != 0)
        return window == NULL ? -EINVAL : err;
    int64_t now = weir_now();
    deadline = earlier(deadline, weir_context_deadline(ctx));
    int64_t most = time_left(deadline, now);
    uint64_t after;
    int64_t wait = grant(window, n, now, most, &after);
    if (wait <= 0)
        return wait == -EAGAIN ? -ETIMEDOUT : (int)wait;
    if (weir_sleep_until(ctx, time_after(now, wait)) != -ECANCELED)
        return 0; /* slept, or the context ended at that very time */
    give_back(window, n, after);
    return -ECANCELED;
}

int weir_window_wait(weir_window *window, uint32_t n)
{
    return weir_window_wait_until(window, n, NULL, WEIR_FOREVER);
}

/* Observers. */

/* Has the grant left the window? One at time t leaves it at t + period. */
static bool has_left(const weir_window *window, int64_t due, int64_t now)
{
    return due <= INT64_MAX - window->period && due + window->period <= now;
}

/* Times grow with the numbers, but for threads that read the clock and were held up. */
uint32_t weir_window_used_at(const weir_window *given, int64_t now)
{
    if (given == NULL)
        return 0;
    weir_window *window = (weir_window *)(uintptr_t)given; /* for its lock */
    lock_acquire(&window->lock);
    uint64_t end = window->granted, low = end > window->max ? end - window->max : 0, high = end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (has_left(window, *slot(window, middle), now))
            low = middle + 1;
        else
            high = middle;
    }
    lock_release(&window->lock);
    return (uint32_t)(end - low);
}

uint32_t weir_window_used(const weir_window *window)
{
    return weir_window_used_at(window, weir_now());
}

uint32_t weir_window_max(const weir_window *window)
{
    return window != NULL ? window->max : 0;
}
