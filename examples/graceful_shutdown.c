/* SPDX-License-Identifier: MIT */
/* graceful_shutdown.c - a service that is told to stop by SIGTERM.
 *
 * It accepts no new requests and gives those that it has some time to finish. Then it cancels the
 * rest, and says how many were not done. There are six requests: three are quick, the fourth hangs,
 * and two are queued behind it. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <weir.h>

struct service {
    weir_pool *pool;
    weir_context *open;  /* done once the service has stopped accepting requests */
    weir_waitgroup hung; /* counted down by the request that hangs */
};

static int quick_request(weir_context *ctx, void *arg)
{
    /* Only so that the output is the same each time: no request ends before the stop begins. */
    struct service *service = arg;
    (void)ctx;
    return weir_context_wait_until(service->open, WEIR_FOREVER);
}

static int hanging_request(weir_context *ctx, void *arg)
{
    struct service *service = arg;
    weir_waitgroup_done(&service->hung);
    return weir_sleep_until(ctx, WEIR_FOREVER);
}

static int fill(struct service *service)
{
    int err = 0;
    weir_waitgroup_add(&service->hung, 1);
    for (int i = 1; i <= 6 && err == 0; i++)
        err = weir_pool_submit(service->pool, i == 4 ? hanging_request : quick_request, service);
    return err;
}

static int stop(struct service *service)
{
    weir_pool_close(service->pool);
    printf("one more request: %s\n",
           weir_strerror(weir_pool_submit(service->pool, quick_request, service)));

    weir_context_cancel(service->open, 0);
    /* The quick ones have ended when the one behind them has started, however slow the machine. */
    int err = weir_waitgroup_wait(&service->hung);
    if (err != 0)
        return err;
    /* Requests may go on until the soft deadline; then they are told to stop and waited for. */
    weir_shutdown_report report;
    err = weir_pool_shutdown(service->pool, weir_after(WEIR_MS(50)), WEIR_FOREVER, &report);
    if (err != 0)
        return err;
    printf("ended by running: %d, never started: %d, still running: %d\n", (int)report.drained,
           (int)report.cancelled, (int)report.running);
    return 0;
}

static int serve(struct service *service, const sigset_t *signals)
{
    int err = fill(service);
    if (err != 0)
        return err;
    /* In real life a service manager sends it. */
    kill(getpid(), SIGTERM);
    int signal_number;
    sigwait(signals, &signal_number);
    printf("SIGTERM\n");
    return stop(service);
}

int main(void)
{
    /* Blocked before anything else, so that sigwait() gets it. Workers block all signals anyway. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    struct service service = {.hung = WEIR_WAITGROUP_INIT};
    int err = weir_context_new(&service.open, NULL, WEIR_FOREVER);
    if (err == 0)
        err = weir_pool_new(&service.pool, WEIR_POOL_OPTIONS(.workers = 1, .name = "service"));
    if (err == 0)
        err = serve(&service, &signals);
    weir_pool_free(service.pool);
    weir_context_unref(service.open);
    if (err != 0)
        fprintf(stderr, "graceful_shutdown: %s\n", weir_strerror(err));
    return err != 0;
}
