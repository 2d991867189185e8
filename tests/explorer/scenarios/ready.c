/* SPDX-License-Identifier: MIT */
/* ready.c - waits for a descriptor: against its readiness, a cancel and a deadline. */
#include "os/notify.h"
#include "scenario.h"

enum { SOON = 2000, FD = 3 };

struct work {
    weir_context *ctx;
    int result[2];
};

static struct work *new_work(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    virtual_descriptor(0);
    return work;
}

static void end_work(struct work *work)
{
    weir_context_unref(work->ctx);
    drop(work);
}

static void wait_to_read(void *arg)
{
    struct work *work = arg;
    work->result[0] = weir_wait_ready_until(FD, WEIR_READABLE, work->ctx, WEIR_FOREVER);
}

static void wait_to_write(void *arg)
{
    struct work *work = arg;
    work->result[1] = weir_wait_ready(FD, WEIR_WRITABLE | WEIR_READABLE);
}

static void cancel(void *arg)
{
    weir_context_cancel(((struct work *)arg)->ctx, 0);
}

static void make_readable(void *unused)
{
    (void)unused;
    virtual_descriptor(WEIR_READABLE);
}

/* Nothing else ends the wait. */
static void wait_against_cancel(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *canceller = start(cancel, work);
    wait_to_read(work);
    finish(canceller);
    explore_end();
    check(work->result[0] == -ECANCELED);
    end_work(work);
}

static void ready_against_cancel(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *canceller = start(cancel, work), *writer = start(make_readable, work);
    struct vthread *other = start(wait_to_write, work);
    wait_to_read(work);
    finish(canceller);
    finish(writer);
    finish(other);
    explore_end();
    check(work->result[0] == -ECANCELED || work->result[0] == WEIR_READABLE);
    check(work->result[1] == WEIR_READABLE);
    end_work(work);
}

static void deadline_against_both(void)
{
    struct work *work = new_work();
    explore_begin();
    instant(SOON);
    struct vthread *canceller = start(cancel, work), *writer = start(make_readable, work);
    int result = weir_wait_ready_until(FD, WEIR_READABLE, work->ctx, SOON);
    check(result == -ECANCELED || result == WEIR_READABLE || result == -ETIMEDOUT);
    finish(canceller);
    finish(writer);
    explore_end();
    check(weir_try_wait_ready(FD, WEIR_WRITABLE) == -EAGAIN);
    check(weir_try_wait_ready(FD, WEIR_READABLE) == WEIR_READABLE);
    end_work(work);
}

const struct scenario ready_scenarios[] = {
    {"ready: a wait against a cancel", wait_against_cancel, false},
    {"ready: readiness against a cancel", ready_against_cancel, false},
    {"ready: a deadline against both", deadline_against_both, false},
    {0},
};
