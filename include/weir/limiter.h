/* SPDX-License-Identifier: MIT */
/* weir/limiter.h - two rate limiters: a token bucket, and a sliding window (at the end).
 *
 * weir_limiter: a bucket of at most `burst` tokens, into which tokens flow at a constant rate and
 * from which each call takes some.
 *
 *     static weir_limiter limiter;
 *     err = weir_limiter_init(&limiter, 100, 20);     100 a second, 20 at once
 *     if (weir_limiter_allow(&limiter, 1) != 0)
 *         return 429;
 *
 * Exact: in any span of t seconds at most burst + rate * t tokens come due. Times are in whole ns;
 * the rate is taken to 1 part in 10^15, or rounded down by less than 1 in 10^4 above a million a
 * second and in 10^7 below. Calls that find too few tokens may reserve ahead: they take tokens that
 * are yet to come, and wait until these are there; later calls queue up behind. That is a debt; it
 * is kept, in tokens, when the rate changes.
 *
 * Ownership: the caller's memory, nothing to destroy; the caller frees it after the last call.
 * Thread-safety: every call but init may be made by any number of threads at once, from tasks too,
 * and all but the waits are lock-free. NULL is -EINVAL everywhere.
 * In a child process made by fork() a limiter works as before, with what it held; a cancelled wait
 * may block there for ever if another thread was just giving tokens back.
 * The burst never changes. What reserve took cannot be given back; what wait took can, by a cancel.
 *
 * The _at forms take the time from the caller: any clock in nanoseconds, the same for all calls on
 * one limiter. A time earlier than that of another call is fine: no token is given twice.
 */
#ifndef WEIR_LIMITER_H
#define WEIR_LIMITER_H

#include "context.h"

WEIR_BEGIN_DECLS

typedef struct weir_limiter {
    uint64_t words_[36];
} weir_limiter;

/* Makes a limiter whose bucket is full. A rate of 0 is allowed: the burst, and nothing after it; so
 * is a burst of 0: nothing. Never blocks.
 * Returns 0; -EINVAL: the rate is neither 0 nor in 1e-9 ... 1e9, or so slow that the bucket would
 * take more than 1e9 seconds (31 years) to fill; `limiter` is then as it was. */
WEIR_API WEIR_NODISCARD int weir_limiter_init(weir_limiter *limiter, double tokens_per_second,
                                              uint32_t burst);

/* Takes `n` tokens if they are there. 0 takes none and succeeds. Never blocks, lock-free.
 * Returns 0; -EAGAIN: too few, and nothing is taken; -EINVAL: `n` is above the burst. */
WEIR_API WEIR_NODISCARD int weir_limiter_allow(weir_limiter *limiter, uint32_t n);
WEIR_API WEIR_NODISCARD int weir_limiter_allow_at(weir_limiter *limiter, uint32_t n, int64_t now);

/* Takes `n` tokens, whether they are there or yet to come. Never blocks, lock-free.
 * Returns how many ns to wait before acting, >= 0; or, with nothing taken: -EINVAL: `n` is above
 * the burst; -EDEADLK: too few, and the rate is 0; -EOVERFLOW: the debt would be too large to
 * count (hours at least). */
WEIR_API WEIR_NODISCARD int64_t weir_limiter_reserve(weir_limiter *limiter, uint32_t n);
WEIR_API WEIR_NODISCARD int64_t weir_limiter_reserve_at(weir_limiter *limiter, uint32_t n,
                                                        int64_t now);

/* Reserves `n` tokens and blocks until they are there; in the order of the calls. If they will not
 * be there by the deadline (`deadline` or that of `ctx`) it fails at once and takes nothing.
 * The time is settled when the call begins: a later change of the rate does not move it.
 * A wait that is cancelled gives all its tokens back: at once if no call took tokens after it; else
 * as soon as all later waits were cancelled too. Until then they keep the times that they were
 * given, and its tokens go unused. They also go unused if the rate was changed meanwhile, if there
 * are more than eight such waits apart from each other, and now and then, hours apart.
 * Returns 0; -EINVAL and -EOVERFLOW as reserve does; -EDEADLK: too few, the rate is 0, and there is
 * no deadline; _until: -ETIMEDOUT, -ECANCELED. */
WEIR_API WEIR_NODISCARD int weir_limiter_wait(weir_limiter *limiter, uint32_t n);
WEIR_API WEIR_NODISCARD int weir_limiter_wait_until(weir_limiter *limiter, uint32_t n,
                                                    weir_context *ctx, int64_t deadline);

/* Changes the rate from now on. What is in the bucket, or owed to it, stays the same number of
 * tokens; a debt is paid off at the new rate (one that reserve would find too large is cut). Calls
 * that already know their time keep it. Never blocks, lock-free. For the _at form, `now` should not
 * be earlier than that of calls that have returned.
 * Returns 0; -EINVAL as init does, and if the limiter is all-zero: init never made it. The rate is
 * then as it was. */
WEIR_API WEIR_NODISCARD int weir_limiter_set_rate(weir_limiter *limiter, double tokens_per_second);
WEIR_API WEIR_NODISCARD int weir_limiter_set_rate_at(weir_limiter *limiter,
                                                     double tokens_per_second, int64_t now);

/* How many whole tokens are in the bucket; negative: how many are owed. And the burst. 0 for NULL,
 * or if init never made it. Never block. */
WEIR_API int64_t weir_limiter_tokens(const weir_limiter *limiter);
WEIR_API int64_t weir_limiter_tokens_at(const weir_limiter *limiter, int64_t now);
WEIR_API uint32_t weir_limiter_burst(const weir_limiter *limiter);

/* weir_window: at most `max` grants in any span of `period` ns, exactly: one at time t leaves the
 * window at t + period. It takes 16 * max bytes. A call holds a lock for some ns for each grant
 * that it asks for.
 * Ownership: new and free. Thread-safety: every call but free may be made by any number of threads
 * at once. NULL is -EINVAL. In a child process made by fork() it works as before if no other thread
 * was inside a call on it; if one was, calls there may block for ever. */
typedef struct weir_window weir_window;

/* Makes an empty window. Never blocks.
 * Returns 0; -EINVAL (`ret` is NULL, `max` is 0, `period` is not positive); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_window_new(weir_window **ret, uint32_t max, int64_t period);
/* Frees it; no thread may be in a call on it. free(NULL) is fine. Never blocks. */
WEIR_API void weir_window_free(weir_window *window);

/* As for the limiter, with grants for tokens and `max` for the burst: -EAGAIN if `n` grants do not
 * fit now, -EINVAL if `n` is above `max`, -EOVERFLOW if what is reserved ahead is too much to count
 * (292 years). A wait that is cancelled gives its grants back as one on a limiter does; but after
 * more than `max` in a row were given back, the next may get a time as late as theirs. */
WEIR_API WEIR_NODISCARD int weir_window_allow(weir_window *window, uint32_t n);
WEIR_API WEIR_NODISCARD int weir_window_allow_at(weir_window *window, uint32_t n, int64_t now);
WEIR_API WEIR_NODISCARD int64_t weir_window_reserve(weir_window *window, uint32_t n);
WEIR_API WEIR_NODISCARD int64_t weir_window_reserve_at(weir_window *window, uint32_t n,
                                                       int64_t now);
WEIR_API WEIR_NODISCARD int weir_window_wait(weir_window *window, uint32_t n);
WEIR_API WEIR_NODISCARD int weir_window_wait_until(weir_window *window, uint32_t n,
                                                   weir_context *ctx, int64_t deadline);

/* How many grants are in the window, those reserved ahead too (exact if the times that were given
 * never go back); and how many can be. 0 for NULL. Blocks for a short internal lock only. */
WEIR_API uint32_t weir_window_used(const weir_window *window);
WEIR_API uint32_t weir_window_used_at(const weir_window *window, int64_t now);
WEIR_API uint32_t weir_window_max(const weir_window *window);

WEIR_END_DECLS

#endif
