/* SPDX-License-Identifier: MIT */
/* freeze.c - one thread stops for ever, at each point of its work in turn; the others must not
 * notice. Nothing here waits for the frozen thread: what is checked, once no thread can continue,
 * is that the others have done all their work. */
#include "scenario.h"

#include "ring/index_ring.h"

enum { EACH = 3 };

/* The ring. Each thread has one item under way at most: every full or empty is a false one. */

struct bench {
    struct ring ring;
    ring_word words[4];
    unsigned popped; /* by those that are not frozen */
};

static void push_and_pop(struct bench *bench, bool count)
{
    for (unsigned i = 0; i < EACH; i++) {
        uint64_t position;
        uint32_t item;
        check(ring_push(&bench->ring, i, &position));
        check(ring_pop(&bench->ring, &position, &item));
        if (count)
            bench->popped++;
    }
}

static void push_and_pop_frozen(void *arg)
{
    freezable_begin();
    push_and_pop(arg, false);
    freezable_end();
}

static void frozen_in_the_ring(uint64_t capacity)
{
    struct bench *bench = make(sizeof *bench);
    ring_init(&bench->ring, bench->words, capacity, 0);
    count_ring_laps(&bench->ring);
    explore_begin();
    struct vthread *victim = start(push_and_pop_frozen, bench);
    push_and_pop(bench, true);
    push_and_pop(bench, true);
    check(bench->popped == 2 * EACH);
    settle();
    explore_end();
    if (froze())
        return;
    finish(victim);
    drop(bench);
}

static void frozen_in_push_or_pop(void)
{
    frozen_in_the_ring(2);
}

static void frozen_in_push_or_pop_below_the_slots(void)
{
    frozen_in_the_ring(3);
}

/* The pool. */

struct work {
    weir_pool *pool;
    unsigned runs[2][EACH];
    unsigned last;
};

static int freezable_worker(unsigned index, void *user)
{
    (void)user;
    if (index == 0)
        freezable_begin();
    return 0;
}

static void submit_each(struct work *work, unsigned who)
{
    for (unsigned i = 0; i < EACH; i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->runs[who][i]);
        check(err == 0);
    }
}

static void submit_frozen(void *arg)
{
    freezable_begin();
    submit_each(arg, 1);
    freezable_end();
}

static unsigned runs_of(const struct work *work, unsigned who)
{
    unsigned runs = 0;
    for (unsigned i = 0; i < EACH; i++) {
        check(work->runs[who][i] <= 1);
        runs += work->runs[who][i];
    }
    return runs;
}

/* With all threads at rest and a free worker, tasks are accepted and start: more than fit in the
 * pool. The frozen submitter's own task may still be queued: its submit has not returned. */
static void check_pool_works(struct work *work)
{
    for (unsigned i = 1; i <= weir_pool_capacity(work->pool) + 1; i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->last);
        check(err == 0);
        settle();
    }
    check(weir_pool_queued(work->pool) == 0);
    check(work->last == weir_pool_capacity(work->pool) + 1);
}

static void end_unless_frozen(struct work *work)
{
    if (froze())
        return;
    end_pool(work->pool);
    drop(work);
}

static void submitter_is_frozen(unsigned workers, unsigned capacity, weir_overflow overflow)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity, .overflow = overflow));
    count_laps(work->pool);
    explore_begin();
    struct vthread *victim = start(submit_frozen, work);
    submit_each(work, 0);
    settle();
    explore_end();
    check(overflow != WEIR_OVERFLOW_BLOCK || runs_of(work, 0) == EACH);
    check_pool_works(work);
    if (!froze())
        finish(victim);
    end_unless_frozen(work);
}

static void frozen_in_submit(void)
{
    submitter_is_frozen(1, 2, WEIR_OVERFLOW_BLOCK);
}

static void frozen_in_submit_with_two_workers(void)
{
    submitter_is_frozen(2, 4, WEIR_OVERFLOW_BLOCK);
}

static void frozen_while_waiting_for_room(void)
{
    submitter_is_frozen(1, 1, WEIR_OVERFLOW_BLOCK);
}

static void frozen_in_eviction(void)
{
    submitter_is_frozen(1, 1, WEIR_OVERFLOW_DROP_OLDEST);
}

static void submit_second(void *arg)
{
    submit_each(arg, 1);
}

/* It may hold one task, not more. If it was woken, and frozen before it could look,
 * others rely on it for a while: at most until the pool is full. */
static void worker_is_frozen(unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(
        WEIR_POOL_OPTIONS(.workers = 2, .capacity = capacity, .on_worker_start = freezable_worker));
    count_laps(work->pool);
    explore_begin();
    struct vthread *second = start(submit_second, work);
    submit_each(work, 0);
    finish(second);
    settle();
    explore_end();
    check_pool_works(work);
    check(runs_of(work, 0) + runs_of(work, 1) >= 2 * EACH - (froze() ? 1 : 0));
    end_unless_frozen(work);
}

static void frozen_worker(void)
{
    worker_is_frozen(4);
}

static void frozen_worker_of_a_full_pool(void)
{
    worker_is_frozen(1);
}

/* Lanes. */

static void submit_to_lane(struct work *work, unsigned lane)
{
    for (unsigned i = 0; i < EACH; i++) {
        int err = weir_pool_submit_lane(work->pool, lane, count_run, &work->runs[lane][i]);
        check(err == 0);
    }
}

static void submit_urgent(void *arg)
{
    submit_to_lane(arg, 0);
}

/* Each lane takes more than it can hold, and a task of each starts: also one that is owed. */
static void check_lanes_work(struct work *work)
{
    unsigned each = weir_pool_capacity(work->pool) / 2 + 1;
    for (unsigned i = 0; i < 2 * each; i++) {
        int err = weir_pool_submit_lane(work->pool, i % 2, count_run, &work->last);
        check(err == 0);
        settle();
    }
    check(work->last == 2 * each);
}

static void frozen_worker_of_two_lanes(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2, .lanes = 2,
                                            .lane_burst = 3, .on_worker_start = freezable_worker));
    explore_begin();
    struct vthread *urgent = start(submit_urgent, work);
    submit_to_lane(work, 1);
    finish(urgent);
    settle();
    explore_end();
    check_lanes_work(work);
    check(runs_of(work, 0) + runs_of(work, 1) >= 2 * EACH - (froze() ? 1 : 0));
    end_unless_frozen(work);
}

/* Serials. A thread that stops in the middle of one holds up that one, and a worker that comes to
 * it; so there is one more. */

struct frozen_serials {
    struct work work;
    weir_serial serials[2];
    weir_task tasks[2];
    unsigned runs[2];
};

static void submit_to(struct frozen_serials *both, unsigned i)
{
    int err =
        weir_serial_submit(&both->serials[i], &both->tasks[i], count_run, &both->runs[i], NULL);
    check(err == 0);
}

static void submit_to_first_frozen(void *arg)
{
    freezable_begin();
    submit_to(arg, 0);
    freezable_end();
}

static void serial_is_frozen(const weir_pool_options *options, void (*submit_to_first)(void *))
{
    struct frozen_serials *both = make(sizeof *both);
    struct work *work = &both->work;
    work->pool = new_pool(options);
    for (unsigned i = 0; i < 2; i++) {
        int err = weir_serial_init(&both->serials[i], work->pool, NULL);
        check(err == 0);
    }
    explore_begin();
    struct vthread *first = start(submit_to_first, both);
    submit_to(both, 1);
    settle();
    explore_end();
    for (unsigned i = 0; i < 2 * weir_pool_capacity(work->pool); i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->last);
        check(err == 0);
        settle();
    }
    check(work->last >= 2 * weir_pool_capacity(work->pool) - (froze() ? 1 : 0));
    check(both->runs[0] + both->runs[1] >= (froze() ? 1 : 2));
    if (froze())
        return;
    finish(first);
    for (unsigned i = 0; i < 2; i++)
        weir_serial_destroy(&both->serials[i]);
    end_pool(work->pool);
    drop(both);
}

static void frozen_in_a_submit_to_a_serial(void)
{
    serial_is_frozen(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4), submit_to_first_frozen);
}

static void submit_to_first(void *arg)
{
    submit_to(arg, 0);
}

static void frozen_in_the_turn_of_a_serial(void)
{
    serial_is_frozen(
        WEIR_POOL_OPTIONS(.workers = 3, .capacity = 4, .on_worker_start = freezable_worker),
        submit_to_first);
}

const struct scenario freeze_scenarios[] = {
    {"frozen in push or pop", frozen_in_push_or_pop, true},
    {"frozen in push or pop, three places of four", frozen_in_push_or_pop_below_the_slots, true},
    {"frozen in submit", frozen_in_submit, true},
    {"frozen in submit, two workers", frozen_in_submit_with_two_workers, true},
    {"frozen while waiting for room", frozen_while_waiting_for_room, true},
    {"frozen in eviction", frozen_in_eviction, true},
    {"frozen worker", frozen_worker, true},
    {"frozen worker of a full pool", frozen_worker_of_a_full_pool, true},
    {"frozen worker of two lanes", frozen_worker_of_two_lanes, true},
    {"frozen in a submit to a serial", frozen_in_a_submit_to_a_serial, true},
    {"frozen in the turn of a serial", frozen_in_the_turn_of_a_serial, true},
    {0},
};
