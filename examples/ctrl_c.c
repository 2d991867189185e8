/* SPDX-License-Identifier: MIT */
/* ctrl_c.c - a batch job that stops well at ^C, also while it is blocked.
 *
 * The first ^C (SIGINT, or SIGTERM) wakes the submit, which waits for room most of the time; what
 * runs finishes, what is queued does not start. A second one ends the program at once. The fifth
 * job sends SIGTERM, as kill(1) does, so that the example ends. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <weir.h>

static int job(weir_context *ctx, void *arg)
{
    if ((intptr_t)arg < 5)
        return 0;
    (void)kill(getpid(), SIGTERM);
    return weir_context_wait_until(ctx, WEIR_FOREVER);
}

static int run(weir_context *stop, weir_pool *pool)
{
    int err = 0;
    for (intptr_t n = 1; err == 0; n++) /* a source that never ends */
        err = weir_pool_submit_until(pool, job, (void *)n, stop, WEIR_FOREVER);
    printf("submit: %s\n", weir_strerror(err));
    if (err != -ECANCELED)
        return err;
    weir_shutdown_report report;
    err = weir_pool_shutdown(pool, weir_after(WEIR_S(10)), WEIR_FOREVER, &report);
    printf("stopped by %s, jobs that ran: %d\n",
           weir_context_cause(stop) == SIGINT ? "SIGINT" : "SIGTERM", (int)report.drained);
    return err;
}

int main(void)
{
    weir_context *stop = NULL;
    weir_pool *pool = NULL;
    int err = weir_context_from_signals(&stop, NULL, NULL, 0);
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    if (err == 0)
        err = run(stop, pool);
    if (err != 0)
        fprintf(stderr, "ctrl_c: %s\n", weir_strerror(err));
    weir_pool_free(pool);
    weir_context_cancel(stop, 0);
    weir_context_unref(stop);
    return err != 0;
}
