/* SPDX-License-Identifier: MIT */
/* freelist.c - free slots: each has one owner at a time, whatever comes back in between, and none
 * is lost.
 */
#include "scenario.h"

#include "pool/freelist.h"

/* A stack of free slots. */

enum { SLOTS = 3 };

struct pile {
    index_stack stack;
    index_link links[SLOTS];
    unsigned owned[SLOTS]; /* by how many; plain, so that two owners at once may be a race too */
};

/* Two at a time, and back in the order in which they came. */
static void take_and_give(struct pile *pile)
{
    for (unsigned lap = 0; lap < 2; lap++) {
        uint32_t taken[2];
        for (unsigned i = 0; i < 2; i++) {
            taken[i] = stack_pop(&pile->stack, pile->links);
            if (taken[i] != LINK_NONE)
                check(taken[i] <= SLOTS && ++pile->owned[taken[i] - 1] == 1);
        }
        for (unsigned i = 0; i < 2; i++) {
            if (taken[i] == LINK_NONE)
                continue;
            pile->owned[taken[i] - 1]--;
            stack_push(&pile->stack, pile->links, taken[i]);
        }
    }
}

static void take_and_give_second(void *arg)
{
    take_and_give(arg);
}

static void one_owner_for_each_slot(void)
{
    struct pile *pile = make(sizeof *pile);
    for (uint32_t link = SLOTS; link > 0; link--)
        stack_push(&pile->stack, pile->links, link);
    loads_may_be_late();
    explore_begin();
    struct vthread *second = start(take_and_give_second, pile);
    take_and_give(pile);
    finish(second);
    explore_end();
    for (unsigned i = 0; i < SLOTS; i++)
        check(stack_pop(&pile->stack, pile->links) != LINK_NONE);
    check(stack_pop(&pile->stack, pile->links) == LINK_NONE);
    drop(pile);
}

/* A list of three full magazines and a loose slot. Threads outside take single slots, from stripes
 * that they load; a worker exchanges magazines. While others hold slots, or magazines, there may be
 * none. */

enum { ALL = 1 + MAGAZINE_ROUNDS + SLOT_MARGIN };

struct depot {
    struct freelist list;
    struct loaded worker;
    unsigned owned[ALL];    /* by how many; plain, as above */
    uint32_t held;          /* slot in the hands of a worker */
    atomic(unsigned) steps; /* a word that both use, so that one may come while the other does */
    char lines[ALL * CACHE_LINE];
};

static uint32_t take(struct depot *depot, struct loaded *own)
{
    uint32_t link = freelist_take(&depot->list, own);
    if (link != LINK_NONE)
        check(link <= ALL && ++depot->owned[link - 1] == 1);
    return link;
}

static void give(struct depot *depot, struct loaded *own, uint32_t link)
{
    if (link == LINK_NONE)
        return;
    depot->owned[link - 1]--;
    freelist_give(&depot->list, own, link);
}

static void take_outside(void *arg)
{
    struct depot *depot = arg;
    for (unsigned lap = 0; lap < 2; lap++) {
        give(depot, NULL, take(depot, NULL));
    }
}

static void take_three_as_a_worker(void *arg)
{
    struct depot *depot = arg;
    uint32_t links[MAGAZINE_ROUNDS + 1];
    for (unsigned i = 0; i <= MAGAZINE_ROUNDS; i++)
        links[i] = take(depot, &depot->worker);
    for (unsigned i = 0; i <= MAGAZINE_ROUNDS; i++)
        give(depot, &depot->worker, links[i]);
}

static struct depot *new_depot(void)
{
    struct depot *depot = make(sizeof *depot);
    int err = weir__freelist_init(&depot->list, ALL, ALL, 1, depot->lines);
    check(err == 0 && freelist_slots(1, 1) == ALL);
    depot->worker = freelist_first_magazine(0);
    return depot;
}

/* Everything can be taken again, once. */
static void end_depot(struct depot *depot)
{
    for (unsigned i = 0; i < ALL; i++)
        check(take(depot, depot->worker.rounds > 0 ? &depot->worker : NULL) != LINK_NONE);
    check(take(depot, NULL) == LINK_NONE);
    weir__freelist_destroy(&depot->list);
    drop(depot);
}

static void two_outside_and_a_worker(void)
{
    struct depot *depot = new_depot();
    loads_may_be_late();
    explore_begin();
    struct vthread *outside = start(take_outside, depot);
    struct vthread *worker = start(take_three_as_a_worker, depot);
    take_outside(depot);
    finish(outside);
    finish(worker);
    explore_end();
    end_depot(depot);
}

/* What a worker has freed reaches a thread that loads its stripe. */
static void from_a_worker_to_a_stripe(void)
{
    struct depot *depot = new_depot();
    uint32_t links[ALL];
    for (unsigned i = 0; i < ALL; i++)
        links[i] = take(depot, NULL);
    for (unsigned i = 0; i < MAGAZINE_ROUNDS; i++)
        give(depot, &depot->worker, links[i]);
    loads_may_be_late();
    explore_begin();
    struct vthread *outside = start(take_outside, depot);
    for (unsigned i = MAGAZINE_ROUNDS; i < ALL; i++)
        give(depot, &depot->worker, links[i]);
    take_outside(depot);
    finish(outside);
    explore_end();
    end_depot(depot);
}

/* A thread takes the last slot of a magazine; another finds it empty and hands it on, to a worker
 * that fills it. The first one has read its number before that. */
static void hand_on_and_fill(void *arg)
{
    struct depot *depot = arg;
    add_rlx(&depot->steps, 1);
    uint32_t link = take(depot, NULL);
    give(depot, &depot->worker, depot->held);
    depot->held = take(depot, &depot->worker);
    give(depot, NULL, link);
}

static void the_last_slot_of_a_magazine(void)
{
    struct depot *depot = new_depot();
    uint32_t links[MAGAZINE_ROUNDS], loose = take(depot, NULL);
    for (unsigned i = 0; i < MAGAZINE_ROUNDS; i++)
        links[i] = take(depot, &depot->worker);
    for (unsigned i = 0; i < MAGAZINE_ROUNDS; i++)
        give(depot, &depot->worker, links[i]);
    depot->held = take(depot, NULL);
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(hand_on_and_fill, depot);
    uint32_t last = freelist_take(&depot->list, NULL);
    add_rlx(&depot->steps, 1);
    check(last <= ALL && ++depot->owned[last - 1] == 1);
    finish(other);
    explore_end();
    give(depot, NULL, last);
    give(depot, NULL, loose);
    give(depot, &depot->worker, depot->held);
    end_depot(depot);
}

const struct scenario freelist_scenarios[] = {
    {"stack: one owner for each slot", one_owner_for_each_slot, false},
    {"freelist: two outside and a worker", two_outside_and_a_worker, false},
    {"freelist: from a worker to a stripe", from_a_worker_to_a_stripe, false},
    {"freelist: the last slot of a magazine", the_last_slot_of_a_magazine, false},
    {0},
};
