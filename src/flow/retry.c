/* SPDX-License-Identifier: MIT */
/* retry.c - retrying on the calling thread, and the arithmetic that every way to retry shares.
 *
 * The context that the function sees lives on the caller's stack, as a task's own does, so that
 * nothing is allocated. All attempts share one: it is over at the deadline, or when its parent is.
 */
#include "flow/retry.h"

#include <errno.h>
#include <math.h>

#include "base/options.h"
#include "base/unwind.h"
#include "os/probe.h"
#include "record/event.h"
#include "wait/wait.h"

void weir_retry_options_init(weir_retry_options *options)
{
    if (options != NULL)
        *options = (weir_retry_options){.size = sizeof *options};
}

static int read_retry_options(weir_retry_options *ret, const weir_retry_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_retry_options, user) + sizeof ret->user,
                        given);
}

static const char *wrong_field(const weir_retry_options *options)
{
    if (options->initial_interval < 0)
        return "initial_interval: negative";
    if (options->max_interval < 0)
        return "max_interval: negative";
    if (options->max_elapsed < 0)
        return "max_elapsed: negative";
    if (!isfinite(options->multiplier) || options->multiplier < 0)
        return "multiplier: negative or not a finite number";
    if (isnan(options->jitter) || options->jitter > 1)
        return "jitter: above 1 or not a number";
    return NULL;
}

const char *weir_retry_options_error(const weir_retry_options *given)
{
    weir_retry_options options;
    int err = read_retry_options(&options, given);
    return options_error(err, wrong_field(&options));
}

int weir__retry_read(weir_retry_options *ret, const weir_retry_options *given)
{
    int err = read_retry_options(ret, given);
    if (err == 0 && wrong_field(ret) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    if (ret->max_attempts == 0)
        ret->max_attempts = 3;
    if (ret->initial_interval == 0)
        ret->initial_interval = WEIR_MS(100);
    if (ret->max_interval == 0)
        ret->max_interval = WEIR_S(30);
    if (ret->max_elapsed == 0)
        ret->max_elapsed = INT64_MAX;
    if (ret->multiplier == 0)
        ret->multiplier = 2.0;
    if (ret->jitter == 0)
        ret->jitter = 0.5;
    else if (ret->jitter < 0)
        ret->jitter = 0;
    return 0;
}

/* SplitMix64: every start value leads to another sequence, neighbours too. */
uint64_t weir__retry_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* base^exponent by squaring: as many steps as the exponent has bits; may be infinite. */
static double power(double base, unsigned exponent)
{
    double result = 1.0;
    for (; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0)
            result *= base;
        base *= base;
    }
    return result;
}

int64_t weir__retry_delay(const weir_retry_options *options, unsigned attempts, uint64_t random)
{
    double most = (double)options->max_interval;
    double delay = (double)options->initial_interval * power(options->multiplier, attempts - 1);
    if (!(delay < most))
        delay = most;
    double unit = (double)(random >> 11) * 0x1p-53; /* in [0, 1) */
    delay *= 1.0 + options->jitter * (2.0 * unit - 1.0);
    return delay < 0x1p63 ? (int64_t)delay : INT64_MAX;
}

bool weir__retry_next(const weir_retry_options *options, const struct retry_state *state,
                      uint64_t random, int64_t *ret_at)
{
    if (state->attempts >= options->max_attempts)
        return false;
    if (options->retryable != NULL && options->retryable(state->code, options->user) == 0)
        return false;
    int64_t delay = weir__retry_delay(options, state->attempts, random);
    if (delay > WEIR_FOREVER - 1 - state->now)
        return false;
    int64_t at = state->now + delay;
    if (at >= state->deadline || at - state->started > options->max_elapsed)
        return false;
    *ret_at = at;
    return true;
}

int weir_retry_until(const weir_retry_options *given, weir_task_fn *fn, void *arg,
                     weir_context *ctx, int64_t deadline)
{
    if (fn == NULL)
        return -EINVAL;
    weir_retry_options options;
    int err = weir__retry_read(&options, given);
    if (err != 0 || (err = weir_context_err(ctx)) != 0)
        return err;
    struct retry_state state = {.started = weir_now()};
    uint64_t random = (uint64_t)state.started ^ (uint64_t)(uintptr_t)&state << 20;
    ON_LEAVE(weir__context_end) weir_context own;
    weir__context_begin(&own, ctx, NULL, deadline, NULL);
    state.deadline = weir_context_deadline(&own);
    for (;;) {
        int64_t at;
        state.code = fn(&own, arg);
        if (state.code == 0)
            return 0;
        state.attempts++;
        state.now = weir_now();
        if (!weir__retry_next(&options, &state, weir__retry_random(&random), &at))
            return state.code;
        PROBE3(retry, 0, state.code, at - state.now);
        TRACE(note, EVENT_RETRY, NULL, 0, state.code);
        if (weir_sleep_until(ctx, at) == -ECANCELED || weir_context_err(ctx) == -ECANCELED)
            return -ECANCELED;
        if (weir_now() >= state.deadline) /* it woke up too late */
            return state.code;
    }
}
