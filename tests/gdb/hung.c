/* SPDX-License-Identifier: MIT */
/* hung.c - a program that has locked itself up, and aborts so that a debugger sees it. */
#include <stdio.h>
#include <stdlib.h>

#include "weir.h"

static int wait_for_mail(weir_context *ctx, void *channel)
{
    char element;
    return weir_channel_recv_until(channel, &element, ctx, WEIR_FOREVER);
}

static int send_mail(weir_context *ctx, void *channel)
{
    (void)ctx;
    return weir_channel_send(channel, "x");
}

static struct {
    weir_pool *pool, *spare; /* the latter has nothing to do */
    weir_task inner;
} nest;

/* Waits for a task that its own worker then runs, and leaves one behind in the worker's deque. */
static int wait_for_inner(weir_context *ctx, void *channel)
{
    (void)ctx;
    int err = weir_pool_submit(nest.pool, send_mail, channel);
    if (err == 0)
        err = weir_pool_submit_task(nest.pool, &nest.inner, wait_for_mail, channel,
                                    WEIR_TASK_OPTIONS(.name = "the \"inner\" one"));
    return err != 0 ? err : weir_task_wait(&nest.inner);
}

int main(void)
{
    static weir_task named = WEIR_TASK_INIT;
    weir_channel *channel = NULL;
    int err = weir_channel_new(&channel, 1, 1);
    if (err == 0)
        err =
            weir_pool_new(&nest.pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 8, .name = "hung",
                                                        .order = WEIR_ORDER_LOCAL, .local = 4));
    if (err == 0)
        err = weir_pool_new(&nest.spare,
                            WEIR_POOL_OPTIONS(.workers = 1, .workers_max = 4, .name = "spare"));
    if (err == 0)
        err = weir_pool_submit(nest.pool, wait_for_mail, channel);
    if (err == 0)
        err = weir_pool_submit(nest.pool, wait_for_inner, channel);
    weir_pool_stats stats = {.size = sizeof stats};
    while (err == 0 && stats.workers_blocked < 2)
        err = weir_pool_read_stats(nest.pool, &stats);
    for (int i = 0; i < 3 && err == 0; i++) /* nobody is left to run it */
        err = weir_pool_submit(nest.pool, send_mail, channel);
    if (err == 0)
        err = weir_pool_submit_task(nest.pool, &named, send_mail, channel,
                                    WEIR_TASK_OPTIONS(.name = "last"));
    if (err == 0)
        abort();
    fprintf(stderr, "hung: %s\n", weir_strerror(err));
    return 1;
}
