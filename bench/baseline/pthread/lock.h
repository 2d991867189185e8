/* SPDX-License-Identifier: MIT */
/* lock.h - the locks of the mutex pool: the C library's. */
#ifndef BENCH_BASELINE_LOCK_H
#define BENCH_BASELINE_LOCK_H

#include <pthread.h>
#include <stddef.h>

/* With default attributes none of the calls below can fail. */
typedef pthread_mutex_t lock;
typedef pthread_cond_t condition;

static inline void lock_init(lock *l)
{
    (void)pthread_mutex_init(l, NULL);
}

static inline void lock_destroy(lock *l)
{
    (void)pthread_mutex_destroy(l);
}

static inline void lock_acquire(lock *l)
{
    (void)pthread_mutex_lock(l);
}

static inline void lock_release(lock *l)
{
    (void)pthread_mutex_unlock(l);
}

static inline void condition_init(condition *c)
{
    (void)pthread_cond_init(c, NULL);
}

static inline void condition_destroy(condition *c)
{
    (void)pthread_cond_destroy(c);
}

static inline void condition_wait(condition *c, lock *l)
{
    (void)pthread_cond_wait(c, l);
}

static inline void condition_signal(condition *c)
{
    (void)pthread_cond_signal(c);
}

static inline void condition_broadcast(condition *c)
{
    (void)pthread_cond_broadcast(c);
}

#endif
