/* SPDX-License-Identifier: MIT */
/* eventcount.c - sleepers on an event count, by themselves: a thread that finds the queue empty and
 * sleeps is woken by one that fills it, whatever else happens.
 */
#include "scenario.h"

#include "ring/index_ring.h"
#include "wait/eventcount.h"

enum { SOON = 1000 };

struct bench {
    struct eventcount ec;
    struct ring ring;
    ring_word words[2];
};

static struct bench *new_bench(void)
{
    struct bench *bench = make(sizeof *bench);
    weir__eventcount_init(&bench->ec);
    ring_init(&bench->ring, bench->words, 2, 0);
    return bench;
}

static void end_bench(struct bench *bench)
{
    check((uint32_t)load_seqcst(&bench->ec.sleepers) == 0);
    check(load_seqcst(&bench->ec.timed) == 0);
    check(ring_count(&bench->ring) == 0);
    weir__eventcount_destroy(&bench->ec);
    drop(bench);
}

static void give(struct bench *bench)
{
    uint64_t position;
    check(ring_push(&bench->ring, 7, &position));
    eventcount_notify(&bench->ec);
}

/* As a submitter that waits for room: a woken thread wakes the next. */
static void take_or_sleep(struct bench *bench, bool woken)
{
    uint64_t position;
    uint32_t item;
    for (;;) {
        uint32_t key = eventcount_prepare(&bench->ec);
        if (ring_pop(&bench->ring, &position, &item))
            break;
        woken |= weir__eventcount_sleep(&bench->ec, key, WEIR_FOREVER) == 0;
    }
    eventcount_cancel(&bench->ec);
    check(item == 7);
    if (woken && (eventcount_has_sleepers(&bench->ec) || eventcount_has_timed(&bench->ec)))
        weir__eventcount_wake(&bench->ec);
}

static void take(void *arg)
{
    take_or_sleep(arg, false);
}

static void wait_timed_and_take(void *arg)
{
    struct bench *bench = arg;
    uint32_t key = eventcount_prepare_timed(&bench->ec);
    take_or_sleep(bench, weir__eventcount_sleep_timed(&bench->ec, key, SOON) == 0);
}

static void two_sleepers_two_changes(void)
{
    struct bench *bench = new_bench();
    loads_may_be_late();
    explore_begin();
    struct vthread *a = start(take, bench), *b = start(take, bench);
    give(bench);
    give(bench);
    finish(a);
    finish(b);
    explore_end();
    end_bench(bench);
}

/* A wake for the sleeper may reach the timed wait. */
static void a_sleeper_and_a_timed_wait(void)
{
    struct bench *bench = new_bench();
    loads_may_be_late();
    explore_begin();
    instant(SOON);
    struct vthread *a = start(wait_timed_and_take, bench), *b = start(take, bench);
    give(bench);
    give(bench);
    finish(a);
    finish(b);
    explore_end();
    end_bench(bench);
}

/* Even if a timed wait had no end, a thread that looks for one would not miss it. */
static void wait_timed_until_there_is_something(void *arg)
{
    struct bench *bench = arg;
    uint64_t position;
    uint32_t item;
    for (;;) {
        uint32_t key = eventcount_prepare_timed(&bench->ec);
        if (ring_pop(&bench->ring, &position, &item))
            break;
        (void)weir__eventcount_sleep_timed(&bench->ec, key, WEIR_FOREVER);
    }
    eventcount_cancel_timed(&bench->ec);
}

static void give_to_a_timed_wait(struct bench *bench)
{
    uint64_t position;
    check(ring_push(&bench->ring, 7, &position));
    if (eventcount_has_timed(&bench->ec))
        weir__eventcount_wake_another(&bench->ec);
}

static void a_timed_wait_without_end(void)
{
    struct bench *bench = new_bench();
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(wait_timed_until_there_is_something, bench);
    give_to_a_timed_wait(bench);
    finish(other);
    other = start(wait_timed_until_there_is_something, bench);
    give_to_a_timed_wait(bench);
    finish(other);
    explore_end();
    end_bench(bench);
}

/* One gives up at its deadline, just as it is woken: the wake is not lost. */
static void take_or_give_up(void *arg)
{
    struct bench *bench = arg;
    uint64_t position;
    uint32_t item;
    uint32_t key = eventcount_prepare(&bench->ec);
    if (ring_pop(&bench->ring, &position, &item)) {
        eventcount_cancel(&bench->ec);
        give(bench); /* for the other */
        return;
    }
    if (weir__eventcount_sleep(&bench->ec, key, SOON) == 0)
        eventcount_notify(&bench->ec);
}

static void a_sleeper_and_one_that_gives_up(void)
{
    struct bench *bench = new_bench();
    loads_may_be_late();
    explore_begin();
    instant(SOON);
    struct vthread *a = start(take_or_give_up, bench), *b = start(take, bench);
    give(bench);
    finish(a);
    finish(b);
    explore_end();
    end_bench(bench);
}

/* As a worker (pool/worker.c) whose first job never returns: nobody else has to wait for that. */
static void work(void *arg)
{
    struct bench *bench = arg;
    uint64_t position;
    uint32_t item;
    bool woken = false;
    while (!ring_pop(&bench->ring, &position, &item)) {
        uint32_t key = eventcount_prepare(&bench->ec);
        if (ring_peek(&bench->ring, &position, &item))
            eventcount_cancel(&bench->ec);
        else
            woken = weir__eventcount_sleep(&bench->ec, key, WEIR_FOREVER) == 0;
    }
    if (woken && ring_peek(&bench->ring, &position, &item))
        eventcount_notify(&bench->ec);
}

static void two_workers_two_jobs(void)
{
    struct bench *bench = new_bench();
    loads_may_be_late();
    explore_begin();
    struct vthread *a = start(work, bench), *b = start(work, bench);
    give(bench);
    give(bench);
    finish(a);
    finish(b);
    explore_end();
    end_bench(bench);
}

static void give_one(void *arg)
{
    give(arg);
}

static void two_workers_two_submitters(void)
{
    struct bench *bench = new_bench();
    loads_may_be_late();
    explore_begin();
    struct vthread *a = start(work, bench), *b = start(work, bench), *c = start(give_one, bench);
    give(bench);
    finish(a);
    finish(b);
    finish(c);
    explore_end();
    end_bench(bench);
}

const struct scenario eventcount_scenarios[] = {
    {"event count: two sleepers, two changes", two_sleepers_two_changes, false},
    {"event count: a sleeper and a timed wait", a_sleeper_and_a_timed_wait, false},
    {"event count: a timed wait without end", a_timed_wait_without_end, false},
    {"event count: a sleeper and one that gives up", a_sleeper_and_one_that_gives_up, false},
    {"event count: two workers, two jobs", two_workers_two_jobs, false},
    {"event count: two workers, two submitters", two_workers_two_submitters, false},
    {0},
};
