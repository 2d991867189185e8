/* SPDX-License-Identifier: MIT */
/* reactor.c - the thread that waits for descriptors, by itself and below two pools: the release of
 * one owner against a call to it, against a wait of another, and the last release against a new
 * owner. */
#include "sync/reactor.h"

#include "os/lock.h"
#include "os/notify.h"
#include "scenario.h"

enum { FD = 3 };

struct owner {
    struct lock lock;
    struct interest interest;
    weir_waitgroup *called; /* or NULL */
    unsigned calls;         /* that were not late */
    unsigned events, ready;
};

/* As the owner of a place does it. */
static void on_ready(struct interest *interest, uint64_t use, unsigned ready)
{
    struct owner *owner = container_of(interest, struct owner, interest);
    weir_waitgroup *called = NULL;
    lock_acquire(&owner->lock);
    if (interest->use == use) {
        owner->calls++;
        owner->ready = ready;
        called = owner->called;
        if (ready != 0)
            virtual_descriptor(0); /* what made it so is taken */
    }
    lock_release(&owner->lock);
    if (called != NULL)
        weir_waitgroup_done(called);
}

static struct owner *new_owner(unsigned events)
{
    struct owner *owner = make(sizeof *owner);
    lock_init(&owner->lock);
    owner->interest.ready = on_ready;
    owner->events = events;
    int err = weir__reactor_hold(1);
    check(err == 0);
    return owner;
}

static void add(struct owner *owner)
{
    lock_acquire(&owner->lock);
    int err = weir__reactor_add(&owner->interest, FD, owner->events);
    check(err == 0);
    lock_release(&owner->lock);
}

static void take_out(struct owner *owner)
{
    lock_acquire(&owner->lock);
    weir__reactor_remove(&owner->interest);
    lock_release(&owner->lock);
}

/* From then on no call uses it. */
static void end_owner(void *arg)
{
    struct owner *owner = arg;
    take_out(owner);
    weir__reactor_release(1);
    drop(owner);
}

static void make_ready(void *unused)
{
    (void)unused;
    virtual_descriptor(WEIR_READABLE | WEIR_WRITABLE);
}

/* Another owner stays: so the thread does, and the release waits for the call only. */
static void release_against_call(void)
{
    virtual_descriptor(0);
    struct owner *first = new_owner(WEIR_READABLE), *second = new_owner(WEIR_READABLE);
    add(first);
    explore_begin();
    struct vthread *writer = start(make_ready, NULL);
    end_owner(first);
    finish(writer);
    end_owner(second);
    explore_end();
}

static void release_against_add(void)
{
    virtual_descriptor(0);
    struct owner *first = new_owner(WEIR_READABLE), *second = new_owner(WEIR_WRITABLE);
    weir_waitgroup called = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&called, 1);
    second->called = &called;
    add(first);
    explore_begin();
    struct vthread *end = start(end_owner, first);
    add(second);
    virtual_descriptor(WEIR_WRITABLE);
    int err = weir_waitgroup_wait(&called);
    check(err == 0 && second->calls == 1 && second->ready == WEIR_WRITABLE);
    finish(end);
    end_owner(second);
    explore_end();
}

/* The thread is to leave, and is wanted again. */
static void last_release_against_hold(void)
{
    virtual_descriptor(0);
    struct owner *first = new_owner(WEIR_READABLE);
    weir_waitgroup called = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&called, 1);
    add(first);
    explore_begin();
    struct vthread *end = start(end_owner, first);
    struct owner *second = new_owner(WEIR_WRITABLE);
    second->called = &called;
    add(second);
    virtual_descriptor(WEIR_WRITABLE);
    int err = weir_waitgroup_wait(&called);
    check(err == 0 && second->calls == 1);
    finish(end);
    end_owner(second);
    explore_end();
}

/* What the first wait was told of was taken: the second is not told of it again. */
static void one_readiness_two_waits(void)
{
    virtual_descriptor(0);
    struct owner *owner = new_owner(WEIR_READABLE);
    weir_waitgroup called = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&called, 1);
    owner->called = &called;
    explore_begin();
    add(owner);
    virtual_descriptor(WEIR_READABLE);
    int err = weir_waitgroup_wait(&called);
    check(err == 0);
    take_out(owner);
    owner->called = NULL;
    add(owner);
    take_out(owner);
    check(owner->calls == 1);
    end_owner(owner);
    explore_end();
}

/* The number names another file when it is waited for again: only by that the first is told. */
static void a_closed_descriptor(void)
{
    virtual_descriptor(0);
    struct owner *first = new_owner(WEIR_READABLE), *second = new_owner(WEIR_READABLE);
    weir_waitgroup called = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&called, 1);
    first->called = &called;
    explore_begin();
    add(first);
    virtual_descriptor_replaced(0);
    add(second);
    int err = weir_waitgroup_wait(&called);
    check(err == 0 && first->calls == 1 && first->ready == 0 && second->calls == 0);
    end_owner(first);
    end_owner(second);
    explore_end();
}

/* Two pools. */

struct pair {
    weir_pool *pools[2];
    weir_task tasks[2];
    unsigned runs[2];
};

static weir_pool *new_waiting_pool(void)
{
    weir_pool *pool = NULL;
    int err =
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .descriptors = 1));
    check(err == 0);
    return pool;
}

static void wait_in(struct pair *pair, unsigned i, unsigned events)
{
    int err = weir_pool_submit_when(pair->pools[i], &pair->tasks[i], FD, events, count_run,
                                    &pair->runs[i], NULL);
    check(err == 0);
}

static void end_first(void *arg)
{
    struct pair *pair = arg;
    weir_pool_free(pair->pools[0]);
    weir_state end = weir_task_state(&pair->tasks[0]);
    check(end == WEIR_TASK_DONE || end == WEIR_TASK_CANCELLED);
    check(pair->runs[0] == (end == WEIR_TASK_DONE));
}

/* `late`: the second pool is made only then. */
static void end_of_a_pool(bool late)
{
    struct pair *pair = make(sizeof *pair);
    virtual_descriptor(0);
    pair->pools[0] = new_waiting_pool();
    pair->pools[1] = late ? NULL : new_waiting_pool();
    wait_in(pair, 0, WEIR_READABLE);
    explore_begin();
    struct vthread *end = start(end_first, pair);
    if (late)
        pair->pools[1] = new_waiting_pool();
    wait_in(pair, 1, WEIR_WRITABLE);
    make_ready(NULL);
    int err = weir_task_wait(&pair->tasks[1]);
    check(err == 0 && weir_task_state(&pair->tasks[1]) == WEIR_TASK_DONE && pair->runs[1] == 1);
    finish(end);
    end_pool(pair->pools[1]);
    explore_end();
    drop(pair);
}

static void a_pool_is_freed_beside_another(void)
{
    end_of_a_pool(false);
}

static void a_pool_is_freed_while_another_is_made(void)
{
    end_of_a_pool(true);
}

const struct scenario reactor_scenarios[] = {
    {"reactor: release against a call", release_against_call, false},
    {"reactor: release against another's wait", release_against_add, false},
    {"reactor: the last release against a new owner", last_release_against_hold, false},
    {"reactor: one readiness, two waits", one_readiness_two_waits, false},
    {"reactor: a closed descriptor", a_closed_descriptor, false},
    {"reactor: a pool is freed beside another", a_pool_is_freed_beside_another, false},
    {"reactor: a pool is freed while another is made", a_pool_is_freed_while_another_is_made,
     false},
    {0},
};
