/* SPDX-License-Identifier: MIT */
/* timers.c - jobs of a service that depend on time: a heartbeat, two reminders of which one is
 * cancelled, and a call that is retried while the other side is down.
 *
 * None of them holds a worker while it waits: one worker is enough for all. */
#include <errno.h>
#include <stdio.h>

#include <weir.h>

/* Beats three times. Then it returns something else than 0, and is not called again. */
static int beat(weir_context *ctx, void *arg)
{
    int *beats = arg;
    (void)ctx;
    printf("beat %d\n", ++*beats);
    return *beats == 3 ? 1 : 0;
}

static int heartbeat(weir_pool *pool)
{
    int beats = 0;
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_every(pool, &task, beat, &beats, NULL, weir_now(), WEIR_MS(2));
    return err != 0 ? err : weir_task_wait(&task);
}

static int remind(weir_context *ctx, void *arg)
{
    (void)ctx;
    printf("reminder: %s\n", (char *)arg);
    return 0;
}

/* One comes, the other is cancelled before its time. */
static int reminders(weir_pool *pool)
{
    static char to_drink[] = "the tea is ready", to_meet[] = "the meeting";
    weir_task tea = WEIR_TASK_INIT, meeting = WEIR_TASK_INIT;
    int err =
        weir_pool_submit_task_at(pool, &meeting, remind, to_meet, NULL, weir_after(WEIR_S(3600)));
    if (err == 0)
        err = weir_pool_submit_task_at(pool, &tea, remind, to_drink, NULL, weir_after(WEIR_MS(5)));
    if (err == 0)
        err = weir_task_wait(&tea);
    if (err == 0) {
        printf("calling off the meeting: %s\n", weir_strerror(weir_task_cancel(&meeting)));
        printf("and so it ended: %s\n", weir_strerror(weir_task_status(&meeting)));
    }
    return err;
}

/* A server that is down for the first two calls. */
static int call_server(weir_context *ctx, void *arg)
{
    int *calls = arg;
    (void)ctx;
    int err = ++*calls <= 2 ? -ECONNREFUSED : 0;
    printf("call %d: %s\n", *calls, err == 0 ? "answered" : "refused");
    return err;
}

static int calls(weir_pool *pool)
{
    int made = 0;
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_retry(pool, &task, call_server, &made, NULL,
                                     WEIR_RETRY_OPTIONS(.initial_interval = WEIR_MS(2)));
    if (err == 0)
        err = weir_task_wait(&task);
    return err != 0 ? err : weir_task_status(&task);
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .timers = 16));
    if (err == 0) {
        err = heartbeat(pool);
        if (err == 0)
            err = reminders(pool);
        if (err == 0)
            err = calls(pool);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "timers: %s\n", weir_strerror(err));
    return err != 0;
}
