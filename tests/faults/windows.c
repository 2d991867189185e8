/* SPDX-License-Identifier: MIT */
/* windows.c - moments between two steps of the library that real threads meet once in a million
 * times, held open: a call of the library's own is taken over at link time, or its fields are
 * changed as another thread would change them.
 */
#include "support/suite.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pool/pool.h"
#include "support/covered.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* A submitter that has pushed a task and is about to wake a worker: what happens before it does.
 * The worker must not take the task meanwhile, so the wake is made up for later. */
static _Atomic(weir_pool *) closing;

bool __real_weir__eventcount_wake(struct eventcount *ec);
bool __wrap_weir__eventcount_wake(struct eventcount *ec);

bool __wrap_weir__eventcount_wake(struct eventcount *ec)
{
    weir_pool *pool = atomic_load(&closing);
    if (pool == NULL || ec != &pool->queue.idle)
        return __real_weir__eventcount_wake(ec);
    atomic_store(&closing, NULL);
    weir_pool_close(pool);
    return true;
}

static void make_up_for_the_wake(weir_pool *pool)
{
    weir__eventcount_wake_another(&pool->queue.idle);
}

/* How a task can come with a context. */

static int submit_plain(weir_pool *pool, weir_context *ctx, counter *ran)
{
    return weir_pool_submit_until(pool, counter_task, ran, ctx, WEIR_FOREVER);
}

static int submit_task(weir_pool *pool, weir_context *ctx, counter *ran)
{
    static weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task_until(pool, &task, counter_task, ran, NULL, ctx, WEIR_FOREVER);
    return weir_task_state(&task) == WEIR_TASK_IDLE ? err : -EPROTO;
}

static int submit_counted(weir_pool *pool, weir_context *ctx, counter *ran)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    int err = weir_waitgroup_go_until(&wg, pool, counter_task, ran, ctx, WEIR_FOREVER);
    return weir_waitgroup_try_wait(&wg) == 0 ? err : -EPROTO;
}

static int submit_member(weir_pool *pool, weir_context *ctx, counter *ran)
{
    weir_errgroup *group = NULL;
    int err = weir_errgroup_new(&group, pool, ctx, NULL);
    if (err == 0)
        err = weir_errgroup_go(group, counter_task, ran);
    weir_errgroup_free(group);
    return err;
}

static int (*const submits[])(weir_pool *pool, weir_context *ctx, counter *ran) = {
    submit_plain, submit_task, submit_counted, submit_member};
enum { SUBMITS = sizeof submits / sizeof submits[0] };

/* Until the worker is asleep, or about to be, so that a submit has a worker to wake. */
static void await_idle_worker(weir_pool *pool)
{
    int64_t deadline = patience();
    while (!eventcount_has_sleepers(&pool->queue.idle) && weir_now() < deadline)
        (void)sched_yield();
    ck_assert(eventcount_has_sleepers(&pool->queue.idle));
}

START_TEST(a_task_whose_pool_is_closed_right_after_the_push_is_refused_after_all)
{
    counter ran = COUNTER_INIT;
    weir_context *ctx = NULL;
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    await_idle_worker(pool);
    atomic_store(&closing, pool);
    ck_assert_int_eq(submits[_i](pool, ctx, &ran), -EPIPE);
    ck_assert_ptr_null(atomic_load(&closing));
    make_up_for_the_wake(pool);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, 0);
    ck_assert_uint_eq(counts.rejected, 1);
    ck_assert_int_eq(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, NULL), 0);
    ck_assert_uint_eq(counter_get(&ran), 0);
    weir_pool_free(pool);
    weir_context_unref(ctx);
    covered("tasks retracted", 1);
}
END_TEST

static int submit_one(void *arg)
{
    static counter ran = COUNTER_INIT;
    return weir_pool_try_submit(arg, counter_task, &ran);
}

/* All free slots of the pool, as if that many threads were in the middle of a call. */
static uint32_t take_all_slots(weir_pool *pool, uint32_t taken[])
{
    uint32_t n = 0;
    for (uint32_t link; (link = weir__freelist_take_shared(&pool->queue.free)) != LINK_NONE;)
        taken[n++] = link;
    return n;
}

/* While no slot is free, `submit` waits; it continues with the one that comes back. */
static void await_a_slot(weir_pool *pool, uint32_t slot, int (*submit)(void *))
{
    caller submitter;
    caller_start(&submitter, submit, pool);
    for (int i = 0; i < 1000; i++)
        (void)sched_yield();
    ck_assert(!caller_is_over(&submitter));
    weir__freelist_give_shared(&pool->queue.free, slot);
    ck_assert_int_eq(caller_join(&submitter), 0);
}

START_TEST(a_submit_that_finds_every_slot_in_somebodys_hands_waits_for_one)
{
    static uint32_t taken[2 * SLOT_MARGIN];
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 2);
    saturate(pool, &hold, 1);
    uint32_t n = take_all_slots(pool, taken);
    ck_assert_uint_ge(n, SLOT_MARGIN);
    await_a_slot(pool, taken[--n], submit_one);

    /* With the queue full as well it need not wait to know that. */
    weir__freelist_give_shared(&pool->queue.free, taken[--n]);
    ck_assert_int_eq(submit_one(pool), 0);
    ck_assert_int_eq(submit_one(pool), -EAGAIN);
    covered("slots held", n);
    while (n > 0)
        weir__freelist_give_shared(&pool->queue.free, taken[--n]);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

static int submit_for_later(void *arg)
{
    static counter ran = COUNTER_INIT;
    static weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task_at(arg, &task, counter_task, &ran, NULL, WEIR_FOREVER - 1);
    return err == 0 ? weir_task_cancel(&task) : err;
}

START_TEST(a_timer_that_finds_every_slot_in_somebodys_hands_waits_for_one)
{
    static uint32_t taken[2 * SLOT_MARGIN];
    weir_pool *pool = new_pool(1, 2);
    ck_assert_int_eq(submit_for_later(pool),
                     0); /* the slot of a new place is among the free ones */
    uint32_t n = take_all_slots(pool, taken);
    ck_assert_uint_ge(n, SLOT_MARGIN);
    await_a_slot(pool, taken[--n], submit_for_later);
    covered("slots held", n);
    while (n > 0)
        weir__freelist_give_shared(&pool->queue.free, taken[--n]);
    finish_pool(pool);
}
END_TEST

struct hoarder {
    weir_pool *pool;
    unsigned room; /* how many fit into the queue */
    counter *ran;
};

/* Fills the queue with tasks that are cancelled, and clears them off again by a submit that finds
 * it full: so their slots end up with this thread. What that submit queued is cancelled too. */
static int hoard_slots(void *arg)
{
    struct hoarder *self = arg;
    weir_task *tasks = calloc(self->room + 1, sizeof *tasks);
    int err = tasks != NULL ? 0 : -ENOMEM;
    for (unsigned i = 0; i < self->room && err == 0; i++)
        err = weir_pool_try_submit_task(self->pool, &tasks[i], counter_task, self->ran, NULL);
    for (unsigned i = 0; i < self->room && err == 0; i++)
        err = weir_task_cancel(&tasks[i]);
    if (err == 0)
        err = weir_pool_submit_task(self->pool, &tasks[self->room], counter_task, self->ran, NULL);
    if (err == 0)
        err = weir_task_cancel(&tasks[self->room]);
    free(tasks);
    return err;
}

/* A worker takes single slots where no magazine is full, and has its own exchanged where one is. */
START_TEST(a_worker_takes_the_last_slot_as_well)
{
    static struct freelist list;
    static char lines[CACHE_LINE * 2 * SLOT_MARGIN];
    const uint32_t all = freelist_slots(1, 1);
    ck_assert_int_eq(weir__freelist_init(&list, all, all, 1, lines), 0);
    struct loaded own = freelist_first_magazine(0);
    static uint32_t taken[2 * SLOT_MARGIN];
    for (int lap = 0; lap < 2; lap++) {
        uint32_t n = 0;
        for (uint32_t link; (link = freelist_take(&list, &own)) != LINK_NONE;)
            taken[n++] = link;
        ck_assert_uint_eq(n, all);
        covered("slots taken by a worker", n);
        while (n > 0)
            freelist_give(&list, &own, taken[--n]);
    }
    weir__freelist_destroy(&list);
}
END_TEST

START_TEST(what_is_free_is_found_wherever_it_is)
{
    enum { CAPACITY = 4096, HOARDERS = 8 };
    static uint32_t taken[CAPACITY + 2 * SLOT_MARGIN];
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_pool(1, CAPACITY);
    saturate(pool, &hold, 1);
    for (unsigned i = 0; i < HOARDERS; i++) {
        /* The dead ticket of the one before takes a place. */
        struct hoarder self = {pool, CAPACITY - (i > 0 ? 1 : 0), &ran};
        caller hoarder;
        caller_start(&hoarder, hoard_slots, &self);
        ck_assert_int_eq(caller_join(&hoarder), 0);
    }
    uint32_t n = take_all_slots(pool, taken);
    ck_assert_uint_ge(n, CAPACITY - 1 + SLOT_MARGIN);
    ck_assert_uint_lt(n, load_rlx(&pool->queue.slot_count));
    covered("slots found", n);
    while (n > 0)
        weir__freelist_give_shared(&pool->queue.free, taken[--n]);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&ran), 0);
    weir_pool_free(pool);
}
END_TEST

/* A thread that changes the rate has proposed the new one and is held up for hours, until somebody
 * else completes the change: that is all in the first word, the state. The change may count as made
 * at any moment in between, so that each of these seconds is paid for at one rate or the other. */
START_TEST(a_change_of_the_rate_that_others_complete_hours_later_is_paid_for_once)
{
    enum { BURST = 1 << 28, FAST = 20000, SECONDS = 10000 };
    const double slow = 7654.321; /* of small units: they reach no further than 2.5 h */
    weir_limiter limiter;
    ck_assert_int_eq(weir_limiter_init(&limiter, FAST, BURST), 0);
    ck_assert_int_eq(weir_limiter_allow_at(&limiter, BURST, 0), 0);
    uint64_t before = limiter.words_[0];
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, slow, 0), 0);
    limiter.words_[0] = before;
    ck_assert_int_eq(weir_limiter_set_rate_at(&limiter, 0, WEIR_S(SECONDS)), 0);
    uint32_t tokens = 0;
    for (uint32_t n = BURST; n > 0; n /= 2)
        if (weir_limiter_allow_at(&limiter, n, WEIR_S(SECONDS)) == 0)
            tokens += n;
    ck_assert_uint_ge(tokens, (uint32_t)(slow * SECONDS) - 1);
    ck_assert_uint_le(tokens, FAST * SECONDS);
}
END_TEST

/* Upkeep of leases has seen one that was idle for too long, and is about to take the permit for it:
 * somebody borrows that one before it does. */
static weir_lease_pool *borrowing;
static void *borrowed;
static int borrow_err;

int __real_weir_semaphore_try_acquire(weir_semaphore *sem, uint32_t n);
int __wrap_weir_semaphore_try_acquire(weir_semaphore *sem, uint32_t n);

int __wrap_weir_semaphore_try_acquire(weir_semaphore *sem, uint32_t n)
{
    weir_lease_pool *pool = borrowing;
    borrowing = NULL;
    if (pool != NULL)
        borrow_err = weir_lease_acquire(pool, &borrowed);
    return __real_weir_semaphore_try_acquire(sem, n);
}

struct things {
    int made, destroyed;
};

static int make_thing(void *user, void **ret_resource)
{
    struct things *things = user;
    *ret_resource = &things->made;
    things->made++;
    return 0;
}

static void destroy_thing(void *user, void *resource)
{
    struct things *things = user;
    (void)resource;
    things->destroyed++;
}

START_TEST(a_lease_that_is_borrowed_before_upkeep_comes_to_it_is_left_alone)
{
    struct things things = {0, 0};
    weir_lease_pool *pool = NULL;
    ck_assert_int_eq(weir_lease_pool_new(
                         &pool, WEIR_LEASE_OPTIONS(.max = 2, .idle_timeout = 1, .make = make_thing,
                                                   .destroy = destroy_thing, .user = &things)),
                     0);
    borrowed = NULL;
    while (borrowed == NULL) { /* again, if the clock did not move meanwhile */
        void *thing = NULL;
        ck_assert_int_eq(weir_lease_acquire(pool, &thing), 0);
        borrowing = pool;
        weir_lease_release(pool, thing, 0);
        borrowing = NULL;
    }
    ck_assert_int_eq(borrow_err, 0);
    ck_assert_int_eq(things.made - things.destroyed, 1);
    weir_lease_release(pool, borrowed, 0);
    weir_lease_pool_free(pool);
    ck_assert_int_eq(things.made, things.destroyed);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_windows");
    TCase *retract = add_group(suite, "retract");
    tcase_add_loop_test(
        retract, a_task_whose_pool_is_closed_right_after_the_push_is_refused_after_all, 0, SUBMITS);
    TCase *slots = add_group(suite, "slots");
    tcase_add_test(slots, a_submit_that_finds_every_slot_in_somebodys_hands_waits_for_one);
    tcase_add_test(slots, a_timer_that_finds_every_slot_in_somebodys_hands_waits_for_one);
    tcase_add_test(slots, a_worker_takes_the_last_slot_as_well);
    tcase_add_test(slots, what_is_free_is_found_wherever_it_is);
    TCase *lease = add_group(suite, "lease");
    tcase_add_test(lease, a_lease_that_is_borrowed_before_upkeep_comes_to_it_is_left_alone);
    TCase *limiter = add_group(suite, "limiter");
    tcase_add_test(limiter, a_change_of_the_rate_that_others_complete_hours_later_is_paid_for_once);
    return suite;
}
