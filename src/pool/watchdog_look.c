/* SPDX-License-Identifier: MIT */
/* watchdog_look.c - what a tick of the watchdog looks at, and what it tells.
 *
 * A run that has taken longer than it may is told as RUNNING; or as BLOCKED, once the call that its
 * thread is blocked in has taken that long. While such a call is younger the tick waits, but not
 * for longer than the run may take once more: else a task that sleeps again and again would never
 * be told. */
#include "pool/watchdog_look.h"

#include <string.h>

#include "base/deadline.h"
#include "os/symbol.h"

static void tell(struct watchdog *watchdog, const weir_stuck *what)
{
    store_rlx(&watchdog->telling, this_thread()); /* only this thread would find itself there */
    watchdog->on_stuck(what, watchdog->user);
    store_rlx(&watchdog->telling, NULL);
}

bool weir__watchdog_telling(const struct watchdog *watchdog)
{
    return load_rlx(&watchdog->telling) == this_thread(); /* it is, only if this thread wrote it */
}

/* Tells what was told again: it is over. */
static void tell_recovered(struct watchdog *watchdog, struct told_run *told, int64_t now)
{
    told->what.recovered = 1;
    told->what.ns = now - told->began;
    told->what.queued = (size_t)weir__queue_count(watchdog->queue);
    told->began = 0;
    tell(watchdog, &told->what);
}

/* One run. */

struct seen_run {
    int64_t began, limit;
    unsigned level;
};

/* False: another one has begun meanwhile, which is no business of this tick. */
static bool read_run(const struct watched_run *run, struct seen_run *ret)
{
    /* seq_cst: the tick was announced before it looks. Pairs with weir__watchdog_hurry, watch_run,
     * watch_ran. */
    ret->began = load_seqcst(&run->began);
    ret->limit = load_acq(&run->limit);         /* pairs with watch_run */
    ret->level = load_acq(&run->level);         /* pairs with watch_run */
    return load_acq(&run->began) == ret->began; /* as in the first line of read_run */
}

/* The worker that runs a job of `sink`, or -1. */
static int worker_that_runs(const struct watchdog *watchdog, const void *sink)
{
    for (unsigned i = 0; sink != NULL && i < watchdog->workers; i++) {
        struct activity_view view;
        if (!weir__activity_read(watchdog->watched[i].activity, &view))
            continue;
        for (unsigned k = 0; k < view.levels; k++)
            if (view.level[k].sink == sink)
                return (int)i;
    }
    return -1;
}

/* What there is to tell of a run that is late; or, if that must wait, until when. */
static bool describe(const struct watchdog *watchdog, unsigned worker, const struct seen_run *run,
                     int64_t now, struct told_run *ret, int64_t *ret_due)
{
    struct activity_view view;
    bool readable = weir__activity_read(watchdog->watched[worker].activity, &view);
    bool innermost = run->level + 1 == activity_levels(view.state);
    bool blocked = readable && innermost && (view.state & ACTIVITY_BLOCKED) != 0;
    int64_t in_call = blocked ? now - view.since : 0;
    if (blocked && in_call < run->limit && now - run->began < 2 * run->limit) {
        *ret_due = earlier(view.since + run->limit, run->began + 2 * run->limit);
        return false;
    }
    ret->name[0] = '\0';
    ret->what = (weir_stuck){
        .size = sizeof ret->what,
        .pool = watchdog->pool,
        .reason = in_call >= run->limit ? WEIR_STUCK_BLOCKED : WEIR_STUCK_RUNNING,
        .worker = (int)worker,
        .thread = view.thread,
        .ns = now - run->began,
        .call = blocked ? view.call : NULL,
        .object = blocked ? view.object : NULL,
        .call_ns = in_call,
        .holder = blocked ? worker_that_runs(watchdog, view.awaited) : -1,
        .queued = (size_t)weir__queue_count(watchdog->queue),
    };
    if (readable && run->level < view.levels) {
        const struct activity_view_level *level = &view.level[run->level];
        memcpy(ret->name, level->name, sizeof ret->name);
        if (ret->name[0] == '\0')
            weir__symbol(level->fn, ret->name, sizeof ret->name);
        ret->what.fn = (weir_task_fn *)level->fn;
    }
    ret->what.name = ret->name;
    return true;
}

/* Returns by when to look at the run again. */
static int64_t look_at_run(struct watchdog *watchdog, unsigned worker,
                           const struct watched_run *run, struct told_run *told)
{
    struct seen_run seen, again;
    int64_t now = weir_now(), due = WEIR_FOREVER;
    bool whole = read_run(run, &seen);
    if (told->began != 0 && (!whole || told->began != seen.began))
        tell_recovered(watchdog, told, now);
    if (!whole || seen.began == 0 || seen.limit == 0)
        return WEIR_FOREVER;
    if (told->began != 0)
        return time_after(now, seen.limit);
    if (now - seen.began < seen.limit)
        return time_after(seen.began, seen.limit);
    if (!describe(watchdog, worker, &seen, now, told, &due))
        return due;
    if (!read_run(run, &again) || again.began != seen.began)
        return WEIR_FOREVER; /* it has just ended */
    told->began = seen.began;
    tell(watchdog, &told->what);
    return time_after(weir_now(), seen.limit);
}

/* All workers at once. */

/* Since when all of them have been blocked while tasks are queued; WEIR_FOREVER: they are not. */
static int64_t all_blocked_since(const struct watchdog *watchdog)
{
    int64_t since = 0;
    if (weir__queue_count(watchdog->queue) == 0)
        return WEIR_FOREVER;
    for (unsigned i = 0; i < watchdog->workers; i++) {
        struct activity_view view;
        if (watchdog->size != NULL && !size_has(watchdog->size, i))
            continue;
        if (!weir__activity_read(watchdog->watched[i].activity, &view) ||
            (view.state & ACTIVITY_BLOCKED) == 0 || activity_levels(view.state) == 0)
            return WEIR_FOREVER;
        if (view.since > since)
            since = view.since;
    }
    return since;
}

static int64_t look_at_all(struct watchdog *watchdog, struct told_run *told)
{
    int64_t since = all_blocked_since(watchdog), now = weir_now();
    if (told->began != 0 && told->began != since)
        tell_recovered(watchdog, told, now);
    if (since == WEIR_FOREVER)
        return WEIR_FOREVER;
    if (told->began == 0 && now - since < watchdog->limit)
        return time_after(since, watchdog->limit);
    if (told->began == 0) {
        told->began = since;
        told->what = (weir_stuck){
            .size = sizeof told->what,
            .pool = watchdog->pool,
            .reason = WEIR_STUCK_ALL_BLOCKED,
            .worker = -1,
            .holder = -1,
            .name = told->name,
            .ns = now - since,
            .queued = (size_t)weir__queue_count(watchdog->queue),
        };
        tell(watchdog, &told->what);
    }
    return time_after(weir_now(), watchdog->limit);
}

int64_t weir__watchdog_look(struct watchdog *watchdog)
{
    struct told_run *told = watchdog->told,
                    *of_all = told + (size_t)watchdog->workers * WATCH_LEVELS;
    int64_t due = watchdog->limit > 0 ? look_at_all(watchdog, of_all) : WEIR_FOREVER;
    for (unsigned i = 0; i < watchdog->workers; i++)
        for (unsigned k = 0; k < WATCH_LEVELS; k++, told++)
            due = earlier(due, look_at_run(watchdog, i, &watchdog->watched[i].runs[k], told));
    return due;
}
