/* SPDX-License-Identifier: MIT */
/* local_order.c - WEIR_ORDER_LOCAL: in which order tasks start, how many may wait, and that every
 * promise but first in, first out is kept.
 *
 * Where the order is asserted there is one worker that takes, or a parent that holds its own; so it
 * does not depend on who is quicker.
 */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

enum { MOST = 400, FROM_OUTSIDE = 1000, PAGE = 1 << 14 };

/* A task with a number, which it records. */
struct numbered {
    recorder *log;
    int number;
};

struct family {
    weir_pool *pool;
    recorder log;
    gate hold;              /* where the parent waits, or a child */
    meeting place;          /* likewise */
    weir_waitgroup members; /* of the parent */
    unsigned n;             /* children */
    int (*submit)(weir_pool *pool, weir_task_fn *fn, void *arg);
    int accepted;   /* by a try_ submit */
    int refused;    /* what the last one returned */
    atomic_int err; /* the first that was not expected */
    unsigned drops; /* told by on_drop */
    weir_state why; /* of the last one */
    struct numbered children[MOST];
    weir_task handles[MOST];
};

static void note_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    struct family *family = user;
    (void)fn;
    (void)arg;
    family->drops++;
    family->why = why;
}

static struct family *new_family(const weir_pool_options *given)
{
    struct family *family = calloc(1, sizeof *family);
    weir_pool_options options = *given;
    ck_assert_ptr_nonnull(family);
    family->log = (recorder)RECORDER_INIT;
    family->hold = (gate)GATE_INIT;
    for (int i = 0; i < MOST; i++)
        family->children[i] = (struct numbered){&family->log, i};
    options.on_drop = note_drop;
    options.user = family;
    ck_assert_int_eq(weir_pool_new(&family->pool, &options), 0);
    return family;
}

#define NEW_FAMILY(...) new_family(WEIR_POOL_OPTIONS(.order = WEIR_ORDER_LOCAL, __VA_ARGS__))

static void end_family(struct family *family)
{
    ck_assert_int_eq(family->err, 0);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    assert_balance(family->pool);
    weir_pool_free(family->pool);
    free(family);
}

static void run_parent(struct family *family, weir_task_fn *fn)
{
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(family->pool, &task, fn, family, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
}

static int record(weir_context *ctx, void *arg)
{
    const struct numbered *self = arg;
    (void)ctx;
    recorder_add(self->log, self->number);
    return 0;
}

static void note(struct family *family, int err)
{
    int none = 0;
    if (err != 0)
        (void)atomic_compare_exchange_strong(&family->err, &none, err);
}

static int submit_n(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    for (unsigned i = 0; i < family->n; i++)
        note(family, weir_pool_submit(family->pool, record, &family->children[i]));
    return 0;
}

/* Order. */

START_TEST(a_worker_runs_the_newest_task_of_its_own_first)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    family->n = 5;
    run_parent(family, submit_n);
    recorder_await(&family->log, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_at(&family->log, (size_t)i), 4 - i);
    end_family(family);
}
END_TEST

static int submit_n_and_hold(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)submit_n(ctx, arg);
    gate_wait(&family->hold);
    return 0;
}

START_TEST(another_worker_takes_the_oldest)
{
    struct family *family = NEW_FAMILY(.workers = 2);
    family->n = 5;
    ck_assert_int_eq(weir_pool_submit(family->pool, submit_n_and_hold, family), 0);
    recorder_await(&family->log, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_at(&family->log, (size_t)i), i);
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

/* The 61st that it takes of its own is the oldest, and so is each 61st after that. */
START_TEST(one_of_sixty_one_is_the_oldest)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    family->n = 130;
    run_parent(family, submit_n);
    recorder_await(&family->log, family->n);
    int newest = (int)family->n - 1, oldest = 0;
    for (int i = 1; i <= (int)family->n; i++)
        ck_assert_int_eq(recorder_at(&family->log, (size_t)i - 1),
                         i % 61 == 0 ? oldest++ : newest--);
    end_family(family);
}
END_TEST

/* Those that were cancelled are none of them, at whichever end. */
static int submit_n_and_cancel_the_ends(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    int last = (int)family->n - 1;
    const int cancelled[] = {0, 1, last - 1, last};
    (void)ctx;
    for (unsigned i = 0; i < family->n; i++)
        note(family, weir_pool_submit_task(family->pool, &family->handles[i], record,
                                           &family->children[i], NULL));
    for (int i = 0; i < 4; i++)
        note(family, weir_task_cancel(&family->handles[cancelled[i]]));
    return 0;
}

START_TEST(one_of_sixty_one_that_start_is_the_oldest)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    family->n = 134;
    run_parent(family, submit_n_and_cancel_the_ends);
    recorder_await(&family->log, family->n - 4);
    int newest = (int)family->n - 3, oldest = 2;
    for (int i = 1; i <= (int)family->n - 4; i++)
        ck_assert_int_eq(recorder_at(&family->log, (size_t)i - 1),
                         i % 61 == 0 ? oldest++ : newest--);
    end_family(family);
}
END_TEST

/* Tasks from outside wait in the ring: the first starts after 64 from the deque, the next after as
 * many more. */
START_TEST(a_task_from_outside_starts_after_sixty_four_of_a_worker_s_own)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    struct numbered outside[2] = {{&family->log, FROM_OUTSIDE}, {&family->log, FROM_OUTSIDE + 1}};
    family->n = 200;
    ck_assert_int_eq(weir_pool_submit(family->pool, submit_n_and_hold, family), 0);
    gate_await(&family->hold, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit(family->pool, record, &outside[i]), 0);
    gate_open(&family->hold);
    recorder_await(&family->log, family->n + 2);
    for (size_t i = 0; i < family->n + 2; i++) {
        int is = recorder_at(&family->log, i);
        ck_assert_int_eq(is == FROM_OUTSIDE, i == 64);
        ck_assert_int_eq(is == FROM_OUTSIDE + 1, i == 129);
    }
    end_family(family);
}
END_TEST

/* All workers but one are blocked, each with EACH children in its deque. The one that goes on has
 * enough to do without these: from outside, or tasks that submit each other. */

enum { EACH = 3, OTHERS_EACH = 64, MOST_OWNERS = MOST / EACH };

struct blocked {
    struct family *family;
    gate goer; /* where the one that is to go on waits */
    atomic_uint owners, links;
};

static int submit_own_and_block(weir_context *ctx, void *arg)
{
    struct blocked *blocked = arg;
    struct family *family = blocked->family;
    (void)ctx;
    unsigned first = EACH * atomic_fetch_add(&blocked->owners, 1);
    meeting_wait(&family->place); /* from here on no worker is idle */
    for (unsigned i = first; i < first + EACH; i++)
        note(family, weir_pool_submit(family->pool, record, &family->children[i]));
    gate_wait(&family->hold);
    return 0;
}

static int link_of_chain(weir_context *ctx, void *arg)
{
    struct blocked *blocked = arg;
    struct family *family = blocked->family;
    (void)ctx;
    recorder_add(&family->log, FROM_OUTSIDE);
    if (atomic_fetch_sub(&blocked->links, 1) > 1)
        note(family, weir_pool_submit(family->pool, link_of_chain, blocked));
    return 0;
}

/* Blocks all but one of the workers, and gives that one `n` tasks, which it does not begin yet. */
static void block_all_but_one(struct blocked *blocked, unsigned owners, unsigned n, bool chained)
{
    static struct numbered outside;
    struct family *family = blocked->family;
    outside = (struct numbered){&family->log, FROM_OUTSIDE};
    ck_assert_int_eq(weir_pool_submit(family->pool, gate_task, &blocked->goer), 0);
    gate_await(&blocked->goer, 1);
    for (unsigned i = 0; i < owners; i++)
        ck_assert_int_eq(weir_pool_submit(family->pool, submit_own_and_block, blocked), 0);
    gate_await(&family->hold, owners);
    atomic_store(&blocked->links, n);
    if (chained)
        ck_assert_int_eq(weir_pool_submit(family->pool, link_of_chain, blocked), 0);
    for (unsigned i = 0; i < n && !chained; i++)
        ck_assert_int_eq(weir_pool_submit(family->pool, record, &outside), 0);
}

static const unsigned crews[] = {2, 3, 8};
enum { CREWS = sizeof crews / sizeof crews[0] };

START_TEST(the_oldest_of_a_blocked_worker_starts_after_sixty_four_of_each)
{
    unsigned workers = crews[_i / 2], owners = workers - 1, seen[MOST_OWNERS] = {0};
    unsigned n = OTHERS_EACH * workers * EACH + 1;
    struct family *family = NEW_FAMILY(.workers = workers, .capacity = 2 * n);
    struct blocked blocked = {.family = family, .goer = GATE_INIT};
    family->place = (meeting)MEETING_INIT(owners);
    block_all_but_one(&blocked, owners, n, _i % 2 != 0);
    gate_open(&blocked.goer);
    recorder_await(&family->log, n + owners * EACH);
    for (size_t i = 0; i < n + owners * EACH; i++) {
        int child = recorder_at(&family->log, i);
        if (child == FROM_OUTSIDE)
            continue;
        unsigned nth = ++seen[child / EACH]; /* of its deque, the oldest first */
        ck_assert_int_eq(child % EACH, (int)nth - 1);
        ck_assert_uint_le(i, OTHERS_EACH * workers * nth);
    }
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

/* What a task of another pool submits is from outside; so is what comes due. */
static int submit_from_elsewhere(weir_context *ctx, void *arg)
{
    return submit_n(ctx, arg);
}

START_TEST(what_comes_from_elsewhere_is_first_in_first_out)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    weir_pool *other = new_pool(1, 4);
    family->n = 5;
    ck_assert_int_eq(weir_pool_submit(family->pool, gate_task, &family->hold), 0);
    gate_await(&family->hold, 1);
    ck_assert_int_eq(weir_pool_submit(other, submit_from_elsewhere, family), 0);
    finish_pool(other);
    gate_open(&family->hold);
    recorder_await(&family->log, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_at(&family->log, (size_t)i), i);
    end_family(family);
}
END_TEST

/* Bounds. */

/* Tries until it is refused. */
static int try_all(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    family->accepted = 0;
    do {
        family->refused =
            weir_pool_try_submit(family->pool, record, &family->children[family->accepted]);
        family->accepted += family->refused == 0;
    } while (family->refused == 0 && family->accepted < MOST);
    if (weir_pool_queued(family->pool) != (size_t)family->accepted)
        note(family, -EPROTO);
    return 0;
}

static const struct {
    unsigned capacity, local;
} sizes[] = {{1, 1}, {1, 2}, {4, 3}, {3, 8}, {2, 0}};

START_TEST(exactly_as_many_wait_as_fit)
{
    unsigned capacity = sizes[_i].capacity, local = sizes[_i].local;
    struct family *family = NEW_FAMILY(.workers = 1, .capacity = capacity, .local = local);
    int fit = (int)(capacity + (local != 0 ? local : 256));
    for (int lap = 0; lap < 3; lap++) {
        run_parent(family, try_all);
        ck_assert_int_eq(family->refused, -EAGAIN);
        ck_assert_int_eq(family->accepted, fit);
        ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
        ck_assert_uint_eq(recorder_count(&family->log), (size_t)(fit * (lap + 1)));
    }
    ck_assert_uint_eq(weir_pool_capacity(family->pool), capacity);
    end_family(family);
}
END_TEST

/* Also of tasks that are retried, for each of which more is kept. */

enum { RETRIED = 1100 }; /* by each of two: more than are kept as a margin */

struct retrying {
    struct family *family;
    atomic_uint parents;
    weir_task handles[2][RETRIED];
};

static int submit_retried(weir_context *ctx, void *arg)
{
    struct retrying *retrying = arg;
    struct family *family = retrying->family;
    (void)ctx;
    weir_task *handles = retrying->handles[atomic_fetch_add(&retrying->parents, 1)];
    meeting_wait(&family->place);
    for (int i = 0; i < RETRIED; i++)
        note(family, weir_pool_submit_retry(family->pool, &handles[i], record, &family->children[0],
                                            NULL, NULL));
    meeting_wait(&family->place);
    return 0;
}

START_TEST(as_many_retried_tasks_wait)
{
    struct family *family = NEW_FAMILY(.workers = 2, .capacity = 2, .local = RETRIED);
    struct retrying *retrying = calloc(1, sizeof *retrying);
    ck_assert_ptr_nonnull(retrying);
    retrying->family = family;
    family->place = (meeting)MEETING_INIT(2);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit(family->pool, submit_retried, retrying), 0);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    ck_assert_uint_eq(recorder_count(&family->log), 2 * RETRIED);
    end_family(family);
    free(retrying);
}
END_TEST

/* Two in the deque, two in the ring, and the fifth at once. */
START_TEST(a_full_deque_leaves_it_to_the_ring_and_that_to_the_policy)
{
    static const int order[] = {4, 1, 0, 2, 3};
    struct family *family = NEW_FAMILY(.workers = 1, .capacity = 2, .local = 2);
    family->n = 5;
    run_parent(family, submit_n);
    recorder_await(&family->log, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_at(&family->log, i), order[i]);
    end_family(family);
}
END_TEST

START_TEST(a_full_pool_drops_the_oldest_of_the_ring)
{
    static const int order[] = {1, 0, 3, 4};
    struct family *family =
        NEW_FAMILY(.workers = 1, .capacity = 2, .local = 2, .overflow = WEIR_OVERFLOW_DROP_OLDEST);
    family->n = 5;
    run_parent(family, submit_n);
    recorder_await(&family->log, 4);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    ck_assert_uint_eq(family->drops, 1);
    ck_assert_int_eq(family->why, WEIR_TASK_DROPPED);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(recorder_at(&family->log, i), order[i]);
    end_family(family);
}
END_TEST

START_TEST(a_full_pool_that_rejects_does_so)
{
    struct family *family =
        NEW_FAMILY(.workers = 1, .capacity = 2, .local = 2, .overflow = WEIR_OVERFLOW_REJECT);
    family->n = 5;
    run_parent(family, submit_n);
    ck_assert_int_eq(family->err, -EAGAIN);
    family->err = 0;
    end_family(family);
}
END_TEST

/* Tasks that were cancelled in a full deque give their places back, from whichever end. */
static int cancel_some_and_submit(weir_context *ctx, void *arg)
{
    static const int cancelled[] = {0, 3, 2}; /* of four: the oldest, and the two newest */
    struct family *family = arg;
    (void)ctx;
    for (int i = 0; i < 4; i++)
        note(family, weir_pool_submit_task(family->pool, &family->handles[i], record,
                                           &family->children[i], NULL));
    note(family, weir_pool_submit(family->pool, record, &family->children[7])); /* to the ring */
    for (int i = 0; i < 3; i++)
        note(family, weir_task_cancel(&family->handles[cancelled[i]]));
    if (weir_pool_queued(family->pool) != 2)
        note(family, -EPROTO);
    for (int i = 4; i < 7; i++)
        note(family, family->submit(family->pool, record, &family->children[i]));
    return 0;
}

/* One of them would run a task in place if there were no room. */
static int (*const submits[])(weir_pool *pool, weir_task_fn *fn, void *arg) = {weir_pool_try_submit,
                                                                               weir_pool_submit};
enum { SUBMITS = sizeof submits / sizeof submits[0] };

START_TEST(cancelled_tasks_give_their_places_back)
{
    static const int order[] = {6, 5, 4, 1, 7};
    struct family *family = NEW_FAMILY(.workers = 1, .capacity = 1, .local = 4);
    family->submit = submits[_i];
    run_parent(family, cancel_some_and_submit);
    recorder_await(&family->log, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(recorder_at(&family->log, i), order[i]);
    end_family(family);
}
END_TEST

/* So do tasks that have expired, of the ring and of the deque; but a try that finds room ends none.
 */
static int let_some_expire_and_submit(weir_context *ctx, void *arg)
{
    enum {
        LIVE = 2,
        FIT = 8,
        ROOM = 6
    }; /* the last LIVE of the deque's four stay; the ring's are 4 to 7 */
    struct family *family = arg;
    int64_t soon = weir_after(WEIR_S(1)); /* a submit after that is refused */
    (void)ctx;
    for (int i = 0; i < FIT; i++)
        note(family,
             weir_pool_try_submit_task(
                 family->pool, &family->handles[i], record, &family->children[i],
                 WEIR_TASK_OPTIONS(.start_by =
                                       i >= FIT / 2 - LIVE && i < FIT / 2 ? WEIR_FOREVER : soon)));
    note(family, weir_sleep_until(NULL, soon + 1));
    if (weir_pool_queued(family->pool) != FIT)
        note(family, -EPROTO);
    for (int i = FIT; i < FIT + ROOM; i++)
        note(family, family->submit(family->pool, record, &family->children[i]));
    family->refused = weir_pool_try_submit(family->pool, record, &family->children[FIT + ROOM]);
    return 0;
}

START_TEST(expired_tasks_give_their_places_back)
{
    static const int order[] = {9, 8, 3, 2, 10, 11, 12, 13};
    struct family *family = NEW_FAMILY(.workers = 1, .capacity = 4, .local = 4);
    family->submit = submits[_i];
    run_parent(family, let_some_expire_and_submit);
    ck_assert_int_eq(family->refused, -EAGAIN);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(weir_task_wait_until(&family->handles[i], NULL, patience()), 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(weir_task_state(&family->handles[i]),
                         i == 2 || i == 3 ? WEIR_TASK_DONE : WEIR_TASK_EXPIRED);
    recorder_await(&family->log, 8);
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(recorder_at(&family->log, i), order[i]);
    end_family(family);
}
END_TEST

static int let_a_deque_expire_and_submit(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    int64_t soon = weir_after(WEIR_S(1));
    (void)ctx;
    for (int i = 0; i < 2; i++)
        note(family,
             weir_pool_submit_task(family->pool, &family->handles[i], record, &family->children[i],
                                   WEIR_TASK_OPTIONS(.start_by = soon)));
    note(family, weir_pool_submit(family->pool, record, &family->children[2])); /* to the ring */
    note(family, weir_sleep_until(NULL, soon + 1));
    for (int i = 3; i < 5; i++)
        note(family, weir_pool_submit(family->pool, record, &family->children[i]));
    return 0;
}

START_TEST(no_task_runs_in_place_while_tasks_of_a_deque_have_expired)
{
    static const int order[] = {4, 3, 2};
    struct family *family = NEW_FAMILY(.workers = 1, .capacity = 1, .local = 2);
    run_parent(family, let_a_deque_expire_and_submit);
    recorder_await(&family->log, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(recorder_at(&family->log, i), order[i]);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_task_state(&family->handles[i]), WEIR_TASK_EXPIRED);
    end_family(family);
}
END_TEST

/* Nobody is idle beside a queued task. */

static int submit_two_that_meet(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    note(family, weir_pool_submit(family->pool, meeting_task, &family->place));
    note(family, weir_pool_submit(family->pool, meeting_task, &family->place));
    meeting_wait(&family->place);
    return 0;
}

START_TEST(children_that_wait_for_each_other_run_at_once)
{
    struct family *family = NEW_FAMILY(.workers = 3);
    family->place = (meeting)MEETING_INIT(3);
    for (int lap = 0; lap < 20; lap++) {
        ck_assert_int_eq(weir_pool_submit(family->pool, submit_two_that_meet, family), 0);
        ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    }
    end_family(family);
}
END_TEST

/* Waits. */

static const struct {
    unsigned workers, capacity, local;
} shapes[] = {{1, 1, 1}, {1, 4, 2}, {1, 64, 256}, {2, 1, 1}, {2, 2, 3}, {4, 2, 2}, {4, 64, 256}};

enum { SHAPES = sizeof shapes / sizeof shapes[0], N = 12, FIB_N = 144 };

struct fib {
    weir_pool *pool;
    int n, result;
    int way;
};

static int fib(weir_context *ctx, void *arg);

static int fib_by_handles(weir_pool *pool, struct fib *a, struct fib *b, bool newest_first)
{
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    int err = weir_pool_submit_task(pool, &tasks[0], fib, a, NULL);
    if (err != 0)
        return err;
    err = weir_pool_submit_task(pool, &tasks[1], fib, b, NULL);
    if (newest_first && err == 0)
        err = weir_task_wait(&tasks[1]);
    int waited = weir_task_wait(&tasks[0]);
    if (!newest_first && err == 0)
        err = weir_task_wait(&tasks[1]);
    return err != 0 ? err : waited;
}

static int fib_by_waitgroup(weir_pool *pool, struct fib *a, struct fib *b)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    int err = weir_waitgroup_go(&wg, pool, fib, a);
    if (err == 0)
        err = weir_waitgroup_go(&wg, pool, fib, b);
    int waited = weir_waitgroup_wait(&wg);
    return err != 0 ? err : waited;
}

static int fib_by_errgroup(weir_pool *pool, struct fib *a, struct fib *b)
{
    weir_errgroup *group;
    int err = weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    if (err != 0)
        return err;
    err = weir_errgroup_go(group, fib, a);
    if (err == 0)
        err = weir_errgroup_go(group, fib, b);
    int waited = weir_errgroup_wait(group);
    weir_errgroup_free(group);
    return err != 0 ? err : waited;
}

static int fib_range(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct fib **both = arg;
    int err = 0;
    for (size_t i = begin; i < end && err == 0; i++)
        err = fib(ctx, both[i]);
    return err;
}

enum { WAYS = 5 };

static int fib(weir_context *ctx, void *arg)
{
    struct fib *self = arg;
    (void)ctx;
    if (self->n < 2) {
        self->result = self->n;
        return 0;
    }
    struct fib a = {self->pool, self->n - 1, 0, self->way};
    struct fib b = {self->pool, self->n - 2, 0, self->way};
    int err;
    if (self->way <= 1)
        err = fib_by_handles(self->pool, &a, &b, self->way == 1);
    else if (self->way == 2)
        err = fib_by_waitgroup(self->pool, &a, &b);
    else if (self->way == 3)
        err = fib_by_errgroup(self->pool, &a, &b);
    else
        err = weir_parallel_for(self->pool, 2, 1, fib_range, (struct fib *[]){&a, &b});
    self->result = a.result + b.result;
    return err;
}

START_TEST(tasks_that_wait_for_tasks_end)
{
    int shape = _i / WAYS, way = _i % WAYS;
    struct family *family =
        NEW_FAMILY(.workers = shapes[shape].workers, .capacity = shapes[shape].capacity,
                   .local = shapes[shape].local);
    struct fib root = {family->pool, N, 0, way};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(family->pool, &task, fib, &root, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    ck_assert_int_eq(root.result, FIB_N);
    end_family(family);
}
END_TEST

/* A tree without waits: all of it is through when a drain returns. */

struct tree {
    weir_pool *pool;
    unsigned depth;
    atomic_uint *nodes;
};

static int grow(weir_context *ctx, void *arg)
{
    struct tree *self = arg;
    (void)ctx;
    (void)atomic_fetch_add(self->nodes, 1);
    int err = 0;
    for (int i = 0; i < 2 && self->depth > 0 && err == 0; i++) {
        struct tree *child = malloc(sizeof *child);
        *child = (struct tree){self->pool, self->depth - 1, self->nodes};
        err = weir_pool_submit(self->pool, grow, child);
    }
    free(self);
    return err;
}

START_TEST(a_tree_of_tasks_is_drained)
{
    enum { DEPTH = 9 };
    struct family *family = NEW_FAMILY(.workers = shapes[_i].workers,
                                       .capacity = shapes[_i].capacity, .local = shapes[_i].local);
    atomic_uint nodes = 0;
    struct tree *root = malloc(sizeof *root);
    *root = (struct tree){family->pool, DEPTH, &nodes};
    ck_assert_int_eq(weir_pool_submit(family->pool, grow, root), 0);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    ck_assert_uint_eq(atomic_load(&nodes), (1U << (DEPTH + 1)) - 1);
    end_family(family);
}
END_TEST

/* While a worker waits it runs members of what it waits for, and no strangers, though they are
 * newer and in its own deque: these would wait for it. */
static int wait_among_strangers(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    (void)ctx;
    for (int i = 0; i < 3; i++) {
        note(family, weir_waitgroup_go(&wg, family->pool, record, &family->children[i]));
        note(family, weir_pool_submit(family->pool, gate_task, &family->hold));
    }
    note(family, weir_waitgroup_wait(&wg));
    gate_open(&family->hold);
    return 0;
}

START_TEST(a_waiter_runs_what_it_waits_for_and_no_stranger)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    run_parent(family, wait_among_strangers);
    ck_assert_uint_eq(recorder_count(&family->log), 3);
    end_family(family);
}
END_TEST

/* A task that its own on_done queues again is not waited for there. */
struct again {
    weir_pool *pool;
    weir_task task;
    unsigned ends;
    int submitted, waited; /* what the first on_done got */
};

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void submit_again_and_wait(void *arg, weir_state end, int status)
{
    struct again *again = arg;
    (void)end;
    (void)status;
    if (again->ends++ > 0)
        return;
    again->submitted = weir_pool_submit_task(again->pool, &again->task, do_nothing, again,
                                             WEIR_TASK_OPTIONS(.on_done = submit_again_and_wait));
    again->waited = weir_task_wait(&again->task);
}

START_TEST(a_wait_for_a_task_inside_its_own_end_is_refused)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    struct again again = {.pool = family->pool, .task = WEIR_TASK_INIT};
    ck_assert_int_eq(weir_pool_submit_task(family->pool, &again.task, do_nothing, &again,
                                           WEIR_TASK_OPTIONS(.on_done = submit_again_and_wait)),
                     0);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    ck_assert_int_eq(again.submitted, 0);
    ck_assert_int_eq(again.waited, -EDEADLK);
    ck_assert_uint_eq(again.ends, 2);
    end_family(family);
}
END_TEST

/* A thread outside that helps finds members in a worker's deque, whose worker is busy. */
static int go_and_hold(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    for (int i = 0; i < 3; i++)
        note(family,
             weir_waitgroup_go(&family->members, family->pool, record, &family->children[i]));
    gate_wait(&family->hold);
    return 0;
}

START_TEST(a_thread_outside_helps_out_of_a_deque)
{
    struct family *family = NEW_FAMILY(.workers = 1, .outside_waiters_help = 1);
    ck_assert_int_eq(weir_pool_submit(family->pool, go_and_hold, family), 0);
    gate_await(&family->hold, 1);
    ck_assert_int_eq(weir_waitgroup_wait_until(&family->members, NULL, patience()), 0);
    ck_assert_uint_eq(recorder_count(&family->log), 3);
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

/* A loop in a task gets help by way of the deque when the queue is full. */

struct helped_loop {
    struct family *family;
    gate other; /* where the other worker is held */
};

static int meet_in_a_chunk(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct helped_loop *loop = arg;
    (void)ctx;
    (void)begin;
    (void)end;
    gate_open(&loop->other);
    meeting_wait(&loop->family->place);
    return 0;
}

static int loop_beside_a_full_queue(weir_context *ctx, void *arg)
{
    struct helped_loop *loop = arg;
    (void)ctx;
    gate_wait(&loop->family->hold);
    return weir_parallel_for(loop->family->pool, 2, 1, meet_in_a_chunk, loop);
}

START_TEST(a_loop_beside_a_full_queue_is_helped)
{
    struct family *family = NEW_FAMILY(.workers = 2, .capacity = 1, .local = 1);
    struct helped_loop loop = {family, GATE_INIT};
    family->place = (meeting)MEETING_INIT(2);
    ck_assert_int_eq(weir_pool_submit(family->pool, gate_task, &loop.other), 0);
    gate_await(&loop.other, 1);
    ck_assert_int_eq(weir_pool_submit(family->pool, loop_beside_a_full_queue, &loop), 0);
    gate_await(&family->hold, 1);
    ck_assert_int_eq(weir_pool_submit(family->pool, record, &family->children[0]), 0);
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

/* A dump tells what waits at the workers. */

static int append(const char *text, size_t n, void *arg)
{
    char *page = arg;
    size_t length = strlen(page);
    if (length + n >= PAGE)
        return -ENOSPC;
    memcpy(page + length, text, n);
    page[length + n] = '\0';
    return 0;
}

START_TEST(a_dump_tells_what_is_in_a_deque)
{
    static char page[PAGE];
    struct family *family = NEW_FAMILY(.workers = 1, .capacity = 10, .local = 5);
    family->n = 4;
    page[0] = '\0';
    ck_assert_int_eq(weir_pool_submit(family->pool, submit_n_and_hold, family), 0);
    gate_await(&family->hold, 1);
    ck_assert_int_eq(weir_pool_submit(family->pool, record, &family->children[4]), 0);
    ck_assert_int_eq(weir_pool_dump(family->pool, append, page), 0);
    ck_assert_ptr_nonnull(strstr(page, "queue: 5 of 15"));
    ck_assert_msg(strstr(page, "queued: 5 x ") != NULL, "%s", page);
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

/* Ends. */

START_TEST(what_waits_in_a_deque_is_cancelled)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    family->n = 5;
    ck_assert_int_eq(weir_pool_submit(family->pool, submit_n_and_hold, family), 0);
    gate_await(&family->hold, 1);
    ck_assert_uint_eq(weir_pool_queued(family->pool), 5);
    weir_pool_cancel_queued(family->pool);
    ck_assert_uint_eq(weir_pool_queued(family->pool), 0);
    ck_assert_uint_eq(family->drops, 5);
    ck_assert_int_eq(family->why, WEIR_TASK_CANCELLED);
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

/* Of a closed pool tasks submit on, of a cancelled one they do not. */
static int submit_after(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    gate_wait(&family->hold);
    family->refused = weir_pool_submit(family->pool, record, &family->children[0]);
    return 0;
}

static void submit_after_call(void (*call)(weir_pool *pool), int expected)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(family->pool, &task, submit_after, family, NULL), 0);
    gate_await(&family->hold, 1);
    call(family->pool);
    gate_open(&family->hold);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(family->refused, expected);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    ck_assert_uint_eq(recorder_count(&family->log), expected == 0 ? 1 : 0);
    end_family(family);
}

START_TEST(a_task_of_a_closed_pool_submits_on)
{
    submit_after_call(weir_pool_close, 0);
}
END_TEST

START_TEST(a_task_of_a_cancelled_pool_does_not)
{
    submit_after_call(weir_pool_cancel_queued, -EPIPE);
}
END_TEST

static int submit_n_and_die(weir_context *ctx, void *arg)
{
    (void)submit_n(ctx, arg);
    pthread_exit(NULL);
}

START_TEST(a_deque_outlives_its_worker_s_thread)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    family->n = 5;
    run_parent(family, submit_n_and_die);
    recorder_await(&family->log, 5);
    ck_assert_int_eq(weir_pool_drain_until(family->pool, NULL, patience()), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(family->pool, &counts);
    ck_assert_uint_eq(counts.failed, 1);
    end_family(family);
}
END_TEST

/* In a child process the contexts that wait in deques are given back. */
static int submit_with_context_and_hold(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    weir_context *own;
    (void)ctx;
    note(family, weir_context_new(&own, NULL, WEIR_FOREVER));
    for (int i = 0; i < 3; i++)
        note(family,
             weir_pool_submit_until(family->pool, record, &family->children[i], own, WEIR_FOREVER));
    weir_context_unref(own);
    gate_wait(&family->hold);
    return 0;
}

START_TEST(a_child_process_frees_the_pool)
{
    struct family *family = NEW_FAMILY(.workers = 1);
    ck_assert_int_eq(weir_pool_submit(family->pool, submit_with_context_and_hold, family), 0);
    gate_await(&family->hold, 1);
    pid_t child = fork();
    if (child == 0) {
        int err = weir_pool_submit(family->pool, record, &family->children[0]);
        weir_pool_free(family->pool);
        free(family);
        _exit(err == -ESTALE ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    gate_open(&family->hold);
    end_family(family);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("local order");

    TCase *order = add_group(suite, "order");
    tcase_add_test(order, a_worker_runs_the_newest_task_of_its_own_first);
    tcase_add_test(order, another_worker_takes_the_oldest);
    tcase_add_test(order, one_of_sixty_one_is_the_oldest);
    tcase_add_test(order, one_of_sixty_one_that_start_is_the_oldest);
    tcase_add_test(order, a_task_from_outside_starts_after_sixty_four_of_a_worker_s_own);
    tcase_add_loop_test(order, the_oldest_of_a_blocked_worker_starts_after_sixty_four_of_each, 0,
                        CREWS * 2);
    tcase_add_test(order, what_comes_from_elsewhere_is_first_in_first_out);

    TCase *bounds = add_group(suite, "bounds");
    tcase_add_loop_test(bounds, exactly_as_many_wait_as_fit, 0, sizeof sizes / sizeof sizes[0]);
    tcase_add_test(bounds, as_many_retried_tasks_wait);
    tcase_add_test(bounds, a_full_deque_leaves_it_to_the_ring_and_that_to_the_policy);
    tcase_add_test(bounds, a_full_pool_drops_the_oldest_of_the_ring);
    tcase_add_test(bounds, a_full_pool_that_rejects_does_so);
    tcase_add_loop_test(bounds, cancelled_tasks_give_their_places_back, 0, SUBMITS);
    tcase_add_loop_test(bounds, expired_tasks_give_their_places_back, 0, SUBMITS);
    tcase_add_test(bounds, no_task_runs_in_place_while_tasks_of_a_deque_have_expired);
    tcase_add_test(bounds, a_dump_tells_what_is_in_a_deque);

    TCase *waits = add_group(suite, "waits");
    tcase_add_test(waits, children_that_wait_for_each_other_run_at_once);
    tcase_add_loop_test(waits, tasks_that_wait_for_tasks_end, 0, SHAPES * WAYS);
    tcase_add_loop_test(waits, a_tree_of_tasks_is_drained, 0, SHAPES);
    tcase_add_test(waits, a_waiter_runs_what_it_waits_for_and_no_stranger);
    tcase_add_test(waits, a_wait_for_a_task_inside_its_own_end_is_refused);
    tcase_add_test(waits, a_thread_outside_helps_out_of_a_deque);
    tcase_add_test(waits, a_loop_beside_a_full_queue_is_helped);

    TCase *ends = add_group(suite, "ends");
    tcase_add_test(ends, what_waits_in_a_deque_is_cancelled);
    tcase_add_test(ends, a_task_of_a_closed_pool_submits_on);
    tcase_add_test(ends, a_task_of_a_cancelled_pool_does_not);
    tcase_add_test(ends, a_deque_outlives_its_worker_s_thread);
    tcase_add_test(ends, a_child_process_frees_the_pool);
    return suite;
}
