/* SPDX-License-Identifier: MIT */
/* room.c - waiting for room by itself: no thread stays asleep beside a free place, whatever becomes
 * of the one that was woken. The places are a count.
 */
#include "scenario.h"

#include "pool/room.h"

enum { SOON = 2000 };

struct yard {
    struct room room;
    atomic(uint32_t) places;
    weir_context *ctx;
    bool timed;
    int64_t deadline;
    int err[2];
};

static struct yard *new_yard(void)
{
    struct yard *yard = make(sizeof *yard);
    weir__eventcount_init(&yard->room.waiting);
    yard->deadline = WEIR_FOREVER;
    return yard;
}

static void end_yard(struct yard *yard)
{
    check((uint32_t)load_seqcst(&yard->room.waiting.sleepers) == 0);
    check(load_seqcst(&yard->room.waiting.timed) == 0);
    weir__eventcount_destroy(&yard->room.waiting);
    weir_context_unref(yard->ctx);
    drop(yard);
}

static bool take_place(struct yard *yard)
{
    uint32_t places = load_seqcst(&yard->places);
    while (places > 0)
        if (cas_seqcst(&yard->places, &places, places - 1))
            return true;
    return false;
}

static int look(void *arg, int64_t passed, int64_t *ret_until)
{
    struct yard *yard = arg;
    int err = weir_context_err(yard->ctx);
    if (err != 0 || take_place(yard))
        return err;
    if (yard->deadline != WEIR_FOREVER &&
        (yard->deadline <= passed || yard->deadline <= weir_now()))
        return -ETIMEDOUT;
    *ret_until = yard->deadline;
    return -EAGAIN;
}

static int wait_for_room(struct yard *yard)
{
    struct room_wait wait = {
        .look = look, .arg = yard, .contexts = {yard->ctx}, .timed = yard->timed};
    return weir__room_wait(&yard->room, &wait);
}

static void first(void *arg)
{
    struct yard *yard = arg;
    yard->err[0] = wait_for_room(yard);
}

static void second(void *arg)
{
    struct yard *yard = arg;
    yard->err[1] = wait_for_room(yard);
}

/* As a pop does it. */
static void give_place(struct yard *yard)
{
    add_seqcst(&yard->places, 1);
    room_freed(&yard->room);
}

static void two_wait_for_two_places(bool timed)
{
    struct yard *yard = new_yard();
    yard->timed = timed;
    explore_begin();
    struct vthread *a = start(first, yard), *b = start(second, yard);
    give_place(yard);
    give_place(yard);
    weir__room_idle(&yard->room); /* as a worker that parks */
    finish(a);
    finish(b);
    explore_end();
    check(yard->err[0] == 0 && yard->err[1] == 0);
    end_yard(yard);
}

static void two_wait(void)
{
    two_wait_for_two_places(false);
}

static void two_wait_for_a_limited_time(void)
{
    two_wait_for_two_places(true);
}

/* One that was woken is cancelled: the place is the other's. */
static void third(void *arg)
{
    struct yard *yard = arg;
    weir_context_cancel(yard->ctx, 0);
}

static void cancel_ends_all_waits(void)
{
    struct yard *yard = new_yard();
    int err = weir_context_new(&yard->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *a = start(first, yard), *b = start(second, yard);
    struct vthread *canceller = start(third, yard);
    give_place(yard);
    finish(a);
    finish(b);
    finish(canceller);
    explore_end();
    check(yard->err[0] == 0 || yard->err[0] == -ECANCELED);
    check(yard->err[1] == 0 || yard->err[1] == -ECANCELED);
    end_yard(yard);
}

/* One gives up at its deadline, just as it is woken: what it leaves the other gets. */
static void deadline_passes_the_wake_on(void)
{
    struct yard *yard = new_yard();
    yard->deadline = SOON;
    explore_begin();
    instant(SOON);
    struct vthread *a = start(first, yard);
    give_place(yard);
    finish(a);
    yard->deadline = WEIR_FOREVER;
    give_place(yard);
    int err = wait_for_room(yard);
    explore_end();
    check(err == 0 && (yard->err[0] == 0 || yard->err[0] == -ETIMEDOUT));
    end_yard(yard);
}

/* The context of one ends just as it is woken, and it leaves: the place is the other's. */
static int look_for_place_only(void *arg, int64_t passed, int64_t *ret_until)
{
    (void)passed;
    *ret_until = WEIR_FOREVER;
    return take_place(arg) ? 0 : -EAGAIN;
}

static void second_without_context(void *arg)
{
    struct yard *yard = arg;
    struct room_wait wait = {.look = look_for_place_only, .arg = yard};
    yard->err[1] = weir__room_wait(&yard->room, &wait);
}

static void one_that_was_woken_leaves(void)
{
    struct yard *yard = new_yard();
    int err = weir_context_new(&yard->ctx, NULL, SOON);
    check(err == 0);
    yard->deadline = SOON;
    explore_begin();
    instant(SOON);
    struct vthread *a = start(first, yard), *b = start(second_without_context, yard);
    give_place(yard);
    finish(a);
    if (yard->err[0] == 0)
        give_place(yard);
    finish(b);
    explore_end();
    check(yard->err[0] == 0 || yard->err[0] == -ETIMEDOUT);
    check(yard->err[1] == 0);
    end_yard(yard);
}

const struct scenario room_scenarios[] = {
    {"room: one that was woken leaves", one_that_was_woken_leaves, false},
    {"room: two wait for two places", two_wait, false},
    {"room: two wait for a limited time", two_wait_for_a_limited_time, false},
    {"room: a cancel ends all waits", cancel_ends_all_waits, false},
    {"room: a deadline against a place", deadline_passes_the_wake_on, false},
    {0},
};
