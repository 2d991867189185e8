/* SPDX-License-Identifier: MIT */
/* nesting.c - tasks that submit to their own pool and wait for tasks of their own pool.
 *
 * Most of it runs on one worker, where every wait that does not run what it waits for would never
 * end. The pools are as small as they can be, so that submits find them full.
 */
#include "support/suite.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static int return_0(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

/* Runs fn(arg) as a task with a handle; it must end, well or not. */
static void run_task(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, fn, arg, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
}

/* Fibonacci numbers the slow way, each call a task that waits for two others. */

enum { N = 11, FIB_N = 89 };

struct fib {
    weir_pool *pool;
    int n, result;
};

static int fib_by_handles(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct fib *self = arg;
    if (self->n < 2) {
        self->result = self->n;
        return 0;
    }
    struct fib a = {self->pool, self->n - 1, 0}, b = {self->pool, self->n - 2, 0};
    weir_task task_a = WEIR_TASK_INIT, task_b = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(self->pool, &task_a, fib_by_handles, &a, NULL);
    if (err != 0)
        return err;
    err = weir_pool_submit_task(self->pool, &task_b, fib_by_handles, &b, NULL);
    int waited_b = err == 0 ? weir_task_wait(&task_b) : 0;
    int waited_a = weir_task_wait(&task_a);
    if (err != 0 || waited_a != 0 || waited_b != 0)
        return -EPROTO;
    if (weir_task_status(&task_a) != 0 || weir_task_status(&task_b) != 0)
        return -EPROTO;
    self->result = a.result + b.result;
    return 0;
}

static int fib_by_waitgroup(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct fib *self = arg;
    if (self->n < 2) {
        self->result = self->n;
        return 0;
    }
    struct fib a = {self->pool, self->n - 1, 0}, b = {self->pool, self->n - 2, 0};
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    int err = weir_waitgroup_go(&wg, self->pool, fib_by_waitgroup, &a);
    if (err == 0)
        err = weir_waitgroup_go(&wg, self->pool, fib_by_waitgroup, &b);
    int waited = weir_waitgroup_wait(&wg);
    self->result = a.result + b.result;
    return err != 0 ? err : waited;
}

static int fib_by_errgroup(weir_context *ctx, void *arg)
{
    struct fib *self = arg;
    if (self->n < 2) {
        self->result = self->n;
        return 0;
    }
    struct fib a = {self->pool, self->n - 1, 0}, b = {self->pool, self->n - 2, 0};
    weir_errgroup *group;
    int err = weir_errgroup_new(&group, self->pool, ctx, NULL);
    if (err != 0)
        return err;
    err = weir_errgroup_go(group, fib_by_errgroup, &a);
    if (err == 0)
        err = weir_errgroup_go(group, fib_by_errgroup, &b);
    int waited = weir_errgroup_wait(group);
    weir_errgroup_free(group);
    self->result = a.result + b.result;
    return err != 0 ? err : waited;
}

static const struct size {
    unsigned workers, capacity;
} sizes[] = {{1, 1}, {1, 2}, {1, 64}, {2, 1}, {2, 3}, {4, 2}};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void run_fib(weir_task_fn *fn, const struct size *size)
{
    weir_pool *pool = new_pool(size->workers, size->capacity);
    struct fib fib = {pool, N, 0};
    run_task(pool, fn, &fib);
    ck_assert_int_eq(fib.result, FIB_N);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, counts.done);
    ck_assert_uint_eq(counts.queued, 0);
    ck_assert_uint_eq(counts.running, 0);
    weir_pool_free(pool);
}

START_TEST(tasks_that_wait_for_tasks_end)
{
    run_fib(fib_by_handles, &sizes[_i]);
}
END_TEST

START_TEST(tasks_that_wait_for_waitgroups_end)
{
    run_fib(fib_by_waitgroup, &sizes[_i]);
}
END_TEST

START_TEST(tasks_that_wait_for_errgroups_end)
{
    run_fib(fib_by_errgroup, &sizes[_i]);
}
END_TEST

/* A chain: each task queues the next and waits for it, so that the waits nest as deep as it is. */

enum { CHAIN = 300 };

struct link {
    weir_pool *pool;
    unsigned left;
    atomic_uint *ran;
};

static int wait_for_the_rest(weir_context *ctx, void *arg)
{
    (void)ctx;
    const struct link *self = arg;
    (void)atomic_fetch_add(self->ran, 1);
    if (self->left == 0)
        return 0;
    struct link next = {self->pool, self->left - 1, self->ran};
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(self->pool, &task, wait_for_the_rest, &next, NULL);
    if (err == 0)
        err = weir_task_wait(&task);
    return err != 0 ? err : weir_task_status(&task);
}

START_TEST(waits_nest_deeper_than_runs_in_place)
{
    weir_pool *pool = new_pool(1, 4);
    atomic_uint ran = 0;
    struct link first = {pool, CHAIN, &ran};
    run_task(pool, wait_for_the_rest, &first);
    ck_assert_uint_eq(atomic_load(&ran), CHAIN + 1);
    finish_pool(pool);
}
END_TEST

/* Running inline. */

struct in_place {
    weir_pool *pool;
    recorder log;
    pthread_t thread; /* of the task that submits */
    int filled, refused, accepted, accepted_many;
    bool same_thread;
};

static int log_in_place(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct in_place *self = arg;
    self->same_thread = pthread_equal(self->thread, pthread_self()) != 0;
    recorder_add(&self->log, 2);
    return 0;
}

static int log_queued(weir_context *ctx, void *arg)
{
    (void)ctx;
    recorder_add(&((struct in_place *)arg)->log, 4);
    return 0;
}

static int submit_to_own_full_pool(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct in_place *self = arg;
    self->thread = pthread_self();
    recorder_add(&self->log, 1);
    self->filled = weir_pool_submit(self->pool, log_queued, self);
    self->refused = weir_pool_try_submit(self->pool, log_queued, self);
    self->accepted = weir_pool_submit(self->pool, log_in_place, self);
    recorder_add(&self->log, 3);
    return 0;
}

START_TEST(a_task_that_finds_its_own_pool_full_runs_the_new_one_itself)
{
    struct in_place self = {.log = RECORDER_INIT};
    self.pool = new_pool(1, 1);
    run_task(self.pool, submit_to_own_full_pool, &self);
    ck_assert_int_eq(weir_pool_drain(self.pool), 0);
    ck_assert_int_eq(self.filled, 0);
    ck_assert_int_eq(self.refused, -EAGAIN);
    ck_assert_int_eq(self.accepted, 0);
    ck_assert(self.same_thread);
    ck_assert_uint_eq(recorder_count(&self.log), 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(recorder_at(&self.log, (size_t)i), i + 1);
    weir_pool_counts counts;
    weir_pool_read_counts(self.pool, &counts);
    ck_assert_uint_eq(counts.submitted, 3);
    ck_assert_uint_eq(counts.done, 3);
    ck_assert_uint_eq(counts.rejected, 1);
    weir_pool_free(self.pool);
}
END_TEST

struct depth {
    weir_pool *pool;
    int now, deepest, refusal, unwound;
};

static int submit_deeper(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct depth *self = arg;
    int depth = self->now++;
    if (depth > self->deepest)
        self->deepest = depth;
    int err = weir_pool_submit(self->pool, submit_deeper, self);
    if (err != 0 && self->refusal == 0)
        self->refusal = err;
    self->now--;
    self->unwound++;
    return 0;
}

static int fill_and_submit_deeper(weir_context *ctx, void *arg)
{
    struct depth *self = arg;
    int err = weir_pool_submit(self->pool, return_0, NULL);
    return err != 0 ? err : submit_deeper(ctx, self);
}

START_TEST(runs_in_place_nest_sixty_four_deep)
{
    struct depth self = {.pool = new_pool(1, 1)};
    run_task(self.pool, fill_and_submit_deeper, &self);
    ck_assert_int_eq(self.deepest, 64);
    ck_assert_int_eq(self.refusal, -EDEADLK);
    ck_assert_int_eq(self.unwound, 65);
    ck_assert_int_eq(self.now, 0);
    ck_assert_int_eq(weir_pool_drain(self.pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(self.pool, &counts);
    ck_assert_uint_eq(counts.submitted, 66);
    ck_assert_uint_eq(counts.done, 66);
    ck_assert_uint_eq(counts.rejected, 1);
    weir_pool_free(self.pool);
}
END_TEST

/* Waits that could never end. */

struct self_wait {
    weir_pool *pool;
    weir_task *task;
    int plain, bounded, tried;
};

static int wait_for_own_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct self_wait *self = arg;
    self->plain = weir_task_wait(self->task);
    self->bounded = weir_task_wait_until(self->task, NULL, weir_after(WEIR_S(3600)));
    return 0;
}

START_TEST(a_task_cannot_wait_for_itself)
{
    weir_pool *pool = new_pool(2, 2);
    weir_task task = WEIR_TASK_INIT;
    struct self_wait self = {.pool = pool, .task = &task};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_for_own_task, &self, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(self.plain, -EDEADLK);
    ck_assert_int_eq(self.bounded, -EDEADLK);
    finish_pool(pool);
}
END_TEST

/* Fills the pool, so that the next one runs inside this one, and that one waits for this one. */
static int run_one_that_waits_for_me(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct self_wait *self = arg;
    int err = weir_pool_submit(self->pool, return_0, NULL);
    return err != 0 ? err : weir_pool_submit(self->pool, wait_for_own_task, self);
}

START_TEST(a_task_cannot_wait_for_the_one_that_it_runs_inside)
{
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    struct self_wait self = {.pool = pool, .task = &task};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, run_one_that_waits_for_me, &self, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    ck_assert_int_eq(self.plain, -EDEADLK);
    ck_assert_int_eq(self.bounded, -EDEADLK);
    finish_pool(pool);
}
END_TEST

struct mutual {
    weir_task one, two;
    int one_waited, two_waited;
};

static int wait_for_two(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct mutual *both = arg;
    both->one_waited = weir_task_wait(&both->two);
    return 0;
}

static int wait_for_one(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct mutual *both = arg;
    both->two_waited = weir_task_wait(&both->one);
    return 0;
}

START_TEST(of_two_tasks_that_wait_for_each_other_on_one_worker_the_second_is_refused)
{
    weir_pool *pool = new_pool(1, 4);
    gate hold = GATE_INIT;
    struct mutual both = {.one = WEIR_TASK_INIT, .two = WEIR_TASK_INIT};
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &both.one, wait_for_two, &both, NULL), 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &both.two, wait_for_one, &both, NULL), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&both.one, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_wait_until(&both.two, NULL, patience()), 0);
    ck_assert_int_eq(both.one_waited, 0);
    ck_assert_int_eq(both.two_waited, -EDEADLK);
    finish_pool(pool);
}
END_TEST

struct refusals {
    weir_pool *pool;
    int drain, drain_until, shutdown;
};

static int drain_from_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct refusals *self = arg;
    self->drain = weir_pool_drain(self->pool);
    self->drain_until = weir_pool_drain_until(self->pool, NULL, weir_after(WEIR_S(3600)));
    self->shutdown = weir_pool_shutdown(self->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    return 0;
}

START_TEST(a_task_cannot_drain_its_own_pool_but_another)
{
    weir_pool *pool = new_pool(1, 4), *other = new_pool(1, 4);
    struct refusals own = {.pool = pool}, foreign = {.pool = other};
    run_task(pool, drain_from_inside, &own);
    ck_assert_int_eq(own.drain, -EDEADLK);
    ck_assert_int_eq(own.drain_until, -EDEADLK);
    ck_assert_int_eq(own.shutdown, -EDEADLK);
    run_task(pool, drain_from_inside, &foreign);
    ck_assert_int_eq(foreign.drain, 0);
    ck_assert_int_eq(foreign.drain_until, 0);
    ck_assert_int_eq(foreign.shutdown, 0);
    finish_pool(pool);
    weir_pool_free(other);
}
END_TEST

/* A waiter runs only what it waits for. Each root queues a stranger, then what it waits for. */

enum { STRANGER = 1, AWAITED, ROOT_END };

struct order {
    weir_pool *pool;
    recorder log;
    int err;
};

static int log_stranger(weir_context *ctx, void *arg)
{
    (void)ctx;
    recorder_add(arg, STRANGER);
    return 0;
}

static int log_awaited(weir_context *ctx, void *arg)
{
    (void)ctx;
    recorder_add(arg, AWAITED);
    return 0;
}

static int wait_for_a_task_behind_a_stranger(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct order *self = arg;
    weir_task stranger = WEIR_TASK_INIT, awaited = WEIR_TASK_INIT;
    self->err = weir_pool_submit(self->pool, log_stranger, &self->log);
    if (self->err == 0)
        self->err = weir_pool_submit_task(self->pool, &stranger, log_stranger, &self->log, NULL);
    if (self->err == 0)
        self->err = weir_pool_submit_task(self->pool, &awaited, log_awaited, &self->log, NULL);
    if (self->err == 0)
        self->err = weir_task_wait(&awaited);
    recorder_add(&self->log, ROOT_END);
    /* The stranger's memory is this frame's. */
    int err = weir_task_wait(&stranger);
    return self->err != 0 ? self->err : err;
}

static int wait_for_a_waitgroup_behind_a_stranger(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct order *self = arg;
    weir_waitgroup others = WEIR_WAITGROUP_INIT, wg = WEIR_WAITGROUP_INIT;
    self->err = weir_pool_submit(self->pool, log_stranger, &self->log);
    if (self->err == 0)
        self->err = weir_waitgroup_go(&others, self->pool, log_stranger, &self->log);
    if (self->err == 0)
        self->err = weir_waitgroup_go(&wg, self->pool, log_awaited, &self->log);
    if (self->err == 0)
        self->err = weir_waitgroup_wait(&wg);
    recorder_add(&self->log, ROOT_END);
    int err = weir_waitgroup_wait(&others);
    return self->err != 0 ? self->err : err;
}

static int wait_for_a_group_behind_a_stranger(weir_context *ctx, void *arg)
{
    struct order *self = arg;
    weir_errgroup *others = NULL, *group = NULL;
    self->err = weir_errgroup_new(&others, self->pool, ctx, NULL);
    if (self->err == 0)
        self->err = weir_errgroup_new(&group, self->pool, ctx, NULL);
    if (self->err == 0)
        self->err = weir_pool_submit(self->pool, log_stranger, &self->log);
    if (self->err == 0)
        self->err = weir_errgroup_go(others, log_stranger, &self->log);
    if (self->err == 0)
        self->err = weir_errgroup_go(group, log_awaited, &self->log);
    if (self->err == 0)
        self->err = weir_errgroup_wait(group);
    recorder_add(&self->log, ROOT_END);
    int err = others != NULL ? weir_errgroup_wait(others) : 0;
    weir_errgroup_free(group);
    weir_errgroup_free(others);
    return self->err != 0 ? self->err : err;
}

START_TEST(a_waiter_runs_what_it_waits_for_and_no_stranger)
{
    static weir_task_fn *const roots[] = {
        wait_for_a_task_behind_a_stranger,
        wait_for_a_waitgroup_behind_a_stranger,
        wait_for_a_group_behind_a_stranger,
    };
    struct order self = {.log = RECORDER_INIT};
    self.pool = new_pool(1, 8);
    run_task(self.pool, roots[_i], &self);
    ck_assert_int_eq(weir_pool_drain(self.pool), 0);
    ck_assert_uint_eq(recorder_count(&self.log), 4);
    ck_assert_int_eq(recorder_at(&self.log, 0), AWAITED);
    ck_assert_int_eq(recorder_at(&self.log, 1), ROOT_END);
    ck_assert_int_eq(recorder_at(&self.log, 2), STRANGER);
    ck_assert_int_eq(recorder_at(&self.log, 3), STRANGER);
    weir_pool_free(self.pool);
}
END_TEST

/* A worker that waits without help, because everything it waits for runs elsewhere, leaves the
 * strangers to the others. */
START_TEST(a_waiting_worker_does_not_run_strangers_while_it_sleeps)
{
    weir_pool *pool = new_pool(2, 8);
    gate hold = GATE_INIT;
    counter strangers = COUNTER_INIT;
    struct mutual both = {.one = WEIR_TASK_INIT, .two = WEIR_TASK_INIT};
    ck_assert_int_eq(weir_pool_submit_task(pool, &both.two, gate_task, &hold, NULL), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &both.one, wait_for_two, &both, NULL), 0);
    while (weir_task_state(&both.one) != WEIR_TASK_RUNNING)
        (void)sched_yield();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &strangers), 0);
    ck_assert_uint_eq(weir_pool_queued(pool), 3);
    ck_assert_uint_eq(counter_get(&strangers), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&both.one, NULL, patience()), 0);
    ck_assert_int_eq(both.one_waited, 0);
    counter_await(&strangers, 3);
    finish_pool(pool);
}
END_TEST

/* Members that come from outside while the worker waits. */

struct late_member {
    weir_waitgroup wg;
    weir_errgroup *group;
    atomic_int tid; /* of the worker, once it is about to wait */
    int waited;
    pthread_t waiter, member;
};

static int wait_for_the_waitgroup(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct late_member *self = arg;
    self->waiter = pthread_self();
    atomic_store(&self->tid, (int)thread_id());
    self->waited = weir_waitgroup_wait(&self->wg);
    return 0;
}

static int wait_for_the_group(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct late_member *self = arg;
    self->waiter = pthread_self();
    atomic_store(&self->tid, (int)thread_id());
    self->waited = weir_errgroup_wait(self->group);
    return 0;
}

static int be_a_late_member(weir_context *ctx, void *arg)
{
    (void)ctx;
    ((struct late_member *)arg)->member = pthread_self();
    return 0;
}

static void await_waiter(struct late_member *self)
{
    int64_t deadline = patience();
    int tid;
    while ((tid = atomic_load(&self->tid)) == 0) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
    thread_await_asleep((pid_t)tid);
}

START_TEST(the_only_worker_runs_a_member_that_joins_the_waitgroup_it_waits_for)
{
    weir_pool *pool = new_pool(1, 4);
    struct late_member self = {.wg = WEIR_WAITGROUP_INIT};
    weir_waitgroup_add(&self.wg, 1);
    /* Whether or not the waitgroup has counted tasks before must not matter. */
    if (_i == 1) {
        weir_waitgroup earlier = WEIR_WAITGROUP_INIT;
        ck_assert_int_eq(weir_waitgroup_go(&earlier, pool, return_0, NULL), 0);
        ck_assert_int_eq(weir_waitgroup_wait(&earlier), 0);
        ck_assert_int_eq(weir_waitgroup_go(&self.wg, pool, return_0, NULL), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
    }
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_for_the_waitgroup, &self, NULL), 0);
    await_waiter(&self);
    ck_assert_int_eq(weir_waitgroup_go(&self.wg, pool, be_a_late_member, &self), 0);
    weir_waitgroup_done(&self.wg);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(self.waited, 0);
    ck_assert(pthread_equal(self.member, self.waiter));
    finish_pool(pool);
}
END_TEST

START_TEST(the_only_worker_runs_a_late_member_beside_members_in_other_pools)
{
    /* The other pool is one that every waiter helps, or one that it does not. */
    weir_pool *pool = new_pool(1, 4), *other = NULL;
    ck_assert_int_eq(
        weir_pool_new(&other, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4,
                                                .outside_waiters_help = (unsigned char)_i)),
        0);
    struct late_member self = {.wg = WEIR_WAITGROUP_INIT};
    gate hold = GATE_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&self.wg, other, gate_task, &hold), 0);
    gate_await(&hold, 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_for_the_waitgroup, &self, NULL), 0);
    await_waiter(&self);
    ck_assert_int_eq(weir_waitgroup_go(&self.wg, pool, be_a_late_member, &self), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(self.waited, 0);
    ck_assert(pthread_equal(self.member, self.waiter));
    finish_pool(other);
    finish_pool(pool);
}
END_TEST

START_TEST(the_only_worker_runs_each_of_many_late_members)
{
    weir_pool *pool = new_pool(1, 2);
    struct late_member self = {.wg = WEIR_WAITGROUP_INIT};
    counter ran = COUNTER_INIT;
    weir_waitgroup_add(&self.wg, 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_for_the_waitgroup, &self, NULL), 0);
    await_waiter(&self);
    for (size_t i = 1; i <= 50; i++) {
        ck_assert_int_eq(weir_waitgroup_go(&self.wg, pool, counter_task, &ran), 0);
        if (i % 5 == 0)
            counter_await(&ran, i);
    }
    weir_waitgroup_done(&self.wg);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&ran), 50);
    finish_pool(pool);
}
END_TEST

START_TEST(a_worker_runs_a_member_that_joins_the_group_it_waits_for)
{
    weir_pool *pool = new_pool(2, 4);
    struct late_member self = {.wg = WEIR_WAITGROUP_INIT};
    gate hold = GATE_INIT;
    ck_assert_int_eq(weir_errgroup_new(&self.group, pool, NULL, NULL), 0);
    ck_assert_int_eq(weir_errgroup_go(self.group, gate_task, &hold), 0);
    gate_await(&hold, 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_for_the_group, &self, NULL), 0);
    await_waiter(&self);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(self.group, counter_task, &ran), 0);
    counter_await(&ran, 1);
    ck_assert_int_eq(weir_errgroup_go(self.group, be_a_late_member, &self), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(self.waited, 0);
    weir_errgroup_free(self.group);
    finish_pool(pool);
}
END_TEST

/* Waits inside tasks can be bounded like all others. */

struct bounded {
    weir_pool *pool;
    weir_context *ctx;
    gate *hold;
    atomic_int tid;
    int by_deadline, by_context, by_over_context;
    bool stayed_queued;
};

static int wait_bounded(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct bounded *self = arg;
    weir_task held = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(self->pool, &held, gate_task, self->hold, NULL);
    if (err != 0)
        return err;
    gate_await(self->hold, 1); /* another worker has it */
    self->by_deadline = weir_task_wait_until(&held, NULL, weir_after(WEIR_MS(5)));
    atomic_store(&self->tid, (int)thread_id());
    self->by_context = weir_task_wait_until(&held, self->ctx, WEIR_FOREVER);

    /* The context fails first: what is queued is not run by such a wait. */
    weir_task queued = WEIR_TASK_INIT;
    if ((err = weir_pool_submit_task(self->pool, &queued, return_0, NULL, NULL)) == 0) {
        self->by_over_context = weir_task_wait_until(&queued, self->ctx, WEIR_FOREVER);
        self->stayed_queued = weir_task_state(&queued) == WEIR_TASK_QUEUED;
        err = weir_task_wait(&queued);
    }
    gate_open(self->hold);
    int waited = weir_task_wait(&held);
    return err != 0 ? err : waited;
}

START_TEST(waits_inside_tasks_end_by_deadline_and_context)
{
    gate hold = GATE_INIT;
    struct bounded self = {.pool = new_pool(2, 4), .hold = &hold};
    ck_assert_int_eq(weir_context_new(&self.ctx, NULL, WEIR_FOREVER), 0);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(self.pool, &task, wait_bounded, &self, NULL), 0);
    int64_t deadline = patience();
    while (atomic_load(&self.tid) == 0) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
    thread_await_asleep((pid_t)atomic_load(&self.tid));
    weir_context_cancel(self.ctx, 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    ck_assert_int_eq(self.by_deadline, -ETIMEDOUT);
    ck_assert_int_eq(self.by_context, -ECANCELED);
    ck_assert_int_eq(self.by_over_context, -ECANCELED);
    ck_assert(self.stayed_queued);
    weir_context_unref(self.ctx);
    finish_pool(self.pool);
}
END_TEST

/* Threads outside the pool. */

struct seen {
    pthread_t thread;
    weir_pool *pool;
    int index;
};

static int see(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct seen *seen = arg;
    *seen = (struct seen){pthread_self(), weir_pool_current(), weir_pool_worker_index()};
    return 0;
}

static weir_pool *new_pool_with_outside_help(void)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 8,
                                                            .outside_waiters_help = 1)),
                     0);
    return pool;
}

static void assert_seen_here(const struct seen *seen)
{
    ck_assert(pthread_equal(seen->thread, pthread_self()));
    ck_assert_ptr_null(seen->pool);
    ck_assert_int_eq(seen->index, -1);
}

START_TEST(outside_waiters_help_where_the_pool_says_so)
{
    gate hold = GATE_INIT;
    counter strangers = COUNTER_INIT;
    weir_pool *pool = new_pool_with_outside_help();
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &strangers), 0);

    struct seen by_task = {0}, by_waitgroup = {0}, by_group = {0};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, see, &by_task, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    assert_seen_here(&by_task);

    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, see, &by_waitgroup), 0);
    ck_assert_int_eq(weir_waitgroup_wait_until(&wg, NULL, patience()), 0);
    assert_seen_here(&by_waitgroup);

    weir_errgroup *group;
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)), 0);
    for (int i = 0; i < 3; i++) { /* the second waits at the limit, and helps there */
        memset(&by_group, 0, sizeof by_group);
        ck_assert_int_eq(weir_errgroup_go(group, see, &by_group), 0);
    }
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
    assert_seen_here(&by_group);
    weir_errgroup_free(group);

    ck_assert_uint_eq(counter_get(&strangers), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.done, 7);
    weir_pool_free(pool);
}
END_TEST

static int wait_for_task(void *task)
{
    return weir_task_wait(task);
}

START_TEST(outside_waiters_only_sleep_where_it_does_not)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 8);
    saturate(pool, &hold, 1);
    weir_task task = WEIR_TASK_INIT;
    struct seen seen = {0};
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, see, &seen, NULL), 0);
    caller waiter;
    caller_start(&waiter, wait_for_task, &task);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_ptr_eq(seen.pool, pool);
    ck_assert_int_eq(seen.index, 0);
    finish_pool(pool);
}
END_TEST

/* Helped by several at once: each task must run exactly once. */

enum { HELPERS = 3, HELPED = 40, HELP_ROUNDS = 10 };

struct helped {
    weir_waitgroup wg;
    atomic_uint ran;
};

static int add_one(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)atomic_fetch_add((atomic_uint *)arg, 1);
    return 0;
}

static int wait_for_waitgroup(void *wg)
{
    return weir_waitgroup_wait(wg);
}

START_TEST(many_helpers_run_each_task_once)
{
    weir_pool *pool = new_pool_with_outside_help();
    for (int round = 0; round < HELP_ROUNDS; round++) {
        struct helped all = {.wg = WEIR_WAITGROUP_INIT};
        weir_waitgroup_add(&all.wg, 1);
        caller helpers[HELPERS];
        for (int i = 0; i < HELPERS; i++)
            caller_start(&helpers[i], wait_for_waitgroup, &all.wg);
        for (int i = 0; i < HELPED; i++)
            ck_assert_int_eq(weir_waitgroup_go(&all.wg, pool, add_one, &all.ran), 0);
        weir_waitgroup_done(&all.wg);
        ck_assert_int_eq(weir_waitgroup_wait_until(&all.wg, NULL, patience()), 0);
        for (int i = 0; i < HELPERS; i++)
            ck_assert_int_eq(caller_join(&helpers[i]), 0);
        ck_assert_uint_eq(atomic_load(&all.ran), HELPED);
    }
    finish_pool(pool);
}
END_TEST

/* All kinds of waits below each other, on few workers with little room. */

struct mixed {
    weir_pool *pool;
    unsigned depth;
    atomic_uint *leaves;
};

static int branch(weir_context *ctx, void *arg)
{
    const struct mixed *self = arg;
    if (self->depth == 0) {
        (void)atomic_fetch_add(self->leaves, 1);
        return 0;
    }
    struct mixed below = {self->pool, self->depth - 1, self->leaves};
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    weir_errgroup *group;
    int err = weir_errgroup_new(&group, self->pool, ctx, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    if (err != 0)
        return err;
    int by_task = weir_pool_submit_task(self->pool, &task, branch, &below, NULL);
    int by_waitgroup = weir_waitgroup_go(&wg, self->pool, branch, &below);
    int by_group = weir_errgroup_go(group, branch, &below);
    if (by_group == 0)
        by_group = weir_errgroup_go(group, branch, &below);
    int waited = weir_errgroup_wait(group);
    if (waited == 0)
        waited = weir_waitgroup_wait(&wg);
    if (waited == 0 && by_task == 0)
        waited = weir_task_wait(&task);
    weir_errgroup_free(group);
    return by_task != 0 || by_waitgroup != 0 || by_group != 0 ? -EPROTO : waited;
}

START_TEST(all_kinds_of_waits_nest_in_each_other)
{
    weir_pool *pool = new_pool(sizes[_i].workers, sizes[_i].capacity);
    atomic_uint leaves = 0;
    struct mixed root = {pool, 4, &leaves};
    run_task(pool, branch, &root);
    ck_assert_uint_eq(atomic_load(&leaves), 4 * 4 * 4 * 4);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("nesting");

    TCase *waits = add_group(suite, "waits");
    tcase_add_loop_test(waits, tasks_that_wait_for_tasks_end, 0, SIZES);
    tcase_add_loop_test(waits, tasks_that_wait_for_waitgroups_end, 0, SIZES);
    tcase_add_loop_test(waits, tasks_that_wait_for_errgroups_end, 0, SIZES);
    tcase_add_loop_test(waits, all_kinds_of_waits_nest_in_each_other, 0, SIZES);
    tcase_add_test(waits, waits_nest_deeper_than_runs_in_place);
    tcase_add_loop_test(waits, a_waiter_runs_what_it_waits_for_and_no_stranger, 0, 3);
    tcase_add_test(waits, a_waiting_worker_does_not_run_strangers_while_it_sleeps);
    tcase_add_loop_test(waits, the_only_worker_runs_a_member_that_joins_the_waitgroup_it_waits_for,
                        0, 2);
    tcase_add_loop_test(waits, the_only_worker_runs_a_late_member_beside_members_in_other_pools, 0,
                        2);
    tcase_add_test(waits, the_only_worker_runs_each_of_many_late_members);
    tcase_add_test(waits, a_worker_runs_a_member_that_joins_the_group_it_waits_for);
    tcase_add_test(waits, waits_inside_tasks_end_by_deadline_and_context);

    TCase *submits = add_group(suite, "submits");
    tcase_add_test(submits, a_task_that_finds_its_own_pool_full_runs_the_new_one_itself);
    tcase_add_test(submits, runs_in_place_nest_sixty_four_deep);

    TCase *outside = add_group(suite, "outside");
    tcase_add_test(outside, outside_waiters_help_where_the_pool_says_so);
    tcase_add_test(outside, outside_waiters_only_sleep_where_it_does_not);
    tcase_add_test(outside, many_helpers_run_each_task_once);

    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, a_task_cannot_wait_for_itself);
    tcase_add_test(misuse, a_task_cannot_wait_for_the_one_that_it_runs_inside);
    tcase_add_test(misuse,
                   of_two_tasks_that_wait_for_each_other_on_one_worker_the_second_is_refused);
    tcase_add_test(misuse, a_task_cannot_drain_its_own_pool_but_another);
    return suite;
}
