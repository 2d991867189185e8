/* SPDX-License-Identifier: MIT */
/* errgroup.c - groups of tasks that end together. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static weir_errgroup *new_group(weir_pool *pool, weir_context *parent, unsigned limit,
                                unsigned keep_errors)
{
    weir_errgroup *group = NULL;
    int err = weir_errgroup_new(&group, pool, parent,
                                WEIR_ERRGROUP_OPTIONS(.limit = limit, .keep_errors = keep_errors));
    ck_assert_int_eq(err, 0);
    ck_assert_ptr_nonnull(group);
    return group;
}

static weir_context *new_context(weir_context *parent, int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, parent, deadline), 0);
    return ctx;
}

static void record_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)arg;
    recorder_add(user, (int)why);
}

/* Its on_drop writes to `dropped`. */
static weir_pool *new_pool_that_tells(unsigned workers, unsigned capacity, weir_overflow overflow,
                                      recorder *dropped)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                                     .overflow = overflow, .on_drop = record_drop,
                                                     .user = dropped));
    ck_assert_int_eq(err, 0);
    return pool;
}

/* Members. */

static int return_0(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

/* Returns the int that `arg` points to. */
static int return_code(weir_context *ctx, void *arg)
{
    (void)ctx;
    return *(const int *)arg;
}

/* Waits at a gate, then returns a code. */
struct late_code {
    gate hold;
    int code;
};

static int return_code_late(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct late_code *late = arg;
    gate_wait(&late->hold);
    return late->code;
}

/* Returns its context's err once that is over; adds 1 to `arg`, a counter, when it has begun. */
static int outlast_context(weir_context *ctx, void *arg)
{
    counter_add(arg, 1);
    int err = weir_context_wait_until(ctx, WEIR_FOREVER);
    return err != 0 ? err : weir_context_err(ctx);
}

static int io_error = -EIO, positive = 7, canceled = -ECANCELED;

static size_t count_errors(weir_errgroup *group)
{
    return weir_errgroup_errors(group, NULL, 0);
}

/* Waits until `n` members have failed. */
static void await_errors(weir_errgroup *group, size_t n)
{
    int64_t deadline = patience();
    while (count_errors(group) < n) {
        ck_assert_int_lt(weir_now(), deadline);
        (void)sched_yield();
    }
}

static void await_over(weir_errgroup *group)
{
    ck_assert_int_eq(weir_context_wait_until(weir_errgroup_context(group), patience()), 0);
}

static int wait_for_group(void *group)
{
    return weir_errgroup_wait(group);
}

static int stop_group(void *group)
{
    return weir_errgroup_stop(group);
}

static int free_group(void *group)
{
    weir_errgroup_free(group);
    return 0;
}

/* One call of go, from a thread of its own. */
struct go {
    weir_errgroup *group;
    weir_task_fn *fn;
    void *arg;
    weir_context *ctx;
};

static int go_until(void *arg)
{
    const struct go *go = arg;
    return weir_errgroup_go_until(go->group, go->fn, go->arg, go->ctx, WEIR_FOREVER);
}

/* Lifecycle. */

START_TEST(an_empty_group_is_waited_for_and_freed)
{
    weir_pool *pool = new_pool(1, 4);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_int_eq(weir_errgroup_try_wait(group), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_uint_eq(count_errors(group), 0);
    ck_assert_int_eq(weir_context_err(weir_errgroup_context(group)), 0);
    weir_errgroup_free(group);
    weir_errgroup_free(NULL);

    /* Never waited for at all. */
    weir_errgroup_free(new_group(pool, NULL, 3, 3));
    finish_pool(pool);
}
END_TEST

START_TEST(options_default_and_grow)
{
    struct {
        weir_errgroup_options known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof newer}};
    weir_pool *pool = new_pool(1, 4);
    weir_errgroup *group = NULL;

    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, NULL), 0);
    weir_errgroup_free(group);
    weir_errgroup_options options;
    memset(&options, 0xff, sizeof options);
    weir_errgroup_options_init(&options);
    ck_assert_uint_eq(options.size, sizeof options);
    ck_assert_uint_eq(options.limit, 0);
    ck_assert_uint_eq(options.keep_errors, 0);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, &options), 0);
    weir_errgroup_free(group);

    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, &newer.known), 0);
    weir_errgroup_free(group);
    weir_errgroup *untouched = (weir_errgroup *)&untouched;
    group = untouched;
    newer.unknown = 1;
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, &newer.known), -E2BIG);
    ck_assert_ptr_eq(group, untouched);
    finish_pool(pool);
}
END_TEST

START_TEST(absurd_options_are_refused)
{
    weir_pool *pool = new_pool(1, 4);
    weir_errgroup *untouched = (weir_errgroup *)&untouched, *group = untouched;
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, &(weir_errgroup_options){.limit = 1}),
                     -EINVAL);
    ck_assert_int_eq(
        weir_errgroup_new(&group, pool, NULL, &(weir_errgroup_options){.size = sizeof(size_t)}),
        -EINVAL);
    ck_assert_int_eq(
        weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.keep_errors = (1U << 20) + 1)),
        -EINVAL);
    ck_assert_int_eq(
        weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.keep_errors = UINT_MAX)),
        -EINVAL);
    ck_assert_int_eq(weir_errgroup_new(NULL, pool, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_new(&group, NULL, NULL, NULL), -EINVAL);
    ck_assert_ptr_eq(group, untouched);

    group = new_group(pool, NULL, UINT_MAX, 1U << 20);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(a_kept_context_outlives_the_group)
{
    weir_pool *pool = new_pool(1, 4);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    weir_context *kept = weir_context_ref(weir_errgroup_context(group)), *child;
    ck_assert_int_eq(weir_context_new(&child, kept, WEIR_FOREVER), 0);
    weir_errgroup_free(group); /* stops it, for others can tell */
    ck_assert_int_eq(weir_context_err(kept), -ECANCELED);
    weir_context_unref(kept);
    ck_assert_int_eq(weir_context_err(child), -ECANCELED);
    weir_context_unref(child);
    finish_pool(pool);
}
END_TEST

START_TEST(free_stops_the_members_and_waits_for_them)
{
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(2, 8, WEIR_OVERFLOW_BLOCK, &dropped);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter begun = COUNTER_INIT;
    struct late_code late = {GATE_INIT, 0};
    ck_assert_int_eq(weir_errgroup_go(group, outlast_context, &begun), 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    counter_await(&begun, 1);
    gate_await(&late.hold, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
    caller freer;
    caller_start(&freer, free_group, group);
    ck_assert(caller_await_asleep(&freer));
    gate_open(&late.hold);
    ck_assert_int_eq(caller_join(&freer), 0);
    ck_assert_uint_eq(recorder_count(&dropped), 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(recorder_at(&dropped, i), WEIR_TASK_CANCELLED);
    finish_pool(pool);
}
END_TEST

START_TEST(groups_come_and_go_while_their_pool_stays)
{
    weir_pool *pool = new_pool(2, 4);
    for (int round = 0; round < 300; round++) {
        weir_errgroup *group = new_group(pool, NULL, (unsigned)round % 3, 0);
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
        if (round % 2 == 0)
            ck_assert_int_eq(weir_errgroup_wait(group), 0);
        weir_errgroup_free(group);
    }
    finish_pool(pool);
}
END_TEST

/* Contract. */

static const char key;

struct seen {
    void *arg, *value;
    weir_pool *pool;
};

static int see(weir_context *ctx, void *arg)
{
    struct seen *seen = arg;
    *seen = (struct seen){arg, weir_context_value(ctx, &key), weir_pool_current()};
    return 0;
}

START_TEST(members_run_on_the_pool_under_the_parent)
{
    weir_pool *pool = new_pool(2, 4);
    weir_context *parent;
    ck_assert_int_eq(weir_context_with_value(&parent, NULL, &key, &pool), 0);
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    ck_assert_ptr_eq(weir_context_value(weir_errgroup_context(group), &key), &pool);
    struct seen plain = {0}, tried = {0}, bounded = {0};
    ck_assert_int_eq(weir_errgroup_go(group, see, &plain), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, see, &tried), 0);
    ck_assert_int_eq(weir_errgroup_go_until(group, see, &bounded, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    struct seen *all[] = {&plain, &tried, &bounded};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ptr_eq(all[i]->arg, all[i]);
        ck_assert_ptr_eq(all[i]->pool, pool);
        ck_assert_ptr_eq(all[i]->value, &pool);
    }
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(wait_may_be_repeated_and_go_may_follow_it)
{
    weir_pool *pool = new_pool(2, 4);
    weir_errgroup *group = new_group(pool, NULL, 2, 0);
    counter ran = COUNTER_INIT;
    for (size_t round = 1; round <= 20; round++) {
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), 0);
        ck_assert_int_eq(weir_errgroup_wait(group), 0);
        ck_assert_int_eq(weir_errgroup_wait(group), 0);
        ck_assert_uint_eq(counter_get(&ran), 5 * round);
    }
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(the_first_error_is_what_wait_returns_and_ends_the_rest)
{
    weir_pool *pool = new_pool(3, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter begun = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, outlast_context, &begun), 0);
    ck_assert_int_eq(weir_errgroup_go(group, outlast_context, &begun), 0);
    counter_await(&begun, 2);
    ck_assert_int_eq(weir_errgroup_try_wait(group), -EAGAIN);
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &io_error), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    ck_assert_int_eq(weir_context_err(weir_errgroup_context(group)), -ECANCELED);
    /* The others returned -ECANCELED as a consequence: that is no error. */
    int code = 0;
    ck_assert_uint_eq(weir_errgroup_errors(group, &code, 1), 1);
    ck_assert_int_eq(code, -EIO);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    ck_assert_int_eq(weir_errgroup_try_wait(group), -EIO);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, 0), -EIO);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(an_error_that_follows_the_first_is_counted_but_not_returned)
{
    weir_pool *pool = new_pool(2, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    struct late_code late = {GATE_INIT, -EPERM};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    gate_await(&late.hold, 1);
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &io_error), 0);
    await_over(group);
    gate_open(&late.hold);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    int codes[2] = {99, 99};
    ck_assert_uint_eq(weir_errgroup_errors(group, codes, 2), 2);
    ck_assert_int_eq(codes[0], -EIO);
    ck_assert_int_eq(codes[1], 99);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(canceled_is_an_error_when_nobody_cancelled)
{
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &canceled), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), -ECANCELED);
    ck_assert_uint_eq(count_errors(group), 1);
    ck_assert_int_eq(weir_context_err(weir_errgroup_context(group)), -ECANCELED);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(a_positive_status_is_kept_as_it_is)
{
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &positive), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 7);
    int code = 0;
    ck_assert_uint_eq(weir_errgroup_errors(group, &code, 1), 1);
    ck_assert_int_eq(code, 7);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(the_first_errors_are_kept_in_the_order_of_ending)
{
    enum { MEMBERS = 5, KEPT = 3 };
    weir_pool *pool = new_pool(MEMBERS, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, KEPT);
    struct late_code late[MEMBERS];
    static const size_t order[MEMBERS] = {3, 0, 4, 1, 2};
    for (int i = 0; i < MEMBERS; i++) {
        late[i] = (struct late_code){GATE_INIT, -100 - i};
        ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late[i]), 0);
    }
    for (int i = 0; i < MEMBERS; i++)
        gate_await(&late[i].hold, 1);
    for (size_t i = 0; i < MEMBERS; i++) {
        gate_open(&late[order[i]].hold);
        await_errors(group, i + 1);
    }
    ck_assert_int_eq(weir_errgroup_wait(group), -103);

    int codes[MEMBERS] = {99, 99, 99, 99, 99};
    ck_assert_uint_eq(weir_errgroup_errors(group, codes, 2), MEMBERS);
    ck_assert_int_eq(codes[0], -103);
    ck_assert_int_eq(codes[1], -100);
    ck_assert_int_eq(codes[2], 99);
    ck_assert_uint_eq(weir_errgroup_errors(group, codes, MEMBERS), MEMBERS);
    ck_assert_int_eq(codes[2], -104);
    ck_assert_int_eq(codes[3], 99);
    ck_assert_int_eq(codes[4], 99);

    weir_errgroup_failure failures[MEMBERS] = {{0}};
    ck_assert_uint_eq(weir_errgroup_failures(group, NULL, MEMBERS), MEMBERS);
    ck_assert_uint_eq(weir_errgroup_failures(group, failures, 2), MEMBERS);
    ck_assert_ptr_null(failures[2].arg);
    ck_assert_uint_eq(weir_errgroup_failures(group, failures, MEMBERS), MEMBERS);
    for (size_t i = 0; i < KEPT; i++) {
        ck_assert(failures[i].fn == return_code_late);
        ck_assert_ptr_eq(failures[i].arg, &late[order[i]]);
        ck_assert_int_eq(failures[i].code, late[order[i]].code);
    }
    ck_assert_ptr_null(failures[KEPT].arg);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* A look at the failures while members fail. */
struct lookers {
    weir_errgroup *group;
    int codes[200];
};

static int look_and_fail(weir_context *ctx, void *arg)
{
    struct lookers *lookers = arg;
    weir_errgroup_failure failures[200];
    (void)ctx;
    size_t failed = weir_errgroup_failures(lookers->group, failures, 200);
    for (size_t i = 0; i < failed; i++)
        if (failures[i].fn != look_and_fail || failures[i].arg != lookers || failures[i].code != -1)
            return -2;
    return -1;
}

START_TEST(failures_can_be_looked_at_while_members_fail)
{
    weir_pool *pool = new_pool(4, 256);
    weir_errgroup *group = new_group(pool, NULL, 0, 200);
    struct lookers lookers = {.group = group};
    int going = 0;
    while (going < 200 && weir_errgroup_go(group, look_and_fail, &lookers) == 0)
        going++;
    ck_assert_int_eq(weir_errgroup_wait(group), -1);
    size_t failed = weir_errgroup_errors(group, lookers.codes, 200);
    ck_assert_uint_ge(failed, 1);
    for (size_t i = 0; i < failed; i++)
        ck_assert_int_eq(lookers.codes[i], -1);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(a_member_that_never_starts_fails_with_its_argument)
{
    weir_pool *pool;
    int argument = 0;
    gate hold = GATE_INIT;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .overflow = WEIR_OVERFLOW_DROP_OLDEST)),
                     0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    gate_await(&hold, 1);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, &argument), 0);
    ck_assert_int_eq(weir_pool_submit(pool, return_0, NULL), 0); /* drops it */
    weir_errgroup_failure failure;
    ck_assert_uint_eq(weir_errgroup_failures(group, &failure, 1), 1);
    ck_assert_ptr_eq(failure.arg, &argument);
    ck_assert(failure.fn == return_0);
    ck_assert_int_eq(failure.code, -EPIPE);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), -EPIPE);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(go_on_a_group_that_is_over_never_runs_the_task)
{
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &io_error), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_try_go(group, counter_task, &ran), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_go_until(group, counter_task, &ran, NULL, 0), -ECANCELED);
    weir_errgroup_free(group);

    weir_context *late = new_context(NULL, 0);
    group = new_group(pool, late, 0, 0);
    ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), -ETIMEDOUT);
    ck_assert_int_eq(weir_errgroup_wait(group), -ETIMEDOUT);
    weir_errgroup_free(group);
    weir_context_unref(late);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 0);
    weir_pool_free(pool);
}
END_TEST

START_TEST(queued_members_of_a_group_that_ended_are_told_to_on_drop)
{
    enum { QUEUED = 4 };
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(1, 8, WEIR_OVERFLOW_BLOCK, &dropped);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    struct late_code late = {GATE_INIT, -EIO};
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    gate_await(&late.hold, 1);
    for (int i = 0; i < QUEUED; i++)
        ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), 0);
    gate_open(&late.hold);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    ck_assert_uint_eq(recorder_count(&dropped), QUEUED);
    for (size_t i = 0; i < QUEUED; i++)
        ck_assert_int_eq(recorder_at(&dropped, i), WEIR_TASK_CANCELLED);
    ck_assert_uint_eq(counter_get(&ran), 0);
    ck_assert_uint_eq(count_errors(group), 1);
    weir_errgroup_free(group);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, 1 + QUEUED);
    ck_assert_uint_eq(counts.failed, 1);
    ck_assert_uint_eq(counts.cancelled, QUEUED);
    weir_pool_free(pool);
}
END_TEST

START_TEST(an_evicted_member_does_not_hold_the_wait)
{
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(1, 1, WEIR_OVERFLOW_DROP_OLDEST, &dropped);
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_submit(pool, return_0, NULL), 0);
    ck_assert_uint_eq(recorder_count(&dropped), 1);
    ck_assert_int_eq(recorder_at(&dropped, 0), WEIR_TASK_DROPPED);
    ck_assert_int_ne(weir_errgroup_try_wait(group), -EAGAIN);
    ck_assert_uint_eq(counter_get(&ran), 0);
    gate_open(&hold);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(a_context_given_to_go_bounds_the_call_only)
{
    weir_pool *pool = new_pool(1, 8);
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    weir_context *ctx = new_context(NULL, WEIR_FOREVER);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go_until(group, counter_task, &ran, ctx, WEIR_FOREVER), 0);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_errgroup_go_until(group, counter_task, &ran, ctx, WEIR_FOREVER),
                     -ECANCELED);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_uint_eq(counter_get(&ran), 1);
    weir_errgroup_free(group);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(ending_one_group_spares_the_others_of_its_pool)
{
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0), *other = new_group(pool, NULL, 0, 0);
    weir_context_cancel(weir_errgroup_context(group), -EIO);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_go(other, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_wait(other), 0);
    weir_errgroup_free(other);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

struct message {
    int written[8]; /* plain: published to the waiter by the members' ends */
};

static int write_message(weir_context *ctx, void *arg)
{
    (void)ctx;
    *(int *)arg = 4711;
    return 0;
}

START_TEST(what_the_members_did_is_seen_after_the_wait)
{
    weir_pool *pool = new_pool(2, 4);
    for (int round = 0; round < 100; round++) {
        weir_errgroup *group = new_group(pool, NULL, 0, 0);
        struct message message = {{0}};
        for (int i = 0; i < 8; i++)
            ck_assert_int_eq(weir_errgroup_go(group, write_message, &message.written[i]), 0);
        ck_assert_int_eq(weir_errgroup_wait(group), 0);
        for (int i = 0; i < 8; i++)
            ck_assert_int_eq(message.written[i], 4711);
        weir_errgroup_free(group);
    }
    finish_pool(pool);
}
END_TEST

/* Limits. */

struct load {
    atomic_uint now, most, ran;
};

static int be_a_load(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct load *load = arg;
    unsigned now = atomic_fetch_add(&load->now, 1) + 1;
    unsigned most = atomic_load(&load->most);
    while (now > most && !atomic_compare_exchange_weak(&load->most, &most, now))
        continue;
    for (int i = 0; i < 20; i++)
        (void)sched_yield();
    (void)atomic_fetch_sub(&load->now, 1);
    (void)atomic_fetch_add(&load->ran, 1);
    return 0;
}

START_TEST(never_more_members_than_the_limit_run_at_once)
{
    enum { MEMBERS = 120 };
    weir_pool *pool = new_pool(4, 8);
    for (unsigned limit = 1; limit <= 4; limit++) {
        weir_errgroup *group = new_group(pool, NULL, limit, 0);
        struct load load = {0};
        for (int i = 0; i < MEMBERS; i++)
            ck_assert_int_eq(weir_errgroup_go(group, be_a_load, &load), 0);
        ck_assert_int_eq(weir_errgroup_wait(group), 0);
        ck_assert_uint_eq(atomic_load(&load.ran), MEMBERS);
        ck_assert_uint_le(atomic_load(&load.most), limit);
        weir_errgroup_free(group);
    }
    finish_pool(pool);
}
END_TEST

static int go_many(void *arg)
{
    const struct go *go = arg;
    for (int i = 0; i < 40; i++)
        if (weir_errgroup_go(go->group, go->fn, go->arg) != 0)
            return -1;
    return 0;
}

START_TEST(the_limit_holds_for_many_callers)
{
    enum { CALLERS = 3 };
    weir_pool *pool = new_pool(4, 2);
    weir_errgroup *group = new_group(pool, NULL, 2, 0);
    struct load load = {0};
    struct go go = {.group = group, .fn = be_a_load, .arg = &load};
    caller callers[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        caller_start(&callers[i], go_many, &go);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_uint_eq(atomic_load(&load.ran), 40 * CALLERS);
    ck_assert_uint_le(atomic_load(&load.most), 2);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* A member that works, adds two more (which it may have to run itself), and works again. */
struct branching {
    weir_errgroup *group;
    struct load load;
    atomic_int left; /* members that will still add others */
};

static int work_and_branch(weir_context *ctx, void *arg)
{
    struct branching *self = arg;
    int err = be_a_load(ctx, &self->load);
    for (int i = 0; i < 2 && err == 0; i++)
        if (atomic_fetch_sub(&self->left, 1) > 0)
            err = weir_errgroup_go(self->group, work_and_branch, self);
    return err != 0 ? err : be_a_load(ctx, &self->load);
}

START_TEST(the_limit_holds_for_members_that_add_members)
{
    enum { MEMBERS = 60 };
    weir_pool *pool = new_pool(4, 2);
    for (unsigned limit = 1; limit <= 3; limit++) {
        weir_errgroup *group = new_group(pool, NULL, limit, 0);
        struct branching self = {.group = group, .left = MEMBERS};
        ck_assert_int_eq(weir_errgroup_go(group, work_and_branch, &self), 0);
        ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
        ck_assert_uint_eq(atomic_load(&self.load.ran), 2 * (MEMBERS + 1));
        ck_assert_uint_le(atomic_load(&self.load.most), limit);
        weir_errgroup_free(group);
    }
    finish_pool(pool);
}
END_TEST

START_TEST(go_waits_at_the_limit_for_a_member_to_end)
{
    weir_pool *pool = new_pool(4, 8);
    weir_errgroup *group = new_group(pool, NULL, 2, 0);
    gate first = GATE_INIT, second = GATE_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &first), 0);
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &second), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), -EAGAIN);
    ck_assert_int_eq(weir_errgroup_go_until(group, return_0, NULL, NULL, 0), -ETIMEDOUT);
    ck_assert_int_eq(weir_errgroup_go_until(group, return_0, NULL, NULL, weir_after(WEIR_MS(5))),
                     -ETIMEDOUT);
    counter ran = COUNTER_INIT;
    struct go go = {.group = group, .fn = counter_task, .arg = &ran};
    caller waiter;
    caller_start(&waiter, go_until, &go);
    ck_assert(caller_await_asleep(&waiter));
    ck_assert_uint_eq(counter_get(&ran), 0);
    gate_open(&first);
    ck_assert_int_eq(caller_join(&waiter), 0);
    counter_await(&ran, 1);
    gate_open(&second);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(the_deadline_of_the_pools_context_wakes_who_waits_at_the_limit)
{
    weir_context *ctx = new_context(NULL, weir_after(WEIR_MS(100)));
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 8, .context = ctx)), 0);
    weir_errgroup *group = new_group(pool, NULL, 1, 0);
    gate hold = GATE_INIT;
    int first = weir_errgroup_go(group, gate_task, &hold);
    ck_assert(first == 0 || first == -EPIPE); /* the latter if this took so long already */
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), -EPIPE);
    gate_open(&hold);
    (void)weir_errgroup_stop(group);
    weir_errgroup_free(group);
    finish_pool(pool);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(queued_members_count_against_the_limit)
{
    weir_pool *pool = new_pool(1, 8);
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    weir_errgroup *group = new_group(pool, NULL, 2, 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), -EAGAIN);
    ck_assert_uint_eq(weir_pool_queued(pool), 2);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(raising_the_limit_wakes_the_callers_that_now_have_room)
{
    weir_pool *pool = new_pool(4, 8);
    weir_errgroup *group = new_group(pool, NULL, 1, 0);
    gate hold = GATE_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &hold), 0);
    struct go go = {.group = group, .fn = gate_task, .arg = &hold};
    caller waiters[3];
    for (int i = 0; i < 3; i++)
        caller_start(&waiters[i], go_until, &go);
    for (int i = 0; i < 3; i++)
        ck_assert(caller_await_asleep(&waiters[i]));
    ck_assert_int_eq(weir_errgroup_set_limit(group, 3), 0);
    gate_await(&hold, 3);
    int left = 0;
    for (int i = 0; i < 3; i++)
        left += caller_await_asleep(&waiters[i]) ? 1 : 0;
    ck_assert_int_eq(left, 1);
    ck_assert_uint_eq(gate_arrived(&hold), 3);
    ck_assert_int_eq(weir_errgroup_set_limit(group, 0), 0);
    gate_await(&hold, 4);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&waiters[i]), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(members_above_a_lowered_limit_go_on)
{
    weir_pool *pool = new_pool(3, 8);
    weir_errgroup *group = new_group(pool, NULL, 3, 0);
    gate holds[3] = {GATE_INIT, GATE_INIT, GATE_INIT};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_errgroup_go(group, gate_task, &holds[i]), 0);
    for (int i = 0; i < 3; i++)
        gate_await(&holds[i], 1);
    ck_assert_int_eq(weir_errgroup_set_limit(group, 1), 0);
    counter ran = COUNTER_INIT;
    struct go go = {.group = group, .fn = counter_task, .arg = &ran};
    caller waiter;
    caller_start(&waiter, go_until, &go);
    ck_assert(caller_await_asleep(&waiter));
    for (int i = 0; i < 2; i++) {
        gate_open(&holds[i]);
        ck_assert(caller_await_asleep(&waiter));
        ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), -EAGAIN);
    }
    gate_open(&holds[2]);
    ck_assert_int_eq(caller_join(&waiter), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_uint_eq(counter_get(&ran), 1);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

struct inner {
    weir_errgroup *group;
    pthread_t outer_thread, inner_thread;
    bool ran_before_return;
    int go_result, try_result;
    atomic_bool ran;
};

static int note_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct inner *inner = arg;
    inner->inner_thread = pthread_self();
    atomic_store(&inner->ran, true);
    return 0;
}

static int go_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct inner *inner = arg;
    inner->outer_thread = pthread_self();
    inner->try_result = weir_errgroup_try_go(inner->group, return_0, NULL);
    inner->go_result = weir_errgroup_go(inner->group, note_thread, inner);
    inner->ran_before_return = atomic_load(&inner->ran);
    return 0;
}

START_TEST(a_member_that_calls_go_at_the_limit_runs_the_task_itself)
{
    weir_pool *pool = new_pool(2, 8);
    weir_errgroup *group = new_group(pool, NULL, 1, 0);
    struct inner inner = {.group = group};
    ck_assert_int_eq(weir_errgroup_go(group, go_inside, &inner), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
    ck_assert_int_eq(inner.try_result, -EAGAIN);
    ck_assert_int_eq(inner.go_result, 0);
    ck_assert(inner.ran_before_return);
    ck_assert(pthread_equal(inner.outer_thread, inner.inner_thread));
    weir_errgroup_free(group);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, 2);
    ck_assert_uint_eq(counts.done, 2);
    weir_pool_free(pool);
}
END_TEST

struct nest {
    weir_errgroup *group;
    int depth, deepest, refusal;
};

static int go_deeper(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct nest *nest = arg;
    int depth = nest->depth++;
    if (depth > nest->deepest)
        nest->deepest = depth;
    int err = weir_errgroup_go(nest->group, go_deeper, nest);
    if (err != 0 && nest->refusal == 0)
        nest->refusal = err;
    nest->depth--;
    return 0;
}

START_TEST(members_that_run_members_nest_sixty_four_deep)
{
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group = new_group(pool, NULL, 1, 0);
    struct nest nest = {.group = group};
    ck_assert_int_eq(weir_errgroup_go(group, go_deeper, &nest), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
    ck_assert_int_eq(nest.deepest, 64);
    ck_assert_int_eq(nest.refusal, -EDEADLK);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

struct outsider {
    weir_pool *pool;
    recorder ran;
    int first, second, third, result;
};

static int tell_outsider(weir_context *ctx, void *arg)
{
    (void)ctx;
    recorder_add(arg, (int)weir_pool_worker_index());
    return 0;
}

/* Not a member: it must run the members itself, because it keeps the only worker. */
static int use_a_group_of_limit_1(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct outsider *self = arg;
    weir_errgroup *group = NULL;
    self->result = weir_errgroup_new(&group, self->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1));
    if (self->result != 0)
        return 0;
    self->first = weir_errgroup_go(group, tell_outsider, &self->ran);
    self->second = weir_errgroup_go(group, tell_outsider, &self->ran);
    self->third = weir_errgroup_go_until(group, tell_outsider, &self->ran, NULL, WEIR_FOREVER);
    self->result = weir_errgroup_wait(group);
    weir_errgroup_free(group);
    return 0;
}

START_TEST(a_task_that_is_no_member_runs_members_while_go_waits_at_the_limit)
{
    struct outsider self = {.ran = RECORDER_INIT};
    self.pool = new_pool(1, 4);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(self.pool, &task, use_a_group_of_limit_1, &self, NULL),
                     0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(self.first, 0);
    ck_assert_int_eq(self.second, 0);
    ck_assert_int_eq(self.third, 0);
    ck_assert_int_eq(self.result, 0);
    ck_assert_uint_eq(recorder_count(&self.ran), 3);
    finish_pool(self.pool);
}
END_TEST

START_TEST(a_full_pool_that_rejects_gives_the_place_under_the_limit_back)
{
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(1, 1, WEIR_OVERFLOW_REJECT, &dropped);
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    weir_errgroup *group = new_group(pool, NULL, 2, 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), -EAGAIN);
        ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), -EAGAIN);
    }
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);

    /* Room for two again: a place that was kept would leave one. */
    gate again = GATE_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &again), 0);
    gate_await(&again, 1);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_try_go(group, return_0, NULL), -EAGAIN);
    gate_open(&again);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

static int note_caller(weir_context *ctx, void *arg)
{
    (void)ctx;
    *(pthread_t *)arg = pthread_self();
    return 0;
}

START_TEST(a_full_pool_where_callers_run_makes_the_caller_of_go_run_the_member)
{
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(1, 1, WEIR_OVERFLOW_CALLER_RUNS, &dropped);
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, return_0, NULL), 0);
    weir_errgroup *group = new_group(pool, NULL, 1, 0);
    for (int i = 0; i < 3; i++) {
        pthread_t ran_on = (pthread_t)0;
        ck_assert_int_eq(weir_errgroup_go(group, note_caller, &ran_on), 0);
        ck_assert(pthread_equal(ran_on, pthread_self()));
        ck_assert_int_eq(weir_errgroup_try_wait(group), 0);
    }
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &io_error), 0);
    ck_assert_int_eq(weir_errgroup_try_wait(group), -EIO);
    gate_open(&hold);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* Blocking. */

START_TEST(waits_are_bounded_by_deadline_and_context)
{
    weir_pool *pool = new_pool(1, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    weir_context *ctx = new_context(NULL, WEIR_FOREVER), *over = new_context(NULL, WEIR_FOREVER);
    weir_context_cancel(over, 0);
    ck_assert_int_eq(weir_errgroup_wait_until(group, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, 0), 0);

    gate hold = GATE_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &hold), 0);
    gate_await(&hold, 1);
    ck_assert_int_eq(weir_errgroup_try_wait(group), -EAGAIN);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, 0), -ETIMEDOUT);
    int64_t deadline = weir_after(WEIR_MS(10));
    ck_assert_int_eq(weir_errgroup_wait_until(group, ctx, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    ck_assert_int_eq(weir_errgroup_wait_until(group, over, 0), -ECANCELED);
    ck_assert_int_eq(weir_context_err(weir_errgroup_context(group)), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_errgroup_wait_until(group, ctx, WEIR_FOREVER), 0);
    weir_errgroup_free(group);
    weir_context_unref(over);
    weir_context_unref(ctx);
    finish_pool(pool);
}
END_TEST

START_TEST(the_end_of_the_last_member_wakes_every_waiter)
{
    enum { WAITERS = 4 };
    weir_pool *pool = new_pool(2, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    struct late_code late = {GATE_INIT, -EIO};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    caller waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        caller_start(&waiters[i], wait_for_group, group);
    for (int i = 0; i < WAITERS; i++)
        ck_assert(caller_await_asleep(&waiters[i]));
    gate_open(&late.hold);
    for (int i = 0; i < WAITERS; i++)
        ck_assert_int_eq(caller_join(&waiters[i]), -EIO);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

/* What ends a caller of go that waits at the limit. */
enum ender { BY_ERROR, BY_STOP, BY_PARENT, BY_ITS_CONTEXT, ENDERS };

START_TEST(the_end_of_the_group_wakes_who_waits_at_the_limit)
{
    weir_pool *pool = new_pool(2, 8);
    weir_context *parent = new_context(NULL, WEIR_FOREVER), *ctx = new_context(NULL, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, parent, 1, 0);
    struct late_code late = {GATE_INIT, _i == BY_ERROR ? -EIO : 0};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    counter ran = COUNTER_INIT;
    struct go go = {group, counter_task, &ran, ctx};
    caller waiter, stopper;
    caller_start(&waiter, go_until, &go);
    ck_assert(caller_await_asleep(&waiter));
    switch (_i) {
    case BY_ERROR:
        gate_open(&late.hold);
        break;
    case BY_STOP:
        caller_start(&stopper, stop_group, group);
        break;
    case BY_PARENT:
        weir_context_cancel(parent, 0);
        break;
    default:
        weir_context_cancel(ctx, 0);
        break;
    }
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    gate_open(&late.hold);
    if (_i == BY_STOP)
        ck_assert_int_eq(caller_join(&stopper), 0);
    static const int results[ENDERS] = {-EIO, 0, -ECANCELED, 0};
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), results[_i]);
    ck_assert_uint_eq(counter_get(&ran), 0);
    weir_errgroup_free(group);
    weir_context_unref(ctx);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(the_end_of_the_group_wakes_who_waits_for_room_in_the_pool)
{
    weir_pool *pool = new_pool(1, 1);
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    weir_context *ctx = new_context(NULL, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    struct go go = {group, counter_task, &ran, _i == 0 ? ctx : NULL};
    caller waiter;
    caller_start(&waiter, go_until, &go);
    ck_assert(caller_await_asleep(&waiter));
    if (_i == 0)
        weir_context_cancel(ctx, 0);
    else
        ck_assert_int_eq(weir_errgroup_stop(group), 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 1);
    weir_errgroup_free(group);
    weir_context_unref(ctx);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_closed_pool_refuses_members_and_wakes_who_waits_at_the_limit)
{
    weir_pool *pool = new_pool(2, 2);
    weir_errgroup *group = new_group(pool, NULL, 1, 0);
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, gate_task, &hold), 0);
    struct go go = {.group = group, .fn = counter_task, .arg = &ran};
    caller waiter;
    caller_start(&waiter, go_until, &go);
    ck_assert(caller_await_asleep(&waiter));
    weir_pool_close(pool);
    ck_assert_int_eq(caller_join(&waiter), -EPIPE);
    for (int at_the_limit = 1; at_the_limit >= 0; at_the_limit--) {
        ck_assert_int_eq(weir_errgroup_go(group, counter_task, &ran), -EPIPE);
        ck_assert_int_eq(weir_errgroup_try_go(group, counter_task, &ran), -EPIPE);
        ck_assert_int_eq(weir_errgroup_go_until(group, counter_task, &ran, NULL, 0), -EPIPE);
        gate_open(&hold);
        ck_assert_int_eq(weir_errgroup_wait(group), 0);
    }
    ck_assert_uint_eq(counter_get(&ran), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

static int keep_context(weir_context *ctx, void *arg)
{
    *(weir_context **)arg = weir_context_ref(ctx);
    return 0;
}

/* A caller that is woken leaves the contexts that it was blocked with. Here each has one of a task
 * of the pool, which stands beside it among those that the close walks over. */
START_TEST(the_close_of_the_pool_wakes_all_who_wait_at_limits)
{
    enum { GROUPS = 3 };
    weir_pool *pool = new_pool(GROUPS, GROUPS);
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_errgroup *groups[GROUPS];
    struct go go[GROUPS];
    caller waiters[GROUPS];
    weir_context *kept[GROUPS];
    for (int i = 0; i < GROUPS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, keep_context, &kept[i]), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    for (int i = 0; i < GROUPS; i++) {
        groups[i] = new_group(pool, NULL, 1, 0);
        ck_assert_int_eq(weir_errgroup_go(groups[i], gate_task, &hold), 0);
        go[i] = (struct go){groups[i], counter_task, &ran, kept[i]};
        caller_start(&waiters[i], go_until, &go[i]);
        ck_assert(caller_await_asleep(&waiters[i]));
    }
    weir_pool_close(pool);
    for (int i = 0; i < GROUPS; i++)
        ck_assert_int_eq(caller_join(&waiters[i]), -EPIPE);
    gate_open(&hold);
    for (int i = 0; i < GROUPS; i++) {
        ck_assert_int_eq(weir_errgroup_wait(groups[i]), 0);
        weir_errgroup_free(groups[i]);
        weir_context_unref(kept[i]);
    }
    ck_assert_uint_eq(counter_get(&ran), 0);
    finish_pool(pool);
}
END_TEST

/* Cancel. */

START_TEST(the_parent_ends_the_group)
{
    weir_pool *pool = new_pool(2, 8);
    weir_context *root = new_context(NULL, WEIR_FOREVER);
    weir_context *parent = new_context(root, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    counter begun = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, outlast_context, &begun), 0);
    counter_await(&begun, 1);
    weir_context_cancel(root, -EIO);
    ck_assert_int_eq(weir_errgroup_wait(group), -ECANCELED);
    ck_assert_uint_eq(count_errors(group), 0);
    ck_assert_int_eq(weir_context_cause(weir_errgroup_context(group)), -EIO);
    ck_assert_int_eq(weir_errgroup_stop(group), -ECANCELED);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    weir_context_unref(root);
    finish_pool(pool);
}
END_TEST

/* Ends well whatever its context says. */
static int outlast_context_well(weir_context *ctx, void *arg)
{
    (void)outlast_context(ctx, arg);
    return 0;
}

START_TEST(the_deadline_of_the_parent_ends_the_group)
{
    weir_pool *pool = new_pool(2, 8);
    weir_context *parent = new_context(NULL, weir_after(WEIR_MS(300)));
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    counter begun = COUNTER_INIT;
    int err = weir_errgroup_go(group, outlast_context_well, &begun);
    ck_assert(err == 0 || err == -ETIMEDOUT);
    ck_assert_int_eq(weir_errgroup_wait(group), -ETIMEDOUT);
    ck_assert_uint_eq(count_errors(group), 0);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(members_that_give_up_at_the_deadline_are_no_errors)
{
    weir_pool *pool = new_pool(2, 8);
    weir_context *parent = new_context(NULL, weir_after(WEIR_MS(300)));
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    counter begun = COUNTER_INIT;
    for (int i = 0; i < 2; i++) {
        int err = weir_errgroup_go(group, outlast_context, &begun);
        ck_assert(err == 0 || err == -ETIMEDOUT);
    }
    ck_assert_int_eq(weir_errgroup_wait(group), -ETIMEDOUT);
    ck_assert_uint_eq(count_errors(group), 0);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

/* A time-out of its own, in a group that was cancelled, is an error: it is not why the group is
 * over. */
START_TEST(a_timeout_in_a_cancelled_group_is_an_error)
{
    weir_pool *pool = new_pool(1, 8);
    weir_context *parent = new_context(NULL, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    struct late_code late = {GATE_INIT, -ETIMEDOUT};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    gate_await(&late.hold, 1);
    weir_context_cancel(parent, 0);
    gate_open(&late.hold);
    ck_assert_int_eq(weir_errgroup_wait(group), -ETIMEDOUT);
    ck_assert_uint_eq(count_errors(group), 1);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(an_error_before_the_end_of_the_parent_stays_the_result)
{
    weir_pool *pool = new_pool(2, 8);
    weir_context *parent = new_context(NULL, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    struct late_code late = {GATE_INIT, -ECANCELED};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    gate_await(&late.hold, 1);
    ck_assert_int_eq(weir_errgroup_go(group, return_code, &io_error), 0);
    await_over(group);
    weir_context_cancel(parent, -EPERM);
    gate_open(&late.hold);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    ck_assert_uint_eq(count_errors(group), 1);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(an_error_after_the_end_of_the_parent_is_not_hidden_by_it)
{
    weir_pool *pool = new_pool(2, 8);
    weir_context *parent = new_context(NULL, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    struct late_code late = {GATE_INIT, -EIO};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    gate_await(&late.hold, 1);
    weir_context_cancel(parent, 0);
    gate_open(&late.hold);
    ck_assert_int_eq(weir_errgroup_wait(group), -EIO);
    ck_assert_uint_eq(count_errors(group), 1);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(stop_cancels_and_waits)
{
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(2, 8, WEIR_OVERFLOW_BLOCK, &dropped);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter begun = COUNTER_INIT;
    struct late_code late = {GATE_INIT, 0};
    ck_assert_int_eq(weir_errgroup_go(group, outlast_context, &begun), 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    counter_await(&begun, 1);
    gate_await(&late.hold, 1);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
    caller stopper;
    caller_start(&stopper, stop_group, group);
    ck_assert(caller_await_asleep(&stopper));
    ck_assert_int_eq(weir_context_err(weir_errgroup_context(group)), -ECANCELED);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), -ECANCELED);
    gate_open(&late.hold);
    /* The -ECANCELED of the first member is a consequence of the stop. */
    ck_assert_int_eq(caller_join(&stopper), 0);
    ck_assert_uint_eq(count_errors(group), 0);
    ck_assert_uint_eq(recorder_count(&dropped), 1);
    ck_assert_int_eq(recorder_at(&dropped, 0), WEIR_TASK_CANCELLED);
    ck_assert_int_eq(weir_errgroup_stop(group), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), -ECANCELED);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(a_parent_that_ends_after_the_stop_changes_nothing)
{
    weir_pool *pool = new_pool(1, 8);
    weir_context *parent = new_context(NULL, WEIR_FOREVER);
    weir_errgroup *group = new_group(pool, parent, 0, 0);
    ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_errgroup_stop(group), 0);
    weir_context_cancel(parent, -EIO);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    ck_assert_int_eq(weir_errgroup_try_wait(group), 0);
    weir_errgroup_free(group);
    weir_context_unref(parent);
    finish_pool(pool);
}
END_TEST

START_TEST(stop_reports_a_member_that_failed)
{
    weir_pool *pool = new_pool(2, 8);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    struct late_code late = {GATE_INIT, -EIO};
    ck_assert_int_eq(weir_errgroup_go(group, return_code_late, &late), 0);
    gate_await(&late.hold, 1);
    caller stopper;
    caller_start(&stopper, stop_group, group);
    await_over(group);
    gate_open(&late.hold);
    ck_assert_int_eq(caller_join(&stopper), -EIO);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

START_TEST(the_shutdown_of_the_pool_ends_the_members)
{
    recorder dropped = RECORDER_INIT;
    weir_pool *pool = new_pool_that_tells(1, 8, WEIR_OVERFLOW_BLOCK, &dropped);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    counter begun = COUNTER_INIT;
    ck_assert_int_eq(weir_errgroup_go(group, outlast_context, &begun), 0);
    counter_await(&begun, 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_errgroup_go(group, return_0, NULL), 0);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, patience(), NULL), 0);
    /* What the wait says of a pool that ended the group is not fixed; that it ends is. */
    ck_assert_int_ne(weir_errgroup_try_wait(group), -EAGAIN);
    ck_assert_uint_eq(recorder_count(&dropped), 3);
    ck_assert_int_ne(weir_errgroup_go(group, return_0, NULL), 0);
    weir_errgroup_free(group);
    weir_pool_free(pool);
}
END_TEST

/* Misuse. */

START_TEST(null_is_refused_by_every_call)
{
    weir_pool *pool = new_pool(1, 4);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    int code = 99;
    ck_assert_ptr_null(weir_errgroup_context(NULL));
    ck_assert_int_eq(weir_errgroup_go(NULL, return_0, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_try_go(NULL, return_0, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_go_until(NULL, return_0, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_errgroup_go(group, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_try_go(group, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_go_until(group, NULL, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_errgroup_set_limit(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_errgroup_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_try_wait(NULL), -EINVAL);
    ck_assert_int_eq(weir_errgroup_wait_until(NULL, NULL, WEIR_FOREVER), -EINVAL);
    ck_assert_int_eq(weir_errgroup_stop(NULL), -EINVAL);
    ck_assert_uint_eq(weir_errgroup_errors(NULL, &code, 1), 0);
    ck_assert_int_eq(code, 99);
    ck_assert_uint_eq(weir_errgroup_failures(NULL, NULL, 1), 0);
    ck_assert_int_eq(weir_errgroup_wait(group), 0);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

struct self_wait {
    weir_errgroup *group;
    int plain, bounded, stop;
};

static int wait_for_oneself(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct self_wait *self = arg;
    self->plain = weir_errgroup_wait(self->group);
    self->bounded = weir_errgroup_wait_until(self->group, NULL, weir_after(WEIR_S(3600)));
    self->stop = weir_errgroup_stop(self->group);
    return 0;
}

START_TEST(a_member_cannot_wait_for_its_own_group)
{
    weir_pool *pool = new_pool(2, 4);
    weir_errgroup *group = new_group(pool, NULL, 0, 0);
    struct self_wait self = {.group = group};
    ck_assert_int_eq(weir_errgroup_go(group, wait_for_oneself, &self), 0);
    ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
    ck_assert_int_eq(self.plain, -EDEADLK);
    ck_assert_int_eq(self.bounded, -EDEADLK);
    ck_assert_int_eq(self.stop, -EDEADLK);
    weir_errgroup_free(group);
    finish_pool(pool);
}
END_TEST

static int free_own_group(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_errgroup_free(arg);
    return 0;
}

static void run_free_of_own_group(void *arg)
{
    (void)arg;
    weir_pool *pool;
    weir_errgroup *group;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)) != 0 ||
        weir_errgroup_new(&group, pool, NULL, NULL) != 0 ||
        weir_errgroup_go(group, free_own_group, group) != 0)
        return;
    (void)!weir_pool_drain(pool);
}

START_TEST(freeing_a_group_from_a_member_aborts)
{
    assert_aborts(run_free_of_own_group, NULL, "weir_errgroup_free");
}
END_TEST

/* Groups inside groups. */

struct tree {
    weir_pool *pool;
    unsigned depth;
    atomic_uint leaves;
};

struct subtree {
    struct tree *tree;
    unsigned depth;
};

static int grow(weir_context *ctx, void *arg)
{
    const struct subtree *self = arg;
    if (self->depth == 0) {
        (void)atomic_fetch_add(&self->tree->leaves, 1);
        return 0;
    }
    weir_errgroup *group;
    int err = weir_errgroup_new(&group, self->tree->pool, ctx, WEIR_ERRGROUP_OPTIONS(.limit = 2));
    if (err != 0)
        return err;
    struct subtree below = {self->tree, self->depth - 1};
    for (int i = 0; i < 3 && err == 0; i++)
        err = weir_errgroup_go(group, grow, &below);
    int waited = weir_errgroup_wait(group);
    weir_errgroup_free(group);
    return err != 0 ? err : waited;
}

START_TEST(groups_nest)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        weir_pool *pool = new_pool(workers, 2);
        struct tree tree = {.pool = pool};
        struct subtree root = {&tree, 4};
        weir_errgroup *group = new_group(pool, NULL, 0, 0);
        ck_assert_int_eq(weir_errgroup_go(group, grow, &root), 0);
        ck_assert_int_eq(weir_errgroup_wait_until(group, NULL, patience()), 0);
        ck_assert_uint_eq(atomic_load(&tree.leaves), 3 * 3 * 3 * 3);
        weir_errgroup_free(group);
        finish_pool(pool);
    }
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("errgroup");

    TCase *lifecycle = add_group(suite, "lifecycle");
    tcase_add_test(lifecycle, an_empty_group_is_waited_for_and_freed);
    tcase_add_test(lifecycle, a_kept_context_outlives_the_group);
    tcase_add_test(lifecycle, options_default_and_grow);
    tcase_add_test(lifecycle, free_stops_the_members_and_waits_for_them);
    tcase_add_test(lifecycle, groups_come_and_go_while_their_pool_stays);

    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, members_run_on_the_pool_under_the_parent);
    tcase_add_test(contract, wait_may_be_repeated_and_go_may_follow_it);
    tcase_add_test(contract, the_first_error_is_what_wait_returns_and_ends_the_rest);
    tcase_add_test(contract, an_error_that_follows_the_first_is_counted_but_not_returned);
    tcase_add_test(contract, canceled_is_an_error_when_nobody_cancelled);
    tcase_add_test(contract, a_positive_status_is_kept_as_it_is);
    tcase_add_test(contract, the_first_errors_are_kept_in_the_order_of_ending);
    tcase_add_test(contract, failures_can_be_looked_at_while_members_fail);
    tcase_add_test(contract, a_member_that_never_starts_fails_with_its_argument);
    tcase_add_test(contract, go_on_a_group_that_is_over_never_runs_the_task);
    tcase_add_test(contract, queued_members_of_a_group_that_ended_are_told_to_on_drop);
    tcase_add_test(contract, an_evicted_member_does_not_hold_the_wait);
    tcase_add_test(contract, a_context_given_to_go_bounds_the_call_only);
    tcase_add_test(contract, ending_one_group_spares_the_others_of_its_pool);
    tcase_add_test(contract, what_the_members_did_is_seen_after_the_wait);
    tcase_add_test(contract, groups_nest);

    TCase *limits = add_group(suite, "limits");
    tcase_add_test(limits, never_more_members_than_the_limit_run_at_once);
    tcase_add_test(limits, the_limit_holds_for_many_callers);
    tcase_add_test(limits, the_limit_holds_for_members_that_add_members);
    tcase_add_test(limits, go_waits_at_the_limit_for_a_member_to_end);
    tcase_add_test(limits, the_deadline_of_the_pools_context_wakes_who_waits_at_the_limit);
    tcase_add_test(limits, queued_members_count_against_the_limit);
    tcase_add_test(limits, raising_the_limit_wakes_the_callers_that_now_have_room);
    tcase_add_test(limits, members_above_a_lowered_limit_go_on);
    tcase_add_test(limits, a_member_that_calls_go_at_the_limit_runs_the_task_itself);
    tcase_add_test(limits, members_that_run_members_nest_sixty_four_deep);
    tcase_add_test(limits, a_task_that_is_no_member_runs_members_while_go_waits_at_the_limit);
    tcase_add_test(limits, a_full_pool_that_rejects_gives_the_place_under_the_limit_back);
    tcase_add_test(limits, a_full_pool_where_callers_run_makes_the_caller_of_go_run_the_member);

    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, waits_are_bounded_by_deadline_and_context);
    tcase_add_test(blocking, the_end_of_the_last_member_wakes_every_waiter);
    tcase_add_loop_test(blocking, the_end_of_the_group_wakes_who_waits_at_the_limit, 0, ENDERS);
    tcase_add_loop_test(blocking, the_end_of_the_group_wakes_who_waits_for_room_in_the_pool, 0, 2);
    tcase_add_test(blocking, a_closed_pool_refuses_members_and_wakes_who_waits_at_the_limit);
    tcase_add_test(blocking, the_close_of_the_pool_wakes_all_who_wait_at_limits);

    TCase *cancel = add_group(suite, "cancel");
    tcase_add_test(cancel, the_parent_ends_the_group);
    tcase_add_test(cancel, the_deadline_of_the_parent_ends_the_group);
    tcase_add_test(cancel, members_that_give_up_at_the_deadline_are_no_errors);
    tcase_add_test(cancel, a_timeout_in_a_cancelled_group_is_an_error);
    tcase_add_test(cancel, an_error_before_the_end_of_the_parent_stays_the_result);
    tcase_add_test(cancel, an_error_after_the_end_of_the_parent_is_not_hidden_by_it);
    tcase_add_test(cancel, stop_cancels_and_waits);
    tcase_add_test(cancel, a_parent_that_ends_after_the_stop_changes_nothing);
    tcase_add_test(cancel, stop_reports_a_member_that_failed);

    TCase *shutdown = add_group(suite, "shutdown");
    tcase_add_test(shutdown, the_shutdown_of_the_pool_ends_the_members);

    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, absurd_options_are_refused);
    tcase_add_test(misuse, null_is_refused_by_every_call);
    tcase_add_test(misuse, a_member_cannot_wait_for_its_own_group);
    tcase_add_test(misuse, freeing_a_group_from_a_member_aborts);
    return suite;
}
