/* SPDX-License-Identifier: MIT */
/* pipeline.c - fan out, fan in: one source, three workers that square, one sink, with channels in
 * between.
 *
 * A stage ends when the channel it reads from is closed and empty; then it closes its own. Of
 * several senders the last one does. The sink selects between results and complaints, and stops
 * listening to the one that has ended. */
#include <errno.h>
#include <stdio.h>

#include <weir.h>

enum { WORKERS = 3, LAST = 10 };

struct result {
    int number, square;
};

struct pipeline {
    weir_channel *numbers; /* int: from the source to the workers */
    weir_channel *results; /* struct result: from the workers to the sink */
    weir_channel *refused; /* int: numbers that no worker wants; a rendezvous */
};

static int source(weir_context *ctx, void *arg)
{
    struct pipeline *line = arg;
    int err = 0;
    for (int i = 1; i <= LAST && err == 0; i++)
        err = weir_channel_send_until(line->numbers, &i, ctx, WEIR_FOREVER);
    weir_channel_close(line->numbers);
    return err;
}

static int worker(weir_context *ctx, void *arg)
{
    struct pipeline *line = arg;
    int number, err;
    while ((err = weir_channel_recv_until(line->numbers, &number, ctx, WEIR_FOREVER)) == 0) {
        struct result result = {number, number * number};
        err = number == 7 ? weir_channel_send_until(line->refused, &number, ctx, WEIR_FOREVER)
                          : weir_channel_send_until(line->results, &result, ctx, WEIR_FOREVER);
        if (err != 0)
            break;
    }
    weir_channel_sender_done(line->results); /* the last one closes it */
    weir_channel_sender_done(line->refused);
    return err == -EPIPE ? 0 : err;
}

static int sink(weir_context *ctx, struct pipeline *line)
{
    struct result result;
    int refused, sum = 0, results = 0;
    weir_select_case cases[] = {
        {.channel = line->results, .recv = &result},
        {.channel = line->refused, .recv = &refused},
    };
    while (cases[0].channel != NULL || cases[1].channel != NULL) {
        int index = weir_select_until(cases, 2, ctx, WEIR_FOREVER);
        if (index < 0)
            return index;
        if (cases[index].status == -EPIPE) {
            cases[index].channel = NULL; /* this case never happens again */
        } else if (index == 0) {
            results++;
            sum += result.square;
        } else {
            printf("refused: %d\n", refused);
        }
    }
    printf("%d squares, their sum is %d\n", results, sum);
    return 0;
}

static int run(weir_errgroup *group, struct pipeline *line)
{
    int err = weir_channel_add_senders(line->results, WORKERS);
    if (err == 0)
        err = weir_channel_add_senders(line->refused, WORKERS);
    if (err == 0)
        err = weir_errgroup_go(group, source, line);
    for (int i = 0; i < WORKERS && err == 0; i++)
        err = weir_errgroup_go(group, worker, line);
    if (err == 0)
        err = sink(weir_errgroup_context(group), line);
    int stopped = err != 0 ? weir_errgroup_stop(group) : weir_errgroup_wait(group);
    return err != 0 ? err : stopped;
}

int main(void)
{
    struct pipeline line = {NULL, NULL, NULL};
    weir_pool *pool = NULL;
    weir_errgroup *group = NULL;
    int err = weir_channel_new(&line.numbers, sizeof(int), 2);
    if (err == 0)
        err = weir_channel_new(&line.results, sizeof(struct result), 2);
    if (err == 0)
        err = weir_channel_new(&line.refused, sizeof(int), 0);
    /* A stage that waits keeps its worker: there is one for each that runs on the pool. */
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS + 1));
    if (err == 0)
        err = weir_errgroup_new(&group, pool, NULL, NULL);
    if (err == 0)
        err = run(group, &line);
    weir_errgroup_free(group);
    weir_pool_free(pool);
    weir_channel_free(line.refused);
    weir_channel_free(line.results);
    weir_channel_free(line.numbers);
    if (err != 0)
        fprintf(stderr, "pipeline: %s\n", weir_strerror(err));
    return err != 0;
}
