/* SPDX-License-Identifier: MIT */
/* weir/breaker.h - a circuit breaker: stops calling what keeps failing, and tries it now and then.
 *
 *     uint64_t ticket;
 *     if (weir_breaker_allow(&breaker, &ticket) != 0)
 *         return 503;
 *     err = call_the_other_side();
 *     weir_breaker_record(&breaker, ticket, err);
 *
 * CLOSED: calls are allowed. It opens when, among the last `window` results and with at least
 *     `minimum_calls` of them, failures / calls reaches `failure_ratio`.
 * OPEN: calls are refused, for `open_for`. Then it is half open.
 * HALF_OPEN: `half_open_calls` calls are let through as probes. When all have succeeded it closes
 *     and forgets what was before; at the first that fails it opens again. A probe is lent: one
 *     without a result after `open_for` is void, and another one takes its place.
 *
 * A ticket says which period a call belongs to: a result that comes after that period changes
 * nothing. Nothing happens by itself: an open breaker becomes half open when it is asked.
 *
 * Ownership: the caller's memory, nothing to destroy; the caller frees it after the last call.
 * Thread-safety: every call but init may be made by any number of threads at once, from tasks and
 * from on_change too; each takes a short lock. In a child process made by fork() a breaker works
 * as before, unless a thread was inside a call on it.
 * The _at forms take the time from the caller, as those of weir/limiter.h do.
 */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

#include "clock.h"

WEIR_BEGIN_DECLS

typedef struct weir_breaker {
    uint64_t words_[80];
} weir_breaker;

typedef enum weir_breaker_state {
    WEIR_BREAKER_CLOSED,
    WEIR_BREAKER_OPEN,
    WEIR_BREAKER_HALF_OPEN,
} weir_breaker_state;

typedef struct weir_breaker_options {
    size_t size;              /* filled by WEIR_BREAKER_OPTIONS or weir_breaker_options_init */
    uint32_t window;          /* how many results count, at most 1024; 0: 100 */
    uint32_t minimum_calls;   /* at most `window`; 0: 10, or `window` if that is less */
    double failure_ratio;     /* above 0, at most 1; 0: 0.5 */
    int64_t open_for;         /* ns; 0: 1 s */
    uint32_t half_open_calls; /* how many probes, at most 16; 0: 1 */
    /* Called for every change, with no lock held, one at a time and in order; by a thread that is
     * in a call on the breaker, not always the one that made the change. It must return: until it
     * has, later changes wait, and after some thirty the breaker stays open. 0: none. */
    void (*on_change)(weir_breaker_state from, weir_breaker_state to, void *user);
    void *user;
} weir_breaker_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_BREAKER_OPTIONS(...)                                                                  \
    (&(weir_breaker_options){.size = sizeof(weir_breaker_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_breaker_options_init(weir_breaker_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_breaker_options_error(const weir_breaker_options *options);

/* Makes a closed breaker without results. NULL options: defaults. Never blocks.
 * Returns 0; -EINVAL (`breaker` is NULL, a value out of its range, options of a size that never
 * was); -E2BIG. */
WEIR_API WEIR_NODISCARD int weir_breaker_init(weir_breaker *breaker,
                                              const weir_breaker_options *options);

/* May the call be made? Then its result must be recorded with the ticket, once.
 * Never blocks. Returns 0; -EAGAIN: open, or half open and the probes are out; -EINVAL (NULL). */
WEIR_API WEIR_NODISCARD int weir_breaker_allow(weir_breaker *breaker, uint64_t *ret_ticket);
WEIR_API WEIR_NODISCARD int weir_breaker_allow_at(weir_breaker *breaker, uint64_t *ret_ticket,
                                                  int64_t now);

/* How the call ended: 0 is a success, -ECANCELED neither success nor failure (it gives a probe's
 * place back), everything else a failure. A ticket of another period, of a probe that is void or
 * recorded, or that never was one, is ignored. Never blocks.
 * Misuse that aborts: `breaker` is NULL. */
WEIR_API void weir_breaker_record(weir_breaker *breaker, uint64_t ticket, int code);
WEIR_API void weir_breaker_record_at(weir_breaker *breaker, uint64_t ticket, int code, int64_t now);

/* The state; HALF_OPEN also if the next allow will make it so. CLOSED for NULL. Never blocks. */
WEIR_API weir_breaker_state weir_breaker_read_state(const weir_breaker *breaker);
WEIR_API weir_breaker_state weir_breaker_read_state_at(const weir_breaker *breaker, int64_t now);

/* Since init: calls that were allowed and refused; results that counted, a probe's too; and how
 * often it opened. */
typedef struct weir_breaker_counts {
    uint64_t allowed, refused, succeeded, failed, opened;
} weir_breaker_counts;

/* Zeroes for NULL. Never blocks. */
WEIR_API void weir_breaker_read_counts(const weir_breaker *breaker, weir_breaker_counts *ret);

WEIR_END_DECLS

#endif
