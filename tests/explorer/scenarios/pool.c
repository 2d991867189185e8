/* SPDX-License-Identifier: MIT */
/* pool.c - submitting against parking, and waiting for room. */
#include "scenario.h"

enum { SUBMITTERS = 2, EACH = 2 };

struct work {
    weir_pool *pool;
    unsigned runs[SUBMITTERS][EACH];
};

static void submit_each(struct work *work, unsigned submitter)
{
    for (unsigned i = 0; i < EACH; i++) {
        int err = weir_pool_submit(work->pool, count_run, &work->runs[submitter][i]);
        check(err == 0);
    }
}

static void submit_first(void *arg)
{
    submit_each(arg, 0);
}

static void submit_second(void *arg)
{
    submit_each(arg, 1);
}

static void check_runs(const struct work *work)
{
    for (unsigned s = 0; s < SUBMITTERS; s++)
        for (unsigned i = 0; i < EACH; i++)
            check(work->runs[s][i] == 1);
}

static int wait_at_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static void look_for_the_running_one(void *arg)
{
    for (int i = 0; i < 2; i++) {
        weir_pool_counts counts;
        weir_pool_read_counts(((struct work *)arg)->pool, &counts);
        check(counts.running >= 1);
    }
}

/* One task runs all the time, one is queued: so the caller runs a third. What has ended was counted
 * on its way in: a look at the counts also finds the one that runs. */
static void look_at_counts_of_a_run_by_the_caller(void)
{
    struct work *work = make(sizeof *work);
    weir_waitgroup *gate = make(sizeof *gate);
    work->pool = new_pool(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(work->pool, wait_at_gate, gate);
    check(err == 0);
    settle();
    err = weir_pool_submit(work->pool, count_run, &work->runs[0][0]);
    check(err == 0);
    explore_begin();
    struct vthread *other = start(look_for_the_running_one, work);
    err = weir_pool_submit(work->pool, count_run, &work->runs[0][1]);
    check(err == 0 && work->runs[0][1] == 1);
    finish(other);
    explore_end();
    weir_waitgroup_done(gate);
    end_pool(work->pool);
    drop(gate);
    drop(work);
}

static void submit_and_park(unsigned workers, unsigned capacity)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    count_laps(work->pool);
    explore_begin();
    struct vthread *second = start(submit_second, work);
    submit_first(work);
    finish(second);
    settle();
    explore_end();
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    check_runs(work);
    end_pool(work->pool);
    drop(work);
}

static void submit_against_park_of_one_worker(void)
{
    submit_and_park(1, 2);
}

static void submit_against_park_of_two_workers(void)
{
    submit_and_park(2, 2);
}

static void blocked_submitters_against_pop(void)
{
    submit_and_park(1, 1);
}

static void blocked_submitters_against_two_workers(void)
{
    submit_and_park(2, 1);
}

static void submit_against_drain(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    count_laps(work->pool);
    explore_begin();
    submit_first(work);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    check(work->runs[0][0] == 1 && work->runs[0][1] == 1);
    submit_second(work);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check_runs(work);
    end_pool(work->pool);
    drop(work);
}

/* A task that holds its worker until the gate opens. */
static int pass_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

struct crowd {
    weir_pool *pool;
    weir_waitgroup gate;
    unsigned runs[4];
    unsigned accepted[2];
};

static struct crowd *new_crowd(unsigned capacity)
{
    struct crowd *crowd = make(sizeof *crowd);
    crowd->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity));
    count_laps(crowd->pool);
    weir_waitgroup_add(&crowd->gate, 1);
    int err = weir_pool_submit(crowd->pool, pass_gate, &crowd->gate);
    check(err == 0);
    settle();
    return crowd;
}

static void try_two(struct crowd *crowd, unsigned who)
{
    for (unsigned i = 0; i < 2; i++) {
        int err = weir_pool_try_submit(crowd->pool, count_run, &crowd->runs[2 * who + i]);
        check(err == 0 || err == -EAGAIN);
        crowd->accepted[who] += err == 0;
    }
}

static void try_two_second(void *arg)
{
    try_two(arg, 1);
}

/* While no task starts, exactly `capacity` are accepted, round after round. */
static void exactly_as_many_as_the_capacity(void)
{
    enum { CAPACITY = 3, ROUNDS = 3 };
    struct crowd *crowd = new_crowd(CAPACITY);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        explore_begin();
        struct vthread *second = start(try_two_second, crowd);
        try_two(crowd, 0);
        finish(second);
        explore_end();
        check(crowd->accepted[0] + crowd->accepted[1] == CAPACITY * round);
        check(weir_pool_queued(crowd->pool) == CAPACITY);
        weir_waitgroup_done(&crowd->gate);
        settle();
        weir_waitgroup_add(&crowd->gate, 1);
        int err = weir_pool_submit(crowd->pool, pass_gate, &crowd->gate);
        check(err == 0);
        settle();
    }
    weir_waitgroup_done(&crowd->gate);
    end_pool(crowd->pool);
    check(crowd->runs[0] + crowd->runs[1] + crowd->runs[2] + crowd->runs[3] == ROUNDS * CAPACITY);
    drop(crowd);
}

/* Slots are few (see the build): those in the worker's and the threads' hands must not make the
 * pool look full. One submits and drains; there is always room for its task. */
static void submit_one_by_one(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < 4; i++) {
        int err = weir_pool_try_submit(crowd->pool, count_run, &crowd->runs[0]);
        check(err == 0);
        err = weir_pool_drain(crowd->pool);
        check(err == 0);
    }
}

static void never_falsely_full(void)
{
    struct crowd *crowd = make(sizeof *crowd);
    crowd->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 1));
    count_laps(crowd->pool);
    explore_begin();
    submit_one_by_one(crowd);
    explore_end();
    check(crowd->runs[0] == 4);
    end_pool(crowd->pool);
    drop(crowd);
}

/* Two threads with one stripe of free slots between them take full magazines to it, again and
 * again, while the worker gives them back. That none is lost is checked when the pool ends. */
static void try_four(struct crowd *crowd, unsigned who)
{
    for (unsigned i = 0; i < 4; i++) {
        int err = weir_pool_try_submit(crowd->pool, count_run, &crowd->runs[who]);
        check(err == 0 || err == -EAGAIN);
        crowd->accepted[who] += err == 0;
    }
}

static void try_four_second(void *arg)
{
    try_four(arg, 1);
}

static void free_slots_go_round(void)
{
    struct crowd *crowd = make(sizeof *crowd);
    crowd->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 3));
    count_laps(crowd->pool);
    explore_begin();
    struct vthread *second = start(try_four_second, crowd);
    try_four(crowd, 0);
    finish(second);
    explore_end();
    end_pool(crowd->pool);
    check(crowd->runs[0] == crowd->accepted[0] && crowd->runs[1] == crowd->accepted[1]);
    drop(crowd);
}

/* Two blocked submitters, and room for both; but the worker is held up by the second task, until
 * they have submitted. The one that is woken first wakes the other. */
static void submit_first_of_crowd(void *arg)
{
    struct crowd *crowd = arg;
    int err = weir_pool_submit(crowd->pool, count_run, &crowd->runs[0]);
    check(err == 0);
}

static void submit_second_of_crowd(void *arg)
{
    struct crowd *crowd = arg;
    int err = weir_pool_submit(crowd->pool, count_run, &crowd->runs[1]);
    check(err == 0);
}

static void no_submitter_sleeps_while_there_is_room(void)
{
    struct crowd *crowd = new_crowd(2);
    weir_waitgroup *held = make(sizeof *held);
    weir_waitgroup_add(held, 1);
    int err = weir_pool_submit(crowd->pool, count_run, &crowd->runs[2]);
    check(err == 0);
    err = weir_pool_submit(crowd->pool, pass_gate, held);
    check(err == 0);
    explore_begin();
    struct vthread *first = start(submit_first_of_crowd, crowd);
    struct vthread *second = start(submit_second_of_crowd, crowd);
    settle();
    weir_waitgroup_done(&crowd->gate);
    finish(first);
    finish(second);
    explore_end();
    weir_waitgroup_done(held);
    end_pool(crowd->pool);
    check(crowd->runs[0] == 1 && crowd->runs[1] == 1 && crowd->runs[2] == 1);
    drop(held);
    drop(crowd);
}

/* CALLER_RUNS: a submitter that finds the pool full runs its task itself; a drain waits for it. */
static void callers_run_against_drain(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    count_laps(work->pool);
    explore_begin();
    struct vthread *second = start(submit_second, work);
    submit_first(work);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    for (unsigned i = 0; i < EACH; i++)
        check(work->runs[0][i] == 1);
    finish(second);
    explore_end();
    end_pool(work->pool);
    check_runs(work);
    drop(work);
}

/* DROP_OLDEST. */

struct eviction {
    weir_pool *pool;
    unsigned ends[2][3]; /* 1: ran, DROPPED: dropped */
};

enum { DROPPED = 100 };

static void note_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    *(unsigned *)arg += why == WEIR_TASK_DROPPED ? DROPPED : 2 * DROPPED;
}

static void submit_three(struct eviction *eviction, unsigned who)
{
    for (unsigned i = 0; i < 3; i++) {
        int err = weir_pool_submit(eviction->pool, count_run, &eviction->ends[who][i]);
        check(err == 0); /* never refused, never blocked */
    }
}

static void submit_three_second(void *arg)
{
    submit_three(arg, 1);
}

static void eviction_against_pop(unsigned capacity)
{
    struct eviction *eviction = make(sizeof *eviction);
    eviction->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity,
                                   .overflow = WEIR_OVERFLOW_DROP_OLDEST, .on_drop = note_drop));
    count_laps(eviction->pool);
    explore_begin();
    struct vthread *second = start(submit_three_second, eviction);
    submit_three(eviction, 0);
    finish(second);
    settle();
    explore_end();
    for (unsigned i = 0; i < 6; i++) {
        unsigned end = eviction->ends[i / 3][i % 3];
        check(end == 1 || end == DROPPED);
    }
    end_pool(eviction->pool);
    drop(eviction);
}

static void eviction_with_one_place(void)
{
    eviction_against_pop(1);
}

static void eviction_with_two_places(void)
{
    eviction_against_pop(2);
}

/* w queued tasks that wait for each other run at once on w free workers. */
static int meet(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_waitgroup_done(arg);
    return weir_waitgroup_wait(arg);
}

static void submit_meet(void *arg)
{
    struct crowd *crowd = arg;
    int err = weir_pool_submit(crowd->pool, meet, &crowd->gate);
    check(err == 0);
}

static void tasks_that_wait_for_each_other(void)
{
    struct crowd *crowd = make(sizeof *crowd);
    crowd->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2));
    weir_waitgroup_add(&crowd->gate, 2);
    explore_begin();
    struct vthread *second = start(submit_meet, crowd);
    submit_meet(crowd);
    finish(second);
    int err = weir_pool_drain(crowd->pool);
    check(err == 0);
    explore_end();
    end_pool(crowd->pool);
    drop(crowd);
}

/* A pool is made, or not: what its workers did at their start is seen, and none is left. */

struct crew {
    unsigned started[2], stopped[2];
    int err; /* of the second worker */
};

static int note_start(unsigned index, void *user)
{
    struct crew *crew = user;
    crew->started[index]++;
    return index == 1 ? crew->err : 0;
}

static void note_stop(unsigned index, void *user)
{
    ((struct crew *)user)->stopped[index]++;
}

static void make_pool_with(int err_of_second)
{
    struct crew *crew = make(sizeof *crew);
    crew->err = err_of_second;
    weir_pool *pool = NULL;
    explore_begin();
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 1,
                                                     .on_worker_start = note_start,
                                                     .on_worker_stop = note_stop, .user = crew));
    check(err == err_of_second);
    check(crew->started[0] == 1 && crew->started[1] == 1);
    weir_pool_free(pool);
    explore_end();
    check(crew->stopped[0] == 1 && crew->stopped[1] == (err == 0 ? 1U : 0U));
    drop(crew);
}

static void make_pool(void)
{
    make_pool_with(0);
}

static void make_no_pool(void)
{
    make_pool_with(-EIO);
}

const struct scenario pool_scenarios[] = {
    {"a look at the counts of a run by the caller", look_at_counts_of_a_run_by_the_caller, false},
    {"callers run their tasks, against drain", callers_run_against_drain, false},
    {"a pool is made", make_pool, false},
    {"a pool is not made", make_no_pool, false},
    {"exactly as many as the capacity", exactly_as_many_as_the_capacity, false},
    {"never falsely full", never_falsely_full, false},
    {"free slots go round", free_slots_go_round, false},
    {"no submitter sleeps while there is room", no_submitter_sleeps_while_there_is_room, false},
    {"eviction against pop, one place", eviction_with_one_place, false},
    {"eviction against pop, two places", eviction_with_two_places, false},
    {"tasks that wait for each other", tasks_that_wait_for_each_other, false},
    {"submit against park of one worker", submit_against_park_of_one_worker, false},
    {"submit against park of two workers", submit_against_park_of_two_workers, false},
    {"blocked submitters against pop", blocked_submitters_against_pop, false},
    {"blocked submitters against two workers", blocked_submitters_against_two_workers, false},
    {"submit against drain", submit_against_drain, false},
    {0},
};
