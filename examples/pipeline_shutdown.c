/* SPDX-License-Identifier: MIT */
/* pipeline_shutdown.c - two ways to stop a pipeline. Gracefully: its first channel is closed, and
 * everything in it comes out at the end. At once: its context is cancelled, and what is left in it
 * is counted. */
#include <errno.h>
#include <stdio.h>

#include <weir.h>

struct stage {
    weir_context *ctx;
    weir_channel *in, *out;  /* of int; the last stage has no `out` */
    weir_channel *may_go;    /* a signal for each element that the last stage may take; or NULL */
    weir_channel *passed_on; /* a signal for each that it has passed on; or NULL */
    int passed;
};

/* Passes on what comes until the channel is closed and empty. */
static int pass_on(weir_context *ctx, void *arg)
{
    struct stage *stage = arg;
    int number, err = 0;
    (void)ctx;
    while (err == 0) {
        if (stage->may_go != NULL)
            err = weir_channel_recv_until(stage->may_go, NULL, stage->ctx, WEIR_FOREVER);
        if (err == 0)
            err = weir_channel_recv_until(stage->in, &number, stage->ctx, WEIR_FOREVER);
        if (err == 0 && stage->out != NULL)
            err = weir_channel_send_until(stage->out, &number, stage->ctx, WEIR_FOREVER);
        if (err == 0)
            stage->passed++;
        if (err == 0 && stage->passed_on != NULL)
            err = weir_channel_send(stage->passed_on, NULL);
    }
    if (stage->out != NULL)
        weir_channel_close(stage->out);
    return err == -EPIPE ? 0 : err;
}

static int feed(weir_channel *in)
{
    int err = 0;
    for (int i = 0; i < 5 && err == 0; i++)
        err = weir_channel_send(in, &i);
    return err;
}

static int run(weir_pool *pool, weir_context *ctx, weir_channel *channels[4], int at_once)
{
    struct stage first = {.ctx = ctx, .in = channels[0], .out = channels[1]};
    struct stage last = {.ctx = ctx, .in = channels[1]};
    if (at_once) {
        last.may_go = channels[2];
        last.passed_on = channels[3];
    }
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    int err = weir_pool_submit_task(pool, &tasks[0], pass_on, &first, NULL);
    if (err == 0)
        err = weir_pool_submit_task(pool, &tasks[1], pass_on, &last, NULL);
    if (err == 0)
        err = feed(channels[0]);
    if (err == 0 && at_once) /* the last stage takes one, and no more */
        err = weir_channel_send(channels[2], NULL);
    if (err == 0 && at_once)
        err = weir_channel_recv(channels[3], NULL);
    weir_channel_close(channels[0]); /* no more will come */
    int waited = weir_task_wait(&tasks[0]);
    if (at_once)
        weir_context_cancel(ctx, 0);
    if (waited == 0)
        waited = weir_task_wait(&tasks[1]);
    printf("%s: %d in, %d out, %zu left; the last stage: %s\n", at_once ? "at once" : "gracefully",
           first.passed, last.passed, weir_channel_count(channels[1]),
           weir_strerror(weir_task_status(&tasks[1])));
    return err != 0 ? err : waited;
}

static int show(weir_pool *pool, int at_once)
{
    weir_context *ctx = NULL;
    weir_channel *channels[4] = {NULL, NULL, NULL, NULL};
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    for (int i = 0; i < 2 && err == 0; i++)
        err = weir_channel_new(&channels[i], sizeof(int), 5);
    for (int i = 2; i < 4 && err == 0; i++)
        err = weir_channel_new(&channels[i], 0, 1);
    if (err == 0)
        err = run(pool, ctx, channels, at_once);
    for (int i = 0; i < 4; i++)
        weir_channel_free(channels[i]);
    weir_context_unref(ctx);
    return err;
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2));
    if (err == 0) {
        err = show(pool, 0);
        if (err == 0)
            err = show(pool, 1);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "pipeline_shutdown: %s\n", weir_strerror(err));
    return err != 0;
}
