/* SPDX-License-Identifier: MIT */
/* group.c - waitgroups and errgroups. */
#include "scenario.h"

#include "os/lock.h"

enum { INNER = 3 };

struct nest {
    weir_pool *pool;
    weir_waitgroup *wg; /* the inner one, on the stack of the task */
    unsigned inner[INNER];
    unsigned outer;
    int err;
};

static int wait_inside(weir_context *ctx, void *arg)
{
    struct nest *nest = arg;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    (void)ctx;
    for (int i = 0; i < INNER; i++)
        if ((nest->err = weir_waitgroup_go(&wg, nest->pool, count_run, &nest->inner[i])) != 0)
            break;
    if (nest->err == 0)
        nest->err = weir_waitgroup_wait(&wg);
    nest->outer++;
    return 0;
}

static void worker_helps_while_it_waits(unsigned workers, unsigned capacity)
{
    struct nest *nest = make(sizeof *nest);
    nest->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    weir_task task = WEIR_TASK_INIT;
    explore_begin();
    int err = weir_pool_submit_task(nest->pool, &task, wait_inside, nest, NULL);
    check(err == 0);
    err = weir_task_wait(&task);
    check(err == 0);
    explore_end();
    check(nest->err == 0 && nest->outer == 1);
    for (int i = 0; i < INNER; i++)
        check(nest->inner[i] == 1);
    end_pool(nest->pool);
    drop(nest);
}

static void help_on_one_worker(void)
{
    worker_helps_while_it_waits(1, 2);
}

static void help_against_pop(void)
{
    worker_helps_while_it_waits(2, 2);
}

static void help_in_a_full_pool(void)
{
    worker_helps_while_it_waits(2, 1);
}

/* A waitgroup by itself: freed after the wait, and used again while waiters of the last round are
 * still leaving. */

struct rounds {
    weir_waitgroup *wg;
    unsigned data[2];
};

static void count_down(void *arg)
{
    struct rounds *rounds = arg;
    rounds->data[0]++;
    weir_waitgroup_done(rounds->wg);
}

static void waitgroup_is_freed_after_wait(void)
{
    struct rounds *rounds = make(sizeof *rounds);
    rounds->wg = make(sizeof *rounds->wg);
    explore_begin();
    weir_waitgroup_add(rounds->wg, 2);
    struct vthread *other = start(count_down, rounds);
    weir_waitgroup_done(rounds->wg);
    int err = weir_waitgroup_wait(rounds->wg);
    check(err == 0 && rounds->data[0] == 1);
    drop(rounds->wg);
    finish(other);
    explore_end();
    drop(rounds);
}

static void wait_for_round(void *arg)
{
    struct rounds *rounds = arg;
    int err = weir_waitgroup_wait(rounds->wg);
    check(err == 0);
}

static void waitgroup_is_used_again(void)
{
    struct rounds *rounds = make(sizeof *rounds);
    rounds->wg = make(sizeof *rounds->wg);
    weir_waitgroup_add(rounds->wg, 1);
    explore_begin();
    struct vthread *waiter = start(wait_for_round, rounds);
    struct vthread *other = start(count_down, rounds);
    int err = weir_waitgroup_wait(rounds->wg);
    check(err == 0 && rounds->data[0] == 1);
    weir_waitgroup_add(rounds->wg, 1); /* the waiter may still be in the round before, or be late */
    finish(other);
    struct vthread *next = start(count_down, rounds);
    err = weir_waitgroup_wait(rounds->wg);
    check(err == 0 && rounds->data[0] == 2);
    finish(waiter);
    finish(next);
    explore_end();
    drop(rounds->wg);
    drop(rounds);
}

/* While it waits, a worker must not run strangers: this one wants what the waiter's task holds, and
 * would wait for ever above it on the same stack. */
struct strangers {
    weir_pool *pool;
    struct lock lock;
    unsigned members, strangers; /* runs; the latter under the lock */
};

static int take_lock(weir_context *ctx, void *arg)
{
    struct strangers *strangers = arg;
    (void)ctx;
    lock_acquire(&strangers->lock);
    strangers->strangers++;
    lock_release(&strangers->lock);
    return 0;
}

static int wait_with_lock(weir_context *ctx, void *arg)
{
    struct strangers *strangers = arg;
    (void)ctx;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    lock_acquire(&strangers->lock);
    for (int lap = 0; lap < 2; lap++) {
        int err = weir_waitgroup_go(&wg, strangers->pool, count_run, &strangers->members);
        check(err == 0);
        err = weir_waitgroup_wait(&wg);
        check(err == 0);
        check(strangers->members == (unsigned)lap + 1);
    }
    lock_release(&strangers->lock);
    return 0;
}

static void help_beside_strangers(unsigned workers)
{
    struct strangers *strangers = make(sizeof *strangers);
    lock_init(&strangers->lock);
    strangers->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = 4));
    explore_begin();
    for (int i = 0; i < 2; i++) {
        int err = weir_pool_submit(strangers->pool, i == 0 ? wait_with_lock : take_lock, strangers);
        check(err == 0);
    }
    int err = weir_pool_submit(strangers->pool, take_lock, strangers);
    check(err == 0);
    err = weir_pool_drain(strangers->pool);
    check(err == 0);
    explore_end();
    check(strangers->members == 2 && strangers->strangers == 2);
    end_pool(strangers->pool);
    drop(strangers);
}

static void help_beside_strangers_on_one_worker(void)
{
    help_beside_strangers(1);
}

static void help_beside_strangers_on_two_workers(void)
{
    help_beside_strangers(2);
}

/* A thread outside helps too, and the waitgroup is freed at once. */
static void outside_waiter_helps(void)
{
    struct nest *nest = make(sizeof *nest);
    nest->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .outside_waiters_help = 1));
    count_laps(nest->pool);
    explore_begin();
    for (int lap = 0; lap < 2; lap++) {
        nest->wg = make(sizeof *nest->wg);
        for (int i = 0; i < 2; i++) {
            int err = weir_waitgroup_go(nest->wg, nest->pool, count_run, &nest->inner[i]);
            check(err == 0);
        }
        int err = weir_waitgroup_wait(nest->wg);
        check(err == 0);
        check(nest->inner[0] == (unsigned)lap + 1 && nest->inner[1] == (unsigned)lap + 1);
        drop(nest->wg);
    }
    explore_end();
    end_pool(nest->pool);
    drop(nest);
}

/* The only worker is held up: a waiter outside runs what another thread gives to the waitgroup. */
static int pass_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static void go_one(void *arg)
{
    struct nest *nest = arg;
    int err = weir_waitgroup_go(nest->wg, nest->pool, count_run, &nest->inner[0]);
    check(err == 0);
}

static void outside_waiter_helps_another(void)
{
    struct nest *nest = make(sizeof *nest);
    weir_waitgroup *gate = make(sizeof *gate);
    nest->wg = make(sizeof *nest->wg);
    nest->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .outside_waiters_help = 1));
    weir_waitgroup_add(gate, 1);
    int err = weir_pool_submit(nest->pool, pass_gate, gate);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *other = start(go_one, nest);
    while (nest->inner[0] == 0) {
        give_way("a waitgroup without tasks");
        err = weir_waitgroup_wait(nest->wg);
        check(err == 0);
    }
    finish(other);
    explore_end();
    weir_waitgroup_done(gate);
    end_pool(nest->pool);
    drop(nest->wg);
    drop(gate);
    drop(nest);
}

/* The only worker waits for what it and another thread have given to the waitgroup: in either
 * order, it finds both. */
static int go_and_wait(weir_context *ctx, void *arg)
{
    struct nest *nest = arg;
    (void)ctx;
    int err = weir_waitgroup_go(nest->wg, nest->pool, count_run, &nest->inner[1]);
    check(err == 0);
    err = weir_waitgroup_wait(nest->wg);
    check(err == 0);
    return 0;
}

static void help_for_two_that_go(void)
{
    struct nest *nest = make(sizeof *nest);
    nest->wg = make(sizeof *nest->wg);
    nest->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    weir_task task = WEIR_TASK_INIT;
    explore_begin();
    int err = weir_pool_submit_task(nest->pool, &task, go_and_wait, nest, NULL);
    check(err == 0);
    go_one(nest);
    err = weir_task_wait(&task);
    check(err == 0);
    err = weir_waitgroup_wait(nest->wg);
    check(err == 0 && nest->inner[0] == 1 && nest->inner[1] == 1);
    explore_end();
    end_pool(nest->pool);
    drop(nest->wg);
    drop(nest);
}

/* The pool that the waitgroup was used with is gone. A waiter must not search it because a task of
 * another one is counted meanwhile. */
static void wait_for_nest(void *arg)
{
    int err = weir_waitgroup_wait(((struct nest *)arg)->wg);
    check(err == 0);
}

static void waitgroup_goes_to_another_pool(void)
{
    struct nest *nest = make(sizeof *nest);
    nest->wg = make(sizeof *nest->wg);
    for (int lap = 0; lap < 2; lap++) {
        nest->pool =
            new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .outside_waiters_help = 1));
        if (lap == 1) {
            weir_waitgroup_add(nest->wg, 1);
            explore_begin();
        }
        struct vthread *waiter = lap == 1 ? start(wait_for_nest, nest) : NULL;
        go_one(nest);
        if (waiter != NULL) {
            weir_waitgroup_done(nest->wg);
            finish(waiter);
        }
        wait_for_nest(nest);
        explore_end();
        end_pool(nest->pool);
    }
    check(nest->inner[0] == 2);
    drop(nest->wg);
    drop(nest);
}

/* Errgroups. */

enum { GOES = 3 };

struct members {
    weir_pool *pool;
    weir_errgroup *group;
    unsigned runs[1 + GOES]; /* of the first, and of those of go_on */
    unsigned accepted;       /* by go_on */
};

static int fail_member(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(unsigned *)arg;
    return -EIO;
}

static void go_on(void *arg)
{
    struct members *members = arg;
    for (int i = 0; i < GOES; i++) {
        int err = weir_errgroup_go(members->group, count_run, &members->runs[1 + i]);
        check(err == 0 || err == -ECANCELED);
        members->accepted += err == 0;
    }
}

static void count_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    *(unsigned *)arg += why == WEIR_TASK_CANCELLED ? 100 : 200;
}

static void error_against_go_and_wait(unsigned limit, unsigned capacity)
{
    struct members *members = make(sizeof *members);
    members->pool =
        new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity, .on_drop = count_drop));
    int err = weir_errgroup_new(&members->group, members->pool, NULL,
                                WEIR_ERRGROUP_OPTIONS(.limit = limit));
    check(err == 0);
    explore_begin();
    struct vthread *other = start(go_on, members);
    err = weir_errgroup_go(members->group, fail_member, &members->runs[0]);
    check(err == 0);
    err = weir_errgroup_wait(members->group);
    check(err == -EIO && members->runs[0] == 1);
    finish(other);
    err = weir_errgroup_wait(members->group);
    check(err == -EIO);
    weir_errgroup_free(members->group); /* at once after the wait */
    explore_end();
    unsigned ended = 0;
    for (int i = 1; i <= GOES; i++) {
        check(members->runs[i] <= 1 || members->runs[i] == 100);
        ended += members->runs[i] != 0;
    }
    check(ended == members->accepted);
    end_pool(members->pool);
    drop(members);
}

static void error_against_go_with_limit_one(void)
{
    error_against_go_and_wait(1, 2);
}

static void error_against_go_in_a_full_pool(void)
{
    error_against_go_and_wait(0, 1);
}

/* A waiter finds a group that is live, or one that was stopped: either way without an error. */
static void stop_group(void *arg)
{
    int err = weir_errgroup_stop(((struct members *)arg)->group);
    check(err == 0);
}

static void errgroup_wait_against_stop(void)
{
    struct members *members = make(sizeof *members);
    members->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    int err = weir_errgroup_new(&members->group, members->pool, NULL, NULL);
    check(err == 0);
    explore_begin();
    struct vthread *stopper = start(stop_group, members);
    err = weir_errgroup_wait(members->group);
    check(err == 0);
    finish(stopper);
    weir_errgroup_free(members->group);
    explore_end();
    end_pool(members->pool);
    drop(members);
}

/* With a limit of one, members come one after the other: they may share plain data. */
static int count_in_turn(weir_context *ctx, void *arg)
{
    (void)ctx;
    ((struct members *)arg)->runs[0]++;
    return 0;
}

static void go_in_turn(void *arg)
{
    struct members *members = arg;
    int err = weir_errgroup_go(members->group, count_in_turn, members);
    check(err == 0);
}

static void errgroup_members_one_by_one(void)
{
    struct members *members = make(sizeof *members);
    members->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2));
    int err =
        weir_errgroup_new(&members->group, members->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    check(err == 0);
    explore_begin();
    struct vthread *other = start(go_in_turn, members);
    go_in_turn(members);
    finish(other);
    err = weir_errgroup_wait(members->group);
    check(err == 0 && members->runs[0] == 2);
    weir_errgroup_free(members->group);
    explore_end();
    end_pool(members->pool);
    drop(members);
}

/* The group's members are started by a task of the same pool, which waits for them. */
static int wait_for_members(weir_context *ctx, void *arg)
{
    struct members *members = arg;
    (void)ctx;
    go_on(members);
    return weir_errgroup_wait(members->group);
}

static void member_limit_on_a_worker(void)
{
    struct members *members = make(sizeof *members);
    members->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    int err =
        weir_errgroup_new(&members->group, members->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    check(err == 0);
    weir_task task = WEIR_TASK_INIT;
    explore_begin();
    err = weir_pool_submit_task(members->pool, &task, wait_for_members, members, NULL);
    check(err == 0);
    err = weir_errgroup_go(members->group, count_run, &members->runs[0]);
    check(err == 0);
    err = weir_task_wait(&task);
    check(err == 0 && weir_task_status(&task) == 0);
    err = weir_errgroup_wait(members->group);
    check(err == 0);
    weir_errgroup_free(members->group);
    explore_end();
    for (int i = 0; i <= GOES; i++)
        check(members->runs[i] == 1);
    end_pool(members->pool);
    drop(members);
}

/* The limit is raised under a go that waits for it: the members need each other to end. */

struct pair {
    weir_pool *pool;
    weir_errgroup *group;
    weir_waitgroup met;
    unsigned runs;
};

static int meet(weir_context *ctx, void *arg)
{
    struct pair *pair = arg;
    (void)ctx;
    weir_waitgroup_done(&pair->met);
    return weir_waitgroup_wait(&pair->met);
}

static void go_and_meet(void *arg)
{
    struct pair *pair = arg;
    for (int i = 0; i < 2; i++) {
        int err = weir_errgroup_go(pair->group, meet, pair);
        check(err == 0);
    }
}

static void limit_against_go(void)
{
    struct pair *pair = make(sizeof *pair);
    pair->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2));
    int err = weir_errgroup_new(&pair->group, pair->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    check(err == 0);
    weir_waitgroup_add(&pair->met, 2);
    explore_begin();
    struct vthread *second = start(go_and_meet, pair);
    err = weir_errgroup_set_limit(pair->group, 2);
    check(err == 0);
    finish(second);
    err = weir_errgroup_wait(pair->group);
    check(err == 0);
    explore_end();
    weir_errgroup_free(pair->group);
    end_pool(pair->pool);
    drop(pair);
}

/* A member that adds to its own group at the limit runs the new one inline. */
static int go_from_member(weir_context *ctx, void *arg)
{
    struct pair *pair = arg;
    (void)ctx;
    return weir_errgroup_go(pair->group, count_run, &pair->runs);
}

static void member_of_a_group_at_its_limit_goes(void)
{
    struct pair *pair = make(sizeof *pair);
    pair->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    int err = weir_errgroup_new(&pair->group, pair->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    check(err == 0);
    explore_begin();
    for (unsigned lap = 1; lap <= 2; lap++) {
        err = weir_errgroup_go(pair->group, go_from_member, pair);
        check(err == 0);
        err = weir_errgroup_wait(pair->group);
        check(err == 0 && pair->runs == lap);
    }
    weir_errgroup_free(pair->group);
    explore_end();
    end_pool(pair->pool);
    drop(pair);
}

/* Observers that never block: what they see as done is done, with all that it did. */

static int fail_after_work(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(unsigned *)arg;
    return -EIO;
}

static void look_at_errors(void)
{
    struct pair *pair = make(sizeof *pair);
    pair->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    int err = weir_errgroup_new(&pair->group, pair->pool, NULL, NULL);
    check(err == 0);
    explore_begin();
    err = weir_errgroup_go(pair->group, fail_after_work, &pair->runs);
    check(err == 0);
    int code;
    while (weir_errgroup_errors(pair->group, &code, 1) == 0)
        give_way("a group without errors");
    check(code == -EIO && pair->runs == 1);
    while ((err = weir_errgroup_try_wait(pair->group)) == -EAGAIN)
        give_way("a live group");
    check(err == -EIO);
    weir_errgroup_free(pair->group);
    explore_end();
    end_pool(pair->pool);
    drop(pair);
}

static void look_at_the_first_error(void)
{
    struct pair *pair = make(sizeof *pair);
    pair->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    int err = weir_errgroup_new(&pair->group, pair->pool, NULL, NULL);
    check(err == 0);
    explore_begin();
    err = weir_errgroup_go(pair->group, fail_after_work, &pair->runs);
    check(err == 0);
    int code = 0;
    do {
        give_way("a group without errors");
        (void)weir_errgroup_errors(pair->group, &code, 1);
    } while (code == 0);
    check(code == -EIO && pair->runs == 1);
    explore_end();
    weir_errgroup_free(pair->group);
    end_pool(pair->pool);
    drop(pair);
}

static void look_at_a_waitgroup(void)
{
    struct nest *nest = make(sizeof *nest);
    nest->wg = make(sizeof *nest->wg);
    nest->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    count_laps(nest->pool);
    explore_begin();
    for (unsigned lap = 1; lap <= 4; lap++) {
        int err = weir_waitgroup_go(nest->wg, nest->pool, count_run, &nest->inner[0]);
        check(err == 0);
        while ((err = weir_waitgroup_try_wait(nest->wg)) == -EAGAIN)
            give_way("a live waitgroup");
        check(err == 0 && nest->inner[0] == lap);
    }
    drop(nest->wg);
    explore_end();
    end_pool(nest->pool);
    drop(nest);
}

/* Tasks of two pools in one waitgroup, with help from outside; and one that it cannot count. */
static void waitgroup_of_two_pools(void)
{
    struct nest *nest = make(sizeof *nest);
    weir_waitgroup full = WEIR_WAITGROUP_INIT;
    nest->wg = make(sizeof *nest->wg);
    nest->pool =
        new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .outside_waiters_help = 1));
    weir_pool *other = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    explore_begin();
    for (unsigned lap = 1; lap <= 2; lap++) {
        int err = weir_waitgroup_go(nest->wg, nest->pool, count_run, &nest->inner[0]);
        check(err == 0);
        err = weir_waitgroup_go(nest->wg, other, count_run, &nest->inner[1]);
        check(err == 0);
        err = weir_waitgroup_wait(nest->wg);
        check(err == 0 && nest->inner[0] == lap && nest->inner[1] == lap);
    }
    drop(nest->wg);
    weir_waitgroup_add(&full, INT32_MAX);
    int err = weir_waitgroup_go(&full, nest->pool, count_run, &nest->outer);
    check(err == -EOVERFLOW);
    explore_end();
    end_pool(other);
    end_pool(nest->pool);
    check(nest->outer == 0);
    drop(nest);
}

const struct scenario group_scenarios[] = {
    {"a look at a waitgroup", look_at_a_waitgroup, false},
    {"a waitgroup of two pools", waitgroup_of_two_pools, false},
    {"errgroup: a look at the errors", look_at_errors, false},
    {"errgroup: a look at the first error", look_at_the_first_error, false},
    {"errgroup: limit against go", limit_against_go, false},
    {"errgroup: a member goes at the limit", member_of_a_group_at_its_limit_goes, false},
    {"a waitgroup is freed after its wait", waitgroup_is_freed_after_wait, false},
    {"a waitgroup is used again", waitgroup_is_used_again, false},
    {"a waitgroup's help on one worker", help_on_one_worker, false},
    {"a waitgroup's help against pop", help_against_pop, false},
    {"a waitgroup's help in a full pool", help_in_a_full_pool, false},
    {"a waitgroup's help beside strangers, one worker", help_beside_strangers_on_one_worker, false},
    {"a waitgroup's help beside strangers, two workers", help_beside_strangers_on_two_workers,
     false},
    {"a waitgroup's help from outside", outside_waiter_helps, false},
    {"a waitgroup's help from outside, beside a busy worker", outside_waiter_helps_another, false},
    {"a waitgroup's help for two that go", help_for_two_that_go, false},
    {"a waitgroup goes to another pool", waitgroup_goes_to_another_pool, false},
    {"errgroup: error against go, limit 1", error_against_go_with_limit_one, false},
    {"errgroup: error against go, full pool", error_against_go_in_a_full_pool, false},
    {"errgroup: a wait against stop", errgroup_wait_against_stop, false},
    {"errgroup: members one by one", errgroup_members_one_by_one, false},
    {"errgroup: limit 1 on one worker", member_limit_on_a_worker, false},
    {0},
};
