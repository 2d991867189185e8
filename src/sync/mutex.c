/* SPDX-License-Identifier: MIT */
/* mutex.c - what a thread does that finds a mutex held.
 *
 * A sleeper sets WANTED before it sleeps, and takes the lock as WANTED, since there may be others.
 * An unlock wakes one of them; if another thread was faster, the woken one sets WANTED again. */
#include "sync/mutex.h"

#include "base/pace.h"
#include "os/thread.h"
#include "wait/wait.h"

static bool take(void *arg)
{
    struct mutex *mutex = arg;
    /* pairs with mutex_unlock: acquires what was done under the lock, and publishes that this
     * thread is entered. That is enough for a look, since the unlock reads this very word. */
    bool taken = xchg_acqrel(&mutex->state, MUTEX_WANTED) == MUTEX_FREE;
    if (taken)
        tsan_acquire(mutex);
    return taken;
}

COLD void weir__mutex_lock_slowly(struct mutex *mutex)
{
    for (int round = 0; round < MUTEX_ROUNDS; round++) {
        cpu_relax(MUTEX_PAUSES);
        for (int look = 0; look < MUTEX_LOOKS; look++) {
            if (load_rlx(&mutex->state) == MUTEX_FREE && mutex_try_lock(mutex)) /* a hint */
                return;
            cpu_relax(1);
        }
    }
    (void)weir__wait_until(TELL_NOTHING, mutex, take, mutex, NULL, NULL,
                           WEIR_FOREVER); /* ends only by take */
}

COLD void weir__mutex_wake(struct mutex *mutex)
{
    weir__wake_one(mutex); /* only the address */
}
