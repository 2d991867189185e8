/* SPDX-License-Identifier: MIT */
/* weir/clock.h - time as weir counts it.
 *
 * A deadline is an absolute CLOCK_MONOTONIC time in nanoseconds, so that a wait which is
 * interrupted or repeated keeps its end. Any time that has passed (zero and negative ones too) is
 * a deadline in the past; WEIR_FOREVER never passes.
 *
 *     err = weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(50)));
 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include "base.h"

#define WEIR_FOREVER INT64_MAX

#ifdef __cplusplus
#define WEIR_INT64_(n) static_cast<int64_t>(n)
#else
#define WEIR_INT64_(n) ((int64_t)(n))
#endif

/* Durations in nanoseconds. The argument is an integer; a product beyond int64_t is undefined, as
 * with any other signed arithmetic. */
#define WEIR_US(n) (WEIR_INT64_(n) * 1000)
#define WEIR_MS(n) (WEIR_INT64_(n) * 1000000)
#define WEIR_S(n) (WEIR_INT64_(n) * 1000000000)

WEIR_BEGIN_DECLS

/* Now, on the clock that deadlines are given in: nanoseconds, never negative. Never blocks, never
 * fails. Callable from anywhere, a signal handler included. */
WEIR_API int64_t weir_now(void);

/* The deadline `ns` nanoseconds from now. Saturates: beyond the range it is WEIR_FOREVER, and
 * weir_after(WEIR_FOREVER) is WEIR_FOREVER; a negative `ns` gives a time in the past. Never
 * blocks. Callable from anywhere, a signal handler included. */
WEIR_API int64_t weir_after(int64_t ns);

/* The time-out for poll() and epoll_wait() that ends at `deadline`: milliseconds from now, rounded
 * up; 0 if it has passed; -1, which is no end, for WEIR_FOREVER; at most INT_MAX, so that a loop
 * may wake before a deadline that is weeks ahead. Never blocks. Callable from anywhere, a signal
 * handler included. */
WEIR_API int weir_poll_timeout(int64_t deadline);

WEIR_END_DECLS

#endif
