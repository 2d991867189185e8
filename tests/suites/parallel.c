/* SPDX-License-Identifier: MIT */
/* parallel.c - a for loop on the caller and on the workers. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

enum { MOST = 2000 };

/* How often each index was done, and the size of the largest chunk. */
struct marks {
    atomic_int done[MOST];
    atomic_size_t largest, calls;
    size_t n;
};

static int mark(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct marks *marks = arg;
    if (weir_context_err(ctx) != 0 || begin >= end || end > marks->n)
        return -EPROTO;
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&marks->done[i], 1);
    size_t largest = atomic_load(&marks->largest);
    while (end - begin > largest &&
           !atomic_compare_exchange_weak(&marks->largest, &largest, end - begin))
        continue;
    atomic_fetch_add(&marks->calls, 1);
    return 0;
}

static struct marks *new_marks(size_t n)
{
    struct marks *marks = calloc(1, sizeof *marks);
    ck_assert_ptr_nonnull(marks);
    marks->n = n;
    return marks;
}

static void assert_each_once(struct marks *marks)
{
    for (size_t i = 0; i < MOST; i++)
        ck_assert_int_eq(atomic_load(&marks->done[i]), i < marks->n ? 1 : 0);
}

static int never(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    (void)begin;
    (void)end;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

START_TEST(every_index_is_done_once_in_chunks_of_at_most_the_grain)
{
    static const size_t sizes[] = {1, 2, 3, 7, 64, 1000, MOST};
    static const size_t grains[] = {0, 1, 2, 3, 50, 999, 1000, SIZE_MAX};
    for (unsigned workers = 1; workers <= 4; workers += 3) {
        weir_pool *pool = new_pool(workers, 4);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (size_t k = 0; k < sizeof grains / sizeof grains[0]; k++) {
                struct marks *marks = new_marks(sizes[i]);
                ck_assert_int_eq(weir_parallel_for(pool, sizes[i], grains[k], mark, marks), 0);
                assert_each_once(marks);
                if (grains[k] != 0)
                    ck_assert_uint_le(atomic_load(&marks->largest), grains[k]);
                if (grains[k] == 0 && sizes[i] == MOST)
                    ck_assert_uint_ge(atomic_load(&marks->calls), workers + 1);
                free(marks);
            }
        assert_quiet(pool);
        weir_pool_free(pool);
    }
}
END_TEST

START_TEST(a_loop_over_nothing_makes_no_call)
{
    atomic_int calls = 0;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_parallel_for(pool, 0, 0, never, &calls), 0);
    ck_assert_int_eq(weir_parallel_for_until(pool, 0, 5, never, &calls, NULL, 0), 0);
    ck_assert_int_eq(atomic_load(&calls), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(bad_arguments_and_a_closed_pool_make_no_call)
{
    atomic_int calls = 0;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_parallel_for(NULL, 1, 0, never, &calls), -EINVAL);
    ck_assert_int_eq(weir_parallel_for(pool, 1, 0, NULL, &calls), -EINVAL);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_parallel_for(pool, 1, 0, never, &calls), -EPIPE);
    ck_assert_int_eq(atomic_load(&calls), 0);
    finish_pool(pool);
}
END_TEST

/* Each chunk waits for as many others as can run at once. */
static int meet(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        meeting_wait(arg);
    return 0;
}

START_TEST(the_caller_and_all_workers_take_part_at_once)
{
    enum { WORKERS = 3 };
    meeting place = MEETING_INIT(WORKERS + 1);
    weir_pool *pool = new_pool(WORKERS, WORKERS);
    ck_assert_int_eq(weir_parallel_for(pool, (WORKERS + 1) * 50, 1, meet, &place), 0);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

/* Chunk 0 takes until all the others are done. */
struct uneven {
    counter others;
    size_t n;
};

static int do_uneven(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct uneven *uneven = arg;
    (void)ctx;
    (void)end;
    if (begin == 0)
        counter_await(&uneven->others, uneven->n - 1);
    else
        counter_add(&uneven->others, 1);
    return 0;
}

START_TEST(a_long_chunk_holds_up_no_other)
{
    struct uneven uneven = {COUNTER_INIT, 500};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_parallel_for(pool, uneven.n, 1, do_uneven, &uneven), 0);
    finish_pool(pool);
}
END_TEST

/* With a busy and full pool. */

START_TEST(the_caller_does_it_all_beside_a_busy_and_full_pool)
{
    gate busy = GATE_INIT;
    struct marks *marks = new_marks(300);
    weir_pool *pool = new_pool(2, 2);
    saturate(pool, &busy, 2);
    for (int lap = 0; lap < 2; lap++) { /* with room for a helper, then with none */
        memset(marks->done, 0, sizeof marks->done);
        ck_assert_int_eq(weir_parallel_for(pool, 300, 1, mark, marks), 0);
        assert_each_once(marks);
        if (lap == 0)
            for (int i = 0; i < 2; i++)
                ck_assert_int_eq(weir_pool_submit(pool, gate_task, &busy), 0);
    }
    ck_assert_uint_eq(weir_pool_queued(pool), 2);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.rejected, 0);
    gate_open(&busy);
    assert_quiet(pool);
    weir_pool_free(pool);
    free(marks);
}
END_TEST

START_TEST(loops_beside_a_busy_pool_leave_room_for_its_tasks)
{
    gate busy = GATE_INIT;
    atomic_int calls = 0;
    weir_pool *pool = new_pool(1, 3);
    saturate(pool, &busy, 1);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(weir_parallel_for(pool, 20, 1, never, &calls), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_try_submit(pool, gate_task, &busy), 0);
    gate_open(&busy);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

/* A helper that never starts is nothing that on_drop knows. */
static void count_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)arg;
    (void)why;
    atomic_fetch_add((atomic_int *)user, 1);
}

struct dropping {
    weir_pool *pool;
    gate *busy;
    int err;
};

static int evict_the_helper(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct dropping *dropping = arg;
    (void)ctx;
    (void)end;
    if (begin == 0) /* the helper is queued; this takes its place */
        dropping->err = weir_pool_submit(dropping->pool, gate_task, dropping->busy);
    return 0;
}

START_TEST(a_helper_whose_place_is_taken_is_not_told_to_on_drop)
{
    gate busy = GATE_INIT;
    atomic_int drops = 0;
    struct dropping dropping = {.busy = &busy};
    ck_assert_int_eq(
        weir_pool_new(&dropping.pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                        .overflow = WEIR_OVERFLOW_DROP_OLDEST,
                                                        .on_drop = count_drop, .user = &drops)),
        0);
    saturate(dropping.pool, &busy, 1);
    ck_assert_int_eq(weir_parallel_for(dropping.pool, 10, 1, evict_the_helper, &dropping), 0);
    ck_assert_int_eq(dropping.err, 0);
    ck_assert_int_eq(atomic_load(&drops), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(dropping.pool, &counts);
    ck_assert_uint_eq(counts.dropped, 1);
    gate_open(&busy);
    assert_quiet(dropping.pool);
    weir_pool_free(dropping.pool);
}
END_TEST

/* Errors, contexts, deadlines. */

struct failing {
    meeting all_in;
    atomic_int calls, blocked;
    int err_seen[8], cause_seen[8];
};

/* All take part; one fails, the others sleep until their context is over. */
static int fail_or_sleep(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct failing *failing = arg;
    (void)end;
    atomic_fetch_add(&failing->calls, 1);
    meeting_wait(&failing->all_in);
    if (begin == 1)
        return -EIO;
    int i = atomic_fetch_add(&failing->blocked, 1);
    failing->err_seen[i] = weir_sleep_until(ctx, WEIR_FOREVER);
    failing->cause_seen[i] = weir_context_cause(ctx);
    return failing->err_seen[i];
}

START_TEST(the_first_error_stops_the_rest_and_is_returned)
{
    struct failing failing = {.all_in = MEETING_INIT(3)};
    weir_pool *pool = new_pool(2, 2);
    ck_assert_int_eq(weir_parallel_for(pool, 1000, 1, fail_or_sleep, &failing), -EIO);
    ck_assert_int_eq(atomic_load(&failing.calls), 3);
    ck_assert_int_eq(atomic_load(&failing.blocked), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(failing.err_seen[i], -ECANCELED);
        ck_assert_int_eq(failing.cause_seen[i], -EIO);
    }
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

static int return_arg(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    (void)begin;
    (void)end;
    return *(int *)arg;
}

START_TEST(any_value_other_than_zero_is_an_error)
{
    int values[] = {7, -1, -EAGAIN};
    weir_pool *pool = new_pool(1, 1);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(weir_parallel_for(pool, 100, 1, return_arg, &values[i]), values[i]);
    finish_pool(pool);
}
END_TEST

struct bounded {
    weir_context *ctx;
    atomic_int calls;
    int err;
};

static int cancel_at_the_third(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct bounded *bounded = arg;
    (void)begin;
    (void)end;
    if (atomic_fetch_add(&bounded->calls, 1) == 2) {
        weir_context_cancel(bounded->ctx, 0);
        bounded->err = weir_context_err(ctx);
    }
    return 0;
}

START_TEST(a_cancelled_context_stops_the_loop)
{
    gate busy = GATE_INIT;
    struct bounded bounded = {.err = 0};
    weir_pool *pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_context_new(&bounded.ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_parallel_for_until(pool, 100, 1, cancel_at_the_third, &bounded,
                                             bounded.ctx, WEIR_FOREVER),
                     -ECANCELED);
    ck_assert_int_eq(atomic_load(&bounded.calls), 3);
    ck_assert_int_eq(bounded.err, -ECANCELED);
    ck_assert_int_eq(weir_parallel_for_until(pool, 100, 1, cancel_at_the_third, &bounded,
                                             bounded.ctx, WEIR_FOREVER),
                     -ECANCELED);
    ck_assert_int_eq(atomic_load(&bounded.calls), 3);
    weir_context_unref(bounded.ctx);
    gate_open(&busy);
    finish_pool(pool);
}
END_TEST

START_TEST(a_cancel_after_the_last_chunk_has_begun_is_no_failure)
{
    struct bounded bounded = {.err = 0};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_context_new(&bounded.ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_parallel_for_until(pool, 3, 1, cancel_at_the_third, &bounded, bounded.ctx,
                                             WEIR_FOREVER),
                     0);
    ck_assert_int_eq(bounded.err, -ECANCELED);
    weir_context_unref(bounded.ctx);
    finish_pool(pool);
}
END_TEST

static int sleep_through(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    atomic_fetch_add((atomic_int *)arg, 1);
    int err = weir_sleep_until(ctx, WEIR_FOREVER);
    return err == -ETIMEDOUT ? 0 : -EPROTO;
}

START_TEST(a_deadline_ends_the_context_and_stops_the_loop)
{
    atomic_int calls = 0;
    weir_pool *pool = new_pool(2, 2);
    ck_assert_int_eq(
        weir_parallel_for_until(pool, 100, 1, sleep_through, &calls, NULL, weir_after(WEIR_MS(20))),
        -ETIMEDOUT);
    ck_assert_int_le(atomic_load(&calls), 3);
    calls = 0;
    ck_assert_int_eq(weir_parallel_for_until(pool, 100, 1, sleep_through, &calls, NULL, 0),
                     -ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&calls), 0);
    finish_pool(pool);
}
END_TEST

static int keep_context(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)end;
    weir_context *kept = weir_context_ref(ctx);
    if (begin == 0)
        *(weir_context **)arg = kept;
    else
        weir_context_unref(kept);
    return begin == 99 ? -EIO : 0;
}

START_TEST(a_kept_context_outlives_the_loop_and_knows_its_error)
{
    weir_context *kept = NULL, *ctx = NULL;
    weir_pool *pool = new_pool(2, 2);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_parallel_for_until(pool, 100, 1, keep_context, &kept, ctx, WEIR_FOREVER),
                     -EIO);
    weir_context_unref(ctx);
    finish_pool(pool);
    ck_assert_int_eq(weir_context_err(kept), -ECANCELED);
    ck_assert_int_eq(weir_context_cause(kept), -EIO);
    weir_context_unref(kept);
}
END_TEST

START_TEST(a_cancelled_pool_stops_the_loop)
{
    atomic_int calls = 0;
    weir_context *ctx = NULL;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .context = ctx)), 0);
    struct bounded bounded = {.ctx = ctx};
    ck_assert_int_eq(weir_parallel_for(pool, 100, 1, cancel_at_the_third, &bounded), -ECANCELED);
    ck_assert_int_eq(weir_parallel_for(pool, 100, 1, never, &calls), -EPIPE);
    ck_assert_int_eq(atomic_load(&calls), 0);
    weir_context_unref(ctx);
    weir_pool_free(pool);
}
END_TEST

/* Inside tasks. */

struct nested {
    weir_pool *pool;
    atomic_size_t sum;
    unsigned depth;
};

static int add_up(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&((struct nested *)arg)->sum, i);
    return 0;
}

static int nest_once(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct nested *nested = arg;
    for (size_t i = begin; i < end; i++) {
        int err = weir_parallel_for_until(nested->pool, 100, 3, add_up, nested, ctx, WEIR_FOREVER);
        if (err != 0)
            return err;
    }
    return 0;
}

static int nest_in_a_task(weir_context *ctx, void *arg)
{
    struct nested *nested = arg;
    return weir_parallel_for_until(nested->pool, 20, 1, nest_once, nested, ctx, WEIR_FOREVER);
}

START_TEST(loops_nest_in_tasks_with_any_number_of_workers)
{
    enum { TASKS = 6 };
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct nested nested = {.pool = new_pool(workers, 2)};
        weir_task tasks[TASKS];
        memset(tasks, 0, sizeof tasks);
        for (int i = 0; i < TASKS; i++)
            ck_assert_int_eq(
                weir_pool_submit_task(nested.pool, &tasks[i], nest_in_a_task, &nested, NULL), 0);
        ck_assert_int_eq(weir_parallel_for(nested.pool, 20, 1, nest_once, &nested), 0);
        for (int i = 0; i < TASKS; i++) {
            ck_assert_int_eq(weir_task_wait(&tasks[i]), 0);
            ck_assert_int_eq(weir_task_status(&tasks[i]), 0);
        }
        ck_assert_uint_eq(atomic_load(&nested.sum), (TASKS + 1) * 20 * 4950);
        assert_quiet(nested.pool);
        weir_pool_free(nested.pool);
    }
}
END_TEST

/* Threads that fn ends. */

static int die_on_a_worker(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    meeting_wait(arg); /* a worker is at one chunk, the caller at the other */
    if (weir_pool_current() != NULL)
        pthread_exit(NULL);
    return weir_sleep_until(ctx, WEIR_FOREVER) == -ECANCELED ? 0 : -EPROTO;
}

START_TEST(a_worker_that_dies_in_a_chunk_stops_the_loop)
{
    meeting place = MEETING_INIT(2);
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_parallel_for(pool, 100, 1, die_on_a_worker, &place), -ECANCELED);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

struct dying {
    weir_pool *pool;
    meeting place;
    atomic_int left; /* the worker's chunk has ended */
};

static int die_on_the_caller(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct dying *dying = arg;
    (void)begin;
    (void)end;
    meeting_wait(&dying->place);
    if (weir_pool_current() == NULL)
        pthread_exit(NULL);
    int err = weir_sleep_until(ctx, WEIR_FOREVER);
    atomic_fetch_add(&dying->left, 1);
    return err;
}

static void *call_and_die(void *arg)
{
    struct dying *dying = arg;
    (void)!weir_parallel_for(dying->pool, 100, 1, die_on_the_caller, dying);
    return arg; /* not reached */
}

START_TEST(a_caller_that_dies_in_a_chunk_leaves_no_helper_behind)
{
    struct dying dying = {.pool = new_pool(1, 1), .place = MEETING_INIT(2)};
    pthread_t thread;
    void *result = &dying;
    ck_assert_int_eq(pthread_create(&thread, NULL, call_and_die, &dying), 0);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_null(result);
    ck_assert_int_eq(atomic_load(&dying.left), 1);
    assert_quiet(dying.pool);
    weir_pool_free(dying.pool);
}
END_TEST

/* Several callers, many loops. */

static int run_loops(void *arg)
{
    weir_pool *pool = arg;
    for (size_t i = 0; i < 150; i++) {
        struct nested nested = {.pool = pool};
        size_t n = i % 40 + 1;
        int err = weir_parallel_for(pool, n, i % 4, add_up, &nested);
        if (err != 0 || atomic_load(&nested.sum) != n * (n - 1) / 2)
            return (int)i + 1;
    }
    return 0;
}

START_TEST(loops_of_several_threads_on_one_small_pool)
{
    weir_pool *pool = new_pool(2, 1);
    caller callers[3];
    for (int i = 0; i < 3; i++)
        caller_start(&callers[i], run_loops, pool);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_child_process_cannot_use_the_pool)
{
    atomic_int calls = 0;
    weir_pool *pool = new_pool(1, 1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(weir_parallel_for(pool, 1, 0, never, &calls) == -ESTALE && calls == 0 ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("parallel");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, every_index_is_done_once_in_chunks_of_at_most_the_grain);
    tcase_add_test(contract, a_loop_over_nothing_makes_no_call);
    tcase_add_test(contract, bad_arguments_and_a_closed_pool_make_no_call);
    tcase_add_test(contract, the_caller_and_all_workers_take_part_at_once);
    tcase_add_test(contract, a_long_chunk_holds_up_no_other);
    TCase *busy = add_group(suite, "busy and full");
    tcase_add_test(busy, the_caller_does_it_all_beside_a_busy_and_full_pool);
    tcase_add_test(busy, loops_beside_a_busy_pool_leave_room_for_its_tasks);
    tcase_add_test(busy, a_helper_whose_place_is_taken_is_not_told_to_on_drop);
    TCase *ends = add_group(suite, "errors and ends");
    tcase_add_test(ends, the_first_error_stops_the_rest_and_is_returned);
    tcase_add_test(ends, any_value_other_than_zero_is_an_error);
    tcase_add_test(ends, a_cancelled_context_stops_the_loop);
    tcase_add_test(ends, a_cancel_after_the_last_chunk_has_begun_is_no_failure);
    tcase_add_test(ends, a_deadline_ends_the_context_and_stops_the_loop);
    tcase_add_test(ends, a_kept_context_outlives_the_loop_and_knows_its_error);
    tcase_add_test(ends, a_cancelled_pool_stops_the_loop);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, loops_nest_in_tasks_with_any_number_of_workers);
    tcase_add_test(threads, a_worker_that_dies_in_a_chunk_stops_the_loop);
    tcase_add_test(threads, a_caller_that_dies_in_a_chunk_leaves_no_helper_behind);
    tcase_add_test(threads, loops_of_several_threads_on_one_small_pool);
    tcase_add_test(threads, a_child_process_cannot_use_the_pool);
    return suite;
}
