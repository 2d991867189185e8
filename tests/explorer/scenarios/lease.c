/* SPDX-License-Identifier: MIT */
/* lease.c - borrowing against returning, retiring and giving up. The one resource is plain memory:
 * two users at once, or a use after its end, fail the run. */
#include "scenario.h"

struct work {
    weir_lease_pool *pool;
    weir_context *ctx;
    unsigned made, destroyed; /* plain: with one resource these come one after the other */
    int code;
    int errs[2];
};

static int make_number(void *user, void **ret_resource)
{
    struct work *work = user;
    check(work->made == work->destroyed);
    work->made++;
    *ret_resource = make(sizeof(unsigned));
    return 0;
}

static void destroy_number(void *user, void *resource)
{
    struct work *work = user;
    work->destroyed++;
    drop(resource);
}

static struct work *new_work(unsigned max, unsigned min_idle)
{
    struct work *work = make(sizeof *work);
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    err = weir_lease_pool_new(
        &work->pool, WEIR_LEASE_OPTIONS(.max = max, .min_idle = min_idle, .make = make_number,
                                        .destroy = destroy_number, .user = work));
    check(err == 0);
    return work;
}

/* Checks that nothing is lent, and that no permit was lost. */
static void end_work(struct work *work)
{
    void *number;
    int err = weir_lease_try_acquire(work->pool, &number);
    check(err == 0);
    weir_lease_release(work->pool, number, 0);
    weir_lease_pool_free(work->pool);
    check(work->made == work->destroyed);
    weir_context_unref(work->ctx);
    drop(work);
}

static int use_once(struct work *work, weir_context *ctx, int code)
{
    void *number;
    int err = weir_lease_acquire_until(work->pool, &number, ctx, WEIR_FOREVER);
    if (err == 0) {
        ++*(unsigned *)number;
        weir_lease_release(work->pool, number, code);
    }
    return err;
}

static void use_and_return(void *arg)
{
    struct work *work = arg;
    work->errs[0] = use_once(work, NULL, 0);
}

static void use_and_retire(void *arg)
{
    struct work *work = arg;
    work->errs[1] = use_once(work, NULL, -EIO);
}

static void use_unless_cancelled(void *arg)
{
    struct work *work = arg;
    work->errs[0] = use_once(work, work->ctx, 0);
}

static void cancel(void *arg)
{
    weir_context_cancel(((struct work *)arg)->ctx, 0);
}

static void acquire_against_release_and_retire(void)
{
    struct work *work = new_work(1, 0);
    explore_begin();
    struct vthread *a = start(use_and_return, work), *b = start(use_and_retire, work);
    int err = use_once(work, NULL, 0);
    check(err == 0);
    finish(a);
    finish(b);
    explore_end();
    check(work->errs[0] == 0 && work->errs[1] == 0);
    end_work(work);
}

static void acquire_against_retire_and_cancel(void)
{
    struct work *work = new_work(1, 0);
    explore_begin();
    struct vthread *waiter = start(use_unless_cancelled, work), *canceller = start(cancel, work);
    int err = use_once(work, NULL, -EIO);
    check(err == 0);
    finish(canceller);
    finish(waiter);
    explore_end();
    check(work->errs[0] == 0 || work->errs[0] == -ECANCELED);
    end_work(work);
}

/* While one keeps the minimum idle, the other one borrows. */
static void acquire_against_upkeep(void)
{
    struct work *work = new_work(1, 1);
    explore_begin();
    struct vthread *other = start(use_and_retire, work);
    int err = use_once(work, NULL, 0);
    check(err == 0);
    finish(other);
    explore_end();
    check(work->errs[1] == 0);
    end_work(work);
}

const struct scenario lease_scenarios[] = {
    {"acquire against release and retire", acquire_against_release_and_retire, false},
    {"acquire against retire and cancel", acquire_against_retire_and_cancel, false},
    {"acquire against upkeep", acquire_against_upkeep, false},
    {0},
};
