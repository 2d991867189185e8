/* SPDX-License-Identifier: MIT */
/* assert.h - internal invariants, and misuse that no return code can report. */
#ifndef WEIR_BASE_ASSERT_H
#define WEIR_BASE_ASSERT_H

#include <stdbool.h>

#if defined(__GNUC__) || defined(__clang__)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((cold, noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define likely(x) (x)
#define unlikely(x) (x)
#define COLD
#define ALWAYS_INLINE inline
#endif

/* Prints "weir: <call>: <sentence>" on standard error and aborts, in release builds too. */
_Noreturn COLD void weir__misuse(const char *call, const char *sentence);

/* Checked in builds with debug_checks; the argument is not evaluated in others. */
#if defined(WEIR_DEBUG_CHECKS) && WEIR_DEBUG_CHECKS
_Noreturn COLD void weir__assert_failed(const char *condition, const char *file, int line);
#define weir_assert(c) ((c) ? (void)0 : weir__assert_failed(#c, __FILE__, __LINE__))
#else
#define weir_assert(c) ((void)sizeof((c) ? 1 : 0))
#endif

#endif
