/* SPDX-License-Identifier: MIT */
/* follow.c - the table of waiters with several addresses in a bucket, and what follows contexts:
 * entering, leaving, waking and cancelling side by side. */
#include "base/address_tree.h"
#include "scenario.h"
#include "scenarios/latch.h"

enum { SOON = 2000, KEYS = 3, LATCHES = 1024 };

/* Latches of one bucket: the addresses begin with the same bits there. */
struct hall {
    struct latch *latches[KEYS];
    struct latch all[LATCHES];
    weir_context *ctx;
    int err[KEYS];
};

static struct hall *new_hall(void)
{
    struct hall *hall = make(sizeof *hall);
    uint64_t bucket = tree_path(&hall->all[0]) >> 58;
    unsigned found = 0;
    for (unsigned i = 0; i < LATCHES && found < KEYS; i++)
        if (tree_path(&hall->all[i]) >> 58 == bucket)
            hall->latches[found++] = &hall->all[i];
    check(found == KEYS);
    int err = weir_context_new(&hall->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    return hall;
}

static void end_hall(struct hall *hall)
{
    weir_context_unref(hall->ctx);
    drop(hall);
}

static void wait_for_0(void *arg)
{
    struct hall *hall = arg;
    hall->err[0] = latch_wait_until(hall->latches[0], NULL, WEIR_FOREVER);
}

static void wait_for_1(void *arg)
{
    struct hall *hall = arg;
    hall->err[1] = latch_wait_until(hall->latches[1], NULL, WEIR_FOREVER);
}

static void wait_for_2(void *arg)
{
    struct hall *hall = arg;
    hall->err[2] = latch_wait_until(hall->latches[2], hall->ctx, SOON);
}

static void open_1(void *arg)
{
    latch_open(((struct hall *)arg)->latches[1]);
}

/* Whoever is first in the bucket's tree has the others below it, and leaves in any order. */
static void neighbours(void)
{
    struct hall *hall = new_hall();
    explore_begin();
    struct vthread *a = start(wait_for_0, hall), *b = start(wait_for_1, hall);
    struct vthread *opener = start(open_1, hall);
    latch_open(hall->latches[0]);
    wait_for_2(hall); /* until its time, in the same bucket */
    finish(a);
    finish(b);
    finish(opener);
    explore_end();
    check(hall->err[0] == 0 && hall->err[1] == 0 && hall->err[2] == -ETIMEDOUT);
    end_hall(hall);
}

/* Three wait for one address; the first gives up, and the others are in its ring. */
static void wait_with_context(void *arg)
{
    struct hall *hall = arg;
    hall->err[2] = latch_wait_until(hall->latches[0], hall->ctx, WEIR_FOREVER);
}

static void cancel_hall(void *arg)
{
    weir_context_cancel(((struct hall *)arg)->ctx, 0);
}

static void wait_for_0_too(void *arg)
{
    struct hall *hall = arg;
    hall->err[1] = latch_wait_until(hall->latches[0], NULL, WEIR_FOREVER);
}

static void the_first_gives_up(void)
{
    struct hall *hall = new_hall();
    explore_begin();
    struct vthread *first = start(wait_with_context, hall);
    struct vthread *second = start(wait_for_0, hall), *third = start(wait_for_0_too, hall);
    struct vthread *canceller = start(cancel_hall, hall);
    latch_open(hall->latches[0]);
    finish(first);
    finish(second);
    finish(third);
    finish(canceller);
    explore_end();
    check(hall->err[0] == 0 && hall->err[1] == 0);
    check(hall->err[2] == 0 || hall->err[2] == -ECANCELED);
    end_hall(hall);
}

/* A tree of contexts: two threads wait with a child each. */
struct family {
    weir_context *root, *child[2];
    int err[2];
    atomic(uint32_t) called_off;
};

static struct family *new_family(void)
{
    struct family *family = make(sizeof *family);
    int err = weir_context_new(&family->root, NULL, WEIR_FOREVER);
    check(err == 0);
    for (unsigned i = 0; i < 2; i++) {
        err = weir_context_new(&family->child[i], family->root, WEIR_FOREVER);
        check(err == 0);
    }
    return family;
}

static void end_family(struct family *family)
{
    weir_context_unref(family->child[0]);
    weir_context_unref(family->child[1]);
    weir_context_unref(family->root);
    drop(family);
}

static void wait_as_0(void *arg)
{
    struct family *family = arg;
    family->err[0] = weir_context_wait_until(family->child[0], WEIR_FOREVER);
}

static void wait_as_1(void *arg)
{
    struct family *family = arg;
    family->err[1] = weir_context_wait_until(family->child[1], SOON);
}

static void cancel_0(void *arg)
{
    weir_context_cancel(((struct family *)arg)->child[0], 0);
}

static void cancel_root(void *arg)
{
    weir_context_cancel(((struct family *)arg)->root, 0);
}

/* One leaves because its own context was cancelled, while the root goes down the same list. */
static void child_against_root(void)
{
    struct family *family = new_family();
    explore_begin();
    struct vthread *a = start(wait_as_0, family), *b = start(wait_as_1, family);
    struct vthread *canceller = start(cancel_0, family);
    weir_context_cancel(family->root, 0);
    finish(a);
    finish(b);
    finish(canceller);
    explore_end();
    check(family->err[0] == 0 && (family->err[1] == 0 || family->err[1] == -ETIMEDOUT));
    end_family(family);
}

/* What ended by its time leaves, so that nobody follows the root, while that is cancelled: the next
 * one that enters is not missed. */
static void enter_and_leave_against_root(void)
{
    struct family *family = new_family();
    explore_begin();
    instant(SOON);
    struct vthread *canceller = start(cancel_root, family);
    wait_as_1(family);
    wait_as_0(family); /* only the cancellation ends it */
    finish(canceller);
    explore_end();
    check(family->err[0] == 0);
    end_family(family);
}

/* Blocked with a child and with the root, whose wake lets them look: each that is woken takes its
 * child out of the list that the wake walks over. */
static bool called_off(void *arg)
{
    return load_seqcst(&((struct family *)arg)->called_off) != 0; /* pairs with call_off */
}

static int wait_with_both(struct family *family, unsigned i)
{
    const weir_context *const also[2] = {family->root, NULL};
    return weir__wait_until(TELL("wait_with_both", family), NULL, called_off, family,
                            family->child[i], also, WEIR_FOREVER);
}

static void wait_with_0(void *arg)
{
    struct family *family = arg;
    family->err[0] = wait_with_both(family, 0);
}

static void wait_with_1(void *arg)
{
    struct family *family = arg;
    family->err[1] = wait_with_both(family, 1);
}

static void wake_against_waits(void)
{
    struct family *family = new_family();
    explore_begin();
    struct vthread *a = start(wait_with_0, family), *b = start(wait_with_1, family);
    struct vthread *canceller = start(cancel_0, family);
    (void)xchg_seqcst(&family->called_off, 1); /* pairs with called_off */
    weir__follow_wake(family->root);
    finish(a);
    finish(b);
    finish(canceller);
    explore_end();
    check((family->err[0] == 0 || family->err[0] == -ECANCELED) && family->err[1] == 0);
    end_family(family);
}

/* A task's context is below its submit's, and below its pool's, which is below the same one. */
static int wait_inside(weir_context *ctx, void *arg)
{
    *(int *)arg = weir_context_wait_until(ctx, WEIR_FOREVER);
    return 0;
}

static void two_ways_down(void)
{
    struct family *family = new_family();
    weir_pool *pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .context = family->root));
    family->err[0] = -1;
    explore_begin();
    int err =
        weir_pool_submit_until(pool, wait_inside, &family->err[0], family->child[0], WEIR_FOREVER);
    struct vthread *canceller = start(cancel_0, family);
    weir_context_cancel(family->root, 0);
    finish(canceller);
    explore_end();
    end_pool(pool);
    check(err == 0 && (family->err[0] == 0 || family->err[0] == -1));
    end_family(family);
}

const struct scenario follow_scenarios[] = {
    {"table: three addresses of one bucket", neighbours, false},
    {"table: the first of three waiters gives up", the_first_gives_up, false},
    {"follow: a child's cancel against its parent's", child_against_root, false},
    {"follow: enter and leave against cancel", enter_and_leave_against_root, false},
    {"follow: a wake against waits below it", wake_against_waits, false},
    {"follow: a context below another by two ways", two_ways_down, false},
    {0},
};
