/* SPDX-License-Identifier: MIT */
/* stuck.c - a pool that has locked itself up, and a watchdog that says so.
 *
 * Two eaters wait for dishes on both workers. The two cooks that would send the dishes wait in the
 * queue for a worker, for ever: no task of weir is at fault, and no timeout was set. The watchdog
 * tells of it, and a dump shows who waits for what. Then the program gives up on the dishes. */
#include <stdio.h>
#include <unistd.h>

#include <weir.h>

static int eat(weir_context *ctx, void *dishes)
{
    int dish;
    return weir_channel_recv_until(dishes, &dish, ctx, WEIR_FOREVER);
}

static int cook(weir_context *ctx, void *dishes)
{
    int dish = 1;
    return weir_channel_send_until(dishes, &dish, ctx, WEIR_FOREVER);
}

/* On a thread of weir's, which exists only while a worker is awake. */
static void on_stuck(const weir_stuck *what, void *noticed)
{
    if (what->reason != WEIR_STUCK_ALL_BLOCKED)
        return; /* one task that is late: here they all are */
    if (what->recovered) {
        printf("the workers go on\n");
        return;
    }
    printf("all workers are blocked, and %zu tasks are queued:\n", what->queued);
    fflush(stdout);
    if (weir_pool_dump_fd(what->pool, STDOUT_FILENO) == 0)
        weir_waitgroup_done(noticed);
}

int main(void)
{
    weir_waitgroup noticed = WEIR_WAITGROUP_INIT;
    weir_task eaters[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_channel *dishes = NULL;
    weir_pool *pool = NULL;
    weir_waitgroup_add(&noticed, 1);
    int err = weir_channel_new(&dishes, sizeof(int), 1);
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 8,
                                                     .measure = WEIR_MEASURE_ALL,
                                                     .stuck_after = WEIR_MS(50),
                                                     .on_stuck = on_stuck, .user = &noticed));
    for (int i = 0; i < 2 && err == 0; i++)
        err = weir_pool_submit_task(pool, &eaters[i], eat, dishes,
                                    WEIR_TASK_OPTIONS(.name = "eater"));
    for (int i = 0; i < 2 && err == 0; i++)
        err = weir_pool_submit(pool, cook, dishes);
    if (err == 0)
        err = weir_waitgroup_wait(&noticed);
    if (err == 0) {
        weir_channel_close(dishes); /* eaters and cooks get -EPIPE */
        err = weir_pool_drain(pool);
    }
    weir_pool_free(pool); /* the watchdog has told by then that it is over */
    weir_channel_free(dishes);
    if (err == 0)
        printf("the eaters end: %s\n", weir_strerror(weir_task_status(&eaters[0])));
    return err != 0;
}
