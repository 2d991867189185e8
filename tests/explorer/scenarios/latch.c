/* SPDX-License-Identifier: MIT */
/* latch.c - the worked example of a blocking object: wait against open, cancel, a deadline, and the
 * waiter's free.
 */
#include "scenario.h"

#include "scenarios/latch.h"

enum { SOON = 2000 };

static void open_latch(void *arg)
{
    latch_open(arg);
}

static void the_waiter_frees_it(void)
{
    struct latch *latch = make(sizeof *latch);
    explore_begin();
    struct vthread *opener = start(open_latch, latch);
    int err = latch_wait_until(latch, NULL, WEIR_FOREVER);
    check(err == 0);
    drop(latch);
    finish(opener);
    explore_end();
}

struct hall {
    struct latch latch;
    weir_context *ctx;
    int err[2];
};

static void wait_for_ever(void *arg)
{
    struct hall *hall = arg;
    hall->err[0] = latch_wait_until(&hall->latch, NULL, WEIR_FOREVER);
}

static void wait_with_context(void *arg)
{
    struct hall *hall = arg;
    hall->err[1] = latch_wait_until(&hall->latch, hall->ctx, WEIR_FOREVER);
}

static void cancel_hall(void *arg)
{
    weir_context_cancel(((struct hall *)arg)->ctx, 0);
}

static void cancel_against_open(void)
{
    struct hall *hall = make(sizeof *hall);
    int err = weir_context_new(&hall->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *a = start(wait_for_ever, hall), *b = start(wait_with_context, hall);
    struct vthread *canceller = start(cancel_hall, hall);
    latch_open(&hall->latch);
    finish(a);
    finish(b);
    finish(canceller);
    explore_end();
    check(hall->err[0] == 0 && (hall->err[1] == 0 || hall->err[1] == -ECANCELED));
    weir_context_unref(hall->ctx);
    drop(hall);
}

static void a_deadline_against_open(void)
{
    struct latch *latch = make(sizeof *latch);
    explore_begin();
    instant(SOON);
    struct vthread *opener = start(open_latch, latch);
    int err = latch_wait_until(latch, NULL, SOON);
    check(err == 0 || err == -ETIMEDOUT);
    finish(opener);
    err = latch_wait_until(latch, NULL, 0);
    check(err == 0); /* it is open, and the deadline has passed */
    explore_end();
    drop(latch);
}

const struct scenario latch_scenarios[] = {
    {"latch: the waiter frees it", the_waiter_frees_it, false},
    {"latch: cancel against open", cancel_against_open, false},
    {"latch: a deadline against open", a_deadline_against_open, false},
    {0},
};
