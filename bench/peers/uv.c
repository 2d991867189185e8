/* SPDX-License-Identifier: MIT */
/* uv.c - libuv's thread pool, which the process has one of. Work is queued by the thread of an
 * event loop, and its end is reported on that loop; so each producer has a loop of its own. Work
 * that work asks for is queued by the loop, when the end of the first comes there. */
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "../common.h"
#include "peer.h"

struct job {
    uv_work_t request;
    weir_task_fn *fn;
    void *arg;
    struct job *children; /* asked for while this one ran */
    struct job *next;
};

static _Thread_local uv_loop_t *own_loop; /* of a producer */
static _Thread_local struct job *running; /* of a worker */

/* The workers start at the first work of the process and stay. */
static void *open_pool(unsigned workers, unsigned producers)
{
    (void)producers;
    char number[16];
    (void)snprintf(number, sizeof number, "%u", workers);
    if (setenv("UV_THREADPOOL_SIZE", number, 1) != 0)
        return NULL;
    uv_loop_t *loop = malloc(sizeof *loop);
    bench_require(loop != NULL && uv_loop_init(loop) == 0, "a loop could not be made");
    return loop;
}

static void close_pool(void *pool)
{
    bench_require(uv_loop_close(pool) == 0, "a loop could not be closed");
    free(pool);
}

static void run(uv_work_t *request)
{
    struct job *job = request->data;
    running = job;
    (void)job->fn(NULL, job->arg);
    running = NULL;
}

static void after(uv_work_t *request, int status);

static struct job *make_job(weir_task_fn *fn, void *arg)
{
    struct job *job = malloc(sizeof *job);
    bench_require(job != NULL, "no memory");
    job->request.data = job;
    job->fn = fn;
    job->arg = arg;
    job->children = job->next = NULL;
    return job;
}

static void queue(uv_loop_t *loop, struct job *job)
{
    bench_require(uv_queue_work(loop, &job->request, run, after) == 0, "a submit failed");
}

static void after(uv_work_t *request, int status)
{
    struct job *job = request->data;
    bench_require(status == 0, "a task was cancelled");
    for (struct job *child = job->children, *next; child != NULL; child = next) {
        next = child->next;
        queue(request->loop, child);
    }
    free(job);
}

static void run_loop(uv_loop_t *loop)
{
    bench_require(uv_run(loop, UV_RUN_DEFAULT) == 0, "the loop ended early");
}

static void produce(void *pool, void (*body)(void *arg), void *arg)
{
    (void)pool;
    uv_loop_t loop;
    bench_require(uv_loop_init(&loop) == 0, "a loop could not be made");
    own_loop = &loop;
    body(arg);
    run_loop(&loop);
    own_loop = NULL;
    bench_require(uv_loop_close(&loop) == 0, "a loop could not be closed");
}

static void submit(void *pool, weir_task_fn *fn, void *arg)
{
    (void)pool;
    queue(own_loop, make_job(fn, arg));
}

static void spawn(void *pool, weir_task_fn *fn, void *arg)
{
    (void)pool;
    struct job *job = make_job(fn, arg);
    job->next = running->children;
    running->children = job;
}

static void finish(void *pool)
{
    (void)pool; /* the producers' loops have ended, and so has their work */
}

static void call(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        queue(pool, make_job(fn, args[i]));
    run_loop(pool);
}

static const struct peer uv = {
    .name = "uv_queue_work",
    .why_not = "wait inside a task: work is queued by the thread of an event loop",
    .open = open_pool,
    .finish = finish,
    .close = close_pool,
    .produce = produce,
    .submit = submit,
    .spawn = spawn,
    .call = call,
};

const struct peer *const peer_forms[] = {&uv, NULL};
