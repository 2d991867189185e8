/* SPDX-License-Identifier: MIT */
/* lock.h - a mutex for short critical sections off the hand-off path. All-zero is not valid: use
 * LOCK_INIT or lock_init. */
#ifndef WEIR_OS_LOCK_H
#define WEIR_OS_LOCK_H

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex;
};

#define LOCK_INIT                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER                                                                  \
    }

static inline void lock_init(struct lock *lock)
{
    (void)pthread_mutex_init(&lock->mutex, NULL); /* a default mutex: cannot fail */
}

static inline void lock_acquire(struct lock *lock)
{
    (void)pthread_mutex_lock(&lock->mutex);
}

static inline void lock_release(struct lock *lock)
{
    (void)pthread_mutex_unlock(&lock->mutex);
}

#endif
