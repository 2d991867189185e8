/* SPDX-License-Identifier: MIT */
/* retry_task.c - retrying as a task of a pool, which holds no worker during its pauses.
 *
 * What must be known between two attempts lives in the pool, in the task's struct repeat. Only the
 * thread that has the task touches it, and each attempt happens-before the next.
 */
#include <errno.h>

#include "flow/retry.h"
#include "pool/task_submit.h"

/* In the words of a struct repeat. */
struct __attribute__((may_alias)) retry {
    weir_retry_options options;
    weir_task_fn *fn;
    void *arg;
    int64_t started; /* the first attempt */
    uint64_t random;
    uint32_t attempts; /* begun */
};

_Static_assert(sizeof(struct retry) <= sizeof((struct repeat){0}.words), "fits");

static struct retry *retry_in(struct repeat *repeat)
{
    return (struct retry *)repeat->words;
}

static int attempt(weir_context *ctx, void *arg)
{
    struct retry *retry = retry_in(arg);
    if (retry->attempts++ == 0)
        retry->started = weir_now();
    return retry->fn(ctx, retry->arg);
}

static bool again(struct repeat *self, int status, int64_t deadline, int64_t *ret_at)
{
    struct retry *retry = retry_in(self);
    struct retry_state state = {.attempts = retry->attempts,
                                .code = status,
                                .started = retry->started,
                                .now = weir_now(),
                                .deadline = deadline};
    return weir__retry_next(&retry->options, &state, weir__retry_random(&retry->random), ret_at);
}

int weir_pool_submit_retry(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                           const weir_task_options *options, const weir_retry_options *given)
{
    struct repeat repeat = {.run = attempt, .again = again, .shown = fn};
    struct retry *retry = retry_in(&repeat);
    int err = weir__retry_read(&retry->options, given);
    if (err != 0 || fn == NULL)
        return err != 0 ? err : -EINVAL;
    retry->fn = fn;
    retry->arg = arg;
    retry->random = (uint64_t)weir_now() ^ (uint64_t)(uintptr_t)task << 20;
    return weir__submit_task_repeating(pool, task, fn, arg, options, &repeat);
}
