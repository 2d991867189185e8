/* SPDX-License-Identifier: MIT */
/* watchdog.c - when the watchdog looks. The protocol is in watchdog.h. */
#include "pool/watchdog.h"

#include "base/deadline.h"
#include "os/alloc.h"

void weir__watchdog_release(struct watchdog *watchdog)
{
    weir__free(watchdog->watched);
    weir__free(watchdog->told);
}

/* Ticks. */

static void settle_locked(struct watchdog *watchdog, int64_t due);

static void tick(struct alarm *alarm)
{
    struct watchdog *watchdog = container_of(alarm, struct watchdog, alarm);
    /* pairs with weir__watchdog_hurry, weir__watchdog_wake */
    (void)xchg_seqcst(&watchdog->next, WATCH_TICKING);
    int64_t due;
    bool closing = false, last;
    do {
        last = closing;
        due = weir__watchdog_look(watchdog);
        lock_acquire(&watchdog->lock);
        closing = watchdog->closing;
        if (!closing || last)
            settle_locked(watchdog, due);
        lock_release(&watchdog->lock);
    } while (closing && !last);
    if (closing)
        weir__wake_all(&watchdog->next);
}

/* The alarm is not set and no tick is under way, or it is ending: has it ring at `at`. `next` comes
 * first, for the alarm may ring at once. */
static void set_locked(struct watchdog *watchdog, int64_t at)
{
    /* pairs with weir__watchdog_hurry, weir__watchdog_wake */
    (void)xchg_seqcst(&watchdog->next, at);
    if (weir__alarm_set(&watchdog->clock, &watchdog->alarm, at, NULL) != 0)
        store_rlx(&watchdog->next, WATCH_NONE); /* the next worker that wakes tries again */
}

static bool wants_ticks(const struct watchdog *watchdog)
{
    return watchdog->limit > 0 &&
           load_seqcst(&watchdog->awake) != 0; /* pairs with weir__watchdog_wake */
}

/* Ends a tick after which something may be late at `due`. */
static void settle_locked(struct watchdog *watchdog, int64_t due)
{
    int64_t most = time_after(weir_now(), watchdog->limit);
    due = earlier(due, watchdog->hurried);
    watchdog->hurried = WEIR_FOREVER;
    /* pairs with weir__watchdog_hurry, weir__watchdog_wake, stopped */
    (void)xchg_seqcst(&watchdog->next, WATCH_NONE);
    if (wants_ticks(watchdog))
        due = earlier(due, most);
    if (due != WEIR_FOREVER && !watchdog->closing)
        set_locked(watchdog, due);
}

void weir__watchdog_arm(struct watchdog *watchdog, int64_t at)
{
    lock_acquire(&watchdog->lock);
    int64_t next = load_rlx(&watchdog->next); /* the lock orders it, but for a tick: the CAS sees */
    if (watchdog->closing)
        next = at;
    if (next == WATCH_NONE)
        set_locked(watchdog, at);
    /* pairs with weir__watchdog_hurry, weir__watchdog_wake; it fails if a tick has begun */
    else if (at < next && next != WATCH_TICKING && cas_seqcst(&watchdog->next, &next, at))
        (void)weir__alarm_move(&watchdog->clock, &watchdog->alarm, at, NULL); /* or it rings */
    if (next == WATCH_TICKING)
        watchdog->hurried = earlier(watchdog->hurried, at);
    lock_release(&watchdog->lock);
}

/* Workers. */

COLD void weir__watchdog_wake(struct watchdog *watchdog, struct watched *watched)
{
    watched->awake = true;
    add_seqcst(&watchdog->awake, 1); /* pairs with wants_ticks */
    /* pairs with tick, set_locked, settle_locked, weir__watchdog_arm */
    if (watchdog->limit > 0 && load_seqcst(&watchdog->next) == WATCH_NONE)
        weir__watchdog_arm(watchdog, time_after(weir_now(), watchdog->limit));
}

COLD void weir__watchdog_park(struct watchdog *watchdog, struct watched *watched)
{
    if (!watched->awake)
        return;
    watched->awake = false;
    sub_rlx(&watchdog->awake, 1); /* a tick too many does no harm */
}

COLD void weir__watchdog_hurry(struct watchdog *watchdog, struct watched_run *run, int64_t began,
                               int64_t limit)
{
    int64_t due = time_after(began, limit);
    (void)xchg_seqcst(&run->began, began); /* pairs with read_run */
    /* pairs with tick, set_locked, settle_locked, weir__watchdog_arm */
    int64_t next = load_seqcst(&watchdog->next);
    if (next == WATCH_NONE || next > due)
        weir__watchdog_arm(watchdog, due);
}

/* The beginning, and the end. */

int weir__watchdog_init(struct watchdog *watchdog, weir_pool *pool, const struct queue *queue,
                        const weir_pool_options *options, const char *name)
{
    weir__alarm_clock_init(&watchdog->clock, name, false);
    watchdog->alarm.ring = tick;
    lock_init(&watchdog->lock);
    watchdog->hurried = WEIR_FOREVER;
    watchdog->limit = options->stuck_after;
    watchdog->on_stuck = options->on_stuck;
    watchdog->user = options->user;
    watchdog->pool = pool;
    watchdog->queue = queue;
    watchdog->workers = options->workers_max != 0 ? options->workers_max : options->workers;
    store_rlx(&watchdog->next, WATCH_NONE); /* nobody else knows it yet */
    watchdog->watched = weir__alloc(watchdog->workers, sizeof *watchdog->watched);
    watchdog->told =
        weir__alloc((size_t)watchdog->workers * WATCH_LEVELS + 1, sizeof *watchdog->told);
    return watchdog->watched != NULL && watchdog->told != NULL ? 0 : -ENOMEM;
}

static bool stopped(void *arg)
{
    const struct watchdog *watchdog = arg;
    return load_seqcst(&watchdog->next) == WATCH_NONE; /* pairs with settle_locked */
}

void weir__watchdog_stop(struct watchdog *watchdog)
{
    lock_acquire(&watchdog->lock);
    watchdog->closing = true;
    if (load_rlx(&watchdog->next) != WATCH_NONE) /* the lock orders it, or it rings by itself */
        (void)weir__alarm_move(&watchdog->clock, &watchdog->alarm, weir_now(), NULL);
    lock_release(&watchdog->lock);
    (void)weir__wait_until(TELL("weir_pool_shutdown", watchdog->pool), &watchdog->next, stopped,
                           watchdog, NULL, NULL, WEIR_FOREVER);
}

void weir__watchdog_join(struct watchdog *watchdog)
{
    weir__alarm_clock_destroy(&watchdog->clock);
}
