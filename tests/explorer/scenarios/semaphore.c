/* SPDX-License-Identifier: MIT */
/* semaphore.c - acquire against release, against giving up, against the end of the semaphore. */
#include "scenario.h"

struct work {
    weir_semaphore *sem;
    weir_context *ctx;
    uint32_t permits, n;
    int64_t deadline;
    unsigned inside; /* plain: guarded by a semaphore of one permit */
    int err;
};

static struct work *new_work(uint32_t permits)
{
    struct work *work = make(sizeof *work);
    work->sem = make(sizeof *work->sem);
    work->permits = permits;
    work->deadline = WEIR_FOREVER;
    int err = weir_semaphore_init(work->sem, permits);
    check(err == 0);
    err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    return work;
}

/* Checks that no permit was lost. */
static void end_work(struct work *work)
{
    int err = weir_semaphore_try_acquire(work->sem, work->permits);
    check(err == 0);
    weir_semaphore_destroy(work->sem);
    drop(work->sem);
    weir_context_unref(work->ctx);
    drop(work);
}

static void take(struct work *work, uint32_t n)
{
    int err = weir_semaphore_acquire(work->sem, n);
    check(err == 0);
}

static void take_and_give(void *arg)
{
    struct work *work = arg;
    take(work, 1);
    work->inside++;
    weir_semaphore_release(work->sem, 1);
}

static void one_permit_is_a_lock(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *a = start(take_and_give, work), *b = start(take_and_give, work);
    take_and_give(work);
    finish(a);
    finish(b);
    explore_end();
    check(work->inside == 3);
    end_work(work);
}

static void give_one(void *sem)
{
    weir_semaphore_release(sem, 1);
}

static void it_is_destroyed_right_after_an_acquire(void)
{
    weir_semaphore *sem = make(sizeof *sem);
    int err = weir_semaphore_init(sem, 1);
    check(err == 0);
    explore_begin();
    err = weir_semaphore_acquire(sem, 1);
    check(err == 0);
    struct vthread *giver = start(give_one, sem);
    err = weir_semaphore_acquire(sem, 1);
    check(err == 0);
    weir_semaphore_destroy(sem);
    drop(sem);
    finish(giver);
    explore_end();
}

static void cancel(void *arg)
{
    struct work *work = arg;
    weir_context_cancel(work->ctx, 0);
}

/* Gives what it got back. */
static void take_until(void *arg)
{
    struct work *work = arg;
    work->err = weir_semaphore_acquire_until(work->sem, work->n, work->ctx, work->deadline);
    if (work->err == 0)
        weir_semaphore_release(work->sem, work->n);
}

static void release_against_cancel(void)
{
    struct work *work = new_work(1);
    work->n = 1;
    take(work, 1);
    explore_begin();
    struct vthread *taker = start(take_until, work), *canceller = start(cancel, work);
    weir_semaphore_release(work->sem, 1);
    finish(taker);
    finish(canceller);
    explore_end();
    check(work->err == 0 || work->err == -ECANCELED);
    end_work(work);
}

static void a_cancel_before_the_release_wins(void)
{
    struct work *work = new_work(2);
    work->n = 1;
    take(work, 2);
    explore_begin();
    struct vthread *taker = start(take_until, work);
    cancel(work);
    weir_semaphore_release(work->sem, 2);
    finish(taker);
    explore_end();
    check(work->err == -ECANCELED);
    end_work(work);
}

static void release_against_time_out(void)
{
    struct work *work = new_work(1);
    work->n = 1;
    work->deadline = weir_now() + WEIR_S(1);
    take(work, 1);
    explore_begin();
    instant(work->deadline);
    struct vthread *taker = start(take_until, work);
    weir_semaphore_release(work->sem, 1);
    finish(taker);
    explore_end();
    check(work->err == 0 || work->err == -ETIMEDOUT);
    end_work(work);
}

/* Two that want one each are behind one that wants both, and one permit is free. */
static void a_large_request_at_the_head_gives_up(void)
{
    struct work *work = new_work(2);
    work->n = 2;
    take(work, 1);
    explore_begin();
    struct vthread *large = start(take_until, work);
    struct vthread *small = start(take_and_give, work);
    cancel(work);
    finish(small);
    finish(large);
    explore_end();
    check(work->err == -ECANCELED && work->inside == 1);
    weir_semaphore_release(work->sem, 1);
    end_work(work);
}

static void release_against_a_large_request_that_gives_up(void)
{
    struct work *work = new_work(2);
    work->n = 2;
    take(work, 2);
    explore_begin();
    struct vthread *large = start(take_until, work);
    struct vthread *small = start(take_and_give, work);
    struct vthread *canceller = start(cancel, work);
    weir_semaphore_release(work->sem, 1);
    finish(small);
    finish(canceller);
    finish(large);
    explore_end();
    check(work->inside == 1);
    weir_semaphore_release(work->sem, 1);
    end_work(work);
}

static void try_against_acquire_and_release(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *other = start(take_and_give, work);
    int err = weir_semaphore_try_acquire(work->sem, 1);
    check(err == 0 || err == -EAGAIN);
    if (err == 0) {
        work->inside++;
        weir_semaphore_release(work->sem, 1);
    }
    finish(other);
    explore_end();
    check(work->inside == (err == 0 ? 2u : 1u));
    end_work(work);
}

static void try_to_see_what_was_written(void *arg)
{
    struct work *work = arg;
    work->err = weir_semaphore_try_acquire(work->sem, 1);
    if (work->err == 0)
        check(work->inside == 7);
}

/* One waits for a permit; another one gets what is left of the release that serves the first. */
static void what_is_left_of_a_release_carries_what_came_before(void)
{
    struct work *work = new_work(2), *other = make(sizeof *other);
    take(work, 2);
    explore_begin();
    *other = (struct work){.sem = work->sem, .n = 1, .deadline = WEIR_FOREVER};
    struct vthread *taker = start(take_until, other);
    struct vthread *trier = start(try_to_see_what_was_written, work);
    work->inside = 7;
    weir_semaphore_release(work->sem, 2);
    finish(taker);
    finish(trier);
    explore_end();
    check(other->err == 0);
    if (work->err == 0)
        weir_semaphore_release(work->sem, 1);
    drop(other);
    end_work(work);
}

/* A request that can only fail blocks no other, also before its thread has run. */
static void a_permit_is_had_in_front_of_a_cancelled_request(void)
{
    struct work *work = new_work(2);
    work->n = 2;
    take(work, 1);
    explore_begin();
    struct vthread *large = start(take_until, work);
    settle();
    cancel(work);
    int err = weir_semaphore_try_acquire(work->sem, 1);
    check(err == 0);
    finish(large);
    explore_end();
    check(work->err == -ECANCELED);
    weir_semaphore_release(work->sem, 2);
    end_work(work);
}

static void end_last(void *wg)
{
    weir_waitgroup_done(wg);
}

/* The wait may end before `done` has woken it. What the memory of the waitgroup is used for next
 * must not take that late wake for its own. */
static void a_late_wake_at_the_same_address_gives_no_permit(void)
{
    struct work *work = make(sizeof *work);
    union {
        weir_waitgroup wg;
        weir_semaphore sem;
    } *place = make(sizeof *place);
    place->wg = (weir_waitgroup)WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&place->wg, 1);
    explore_begin();
    struct vthread *last = start(end_last, &place->wg);
    int err = weir_waitgroup_wait(&place->wg);
    check(err == 0);
    err = weir_semaphore_init(&place->sem, 1);
    check(err == 0);
    *work = (struct work){.sem = &place->sem};
    take(work, 1);
    struct vthread *taker = start(take_and_give, work);
    settle();
    check(work->inside == 0);
    weir_semaphore_release(&place->sem, 1);
    finish(taker);
    finish(last);
    explore_end();
    weir_semaphore_destroy(&place->sem);
    drop(place);
    drop(work);
}

const struct scenario semaphore_scenarios[] = {
    {"a semaphore of one permit is a lock", one_permit_is_a_lock, false},
    {"a semaphore is destroyed right after an acquire", it_is_destroyed_right_after_an_acquire,
     false},
    {"release against cancel", release_against_cancel, false},
    {"a cancel before the release wins", a_cancel_before_the_release_wins, false},
    {"release against time-out", release_against_time_out, false},
    {"a large request at the head gives up", a_large_request_at_the_head_gives_up, false},
    {"release against a large request that gives up", release_against_a_large_request_that_gives_up,
     false},
    {"try_acquire against acquire and release", try_against_acquire_and_release, false},
    {"what is left of a release carries what came before",
     what_is_left_of_a_release_carries_what_came_before, false},
    {"a permit is had in front of a cancelled request",
     a_permit_is_had_in_front_of_a_cancelled_request, false},
    {"a late wake at the same address gives no permit",
     a_late_wake_at_the_same_address_gives_no_permit, false},
    {0},
};
