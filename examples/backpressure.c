/* SPDX-License-Identifier: MIT */
/* backpressure.c - what happens when a pool is full, for each overflow policy.
 *
 * Each pool has one worker and two places in its queue. The first task blocks the worker until it
 * is released, the next two fill the queue, and so the fourth finds it full. */
#include <stdio.h>

#include <weir.h>

struct trial {
    weir_pool *pool;
    weir_waitgroup held;   /* the worker is busy */
    weir_waitgroup let_go; /* counted down to release it */
    int on_caller;
};

static int hold(weir_context *ctx, void *arg)
{
    struct trial *trial = arg;
    (void)ctx;
    weir_waitgroup_done(&trial->held);
    return weir_waitgroup_wait(&trial->let_go);
}

static int work(weir_context *ctx, void *arg)
{
    struct trial *trial = arg;
    (void)ctx;
    if (weir_pool_current() == NULL)
        trial->on_caller++;
    return 0;
}

static void dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)arg;
    (void)user;
    printf("  the oldest task is dropped%s\n",
           why == WEIR_TASK_DROPPED ? "" : ", but not for room");
}

/* Makes a pool and fills it. On failure there is none. */
static int fill(struct trial *trial, weir_overflow overflow)
{
    *trial = (struct trial){.pool = NULL};
    int err =
        weir_pool_new(&trial->pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                      .overflow = overflow, .on_drop = dropped));
    if (err != 0)
        return err;
    weir_waitgroup_add(&trial->held, 1);
    weir_waitgroup_add(&trial->let_go, 1);
    err = weir_pool_submit(trial->pool, hold, trial);
    if (err == 0)
        err = weir_waitgroup_wait(&trial->held);
    for (int i = 0; i < 2 && err == 0; i++)
        err = weir_pool_submit(trial->pool, work, trial);
    if (err != 0) {
        weir_waitgroup_done(&trial->let_go);
        weir_pool_free(trial->pool);
    }
    return err;
}

/* Waits until all tasks have ended, and says how. */
static int finish(struct trial *trial)
{
    int err = weir_pool_drain(trial->pool);
    weir_pool_counts counts;
    weir_pool_read_counts(trial->pool, &counts);
    printf("  accepted %d, refused %d, done %d, dropped %d; queued at most: %d\n",
           (int)counts.submitted, (int)counts.rejected, (int)counts.done, (int)counts.dropped,
           (int)counts.peak_queued);
    weir_pool_free(trial->pool);
    return err;
}

static int fourth_to_a_policy(const char *name, weir_overflow overflow)
{
    struct trial trial;
    int err = fill(&trial, overflow);
    if (err != 0)
        return err;
    printf("%s\n", name);
    err = weir_pool_submit(trial.pool, work, &trial);
    printf("  submit: %s\n", weir_strerror(err));
    if (trial.on_caller > 0)
        printf("  it ran on the thread that submits\n");
    weir_waitgroup_done(&trial.let_go);
    return finish(&trial);
}

/* The default. A producer that is faster than the workers is slowed down to their speed. So a file
 * of any size can be read with little memory. */
static int blocking(void)
{
    struct trial trial;
    int err = fill(&trial, WEIR_OVERFLOW_BLOCK);
    if (err != 0)
        return err;
    printf("BLOCK\n");
    err = weir_pool_try_submit(trial.pool, work, &trial);
    printf("  try_submit: %s\n", weir_strerror(err));
    err = weir_pool_submit_until(trial.pool, work, &trial, NULL, weir_after(WEIR_MS(10)));
    printf("  submit_until, 10 ms: %s\n", weir_strerror(err));

    weir_waitgroup_done(&trial.let_go);
    err = 0;
    for (int i = 0; i < 1000 && err == 0; i++)
        err = weir_pool_submit(trial.pool, work, &trial);
    printf("  submit, a thousand times: %s\n", weir_strerror(err));
    return finish(&trial);
}

int main(void)
{
    int err = blocking();
    if (err == 0)
        err = fourth_to_a_policy("REJECT", WEIR_OVERFLOW_REJECT);
    if (err == 0)
        err = fourth_to_a_policy("CALLER_RUNS", WEIR_OVERFLOW_CALLER_RUNS);
    if (err == 0)
        err = fourth_to_a_policy("DROP_OLDEST", WEIR_OVERFLOW_DROP_OLDEST);
    if (err != 0)
        fprintf(stderr, "backpressure: %s\n", weir_strerror(err));
    return err != 0;
}
