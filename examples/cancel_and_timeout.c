/* SPDX-License-Identifier: MIT */
/* cancel_and_timeout.c - the ways to end a task, or a wait for it, early.
 *
 * The pool has one worker, so that a second task stays in the queue for as long as the first runs,
 * and the output is the same each time. */
#include <errno.h>
#include <stdio.h>

#include <weir.h>

static const char *state_name(weir_state state)
{
    static const char *const names[] = {"IDLE",   "QUEUED",    "RUNNING", "DONE",
                                        "FAILED", "CANCELLED", "EXPIRED", "DROPPED"};
    return names[state];
}

/* Works until it is told to stop. A task that computes would ask weir_context_err(ctx) from time to
 * time; one that sleeps is woken. */
static int work_until_told(weir_context *ctx, void *arg)
{
    weir_waitgroup *started = arg;
    if (started != NULL)
        weir_waitgroup_done(started);
    return weir_sleep_until(ctx, WEIR_FOREVER);
}

static void report(const char *what, weir_task *task)
{
    int err = weir_task_wait(task);
    if (err == 0)
        err = weir_task_status(task);
    printf("%s: %s: %s\n", what, state_name(weir_task_state(task)), weir_strerror(err));
}

/* Starts `task` and returns once it runs. */
static int start(weir_pool *pool, weir_task *task)
{
    weir_waitgroup started = WEIR_WAITGROUP_INIT;
    weir_waitgroup_add(&started, 1);
    int err = weir_pool_submit_task(pool, task, work_until_told, &started, NULL);
    return err != 0 ? err : weir_waitgroup_wait(&started);
}

/* A queued task that is cancelled never runs, nor does one that must start by a certain time and
 * cannot. */
static int before_the_start(weir_pool *pool)
{
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, work_until_told, NULL, NULL);
    if (err != 0)
        return err;
    printf("cancelling a queued task: %s\n", weir_strerror(weir_task_cancel(&task)));
    report("the queued task", &task);

    err = weir_pool_submit_task(pool, &task, work_until_told, NULL,
                                WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_MS(10))));
    if (err == 0)
        report("a task that could not start in time", &task);
    else if (err == -ETIMEDOUT) /* on a busy machine: the time has passed already */
        printf("a task that could not start in time: EXPIRED: %s\n", weir_strerror(err));
    return err == -ETIMEDOUT ? 0 : err;
}

static int while_it_runs(weir_pool *pool)
{
    weir_task task = WEIR_TASK_INIT;
    int err = start(pool, &task);
    if (err != 0)
        return err;

    /* A wait that gives up leaves the task as it is. */
    int waited = weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(10)));
    printf("a wait with a deadline: %s\n", weir_strerror(waited));
    err = before_the_start(pool);

    /* A running task is asked to stop: its context is done. */
    printf("cancelling a running task: %s\n", weir_strerror(weir_task_cancel(&task)));
    report("the running task", &task);
    return err;
}

/* A limit on the running time does the same. */
static int for_too_long(weir_pool *pool)
{
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, work_until_told, NULL,
                                    WEIR_TASK_OPTIONS(.timeout = WEIR_MS(10)));
    if (err == 0)
        report("a task that ran too long", &task);
    return err;
}

/* One context for many tasks: whatever is submitted with it ends with it. */
static int all_at_once(weir_pool *pool)
{
    weir_context *request;
    int err = weir_context_new(&request, NULL, WEIR_FOREVER);
    if (err != 0)
        return err;
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    int accepted = 0;
    while (accepted < 2 && err == 0) {
        err = weir_pool_submit_task_until(pool, &tasks[accepted], work_until_told, NULL, NULL,
                                          request, WEIR_FOREVER);
        accepted += err == 0;
    }
    weir_context_cancel(request, 0);
    for (int i = 0; i < accepted; i++) {
        int waited = weir_task_wait(&tasks[i]);
        if (waited == 0)
            waited = weir_task_status(&tasks[i]);
        printf("task %d of a request that is cancelled: %s\n", i + 1, weir_strerror(waited));
    }
    int refused = weir_pool_submit_task_until(pool, &tasks[2], work_until_told, NULL, NULL, request,
                                              WEIR_FOREVER);
    printf("task 3 is not accepted: %s\n", weir_strerror(refused));
    weir_context_unref(request);
    return err;
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1));
    if (err == 0) {
        err = while_it_runs(pool);
        if (err == 0)
            err = for_too_long(pool);
        if (err == 0)
            err = all_at_once(pool);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "cancel_and_timeout: %s\n", weir_strerror(err));
    return err != 0;
}
