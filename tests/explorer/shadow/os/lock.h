/* SPDX-License-Identifier: MIT */
/* lock.h - a mutex of virtual threads. */
#ifndef WEIR_OS_LOCK_H
#define WEIR_OS_LOCK_H

#include "base/atomic.h"

struct lock {
    uint32_t holder;  /* its number + 1, or 0 */
    uint32_t history; /* never changes: under its address the model keeps what a holder knew */
};

#define LOCK_INIT                                                                                  \
    {                                                                                              \
        0, 0                                                                                       \
    }

void virtual_lock_acquire(struct lock *lock, const char *site);
void virtual_lock_release(struct lock *lock, const char *site);

static inline void lock_init(struct lock *lock)
{
    lock->holder = 0;
}

#define lock_acquire(lock) virtual_lock_acquire(lock, SITE)
#define lock_release(lock) virtual_lock_release(lock, SITE)

#endif
