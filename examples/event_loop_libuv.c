/* SPDX-License-Identifier: MIT */
/* event_loop_libuv.c - a libuv loop that gives work to the pool and gets the results back.
 *
 * The completion's descriptor is one more thing that the loop polls. Results are handled on the
 * loop's thread, like everything else there. The work does not delay the loop's timer. A job that
 * takes too long is told to stop. No more jobs are accepted than there are places. */
#include <stdio.h>
#include <string.h>

#include <uv.h>
#include <weir.h>

enum { PLACES = 8, JOBS = 40 };

struct job {
    weir_task task; /* first: its address is the job's */
    int number, square;
};

struct app {
    weir_pool *pool;
    weir_completion *completion;
    uv_poll_t results;
    uv_timer_t timer;
    struct job jobs[JOBS];
    int submitted, finished, late, sum;
    int err;
};

/* Runs on a worker. Every eighth job takes too long. */
static int square(weir_context *ctx, void *arg)
{
    struct job *job = arg;
    if (job->number % 8 == 0)
        return weir_sleep_until(ctx, WEIR_FOREVER);
    job->square = job->number * job->number;
    return 0;
}

/* Submits as many as there are places. */
static void submit_jobs(struct app *app)
{
    while (app->err == 0 && app->submitted < JOBS) {
        struct job *job = &app->jobs[app->submitted];
        job->number = app->submitted + 1;
        int err = weir_pool_submit_task(
            app->pool, &job->task, square, job,
            WEIR_TASK_OPTIONS(.completion = app->completion, .timeout = WEIR_MS(20)));
        if (err == -ENOBUFS) /* all places are in use: go on after the next results */
            return;
        app->err = err;
        app->submitted++;
    }
}

static void on_results(uv_poll_t *handle, int status, int events)
{
    struct app *app = handle->data;
    weir_task *over[PLACES];
    (void)events;
    size_t n = status == 0 ? weir_completion_reap(app->completion, over, PLACES) : 0;
    for (size_t i = 0; i < n; i++) {
        const struct job *job = (const struct job *)over[i];
        app->finished++;
        if (weir_task_status(over[i]) == -ETIMEDOUT)
            app->late++;
        else
            app->sum += job->square;
    }
    submit_jobs(app);
    if (status != 0 || app->err != 0 || app->finished == JOBS) {
        uv_close((uv_handle_t *)&app->results, NULL);
        uv_close((uv_handle_t *)&app->timer, NULL);
    }
}

/* Stands for everything else that the loop does. */
static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static int run(struct app *app)
{
    uv_loop_t loop;
    int err = uv_loop_init(&loop);
    if (err != 0)
        return err;
    app->results.data = app;
    (void)uv_timer_init(&loop, &app->timer);
    (void)uv_timer_start(&app->timer, on_timer, 1, 1);
    err = uv_poll_init(&loop, &app->results, weir_completion_fd(app->completion));
    if (err == 0)
        err = uv_poll_start(&app->results, UV_READABLE, on_results);
    if (err == 0) {
        submit_jobs(app);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        err = app->err;
    }
    (void)uv_loop_close(&loop);
    return err;
}

int main(void)
{
    static struct app app;
    int err = weir_pool_new(&app.pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = PLACES));
    if (err == 0)
        err = weir_completion_new(&app.completion, PLACES);
    if (err == 0)
        err = run(&app);
    weir_pool_free(app.pool);
    weir_task *over[PLACES]; /* after an error there may be some left */
    while (weir_completion_reap(app.completion, over, PLACES) > 0)
        continue;
    weir_completion_free(app.completion);
    if (err == 0)
        printf("finished: %d, of which too late: %d\nsum of the squares: %d\n", app.finished,
               app.late, app.sum);
    else
        fprintf(stderr, "event_loop_libuv: %s\n", strerror(-err));
    return err != 0;
}
