/* SPDX-License-Identifier: MIT */
/* mutex_pool.c - a bounded worker pool on one mutex.
 *
 * Locks: `mutex` guards every field of the pool that changes; one acquisition a task on each side.
 * A condition is signalled only when a thread waits on it that no signal is on its way to, and
 * after the mutex was released, so that who wakes does not run into it.
 */
#include "mutex_pool.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

struct job {
    weir_task_fn *fn;
    void *arg;
    struct mutex_pool_task *task; /* NULL: nobody waits */
};

/* A condition and how many threads wait for a signal. A wait that ends for no reason leaves the
 * number too high, which costs one needless signal. */
struct gate {
    pthread_cond_t cond;
    unsigned waiting;
};

struct mutex_pool {
    pthread_mutex_t mutex;
    struct gate not_empty, not_full, at_rest;
    size_t head, queued, capacity;
    unsigned running;
    bool closed;
    unsigned workers;
    pthread_t *threads;
    struct job jobs[];
};

static void gate_init(struct gate *gate)
{
    (void)pthread_cond_init(&gate->cond, NULL); /* a default condition: cannot fail */
    gate->waiting = 0;
}

static void gate_wait(struct gate *gate, pthread_mutex_t *mutex)
{
    gate->waiting++;
    (void)pthread_cond_wait(&gate->cond, mutex);
}

/* Takes one waiter off; true: the caller signals once it has released the mutex. */
static bool gate_open_locked(struct gate *gate)
{
    if (gate->waiting == 0)
        return false;
    gate->waiting--;
    return true;
}

static void finish(struct mutex_pool_task *task)
{
    (void)pthread_mutex_lock(&task->mutex);
    task->is_over = true;
    (void)pthread_cond_signal(&task->over); /* under the mutex: the waiter frees both */
    (void)pthread_mutex_unlock(&task->mutex);
}

static void *work(void *arg)
{
    struct mutex_pool *pool = arg;
    (void)pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (pool->queued == 0 && !pool->closed)
            gate_wait(&pool->not_empty, &pool->mutex);
        if (pool->queued == 0)
            break;
        struct job job = pool->jobs[pool->head];
        pool->head = pool->head + 1 < pool->capacity ? pool->head + 1 : 0;
        pool->queued--;
        pool->running++;
        bool wake = gate_open_locked(&pool->not_full);
        (void)pthread_mutex_unlock(&pool->mutex);
        if (wake)
            (void)pthread_cond_signal(&pool->not_full.cond);

        (void)job.fn(NULL, job.arg);
        if (job.task != NULL)
            finish(job.task);

        (void)pthread_mutex_lock(&pool->mutex);
        pool->running--;
        if (pool->running == 0 && pool->queued == 0 && pool->at_rest.waiting > 0) {
            pool->at_rest.waiting = 0;
            (void)pthread_cond_broadcast(&pool->at_rest.cond);
        }
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void submit(struct mutex_pool *pool, struct job job)
{
    (void)pthread_mutex_lock(&pool->mutex);
    while (pool->queued == pool->capacity)
        gate_wait(&pool->not_full, &pool->mutex);
    size_t end = pool->head + pool->queued;
    pool->jobs[end < pool->capacity ? end : end - pool->capacity] = job;
    pool->queued++;
    bool wake = gate_open_locked(&pool->not_empty);
    (void)pthread_mutex_unlock(&pool->mutex);
    if (wake)
        (void)pthread_cond_signal(&pool->not_empty.cond);
}

int mutex_pool_new(struct mutex_pool **ret, unsigned workers, unsigned capacity)
{
    struct mutex_pool *pool = calloc(1, sizeof *pool + capacity * sizeof(struct job));
    pthread_t *threads = calloc(workers, sizeof *threads);
    if (pool == NULL || threads == NULL) {
        free(pool);
        free(threads);
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&pool->mutex, NULL); /* a default mutex: cannot fail */
    gate_init(&pool->not_empty);
    gate_init(&pool->not_full);
    gate_init(&pool->at_rest);
    pool->capacity = capacity;
    pool->threads = threads;
    for (; pool->workers < workers; pool->workers++) {
        int error = pthread_create(&threads[pool->workers], NULL, work, pool);
        if (error != 0) {
            mutex_pool_free(pool);
            return -error;
        }
    }
    *ret = pool;
    return 0;
}

void mutex_pool_free(struct mutex_pool *pool)
{
    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->mutex);
    pool->closed = true;
    (void)pthread_cond_broadcast(&pool->not_empty.cond);
    (void)pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->workers; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->not_empty.cond);
    (void)pthread_cond_destroy(&pool->not_full.cond);
    (void)pthread_cond_destroy(&pool->at_rest.cond);
    (void)pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}

void mutex_pool_submit(struct mutex_pool *pool, weir_task_fn *fn, void *arg)
{
    submit(pool, (struct job){fn, arg, NULL});
}

void mutex_pool_drain(struct mutex_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    while (pool->queued > 0 || pool->running > 0)
        gate_wait(&pool->at_rest, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
}

void mutex_pool_call(struct mutex_pool *pool, weir_task_fn *fn, void *arg)
{
    struct mutex_pool_task task = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    submit(pool, (struct job){fn, arg, &task});
    (void)pthread_mutex_lock(&task.mutex);
    while (!task.is_over)
        (void)pthread_cond_wait(&task.over, &task.mutex);
    (void)pthread_mutex_unlock(&task.mutex);
    (void)pthread_cond_destroy(&task.over);
    (void)pthread_mutex_destroy(&task.mutex);
}
