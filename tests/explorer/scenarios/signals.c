/* SPDX-License-Identifier: MIT */
/* signals.c - a context that a signal cancels: the signal against a cancel, and against a wait. */
#include "os/signals.h"
#include "scenario.h"

struct work {
    weir_context *parent, *ctx;
    bool first;
};

static struct work *new_work(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->parent, NULL, WEIR_FOREVER);
    check(err == 0);
    return work;
}

static void open_context(struct work *work)
{
    int err = weir_context_from_signals(&work->ctx, work->parent, NULL, 0);
    check(err == 0);
}

static void end_work(struct work *work)
{
    weir_context_unref(work->ctx);
    weir_context_unref(work->parent);
    drop(work);
}

static void raise_signal(void *arg)
{
    ((struct work *)arg)->first = virtual_signal(SIGINT);
}

static void cancel_parent(void *arg)
{
    weir_context_cancel(((struct work *)arg)->parent, 7);
}

/* Whichever comes first is the cause; the signals are given back once, and what the thread, the
 * hook and the handler share is freed once. */
static void signal_against_cancel(void)
{
    struct work *work = new_work();
    explore_begin();
    open_context(work);
    struct vthread *raiser = start(raise_signal, work), *canceller = start(cancel_parent, work);
    int err = weir_context_wait_until(work->ctx, WEIR_FOREVER);
    check(err == 0);
    finish(raiser);
    finish(canceller);
    settle();
    explore_end();
    int cause = weir_context_cause(work->ctx);
    check(cause == 7 || (cause == SIGINT && work->first));
    check(!virtual_signal(SIGINT));
    end_work(work);
}

/* The set can be taken over again as soon as a cancel has returned. */
static void signal_against_the_next_context(void)
{
    struct work *work = new_work(), *next = new_work();
    explore_begin();
    open_context(work);
    struct vthread *raiser = start(raise_signal, work);
    weir_context_cancel(work->ctx, 0);
    check(weir_context_err(work->ctx) != 0); /* a thread that finds it over may take over again */
    int err = weir_context_from_signals(&next->ctx, next->parent, NULL, 0);
    finish(raiser);
    weir_context_cancel(next->ctx, 0);
    settle();
    explore_end();
    check(err == 0);
    check(weir_context_err(next->ctx) == -ECANCELED);
    end_work(work);
    end_work(next);
}

const struct scenario signals_scenarios[] = {
    {"signals: signal against cancel", signal_against_cancel, false},
    {"signals: signal against the next context", signal_against_the_next_context, false},
    {0},
};
