/* SPDX-License-Identifier: MIT */
/* hook.c - hooks of contexts: set against cancel against stop against the deadline, and hooks that
 * are freed as soon as they may be. */
#include "scenario.h"

enum { SOON = 2000, END = 5000 };

struct work {
    weir_context *parent, *ctx;
    weir_context_hook *hook, *other;
    unsigned calls; /* plain: a stop that says so has seen it */
    unsigned other_calls;
    int stopped;
    weir_waitgroup called;
};

static struct work *new_work(int64_t deadline)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->parent, NULL, WEIR_FOREVER);
    check(err == 0);
    err = weir_context_new(&work->ctx, work->parent, deadline);
    check(err == 0);
    work->hook = make(sizeof *work->hook);
    return work;
}

static void end_work(struct work *work)
{
    weir_context_unref(work->ctx);
    weir_context_unref(work->parent);
    drop(work);
}

static void call(void *arg)
{
    ((struct work *)arg)->calls++;
}

static void set(struct work *work)
{
    int err = weir_context_on_done(work->ctx, work->hook, call, work);
    check(err == 0);
}

static void cancel(void *arg)
{
    weir_context_cancel(((struct work *)arg)->parent, 0);
}

/* After a stop the hook is freed: no thread may touch it any more. */
static void stop(void *arg)
{
    struct work *work = arg;
    work->stopped = weir_context_hook_stop(work->hook);
    check(work->stopped == 0 ? work->calls == 0 : work->calls == 1);
    check(work->stopped == 0 || work->stopped == -EALREADY);
    drop(work->hook);
}

static void hook_stop_against_cancel(void)
{
    struct work *work = new_work(WEIR_FOREVER);
    explore_begin();
    set(work);
    struct vthread *canceller = start(cancel, work);
    stop(work);
    finish(canceller);
    explore_end();
    check(work->calls == (work->stopped == 0 ? 0 : 1));
    end_work(work);
}

/* Set on the child while the parent is cancelled: called by one of the two, once. */
static void hook_set_against_cancel(void)
{
    struct work *work = new_work(WEIR_FOREVER);
    explore_begin();
    struct vthread *canceller = start(cancel, work);
    set(work);
    finish(canceller);
    check(work->calls == 1);
    stop(work);
    explore_end();
    end_work(work);
}

static void two_cancels_against_hook_stop(void)
{
    struct work *work = new_work(WEIR_FOREVER);
    explore_begin();
    set(work);
    struct vthread *canceller = start(cancel, work);
    struct vthread *stopper = start(stop, work);
    weir_context_cancel(work->ctx, 0);
    finish(canceller);
    finish(stopper);
    explore_end();
    end_work(work);
}

static void hook_stop_against_deadline(void)
{
    struct work *work = new_work(SOON);
    explore_begin();
    instant(SOON);
    set(work);
    stop(work);
    settle(); /* the clock's thread leaves by itself */
    explore_end();
    end_work(work);
}

static void hook_deadline_against_cancel(void)
{
    struct work *work = new_work(SOON);
    explore_begin();
    instant(SOON);
    set(work);
    weir_context_cancel(work->parent, 0);
    stop(work);
    settle();
    explore_end();
    end_work(work);
}

static void hook_deadline_comes(void)
{
    struct work *work = new_work(SOON);
    explore_begin();
    set(work);
    int err = weir_sleep_until(NULL, END);
    check(err == 0);
    stop(work);
    check(work->calls == 1);
    settle();
    explore_end();
    end_work(work);
}

/* The function frees the hook. */
static void call_and_drop(void *arg)
{
    struct work *work = arg;
    work->calls++;
    drop(work->hook);
    weir_waitgroup_done(&work->called);
}

static void hook_is_freed_by_its_function(void)
{
    struct work *work = new_work(SOON);
    explore_begin();
    instant(SOON);
    weir_waitgroup_add(&work->called, 1);
    struct vthread *canceller = start(cancel, work);
    int err = weir_context_on_done(work->ctx, work->hook, call_and_drop, work);
    check(err == 0);
    err = weir_waitgroup_wait(&work->called);
    check(err == 0 && work->calls == 1);
    finish(canceller);
    settle();
    explore_end();
    end_work(work);
}

static void call_other(void *arg)
{
    ((struct work *)arg)->other_calls++;
}

/* The first one's function stops the second, which the same cancel may be about to call. */
static void stop_other(void *arg)
{
    struct work *work = arg;
    work->calls++;
    work->stopped = weir_context_hook_stop(work->other);
    check(work->stopped == 0 && work->other_calls == 0);
    drop(work->other);
}

static void hook_stops_the_next_one(void)
{
    struct work *work = new_work(WEIR_FOREVER);
    work->other = make(sizeof *work->other);
    explore_begin();
    int err = weir_context_on_done(work->ctx, work->hook, stop_other, work);
    check(err == 0);
    err = weir_context_on_done(work->ctx, work->other, call_other, work);
    check(err == 0);
    struct vthread *canceller = start(cancel, work);
    weir_context_cancel(work->ctx, 0);
    finish(canceller);
    check(work->calls == 1 && work->other_calls == 0);
    (void)weir_context_hook_stop(work->hook);
    drop(work->hook);
    explore_end();
    end_work(work);
}

const struct scenario hook_scenarios[] = {
    {"hook stop against cancel", hook_stop_against_cancel, false},
    {"hook set against cancel", hook_set_against_cancel, false},
    {"two cancels against hook stop", two_cancels_against_hook_stop, false},
    {"hook stop against deadline", hook_stop_against_deadline, false},
    {"hook deadline against cancel", hook_deadline_against_cancel, false},
    {"a hook's deadline comes", hook_deadline_comes, false},
    {"a hook is freed by its function", hook_is_freed_by_its_function, false},
    {"a hook stops the next one", hook_stops_the_next_one, false},
    {0},
};
