/* SPDX-License-Identifier: MIT */
/* retry.h - when to try again: arithmetic alone, without a clock or a wait of its own. */
#ifndef WEIR_FLOW_RETRY_H
#define WEIR_FLOW_RETRY_H

#include "weir/retry.h"

#include <stdbool.h>

/* Copies `given` (NULL: all default) to `ret` with the defaults filled in and jitter >= 0.
 * Returns 0, -EINVAL or -E2BIG; on failure `ret` is undefined. */
int weir__retry_read(weir_retry_options *ret, const weir_retry_options *given);

/* The next number of a sequence of random ones that begins wherever *state is set to. */
uint64_t weir__retry_random(uint64_t *state);

/* The pause after `attempts` >= 1 calls, given options that were read; `random` picks the factor.
 * At least 0, at most INT64_MAX. */
int64_t weir__retry_delay(const weir_retry_options *options, unsigned attempts, uint64_t random);

/* What is known when a call has failed. */
struct retry_state {
    unsigned attempts; /* calls that have ended, >= 1 */
    int code;          /* what the last one returned, not 0 */
    int64_t started;   /* when the first one began */
    int64_t now;
    int64_t deadline;
};

/* Is there to be another call? Then *ret_at is when, before the deadline and soon enough. */
bool weir__retry_next(const weir_retry_options *options, const struct retry_state *state,
                      uint64_t random, int64_t *ret_at);

#endif
