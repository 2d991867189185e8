/* SPDX-License-Identifier: MIT */
/* consumer.c - the smallest program that proves an installed weir: one task, waited for, and its
 * result checked. Each way to use the library builds this file. */
#include <stdio.h>
#include <string.h>
#include <weir.h>

static int square(weir_context *ctx, void *arg)
{
    (void)ctx;
    int *number = arg;
    *number *= *number;
    return 0;
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1));
    if (err != 0) {
        fprintf(stderr, "weir_pool_new: %s\n", weir_strerror(err));
        return 1;
    }
    int number = 12;
    weir_task task = WEIR_TASK_INIT;
    err = weir_pool_submit_task(pool, &task, square, &number, NULL);
    if (err == 0)
        err = weir_task_wait(&task);
    if (err == 0)
        err = weir_task_status(&task);
    weir_pool_free(pool);
    if (err != 0 || number != 144) {
        fprintf(stderr, "12 squared is %d: %s\n", number, weir_strerror(err));
        return 1;
    }

    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
             WEIR_VERSION_PATCH);
    if (strcmp(version, weir_version()) != 0) {
        fprintf(stderr, "headers are of %s, the library is %s\n", version, weir_version());
        return 1;
    }
    printf("weir %s: 12 squared is %d\n", version, number);
    return 0;
}
