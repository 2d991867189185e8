/* SPDX-License-Identifier: MIT */
/* quiet.c - work in, work out, by themselves: a waiter returns when all work is through, sees what
 * was done, and may free everything.
 */
#include "scenario.h"

#include "pool/quiet.h"

struct yard {
    struct quiet quiet;
    struct ring ring;
    ring_word words[2];
    struct tally worker;
    atomic(int) closed;
    unsigned done; /* plain: a waiter that comes too early is a race */
};

static struct yard *new_yard(void)
{
    struct yard *yard = make(sizeof *yard);
    ring_init(&yard->ring, yard->words, 2, 0);
    yard->quiet.rings[yard->quiet.ring_count++] = &yard->ring;
    yard->quiet.tallies.of_workers = &yard->worker;
    yard->quiet.tallies.workers = 1;
    return yard;
}

static void push(struct yard *yard)
{
    uint64_t position;
    check(ring_push(&yard->ring, 1, &position));
}

/* A worker: does what is queued, and parks. */
static void work_off(void *arg)
{
    struct yard *yard = arg;
    uint64_t position;
    uint32_t item;
    while (ring_pop(&yard->ring, &position, &item)) {
        yard->done++;
        quiet_out(&yard->quiet, &yard->worker);
    }
    weir__quiet_idle(&yard->quiet);
}

static void wait_and_free(struct yard *yard, unsigned done)
{
    int err = weir__quiet_wait(TELL_NOTHING, &yard->quiet, NULL, WEIR_FOREVER);
    check(err == 0 && yard->done == done);
    drop(yard);
}

static void a_worker_against_a_wait(void)
{
    struct yard *yard = new_yard();
    push(yard);
    push(yard);
    explore_begin();
    struct vthread *worker = start(work_off, yard);
    int err = weir__quiet_wait(TELL_NOTHING, &yard->quiet, NULL, WEIR_FOREVER);
    check(err == 0 && yard->done == 2);
    finish(worker); /* a pool joins its workers before it goes */
    explore_end();
    drop(yard);
}

/* A thread outside has work that is in no ring; its last access is quiet_out. */
static void work_outside(void *arg)
{
    struct yard *yard = arg;
    yard->done++;
    quiet_out(&yard->quiet, NULL);
}

static void a_thread_outside_against_a_wait(void)
{
    struct yard *yard = new_yard();
    quiet_in(&yard->quiet, NULL);
    explore_begin();
    struct vthread *outside = start(work_outside, yard);
    wait_and_free(yard, 1);
    finish(outside);
    explore_end();
}

/* Work that makes work: the second is in before the first is out. */
static void make_more(void *arg)
{
    struct yard *yard = arg;
    push(yard);
    quiet_out(&yard->quiet, NULL);
}

static void wait_for_one(void *arg)
{
    struct yard *yard = arg;
    int err = weir__quiet_wait(TELL_NOTHING, &yard->quiet, NULL, WEIR_FOREVER);
    check(err == 0 && yard->done == 1);
}

static void work_that_makes_work(void)
{
    struct yard *yard = new_yard();
    quiet_in(&yard->quiet, NULL);
    explore_begin();
    struct vthread *outside = start(make_more, yard);
    struct vthread *waiter = start(wait_for_one, yard);
    finish(outside);
    work_off(yard);
    finish(waiter);
    explore_end();
    drop(yard);
}

static void stop(void *arg)
{
    struct yard *yard = arg;
    weir__quiet_stop(&yard->quiet);
}

static void stop_ends_a_wait(void)
{
    struct yard *yard = new_yard();
    quiet_in(&yard->quiet, NULL); /* of a job that is being refused */
    explore_begin();
    struct vthread *stopper = start(stop, yard);
    int err = weir__quiet_wait(TELL_NOTHING, &yard->quiet, NULL, WEIR_FOREVER);
    check(err == 0);
    finish(stopper);
    explore_end();
    drop(yard);
}

/* A thread outside that runs its work inline is in before it looks whether it may; shutdown closes
 * before it looks who is in. If the work was begun, the look waits for it. */
static void run_inline(void *arg)
{
    struct yard *yard = arg;
    quiet_in(&yard->quiet, NULL);
    if (load_seqcst(&yard->closed) == 0)
        yard->done++;
    quiet_out(&yard->quiet, NULL);
}

static void work_inline_against_a_close(void)
{
    struct yard *yard = new_yard();
    explore_begin();
    struct vthread *outside = start(run_inline, yard);
    (void)xchg_seqcst(&yard->closed, 1);
    int err = weir__quiet_wait(TELL_NOTHING, &yard->quiet, NULL, WEIR_FOREVER);
    check(err == 0 && yard->done <= 1);
    finish(outside);
    explore_end();
    drop(yard);
}

const struct scenario quiet_scenarios[] = {
    {"quiet: a worker against a wait", a_worker_against_a_wait, false},
    {"quiet: a thread outside against a wait", a_thread_outside_against_a_wait, false},
    {"quiet: work that makes work", work_that_makes_work, false},
    {"quiet: stop ends a wait", stop_ends_a_wait, false},
    {"quiet: work inline against a close", work_inline_against_a_close, false},
    {0},
};
