/* SPDX-License-Identifier: MIT */
/* size.c - pools that grow and shrink: against shutdown, submits, and each other. */
#include "scenario.h"

#include "pool/pool.h"

enum { IDLE = 2000000, LONG = 40000000 };

struct work {
    weir_pool *pool;
    unsigned runs[3];
    weir_waitgroup gate, first;
    weir_task task;
    atomic(uint32_t) grows;
};

static struct work *new_work(unsigned workers, unsigned most)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .workers_max = most, .capacity = 4,
                                            .idle_timeout = IDLE));
    return work;
}

static void end_work(struct work *work)
{
    end_pool(work->pool);
    drop(work);
}

static void submit(struct work *work, unsigned i)
{
    int err = weir_pool_submit(work->pool, count_run, &work->runs[i]);
    check(err == 0);
}

static int grow(const weir_growth *growth, void *user)
{
    const struct work *work = user;
    return load_rlx(&work->grows) != 0 && growth->queued > 0;
}

static void resize(struct work *work, unsigned workers)
{
    int err = weir_pool_resize(work->pool, workers);
    check(err == 0 || err == -EPIPE);
}

static void sleep_for(int64_t time)
{
    int err = weir_sleep_until(NULL, weir_after(time));
    check(err == 0);
}

static void resize_to_one(void *arg)
{
    resize(arg, 1);
}

static void resize_to_two(void *arg)
{
    resize(arg, 2);
}

static void resize_to_three(void *arg)
{
    resize(arg, 3);
}

static void growth_against_shutdown(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    struct vthread *other = start(resize_to_two, work);
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    finish(other);
    explore_end();
    check_counts(work->pool);
    weir_pool_free(work->pool);
    drop(work);
}

static void shrinkage_against_shutdown(void)
{
    struct work *work = new_work(2, 2);
    explore_begin();
    submit(work, 0);
    struct vthread *other = start(resize_to_one, work);
    int err = weir_pool_shutdown(work->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    finish(other);
    explore_end();
    check_counts(work->pool);
    check(work->runs[0] == 1);
    weir_pool_free(work->pool);
    drop(work);
}

/* Each size is right in the end, and each task runs. */
static void two_resizes(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    struct vthread *other = start(resize_to_two, work);
    resize(work, 1);
    submit(work, 0);
    finish(other);
    resize(work, 2);
    submit(work, 1);
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    sleep_for(LONG); /* one that could not be started is tried again */
    explore_end();
    check(work->runs[0] == 1 && work->runs[1] == 1);
    check(weir_pool_workers(work->pool) == 2);
    end_work(work);
}

/* A task that keeps its worker, in a way that weir does not know of. */
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

static struct work *new_busy_work(void)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = 4,
                                   .idle_timeout = IDLE, .growth_rule = grow, .user = work));
    weir_waitgroup_add(&work->gate, 1);
    int err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    settle();
    return work;
}

/* A right that outlives its worker would bring another one, for which the rule was not asked. */
static bool rights_have_workers(const weir_pool *pool)
{
    uint64_t word = size_word(pool->crew.size);
    return size_count(word, SIZE_RIGHTS) <= size_count(word, SIZE_ALIVE);
}

/* The worker that was added leaves, since its time has come, and its right with it. If neither has
 * when the job is queued, it runs it: nobody else will. */
static void a_worker_leaves_against_submit(void)
{
    struct work *work = new_busy_work();
    store_rlx(&work->grows, 1);
    submit(work, 1);
    while (weir_pool_workers(work->pool) == 1)
        sleep_for(IDLE / 8);
    store_rlx(&work->grows, 0);
    sleep_for(IDLE);
    explore_begin();
    instant(weir_after(2 * IDLE));
    submit(work, 0);
    uint64_t word = size_word(work->pool->crew.size);
    bool there = size_has_right(word) && size_has_idle(word);
    settle();
    explore_end();
    check(weir_pool_queued(work->pool) == 0 || !there);
    check(rights_have_workers(work->pool));
    store_rlx(&work->grows, 1); /* if it has left, one comes for the job, without another submit */
    sleep_for(LONG);
    check(weir_pool_queued(work->pool) == 0);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

/* One leaves when its time has come, or a job. */
static void an_idle_worker_leaves_against_submit(void)
{
    struct work *work = new_work(1, 2);
    resize(work, 2);
    settle();
    int err = weir_pool_resize(work->pool, 1);
    check(err == 0);
    explore_begin();
    submit(work, 0);
    submit(work, 1);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    settle();
    explore_end();
    check(work->runs[0] == 1 && work->runs[1] == 1);
    check(weir_pool_workers(work->pool) == 1);
    end_work(work);
}

/* By the manager alone: there is no free worker, and no other submit. */
static void growth_while_nothing_starts(void)
{
    struct work *work = new_busy_work();
    store_rlx(&work->grows, 1);
    explore_begin();
    for (unsigned i = 0; i < 3; i++)
        submit(work, i);
    sleep_for(LONG);
    explore_end();
    check(weir_pool_queued(work->pool) == 0);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

/* The manager finds nothing to do, just as the last free worker takes a job and another comes. */
static void the_manager_rests_against_the_last_free_worker(void)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = 4,
                                   .idle_timeout = IDLE, .growth_rule = grow, .user = work));
    weir_waitgroup_add(&work->gate, 1);
    store_rlx(&work->grows, 1);
    explore_begin();
    int err = weir_pool_resize(work->pool, 1); /* so that it looks */
    check(err == 0);
    err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    submit(work, 1);
    sleep_for(LONG);
    explore_end();
    check(weir_pool_queued(work->pool) == 0);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

/* The same once it has watched a stall, which is over: until it says that it rests it is not called
 * for another. */
static void the_manager_rests_after_a_stall(void)
{
    struct work *work = new_busy_work();
    submit(work, 0);
    settle();
    weir_waitgroup_done(&work->gate);
    settle();
    weir_waitgroup_add(&work->gate, 1);
    store_rlx(&work->grows, 1);
    explore_begin();
    instant(weir_after(SIZE_LOOK_NS));
    int err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    submit(work, 1);
    sleep_for(LONG);
    explore_end();
    check(weir_pool_queued(work->pool) == 0);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

/* Blocking. */

static int block_and_count(weir_context *ctx, void *arg)
{
    weir_blocking_begin();
    weir_blocking_end();
    return count_run(ctx, arg);
}

static int block_at_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_blocking_begin();
    wait_at_gate(arg);
    weir_blocking_end();
    return 0;
}

/* It gives the right away that the job needs, at once. */
static void a_begin_against_submit(void)
{
    struct work *work = new_work(1, 2);
    weir_waitgroup_add(&work->gate, 1);
    explore_begin();
    int err = weir_pool_submit(work->pool, block_at_gate, work);
    check(err == 0);
    submit(work, 0);
    settle();
    explore_end();
    check(weir_pool_queued(work->pool) == 0);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

/* What runs behind the end has the only right: it is never two. */
static void two_ends(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    for (unsigned i = 0; i < 2; i++) {
        int err = weir_pool_submit(work->pool, block_and_count, &work->runs[0]);
        check(err == 0);
    }
    int err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(work->runs[0] == 2);
    end_work(work);
}

static int wait_for_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(&((struct work *)arg)->task);
}

/* The one that has the only right sleeps until the other has ended, which waits for the right. */
static void an_end_against_a_sleeping_worker(void)
{
    struct work *work = new_work(1, 2);
    explore_begin();
    int err = weir_pool_submit_task(work->pool, &work->task, block_and_count, &work->runs[0], NULL);
    check(err == 0);
    err = weir_pool_submit(work->pool, wait_for_task, work);
    check(err == 0);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(work->runs[0] == 1);
    end_work(work);
}

/* Two workers, of which the one that was added leaves when its time has come. */
static void a_begin_against_an_idle_worker_that_leaves(void)
{
    struct work *work = new_work(1, 2);
    int err = weir_pool_submit(work->pool, block_and_count, &work->runs[0]);
    check(err == 0);
    sleep_for(IDLE);
    explore_begin();
    sleep_for(IDLE);
    err = weir_pool_submit(work->pool, block_and_count, &work->runs[1]);
    check(err == 0);
    submit(work, 2);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    explore_end();
    check(work->runs[1] == 1 && work->runs[2] == 1);
    end_work(work);
}

/* One of two workers is busy with the only right, the other sleeps for one; or is about to. */
static void one_more_right_for_a_spare_worker(void)
{
    struct work *work = new_work(1, 2);
    int err = weir_pool_submit(work->pool, block_and_count, &work->runs[0]);
    check(err == 0);
    err = weir_pool_drain(work->pool);
    check(err == 0);
    weir_waitgroup_add(&work->gate, 1);
    err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    settle();
    explore_begin();
    submit(work, 1);
    resize(work, 2);
    settle();
    explore_end();
    check(weir_pool_queued(work->pool) == 0);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

/* Tasks that block until they are told, each in its own way. */
struct blocker {
    weir_waitgroup gate;
    unsigned runs;
};

static int block_until_told(weir_context *ctx, void *arg)
{
    struct blocker *blocker = arg;
    weir_blocking_begin();
    int err = weir_waitgroup_wait(&blocker->gate);
    weir_blocking_end();
    return err != 0 ? err : count_run(ctx, &blocker->runs);
}

enum { BLOCKERS = 3 };

/* `BLOCKERS` workers block, and there is one right. */
static weir_pool *new_blocked_pool(struct blocker *blockers)
{
    weir_pool *pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = BLOCKERS + 1, .capacity = 4));
    for (unsigned i = 0; i < BLOCKERS; i++) {
        weir_waitgroup_add(&blockers[i].gate, 1);
        int err = weir_pool_submit(pool, block_until_told, &blockers[i]);
        check(err == 0);
        settle();
    }
    return pool;
}

/* A worker keeps the only right, and two wait for it in their ends. More come at once: each that
 * waits gets one, without anything else that happens. */
static void two_ends_against_more_rights(void)
{
    struct blocker *blockers = make(BLOCKERS * sizeof *blockers);
    struct work *work = make(sizeof *work);
    weir_waitgroup_add(&work->gate, 1);
    work->pool = new_blocked_pool(blockers);
    weir_waitgroup_done(&blockers[2].gate);
    settle();
    int err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *other = start(resize_to_three, work);
    weir_waitgroup_done(&blockers[0].gate);
    weir_waitgroup_done(&blockers[1].gate);
    finish(other);
    settle();
    explore_end();
    check(blockers[0].runs == 1 && blockers[1].runs == 1);
    weir_waitgroup_done(&work->gate);
    end_work(work);
    drop(blockers);
}

/* The same for one that waits, and a worker that is idle. */
static void an_end_and_a_job_against_more_rights(void)
{
    struct blocker *blockers = make(BLOCKERS * sizeof *blockers);
    struct work *work = make(sizeof *work);
    weir_waitgroup_add(&work->gate, 1);
    work->pool = new_blocked_pool(blockers);
    for (unsigned i = 1; i < BLOCKERS; i++) {
        weir_waitgroup_done(&blockers[i].gate);
        settle();
    }
    int err = weir_pool_submit(work->pool, keep_worker, work);
    check(err == 0);
    settle();
    weir_waitgroup_done(&blockers[0].gate);
    settle();
    explore_begin();
    struct vthread *other = start(resize_to_three, work);
    submit(work, 0);
    finish(other);
    settle();
    explore_end();
    check(blockers[0].runs == 1 && work->runs[0] == 1);
    weir_waitgroup_done(&work->gate);
    end_work(work);
    drop(blockers);
}

/* A wait of weir's is over, and its task keeps the worker: it was the last one that could take the
 * job that is queued just then. */
static int wait_and_keep_worker(weir_context *ctx, void *arg)
{
    struct work *work = arg;
    int err = weir_waitgroup_wait(&work->first);
    check(err == 0);
    return keep_worker(ctx, work);
}

static void the_end_of_a_wait_against_submit(void)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 2, .capacity = 4,
                                            .growth_rule = grow, .user = work));
    weir_waitgroup_add(&work->gate, 1);
    weir_waitgroup_add(&work->first, 1);
    store_rlx(&work->grows, 1);
    int err = weir_pool_submit(work->pool, wait_and_keep_worker, work);
    check(err == 0);
    settle();
    explore_begin();
    weir_waitgroup_done(&work->first);
    submit(work, 0);
    sleep_for(LONG);
    explore_end();
    check(work->runs[0] == 1);
    weir_waitgroup_done(&work->gate);
    end_work(work);
}

const struct scenario size_scenarios[] = {
    {"size: growth against shutdown", growth_against_shutdown, false},
    {"size: shrinkage against shutdown", shrinkage_against_shutdown, false},
    {"size: two resizes", two_resizes, false},
    {"size: a worker leaves against submit", a_worker_leaves_against_submit, false},
    {"size: an idle worker leaves against submit", an_idle_worker_leaves_against_submit, false},
    {"size: growth while nothing starts", growth_while_nothing_starts, false},
    {"size: the manager rests against the last free worker",
     the_manager_rests_against_the_last_free_worker, false},
    {"size: the manager rests after a stall", the_manager_rests_after_a_stall, false},
    {"size: a begin against submit", a_begin_against_submit, false},
    {"size: two ends", two_ends, false},
    {"size: one more right for a spare worker", one_more_right_for_a_spare_worker, false},
    {"size: an end against a sleeping worker", an_end_against_a_sleeping_worker, false},
    {"size: a begin against an idle worker that leaves", a_begin_against_an_idle_worker_that_leaves,
     false},
    {"size: two ends against more rights", two_ends_against_more_rights, false},
    {"size: an end and a job against more rights", an_end_and_a_job_against_more_rights, false},
    {"size: the end of a wait against submit", the_end_of_a_wait_against_submit, false},
    {0},
};
