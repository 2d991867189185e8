/* SPDX-License-Identifier: MIT */
/* watchdog.c - what takes too long is told once, and once over, however ticks and tasks meet. */
#include "scenario.h"

enum { LIMIT = 1000, SHORT = 300, LATE = 5000, FAR = 1000000 };

struct work {
    weir_pool *pool;
    weir_task tasks[2];
    unsigned told, over, long_over; /* plain: on the clock's thread, and read after it was joined */
};

static void note(const weir_stuck *what, void *user)
{
    struct work *work = user;
    check(what->pool != NULL && what->reason == WEIR_STUCK_RUNNING);
    if (what->recovered) {
        work->over++;
        work->long_over += what->ns >= LATE;
    } else {
        work->told++;
    }
    check(work->over <= work->told);
}

static struct work *new_work(unsigned workers, int64_t stuck_after)
{
    struct work *work = make(sizeof *work);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = 2, .stuck_after = stuck_after,
                                   .on_stuck = note, .user = work));
    return work;
}

static int take_long(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return weir_sleep_until(NULL, weir_now() + LATE);
}

static int take_no_time(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void submit(struct work *work, size_t i, weir_task_fn *fn, int64_t stuck_after)
{
    int err = weir_pool_submit_task(work->pool, &work->tasks[i], fn, work,
                                    WEIR_TASK_OPTIONS(.stuck_after = stuck_after));
    check(err == 0);
}

static void wait_for(struct work *work, size_t i)
{
    int err = weir_task_wait(&work->tasks[i]);
    check(err == 0);
}

static void end_work(struct work *work, unsigned told)
{
    weir_pool_free(work->pool);
    explore_end();
    check(work->told == told && work->over == told);
    drop(work);
}

static void a_late_task_is_told_once_and_once_over(void)
{
    struct work *work = new_work(1, LIMIT);
    explore_begin();
    submit(work, 0, take_long, 0);
    wait_for(work, 0);
    end_work(work, 1);
}

/* The worker parks in between: the watchdog may have gone, or be about to. */
static void a_late_task_after_a_park_is_told(void)
{
    struct work *work = new_work(1, LIMIT);
    explore_begin();
    submit(work, 0, take_no_time, 0);
    wait_for(work, 0);
    int err = weir_sleep_until(NULL, weir_now() + LIMIT); /* a tick is due about now */
    check(err == 0);
    submit(work, 1, take_long, 0);
    wait_for(work, 1);
    end_work(work, 1);
}

/* With a tick that is far off, or none, or one that is just at work. */
static void a_time_of_its_own_against_a_tick(void)
{
    struct work *work = new_work(2, FAR);
    explore_begin();
    submit(work, 0, take_long, SHORT);
    submit(work, 1, take_long, LIMIT);
    wait_for(work, 0);
    wait_for(work, 1);
    end_work(work, 2);
}

static void times_of_their_own_without_one_of_the_pool(void)
{
    struct work *work = new_work(2, 0);
    explore_begin();
    submit(work, 0, take_long, SHORT);
    submit(work, 1, take_long, LIMIT);
    wait_for(work, 0);
    wait_for(work, 1);
    end_work(work, 2);
}

static int take_a_short_time(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return weir_sleep_until(NULL, weir_now() + SHORT);
}

/* The tick that is due finds nothing that it must come back for, unless it sees the second. */
static void a_time_of_its_own_against_the_last_tick(void)
{
    struct work *work = new_work(2, 0);
    explore_begin();
    submit(work, 0, take_a_short_time, SHORT);
    int err = weir_sleep_until(NULL, weir_now() + SHORT);
    check(err == 0);
    submit(work, 1, take_long, SHORT);
    wait_for(work, 0);
    wait_for(work, 1);
    weir_pool_free(work->pool);
    explore_end();
    check(work->long_over == 1 && work->over == work->told);
    drop(work);
}

/* It ends at the very time at which it is late: it may be told, but then also that it is over. */
static int take_as_long_as_it_may(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return weir_sleep_until(NULL, weir_now() + LIMIT);
}

static void an_end_against_a_tick(void)
{
    struct work *work = new_work(1, LIMIT);
    explore_begin();
    submit(work, 0, take_as_long_as_it_may, 0);
    wait_for(work, 0);
    weir_pool_free(work->pool);
    explore_end();
    check(work->told <= 1 && work->over == work->told);
    drop(work);
}

static void free_a_pool(void *arg)
{
    weir_pool_free(((struct work *)arg)->pool);
}

/* Free is called while the task runs, and waits for it. */
static void an_end_against_free(void)
{
    struct work *work = new_work(1, LIMIT);
    explore_begin();
    int err = weir_pool_submit(work->pool, take_long, work);
    check(err == 0);
    struct vthread *other = start(free_a_pool, work);
    finish(other);
    explore_end();
    check(work->told <= 1 && work->over == work->told); /* it may never have started */
    drop(work);
}

const struct scenario watchdog_scenarios[] = {
    {"watchdog: a late task is told once and once over", a_late_task_is_told_once_and_once_over,
     false},
    {"watchdog: a late task after a park is told", a_late_task_after_a_park_is_told, false},
    {"watchdog: a time of its own against a tick", a_time_of_its_own_against_a_tick, false},
    {"watchdog: times of their own without one of the pool",
     times_of_their_own_without_one_of_the_pool, false},
    {"watchdog: a time of its own against the last tick", a_time_of_its_own_against_the_last_tick,
     false},
    {"watchdog: an end against a tick", an_end_against_a_tick, false},
    {"watchdog: an end against free", an_end_against_free, false},
    {0},
};
