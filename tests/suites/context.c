/* SPDX-License-Identifier: MIT */
/* context.c - cancellation and deadlines, alone and inside tasks. */
#include "support/suite.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static weir_context *new_context(weir_context *parent, int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, parent, deadline), 0);
    ck_assert_ptr_nonnull(ctx);
    return ctx;
}

static weir_context *new_child(weir_context *parent)
{
    return new_context(parent, WEIR_FOREVER);
}

static weir_context *new_value(weir_context *parent, const void *key, void *value)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_with_value(&ctx, parent, key, value), 0);
    ck_assert_ptr_nonnull(ctx);
    return ctx;
}

static void assert_live(weir_context *ctx)
{
    ck_assert_int_eq(weir_context_err(ctx), 0);
    ck_assert_int_eq(weir_context_cause(ctx), 0);
}

static void assert_over(weir_context *ctx, int err, int cause)
{
    ck_assert_int_eq(weir_context_err(ctx), err);
    ck_assert_int_eq(weir_context_cause(ctx), cause);
}

/* Lifecycle. */

START_TEST(a_new_context_is_live)
{
    weir_context *ctx = new_child(NULL);
    assert_live(ctx);
    ck_assert_int_eq(weir_context_deadline(ctx), WEIR_FOREVER);
    ck_assert_ptr_null(weir_context_value(ctx, &ctx));
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_reference_keeps_a_context)
{
    weir_context *ctx = new_child(NULL);
    weir_context *same = weir_context_ref(ctx);
    ck_assert_ptr_eq(same, ctx);
    weir_context_unref(ctx);
    assert_live(same);
    weir_context_cancel(same, -EIO);
    assert_over(same, -ECANCELED, -EIO);
    weir_context_unref(same);
}
END_TEST

START_TEST(a_child_keeps_its_ancestors)
{
    static const char key;
    weir_context *root = new_value(NULL, &key, &root);
    weir_context *parent = new_context(root, WEIR_FOREVER);
    weir_context *child = new_child(parent);
    weir_context *handle = weir_context_ref(parent);
    weir_context_unref(root);
    weir_context_unref(parent);
    ck_assert_ptr_eq(weir_context_value(child, &key), &root);
    weir_context_cancel(handle, 0);
    weir_context_unref(handle);
    assert_over(child, -ECANCELED, -ECANCELED);
    weir_context_unref(child);
}
END_TEST

START_TEST(a_chain_of_contexts_may_be_deep)
{
    enum { DEPTH = 20000 };
    static const char key;
    weir_context *root = new_value(NULL, &key, &root);
    int64_t deadline = weir_after(WEIR_S(3600));
    weir_context *leaf = new_context(root, deadline);
    for (int i = 0; i < DEPTH; i++) {
        weir_context *next = new_child(leaf);
        weir_context_unref(leaf);
        leaf = next;
    }
    assert_live(leaf);
    ck_assert_int_eq(weir_context_deadline(leaf), deadline);
    ck_assert_ptr_eq(weir_context_value(leaf, &key), &root);
    weir_context_cancel(root, -EIO);
    assert_over(leaf, -ECANCELED, -EIO);
    weir_context_unref(root);
    weir_context_unref(leaf);
}
END_TEST

/* Contract. */

START_TEST(null_is_the_context_that_is_never_over)
{
    weir_context_cancel(NULL, -EIO);
    assert_live(NULL);
    ck_assert_int_eq(weir_context_deadline(NULL), WEIR_FOREVER);
    ck_assert_ptr_null(weir_context_value(NULL, "key"));
    ck_assert_ptr_null(weir_context_ref(NULL));
    weir_context_unref(NULL);
    ck_assert_int_eq(weir_context_wait_until(NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_sleep_until(NULL, 0), 0);
}
END_TEST

START_TEST(arguments_that_can_never_be_valid_are_refused)
{
    static const char key;
    weir_context *untouched = (weir_context *)&untouched;
    ck_assert_int_eq(weir_context_new(NULL, NULL, WEIR_FOREVER), -EINVAL);
    ck_assert_int_eq(weir_context_with_value(NULL, NULL, &key, NULL), -EINVAL);
    ck_assert_int_eq(weir_context_with_value(&untouched, NULL, NULL, NULL), -EINVAL);
    ck_assert_ptr_eq(untouched, (weir_context *)&untouched);
}
END_TEST

START_TEST(the_first_cause_wins)
{
    weir_context *ctx = new_child(NULL);
    weir_context_cancel(ctx, -EIO);
    assert_over(ctx, -ECANCELED, -EIO);
    weir_context_cancel(ctx, -EPERM);
    weir_context_cancel(ctx, 0);
    assert_over(ctx, -ECANCELED, -EIO);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(any_number_may_be_a_cause_and_zero_means_canceled)
{
    static const int causes[] = {0, 1, -1, INT32_MAX, INT32_MIN, -ETIMEDOUT, -ECANCELED};
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        weir_context *ctx = new_child(NULL);
        weir_context_cancel(ctx, causes[i]);
        assert_over(ctx, -ECANCELED, causes[i] != 0 ? causes[i] : -ECANCELED);
        weir_context_unref(ctx);
    }
}
END_TEST

START_TEST(cancel_reaches_all_descendants_and_nobody_else)
{
    static const char key;
    weir_context *root = new_child(NULL);
    weir_context *left = new_child(root), *right = new_child(root);
    weir_context *below = new_value(left, &key, NULL);
    weir_context *leaf = new_context(below, weir_after(WEIR_S(3600)));
    weir_context_cancel(left, -EIO);
    assert_live(root);
    assert_live(right);
    assert_over(left, -ECANCELED, -EIO);
    assert_over(below, -ECANCELED, -EIO);
    assert_over(leaf, -ECANCELED, -EIO);
    weir_context_unref(leaf);
    weir_context_unref(below);
    weir_context_unref(right);
    weir_context_unref(left);
    weir_context_unref(root);
}
END_TEST

START_TEST(the_cause_is_that_of_the_first_cancelled)
{
    weir_context *root = new_child(NULL);
    weir_context *early = new_child(root), *late = new_child(root), *other = new_child(root);
    weir_context_cancel(early, -EIO);
    /* Two cancellations at the same nanosecond would be decided by distance. */
    int64_t then = weir_now();
    while (weir_now() == then)
        continue;
    weir_context_cancel(root, -EPERM);
    weir_context_cancel(late, -EBADF);
    assert_over(early, -ECANCELED, -EIO);
    assert_over(root, -ECANCELED, -EPERM);
    assert_over(late, -ECANCELED, -EPERM);
    assert_over(other, -ECANCELED, -EPERM);
    weir_context_unref(early);
    weir_context_unref(late);
    weir_context_unref(other);
    weir_context_unref(root);
}
END_TEST

START_TEST(a_child_of_a_context_that_is_over_is_over)
{
    weir_context *parent = new_child(NULL);
    weir_context_cancel(parent, -EIO);
    weir_context *child = new_child(parent);
    assert_over(child, -ECANCELED, -EIO);
    weir_context *late = new_context(NULL, 0);
    weir_context *grandchild = new_child(late);
    assert_over(grandchild, -ETIMEDOUT, -ETIMEDOUT);
    weir_context_unref(grandchild);
    weir_context_unref(late);
    weir_context_unref(child);
    weir_context_unref(parent);
}
END_TEST

START_TEST(the_earliest_deadline_counts)
{
    static const char key;
    int64_t hour = weir_after(WEIR_S(3600)), day = hour + WEIR_S(86400);
    weir_context *root = new_context(NULL, day);
    weir_context *earlier = new_context(root, hour), *later = new_context(root, day + 1);
    weir_context *none = new_child(root), *value = new_value(earlier, &key, NULL);
    weir_context *below = new_context(earlier, day);
    ck_assert_int_eq(weir_context_deadline(root), day);
    ck_assert_int_eq(weir_context_deadline(earlier), hour);
    ck_assert_int_eq(weir_context_deadline(later), day);
    ck_assert_int_eq(weir_context_deadline(none), day);
    ck_assert_int_eq(weir_context_deadline(value), hour);
    ck_assert_int_eq(weir_context_deadline(below), hour);
    weir_context *all[] = {below, value, none, later, earlier, root};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_live(all[i]);
        weir_context_unref(all[i]);
    }
}
END_TEST

START_TEST(a_deadline_in_the_past_is_over_from_the_start)
{
    static const int64_t past[] = {0, 1, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        weir_context *ctx = new_context(NULL, past[i]);
        assert_over(ctx, -ETIMEDOUT, -ETIMEDOUT);
        ck_assert_int_eq(weir_context_deadline(ctx), past[i]);
        weir_context_cancel(ctx, -EIO);
        assert_over(ctx, -ETIMEDOUT, -ETIMEDOUT);
        weir_context_unref(ctx);
    }
}
END_TEST

START_TEST(a_cancellation_before_the_deadline_stays_one_after_it)
{
    /* Again with more time if this thread did not get to cancel before the deadline. */
    for (int64_t distance = WEIR_MS(20);; distance *= 2) {
        int64_t deadline = weir_after(distance);
        weir_context *ctx = new_context(NULL, deadline);
        weir_context *child = new_child(ctx);
        weir_context_cancel(ctx, -EIO);
        bool in_time = weir_now() < deadline;
        if (in_time) {
            assert_over(child, -ECANCELED, -EIO);
            ck_assert_int_eq(weir_sleep_until(NULL, deadline + WEIR_MS(1)), 0);
            assert_over(ctx, -ECANCELED, -EIO);
            assert_over(child, -ECANCELED, -EIO);
        }
        weir_context_unref(child);
        weir_context_unref(ctx);
        if (in_time)
            break;
    }
}
END_TEST

START_TEST(a_deadline_before_the_cancellation_stays_the_reason)
{
    weir_context *parent = new_child(NULL);
    weir_context *child = new_context(parent, 0), *sibling = new_child(parent);
    weir_context *grandchild = new_child(child);
    weir_context_cancel(parent, -EIO);
    weir_context_cancel(grandchild, -EPERM);
    assert_over(parent, -ECANCELED, -EIO);
    assert_over(sibling, -ECANCELED, -EIO);
    assert_over(child, -ETIMEDOUT, -ETIMEDOUT);
    assert_over(grandchild, -ETIMEDOUT, -ETIMEDOUT);
    weir_context_unref(grandchild);
    weir_context_unref(sibling);
    weir_context_unref(child);
    weir_context_unref(parent);
}
END_TEST

START_TEST(the_nearest_value_answers)
{
    static const char one, two, unknown;
    int a, b, c;
    weir_context *top = new_value(NULL, &one, &a);
    weir_context *middle = new_value(top, &two, &b);
    weir_context *plain = new_child(middle);
    weir_context *bottom = new_value(plain, &one, &c);
    ck_assert_ptr_eq(weir_context_value(top, &one), &a);
    ck_assert_ptr_null(weir_context_value(top, &two));
    ck_assert_ptr_eq(weir_context_value(plain, &one), &a);
    ck_assert_ptr_eq(weir_context_value(plain, &two), &b);
    ck_assert_ptr_eq(weir_context_value(bottom, &one), &c);
    ck_assert_ptr_eq(weir_context_value(bottom, &two), &b);
    ck_assert_ptr_null(weir_context_value(bottom, &unknown));
    ck_assert_ptr_null(weir_context_value(bottom, NULL));
    weir_context_unref(bottom);
    weir_context_unref(plain);
    weir_context_unref(middle);
    weir_context_unref(top);
}
END_TEST

START_TEST(a_value_of_null_hides_the_one_above)
{
    static const char key;
    weir_context *top = new_value(NULL, &key, &top);
    weir_context *bottom = new_value(top, &key, NULL);
    ck_assert_ptr_eq(weir_context_value(top, &key), &top);
    ck_assert_ptr_null(weir_context_value(bottom, &key));
    weir_context_unref(bottom);
    weir_context_unref(top);
}
END_TEST

START_TEST(keys_are_addresses_not_texts)
{
    static const char key[] = "key", same[] = "key";
    weir_context *ctx = new_value(NULL, key, &ctx);
    ck_assert_ptr_eq(weir_context_value(ctx, key), &ctx);
    ck_assert_ptr_null(weir_context_value(ctx, same));
    weir_context_unref(ctx);
}
END_TEST

/* Blocking. */

static int wait_for_context(void *ctx)
{
    return weir_context_wait_until(ctx, WEIR_FOREVER);
}

static int sleep_under_context(void *ctx)
{
    return weir_sleep_until(ctx, WEIR_FOREVER);
}

START_TEST(waiting_for_a_context_that_is_over_returns_at_once)
{
    weir_context *cancelled = new_child(NULL), *late = new_context(NULL, 0);
    weir_context_cancel(cancelled, 0);
    ck_assert_int_eq(weir_context_wait_until(cancelled, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_wait_until(cancelled, 0), 0);
    ck_assert_int_eq(weir_context_wait_until(late, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_wait_until(late, 0), 0);
    weir_context_unref(late);
    weir_context_unref(cancelled);
}
END_TEST

START_TEST(a_wait_ends_at_its_deadline)
{
    weir_context *ctx = new_child(NULL);
    ck_assert_int_eq(weir_context_wait_until(ctx, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_context_wait_until(ctx, INT64_MIN), -ETIMEDOUT);
    int64_t deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_context_wait_until(ctx, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_context_wait_until(NULL, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_wait_ends_when_the_deadline_of_an_ancestor_passes)
{
    int64_t deadline = weir_after(WEIR_MS(20));
    weir_context *root = new_context(NULL, deadline);
    weir_context *parent = new_child(root), *child = new_child(parent);
    ck_assert_int_eq(weir_context_wait_until(child, WEIR_FOREVER), 0);
    ck_assert_int_ge(weir_now(), deadline);
    assert_over(child, -ETIMEDOUT, -ETIMEDOUT);
    weir_context_unref(child);
    weir_context_unref(parent);
    weir_context_unref(root);
}
END_TEST

START_TEST(cancelling_an_ancestor_wakes_who_waits_for_a_descendant)
{
    weir_context *root = new_child(NULL), *parent = new_child(root);
    weir_context *child = new_context(parent, weir_after(WEIR_S(3600)));
    caller waiter;
    caller_start(&waiter, wait_for_context, child);
    ck_assert(caller_await_asleep(&waiter));
    weir_context_cancel(root, -EIO);
    ck_assert_int_eq(caller_join(&waiter), 0);
    assert_over(child, -ECANCELED, -EIO);
    weir_context_unref(child);
    weir_context_unref(parent);
    weir_context_unref(root);
}
END_TEST

START_TEST(cancel_wakes_all_whom_it_ends_and_no_others)
{
    enum { WAITERS = 4 };
    weir_context *root = new_child(NULL);
    weir_context *hit = new_child(root), *spared = new_child(root);
    weir_context *below = new_child(hit);
    caller waiting[WAITERS], sleeping[WAITERS], other;
    for (int i = 0; i < WAITERS; i++) {
        caller_start(&waiting[i], wait_for_context, i % 2 == 0 ? hit : below);
        caller_start(&sleeping[i], sleep_under_context, i % 2 == 0 ? hit : below);
    }
    caller_start(&other, wait_for_context, spared);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert(caller_await_asleep(&waiting[i]));
        ck_assert(caller_await_asleep(&sleeping[i]));
    }
    ck_assert(caller_await_asleep(&other));
    weir_context_cancel(hit, 0);
    for (int i = 0; i < WAITERS; i++) {
        ck_assert_int_eq(caller_join(&waiting[i]), 0);
        ck_assert_int_eq(caller_join(&sleeping[i]), -ECANCELED);
    }
    ck_assert(caller_await_asleep(&other));
    weir_context_cancel(root, 0);
    ck_assert_int_eq(caller_join(&other), 0);
    weir_context_unref(below);
    weir_context_unref(spared);
    weir_context_unref(hit);
    weir_context_unref(root);
}
END_TEST

START_TEST(a_sleep_lasts_until_its_deadline)
{
    int64_t deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_sleep_until(NULL, deadline), 0);
    ck_assert_int_ge(weir_now(), deadline);
    weir_context *ctx = new_context(NULL, weir_after(WEIR_S(3600)));
    deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_sleep_until(ctx, deadline), 0);
    ck_assert_int_ge(weir_now(), deadline);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_sleep_until_the_past_is_none)
{
    weir_context *ctx = new_child(NULL);
    ck_assert_int_eq(weir_sleep_until(NULL, INT64_MIN), 0);
    ck_assert_int_eq(weir_sleep_until(ctx, 0), 0);
    ck_assert_int_eq(weir_sleep_until(ctx, -1), 0);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_sleep_under_a_context_that_is_over_fails_at_once)
{
    weir_context *cancelled = new_child(NULL), *late = new_context(NULL, 0);
    weir_context_cancel(cancelled, -EIO);
    ck_assert_int_eq(weir_sleep_until(cancelled, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_sleep_until(cancelled, 0), -ECANCELED);
    ck_assert_int_eq(weir_sleep_until(late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_eq(weir_sleep_until(late, 0), -ETIMEDOUT);
    weir_context_unref(late);
    weir_context_unref(cancelled);
}
END_TEST

START_TEST(a_sleep_ends_with_its_context)
{
    int64_t deadline = weir_after(WEIR_MS(20));
    weir_context *ctx = new_context(NULL, deadline);
    ck_assert_int_eq(weir_sleep_until(ctx, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    weir_context_unref(ctx);

    ctx = new_child(NULL);
    caller sleeper;
    caller_start(&sleeper, sleep_under_context, ctx);
    ck_assert(caller_await_asleep(&sleeper));
    weir_context_cancel(ctx, -EIO);
    ck_assert_int_eq(caller_join(&sleeper), -ECANCELED);
    weir_context_unref(ctx);
}
END_TEST

/* Cancel, by many at once. */

enum { CANCELLERS = 3, CANCEL_ROUNDS = 500 };

struct race {
    meeting start, end;
    weir_context *ctx;
    atomic_int next_cause;
    atomic_uint ready;    /* how many stand right before their cancel, over all rounds */
    int seen[CANCELLERS]; /* the cause that each saw after its own cancel */
};

static int cancel_in_a_race(void *arg)
{
    struct race *race = arg;
    int cause = atomic_fetch_add(&race->next_cause, 1);
    for (int round = 0; round < CANCEL_ROUNDS; round++) {
        meeting_wait(&race->start);
        /* A thread that is woken from a meeting comes late; one that spins until all are there
         * does not. */
        unsigned all = CANCELLERS * (unsigned)(round + 1);
        (void)atomic_fetch_add(&race->ready, 1);
        while (atomic_load(&race->ready) < all)
            (void)sched_yield();
        weir_context_cancel(race->ctx, cause);
        race->seen[cause - 1] = weir_context_cause(race->ctx);
        meeting_wait(&race->end);
    }
    return 0;
}

START_TEST(of_many_cancellations_at_once_all_see_the_same_one)
{
    struct race race = {
        .start = MEETING_INIT(CANCELLERS + 1),
        .end = MEETING_INIT(CANCELLERS + 1),
        .next_cause = 1,
    };
    caller cancellers[CANCELLERS];
    for (int i = 0; i < CANCELLERS; i++)
        caller_start(&cancellers[i], cancel_in_a_race, &race);
    for (int round = 0; round < CANCEL_ROUNDS; round++) {
        race.ctx = new_child(NULL);
        meeting_wait(&race.start);
        meeting_wait(&race.end);
        int cause = weir_context_cause(race.ctx);
        ck_assert_int_ge(cause, 1);
        ck_assert_int_le(cause, CANCELLERS);
        for (int i = 0; i < CANCELLERS; i++)
            ck_assert_int_eq(race.seen[i], cause);
        weir_context_unref(race.ctx);
    }
    for (int i = 0; i < CANCELLERS; i++)
        ck_assert_int_eq(caller_join(&cancellers[i]), 0);
}
END_TEST

struct published {
    weir_context *ctx;
    meeting start;
    unsigned data; /* plain: published by the cancellation */
};

static int cancel_after_writing(void *arg)
{
    struct published *all = arg;
    meeting_wait(&all->start);
    all->data = 4711;
    weir_context_cancel(all->ctx, 0);
    return 0;
}

START_TEST(what_came_before_the_cancel_is_seen_with_it)
{
    for (int round = 0; round < 100; round++) {
        struct published all = {.ctx = new_child(NULL), .start = MEETING_INIT(2)};
        caller canceller;
        caller_start(&canceller, cancel_after_writing, &all);
        meeting_wait(&all.start);
        if (round % 2 == 0)
            ck_assert_int_eq(weir_context_wait_until(all.ctx, patience()), 0);
        while (weir_context_err(all.ctx) == 0)
            (void)sched_yield();
        ck_assert_uint_eq(all.data, 4711);
        ck_assert_int_eq(caller_join(&canceller), 0);
        weir_context_unref(all.ctx);
    }
}
END_TEST

static int make_and_drop_children(void *parent)
{
    for (int i = 0; i < 300; i++) {
        weir_context *held = weir_context_ref(parent), *child = NULL, *grandchild = NULL;
        if (weir_context_new(&child, held, WEIR_FOREVER) != 0 ||
            weir_context_with_value(&grandchild, child, parent, parent) != 0)
            return -1;
        weir_context_unref(held);
        weir_context_unref(child);
        if (weir_context_value(grandchild, parent) != parent)
            return -2;
        if (i % 3 == 0)
            weir_context_cancel(grandchild, 0);
        weir_context_unref(grandchild);
    }
    return 0;
}

START_TEST(references_and_children_come_and_go_on_many_threads)
{
    enum { THREADS = 4 };
    weir_context *parent = new_child(NULL);
    caller threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        caller_start(&threads[i], make_and_drop_children, parent);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    assert_live(parent);
    weir_context_unref(parent);
}
END_TEST

/* Inside tasks. A probe is a task that does something to its context and tells what it saw. */

struct probe {
    gate entered, leave;
    weir_context *kept, *child;
    int err_inside, cause_inside, result;
    int kept_inside, child_inside; /* the causes of what hangs on it, while the task runs */
    void *value;
    int64_t deadline;
};

#define PROBE_INIT                                                                                 \
    {                                                                                              \
        .entered = GATE_INIT, .leave = GATE_INIT                                                   \
    }

static const char probe_key;

static void drop_probe(struct probe *probe)
{
    weir_context_unref(probe->child);
    weir_context_unref(probe->kept);
}

/* Keeps the context and makes a child of it, then stays until told to leave. */
static int keep_context(weir_context *ctx, void *arg)
{
    struct probe *probe = arg;
    probe->kept = weir_context_ref(ctx);
    probe->result = weir_context_new(&probe->child, ctx, WEIR_FOREVER);
    probe->value = weir_context_value(probe->child, &probe_key);
    probe->deadline = weir_context_deadline(ctx);
    gate_open(&probe->entered);
    gate_wait(&probe->leave);
    probe->err_inside = weir_context_err(ctx);
    probe->cause_inside = weir_context_cause(ctx);
    return 0;
}

/* Waits inside until its own context is over. */
static int outlast_context(weir_context *ctx, void *arg)
{
    struct probe *probe = arg;
    probe->kept = weir_context_ref(ctx);
    gate_open(&probe->entered);
    probe->result = weir_context_wait_until(ctx, WEIR_FOREVER);
    probe->err_inside = weir_context_err(ctx);
    probe->cause_inside = weir_context_cause(ctx);
    return 0;
}

static void await_entered(struct probe *probe)
{
    gate_wait(&probe->entered);
}

/* Ends the probe's own context from inside. */
static int cancel_own_context(weir_context *ctx, void *arg)
{
    struct probe *probe = arg;
    probe->kept = weir_context_ref(ctx);
    weir_context_cancel(ctx, -EIO);
    probe->kept_inside = weir_context_cause(probe->kept);
    probe->result = weir_context_new(&probe->child, ctx, WEIR_FOREVER);
    probe->child_inside = weir_context_cause(probe->child);
    probe->err_inside = weir_context_err(ctx);
    probe->cause_inside = weir_context_cause(ctx);
    return 0;
}

START_TEST(a_reference_to_the_context_of_a_task_outlives_the_task)
{
    weir_pool *pool = new_pool(1, 4);
    weir_context *parent = new_value(NULL, &probe_key, &pool);
    struct probe probe = PROBE_INIT;
    gate_open(&probe.leave);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &task, keep_context, &probe, NULL, parent, WEIR_FOREVER),
        0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(probe.result, 0);
    ck_assert_ptr_nonnull(probe.kept);
    assert_live(probe.kept);
    assert_live(probe.child);
    ck_assert_ptr_eq(probe.value, &pool);
    ck_assert_ptr_eq(weir_context_value(probe.kept, &probe_key), &pool);

    /* The task is done: cancelling it changes nothing, cancelling its parents still does. */
    ck_assert_int_eq(weir_task_cancel(&task), -EALREADY);
    assert_live(probe.kept);
    weir_context_cancel(parent, -EIO);
    assert_over(probe.kept, -ECANCELED, -EIO);
    assert_over(probe.child, -ECANCELED, -EIO);
    finish_pool(pool);
    assert_over(probe.kept, -ECANCELED, -EIO);
    drop_probe(&probe);
    weir_context_unref(parent);
}
END_TEST

START_TEST(what_hangs_on_the_context_of_a_task_is_cancelled_with_the_task)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, keep_context, &probe, NULL), 0);
    await_entered(&probe);
    assert_live(probe.kept);
    assert_live(probe.child);
    weir_context *later = new_child(probe.kept);
    caller waiter, sleeper;
    caller_start(&waiter, wait_for_context, probe.child);
    caller_start(&sleeper, sleep_under_context, later);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert(caller_await_asleep(&sleeper));

    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(caller_join(&sleeper), -ECANCELED);
    assert_over(probe.kept, -ECANCELED, -ECANCELED);
    assert_over(probe.child, -ECANCELED, -ECANCELED);
    assert_over(later, -ECANCELED, -ECANCELED);

    gate_open(&probe.leave);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(probe.err_inside, -ECANCELED);
    assert_over(probe.kept, -ECANCELED, -ECANCELED);
    weir_context_unref(later);
    drop_probe(&probe);
    finish_pool(pool);
}
END_TEST

static int keep_context_late(weir_context *ctx, void *arg)
{
    struct probe *probe = arg;
    gate_open(&probe->entered);
    gate_wait(&probe->leave);
    probe->kept = weir_context_ref(ctx);
    probe->result = weir_context_new(&probe->child, ctx, WEIR_FOREVER);
    probe->kept_inside = weir_context_cause(probe->kept);
    probe->child_inside = weir_context_cause(probe->child);
    return 0;
}

START_TEST(what_is_made_after_the_cancellation_of_a_task_is_over_too)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, keep_context_late, &probe, NULL), 0);
    await_entered(&probe);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    gate_open(&probe.leave);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(probe.kept_inside, -ECANCELED);
    ck_assert_int_eq(probe.child_inside, -ECANCELED);
    assert_over(probe.kept, -ECANCELED, -ECANCELED);
    assert_over(probe.child, -ECANCELED, -ECANCELED);
    drop_probe(&probe);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_that_waits_for_its_own_context_is_woken_by_its_cancellation)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, outlast_context, &probe, NULL), 0);
    await_entered(&probe);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(probe.result, 0);
    ck_assert_int_eq(probe.err_inside, -ECANCELED);
    drop_probe(&probe);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_sees_the_end_of_the_context_it_was_submitted_with)
{
    weir_pool *pool = new_pool(1, 4);
    weir_context *parent = new_child(NULL);
    struct probe probe = PROBE_INIT;
    ck_assert_int_eq(weir_pool_submit_until(pool, outlast_context, &probe, parent, WEIR_FOREVER),
                     0);
    await_entered(&probe);
    weir_context_cancel(parent, -EIO);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(probe.result, 0);
    ck_assert_int_eq(probe.err_inside, -ECANCELED);
    ck_assert_int_eq(probe.cause_inside, -EIO);
    drop_probe(&probe);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_sees_the_context_of_its_pool)
{
    static const char pool_key;
    int64_t deadline = weir_after(WEIR_S(3600));
    weir_context *above = new_context(NULL, deadline);
    weir_context *root = new_value(above, &pool_key, &above);
    weir_pool *pool;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .context = root)), 0);
    struct probe probe = PROBE_INIT;
    weir_context *parent = new_value(NULL, &probe_key, &pool);
    ck_assert_int_eq(weir_pool_submit_until(pool, keep_context, &probe, parent, WEIR_FOREVER), 0);
    weir_context_unref(parent);
    await_entered(&probe);
    ck_assert_int_eq(probe.deadline, deadline);
    ck_assert_ptr_eq(probe.value, &pool);
    ck_assert_ptr_eq(weir_context_value(probe.kept, &pool_key), &above);
    weir_context_cancel(above, -EIO);
    assert_over(probe.child, -ECANCELED, -EIO);
    gate_open(&probe.leave);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(probe.err_inside, -ECANCELED);
    ck_assert_int_eq(probe.cause_inside, -EIO);
    drop_probe(&probe);
    weir_pool_free(pool);
    weir_context_unref(root);
    weir_context_unref(above);
}
END_TEST

START_TEST(what_hangs_on_the_context_of_a_task_is_cancelled_with_the_pool)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    ck_assert_int_eq(weir_pool_submit(pool, keep_context, &probe), 0);
    await_entered(&probe);
    assert_live(probe.kept);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
    ck_assert_int_eq(weir_context_err(probe.kept), -ECANCELED);
    ck_assert_int_eq(weir_context_err(probe.child), -ECANCELED);
    gate_open(&probe.leave);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, patience(), NULL), 0);
    ck_assert_int_eq(probe.err_inside, -ECANCELED);
    weir_pool_free(pool);
    ck_assert_int_eq(weir_context_err(probe.kept), -ECANCELED);
    drop_probe(&probe);
}
END_TEST

static void assert_cancelled_alone(weir_pool *pool, struct probe *probe)
{
    ck_assert_int_eq(probe->result, 0);
    ck_assert_int_eq(probe->err_inside, -ECANCELED);
    ck_assert_int_eq(probe->cause_inside, -EIO);
    ck_assert_int_eq(probe->kept_inside, -EIO);
    ck_assert_int_eq(probe->child_inside, -EIO);
    assert_over(probe->kept, -ECANCELED, -EIO);
    assert_over(probe->child, -ECANCELED, -EIO);
    drop_probe(probe);
    /* Others of the pool are not touched by it. */
    struct probe other = PROBE_INIT;
    gate_open(&other.leave);
    ck_assert_int_eq(weir_pool_submit(pool, keep_context, &other), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(other.result, 0);
    ck_assert_int_eq(other.err_inside, 0);
    drop_probe(&other);
}

START_TEST(a_task_that_cancels_its_own_context_ends_what_hangs_on_it_and_no_more)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, cancel_own_context, &probe, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_DONE);
    assert_cancelled_alone(pool, &probe);
    finish_pool(pool);
}
END_TEST

START_TEST(a_plain_task_that_cancels_its_own_context_ends_nobody_else)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    ck_assert_int_eq(weir_pool_submit(pool, cancel_own_context, &probe), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    assert_cancelled_alone(pool, &probe);

    struct probe counted = PROBE_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    ck_assert_int_eq(weir_waitgroup_go(&wg, pool, cancel_own_context, &counted), 0);
    ck_assert_int_eq(weir_waitgroup_wait(&wg), 0);
    assert_cancelled_alone(pool, &counted);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_that_cancels_its_own_context_spares_the_one_it_was_submitted_with)
{
    weir_pool *pool = new_pool(1, 4);
    weir_context *parent = new_child(NULL);
    struct probe probe = PROBE_INIT;
    ck_assert_int_eq(weir_pool_submit_until(pool, cancel_own_context, &probe, parent, WEIR_FOREVER),
                     0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    assert_live(parent);
    assert_cancelled_alone(pool, &probe);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(a_running_time_limit_reaches_what_hangs_on_the_context_of_the_task)
{
    weir_pool *pool = new_pool(1, 4);
    struct probe probe = PROBE_INIT;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, outlast_context, &probe,
                                           WEIR_TASK_OPTIONS(.timeout = WEIR_MS(20))),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(probe.result, 0);
    ck_assert_int_eq(probe.err_inside, -ETIMEDOUT);
    assert_over(probe.kept, -ETIMEDOUT, -ETIMEDOUT);
    drop_probe(&probe);
    finish_pool(pool);
}
END_TEST

enum { SHARERS = 3 };

struct shared {
    weir_context *ctx;
    meeting start;
    weir_context *refs[SHARERS];
    atomic_uint next;
};

static int ref_in_a_race(void *arg)
{
    struct shared *all = arg;
    unsigned index = atomic_fetch_add(&all->next, 1);
    meeting_wait(&all->start);
    all->refs[index] = weir_context_ref(all->ctx);
    return 0;
}

/* Its context is shared with threads that take references at the same time. */
static int share_context(weir_context *ctx, void *arg)
{
    struct shared *all = arg;
    all->ctx = ctx;
    caller threads[SHARERS];
    for (int i = 0; i < SHARERS; i++)
        caller_start(&threads[i], ref_in_a_race, all);
    for (int i = 0; i < SHARERS; i++)
        (void)caller_join(&threads[i]);
    return 0;
}

START_TEST(references_taken_at_once_from_many_threads_are_the_same)
{
    weir_pool *pool = new_pool(1, 4);
    for (int round = 0; round < 50; round++) {
        struct shared all = {.start = MEETING_INIT(SHARERS)};
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, share_context, &all, NULL), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
        for (int i = 0; i < SHARERS; i++) {
            ck_assert_ptr_nonnull(all.refs[i]);
            ck_assert_ptr_eq(all.refs[i], all.refs[0]);
            assert_live(all.refs[i]);
        }
        for (int i = 0; i < SHARERS; i++)
            weir_context_unref(all.refs[i]);
    }
    finish_pool(pool);
}
END_TEST

/* A task whose context is cancelled by many threads at once, each with a cause of its own. */
struct own_race {
    struct race race;
    weir_context *kept;
    int own, of_kept, of_late;
};

static int cancel_own_context_in_a_race(weir_context *ctx, void *arg)
{
    struct own_race *self = arg;
    self->race.ctx = ctx;
    self->kept = weir_context_ref(ctx);
    meeting_wait(&self->race.start);
    meeting_wait(&self->race.end);
    weir_context *late = weir_context_ref(ctx);
    self->own = weir_context_cause(ctx);
    self->of_kept = weir_context_cause(self->kept);
    self->of_late = weir_context_cause(late);
    weir_context_unref(late);
    return 0;
}

START_TEST(what_hangs_on_the_context_of_a_task_sees_the_cause_that_the_task_sees)
{
    weir_pool *pool = new_pool(1, 4);
    struct own_race self = {.race = {
                                .start = MEETING_INIT(CANCELLERS + 1),
                                .end = MEETING_INIT(CANCELLERS + 1),
                                .next_cause = 1,
                            }};
    caller cancellers[CANCELLERS];
    for (int i = 0; i < CANCELLERS; i++)
        caller_start(&cancellers[i], cancel_in_a_race, &self.race);
    for (int round = 0; round < CANCEL_ROUNDS; round++) {
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(
            weir_pool_submit_task(pool, &task, cancel_own_context_in_a_race, &self, NULL), 0);
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
        ck_assert_int_ge(self.own, 1);
        ck_assert_int_le(self.own, CANCELLERS);
        for (int i = 0; i < CANCELLERS; i++)
            ck_assert_int_eq(self.race.seen[i], self.own);
        ck_assert_int_eq(self.of_kept, self.own);
        ck_assert_int_eq(self.of_late, self.own);
        ck_assert_int_eq(weir_context_cause(self.kept), self.own);
        weir_context_unref(self.kept);
    }
    for (int i = 0; i < CANCELLERS; i++)
        ck_assert_int_eq(caller_join(&cancellers[i]), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(a_task_may_submit_with_its_own_context)
{
    weir_pool *pool = new_pool(2, 4);
    struct probe outer = PROBE_INIT, inner = PROBE_INIT;
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, keep_context, &outer, NULL), 0);
    await_entered(&outer);
    ck_assert_int_eq(
        weir_pool_submit_until(pool, outlast_context, &inner, outer.kept, WEIR_FOREVER), 0);
    await_entered(&inner);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    gate_open(&outer.leave);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(inner.result, 0);
    ck_assert_int_eq(inner.err_inside, -ECANCELED);
    drop_probe(&inner);
    drop_probe(&outer);
    finish_pool(pool);
}
END_TEST

/* Misuse. */

static int unref_own_context(weir_context *ctx, void *arg)
{
    (void)arg;
    weir_context_unref(ctx);
    return 0;
}

static void run_plain_unref(void *arg)
{
    (void)arg;
    weir_pool *pool;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) != 0 ||
        weir_pool_submit(pool, unref_own_context, NULL) != 0 || weir_pool_drain(pool) != 0)
        return;
    weir_pool_free(pool);
}

static void run_task_unref(void *arg)
{
    (void)arg;
    weir_pool *pool;
    weir_task task = WEIR_TASK_INIT;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) != 0 ||
        weir_pool_submit_task(pool, &task, unref_own_context, NULL, NULL) != 0 ||
        weir_task_wait(&task) != 0)
        return;
    weir_pool_free(pool);
}

START_TEST(giving_back_the_context_that_a_task_was_given_aborts)
{
    assert_aborts(run_task_unref, NULL, "weir_context_unref");
    assert_aborts(run_plain_unref, NULL, "weir_context_unref");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("context");

    TCase *lifecycle = add_group(suite, "lifecycle");
    tcase_add_test(lifecycle, a_new_context_is_live);
    tcase_add_test(lifecycle, a_reference_keeps_a_context);
    tcase_add_test(lifecycle, a_child_keeps_its_ancestors);
    tcase_add_test(lifecycle, a_chain_of_contexts_may_be_deep);

    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, null_is_the_context_that_is_never_over);
    tcase_add_test(contract, the_first_cause_wins);
    tcase_add_test(contract, any_number_may_be_a_cause_and_zero_means_canceled);
    tcase_add_test(contract, cancel_reaches_all_descendants_and_nobody_else);
    tcase_add_test(contract, the_cause_is_that_of_the_first_cancelled);
    tcase_add_test(contract, a_child_of_a_context_that_is_over_is_over);
    tcase_add_test(contract, the_earliest_deadline_counts);
    tcase_add_test(contract, a_deadline_in_the_past_is_over_from_the_start);
    tcase_add_test(contract, a_cancellation_before_the_deadline_stays_one_after_it);
    tcase_add_test(contract, a_deadline_before_the_cancellation_stays_the_reason);
    tcase_add_test(contract, the_nearest_value_answers);
    tcase_add_test(contract, a_value_of_null_hides_the_one_above);
    tcase_add_test(contract, keys_are_addresses_not_texts);

    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, waiting_for_a_context_that_is_over_returns_at_once);
    tcase_add_test(blocking, a_wait_ends_at_its_deadline);
    tcase_add_test(blocking, a_wait_ends_when_the_deadline_of_an_ancestor_passes);
    tcase_add_test(blocking, cancelling_an_ancestor_wakes_who_waits_for_a_descendant);
    tcase_add_test(blocking, cancel_wakes_all_whom_it_ends_and_no_others);
    tcase_add_test(blocking, a_sleep_lasts_until_its_deadline);
    tcase_add_test(blocking, a_sleep_until_the_past_is_none);
    tcase_add_test(blocking, a_sleep_under_a_context_that_is_over_fails_at_once);
    tcase_add_test(blocking, a_sleep_ends_with_its_context);

    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, of_many_cancellations_at_once_all_see_the_same_one);
    tcase_add_test(cancel, what_came_before_the_cancel_is_seen_with_it);
    tcase_add_test(cancel, references_and_children_come_and_go_on_many_threads);

    TCase *tasks = add_group(suite, "tasks");
    tcase_add_test(tasks, a_reference_to_the_context_of_a_task_outlives_the_task);
    tcase_add_test(tasks, what_hangs_on_the_context_of_a_task_is_cancelled_with_the_task);
    tcase_add_test(tasks, what_is_made_after_the_cancellation_of_a_task_is_over_too);
    tcase_add_test(tasks, a_task_that_waits_for_its_own_context_is_woken_by_its_cancellation);
    tcase_add_test(tasks, a_task_sees_the_end_of_the_context_it_was_submitted_with);
    tcase_add_test(tasks, a_task_sees_the_context_of_its_pool);
    tcase_add_test(tasks, what_hangs_on_the_context_of_a_task_is_cancelled_with_the_pool);
    tcase_add_test(tasks, a_task_that_cancels_its_own_context_ends_what_hangs_on_it_and_no_more);
    tcase_add_test(tasks, a_plain_task_that_cancels_its_own_context_ends_nobody_else);
    tcase_add_test(tasks, a_task_that_cancels_its_own_context_spares_the_one_it_was_submitted_with);
    tcase_add_test(tasks, a_running_time_limit_reaches_what_hangs_on_the_context_of_the_task);
    tcase_add_test(tasks, references_taken_at_once_from_many_threads_are_the_same);
    tcase_add_test(tasks, what_hangs_on_the_context_of_a_task_sees_the_cause_that_the_task_sees);
    tcase_add_test(tasks, a_task_may_submit_with_its_own_context);

    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, arguments_that_can_never_be_valid_are_refused);
    tcase_add_test(misuse, giving_back_the_context_that_a_task_was_given_aborts);
    return suite;
}
