/* SPDX-License-Identifier: MIT */
/* slow.h - where everything is slow a test may do less of what is the same each time: under a
 * sanitizer, and if WEIR_TESTS_SLOW is in the environment, as it is under valgrind and on an
 * emulated CPU.
 */
#ifndef WEIR_TESTS_SLOW_H
#define WEIR_TESTS_SLOW_H

#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static inline bool slow(void)
{
    return SANITIZED || getenv("WEIR_TESTS_SLOW") != NULL;
}

#endif
