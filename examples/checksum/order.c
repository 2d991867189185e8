/* SPDX-License-Identifier: MIT */
/* order.c - jobs that end in any order, emitted in the order in which they were taken.
 *
 * Invariants: emitted <= taken <= emitted + window; the job at a position below `emitted` is free,
 * from there up to `taken` it is out or has ended.
 * Locks: `lock` guards the counts, the flags and the `end` of each job. The rest of a job belongs
 * to one thread: from take to put the caller, then the thread that has set `emitting`. */
#include "order.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct order {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* for the one thread that takes and frees */
    uint64_t taken, emitted;
    size_t out;    /* jobs that have not ended */
    bool emitting; /* a thread is at it, and will look again before it leaves */
    bool waiting;  /* the thread that takes needs room */
    size_t window, limit;
    order_emit *emit;
    void *user;
    struct job jobs[];
};

static struct job *job_at(struct order *order, uint64_t position)
{
    return &order->jobs[position % order->window];
}

int order_new(struct order **ret, size_t window, size_t limit, order_emit *emit, void *user)
{
    struct order *order = calloc(1, sizeof(*order) + window * sizeof(order->jobs[0]));
    if (order == NULL)
        return -ENOMEM;
    pthread_mutex_init(&order->lock, NULL);
    pthread_cond_init(&order->changed, NULL);
    order->window = window;
    order->limit = limit;
    order->emit = emit;
    order->user = user;
    *ret = order;
    return 0;
}

/* Whether a job can be taken while at most `out` are out. */
static bool has_room_locked(const struct order *order, size_t out)
{
    return order->taken - order->emitted < order->window && order->out <= out;
}

static void wake_locked(struct order *order)
{
    if (order->waiting && has_room_locked(order, order->limit / 2))
        pthread_cond_signal(&order->changed);
}

/* Emits what has ended at the front, unless another thread does; then that one will find it. */
static void emit_locked(struct order *order)
{
    if (order->emitting)
        return;
    order->emitting = true;
    while (order->emitted < order->taken && job_at(order, order->emitted)->end != JOB_OUT) {
        const struct job *job = job_at(order, order->emitted);
        pthread_mutex_unlock(&order->lock);
        order->emit(job, order->user);
        pthread_mutex_lock(&order->lock);
        order->emitted++;
        wake_locked(order);
    }
    order->emitting = false;
}

static void wait_for_room_locked(struct order *order)
{
    if (has_room_locked(order, order->limit - 1))
        return;
    order->waiting = true;
    for (;;) {
        /* The threads that dropped jobs have not emitted them. */
        emit_locked(order);
        if (has_room_locked(order, order->limit / 2))
            break;
        pthread_cond_wait(&order->changed, &order->lock);
    }
    order->waiting = false;
}

static int set_path(struct job *job, const char *path)
{
    size_t size = strlen(path) + 1;
    if (size > job->path_size) {
        char *larger = realloc(job->path, size);
        if (larger == NULL)
            return -ENOMEM;
        job->path = larger;
        job->path_size = size;
    }
    memcpy(job->path, path, size);
    return 0;
}

struct job *order_take(struct order *order, const char *path, bool given)
{
    pthread_mutex_lock(&order->lock);
    wait_for_room_locked(order);
    struct job *job = job_at(order, order->taken);
    if (set_path(job, path) == 0) {
        job->given = given;
        job->user = order->user;
        job->end = JOB_OUT;
        order->taken++;
        order->out++;
    } else {
        job = NULL;
    }
    pthread_mutex_unlock(&order->lock);
    return job;
}

static void end_locked(struct order *order, struct job *job, enum job_end end, int error)
{
    job->error = error;
    job->end = end;
    order->out--;
}

void order_put(struct order *order, struct job *job, enum job_end end, int error)
{
    pthread_mutex_lock(&order->lock);
    end_locked(order, job, end, error);
    emit_locked(order);
    wake_locked(order);
    pthread_mutex_unlock(&order->lock);
}

void order_drop(struct order *order, struct job *job)
{
    pthread_mutex_lock(&order->lock);
    end_locked(order, job, JOB_UNDONE, 0);
    /* Not only when half is free: the drop may be the last that happens, with nothing emitted. */
    if (order->waiting)
        pthread_cond_signal(&order->changed);
    pthread_mutex_unlock(&order->lock);
}

void order_free(struct order *order)
{
    if (order == NULL)
        return;
    pthread_mutex_lock(&order->lock);
    order->waiting = true;
    for (;;) {
        emit_locked(order);
        if (order->emitted == order->taken)
            break;
        pthread_cond_wait(&order->changed, &order->lock);
    }
    pthread_mutex_unlock(&order->lock);
    for (size_t i = 0; i < order->window; i++)
        free(order->jobs[i].path);
    pthread_cond_destroy(&order->changed);
    pthread_mutex_destroy(&order->lock);
    free(order);
}
