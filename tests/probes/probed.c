/* SPDX-License-Identifier: MIT */
/* probed.c - comes by each probe, with arguments that values.py knows. */
#include <stdio.h>

#include "weir.h"

static int fails(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return -5;
}

static int sleeps(weir_context *ctx, void *arg)
{
    (void)arg;
    return weir_sleep_until(ctx, weir_after(WEIR_MS(20)));
}

int main(void)
{
    weir_pool *pool;
    weir_breaker breaker;
    weir_task task = WEIR_TASK_INIT;
    uint64_t ticket;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4));
    if (err != 0)
        return 1;
    printf("pool %p fails %p sleeps %p breaker %p\n", (void *)pool, (void *)(uintptr_t)fails,
           (void *)(uintptr_t)sleeps, (void *)&breaker);
    (void)fflush(stdout);
    err = weir_pool_submit(pool, sleeps, &task);
    if (err == 0)
        err = weir_pool_drain(pool);
    if (err == 0)
        err = weir_pool_submit_retry(
            pool, &task, fails, NULL, NULL,
            WEIR_RETRY_OPTIONS(.max_attempts = 2, .jitter = -1, .initial_interval = WEIR_MS(50)));
    if (err == 0)
        err = weir_task_wait(&task);
    if (err == 0)
        err = weir_breaker_init(&breaker, WEIR_BREAKER_OPTIONS(.window = 1));
    if (err == 0)
        err = weir_breaker_allow(&breaker, &ticket);
    if (err == 0)
        weir_breaker_record(&breaker, ticket, -5);
    weir_pool_close(pool);
    if (err != 0 || weir_pool_submit(pool, fails, NULL) == 0)
        return 1;
    weir_pool_free(pool);
    return 0;
}
