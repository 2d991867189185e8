/* SPDX-License-Identifier: MIT */
/* mutex.h - a lock for a few instructions that many threads want all the time. All-zero is valid,
 * nothing to destroy.
 *
 * States: FREE; HELD; WANTED: held, and a thread may sleep for it. A sleeper is entered in the
 * table of waiters under the lock's address: so the step that frees it is the last access to it,
 * and the next holder may free its memory.
 *
 * It is not fair. A thread that finds it held leaves it alone for a while: the holder mostly wants
 * it again soon, and does a hundred things while they are in its cache, which takes less time than
 * passing the lock back and forth. Then the thread spins for a few rounds; then it sleeps.
 */
#ifndef WEIR_SYNC_MUTEX_H
#define WEIR_SYNC_MUTEX_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/tsan.h"

enum { MUTEX_FREE, MUTEX_HELD, MUTEX_WANTED };

struct mutex {
    atomic(uint32_t) state;
};

void weir__mutex_lock_slowly(struct mutex *mutex);
void weir__mutex_wake(struct mutex *mutex);

static inline bool mutex_try_lock(struct mutex *mutex)
{
    uint32_t expected = MUTEX_FREE;
    /* pairs with mutex_unlock; acquire would do */
    bool taken = cas_acqrel(&mutex->state, &expected, MUTEX_HELD);
    if (likely(taken))
        tsan_acquire(mutex);
    return taken;
}

static inline void mutex_lock(struct mutex *mutex)
{
    if (unlikely(!mutex_try_lock(mutex)))
        weir__mutex_lock_slowly(mutex);
}

static inline void mutex_unlock(struct mutex *mutex)
{
    tsan_release(mutex);
    /* pairs with mutex_try_lock, take in mutex.c; acquires too: a sleeper that has set WANTED is
     * seen entered. The memory may be gone afterwards. */
    if (unlikely(xchg_acqrel(&mutex->state, MUTEX_FREE) == MUTEX_WANTED))
        weir__mutex_wake(mutex);
}

#endif
