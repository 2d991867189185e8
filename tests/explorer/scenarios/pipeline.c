/* SPDX-License-Identifier: MIT */
/* pipeline.c - items through stages, against the workers that join, or do not. */
#include "scenario.h"

#include "weir/pipeline.h"

enum { N = 3 };

struct line {
    weir_pool *pool;
    int made; /* plain, as the next two: a stage in order that is entered twice is a race */
    int through;
    unsigned seen[N + 1];
    int numbers[N + 1];
    int failing; /* the item that fails in the second stage, or 0 */
    unsigned dropped[N + 1];
};

static int source(weir_context *ctx, void **item, void *arg)
{
    struct line *line = arg;
    (void)ctx;
    if (line->made < N) {
        int number = ++line->made;
        line->numbers[number] = number;
        *item = &line->numbers[number];
    }
    return 0;
}

static int look(weir_context *ctx, void **item, void *arg)
{
    struct line *line = arg;
    int number = *(int *)*item;
    (void)ctx;
    line->seen[number]++;
    return number == line->failing ? -EIO : 0;
}

static int sink(weir_context *ctx, void **item, void *arg)
{
    struct line *line = arg;
    (void)ctx;
    check(*(int *)*item == ++line->through);
    return 0;
}

static void drop_item(void *item, void *user)
{
    ((struct line *)user)->dropped[*(int *)item]++;
}

static struct line *new_line(unsigned workers)
{
    struct line *line = make(sizeof *line);
    line->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = 1));
    return line;
}

/* The pool ends within what is explored: so the workers are there while the pipeline runs. */
static void end_line(struct line *line)
{
    end_pool(line->pool);
    explore_end();
    drop(line);
}

static int run(struct line *line, size_t in_flight)
{
    const weir_stage stages[] = {{source, line, WEIR_STAGE_IN_ORDER},
                                 {look, line, WEIR_STAGE_PARALLEL},
                                 {sink, line, WEIR_STAGE_IN_ORDER}};
    return weir_pipeline_run(
        line->pool, stages, 3,
        WEIR_PIPELINE_OPTIONS(.in_flight = in_flight, .on_drop = drop_item, .user = line));
}

static void run_whole(unsigned workers, size_t in_flight)
{
    struct line *line = new_line(workers);
    explore_begin();
    int err = run(line, in_flight);
    check(err == 0 && line->made == N && line->through == N);
    for (int i = 1; i <= N; i++)
        check(line->seen[i] == 1 && line->dropped[i] == 0);
    end_line(line);
}

static void a_worker_joins_a_pipeline(void)
{
    run_whole(1, 2);
}

static void two_workers_join_a_pipeline(void)
{
    run_whole(2, 3);
}

/* The queued helper is popped while the caller takes it out; then the stack is used again. */
static void a_helper_starts_as_the_pipeline_ends(void)
{
    struct line *line = new_line(1);
    explore_begin();
    for (int lap = 0; lap < 2; lap++) {
        line->made = line->through = 0;
        int err = run(line, 2);
        check(err == 0 && line->through == N);
    }
    end_line(line);
}

/* Each item is through or dropped, and no stage is called after the end. */
static void a_stage_fails(void)
{
    struct line *line = new_line(1);
    line->failing = 1;
    explore_begin();
    int err = run(line, 2);
    check(err == -EIO);
    for (int i = 1; i <= line->made; i++)
        check(line->dropped[i] == (i > line->through));
    line->failing = 0;
    end_line(line);
}

/* Items that need each other: the caller and the worker must both be at it, whatever they did just
 * before. */
struct pairs {
    weir_pool *pool;
    int made;
    int numbers[2 * N + 1];
    weir_waitgroup met[2 * N + 1]; /* of each item: it is there */
};

static int make_pairs(weir_context *ctx, void **item, void *arg)
{
    struct pairs *pairs = arg;
    (void)ctx;
    if (pairs->made < 2 * (N - 1)) {
        int number = pairs->made++;
        pairs->numbers[number] = number;
        *item = &pairs->numbers[number];
    }
    return 0;
}

static int meet_other(weir_context *ctx, void **item, void *arg)
{
    struct pairs *pairs = arg;
    int number = *(int *)*item;
    (void)ctx;
    weir_waitgroup_done(&pairs->met[number]);
    return weir_waitgroup_wait(&pairs->met[number ^ 1]);
}

static void items_of_a_pipeline_meet(void)
{
    struct pairs *pairs = make(sizeof *pairs);
    pairs->pool = new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    for (int i = 0; i < 2 * (N - 1); i++)
        weir_waitgroup_add(&pairs->met[i], 1);
    const weir_stage stages[] = {{make_pairs, pairs, WEIR_STAGE_IN_ORDER},
                                 {meet_other, pairs, WEIR_STAGE_PARALLEL}};
    explore_begin();
    int err = weir_pipeline_run(pairs->pool, stages, 2, WEIR_PIPELINE_OPTIONS(.in_flight = 3));
    check(err == 0 && pairs->made == 2 * (N - 1));
    end_pool(pairs->pool);
    explore_end();
    drop(pairs);
}

static int hold_worker(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

/* The worker is busy until the pipeline has ended. */
static void a_pipeline_beside_a_busy_pool(void)
{
    struct line *line = new_line(1);
    weir_waitgroup *gate = make(sizeof *gate);
    weir_waitgroup_add(gate, 1);
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(line->pool, &task, hold_worker, gate, NULL);
    check(err == 0);
    explore_begin();
    err = run(line, 2);
    check(err == 0 && line->through == N);
    weir_waitgroup_done(gate);
    err = weir_task_wait(&task);
    check(err == 0);
    end_line(line);
    drop(gate);
}

const struct scenario pipeline_scenarios[] = {
    {"a worker joins a pipeline", a_worker_joins_a_pipeline, false},
    {"two workers join a pipeline", two_workers_join_a_pipeline, false},
    {"a helper starts as the pipeline ends", a_helper_starts_as_the_pipeline_ends, false},
    {"a stage of a pipeline fails", a_stage_fails, false},
    {"a pipeline beside a busy pool", a_pipeline_beside_a_busy_pool, false},
    {"items of a pipeline meet", items_of_a_pipeline_meet, false},
    {0},
};
