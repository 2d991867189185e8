/* SPDX-License-Identifier: MIT */
/* glib.c - GLib's GThreadPool, exclusive, so that its threads stay its own. A pool runs one
 * function on what is pushed; here this is a small heap object that says what to call. GLib has no
 * wait for a task; that is a mutex, a condition and a count. */
#include <glib.h>

#include "../common.h"
#include "peer.h"

struct latch {
    GMutex mutex;
    GCond over;
    size_t left; /* under mutex */
};

struct job {
    weir_task_fn *fn;
    void *arg;
    struct latch *latch; /* NULL: nobody waits */
};

static void run(gpointer data, gpointer user)
{
    (void)user;
    struct job *job = data;
    (void)job->fn(NULL, job->arg);
    if (job->latch != NULL) {
        g_mutex_lock(&job->latch->mutex);
        if (--job->latch->left == 0)
            g_cond_signal(&job->latch->over);
        g_mutex_unlock(&job->latch->mutex);
    }
    g_free(job);
}

static void *open_pool(unsigned workers, unsigned producers)
{
    (void)producers;
    return g_thread_pool_new(run, NULL, (gint)workers, TRUE, NULL);
}

/* Nothing may be pushed once this has begun, not by tasks either, so it cannot be the wait of
 * workloads whose tasks push. */
static void close_pool(void *pool)
{
    g_thread_pool_free(pool, FALSE, TRUE);
}

static void push(void *pool, weir_task_fn *fn, void *arg, struct latch *latch)
{
    struct job *job = g_new(struct job, 1);
    *job = (struct job){fn, arg, latch};
    bench_require(g_thread_pool_push(pool, job, NULL) != FALSE, "a push failed");
}

static void submit(void *pool, weir_task_fn *fn, void *arg)
{
    push(pool, fn, arg, NULL);
}

static void latch_wait(struct latch *latch)
{
    g_mutex_lock(&latch->mutex);
    while (latch->left > 0)
        g_cond_wait(&latch->over, &latch->mutex);
    g_mutex_unlock(&latch->mutex);
    g_cond_clear(&latch->over);
    g_mutex_clear(&latch->mutex);
}

static void latch_init(struct latch *latch, size_t n)
{
    g_mutex_init(&latch->mutex);
    g_cond_init(&latch->over);
    latch->left = n;
}

static void call(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    struct latch latch;
    latch_init(&latch, n);
    for (size_t i = 0; i < n; i++)
        push(pool, fn, args[i], &latch);
    latch_wait(&latch);
}

static void fork_task(void *pool, weir_task_fn *fn, void *forked, void *own)
{
    struct latch latch;
    latch_init(&latch, 1);
    push(pool, fn, forked, &latch);
    (void)fn(NULL, own);
    latch_wait(&latch);
}

static const struct peer thread_pool = {
    .name = "GThreadPool",
    .open = open_pool,
    .close = close_pool,
    .submit = submit,
    .spawn = submit,
    .call = call,
    .call_inside = call,
    .fork = fork_task,
};

const struct peer *const peer_forms[] = {&thread_pool, NULL};
