/* SPDX-License-Identifier: MIT */
/* parallel.c - a loop against the workers that join it, or do not. */
#include "scenario.h"

enum { N = 3 };

struct sum {
    weir_pool *pool;
    unsigned done[N]; /* plain: done twice at once is a race */
    unsigned failing; /* the index that fails, or N */
    weir_waitgroup gate;
};

static int add_up(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct sum *sum = arg;
    (void)ctx;
    check(end == begin + 1);
    sum->done[begin]++;
    return begin == sum->failing ? -EIO : 0;
}

static struct sum *new_sum(unsigned workers, unsigned capacity)
{
    struct sum *sum = make(sizeof *sum);
    sum->failing = N;
    sum->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    return sum;
}

/* The pool ends within what is explored: so the workers are there while the loop runs. */
static void end_sum(struct sum *sum)
{
    end_pool(sum->pool);
    explore_end();
    drop(sum);
}

static void run_loop(struct sum *sum)
{
    int err = weir_parallel_for(sum->pool, N, 1, add_up, sum);
    check(err == 0);
    for (int i = 0; i < N; i++)
        check(sum->done[i] == 1);
}

static void workers_join_a_loop(void)
{
    struct sum *sum = new_sum(2, 1);
    explore_begin();
    run_loop(sum);
    end_sum(sum);
}

/* The queued helper is popped while the caller takes it out; then the stack is used again. */
static void helper_starts_as_the_loop_ends(void)
{
    struct sum *sum = new_sum(1, 1);
    explore_begin();
    for (int lap = 0; lap < 2; lap++) {
        for (int i = 0; i < N; i++)
            sum->done[i] = 0;
        run_loop(sum);
    }
    end_sum(sum);
}

static int pass_gate(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

static void open_gate(void *arg)
{
    weir_waitgroup_done(&((struct sum *)arg)->gate);
}

/* The worker is busy, until at some moment it is not. */
static void loop_beside_a_busy_pool(void)
{
    struct sum *sum = new_sum(1, 1);
    weir_waitgroup_add(&sum->gate, 1);
    int err = weir_pool_submit(sum->pool, pass_gate, &sum->gate);
    check(err == 0);
    settle();
    explore_begin();
    struct vthread *opener = start(open_gate, sum);
    run_loop(sum);
    finish(opener);
    end_sum(sum);
}

static int loop_in_a_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    run_loop(arg);
    return 0;
}

static void loop_inside_a_task(void)
{
    struct sum *sum = new_sum(2, 1);
    weir_task task = WEIR_TASK_INIT;
    explore_begin();
    int err = weir_pool_submit_task(sum->pool, &task, loop_in_a_task, sum, NULL);
    check(err == 0);
    err = weir_task_wait(&task);
    check(err == 0);
    end_sum(sum);
}

static void first_error_against_the_rest(void)
{
    struct sum *sum = new_sum(1, 1);
    sum->failing = 1;
    explore_begin();
    int err = weir_parallel_for(sum->pool, N, 1, add_up, sum);
    check(err == -EIO);
    check(sum->done[0] == 1 && sum->done[1] == 1 && sum->done[2] <= 1);
    end_sum(sum);
}

static void shut_down(void *arg)
{
    int err = weir_pool_shutdown(((struct sum *)arg)->pool, 0, WEIR_FOREVER, NULL);
    check(err == 0);
}

/* The shutdown cancels a helper that has not started, and the loop. */
static void shutdown_against_a_loop(void)
{
    struct sum *sum = new_sum(1, 1);
    explore_begin();
    struct vthread *stopper = start(shut_down, sum);
    int err = weir_parallel_for(sum->pool, N, 1, add_up, sum);
    check(err == 0 || err == -EPIPE || err == -ECANCELED);
    for (int i = 0; i < N; i++)
        check(sum->done[i] <= 1 && (err != 0 || sum->done[i] == 1));
    finish(stopper);
    end_sum(sum);
}

const struct scenario parallel_scenarios[] = {
    {"workers join a loop", workers_join_a_loop, false},
    {"a helper starts as the loop ends", helper_starts_as_the_loop_ends, false},
    {"a loop beside a busy pool", loop_beside_a_busy_pool, false},
    {"a loop inside a task", loop_inside_a_task, false},
    {"the first error against the rest", first_error_against_the_rest, false},
    {"shutdown against a loop", shutdown_against_a_loop, false},
    {0},
};
