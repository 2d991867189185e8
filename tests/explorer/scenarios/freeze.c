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
    bool asked; /* by the manager */
    weir_waitgroup gate, first;
    unsigned back;
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

/* Where the size changes: the first worker may be frozen while it blocks, starts another one, waits
 * for its right, or leaves. */
static int block_and_count(weir_context *ctx, void *arg)
{
    weir_blocking_begin();
    weir_blocking_end();
    return count_run(ctx, arg);
}

static void frozen_worker_of_a_pool_that_changes(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 4, .capacity = 4,
                                            .on_worker_start = freezable_worker));
    explore_begin();
    for (unsigned i = 0; i < EACH; i++) {
        int err = weir_pool_submit(work->pool, block_and_count, &work->runs[0][i]);
        check(err == 0);
    }
    int err = weir_pool_resize(work->pool, 3);
    check(err == 0);
    settle();
    explore_end();
    check_pool_works(work);
    check(runs_of(work, 0) >= EACH - (froze() ? 1 : 0));
    end_unless_frozen(work);
}

static void resize_frozen(void *arg)
{
    struct work *work = arg;
    freezable_begin();
    int err = weir_pool_resize(work->pool, 1);
    check(err == 0);
    err = weir_pool_resize(work->pool, 3);
    check(err == 0);
    freezable_end();
}

static void frozen_in_a_resize(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 2, .workers_max = 3, .capacity = 4));
    explore_begin();
    struct vthread *victim = start(resize_frozen, work);
    submit_each(work, 0);
    settle();
    explore_end();
    check_pool_works(work);
    check(runs_of(work, 0) == EACH);
    if (!froze())
        finish(victim);
    end_unless_frozen(work);
}

/* The manager: then the number of workers does not change, and nothing else is held up. */
static int freezable_rule(const weir_growth *growth, void *user)
{
    struct work *work = user;
    (void)growth;
    if (!work->asked)
        freezable_begin();
    work->asked = true;
    return 1;
}

static void wait_at_gate(void *arg)
{
    int err = weir_waitgroup_wait(&((struct work *)arg)->gate);
    check(err == 0);
}

static int keep_worker(weir_context *ctx, void *arg)
{
    (void)ctx;
    finish(start(wait_at_gate, arg));
    return 0;
}

static void frozen_manager(void)
{
    struct work *work = make(sizeof *work);
    weir_waitgroup_add(&work->gate, 1);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = 4,
                                            .growth_rule = freezable_rule, .user = work));
    int err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    err = weir_sleep_until(NULL, weir_after(2000000)); /* the rule may be asked from here on */
    check(err == 0);
    explore_begin();
    for (unsigned i = 0; i < EACH; i++) {
        err = weir_pool_submit(work->pool, block_and_count, &work->runs[0][i]);
        check(err == 0);
    }
    settle();
    err = weir_pool_resize(work->pool, 1);
    check(err == 0);
    weir_waitgroup_done(&work->gate);
    settle();
    explore_end();
    check_pool_works(work);
    check(runs_of(work, 0) == EACH);
    end_unless_frozen(work);
}

/* A submitter that comes by a worker which waits for its right, or has just been given one. */
static int block_and_come_back(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    weir_blocking_begin();
    int err = weir_waitgroup_wait(&work->first);
    weir_blocking_end();
    return err != 0 ? err : count_run(ctx, &work->back);
}

static void frozen_in_submit_beside_an_end(void)
{
    struct work *work = make(sizeof *work);
    weir_waitgroup_add(&work->gate, 1);
    weir_waitgroup_add(&work->first, 1);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = 2 * EACH));
    int err = weir_pool_submit(work->pool, block_and_come_back, work);
    check(err == 0);
    settle();
    err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *victim = start(submit_frozen, work);
    weir_waitgroup_done(&work->first);
    submit_each(work, 0);
    weir_waitgroup_done(&work->gate);
    settle();
    explore_end();
    check(work->back == 1);
    check_pool_works(work);
    check(runs_of(work, 0) == EACH);
    if (!froze())
        finish(victim);
    end_unless_frozen(work);
}

/* Serials. A thread that stops in the middle of one holds up that one, and a worker that comes to
 * it; so there is one more. */

struct frozen_serials {
    struct work work;
    weir_serial serials[2];
    weir_keyed *keyed; /* or the two are keys of this */
    weir_task tasks[2];
    unsigned runs[2];
};

static void submit_to(struct frozen_serials *both, unsigned i)
{
    int err = both->keyed != NULL ? weir_keyed_submit(both->keyed, i, &both->tasks[i], count_run,
                                                      &both->runs[i], NULL)
                                  : weir_serial_submit(&both->serials[i], &both->tasks[i],
                                                       count_run, &both->runs[i], NULL);
    check(err == 0);
}

static void submit_second_to_serial(void *arg)
{
    submit_to(arg, 1);
}

static void submit_to_first_frozen(void *arg)
{
    freezable_begin();
    submit_to(arg, 0);
    freezable_end();
}

static struct frozen_serials *new_serials(const weir_pool_options *options)
{
    struct frozen_serials *both = make(sizeof *both);
    both->work.pool = new_pool(options);
    for (unsigned i = 0; i < 2; i++) {
        int err = weir_serial_init(&both->serials[i], both->work.pool, NULL);
        check(err == 0);
    }
    return both;
}

/* Of plain tasks a frozen worker may have one in hand. */
static void check_others_run(struct work *work)
{
    for (unsigned i = 0; i < 2 * weir_pool_capacity(work->pool); i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->last);
        check(err == 0);
        settle();
    }
    check(work->last >= 2 * weir_pool_capacity(work->pool) - (froze() ? 1 : 0));
}

/* `runs`: so many tasks run if no thread is frozen. */
static void serial_is_frozen(const weir_pool_options *options, void (*use_first)(void *),
                             unsigned runs)
{
    struct frozen_serials *both = new_serials(options);
    struct work *work = &both->work;
    explore_begin();
    struct vthread *first = start(use_first, both);
    submit_to(both, 1);
    settle();
    explore_end();
    check_others_run(work);
    check(both->runs[0] + both->runs[1] >= (froze() ? 1 : runs));
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
    serial_is_frozen(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4), submit_to_first_frozen, 2);
}

static void submit_to_first_and_cancel_frozen(void *arg)
{
    struct frozen_serials *both = arg;
    submit_to(both, 0);
    freezable_begin();
    (void)weir_task_cancel(&both->tasks[0]);
    freezable_end();
}

static void frozen_in_a_cancel_in_a_serial(void)
{
    serial_is_frozen(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4),
                     submit_to_first_and_cancel_frozen, 1);
}

static void submit_to_first(void *arg)
{
    submit_to(arg, 0);
}

static void frozen_in_the_turn_of_a_serial(void)
{
    serial_is_frozen(
        WEIR_POOL_OPTIONS(.workers = 3, .capacity = 4, .on_worker_start = freezable_worker),
        submit_to_first, 2);
}

/* All keys may be held up, and the workers that come to the ends of their tasks. */
static void frozen_in_a_submit_to_a_key(void)
{
    struct frozen_serials *both = make(sizeof *both);
    struct work *work = &both->work;
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 3, .capacity = 4));
    int err = weir_keyed_new(&both->keyed, work->pool, WEIR_KEYED_OPTIONS(.keys = 2));
    check(err == 0);
    explore_begin();
    struct vthread *first = start(submit_to_first_frozen, both);
    struct vthread *second = start(submit_second_to_serial, both);
    settle();
    explore_end();
    check_others_run(work);
    if (froze())
        return;
    check(both->runs[0] == 1 && both->runs[1] == 1);
    finish(first);
    finish(second);
    weir_keyed_free(both->keyed);
    end_pool(work->pool);
    drop(both);
}

/* Gates. A thread that stops in the middle of a call that has to do with one may hold up whatever
 * else has to do with that gate, and with times; also the worker that comes to the end of a task
 * that was let in, and a second one, if that has given the permit back. Other tasks are submitted,
 * and start on the worker that is left. */

struct frozen_gate {
    struct work work;
    weir_semaphore permits; /* one */
    weir_gate gate;
    weir_task tasks[2];
    unsigned runs[2];
};

static void submit_to_gate(struct frozen_gate *at, unsigned i)
{
    int err = weir_pool_submit_task(at->work.pool, &at->tasks[i], count_run, &at->runs[i],
                                    WEIR_TASK_OPTIONS(.gate = &at->gate));
    check(err == 0);
}

static void submit_second_to_gate(void *arg)
{
    submit_to_gate(arg, 1);
}

static void submit_first_to_gate_frozen(void *arg)
{
    freezable_begin();
    submit_to_gate(arg, 0);
    freezable_end();
}

static void release_permit(void *arg)
{
    weir_semaphore_release(&((struct frozen_gate *)arg)->permits, 1);
}

static void release_permit_frozen(void *arg)
{
    freezable_begin();
    release_permit(arg);
    freezable_end();
}

static void cancel_at_gate_frozen(void *arg)
{
    struct frozen_gate *at = arg;
    freezable_begin();
    (void)weir_task_cancel(&at->tasks[0]);
    freezable_end();
}

/* `waiting`: so many tasks wait at the gate before, for the permit, which is taken. */
static void gate_is_frozen(unsigned workers, unsigned waiting, void (*freeze)(void *),
                           void (*other)(void *))
{
    struct frozen_gate *at = make(sizeof *at);
    struct work *work = &at->work;
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = 2));
    int err = weir_semaphore_init(&at->permits, 1);
    check(err == 0);
    err = weir_gate_init(&at->gate, WEIR_GATE_OPTIONS(.semaphore = &at->permits));
    check(err == 0);
    if (waiting > 0)
        err = weir_semaphore_try_acquire(&at->permits, 1);
    check(err == 0);
    for (unsigned i = 0; i < waiting; i++)
        submit_to_gate(at, i);
    explore_begin();
    struct vthread *victim = start(freeze, at), *second = start(other, at);
    settle();
    explore_end();
    check_pool_works(work);
    if (froze())
        return;
    finish(victim);
    finish(second);
    for (unsigned i = 0; i < 2; i++) {
        err = weir_task_wait(&at->tasks[i]);
        check(err == 0);
    }
    check(at->runs[1] == 1);
    check(at->runs[0] == (weir_task_state(&at->tasks[0]) == WEIR_TASK_DONE ? 1 : 0));
    weir_gate_destroy(&at->gate);
    weir_semaphore_destroy(&at->permits);
    end_pool(work->pool);
    drop(at);
}

static void frozen_in_a_release_to_a_gate(void)
{
    gate_is_frozen(2, 1, release_permit_frozen, submit_second_to_gate);
}

static void frozen_in_a_submit_to_a_gate(void)
{
    gate_is_frozen(3, 0, submit_first_to_gate_frozen, submit_second_to_gate);
}

static void frozen_in_a_cancel_at_a_gate(void)
{
    gate_is_frozen(2, 2, cancel_at_gate_frozen, release_permit);
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
    {"frozen worker of a pool that changes", frozen_worker_of_a_pool_that_changes, true},
    {"frozen in a resize", frozen_in_a_resize, true},
    {"frozen manager", frozen_manager, true},
    {"frozen in submit beside an end", frozen_in_submit_beside_an_end, true},
    {"frozen in a submit to a serial", frozen_in_a_submit_to_a_serial, true},
    {"frozen in a cancel in a serial", frozen_in_a_cancel_in_a_serial, true},
    {"frozen in a submit to a key", frozen_in_a_submit_to_a_key, true},
    {"frozen in the turn of a serial", frozen_in_the_turn_of_a_serial, true},
    {"frozen in a release to a gate", frozen_in_a_release_to_a_gate, true},
    {"frozen in a submit to a gate", frozen_in_a_submit_to_a_gate, true},
    {"frozen in a cancel at a gate", frozen_in_a_cancel_at_a_gate, true},
    {0},
};
