/* SPDX-License-Identifier: MIT */
/* first_error.c - an errgroup: parts of one job. The first part that fails stops the others.
 *
 * Four parts of a file are fetched at once. The third fails. The others wait for data that never
 * comes, and are woken by the failure. What they return then does not count as an error. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <weir.h>

struct part {
    int number;
    weir_waitgroup *all_started;
    int status;
};

static int fetch(weir_context *ctx, void *arg)
{
    struct part *part = arg;
    /* All four run before the third fails, so that the output is the same each time. */
    weir_waitgroup_done(part->all_started);
    part->status = weir_waitgroup_wait_until(part->all_started, ctx, WEIR_FOREVER);
    if (part->status == 0)
        part->status = part->number == 3 ? -EIO : weir_sleep_until(ctx, WEIR_FOREVER);
    return part->status;
}

static int late(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    puts("this is never printed");
    return 0;
}

static int show(weir_pool *pool)
{
    weir_errgroup *group;
    int err = weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.keep_errors = 4));
    if (err != 0)
        return err;

    weir_waitgroup all_started = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&all_started, 4);
    struct part parts[4];
    for (int i = 0; i < 4 && err == 0; i++) {
        parts[i] = (struct part){.number = i + 1, .all_started = &all_started};
        err = weir_errgroup_go(group, fetch, &parts[i]);
    }
    if (err != 0) {
        weir_errgroup_free(group);
        return err;
    }

    printf("the group: %s\n", strerror(-weir_errgroup_wait(group)));
    for (int i = 0; i < 4; i++)
        printf("part %d: %s\n", parts[i].number, strerror(-parts[i].status));
    weir_errgroup_failure failures[4];
    size_t failed = weir_errgroup_failures(group, failures, 4);
    for (size_t i = 0; i < failed; i++)
        printf("failed: part %d\n", ((struct part *)failures[i].arg)->number);
    printf("one more part: %s\n", weir_strerror(weir_errgroup_go(group, late, NULL)));
    weir_errgroup_free(group);
    return 0;
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 4));
    if (err == 0) {
        err = show(pool);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "first_error: %s\n", weir_strerror(err));
    return err != 0;
}
