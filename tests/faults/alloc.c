/* SPDX-License-Identifier: MIT */
/* alloc.c - no memory, at each allocation in turn; and no allocation where none is promised. */
#include "support/suite.h"

#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <string.h>

#include "support/covered.h"
#include "support/faults.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

enum { SWEEP_END = 100 }; /* more allocations than any constructor makes */

/* What the constructors under test are given, and what they make. */
struct fixture {
    weir_pool *pool;
    weir_context *parent;
    void *made;
};

/* Makes one object in `fixture->made`; frees it. */
struct trial {
    int (*make)(struct fixture *fixture);
    void (*drop)(struct fixture *fixture);
};

static int make_ring(struct fixture *fixture)
{
    return weir_ring_new((weir_ring **)&fixture->made, 64);
}

static void drop_ring(struct fixture *fixture)
{
    weir_ring_free(fixture->made);
}

static int make_context(struct fixture *fixture)
{
    return weir_context_new((weir_context **)&fixture->made, NULL, WEIR_FOREVER);
}

static int make_child(struct fixture *fixture)
{
    return weir_context_new((weir_context **)&fixture->made, fixture->parent, 0);
}

static int make_value(struct fixture *fixture)
{
    return weir_context_with_value((weir_context **)&fixture->made, fixture->parent, fixture,
                                   fixture);
}

static void drop_context(struct fixture *fixture)
{
    weir_context_unref(fixture->made);
}

static int make_pool(struct fixture *fixture)
{
    return weir_pool_new((weir_pool **)&fixture->made,
                         WEIR_POOL_OPTIONS(.workers = 3, .capacity = 5));
}

static int make_pool_under_context(struct fixture *fixture)
{
    return weir_pool_new((weir_pool **)&fixture->made,
                         WEIR_POOL_OPTIONS(.workers = 2, .capacity = 1000, .name = "named",
                                           .context = fixture->parent));
}

static void on_stuck(const weir_stuck *what, void *user)
{
    (void)what;
    (void)user;
}

static int make_watched_pool(struct fixture *fixture)
{
    return weir_pool_new(
        (weir_pool **)&fixture->made,
        WEIR_POOL_OPTIONS(.workers = 2, .stuck_after = 1, .on_stuck = on_stuck, .descriptors = 10));
}

static int make_pool_with_lanes(struct fixture *fixture)
{
    return weir_pool_new(
        (weir_pool **)&fixture->made,
        WEIR_POOL_OPTIONS(.workers = 2, .lanes = 3, .default_lane = WEIR_LANE(1), .capacity = 5));
}

static int make_pool_of_local_order(struct fixture *fixture)
{
    return weir_pool_new((weir_pool **)&fixture->made,
                         WEIR_POOL_OPTIONS(.workers = 2, .order = WEIR_ORDER_LOCAL));
}

static int make_default_pool(struct fixture *fixture)
{
    return weir_pool_new((weir_pool **)&fixture->made, NULL);
}

static void drop_pool(struct fixture *fixture)
{
    weir_pool_free(fixture->made);
}

static int make_group(struct fixture *fixture)
{
    return weir_errgroup_new((weir_errgroup **)&fixture->made, fixture->pool, NULL, NULL);
}

static int make_group_under_context(struct fixture *fixture)
{
    return weir_errgroup_new((weir_errgroup **)&fixture->made, fixture->pool, fixture->parent,
                             WEIR_ERRGROUP_OPTIONS(.limit = 3, .keep_errors = 1000));
}

static void drop_group(struct fixture *fixture)
{
    weir_errgroup_free(fixture->made);
}

static int make_keyed(struct fixture *fixture)
{
    return weir_keyed_new((weir_keyed **)&fixture->made, fixture->pool,
                          WEIR_KEYED_OPTIONS(.keys = 100));
}

static void drop_keyed(struct fixture *fixture)
{
    weir_keyed_free(fixture->made);
}

static int make_completion(struct fixture *fixture)
{
    return weir_completion_new((weir_completion **)&fixture->made, 100);
}

static void drop_completion(struct fixture *fixture)
{
    weir_completion_free(fixture->made);
}

static int make_channel(struct fixture *fixture)
{
    return weir_channel_new((weir_channel **)&fixture->made, 100, 100);
}

static void drop_channel(struct fixture *fixture)
{
    weir_channel_free(fixture->made);
}

static int make_topic(struct fixture *fixture)
{
    return weir_topic_new((weir_topic **)&fixture->made);
}

static void drop_topic(struct fixture *fixture)
{
    weir_topic_free(fixture->made);
}

static int end_of_input(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)item;
    (void)arg;
    return 0;
}

static int run_pipeline(struct fixture *fixture)
{
    const weir_stage source = {end_of_input, NULL, WEIR_STAGE_IN_ORDER};
    return weir_pipeline_run(fixture->pool, &source, 1, NULL);
}

static void drop_nothing(struct fixture *fixture)
{
    (void)fixture;
}

static int make_metrics(struct fixture *fixture)
{
    return weir_metrics_new((weir_metrics **)&fixture->made);
}

static void drop_metrics(struct fixture *fixture)
{
    weir_metrics_free(fixture->made);
}

static int no_write(const char *text, size_t n, void *unused)
{
    (void)text;
    (void)n;
    (void)unused;
    return 0;
}

static int make_trace(struct fixture *fixture)
{
    (void)fixture;
    return weir_trace_start(WEIR_TRACE_OPTIONS(.write = no_write, .events = 1000));
}

static void drop_trace(struct fixture *fixture)
{
    (void)fixture;
    if (weir_trace_stop() != 0)
        give_up("a trace cannot be stopped");
}

static const struct trial trials[] = {
    {run_pipeline, drop_nothing},
    {make_metrics, drop_metrics},
    {make_channel, drop_channel},
    {make_topic, drop_topic},
    {make_ring, drop_ring},
    {make_context, drop_context},
    {make_child, drop_context},
    {make_value, drop_context},
    {make_pool, drop_pool},
    {make_pool_under_context, drop_pool},
    {make_watched_pool, drop_pool},
    {make_pool_with_lanes, drop_pool},
    {make_pool_of_local_order, drop_pool},
    {make_default_pool, drop_pool},
    {make_group, drop_group},
    {make_group_under_context, drop_group},
    {make_keyed, drop_keyed},
    {make_completion, drop_completion},
    {make_trace, drop_trace},
};

enum { TRIALS = sizeof trials / sizeof trials[0] };

START_TEST(a_constructor_without_memory_fails_and_leaves_nothing)
{
    const struct trial *trial = &trials[_i];
    struct fixture fixture = {.pool = new_pool(1, 4)};
    ck_assert_int_eq(weir_context_new(&fixture.parent, NULL, WEIR_FOREVER), 0);
    unsigned nth = 1;
    for (; nth < SWEEP_END; nth++) {
        fixture.made = &fixture;
        faults_begin(FAULT_ALLOC, nth);
        int err = trial->make(&fixture);
        struct faults seen = faults_end();
        if (seen.allocs < nth) {
            ck_assert_int_eq(err, 0);
            trial->drop(&fixture);
            break;
        }
        ck_assert_int_eq(err, -ENOMEM);
        ck_assert_ptr_eq(fixture.made, &fixture);
        ck_assert_int_eq(seen.live, 0);
    }
    ck_assert_uint_gt(nth, 1);
    ck_assert_uint_lt(nth, SWEEP_END);
    covered("constructor allocations failed", nth - 1);

    /* With memory, all that was allocated is freed with the object. */
    faults_begin(FAULT_ALLOC, 0);
    int err = trial->make(&fixture);
    if (err == 0)
        trial->drop(&fixture);
    struct faults seen = faults_end();
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(seen.allocs, nth - 1);
    ck_assert_int_eq(seen.live, 0);
    weir_context_unref(fixture.parent);
    finish_pool(fixture.pool);
}
END_TEST

/* Apart from the others, because a thread frees what it has made. */
START_TEST(a_context_from_signals_without_memory_leaves_the_signals_alone)
{
    static const int usr1 = SIGUSR1;
    unsigned nth = 1;
    int err = -ENOMEM;
    for (; nth < SWEEP_END && err != 0; nth++) {
        weir_context *ctx = NULL;
        faults_begin(FAULT_ALLOC, nth);
        err = weir_context_from_signals(&ctx, NULL, &usr1, 1);
        struct faults seen = faults_end();
        if (err == 0) {
            ck_assert_uint_lt(seen.allocs, nth);
            weir_context_cancel(ctx, 0);
            weir_context_unref(ctx);
            break;
        }
        struct sigaction action;
        ck_assert_int_eq(err, -ENOMEM);
        ck_assert_ptr_null(ctx);
        ck_assert_int_eq(seen.live, 0);
        ck_assert_int_eq(sigaction(SIGUSR1, NULL, &action), 0);
        ck_assert(action.sa_handler == SIG_DFL);
    }
    ck_assert_int_eq(err, 0);
    ck_assert_uint_gt(nth, 2);
}
END_TEST

/* Inside a task, where a reference to the task's own context needs memory. */

struct inside {
    weir_pool *pool;
    int (*attempt)(weir_context *ctx, struct inside *inside);
    unsigned nth;
    int first, second; /* without memory, and right after that with it */
    struct faults seen;
    counter ran;
};

static int ref_context(weir_context *ctx, struct inside *inside)
{
    (void)inside;
    weir_context *kept = weir_context_ref(ctx);
    if (kept == NULL)
        return -ENOMEM;
    weir_context_unref(kept);
    return 0;
}

static int child_of_context(weir_context *ctx, struct inside *inside)
{
    weir_context *child = (weir_context *)inside;
    int err = weir_context_new(&child, ctx, WEIR_FOREVER);
    if (err != 0)
        return child == (weir_context *)inside ? err : -EPROTO;
    weir_context_unref(child);
    return 0;
}

static int value_under_context(weir_context *ctx, struct inside *inside)
{
    weir_context *child = (weir_context *)inside;
    int err = weir_context_with_value(&child, ctx, inside, inside);
    if (err != 0)
        return child == (weir_context *)inside ? err : -EPROTO;
    weir_context_unref(child);
    return 0;
}

static int submit_under_context(weir_context *ctx, struct inside *inside)
{
    return weir_pool_submit_until(inside->pool, counter_task, &inside->ran, ctx, WEIR_FOREVER);
}

static int task_under_context(weir_context *ctx, struct inside *inside)
{
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task_until(inside->pool, &task, counter_task, &inside->ran, NULL,
                                          ctx, WEIR_FOREVER);
    if (err != 0)
        return weir_task_state(&task) == WEIR_TASK_IDLE ? err : -EPROTO;
    return weir_task_wait(&task);
}

static int count_under_context(weir_context *ctx, struct inside *inside)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    int err =
        weir_waitgroup_go_until(&wg, inside->pool, counter_task, &inside->ran, ctx, WEIR_FOREVER);
    int waited = weir_waitgroup_wait(&wg);
    return err != 0 ? err : waited;
}

static int group_under_context(weir_context *ctx, struct inside *inside)
{
    weir_errgroup *group = (weir_errgroup *)inside;
    int err = weir_errgroup_new(&group, inside->pool, ctx, NULL);
    if (err != 0)
        return group == (weir_errgroup *)inside ? err : -EPROTO;
    weir_errgroup_free(group);
    return 0;
}

static int count_range(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    counter_add(arg, end - begin);
    return 0;
}

static int loop_under_context(weir_context *ctx, struct inside *inside)
{
    counter ran = COUNTER_INIT;
    int err = weir_parallel_for_until(inside->pool, 10, 1, count_range, &ran, ctx, WEIR_FOREVER);
    return counter_get(&ran) == (err == 0 ? 10 : 0) ? err : -EPROTO;
}

static void never_called(void *arg)
{
    counter_add(arg, 100);
}

static int hook_under_context(weir_context *ctx, struct inside *inside)
{
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    int err = weir_context_on_done(ctx, &hook, never_called, &inside->ran);
    int stopped = weir_context_hook_stop(&hook);
    return err != 0 ? err : stopped;
}

static int (*const attempts[])(weir_context *ctx, struct inside *inside) = {
    ref_context,          child_of_context,   value_under_context,
    submit_under_context, task_under_context, count_under_context,
    group_under_context,  loop_under_context, hook_under_context,
};

enum { ATTEMPTS = sizeof attempts / sizeof attempts[0] };

static int attempt_twice(weir_context *ctx, void *arg)
{
    struct inside *inside = arg;
    faults_begin(FAULT_ALLOC, inside->nth);
    inside->first = inside->attempt(ctx, inside);
    inside->seen = faults_end();
    inside->second = inside->attempt(ctx, inside);
    return 0;
}

START_TEST(a_task_without_memory_for_its_own_context_is_told_and_goes_on)
{
    weir_pool *pool = new_pool(1, 4);
    unsigned nth = 1;
    for (; nth < SWEEP_END; nth++) {
        struct inside inside = {
            .pool = pool, .attempt = attempts[_i], .nth = nth, .ran = COUNTER_INIT};
        weir_task task = WEIR_TASK_INIT;
        /* No assertion while the task counts: it would be counted with it. */
        int err = weir_pool_submit_task(pool, &task, attempt_twice, &inside, NULL);
        if (err == 0)
            err = weir_task_wait_until(&task, NULL, patience());
        ck_assert_int_eq(err, 0);
        ck_assert_int_eq(weir_task_status(&task), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_int_eq(inside.second, 0);
        if (inside.seen.allocs < nth) {
            ck_assert_int_eq(inside.first, 0);
            break;
        }
        ck_assert_int_eq(inside.first, -ENOMEM);
        ck_assert_uint_le(counter_get(&inside.ran), 1);
    }
    ck_assert_uint_gt(nth, 1);
    ck_assert_uint_lt(nth, SWEEP_END);
    covered("allocations inside tasks failed", nth - 1);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, counts.done);
    weir_pool_free(pool);
}
END_TEST

/* After weir_pool_new no memory is asked for. Check allocates when it asserts; so what goes wrong
 * while allocations are counted is noted, and asserted afterwards. */

static int first_wrong; /* the line of the first expectation that did not hold, or 0 */

static void note_wrong(int line)
{
    if (first_wrong == 0)
        first_wrong = line;
}

#define EXPECT(condition) ((condition) ? (void)0 : note_wrong(__LINE__))

static int return_error(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return -EIO;
}

static int outlast_context(weir_context *ctx, void *arg)
{
    counter_add(arg, 1);
    return weir_context_wait_until(ctx, WEIR_FOREVER);
}

static int submit_one(void *arg)
{
    struct fixture *fixture = arg;
    return weir_pool_submit(fixture->pool, counter_task, fixture->made);
}

struct grouped {
    weir_errgroup *group;
    counter ran;
};

/* Adds more members than the limit and the pool have room for. */
static int nest_in_group(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct grouped *self = arg;
    int err = 0;
    for (int i = 0; i < 8 && err == 0; i++)
        err = weir_errgroup_go(self->group, counter_task, &self->ran);
    return err;
}

struct nested {
    weir_pool *pool;
    counter ran;
};

static int nest(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct nested *self = arg;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(self->pool, &task, counter_task, &self->ran, NULL);
    for (int i = 0; i < 6 && err == 0; i++)
        err = weir_waitgroup_go(&wg, self->pool, counter_task, &self->ran);
    int waited = weir_waitgroup_wait(&wg);
    if (waited == 0)
        waited = weir_task_wait(&task);
    return err != 0 ? err : waited;
}

static void use_plain_tasks(weir_pool *pool, weir_context *ctx)
{
    counter ran = COUNTER_INIT;
    for (int i = 0; i < 50; i++)
        EXPECT(weir_pool_submit(pool, counter_task, &ran) == 0);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(weir_pool_try_submit(pool, counter_task, &ran) == 0);
    EXPECT(weir_pool_submit_until(pool, counter_task, &ran, ctx, patience()) == 0);
    const weir_job jobs[] = {{counter_task, &ran}, {return_error, NULL}, {counter_task, &ran}};
    EXPECT(weir_pool_submit_many_until(pool, jobs, 3, ctx, WEIR_FOREVER) == 3);
    counter_await(&ran, 54);
    EXPECT(weir_pool_drain_until(pool, ctx, patience()) == 0);
}

/* From beginning to end, but for its making. */
static void use_lanes(weir_pool *pool)
{
    counter ran = COUNTER_INIT;
    weir_task tasks[3] = {WEIR_TASK_INIT};
    weir_lane_stats stats = {.size = sizeof stats};
    for (unsigned i = 0; i < 30; i++)
        EXPECT(weir_pool_submit_lane(pool, i % 3, counter_task, &ran) == 0);
    for (unsigned k = 0; k < 3; k++)
        EXPECT(weir_pool_submit_task_at(pool, &tasks[k], counter_task, &ran,
                                        WEIR_TASK_OPTIONS(.lane = WEIR_LANE(k)),
                                        weir_after(WEIR_US(100))) == 0);
    for (unsigned k = 0; k < 3; k++)
        EXPECT(weir_task_wait_until(&tasks[k], NULL, patience()) == 0);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(weir_pool_read_lane_stats(pool, 2, &stats) == 0 && stats.submitted == 11);
    EXPECT(counter_get(&ran) == 33);
    EXPECT(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, NULL) == 0);
}

/* Submits more than its worker's deque and the ring hold, and waits for some of it. */
static int submit_from_inside(weir_context *ctx, void *arg)
{
    counter *ran = arg;
    weir_pool *pool = weir_pool_current();
    weir_task tasks[3] = {WEIR_TASK_INIT};
    (void)ctx;
    for (unsigned k = 0; k < 3; k++)
        EXPECT(weir_pool_submit_task(pool, &tasks[k], counter_task, ran, NULL) == 0);
    for (unsigned k = 0; k < 3; k++)
        EXPECT(weir_task_wait(&tasks[k]) == 0);
    for (unsigned i = 0; i < 9; i++)
        EXPECT(weir_pool_submit(pool, counter_task, ran) == 0);
    return 0;
}

static void use_local_order(weir_pool *pool)
{
    counter ran = COUNTER_INIT;
    for (unsigned i = 0; i < 5; i++)
        EXPECT(weir_pool_submit(pool, submit_from_inside, &ran) == 0);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(counter_get(&ran) == 60);
    EXPECT(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, NULL) == 0);
}

static void use_handles(weir_pool *pool, weir_context *ctx)
{
    counter begun = COUNTER_INIT;
    struct nested nested = {pool, COUNTER_INIT};
    weir_task running = WEIR_TASK_INIT, nesting = WEIR_TASK_INIT;
    EXPECT(weir_pool_submit_task(pool, &running, outlast_context, &begun,
                                 WEIR_TASK_OPTIONS(.name = "running", .timeout = WEIR_S(3600))) ==
           0);
    counter_await(&begun, 1);
    EXPECT(weir_pool_submit_task_until(pool, &nesting, nest, &nested, NULL, ctx, WEIR_FOREVER) ==
           0);
    EXPECT(weir_task_wait_until(&nesting, ctx, patience()) == 0);
    EXPECT(weir_task_status(&nesting) == 0);
    EXPECT(weir_task_wait_until(&running, NULL, weir_after(WEIR_MS(2))) == -ETIMEDOUT);
    EXPECT(weir_task_cancel(&running) == -EINPROGRESS);
    EXPECT(weir_task_wait_until(&running, NULL, patience()) == 0);
    EXPECT(counter_get(&nested.ran) == 7);
}

static void use_a_full_pool(weir_pool *pool, weir_context *ctx)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    for (size_t i = 1; i <= 2; i++) {
        EXPECT(weir_pool_submit(pool, gate_task, &hold) == 0);
        gate_await(&hold, i);
    }
    weir_task cancelled = WEIR_TASK_INIT;
    EXPECT(weir_pool_submit_task(pool, &cancelled, counter_task, &ran, NULL) == 0);
    while (weir_pool_try_submit(pool, counter_task, &ran) == 0)
        continue;
    EXPECT(weir_pool_submit_until(pool, counter_task, &ran, ctx, weir_after(1000)) == -ETIMEDOUT);
    struct fixture blocked = {.pool = pool, .made = &ran};
    caller submitter;
    caller_start(&submitter, submit_one, &blocked);
    EXPECT(caller_await_asleep(&submitter));
    EXPECT(weir_task_cancel(&cancelled) == 0);
    EXPECT(caller_join(&submitter) == 0);
    gate_open(&hold);
    EXPECT(weir_pool_drain(pool) == 0);
}

static void use_groups(weir_pool *pool, weir_errgroup *group, weir_context *ctx)
{
    counter ran = COUNTER_INIT;
    struct grouped grouped = {group, COUNTER_INIT};
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (int i = 0; i < 20; i++) {
        EXPECT(weir_waitgroup_go_until(&wg, pool, counter_task, &ran, ctx, patience()) == 0);
        EXPECT(weir_errgroup_go(group, counter_task, &ran) == 0);
    }
    EXPECT(weir_errgroup_go(group, nest_in_group, &grouped) == 0);
    EXPECT(weir_waitgroup_wait(&wg) == 0);
    EXPECT(weir_errgroup_wait_until(group, ctx, patience()) == 0);
    EXPECT(counter_get(&ran) == 40);
    EXPECT(counter_get(&grouped.ran) == 8);
    EXPECT(weir_errgroup_set_limit(group, 1) == 0);
    EXPECT(weir_errgroup_go(group, return_error, NULL) == 0);
    EXPECT(weir_errgroup_wait(group) == -EIO);
    EXPECT(weir_errgroup_stop(group) == -EIO);
}

static void use_many_at_once(weir_pool *pool, weir_completion *completion, weir_context *ctx)
{
    counter ran = COUNTER_INIT;
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT}, *over[3];
    weir_task *all[] = {&tasks[0], &tasks[1], &tasks[2]};
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    for (size_t i = 0; i < 3; i++)
        EXPECT(weir_pool_submit_task(pool, all[i], counter_task, &ran,
                                     WEIR_TASK_OPTIONS(.completion = completion)) == 0);
    EXPECT(weir_pool_submit_task(pool, &tasks[0], counter_task, &ran,
                                 WEIR_TASK_OPTIONS(.completion = completion)) != 0);
    EXPECT(weir_task_wait_any_until(all, 3, ctx, patience()) >= 0);
    EXPECT(weir_parallel_for_until(pool, 100, 1, count_range, &ran, ctx, patience()) == 0);
    EXPECT(weir_pool_drain(pool) == 0);
    EXPECT(weir_completion_reap(completion, over, 3) == 3);
    EXPECT(counter_get(&ran) == 103);
    EXPECT(weir_context_on_done(ctx, &hook, never_called, &ran) == 0);
    EXPECT(weir_context_hook_stop(&hook) == 0);
}

/* A serial and a key at their limits, a waiter that helps, a cancel, a drain. */
static void use_serials(weir_pool *pool, weir_keyed *keyed, weir_context *ctx)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_task held = WEIR_TASK_INIT, tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_serial serial;
    EXPECT(weir_serial_init(&serial, pool, WEIR_SERIAL_OPTIONS(.limit = 2, .batch = 1)) == 0);
    EXPECT(weir_serial_submit(&serial, &held, gate_task, &hold, NULL) == 0);
    gate_await(&hold, 1);
    EXPECT(weir_serial_submit(&serial, &tasks[0], counter_task, &ran, NULL) == 0);
    EXPECT(weir_serial_try_submit(&serial, &tasks[1], counter_task, &ran, NULL) == 0);
    EXPECT(weir_serial_submit_until(&serial, &tasks[2], counter_task, &ran, NULL, ctx,
                                    weir_after(1000)) == -ETIMEDOUT);
    EXPECT(weir_task_cancel(&tasks[0]) == 0);
    EXPECT(weir_serial_submit_until(&serial, &tasks[2], counter_task, &ran, NULL, ctx,
                                    patience()) == 0);
    EXPECT(weir_serial_drain_until(&serial, NULL, weir_after(1000)) == -ETIMEDOUT);
    gate_open(&hold);
    EXPECT(weir_task_wait(&tasks[2]) == 0);
    EXPECT(weir_serial_drain(&serial) == 0);
    weir_serial_close(&serial);
    weir_serial_destroy(&serial);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(weir_keyed_submit(keyed, i, &tasks[i], counter_task, &ran, NULL) == 0);
    EXPECT(weir_keyed_drain(keyed) == 0);
    EXPECT(counter_get(&ran) == 5);
}

/* A full channel and an empty one, a cancelled select, a semaphore that another thread has. */
static void use_channels(weir_channel *channel, weir_semaphore *sem)
{
    int number = 1;
    weir_select_case cases[] = {
        {.channel = channel, .send = &number},
        {.channel = NULL, .recv = &number},
    };
    EXPECT(weir_channel_send(channel, &number) == 0);
    EXPECT(weir_channel_send_until(channel, &number, NULL, weir_after(1000)) == -ETIMEDOUT);
    EXPECT(weir_select_until(cases, 2, NULL, weir_after(1000)) == -ETIMEDOUT);
    EXPECT(weir_channel_recv(channel, &number) == 0);
    EXPECT(weir_channel_recv_until(channel, &number, NULL, weir_after(1000)) == -ETIMEDOUT);
    EXPECT(weir_select(cases, 2) == 0);
    EXPECT(weir_channel_close(channel) == 0);
    EXPECT(weir_semaphore_acquire(sem, 1) == 0);
    EXPECT(weir_semaphore_acquire_until(sem, 1, NULL, weir_after(1000)) == -ETIMEDOUT);
    weir_semaphore_release(sem, 1);
}

START_TEST(a_subscription_without_memory_is_refused_and_leaves_nothing)
{
    weir_topic *topic;
    weir_channel *channel;
    int number = 3;
    ck_assert_int_eq(weir_topic_new(&topic), 0);
    ck_assert_int_eq(weir_channel_new(&channel, sizeof number, 1), 0);
    faults_begin(FAULT_ALLOC, 1);
    int err = weir_topic_subscribe(topic, channel);
    struct faults seen = faults_end();
    ck_assert_int_eq(err, -ENOMEM);
    ck_assert_uint_eq(seen.allocs, 1);
    ck_assert_int_eq(weir_topic_publish(topic, &number), 0);
    ck_assert_int_eq(weir_topic_subscribe(topic, channel), 0);
    faults_begin(FAULT_ALLOC, 0);
    int received = weir_topic_publish(topic, &number);
    seen = faults_end();
    ck_assert_int_eq(received, 1);
    ck_assert_uint_eq(seen.allocs, 0);
    weir_topic_free(topic);
    weir_channel_free(channel);
}
END_TEST

static double one(void *arg)
{
    (void)arg;
    return 1;
}

static int count_bytes(const char *text, size_t n, void *arg)
{
    (void)text;
    *(size_t *)arg += n;
    return 0;
}

START_TEST(metrics_without_memory_are_as_they_were_and_writing_needs_none)
{
    weir_metrics *metrics;
    weir_pool *pool = new_pool(1, 1);
    size_t before = 0, bytes = 0;
    ck_assert_int_eq(weir_metrics_new(&metrics), 0);
    faults_begin_many(FAULT_ALLOC, 1, 1);
    int added_pool = weir_metrics_add_pool(metrics, "a", pool);
    int added_own =
        weir_metrics_add_gauge(metrics, "x", "X.", WEIR_LABELS({"a", "b"}), one, &bytes);
    int written = weir_metrics_write(metrics, count_bytes, &before);
    struct faults seen = faults_end();
    ck_assert_int_eq(added_pool, -ENOMEM);
    ck_assert_int_eq(added_own, -ENOMEM);
    ck_assert_int_eq(written, 0);
    ck_assert_uint_eq(seen.allocs, 2);
    ck_assert_uint_eq(before, 0);
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "a", pool), 0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, one, &bytes), 0);
    faults_begin(FAULT_ALLOC, 0);
    written = weir_metrics_write(metrics, count_bytes, &bytes);
    seen = faults_end();
    ck_assert_int_eq(written, 0);
    ck_assert_uint_gt(bytes, 0);
    ck_assert_uint_eq(seen.allocs, 0);
    faults_begin(FAULT_ALLOC, 0);
    int removed = weir_metrics_remove(metrics, pool);
    seen = faults_end();
    ck_assert_int_eq(removed, 0);
    ck_assert_int_eq(seen.live, -1); /* its entry */
    weir_metrics_free(metrics);
    finish_pool(pool);
}
END_TEST

static void look_inside(weir_pool *pool)
{
    weir_pool_stats stats = {.size = sizeof stats};
    size_t bytes = 0;
    weir_name_times names[8];
    EXPECT(weir_pool_read_stats(pool, &stats) == 0);
    EXPECT(weir_pool_read_names(pool, names, 8) >= 0);
    EXPECT(weir_pool_dump(pool, count_bytes, &bytes) == 0);
    EXPECT(bytes > 100);
}

/* Names, functions, a queue and a thread that is blocked: all there is to tell. */
START_TEST(a_dump_needs_no_memory)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(2, 4);
    weir_task named = WEIR_TASK_INIT;
    saturate(pool, &hold, 2);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &named, counter_task, &ran, WEIR_TASK_OPTIONS(.name = "named")),
        0);
    faults_begin_many(FAULT_ALLOC, 1, 1000);
    look_inside(pool);
    struct faults seen = faults_end();
    ck_assert_msg(first_wrong == 0, "what line %d expects does not hold", first_wrong);
    ck_assert_uint_eq(seen.allocs, 0);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

START_TEST(nothing_is_allocated_after_creation)
{
    weir_channel *channel;
    weir_semaphore sem;
    bool traced = _i == 1;
    ck_assert_int_eq(weir_channel_new(&channel, sizeof(int), 1), 0);
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(traced ? make_trace(NULL) : 0, 0);
    weir_pool *pool = new_pool(2, 4), *lanes, *local;
    ck_assert_int_eq(weir_pool_new(&lanes, WEIR_POOL_OPTIONS(.workers = 2, .lanes = 3)), 0);
    ck_assert_int_eq(
        weir_pool_new(&local, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4,
                                                .order = WEIR_ORDER_LOCAL, .local = 4)),
        0);
    weir_completion *completion;
    ck_assert_int_eq(weir_completion_new(&completion, 3), 0);
    weir_keyed *keyed;
    ck_assert_int_eq(weir_keyed_new(&keyed, pool, WEIR_KEYED_OPTIONS(.keys = 2)), 0);
    weir_context *ctx;
    weir_errgroup *group;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, ctx, WEIR_ERRGROUP_OPTIONS(.limit = 2)), 0);

    faults_begin(FAULT_ALLOC, 0);
    use_plain_tasks(pool, ctx);
    use_handles(pool, ctx);
    use_lanes(lanes);
    use_local_order(local);
    use_a_full_pool(pool, ctx);
    use_groups(pool, group, ctx);
    use_many_at_once(pool, completion, ctx);
    use_serials(pool, keyed, ctx);
    use_channels(channel, &sem);
    look_inside(pool);
    weir_context_cancel(ctx, 0);
    EXPECT(weir_pool_submit_until(pool, return_error, NULL, ctx, 0) == -ECANCELED);
    EXPECT(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, NULL) == 0);
    struct faults seen = faults_end();
    ck_assert_msg(first_wrong == 0, "what line %d expects does not hold", first_wrong);
    ck_assert_uint_eq(seen.allocs, 0);
    ck_assert_int_eq(seen.live, 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    if (traced)
        drop_trace(NULL);
    covered("tasks handed over without an allocation", (unsigned long)counts.submitted);

    weir_pool_free(lanes);
    weir_pool_free(local);
    weir_semaphore_destroy(&sem);
    weir_channel_free(channel);
    weir_errgroup_free(group);
    weir_keyed_free(keyed);
    weir_completion_free(completion);
    weir_context_unref(ctx);
    weir_pool_free(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_alloc");
    TCase *memory = add_group(suite, "out-of-memory");
    tcase_add_loop_test(memory, a_constructor_without_memory_fails_and_leaves_nothing, 0, TRIALS);
    tcase_add_test(memory, a_context_from_signals_without_memory_leaves_the_signals_alone);
    tcase_add_loop_test(memory, a_task_without_memory_for_its_own_context_is_told_and_goes_on, 0,
                        ATTEMPTS);
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(memory, a_subscription_without_memory_is_refused_and_leaves_nothing);
    tcase_add_test(memory, metrics_without_memory_are_as_they_were_and_writing_needs_none);
    tcase_add_loop_test(contract, nothing_is_allocated_after_creation, 0, 2);
    tcase_add_test(contract, a_dump_needs_no_memory);
    return suite;
}
