/* SPDX-License-Identifier: MIT */
/* park_pthread.c - parking with a mutex and a condition variable, for systems without futexes.
 *
 * The mutex orders the check of the word against the wake (P1): a waker changes the word before it
 * takes the mutex, so a sleeper that took the mutex later sees the change. Wakes are counted in
 * `woken` and consumed by sleepers (P2); any sleeper may consume one. pthread_cancel does not
 * cancel a thread in here, as it does not in the futex back end.
 */
#include "os/park.h"

#include <errno.h>
#include <time.h>

#include "weir/clock.h"

void weir__park_init(struct park *park)
{
    store_rlx(&park->word, 0);
    park->sleeping = 0;
    park->woken = 0;
    (void)pthread_mutex_init(&park->mutex, NULL);
    (void)pthread_cond_init(&park->cond, NULL);
}

void weir__park_destroy(struct park *park)
{
    (void)pthread_cond_destroy(&park->cond);
    (void)pthread_mutex_destroy(&park->mutex);
}

static int sleep_once(struct park *park, int64_t deadline)
{
    if (deadline == WEIR_FOREVER)
        return pthread_cond_wait(&park->cond, &park->mutex);
    if (deadline < 0)
        deadline = 0;
    struct timespec at = {.tv_sec = (time_t)(deadline / 1000000000),
                          .tv_nsec = (long)(deadline % 1000000000)};
    return pthread_cond_clockwait(&park->cond, &park->mutex, CLOCK_MONOTONIC, &at);
}

int weir__park_wait(struct park *park, uint32_t expected, int64_t deadline)
{
    int result = -EAGAIN, cancellable;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    (void)pthread_mutex_lock(&park->mutex);
    if (load_seqcst(&park->word) == expected) { /* orders nothing: the mutex does */
        park->sleeping++;
        int err = 0;
        /* The word too: another sleeper may have consumed the wake that was meant for this one.
         * It orders nothing: the mutex does. */
        while (park->woken == 0 && load_seqcst(&park->word) == expected && err != ETIMEDOUT)
            err = sleep_once(park, deadline);
        park->sleeping--;
        if (park->woken > 0) {
            park->woken--;
            result = 0;
        } else if (err == ETIMEDOUT) {
            result = -ETIMEDOUT;
        }
    }
    (void)pthread_mutex_unlock(&park->mutex);
    (void)pthread_setcancelstate(cancellable, NULL);
    return result;
}

unsigned weir__park_wake(struct park *park, unsigned n)
{
    (void)pthread_mutex_lock(&park->mutex);
    unsigned asleep = park->sleeping - park->woken;
    if (n > asleep)
        n = asleep;
    park->woken += n;
    if (n == 1)
        (void)pthread_cond_signal(&park->cond);
    else if (n > 1)
        (void)pthread_cond_broadcast(&park->cond);
    (void)pthread_mutex_unlock(&park->mutex);
    return n;
}
