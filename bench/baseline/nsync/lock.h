/* SPDX-License-Identifier: MIT */
/* lock.h - the locks of the mutex pool: nsync's. */
#ifndef BENCH_BASELINE_LOCK_H
#define BENCH_BASELINE_LOCK_H

#include <nsync.h>

typedef nsync_mu lock;
typedef nsync_cv condition;

static inline void lock_init(lock *l)
{
    nsync_mu_init(l);
}

/* nsync's locks hold nothing that would have to be given back. */
static inline void lock_destroy(lock *l)
{
    (void)l;
}

static inline void lock_acquire(lock *l)
{
    nsync_mu_lock(l);
}

static inline void lock_release(lock *l)
{
    nsync_mu_unlock(l);
}

static inline void condition_init(condition *c)
{
    nsync_cv_init(c);
}

static inline void condition_destroy(condition *c)
{
    (void)c;
}

static inline void condition_wait(condition *c, lock *l)
{
    nsync_cv_wait(c, l);
}

static inline void condition_signal(condition *c)
{
    nsync_cv_signal(c);
}

static inline void condition_broadcast(condition *c)
{
    nsync_cv_broadcast(c);
}

#endif
