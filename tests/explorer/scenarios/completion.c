/* SPDX-License-Identifier: MIT */
/* completion.c - the end of tasks against the reaping of them, and memory freed right after. */
#include "scenario.h"

#include "os/notify.h"

enum { N = 2 };

struct loop {
    weir_pool *pool;
    weir_completion *completion;
    weir_task *tasks[N];
    unsigned runs[N];
    unsigned reaped;
};

static struct loop *new_loop(unsigned workers, size_t places)
{
    struct loop *loop = make(sizeof *loop);
    loop->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = N));
    for (int i = 0; i < N; i++)
        loop->tasks[i] = make(sizeof *loop->tasks[i]);
    int err = weir_completion_new(&loop->completion, places);
    check(err == 0);
    return loop;
}

static int submit(struct loop *loop, int i)
{
    return weir_pool_submit_task(loop->pool, loop->tasks[i], count_run, &loop->runs[i],
                                 WEIR_TASK_OPTIONS(.completion = loop->completion));
}

/* Once the descriptor is raised, takes some tasks and frees them. */
static void reap_some(struct loop *loop, size_t most)
{
    weir_task *over[N];
    virtual_poll();
    size_t n = weir_completion_reap(loop->completion, over, most);
    check(n >= 1);
    for (size_t i = 0; i < n; i++) {
        int which = over[i] == loop->tasks[0] ? 0 : 1;
        check(over[i] == loop->tasks[which] && loop->runs[which] == 1);
        check(weir_task_state(over[i]) == WEIR_TASK_DONE);
        drop(over[i]);
        loop->tasks[which] = NULL;
    }
    loop->reaped += (unsigned)n;
}

static void reap_against_ends(size_t most)
{
    struct loop *loop = new_loop(2, N);
    explore_begin();
    for (int i = 0; i < N; i++) {
        int err = submit(loop, i);
        check(err == 0);
    }
    while (loop->reaped < N)
        reap_some(loop, most);
    check(weir_completion_fd(loop->completion) == 0);
    weir_completion_free(loop->completion); /* the workers may still be on their way out of it */
    explore_end();
    end_pool(loop->pool);
    drop(loop);
}

static void reap_all_against_ends(void)
{
    reap_against_ends(N);
}

static void reap_one_by_one_against_ends(void)
{
    reap_against_ends(1);
}

/* One place: each submit needs the reap of the one before. */
static void reap_against_submit(void)
{
    struct loop *loop = new_loop(1, 1);
    explore_begin();
    for (int i = 0; i < N; i++) {
        int err = submit(loop, i);
        check(err == 0);
        if (i + 1 < N)
            check(submit(loop, i + 1) == -ENOBUFS);
        reap_some(loop, N);
    }
    weir_completion_free(loop->completion);
    explore_end();
    end_pool(loop->pool);
    drop(loop);
}

/* A thread that waits for a task may free it before it is reported; then the report is an address.
 */
static void free_against_report(void)
{
    struct loop *loop = new_loop(1, N);
    weir_task *over[N];
    explore_begin();
    int err = submit(loop, 0);
    check(err == 0);
    err = weir_task_wait(loop->tasks[0]);
    check(err == 0 && loop->runs[0] == 1);
    drop(loop->tasks[0]);
    virtual_poll();
    check(weir_completion_reap(loop->completion, over, N) == 1 && over[0] == loop->tasks[0]);
    weir_completion_free(loop->completion);
    explore_end();
    end_pool(loop->pool);
    drop(loop->tasks[1]);
    drop(loop);
}

static void reap_in_a_thread(void *arg)
{
    struct loop *loop = arg;
    while (loop->reaped < N)
        reap_some(loop, N);
}

static void cancel_against_the_end_and_the_reap(void)
{
    struct loop *loop = new_loop(1, N);
    weir_task *over[N];
    explore_begin();
    for (int i = 0; i < N; i++) {
        int err = submit(loop, i);
        check(err == 0);
    }
    int cancelled = weir_task_cancel(loop->tasks[1]);
    check(cancelled == 0 || cancelled == -EINPROGRESS || cancelled == -EALREADY);
    size_t n = 0;
    while (n < N) {
        virtual_poll();
        n += weir_completion_reap(loop->completion, over + n, N - n);
    }
    check(over[0] != over[1]);
    check(loop->runs[1] == (cancelled == 0 ? 0 : 1));
    explore_end();
    end_pool(loop->pool);
    weir_completion_free(loop->completion);
    for (int i = 0; i < N; i++)
        drop(loop->tasks[i]);
    drop(loop);
}

/* The ends happen while another thread submits the second task. */
static void reaper_against_submitter(void)
{
    struct loop *loop = new_loop(1, N);
    explore_begin();
    struct vthread *reaper = start(reap_in_a_thread, loop);
    for (int i = 0; i < N; i++) {
        int err = submit(loop, i);
        check(err == 0);
    }
    finish(reaper);
    weir_completion_free(loop->completion);
    explore_end();
    end_pool(loop->pool);
    drop(loop);
}

/* The place that a refused submit had taken is there again for the next, while the other reaps. */
static void close_the_pool(void *arg)
{
    struct loop *loop = arg;
    weir_pool_close(loop->pool);
}

static void refused_against_reap(void)
{
    struct loop *loop = new_loop(1, 1);
    explore_begin();
    int err = submit(loop, 0);
    check(err == 0);
    struct vthread *closer = start(close_the_pool, loop);
    reap_some(loop, 1);
    err = submit(loop, 1);
    check(err == 0 || err == -EPIPE);
    if (err == 0)
        reap_some(loop, 1);
    finish(closer);
    if (err != 0) {
        err = submit(loop, 1);
        check(err == -EPIPE); /* not -EAGAIN: no place is lost */
        drop(loop->tasks[1]);
    }
    weir_completion_free(loop->completion);
    explore_end();
    end_pool(loop->pool);
    drop(loop);
}

const struct scenario completion_scenarios[] = {
    {"reap all against ends", reap_all_against_ends, false},
    {"reap one by one against ends", reap_one_by_one_against_ends, false},
    {"reap against submit", reap_against_submit, false},
    {"a free against the report", free_against_report, false},
    {"a cancel against the end and the reap", cancel_against_the_end_and_the_reap, false},
    {"a reaper against a submitter", reaper_against_submitter, false},
    {"a refused submit against a reap", refused_against_reap, false},
    {0},
};
