/* SPDX-License-Identifier: MIT */
/* pipeline.c - items through stages, on the caller and on the workers. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
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

struct item {
    int number;
    atomic_int stages; /* that it has been through */
};

/* What goes on in a pipeline of up to four stages. */
struct line {
    int n;           /* items */
    atomic_int made; /* the first stage's count */
    atomic_int in_flight, most_in_flight;
    atomic_int inside[4], most_inside[4];
    atomic_int ends[MOST]; /* how often each item was through, or dropped */
    atomic_int through, dropped, wrong;
    int order[MOST]; /* in which the last stage saw them; if that is not parallel */
    struct item items[MOST];
};

/* An argument of a stage. */
struct stage {
    struct line *line;
    int index;
    bool last;
};

static void raise_most(atomic_int *most, int value)
{
    int seen = atomic_load(most);
    while (value > seen && !atomic_compare_exchange_weak(most, &seen, value))
        continue;
}

static int make_item(weir_context *ctx, void **item, void *arg)
{
    struct line *line = ((struct stage *)arg)->line;
    (void)ctx;
    if (*item != NULL || atomic_fetch_add(&line->inside[0], 1) != 0)
        atomic_fetch_add(&line->wrong, 1);
    int number = atomic_load(&line->made);
    if (number < line->n) {
        line->items[number].number = number;
        *item = &line->items[number];
        atomic_store(&line->made, number + 1);
        raise_most(&line->most_in_flight, atomic_fetch_add(&line->in_flight, 1) + 1);
    }
    atomic_fetch_sub(&line->inside[0], 1);
    return 0;
}

static int pass_item(weir_context *ctx, void **item, void *arg)
{
    const struct stage *stage = arg;
    struct line *line = stage->line;
    struct item *given = *item;
    (void)ctx;
    raise_most(&line->most_inside[stage->index],
               atomic_fetch_add(&line->inside[stage->index], 1) + 1);
    if (atomic_fetch_add(&given->stages, 1) != stage->index - 1)
        atomic_fetch_add(&line->wrong, 1);
    if (stage->last) {
        line->order[atomic_fetch_add(&line->through, 1)] = given->number;
        atomic_fetch_add(&line->ends[given->number], 1);
        atomic_fetch_sub(&line->in_flight, 1);
    }
    atomic_fetch_sub(&line->inside[stage->index], 1);
    return 0;
}

static void drop_item(void *item, void *user)
{
    struct line *line = user;
    struct item *given = item;
    atomic_fetch_add(&line->dropped, 1);
    atomic_fetch_add(&line->ends[given->number], 1);
    atomic_fetch_sub(&line->in_flight, 1);
}

static struct line *new_line(int n)
{
    struct line *line = calloc(1, sizeof *line);
    ck_assert_ptr_nonnull(line);
    line->n = n;
    return line;
}

/* Each item that was made has one end. */
static void assert_no_loss(struct line *line)
{
    int made = atomic_load(&line->made);
    ck_assert_int_eq(atomic_load(&line->wrong), 0);
    ck_assert_int_eq(atomic_load(&line->through) + atomic_load(&line->dropped), made);
    ck_assert_int_eq(atomic_load(&line->in_flight), 0);
    for (int i = 0; i < MOST; i++)
        ck_assert_int_eq(atomic_load(&line->ends[i]), i < made ? 1 : 0);
}

/* A pipeline of a source and three stages of these modes. */
static int run_line(weir_pool *pool, struct line *line, const weir_stage_mode modes[3],
                    size_t in_flight)
{
    struct stage args[4];
    weir_stage stages[4];
    for (int i = 0; i < 4; i++) {
        args[i] = (struct stage){line, i, i == 3};
        stages[i] = (weir_stage){i == 0 ? make_item : pass_item, &args[i],
                                 i == 0 ? WEIR_STAGE_PARALLEL : modes[i - 1]};
    }
    return weir_pipeline_run(
        pool, stages, 4,
        WEIR_PIPELINE_OPTIONS(.in_flight = in_flight, .on_drop = drop_item, .user = line));
}

/* Contract. */

static const weir_stage_mode mixes[][3] = {
    {WEIR_STAGE_PARALLEL, WEIR_STAGE_PARALLEL, WEIR_STAGE_IN_ORDER},
    {WEIR_STAGE_IN_ORDER, WEIR_STAGE_PARALLEL, WEIR_STAGE_IN_ORDER},
    {WEIR_STAGE_SERIAL, WEIR_STAGE_PARALLEL, WEIR_STAGE_SERIAL},
    {WEIR_STAGE_PARALLEL, WEIR_STAGE_SERIAL, WEIR_STAGE_IN_ORDER},
    {WEIR_STAGE_IN_ORDER, WEIR_STAGE_SERIAL, WEIR_STAGE_PARALLEL},
    {WEIR_STAGE_PARALLEL, WEIR_STAGE_PARALLEL, WEIR_STAGE_PARALLEL},
};

enum { MIXES = sizeof mixes / sizeof mixes[0] };

START_TEST(every_item_goes_through_every_stage_once)
{
    const weir_stage_mode *modes = mixes[_i % MIXES];
    unsigned workers = 1 + (unsigned)(_i / MIXES);
    size_t in_flight[] = {1, 2, 7, 0, 5000};
    for (size_t k = 0; k < sizeof in_flight / sizeof in_flight[0]; k++) {
        weir_pool *pool = new_pool(workers, 4);
        struct line *line = new_line(k == 4 ? 0 : MOST);
        ck_assert_int_eq(run_line(pool, line, modes, in_flight[k]), 0);
        assert_no_loss(line);
        ck_assert_int_eq(atomic_load(&line->through), line->n);
        size_t most = in_flight[k] != 0 ? in_flight[k] : 4 * (workers + 1);
        ck_assert_int_le(atomic_load(&line->most_in_flight), (int)most);
        for (int i = 0; i < 3; i++)
            if (modes[i] != WEIR_STAGE_PARALLEL)
                ck_assert_int_le(atomic_load(&line->most_inside[i + 1]), 1);
        if (modes[2] == WEIR_STAGE_IN_ORDER)
            for (int i = 0; i < line->n; i++)
                ck_assert_int_eq(line->order[i], i);
        assert_quiet(pool);
        weir_pool_free(pool);
        free(line);
    }
}
END_TEST

static int meet(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)item;
    meeting_wait(arg);
    return 0;
}

static int count_down(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    int *left = arg;
    *item = *left > 0 ? left : NULL;
    *left -= *left > 0;
    return 0;
}

START_TEST(the_caller_and_all_workers_take_part_at_once)
{
    enum { WORKERS = 3 };
    meeting place = MEETING_INIT(WORKERS + 1);
    int left = (WORKERS + 1) * 50;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER},
                                 {meet, &place, WEIR_STAGE_PARALLEL}};
    weir_pool *pool = new_pool(WORKERS, WORKERS);
    ck_assert_int_eq(weir_pipeline_run(pool, stages, 2, NULL), 0);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

static int call_nobody(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)item;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

START_TEST(a_source_alone_is_a_pipeline)
{
    int left = 10;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER}};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pipeline_run(pool, stages, 1, NULL), 0);
    ck_assert_int_eq(left, 0);
    finish_pool(pool);
}
END_TEST

START_TEST(bad_arguments_and_a_closed_pool_call_nobody)
{
    atomic_int calls = 0;
    weir_stage many[WEIR_PIPELINE_MAX_STAGES + 1];
    for (int i = 0; i <= WEIR_PIPELINE_MAX_STAGES; i++)
        many[i] = (weir_stage){call_nobody, &calls, WEIR_STAGE_SERIAL};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pipeline_run(NULL, many, 1, NULL), -EINVAL);
    ck_assert_int_eq(weir_pipeline_run(pool, NULL, 1, NULL), -EINVAL);
    ck_assert_int_eq(weir_pipeline_run(pool, many, 0, NULL), -EINVAL);
    ck_assert_int_eq(weir_pipeline_run(pool, many, WEIR_PIPELINE_MAX_STAGES + 1, NULL), -EINVAL);
    ck_assert_int_eq(
        weir_pipeline_run(pool, many, 1, WEIR_PIPELINE_OPTIONS(.in_flight = (1 << 20) + 1)),
        -EINVAL);
    weir_pipeline_options options;
    weir_pipeline_options_init(NULL);
    weir_pipeline_options_init(&options);
    options.size = sizeof options - 1;
    ck_assert_int_eq(weir_pipeline_run(pool, many, 1, &options), -EINVAL);
    struct {
        weir_pipeline_options known;
        int newer;
    } newer = {.known = {.size = sizeof newer}, .newer = 1};
    ck_assert_int_eq(weir_pipeline_run(pool, many, 1, &newer.known), -E2BIG);
    many[1].fn = NULL;
    ck_assert_int_eq(weir_pipeline_run(pool, many, 2, NULL), -EINVAL);
    many[1] = (weir_stage){call_nobody, &calls, (weir_stage_mode)3};
    ck_assert_int_eq(weir_pipeline_run(pool, many, 2, NULL), -EINVAL);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, 0), 0);
    ck_assert_int_eq(weir_pipeline_run_until(pool, many, 1, NULL, ctx, WEIR_FOREVER), -ETIMEDOUT);
    weir_context_unref(ctx);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_pipeline_run(pool, many, 1, NULL), -EPIPE);
    ck_assert_int_eq(atomic_load(&calls), 0);
    finish_pool(pool);
}
END_TEST

/* Items that go no further, and items that are put aside. */

static int drop_most(weir_context *ctx, void **item, void *arg)
{
    struct line *line = ((struct stage *)arg)->line;
    struct item *given = *item;
    (void)ctx;
    atomic_fetch_add(&given->stages, 1);
    if (given->number % 10 == 0)
        return 0;
    drop_item(given, line); /* the stage's own business */
    *item = NULL;
    return 0;
}

START_TEST(an_item_that_goes_no_further_holds_up_no_other)
{
    for (unsigned workers = 1; workers <= 3; workers++) {
        weir_pool *pool = new_pool(workers, 4);
        struct line *line = new_line(MOST);
        struct stage args[] = {{line, 0, false}, {line, 1, false}, {line, 2, true}};
        const weir_stage stages[] = {{make_item, &args[0], WEIR_STAGE_IN_ORDER},
                                     {drop_most, &args[1], WEIR_STAGE_PARALLEL},
                                     {pass_item, &args[2], WEIR_STAGE_IN_ORDER}};
        ck_assert_int_eq(weir_pipeline_run(pool, stages, 3, WEIR_PIPELINE_OPTIONS(.in_flight = 5)),
                         0);
        assert_no_loss(line);
        ck_assert_int_eq(atomic_load(&line->through), MOST / 10);
        for (int i = 0; i < MOST / 10; i++)
            ck_assert_int_eq(line->order[i], i * 10);
        finish_pool(pool);
        free(line);
    }
}
END_TEST

/* The first item is slow, until the others are through or have come as far as they can. */
struct slow {
    counter others;
    unsigned wanted;
    int left;
    int numbers[6];
    int seen[6], count;
};

static int make_number(weir_context *ctx, void **item, void *arg)
{
    struct slow *slow = arg;
    (void)ctx;
    if (slow->left < 6) {
        slow->numbers[slow->left] = slow->left;
        *item = &slow->numbers[slow->left++];
    }
    return 0;
}

static int wait_for_the_others(weir_context *ctx, void **item, void *arg)
{
    struct slow *slow = arg;
    (void)ctx;
    if (*(int *)*item == 0)
        counter_await(&slow->others, slow->wanted);
    return 0;
}

static int note_number(weir_context *ctx, void **item, void *arg)
{
    struct slow *slow = arg;
    (void)ctx;
    slow->seen[slow->count++] = *(int *)*item;
    counter_add(&slow->others, 1);
    return 0;
}

static int count_number(weir_context *ctx, void **item, void *arg)
{
    struct slow *slow = arg;
    (void)ctx;
    if (*(int *)*item != 0)
        counter_add(&slow->others, 1);
    return 0;
}

START_TEST(in_any_order_a_slow_item_is_overtaken)
{
    struct slow slow = {.others = COUNTER_INIT, .wanted = 5};
    const weir_stage stages[] = {{make_number, &slow, WEIR_STAGE_IN_ORDER},
                                 {wait_for_the_others, &slow, WEIR_STAGE_PARALLEL},
                                 {note_number, &slow, WEIR_STAGE_SERIAL}};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pipeline_run(pool, stages, 3, NULL), 0);
    ck_assert_int_eq(slow.count, 6);
    ck_assert_int_eq(slow.seen[5], 0);
    finish_pool(pool);
}
END_TEST

START_TEST(in_order_the_others_wait_for_a_slow_item_and_keep_no_thread)
{
    struct slow slow = {.others = COUNTER_INIT, .wanted = 5};
    const weir_stage stages[] = {{make_number, &slow, WEIR_STAGE_IN_ORDER},
                                 {count_number, &slow, WEIR_STAGE_PARALLEL},
                                 {wait_for_the_others, &slow, WEIR_STAGE_PARALLEL},
                                 {note_number, &slow, WEIR_STAGE_IN_ORDER}};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pipeline_run(pool, stages, 4, WEIR_PIPELINE_OPTIONS(.in_flight = 6)), 0);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(slow.seen[i], i);
    finish_pool(pool);
}
END_TEST

START_TEST(the_caller_does_it_all_beside_a_busy_and_full_pool)
{
    gate busy = GATE_INIT;
    weir_pool *pool = new_pool(2, 2);
    saturate(pool, &busy, 2);
    for (int lap = 0; lap < 2; lap++) { /* with room for a helper, then with none */
        struct line *line = new_line(300);
        ck_assert_int_eq(run_line(pool, line, mixes[0], 3), 0);
        assert_no_loss(line);
        free(line);
        for (int i = 0; lap == 0 && i < 2; i++)
            ck_assert_int_eq(weir_pool_submit(pool, gate_task, &busy), 0);
    }
    ck_assert_uint_eq(weir_pool_queued(pool), 2);
    gate_open(&busy);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

/* Errors and ends. */

struct failing {
    struct stage stage;
    int number, code;
};

static int fail_at(weir_context *ctx, void **item, void *arg)
{
    struct failing *failing = arg;
    const struct item *given = *item;
    if (given == NULL) { /* the first stage */
        int err = make_item(ctx, item, &failing->stage);
        given = *item;
        /* The item that fails may be held up in another thread, which others do not wait for. */
        if (given != NULL && given->number == MOST / 2)
            (void)!weir_sleep_until(ctx, weir_after(WEIR_S(10)));
        return given != NULL && given->number == failing->number ? failing->code : err;
    }
    return given->number == failing->number ? failing->code : pass_item(ctx, item, &failing->stage);
}

START_TEST(the_first_error_stops_the_rest_and_each_item_has_an_end)
{
    int codes[] = {-EIO, 7};
    for (unsigned workers = 1; workers <= 3; workers++) {
        for (int mix = 0; mix < MIXES; mix++) {
            struct line *line = new_line(MOST);
            struct failing args[4];
            weir_stage stages[4];
            for (int i = 0; i < 4; i++) {
                args[i] = (struct failing){{line, i, i == 3}, i == _i ? 500 : -1, codes[mix % 2]};
                stages[i] = (weir_stage){fail_at, &args[i],
                                         i == 0 ? WEIR_STAGE_IN_ORDER : mixes[mix][i - 1]};
            }
            weir_pool *pool = new_pool(workers, 4);
            ck_assert_int_eq(
                weir_pipeline_run(
                    pool, stages, 4,
                    WEIR_PIPELINE_OPTIONS(.in_flight = 8, .on_drop = drop_item, .user = line)),
                codes[mix % 2]);
            assert_no_loss(line);
            ck_assert_int_ge(atomic_load(&line->dropped), 1);
            ck_assert_int_lt(atomic_load(&line->made), MOST);
            assert_quiet(pool);
            weir_pool_free(pool);
            free(line);
        }
    }
}
END_TEST

struct bounded {
    struct stage stage;
    weir_context *ctx;
    int seen_err;
};

static int cancel_at_500(weir_context *ctx, void **item, void *arg)
{
    struct bounded *bounded = arg;
    if (((struct item *)*item)->number == 500) {
        weir_context_cancel(bounded->ctx, 0);
        bounded->seen_err = weir_context_err(ctx);
    }
    return pass_item(ctx, item, &bounded->stage);
}

START_TEST(a_cancelled_context_stops_the_pipeline)
{
    weir_context *ctx = NULL;
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    /* Given to the call, or to the pool. */
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .context = _i == 0 ? NULL : ctx)), 0);
    struct line *line = new_line(MOST);
    struct stage source = {line, 0, false};
    struct bounded bounded = {{line, 1, true}, ctx, 0};
    const weir_stage stages[] = {{make_item, &source, WEIR_STAGE_IN_ORDER},
                                 {cancel_at_500, &bounded, WEIR_STAGE_IN_ORDER}};
    const weir_pipeline_options *options =
        WEIR_PIPELINE_OPTIONS(.on_drop = drop_item, .user = line);
    ck_assert_int_eq(
        weir_pipeline_run_until(pool, stages, 2, options, _i == 0 ? ctx : NULL, WEIR_FOREVER),
        -ECANCELED);
    ck_assert_int_eq(bounded.seen_err, -ECANCELED);
    assert_no_loss(line);
    ck_assert_int_ge(atomic_load(&line->through), 501);
    ck_assert_int_lt(atomic_load(&line->made), MOST);
    weir_pool_free(pool);
    weir_context_unref(ctx);
    free(line);
}
END_TEST

static int wait_until_over(weir_context *ctx, void **item, void *arg)
{
    (void)item;
    (void)arg;
    return weir_context_wait_until(ctx, WEIR_FOREVER);
}

START_TEST(a_deadline_stops_the_pipeline)
{
    int left = 5;
    atomic_int calls = 0;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER},
                                 {wait_until_over, NULL, WEIR_STAGE_SERIAL},
                                 {call_nobody, &calls, WEIR_STAGE_SERIAL}};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pipeline_run_until(pool, stages, 3, NULL, NULL, weir_after(WEIR_MS(20))),
                     -ETIMEDOUT);
    ck_assert_int_eq(atomic_load(&calls), 0);
    finish_pool(pool);
}
END_TEST

/* Holds the last items until there are no more, and then until the deadline. */
struct ending {
    counter calls; /* of the source */
    int left;
};

static int count_down_and_tell(weir_context *ctx, void **item, void *arg)
{
    struct ending *ending = arg;
    int err = count_down(ctx, item, &ending->left);
    counter_add(&ending->calls, 1);
    return err;
}

static int wait_for_the_end(weir_context *ctx, void **item, void *arg)
{
    struct ending *ending = arg;
    (void)item;
    counter_await(&ending->calls, 4);
    return weir_context_wait_until(ctx, WEIR_FOREVER);
}

START_TEST(a_deadline_after_the_last_item_is_no_failure)
{
    struct ending ending = {.calls = COUNTER_INIT, .left = 3};
    const weir_stage stages[] = {{count_down_and_tell, &ending, WEIR_STAGE_IN_ORDER},
                                 {wait_for_the_end, &ending, WEIR_STAGE_PARALLEL}};
    weir_pool *pool = new_pool(3, 4); /* a thread for each item, and one for the source */
    int64_t deadline = weir_after(WEIR_MS(500));
    int err = weir_pipeline_run_until(pool, stages, 2, WEIR_PIPELINE_OPTIONS(.in_flight = 4), NULL,
                                      deadline);
    ck_assert_int_ge(weir_now(), deadline);
    if (counter_get(&ending.calls) == 4) /* else this machine has taken half a second for them */
        ck_assert_int_eq(err, 0);
    finish_pool(pool);
}
END_TEST

/* Threads. */

struct nested {
    weir_pool *pool;
    atomic_int sum;
};

static int run_inner(weir_context *ctx, void **item, void *arg)
{
    struct nested *nested = arg;
    (void)item;
    int left = 20;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER},
                                 {call_nobody, &nested->sum, WEIR_STAGE_PARALLEL}};
    return weir_pipeline_run_until(nested->pool, stages, 2, NULL, ctx, WEIR_FOREVER);
}

static int run_outer(weir_context *ctx, void *arg)
{
    struct nested *nested = arg;
    int left = 10;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER},
                                 {run_inner, nested, WEIR_STAGE_PARALLEL}};
    return weir_pipeline_run_until(nested->pool, stages, 2, NULL, ctx, WEIR_FOREVER);
}

START_TEST(pipelines_nest_in_tasks_with_any_number_of_workers)
{
    enum { TASKS = 4 };
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct nested nested = {.pool = new_pool(workers, 2)};
        weir_task tasks[TASKS];
        memset(tasks, 0, sizeof tasks);
        for (int i = 0; i < TASKS; i++)
            ck_assert_int_eq(
                weir_pool_submit_task(nested.pool, &tasks[i], run_outer, &nested, NULL), 0);
        for (int i = 0; i < TASKS; i++) {
            ck_assert_int_eq(weir_task_wait(&tasks[i]), 0);
            ck_assert_int_eq(weir_task_status(&tasks[i]), 0);
        }
        ck_assert_int_eq(atomic_load(&nested.sum), TASKS * 10 * 20);
        assert_quiet(nested.pool);
        weir_pool_free(nested.pool);
    }
}
END_TEST

static int die_on_a_worker(weir_context *ctx, void **item, void *arg)
{
    (void)item;
    meeting_wait(arg); /* a worker has one item, the caller the other */
    if (weir_pool_current() != NULL)
        pthread_exit(NULL);
    return weir_sleep_until(ctx, WEIR_FOREVER) == -ECANCELED ? 0 : -EPROTO;
}

START_TEST(a_worker_that_dies_in_a_stage_stops_the_pipeline)
{
    meeting place = MEETING_INIT(2);
    atomic_int calls = 0;
    int left = 100;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER},
                                 {die_on_a_worker, &place, WEIR_STAGE_PARALLEL},
                                 {call_nobody, &calls, WEIR_STAGE_IN_ORDER}};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pipeline_run(pool, stages, 3, NULL), -ECANCELED);
    ck_assert_int_eq(atomic_load(&calls), 0);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

struct dying {
    weir_pool *pool;
    meeting place;
    atomic_int left; /* the worker's call has returned */
};

static int die_on_the_caller(weir_context *ctx, void **item, void *arg)
{
    struct dying *dying = arg;
    (void)item;
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
    int left = 100;
    const weir_stage stages[] = {{count_down, &left, WEIR_STAGE_IN_ORDER},
                                 {die_on_the_caller, dying, WEIR_STAGE_PARALLEL}};
    (void)!weir_pipeline_run(dying->pool, stages, 2, NULL);
    return arg; /* not reached */
}

START_TEST(a_caller_that_dies_in_a_stage_leaves_no_helper_behind)
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

static int run_lines(void *arg)
{
    for (int i = 0; i < 60; i++) {
        struct line *line = calloc(1, sizeof *line);
        if (line == NULL)
            return -ENOMEM;
        line->n = i;
        int err = run_line(arg, line, mixes[i % MIXES], 1 + (size_t)i % 5);
        bool through = atomic_load(&line->through) == i && atomic_load(&line->wrong) == 0;
        free(line);
        if (err != 0 || !through)
            return i + 1;
    }
    return 0;
}

START_TEST(pipelines_of_several_threads_on_one_small_pool)
{
    weir_pool *pool = new_pool(2, 1);
    caller callers[3];
    for (int i = 0; i < 3; i++)
        caller_start(&callers[i], run_lines, pool);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    assert_quiet(pool);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_child_process_cannot_use_the_pool)
{
    atomic_int calls = 0;
    const weir_stage stages[] = {{call_nobody, &calls, WEIR_STAGE_SERIAL}};
    weir_pool *pool = new_pool(1, 1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(weir_pipeline_run(pool, stages, 1, NULL) == -ESTALE && calls == 0 ? 0 : 1);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *contract = add_group(suite, "contract");
    tcase_add_loop_test(contract, every_item_goes_through_every_stage_once, 0, 3 * MIXES);
    tcase_add_test(contract, the_caller_and_all_workers_take_part_at_once);
    tcase_add_test(contract, a_source_alone_is_a_pipeline);
    tcase_add_test(contract, bad_arguments_and_a_closed_pool_call_nobody);
    tcase_add_test(contract, an_item_that_goes_no_further_holds_up_no_other);
    tcase_add_test(contract, in_any_order_a_slow_item_is_overtaken);
    tcase_add_test(contract, in_order_the_others_wait_for_a_slow_item_and_keep_no_thread);
    tcase_add_test(contract, the_caller_does_it_all_beside_a_busy_and_full_pool);
    TCase *ends = add_group(suite, "errors and ends");
    tcase_add_loop_test(ends, the_first_error_stops_the_rest_and_each_item_has_an_end, 0, 4);
    tcase_add_loop_test(ends, a_cancelled_context_stops_the_pipeline, 0, 2);
    tcase_add_test(ends, a_deadline_stops_the_pipeline);
    tcase_add_test(ends, a_deadline_after_the_last_item_is_no_failure);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, pipelines_nest_in_tasks_with_any_number_of_workers);
    tcase_add_test(threads, a_worker_that_dies_in_a_stage_stops_the_pipeline);
    tcase_add_test(threads, a_caller_that_dies_in_a_stage_leaves_no_helper_behind);
    tcase_add_test(threads, pipelines_of_several_threads_on_one_small_pool);
    tcase_add_test(threads, a_child_process_cannot_use_the_pool);
    return suite;
}
