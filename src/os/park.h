/* SPDX-License-Identifier: MIT */
/* park.h - sleeping on a word, and waking the threads that sleep on it.
 *
 * The two back ends, park_futex.c and park_pthread.c, keep the same promises:
 *   P1  park_wait sleeps only if the word has the expected value, and a park_wake that follows a
 *       change of the word is not missed by a park_wait that expected the value before it.
 *   P2  park_wake returns how many threads it woke; as many park_wait calls return 0. A call that
 *       ends for another reason was not counted.
 *   P3  park_wake must not be called once the park may be gone; the code that embeds a park sees to
 *       that.
 */
#ifndef WEIR_OS_PARK_H
#define WEIR_OS_PARK_H

#include <limits.h>

#include "base/atomic.h"

#ifdef WEIR_PARK_PTHREAD
#include <pthread.h>
struct park {
    atomic(uint32_t) word;
    unsigned sleeping; /* under mutex: inside park_wait; those already woken included */
    unsigned woken;    /* under mutex: wakes that no sleeper has consumed yet; <= sleeping */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
};
#define PARK_INIT                                                                                  \
    {                                                                                              \
        0, 0, 0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER                               \
    }
#else
struct park {
    atomic(uint32_t) word;
};
#define PARK_INIT                                                                                  \
    {                                                                                              \
        0                                                                                          \
    }
#endif

#define PARK_ALL ((unsigned)INT_MAX)

void weir__park_init(struct park *park);
void weir__park_destroy(struct park *park);

/* Blocks while the word is `expected`, until woken or until `deadline` (CLOCK_MONOTONIC, ns).
 * Returns 0: woken, and counted by the waker; -EAGAIN: the word differs; -ETIMEDOUT; -EINTR: for
 * no reason. */
int weir__park_wait(struct park *park, uint32_t expected, int64_t deadline);

/* Wakes up to `n` sleepers (PARK_ALL: all) and returns how many. */
unsigned weir__park_wake(struct park *park, unsigned n);

#endif
