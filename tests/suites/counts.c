/* SPDX-License-Identifier: MIT */
/* counts.c - what a pool counts: every end once, refusals, what is queued and what runs. */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static weir_pool_counts counts_of(const weir_pool *pool)
{
    weir_pool_counts counts;
    memset(&counts, 0x5a, sizeof counts);
    weir_pool_read_counts(pool, &counts);
    return counts;
}

/* Of a pool at rest. */
#define assert_conserved(counts)                                                                   \
    do {                                                                                           \
        ck_assert_uint_eq((counts).submitted, (counts).done + (counts).failed +                    \
                                                  (counts).cancelled + (counts).expired +          \
                                                  (counts).dropped);                               \
        ck_assert_uint_eq((counts).queued, 0u);                                                    \
        ck_assert_uint_eq((counts).running, 0u);                                                   \
    } while (0)

static weir_pool *new_overflow_pool(unsigned workers, unsigned capacity, weir_overflow overflow)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                               .overflow = overflow)),
        0);
    return pool;
}

static weir_context *new_context(int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, deadline), 0);
    return ctx;
}

static int end_well(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static int end_badly(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return -EIO;
}

START_TEST(a_new_pool_and_no_pool_count_nothing)
{
    static const weir_pool_counts zeroes;
    weir_pool *pool = new_pool(2, 4);
    weir_pool_counts counts = counts_of(pool), none = counts_of(NULL);
    ck_assert_mem_eq(&counts, &zeroes, sizeof zeroes);
    ck_assert_mem_eq(&none, &zeroes, sizeof zeroes);
    ck_assert_uint_eq(weir_pool_queued(NULL), 0u);
    finish_pool(pool);
}
END_TEST

START_TEST(what_ran_is_done_or_failed)
{
    weir_pool *pool = new_pool(2, 4);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(weir_pool_submit(pool, i % 3 == 0 ? end_badly : end_well, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts = counts_of(pool);
    assert_conserved(counts);
    ck_assert_uint_eq(counts.submitted, 30u);
    ck_assert_uint_eq(counts.done, 20u);
    ck_assert_uint_eq(counts.failed, 10u);
    finish_pool(pool);
}
END_TEST

START_TEST(each_kind_of_end_is_counted_by_itself)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_overflow_pool(1, 4, WEIR_OVERFLOW_DROP_OLDEST);
    weir_context *ctx = new_context(WEIR_FOREVER);
    weir_task cancelled = WEIR_TASK_INIT, expired = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, end_well, NULL), 0); /* to be dropped */
    ck_assert_int_eq(weir_pool_submit_until(pool, end_well, NULL, ctx, WEIR_FOREVER), 0);
    int err = -ETIMEDOUT;
    uint64_t refused = 0;
    for (int64_t delay = WEIR_MS(50); err == -ETIMEDOUT; delay *= 2) {
        err = weir_pool_submit_task(pool, &expired, end_well, NULL,
                                    WEIR_TASK_OPTIONS(.start_by = weir_after(delay)));
        refused += err != 0;
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &cancelled, end_well, NULL, NULL), 0);
    ck_assert_int_eq(weir_task_cancel(&cancelled), 0);
    ck_assert_uint_eq(counts_of(pool).cancelled, 1u);
    ck_assert_int_eq(weir_task_wait(&expired), 0);
    ck_assert_uint_eq(counts_of(pool).expired, 1u);
    ck_assert_int_eq(weir_pool_submit(pool, end_badly, NULL), 0); /* takes the place of the first */
    ck_assert_uint_eq(counts_of(pool).dropped, 1u);
    weir_context_cancel(ctx, 0);
    weir_context_unref(ctx);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts = counts_of(pool);
    assert_conserved(counts);
    ck_assert_uint_eq(counts.submitted, 6u);
    ck_assert_uint_eq(counts.done, 1u);
    ck_assert_uint_eq(counts.failed, 1u);
    ck_assert_uint_eq(counts.cancelled, 2u);
    ck_assert_uint_eq(counts.expired, 1u);
    ck_assert_uint_eq(counts.dropped, 1u);
    ck_assert_uint_eq(counts.rejected, refused);
    finish_pool(pool);
}
END_TEST

START_TEST(a_refusal_is_counted_unless_the_argument_could_never_be_valid)
{
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(1, 1);
    weir_context *ctx = new_context(WEIR_FOREVER);
    weir_task task = WEIR_TASK_INIT, other = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, end_well, NULL, NULL), 0);

    ck_assert_int_eq(weir_pool_submit(pool, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_task(pool, NULL, end_well, NULL, NULL), -EINVAL);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &other, end_well, NULL, WEIR_TASK_OPTIONS(.timeout = -1)),
        -EINVAL);
    ck_assert_uint_eq(counts_of(pool).rejected, 0u);

    uint64_t expected = 0;
    ck_assert_int_eq(weir_pool_try_submit(pool, end_well, NULL), -EAGAIN);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    ck_assert_int_eq(weir_pool_submit_until(pool, end_well, NULL, NULL, 0), -ETIMEDOUT);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    ck_assert_int_eq(weir_pool_try_submit_task(pool, &task, end_well, NULL, NULL), -EBUSY);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &other, end_well, NULL, WEIR_TASK_OPTIONS(.start_by = 1)),
        -ETIMEDOUT);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_pool_submit_until(pool, end_well, NULL, ctx, WEIR_FOREVER), -ECANCELED);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    ck_assert_int_eq(
        weir_pool_submit_task_until(pool, &other, end_well, NULL, NULL, ctx, WEIR_FOREVER),
        -ECANCELED);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_pool_submit(pool, end_well, NULL), -EPIPE);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);
    ck_assert_int_eq(weir_pool_submit_task(pool, &other, end_well, NULL, NULL), -EPIPE);
    ck_assert_uint_eq(counts_of(pool).rejected, ++expected);

    ck_assert_uint_eq(counts_of(pool).submitted, 2u);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    assert_conserved(counts_of(pool));
    weir_context_unref(ctx);
    weir_pool_free(pool);
}
END_TEST

START_TEST(queued_and_running_are_exact_while_nothing_moves)
{
    enum { WORKERS = 3, QUEUED = 5 };
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(WORKERS, QUEUED);
    for (unsigned i = 1; i <= WORKERS; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
        gate_await(&hold, i);
        weir_pool_counts counts = counts_of(pool);
        ck_assert_uint_eq(counts.running, i);
        ck_assert_uint_eq(counts.queued, 0u);
    }
    for (unsigned i = 1; i <= QUEUED; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, end_well, NULL), 0);
        weir_pool_counts counts = counts_of(pool);
        ck_assert_uint_eq(counts.running, (unsigned)WORKERS);
        ck_assert_uint_eq(counts.queued, i);
        ck_assert_uint_eq(weir_pool_queued(pool), i);
        ck_assert_uint_eq(counts.submitted, WORKERS + i);
        ck_assert_uint_eq(counts.done, 0u);
    }
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts = counts_of(pool);
    assert_conserved(counts);
    ck_assert_uint_eq(counts.done, (unsigned)(WORKERS + QUEUED));
    finish_pool(pool);
}
END_TEST

START_TEST(peak_queued_is_the_most_that_were_ever_queued)
{
    static const unsigned loads[] = {3, 7, 5, 8, 1};
    weir_pool *pool = new_pool(2, 8);
    unsigned peak = 0;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        gate hold = GATE_INIT;
        saturate(pool, &hold, 2);
        for (unsigned n = 0; n < loads[i]; n++)
            ck_assert_int_eq(weir_pool_submit(pool, end_well, NULL), 0);
        if (loads[i] > peak)
            peak = loads[i];
        ck_assert_uint_eq(counts_of(pool).peak_queued, peak);
        gate_open(&hold);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_uint_eq(counts_of(pool).peak_queued, peak);
    }
    finish_pool(pool);
}
END_TEST

struct parent {
    weir_pool *pool;
    int errors;
};

static int submit_and_wait(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct parent *parent = arg;
    for (int i = 0; i < 5; i++) {
        weir_task task = WEIR_TASK_INIT;
        if (weir_pool_submit_task(parent->pool, &task, i == 0 ? end_badly : end_well, NULL, NULL) !=
                0 ||
            weir_task_wait(&task) != 0)
            parent->errors++;
    }
    for (int i = 0; i < 5; i++) /* the first is queued, the others run inline */
        if (weir_pool_submit(parent->pool, end_well, NULL) != 0)
            parent->errors++;
    return 0;
}

START_TEST(tasks_that_run_in_place_or_while_waiting_are_counted_like_any_other)
{
    weir_pool *pool = new_pool(1, 1);
    struct parent parent = {.pool = pool};
    ck_assert_int_eq(weir_pool_submit(pool, submit_and_wait, &parent), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(parent.errors, 0);
    weir_pool_counts counts = counts_of(pool);
    assert_conserved(counts);
    ck_assert_uint_eq(counts.submitted, 11u);
    ck_assert_uint_eq(counts.done, 10u);
    ck_assert_uint_eq(counts.failed, 1u);
    ck_assert_uint_eq(counts.rejected, 0u);
    ck_assert_uint_le(counts.peak_queued, 1u);
    finish_pool(pool);
}
END_TEST

enum { PRODUCERS = 3, EACH = 300 };

struct producer {
    weir_pool *pool;
    uint64_t accepted, refused;
};

/* Submits in every way that does not block, and cancels what it can. */
static int produce(void *arg)
{
    struct producer *self = arg;
    for (int i = 0; i < EACH; i++) {
        weir_task task = WEIR_TASK_INIT;
        int err;
        switch (i % 3) {
        case 0:
            err = weir_pool_try_submit(self->pool, i % 2 == 0 ? end_well : end_badly, NULL);
            break;
        case 1:
            err = weir_pool_submit_until(self->pool, end_well, NULL, NULL, weir_after(WEIR_US(10)));
            break;
        default:
            err = weir_pool_try_submit_task(self->pool, &task, end_well, NULL, NULL);
            if (err == 0) {
                (void)weir_task_cancel(&task);
                int waited = weir_task_wait(&task);
                if (waited != 0)
                    return waited;
            }
        }
        if (err == 0)
            self->accepted++;
        else
            self->refused++;
    }
    return 0;
}

struct reader {
    weir_pool *pool;
    atomic_bool stop;
};

static int read_counts(void *arg)
{
    struct reader *reader = arg;
    int reads = 0;
    for (; !atomic_load(&reader->stop); reads++)
        if (counts_of(reader->pool).queued > weir_pool_capacity(reader->pool) + PRODUCERS)
            return -ERANGE;
    return 0;
}

START_TEST(nothing_is_lost_under_load)
{
    for (int round = 0; round < 5; round++) {
        struct producer producers[PRODUCERS];
        caller threads[PRODUCERS], reading;
        weir_pool *pool = new_pool(2, 1 + (unsigned)round);
        struct reader reader = {.pool = pool};
        caller_start(&reading, read_counts, &reader);
        for (int i = 0; i < PRODUCERS; i++) {
            producers[i] = (struct producer){.pool = pool};
            caller_start(&threads[i], produce, &producers[i]);
        }
        uint64_t accepted = 0, refused = 0;
        for (int i = 0; i < PRODUCERS; i++) {
            ck_assert_int_eq(caller_join(&threads[i]), 0);
            accepted += producers[i].accepted;
            refused += producers[i].refused;
        }
        atomic_store(&reader.stop, true);
        ck_assert_int_eq(caller_join(&reading), 0);
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
        weir_pool_counts counts = counts_of(pool);
        assert_conserved(counts);
        ck_assert_uint_eq(counts.submitted, accepted);
        ck_assert_uint_eq(counts.rejected, refused);
        ck_assert_uint_le(counts.peak_queued, weir_pool_capacity(pool));
        finish_pool(pool);
    }
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("counts");

    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_new_pool_and_no_pool_count_nothing);
    tcase_add_test(contract, what_ran_is_done_or_failed);
    tcase_add_test(contract, each_kind_of_end_is_counted_by_itself);
    tcase_add_test(contract, a_refusal_is_counted_unless_the_argument_could_never_be_valid);
    tcase_add_test(contract, queued_and_running_are_exact_while_nothing_moves);
    tcase_add_test(contract, peak_queued_is_the_most_that_were_ever_queued);
    tcase_add_test(contract, tasks_that_run_in_place_or_while_waiting_are_counted_like_any_other);

    TCase *load = add_group(suite, "load");
    tcase_add_test(load, nothing_is_lost_under_load);
    return suite;
}
