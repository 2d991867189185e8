/* SPDX-License-Identifier: MIT */
/* readme.c - the example that README.md shows: it squares some numbers, each in a task. */

#include <stdio.h>
#include <weir.h>

static int square(weir_context *ctx, void *arg)
{
    (void)ctx; /* a long task asks it now and then: weir_context_err(ctx) */
    *(int *)arg *= *(int *)arg;
    return 0;
}

int main(void)
{
    int n[] = {1, 2, 3, 4, 5};
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 64));
    for (int i = 0; i < 5 && err == 0; i++)
        err = weir_pool_submit(pool, square, &n[i]);    /* waits while the queue is full */
    if (err == 0 && (err = weir_pool_drain(pool)) == 0) /* waits until all tasks have ended */
        printf("%d %d %d %d %d\n", n[0], n[1], n[2], n[3], n[4]);
    weir_pool_free(pool);
    return err != 0;
}
