/* SPDX-License-Identifier: MIT */
/* tsan.h - what ThreadSanitizer is told by a library that was built without it.
 *
 * A program that was built with ThreadSanitizer sees its own accesses, and the calls that it
 * intercepts, but not weir's atomic operations. So without help it takes a hand-off by way of weir
 * for no order at all, and reports races that are none. Where weir orders what a user has done
 * before what a user does after, it says so here, beside the atomic operation that orders it:
 *
 *     tsan_release(object);      before the operation that publishes
 *     tsan_acquire(object);      after the one that has seen it
 *
 * Both name one object by its address. An acquire is after all releases of that object so far,
 * which may be more than those that it read from; then a race of the user's can be missed, but none
 * is made up. The object must exist until the publishing operation, no longer. What is ordered by
 * locks of os/lock.h needs no mark: pthread_mutex_lock is intercepted.
 *
 * The functions are weak references, null in every other program: then a mark is a load and a
 * branch. In a library that is itself built with ThreadSanitizer there are none: it sees the atomic
 * operations, and a mark could hide that one of them is too weak.
 *
 * Signals. ThreadSanitizer puts a handler off until the thread makes an atomic operation that it
 * sees, or a call that it intercepts. A thread that sleeps in weir makes neither, so park_futex.c
 * lets it come up for a moment now and then: that is tsan_present and tsan_run_handlers.
 */
#ifndef WEIR_BASE_TSAN_H
#define WEIR_BASE_TSAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

#if defined(__SANITIZE_THREAD__)
#define TSAN_IN_LIBRARY 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN_IN_LIBRARY 1
#endif
#endif
#ifndef TSAN_IN_LIBRARY
#define TSAN_IN_LIBRARY 0
#endif

#if !TSAN_IN_LIBRARY && defined(__ELF__)

/* NOLINTBEGIN(*-reserved-identifier,cert-*): the names are ThreadSanitizer's. */
extern __attribute__((weak)) void __tsan_acquire(void *address);
extern __attribute__((weak)) void __tsan_release(void *address);
extern __attribute__((weak)) int __tsan_atomic32_load(const volatile int *word, int order);
/* NOLINTEND(*-reserved-identifier,cert-*) */

static inline void tsan_release(const volatile void *object)
{
    if (unlikely(__tsan_release != NULL))
        __tsan_release((void *)object);
}

static inline void tsan_acquire(const volatile void *object)
{
    if (unlikely(__tsan_acquire != NULL))
        __tsan_acquire((void *)object);
}

static inline bool tsan_present(void)
{
    return unlikely(__tsan_atomic32_load != NULL);
}

/* Runs the handlers that were put off; only if it is present. */
static inline void tsan_run_handlers(void)
{
    const volatile int word = 0;
    (void)__tsan_atomic32_load(&word, 0); /* relaxed */
}

#else

static inline void tsan_release(const volatile void *object)
{
    (void)object;
}

static inline void tsan_acquire(const volatile void *object)
{
    (void)object;
}

static inline bool tsan_present(void)
{
    return TSAN_IN_LIBRARY;
}

static inline void tsan_run_handlers(void)
{
    /* The next atomic operation of the library does. */
}

#endif

#endif
