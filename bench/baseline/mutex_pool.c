/* SPDX-License-Identifier: MIT */
/* mutex_pool.c - a bounded worker pool on one mutex.
 *
 * Locks: `mutex` guards every field of the pool that changes; one acquisition a task on each side.
 * A condition is signalled only when a thread waits on it that no signal is on its way to, and
 * after the mutex was released, so that the woken thread does not find it held. The folder in which
 * the compiler finds lock.h decides what kind of locks they are.
 */
#include "mutex_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lock.h"

/* Lives on the waiter's stack. */
struct latch {
    lock mutex;
    condition over;
    size_t left; /* under mutex */
};

struct job {
    weir_task_fn *fn;
    void *arg;
    struct latch *latch; /* NULL: nobody waits */
};

/* A condition and how many threads wait for a signal. A wait that ends for no reason leaves the
 * number too high, which costs one needless signal. */
struct gate {
    condition cond;
    unsigned waiting;
};

struct mutex_pool {
    lock mutex;
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
    condition_init(&gate->cond);
    gate->waiting = 0;
}

static void gate_wait(struct gate *gate, lock *mutex)
{
    gate->waiting++;
    condition_wait(&gate->cond, mutex);
}

/* Takes one waiter off; true: the caller signals once it has released the mutex. */
static bool gate_open_locked(struct gate *gate)
{
    if (gate->waiting == 0)
        return false;
    gate->waiting--;
    return true;
}

static void latch_init(struct latch *latch, size_t n)
{
    lock_init(&latch->mutex);
    condition_init(&latch->over);
    latch->left = n;
}

static void latch_count_down(struct latch *latch)
{
    lock_acquire(&latch->mutex);
    if (--latch->left == 0)
        condition_signal(&latch->over); /* under the mutex: the waiter frees both */
    lock_release(&latch->mutex);
}

/* Blocks until the count is zero, and ends the latch. */
static void latch_wait(struct latch *latch)
{
    lock_acquire(&latch->mutex);
    while (latch->left > 0)
        condition_wait(&latch->over, &latch->mutex);
    lock_release(&latch->mutex);
    condition_destroy(&latch->over);
    lock_destroy(&latch->mutex);
}

/* Read without the mutex by those who only try. */
static void count_locked(struct mutex_pool *pool, size_t queued)
{
    __atomic_store_n(&pool->queued, queued, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
    struct mutex_pool *pool = arg;
    lock_acquire(&pool->mutex);
    for (;;) {
        while (pool->queued == 0 && !pool->closed)
            gate_wait(&pool->not_empty, &pool->mutex);
        if (pool->queued == 0)
            break;
        struct job job = pool->jobs[pool->head];
        pool->head = pool->head + 1 < pool->capacity ? pool->head + 1 : 0;
        count_locked(pool, pool->queued - 1);
        pool->running++;
        bool wake = gate_open_locked(&pool->not_full);
        lock_release(&pool->mutex);
        if (wake)
            condition_signal(&pool->not_full.cond);

        (void)job.fn(NULL, job.arg);
        if (job.latch != NULL)
            latch_count_down(job.latch);

        lock_acquire(&pool->mutex);
        pool->running--;
        if (pool->running == 0 && pool->queued == 0 && pool->at_rest.waiting > 0) {
            pool->at_rest.waiting = 0;
            condition_broadcast(&pool->at_rest.cond);
        }
    }
    lock_release(&pool->mutex);
    return NULL;
}

/* Called with the mutex held and room in the pool; releases the mutex. */
static void append_locked(struct mutex_pool *pool, struct job job)
{
    size_t end = pool->head + pool->queued;
    pool->jobs[end < pool->capacity ? end : end - pool->capacity] = job;
    count_locked(pool, pool->queued + 1);
    bool wake = gate_open_locked(&pool->not_empty);
    lock_release(&pool->mutex);
    if (wake)
        condition_signal(&pool->not_empty.cond);
}

static void submit(struct mutex_pool *pool, struct job job)
{
    lock_acquire(&pool->mutex);
    while (pool->queued == pool->capacity)
        gate_wait(&pool->not_full, &pool->mutex);
    append_locked(pool, job);
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
    lock_init(&pool->mutex);
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
    lock_acquire(&pool->mutex);
    pool->closed = true;
    condition_broadcast(&pool->not_empty.cond);
    lock_release(&pool->mutex);
    for (unsigned i = 0; i < pool->workers; i++)
        (void)pthread_join(pool->threads[i], NULL);
    condition_destroy(&pool->not_empty.cond);
    condition_destroy(&pool->not_full.cond);
    condition_destroy(&pool->at_rest.cond);
    lock_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}

void mutex_pool_submit(struct mutex_pool *pool, weir_task_fn *fn, void *arg)
{
    submit(pool, (struct job){fn, arg, NULL});
}

bool mutex_pool_try_submit(struct mutex_pool *pool, weir_task_fn *fn, void *arg)
{
    /* A full pool is seen without the mutex: a caller that is refused did not mind when it was. */
    if (__atomic_load_n(&pool->queued, __ATOMIC_RELAXED) == pool->capacity)
        return false;
    lock_acquire(&pool->mutex);
    if (pool->queued == pool->capacity) {
        lock_release(&pool->mutex);
        return false;
    }
    append_locked(pool, (struct job){fn, arg, NULL});
    return true;
}

void mutex_pool_drain(struct mutex_pool *pool)
{
    lock_acquire(&pool->mutex);
    while (pool->queued > 0 || pool->running > 0)
        gate_wait(&pool->at_rest, &pool->mutex);
    lock_release(&pool->mutex);
}

void mutex_pool_call(struct mutex_pool *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    struct latch latch;
    latch_init(&latch, n);
    for (size_t i = 0; i < n; i++)
        submit(pool, (struct job){fn, args[i], &latch});
    latch_wait(&latch);
}

void mutex_pool_fork(struct mutex_pool *pool, weir_task_fn *fn, void *forked, void *own)
{
    struct latch latch;
    latch_init(&latch, 1);
    submit(pool, (struct job){fn, forked, &latch});
    (void)fn(NULL, own);
    latch_wait(&latch);
}
