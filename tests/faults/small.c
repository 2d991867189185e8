/* SPDX-License-Identifier: MIT */
/* small.c - as little of everything as possible: one CPU, one worker, one place in the queue, under
 * every overflow policy; and a waiter may not keep the CPU from the thread that it waits for.
 */
#include "support/suite.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

#include "support/covered.h"
#include "support/gate.h"
#include "support/threads.h"
#include "weir.h"

/* The calling thread, and all that it starts from now on, have one CPU. */
static void have_one_cpu(void)
{
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &set))
        first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    ck_assert_int_eq(sched_setaffinity(0, sizeof set, &set), 0);
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    ck_assert_int_eq(CPU_COUNT(&set), 1);
}

START_TEST(a_pool_on_one_cpu_has_one_worker_unless_it_is_given_more)
{
    have_one_cpu();
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, NULL), 0);
    ck_assert_uint_eq(weir_pool_workers(pool), 1);
    weir_pool_free(pool);
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 7)), 0);
    ck_assert_uint_eq(weir_pool_workers(pool), 7);
    weir_pool_free(pool);
}
END_TEST

enum { PRODUCERS = 3, ROUNDS = 300 };

struct traffic {
    weir_pool *pool;
    weir_errgroup *group;
    weir_overflow overflow;
    atomic_ullong accepted, refused, ran, dropped, told;
};

static int run(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add(&((struct traffic *)arg)->ran, 1);
    return 0;
}

static void drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)why;
    (void)user;
    atomic_fetch_add(&((struct traffic *)arg)->dropped, 1);
}

static void tell(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    atomic_fetch_add(&((struct traffic *)arg)->told, 1);
}

/* Counts what a submit said; false: it may not say that. */
static bool noted(struct traffic *self, int err)
{
    atomic_fetch_add(err == 0 ? &self->accepted : &self->refused, 1);
    return err == 0 || (err == -EAGAIN && self->overflow == WEIR_OVERFLOW_REJECT);
}

/* A task that submits to its own pool and waits for it, with one worker and one place. */
static int nest(weir_context *ctx, void *arg)
{
    struct traffic *self = arg;
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    bool well = true;
    for (int i = 0; i < 3; i++)
        well = noted(self, weir_waitgroup_go(&wg, self->pool, run, self)) && well;
    int err =
        weir_pool_submit_task(self->pool, &task, run, self, WEIR_TASK_OPTIONS(.on_done = tell));
    well = noted(self, err) && well;
    if (err == 0)
        well = weir_task_wait(&task) == 0 && well;
    well = weir_waitgroup_wait(&wg) == 0 && well;
    (void)run(ctx, self);
    return well ? 0 : -EPROTO;
}

static int produce(void *arg)
{
    struct traffic *self = arg;
    /* A member that is evicted would end its group. */
    bool grouped = self->overflow != WEIR_OVERFLOW_DROP_OLDEST;
    for (int i = 0; i < ROUNDS; i++) {
        weir_task task = WEIR_TASK_INIT;
        weir_waitgroup wg = WEIR_WAITGROUP_INIT;
        if (!noted(self, weir_pool_submit(self->pool, run, self)) ||
            (grouped && !noted(self, weir_errgroup_go(self->group, run, self))) ||
            !noted(self, weir_waitgroup_go(&wg, self->pool, run, self)))
            return __LINE__;
        int err = weir_pool_submit_task(self->pool, &task, nest, self,
                                        WEIR_TASK_OPTIONS(.on_done = tell));
        if (!noted(self, err))
            return __LINE__;
        if (err == 0 && weir_task_wait_until(&task, NULL, patience()) != 0)
            return __LINE__;
        if (err == 0 && weir_task_status(&task) != 0 && weir_task_state(&task) != WEIR_TASK_DROPPED)
            return __LINE__;
        if (weir_waitgroup_wait_until(&wg, NULL, patience()) != 0)
            return __LINE__;
    }
    return 0;
}

/* Sixteen worlds: each policy, with one CPU or all of them, with waiters that help or sleep. */
enum { POLICIES = WEIR_OVERFLOW_DROP_OLDEST + 1, WORLDS = 4 * POLICIES };

START_TEST(one_worker_and_one_place_are_enough_under_every_policy)
{
    struct traffic self = {.overflow = (weir_overflow)(_i % POLICIES)};
    if ((_i / POLICIES & 1) != 0)
        have_one_cpu();
    ck_assert_int_eq(
        weir_pool_new(&self.pool,
                      WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .overflow = self.overflow,
                                        .on_drop = drop, .outside_waiters_help = _i >= 8)),
        0);
    ck_assert_int_eq(weir_errgroup_new(&self.group, self.pool, NULL, NULL), 0);
    caller producers[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        caller_start(&producers[i], produce, &self);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(caller_join(&producers[i]), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(self.group, NULL, patience()), 0);
    weir_errgroup_free(self.group);
    ck_assert_int_eq(weir_pool_drain_until(self.pool, NULL, patience()), 0);

    weir_pool_counts counts;
    weir_pool_read_counts(self.pool, &counts);
    ck_assert_uint_eq(counts.submitted, atomic_load(&self.accepted));
    ck_assert_uint_eq(counts.submitted, counts.done + counts.dropped);
    ck_assert_uint_eq(counts.done, atomic_load(&self.ran));
    ck_assert_uint_eq(counts.rejected, atomic_load(&self.refused));
    ck_assert_uint_le(counts.peak_queued, 1);
    if (self.overflow != WEIR_OVERFLOW_DROP_OLDEST)
        ck_assert_uint_eq(counts.dropped, 0);
    ck_assert_uint_le(atomic_load(&self.dropped), counts.dropped);
    weir_pool_free(self.pool);
    covered("tasks accepted by the smallest pool", (unsigned long)counts.submitted);
    covered("refused", (unsigned long)counts.rejected);
    covered("evicted", (unsigned long)counts.dropped);
}
END_TEST

/* More threads than CPUs, all of which wait for the one that has none. */
START_TEST(a_meeting_of_many_workers_takes_place_on_one_cpu)
{
    enum { WORKERS = 8, MEETINGS = 20 };
    have_one_cpu();
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS, .capacity = 1)), 0);
    meeting place = MEETING_INIT(WORKERS);
    for (int i = 0; i < MEETINGS * WORKERS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, meeting_task, &place), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_free(pool);
    covered("meetings of 8 workers on one CPU", MEETINGS);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_small");
    TCase *cpu = add_group(suite, "one-cpu");
    tcase_add_test(cpu, a_pool_on_one_cpu_has_one_worker_unless_it_is_given_more);
    tcase_add_test(cpu, a_meeting_of_many_workers_takes_place_on_one_cpu);
    TCase *one = add_group(suite, "one-place");
    tcase_add_loop_test(one, one_worker_and_one_place_are_enough_under_every_policy, 0, WORLDS);
    return suite;
}
